"""Explore catalogues: figures of their features and their audio, and one page."""

import importlib.util
import itertools
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from kit.catalogue import Catalogue, Failure
from kit.catalogue.schema import COLUMNS
from kit.config import FeatureConfig
from kit.errors import UsageError
from kit.explore.audio_figures import Detail, Wall, draw_label, draw_one
from kit.explore.page import write_page
from kit.explore.projection import Method
from kit.explore.statistics import UNNAMED, Selection, select
from kit.explore.table_figures import TableReport, draw_table
from kit.explore.tracks import Track, tracks_of
from kit.features import FeatureStore
from kit.plots.style import LIGHT, MOST_SERIES

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Exploration:
    """Result of `explore`.

    Attributes:
        figures: PNG and SVG files.
        page: `explore.html`.
        said: largest differences, in sentences.
        notes: what was left out, and why.
        failures: tracks that could not be drawn.
    """

    figures: tuple[Path, ...]
    page: Path
    said: tuple[str, ...]
    notes: tuple[str, ...]
    failures: tuple[Failure, ...]


def explore(
    catalogues: Sequence[Catalogue],
    config: FeatureConfig,
    out: Path,
    *,
    stores: Sequence[FeatureStore | None] | None = None,
    count: int = 30,
    track_ids: Sequence[str] = (),
    source: str | None = None,
    projection: Method = "pca",
    limit_mib: float | int = 24,
    progress: Progress | None = None,
) -> Exploration:
    """Draw the features and the audio of tracks as figures and one page.

    Tracks of one label in several catalogues come together. A track id that several catalogues have
    counts once. Each figure is a PNG and an SVG file:

    - of features: `overlaid`, `ranking`, `map`, `tempo-by-year`, `histograms-LABEL`, as far as the
      table has their columns;
    - of audio: `wall-LABEL`, the first `count` tracks that can be read, in the order of the table;
      `track-LABEL`, the first of them in detail; and `track-ID`.

    Args:
        catalogues: at least one.
        config: excerpts and front end.
        out: folder of the figures, made if missing. In file names, "_" replaces each character of
            a label that is not a letter, a digit or one of "._-".
        stores: features of `config`, one for each catalogue; a track without features is decoded.
        count: spectrograms on a wall.
        track_ids: further tracks to draw in detail.
        source: source of the features; by default that of the most rows.
        projection: method of the map.
        limit_mib: size of the page, MiB, up to which audio is embedded; further audio is played
            from its files.
        progress: called with (done, total, what is being done).
    Raises:
        UsageError: `count` below 1, an unknown track or source, a store of another configuration,
            UMAP is not installed, or the tracks have neither features nor audio.
        KitError: a file cannot be written.
    """
    if count < 1:
        raise UsageError(f"count is {count}; it must be at least 1")
    if projection == "umap" and importlib.util.find_spec("umap") is None:
        raise UsageError("UMAP is not installed; install genre-kit[umap], or take --projection pca")
    tracks, notes = tracks_of(catalogues, stores or [None] * len(catalogues), config)
    selection = select(_table(tracks), source)
    wanted = _wanted(tracks, track_ids)
    audible = [track for track in tracks if track.has_audio]
    if selection.source is None and not audible:
        raise UsageError(
            f"the {len(tracks)} tracks have neither audio features nor audio; "
            "give a table with columns such as tempo and energy, or a folder that kit scan made"
        )
    notes += _parts(selection, len(tracks), len(audible))

    counts = Counter(track.label for track in tracks)
    by_label = {label: [track for track in audible if track.label == label] for label in counts}
    by_label = {label: group for label, group in by_label.items() if group}
    largest = {label for label, _ in counts.most_common(MOST_SERIES)}
    numbers = {label: i for i, label in enumerate(label for label in counts if label in largest)}
    names = file_names([*counts, *track_ids])
    total = (selection.source is not None) + len(wanted)
    total += sum(min(count, len(group)) + 1 for group in by_label.values())
    done = itertools.count(1)

    def step(what: str) -> None:
        if progress is not None:
            progress(next(done), total, what)

    report: TableReport | None = None
    if selection.source is not None:
        colours = {label: LIGHT.series[i] for label, i in numbers.items()}
        report = draw_table(selection, colours, names, out, projection=projection)
        step("features")
        notes += report.notes
    walls: list[Wall] = []
    details: list[Detail] = []
    failures: dict[str, Failure] = {}
    for label, group in by_label.items():
        stems = (out / f"wall-{names[label]}", out / f"track-{names[label]}")
        drawn = draw_label(
            group,
            config,
            stems,
            failures,
            count=count,
            numbers=numbers,
            step=partial(step, f"audio of {label}"),
        )
        if drawn is not None:
            walls.append(drawn[0])
            details += filter(None, drawn[1:])
        step(f"wall of {label}")
    for track in wanted:
        stem = out / f"track-{names[track.track_id]}"
        details += filter(None, [draw_one(track, config, stem, failures, numbers)])
        step(f"track {track.track_id}")
    page = write_page(
        out / "explore.html",
        counts=counts,
        numbers=numbers,
        report=report,
        walls=walls,
        details=details,
        config=config,
        notes=notes,
        notices=list(dict.fromkeys(text for c in catalogues for text in c.notices)),
        failures=list(failures.values()),
        limit_mib=limit_mib,
    )
    figures = [*((*report.figures, *report.alone) if report else ()), *(d.figure for d in details)]
    files = [*(figure.files for figure in figures), *(one.files for one in walls)]
    return Exploration(
        figures=tuple(path for pair in files for path in pair),
        page=page,
        said=report.said if report else (),
        notes=tuple(notes),
        failures=tuple(failures.values()),
    )


def _table(tracks: Sequence[Track]) -> pd.DataFrame:
    """Return the tracks' rows with the columns that the schema knows."""
    names = [name for name in COLUMNS if any(name in track.row for track in tracks)]
    return pd.DataFrame({name: [track.row.get(name) for track in tracks] for name in names})


def _wanted(tracks: Sequence[Track], track_ids: Sequence[str]) -> list[Track]:
    by_id = {track.track_id: track for track in tracks}
    if unknown := [track_id for track_id in track_ids if track_id not in by_id]:
        raise UsageError(
            f"there is no track {unknown[0]!r}; take an id of the column track_id, "
            f"such as {next(iter(by_id), 'none')}"
        )
    return [by_id[track_id] for track_id in dict.fromkeys(track_ids)]


def _parts(selection: Selection, tracks: int, audible: int) -> list[str]:
    """Return notes on parts, tracks and sources that are left out."""
    notes = []
    if selection.source is None:
        notes.append(
            "There are no figures of the table: no track has audio features (danceability, "
            "energy, tempo, …). kit describe computes them from audio."
        )
    if selection.left_out:
        others = ", ".join(f"{n} rows of {name}" for name, n in selection.left_out.items())
        chosen = "no named source" if selection.source == UNNAMED else selection.source
        notes.append(
            f"Features of different sources cannot be compared: those of {chosen} are shown, and "
            f"{others} left out; --source chooses another."
        )
    if not audible:
        notes.append("There are no figures of audio: no track has an audio file.")
    elif audible < tracks:
        notes.append(f"{tracks - audible} of {tracks} tracks have no audio file.")
    return notes


def file_names(texts: Sequence[str]) -> dict[str, str]:
    """Return a file name for each text, valid on any file system and unique if case is ignored."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for text in dict.fromkeys(texts):
        name = stem = re.sub(r"[^\w.-]+", "_", text)[:60]
        number = 1
        while name.casefold() in taken:
            number += 1
            name = f"{stem}-{number}"
        taken.add(name.casefold())
        names[text] = name
    return names
