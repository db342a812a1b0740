"""Catalogues to figures on disk and one page: their table of features, and their audio."""

import importlib.util
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from kit.catalogue import Catalogue, Failure
from kit.catalogue.schema import COLUMNS
from kit.config import FeatureConfig
from kit.errors import UsageError
from kit.explore.audio import Features, Track, draw_label, draw_one
from kit.explore.page import Plate
from kit.explore.projection import Method
from kit.explore.report import write_page
from kit.explore.table import UNNAMED, Selection, select
from kit.explore.tabular import TableReport, draw_table, table_steps

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Exploration:
    """Files and notes that `explore` made.

    Attributes:
        figures: PNG and SVG files.
        page: `explore.html`.
        said: what differs most, in sentences.
        notes: what was left out, and why.
        failures: tracks that would have been drawn and could not be.
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
    stores: Sequence[Features | None] | None = None,
    count: int = 30,
    track_ids: Sequence[str] = (),
    source: str | None = None,
    projection: Method = "pca",
    progress: Progress | None = None,
) -> Exploration:
    """Draw the features of the tracks' table and their audio, whichever there is, and the page.

    Tracks of a label come together, whichever catalogue they are of; one that several catalogues
    have, by its id, counts once. All figures are PNG and SVG files of one name:

    - of a table with features: `histograms-LABEL`, and, as far as the table has what it takes,
      `overlaid`, `ranking`, `tempo-by-year`, `map`;
    - of audio: `wall-LABEL`, the first `count` tracks that can be read, in the order of the table,
      `track-LABEL`, the first of them in detail, and `track-ID`.

    Args:
        catalogues: at least one.
        config: clip and front end.
        out: the folder of the figures, made if missing. What is not a letter, a digit or one of
            "._-" in a label is "_" in a file's name.
        stores: features of `config`, one for each catalogue; a track that none has is decoded.
        count: spectrograms on a wall.
        track_ids: tracks to be drawn in detail besides.
        source: whose features; by default those of the source of the most rows.
        projection: how the map is made.
        progress: called with (done, total, what is being done).
    Raises:
        UsageError: `count` below 1, no such track or source, a store of another configuration, no
            UMAP, or tracks with neither features nor audio.
        KitError: a file cannot be written.
    """
    if count < 1:
        raise UsageError(f"count is {count}; it must be at least 1")
    if projection == "umap" and importlib.util.find_spec("umap") is None:
        raise UsageError("UMAP is not installed; install umap-learn, or take --projection pca")
    tracks, notes = _gather(catalogues, stores or [None] * len(catalogues), config)
    table = _table(tracks)
    selection = select(table, source)
    wanted = _wanted(tracks, track_ids)
    audible = [track for track in tracks if track.has_audio]
    if selection.source is None and not audible:
        raise UsageError(
            f"the {len(tracks)} tracks have neither audio features nor audio; "
            "give a table with columns such as tempo and energy, or a folder that kit scan made"
        )
    notes += _parts(selection, len(tracks), len(audible))

    by_label: dict[str, list[Track]] = {}
    for track in audible:
        by_label.setdefault(track.label, []).append(track)
    names = _file_names([*dict.fromkeys(track.label for track in tracks), *track_ids])
    steps = _Steps(
        table_steps(selection)
        + sum(min(count, len(group)) + 1 for group in by_label.values())
        + len(wanted),
        progress,
    )
    report: TableReport | None = None
    if selection.source is not None:
        report = draw_table(selection, names, out, projection=projection, step=steps.step)
        notes += report.notes
    plates: list[Plate] = []
    failures: dict[str, Failure] = {}
    for label, group in by_label.items():
        stems = (out / f"wall-{names[label]}", out / f"track-{names[label]}")
        plates += draw_label(
            group,
            label,
            config,
            stems,
            failures,
            count=count,
            step=lambda label=label: steps.step(f"audio of {label}"),
        )
        steps.step(f"wall of {label}")
    for track in wanted:
        plates += draw_one(track, config, out / f"track-{names[track.track_id]}", failures)
        steps.step(f"track {track.track_id}")
    page = write_page(
        out / "explore.html",
        counts=Counter(track.label for track in tracks),
        report=report,
        audio=plates,
        notes=notes,
        notices=list(dict.fromkeys(text for c in catalogues for text in c.notices)),
        failures=list(failures.values()),
    )
    drawn = [*(report.plates if report else ()), *plates]
    return Exploration(
        figures=tuple(path for plate in drawn for path in plate.files),
        page=page,
        said=report.said if report else (),
        notes=tuple(notes),
        failures=tuple(failures.values()),
    )


class _Steps:
    """Counts what is done."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self._done, self._total, self._progress = 0, total, progress

    def step(self, what: str) -> None:
        self._done += 1
        if self._progress is not None:
            self._progress(self._done, self._total, what)


def _gather(
    catalogues: Sequence[Catalogue], stores: Sequence[Features | None], config: FeatureConfig
) -> tuple[list[Track], list[str]]:
    """Return the tracks of all catalogues, each once, and notices about them."""
    tracks: dict[str, Track] = {}
    twice = 0
    for catalogue, store in zip(catalogues, stores, strict=True):
        if store is not None and store.config != config:
            raise UsageError(
                f"the feature store is of configuration {store.config.hash}, not {config.hash}; "
                "open the one of this configuration"
            )
        known = {} if store is None else store.sources
        for row in catalogue.table.to_dict("records"):
            track_id = str(row["track_id"])
            if track_id in tracks:
                twice += 1
                continue
            row = {str(name): value for name, value in row.items()}
            tracks[track_id] = Track(row, catalogue, store if track_id in known else None)
    notes = []
    if twice:
        notes.append(
            f"{twice} rows are of tracks that an earlier row has, by their ids, and are left out."
        )
    return list(tracks.values()), notes


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
    """Return notes on the parts, tracks and sources that are left out, with the reason."""
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
            f"Features of several sources are not compared: those of {chosen} are shown, and "
            f"{others} left out; --source chooses."
        )
    if not audible:
        notes.append("There are no figures of audio: no track has an audio file.")
    elif audible < tracks:
        notes.append(f"{tracks - audible} of {tracks} tracks have no audio file.")
    return notes


def _file_names(texts: Sequence[str]) -> dict[str, str]:
    """Return a file name for each text, valid on any file system and unique without case."""
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
