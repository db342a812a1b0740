"""Catalogues to figures and a page."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from kit import terminal
from kit.catalogue import Catalogue, load, read_table
from kit.config import FeatureConfig
from kit.explore import explore as draw
from kit.explore.projection import Method
from kit.features import FeatureStore, store_path

# A folder that has gone would fill the screen.
_WARNINGS = 5


def explore(
    places: Sequence[Path],
    config: FeatureConfig,
    *,
    out: Path | None = None,
    count: int = 30,
    track_ids: Sequence[str] = (),
    source: str | None = None,
    projection: Method = "pca",
) -> int:
    """The figures and the page of catalogues and tables; the number of tracks left undrawn.

    Args:
        places: folders of catalogues, and CSV files.
        config: clip and front end.
        out: where they are written; else `explore` in the only catalogue's folder, or here.
        count: as of `kit.explore.explore`, with what follows.
        track_ids: tracks to be drawn in detail.
        source: whose features.
        projection: how the map is made.
    """
    catalogues = [_table(place) if _is_table(place) else load(place) for place in places]
    if out is None:
        alone = len(places) == 1 and not _is_table(places[0])
        out = places[0] / "explore" if alone else Path("explore")
    stores = []
    for place, catalogue in zip(places, catalogues, strict=True):
        store = None if _is_table(place) else store_path(catalogue, config)
        found = store is not None and FeatureStore.exists(store)
        stores.append(FeatureStore.open(store) if store is not None and found else None)
    with terminal.bar("explore") as progress:
        result = draw(
            catalogues,
            config,
            out,
            stores=stores,
            count=count,
            track_ids=track_ids,
            source=source,
            projection=projection,
            progress=progress,
        )
    for figure in result.figures:
        terminal.say(f"wrote {figure}")
    for text in (*result.notes, *result.said):
        terminal.say(text)
    gone = [text for text in (c.missing_audio() for c in catalogues) if text]
    for text in gone or [failure.message for failure in result.failures[:_WARNINGS]]:
        terminal.warn(text)
    if (more := result.failures[_WARNINGS:]) and not gone:
        reasons = ", ".join(f"{n} {why}" for why, n in Counter(f.reason for f in more).items())
        terminal.warn(f"{len(more)} more tracks could not be drawn ({reasons})")
    terminal.say(f"page: {result.page}")
    return len(result.failures)


def _is_table(place: Path) -> bool:
    return place.suffix.lower() == ".csv" or place.is_file()


def _table(path: Path) -> Catalogue:
    """A CSV file as a catalogue of its folder; audio that is not there is no audio."""
    table, repeats = read_table(path)
    notices: tuple[str, ...] = ()
    if ids := list(dict.fromkeys(repeats["track_id"])):
        some, first = ("id", "its first row is") if len(ids) == 1 else ("ids", "the first rows are")
        notices = (f"{path} has {len(ids)} {some} more than once; {first} kept: {', '.join(ids)}",)
        terminal.say(notices[0])
    if "path" in table:
        there = [bool(name) and (path.parent / name).is_file() for name in table["path"]]
        table["path"] = table["path"].where(there, "")
    return Catalogue(path.parent, table, path.parent, notices)
