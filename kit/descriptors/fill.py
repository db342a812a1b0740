"""Descriptors into a table of tracks: whose they are is said, and no row has some of each."""

import dataclasses
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from kit.catalogue.rights import OWN
from kit.descriptors.measure import COLUMNS, SOURCE, Descriptors

# The length of the track is a fact that whoever lists it knows too, and it names no source.
_TELLING = tuple(name for name in COLUMNS if name != "duration_ms")
UNNAMED = "unnamed"


@dataclass(frozen=True, eq=False)
class Filled:
    """A table, and what was left alone in it.

    Attributes:
        table: a new one.
        filled: rows that have kit's descriptors now.
        kept: rows that have somebody else's, which were left as they are, by `feature_source`.
    """

    table: pd.DataFrame
    filled: int
    kept: Counter[str] = field(default_factory=Counter)


def others(table: pd.DataFrame) -> list[str]:
    """The source of each row's descriptors where it is not kit; "" where kit may fill them in.

    A row that has descriptors and does not say whose counts as another's.
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

    Args:
        table: one row a track, as `kit.catalogue.schema` has it.
        described: by `track_id`.
        replace: also rows whose descriptors come from elsewhere.
    Returns:
        Rows of another source are as they were, unless `replace`; of the rest those that are
        described are filled, and kit's own of a file that is not described any more are emptied.
    """
    foreign = others(table)
    columns = {
        name: list(table[name]) if name in table else [pd.NA] * len(table) for name in COLUMNS
    }
    sources = _texts(table, "feature_source")
    # Downloaded audio names where it came from; matched audio is one's own, whole.
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
            # A preview is a part: the length that is listed is that of the track.
            del values["duration_ms"]
        for name, value in values.items():
            columns[name][at] = value
        sources[at] = SOURCE
        filled += 1
    return Filled(table.assign(**columns, feature_source=sources), filled, kept)
