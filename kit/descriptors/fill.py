"""Fill descriptors into the table of tracks, without mixing sources in a row."""

import dataclasses
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from kit.catalogue.rights import OWN
from kit.descriptors.measure import COLUMNS, SOURCE, Descriptors

# Track lists also have durations, so a duration does not mean that a row has descriptors.
_TELLING = tuple(name for name in COLUMNS if name != "duration_ms")
UNNAMED = "unnamed"


@dataclass(frozen=True, eq=False)
class Filled:
    """A new table, and its numbers of rows filled, and kept from other sources, by source."""

    table: pd.DataFrame
    filled: int
    kept: Counter[str] = field(default_factory=Counter)


def other_sources(table: pd.DataFrame) -> list[str]:
    """Return the source of each row's descriptors if it is not kit; "" for rows that kit may fill.

    The source of descriptors without `feature_source` is "unnamed".
    """
    present = [name for name in _TELLING if name in table]
    some = [bool(any(cells)) for cells in table[present].notna().to_numpy()]
    named = _texts(table, "feature_source")
    return [
        (name or UNNAMED) if name != SOURCE and (name or described) else ""
        for name, described in zip(named, some, strict=True)
    ]


def _texts(table: pd.DataFrame, column: str) -> list[str]:
    return [str(cell) for cell in table[column]] if column in table else [""] * len(table)


def fill(
    table: pd.DataFrame,
    described: Mapping[str, Descriptors],
    *,
    replace: bool = False,
) -> Filled:
    """Fill in the columns of the descriptors and `feature_source`.

    Rows from another source stay unchanged unless `replace`. Earlier values of kit are removed from
    rows without new descriptors.
    """
    foreign = other_sources(table)
    columns = {
        name: list(table[name]) if name in table else [pd.NA] * len(table) for name in COLUMNS
    }
    sources = _texts(table, "feature_source")
    # Downloaded previews have an `audio_source`; matched files are the user's whole tracks.
    previews = [name not in ("", OWN) for name in _texts(table, "audio_source")]
    filled, kept = 0, Counter[str]()
    for at, track in enumerate(table["track_id"]):
        found = described.get(str(track))
        other = foreign[at]
        if other and not (replace and found is not None):
            kept[other] += 1
            continue
        if found is None:
            if sources[at] == SOURCE:
                for name in _TELLING:
                    columns[name][at] = pd.NA
                sources[at] = ""
            continue
        values = dataclasses.asdict(found)
        if previews[at] and not pd.isna(columns["duration_ms"][at]):
            # A preview is part of the track; the table has the duration of the whole track.
            del values["duration_ms"]
        for name, value in values.items():
            columns[name][at] = value
        sources[at] = SOURCE
        filled += 1
    return Filled(table.assign(**columns, feature_source=sources), filled, kept)
