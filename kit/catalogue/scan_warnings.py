"""Warnings of a scan: similar labels, recordings with two labels, unknown artists."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import pandas as pd

from kit.catalogue.artist_from import unknown_artists
from kit.catalogue.names import look_alike
from kit.catalogue.schema import SEPARATOR, alike, label_form, several_labels


def one_case(rows: list[dict[str, Any]]) -> Iterable[str]:
    """Use one spelling for labels that differ only in case, with a warning for each."""
    # A folder may be called ";".
    found = [several_labels(row["label"]) or (label_form(row["label"]),) for row in rows]
    counts = Counter(label for names in found for label in names)
    spellings: dict[str, list[str]] = {}
    # The most frequent spelling first; in a tie, capitals before lower case.
    for label in sorted(counts, key=lambda label: (-counts[label], label)):
        spellings.setdefault(alike(label), []).append(label)
    for row, names in zip(rows, found, strict=True):
        row["label"] = SEPARATOR.join(dict.fromkeys(spellings[alike(n)][0] for n in names))
    for same in spellings.values():
        if len(same) > 1:
            names = " and ".join(f"{label!r} ({counts[label]})" for label in same)
            yield f"the labels {names} differ only in case; all these tracks now have {same[0]!r}"


def duplicates(table: pd.DataFrame) -> tuple[tuple[str, ...], ...]:
    """Return the ids of tracks with identical files, one tuple for each set of copies."""
    ids: dict[str, list[str]] = {}
    hashes = table["source_hash"] if "source_hash" in table else [""] * len(table)
    for digest, track_id in zip(hashes, table["track_id"], strict=True):
        ids.setdefault(digest, []).append(track_id)
    return tuple(tuple(alike) for digest, alike in ids.items() if digest and len(alike) > 1)


def warnings_of(table: pd.DataFrame) -> Iterable[str]:
    """Yield warnings about a table of tracks that may spoil training."""
    labels = sorted(set(table["label"]))
    if len(labels) == 1:
        yield f"there is only one label, {labels[0]!r}; training needs two"
    if several := [label for label in labels if SEPARATOR in label]:
        count = table["label"].isin(several).sum()
        yield (
            f"{count} tracks have several labels, such as {several[0]!r}; train with "
            "--train.labels several, or scan with --several first or --several drop"
        )
    for same in look_alike(sorted({name for label in labels for name in several_labels(label)})):
        names = " and ".join(map(repr, same))
        yield f"the labels {names} may be the same; if so, give them one spelling"
    label_of = dict(zip(table["track_id"], table["label"], strict=True))
    both = [ids for ids in duplicates(table) if len({label_of[i] for i in ids}) > 1]
    if both:
        yield (
            f"{len(both)} recordings have more than one label, such as {', '.join(both[0])}; "
            "keep one copy of each"
        )
    if unknown := unknown_artists(table):
        yield unknown
