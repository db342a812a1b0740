"""`kit explore`."""

from collections import Counter
from pathlib import Path
from typing import Annotated, Literal

import tyro

from kit.cli.arguments import PathOrNot, TextOrNot
from kit.config import FeatureConfig
from kit.errors import UsageError

# More warnings about unreadable files are only counted.
_WARNINGS = 5

Places = Annotated[
    tuple[Path, ...],
    tyro.conf.Positional,
    tyro.conf.arg(metavar="CATALOGUE ...", help_behavior_hint="(required)"),
]


def explore(
    catalogues: Places,
    out: PathOrNot = None,
    features: FeatureConfig = FeatureConfig(),
    count: int = 30,
    track: tuple[str, ...] = (),
    source: TextOrNot = None,
    projection: Literal["pca", "umap"] = "pca",
) -> int:
    """Plot the differences between labels, and write one page of figures.

    Accepts one or more catalogues or CSV tables. From the audio features in the tables (tempo,
    energy, …): histograms, the features that differ most between labels, a map of the tracks, and
    tempo by year. From the audio: a grid of spectrograms with players for each label, and waveform
    and spectrogram of its first track. Figures without data are omitted. The exit code is 1 if some
    audio could not be read.

    explore.html shows all figures and works offline. Up to 24 MiB of audio is embedded; the page
    plays other tracks from their files, which must stay in place.

    Example: kit explore techno.csv edm.csv --out figures

    Args:
        catalogues: Folders that `kit scan` made, or CSV files. The name of a CSV file without a
            column label is the label of its tracks.
        out: Folder of the page and the figures; CATALOGUE/explore if not given, and ./explore for
            a CSV or several catalogues.
        features: Excerpts and front end of the spectrograms.
        count: Maximum number of spectrograms per label.
        track: Ids (column track_id) of more tracks to draw in detail.
        source: Use the features from this source (column feature_source); the most frequent one if
            not given.
        projection: Method of the map: principal components, or UMAP, which needs
            pip install "genre-kit[umap]".
    """
    if not catalogues:
        raise UsageError("no catalogue given; give a catalogue's folder or a CSV file")
    from kit import terminal
    from kit.explore import explore as draw
    from kit.explore.tracks import is_table, open_place

    places = [open_place(place, features) for place in catalogues]
    for path, (catalogue, _) in zip(catalogues, places, strict=True):
        for notice in catalogue.notices if is_table(path) else ():
            terminal.say(notice)
    if out is None:
        alone = len(catalogues) == 1 and not is_table(catalogues[0])
        out = catalogues[0] / "explore" if alone else Path("explore")
    with terminal.bar("explore") as progress:
        result = draw(
            [catalogue for catalogue, _ in places],
            features,
            out,
            stores=[store for _, store in places],
            count=count,
            track_ids=track,
            source=source,
            projection=projection,
            progress=progress,
        )
    for text in (*result.notes, *result.said):
        terminal.say(text)
    gone = [text for text in (catalogue.missing_audio() for catalogue, _ in places) if text]
    for text in gone or [failure.message for failure in result.failures[:_WARNINGS]]:
        terminal.warn(text)
    if (more := result.failures[_WARNINGS:]) and not gone:
        reasons = ", ".join(f"{n} {why}" for why, n in Counter(f.reason for f in more).items())
        terminal.warn(f"{len(more)} more tracks could not be drawn ({reasons})")
    terminal.say(
        f"wrote {result.page}, and {len(result.figures) // 2} figures beside it as PNG and SVG"
    )
    return int(bool(result.failures))
