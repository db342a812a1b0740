"""`kit explore`."""

from collections import Counter
from pathlib import Path
from typing import Annotated, Literal

import tyro

from kit.cli.arguments import PathOrNot, TextOrNot
from kit.config import FeatureConfig
from kit.errors import UsageError

# A folder that is not there any more would fill the screen.
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
    """Draw what differs between the labels: figures, and one page.

    Takes one or several catalogues, or CSV tables. Of the table's audio features (tempo, energy,
    …): what differs most between the labels, histograms, tempo by year, a map. Of the audio: a wall
    of spectrograms of each label, and tracks in detail. Figures without data are left out. Exit
    code 1 if some audio could not be read.

    Example: kit explore techno.csv edm.csv --out figures

    Args:
        catalogues: Folders that `kit scan` made, or CSV files with a column label (else the
            file's name is the label).
        out: Folder of the figures; CATALOGUE/explore, or ./explore for a CSV or several.
        features: Excerpts and front end.
        count: Spectrograms on a wall.
        track: Ids of tracks to draw in detail.
        source: Source of the features, by the column feature_source; else the most frequent one.
        projection: How the map is made; umap needs umap-learn.
    """
    if not catalogues:
        raise UsageError("no catalogue given; add the folder of one, or a CSV file")
    from kit import terminal
    from kit.explore import explore as draw
    from kit.explore.place import is_table, open_place

    places = [open_place(place, features) for place in catalogues]
    for notice in [notice for place in places if place.is_table for notice in place.notices]:
        terminal.say(notice)
    if out is None:
        alone = len(catalogues) == 1 and not is_table(catalogues[0])
        out = catalogues[0] / "explore" if alone else Path("explore")
    with terminal.bar("explore") as progress:
        result = draw(
            [place.catalogue for place in places],
            features,
            out,
            stores=[place.store for place in places],
            count=count,
            track_ids=track,
            source=source,
            projection=projection,
            progress=progress,
        )
    for figure in result.figures:
        terminal.say(f"wrote {figure}")
    for text in (*result.notes, *result.said):
        terminal.say(text)
    gone = [text for text in (place.catalogue.missing_audio() for place in places) if text]
    for text in gone or [failure.message for failure in result.failures[:_WARNINGS]]:
        terminal.warn(text)
    if (more := result.failures[_WARNINGS:]) and not gone:
        reasons = ", ".join(f"{n} {why}" for why, n in Counter(f.reason for f in more).items())
        terminal.warn(f"{len(more)} more tracks could not be drawn ({reasons})")
    terminal.say(f"page: {result.page}")
    return int(bool(result.failures))
