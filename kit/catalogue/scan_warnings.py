"""What a scan warns of: labels that may be one, recordings under two labels, unknown artists."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import pandas as pd

from kit.catalogue.artist_from import unknown_artists
from kit.catalogue.names import look_alike
from kit.catalogue.schema import SEPARATOR, alike, label_form, several_labels


def one_case(rows: list[dict[str, Any]]) -> Iterable[str]:
    """Give labels that differ in case only one spelling, with a warning for each."""
    # A folder may be called ";".
    found = [several_labels(row["label"]) or (label_form(row["label"]),) for row in rows]
    counts = Counter(label for names in found for label in names)
    spellings: dict[str, list[str]] = {}
    # The spelling of the most tracks first; of as many, capitals before small letters.
    for label in sorted(counts, key=lambda label: (-counts[label], label)):
        spellings.setdefault(alike(label), []).append(label)
    for row, names in zip(rows, found, strict=True):
        row["label"] = SEPARATOR.join(dict.fromkeys(spellings[alike(n)][0] for n in names))
    for same in spellings.values():
        if len(same) > 1:
            names = " and ".join(f"{label!r} ({counts[label]})" for label in same)
            yield f"the labels {names} differ in case only; all these tracks have {same[0]!r} now"


def duplicates(table: pd.DataFrame) -> tuple[tuple[str, ...], ...]:
    """Return the ids of tracks whose files have the same bytes, one tuple for each set of copies.

    Args:
        table: one row a track, as `kit.catalogue.schema` has it.
    """
    ids: dict[str, list[str]] = {}
    hashes = table["source_hash"] if "source_hash" in table else [""] * len(table)
    for digest, track_id in zip(hashes, table["track_id"], strict=True):
        ids.setdefault(digest, []).append(track_id)
    return tuple(tuple(alike) for digest, alike in ids.items() if digest and len(alike) > 1)


def warnings_of(table: pd.DataFrame) -> Iterable[str]:
    """Yield a warning for each thing in a table of tracks that may spoil a training."""
    labels = sorted(set(table["label"]))
    if len(labels) == 1:
        yield f"there is one label only, {labels[0]!r}; training needs two"
    if several := [label for label in labels if SEPARATOR in label]:
        count = table["label"].isin(several).sum()
        yield (
            f"{count} tracks have several labels, such as {several[0]!r}; train with "
            "--train.labels several, or scan with --several first or --several drop"
        )
    for same in look_alike(sorted({name for label in labels for name in several_labels(label)})):
        yield f"the labels {' and '.join(map(repr, same))} may be one; if so, write them the same"
    label_of = dict(zip(table["track_id"], table["label"], strict=True))
    both = [ids for ids in duplicates(table) if len({label_of[i] for i in ids}) > 1]
    if both:
        yield (
            f"{len(both)} recordings come under more than one label, {', '.join(both[0])} first; "
            "remove all but one of each"
        )
    if unknown := unknown_artists(table):
        yield unknown
