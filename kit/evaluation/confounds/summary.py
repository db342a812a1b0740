"""Summary of the answers for changed sounds: numbers for each probe, and sentences."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kit.evaluation.confounds.probes import CONTROL, PROBES, UNCHANGED
from kit.evaluation.intervals import (
    CONFIDENCE,
    FEW_GROUPS,
    difference_interval,
    group_interval,
)
from kit.evaluation.words import percent

Row = dict[str, Any]
_NAMED = 4  # changes that the sentence names, the largest first


def summary(
    tracks: Sequence[Mapping[str, Any]], answers: Mapping[str, Sequence[str | None]]
) -> dict[str, Any]:
    """Return the accuracy after each change, and how far it is from that of the sound as it is.

    Both are of the tracks that have an answer after the change. The interval of the difference is
    a bootstrap over groups, paired by track, and as much wider as Bonferroni's correction for the
    number of probes asks for.

    Args:
        tracks: `label` and `group` of each.
        answers: the predicted label of each track, or None, by the name of the probe; `UNCHANGED`
            is among them.
    Returns:
        `said`, sentences; `confidence` of the intervals of differences; `n` and `groups` answered;
        `unchanged`, with `correct`, `accuracy` and `interval`; and for each probe in `probes` also
        `change`, `change_interval` (None if no group tells), `right_to_wrong`, `wrong_to_right`,
        `other_answers` (tracks whose answer is another one) and `moves`.
    """
    labels = np.array([track["label"] for track in tracks])
    groups = np.array([track["group"] for track in tracks])
    before = np.array([answer or "" for answer in answers[UNCHANGED.name]])
    known = [probe for probe in PROBES if probe.name in answers]
    level = 1 - (1 - CONFIDENCE) / max(1, len(known))
    rows = []
    for probe in known:
        after = np.array([answer or "" for answer in answers[probe.name]])
        both = (before != "") & (after != "")
        if both.any():
            row = _row(labels[both], groups[both], before[both], after[both], level)
            rows.append({"probe": probe.name, "family": probe.family, **row})
    heard = before != ""
    found = {
        "n": int(heard.sum()),
        "groups": len(set(groups[heard].tolist())),
        "confidence": level,
        "unchanged": _accuracy(before[heard] == labels[heard], groups[heard]),
        "probes": rows,
    }
    return {"said": in_words(found), **found}


def _accuracy(right: np.ndarray, groups: np.ndarray) -> Row:
    found = group_interval(right, groups)
    return {
        "correct": int(right.sum()),
        "accuracy": float(right.mean()),
        "interval": found["interval"],
        "groups": found["groups"],
    }


def _row(
    labels: np.ndarray, groups: np.ndarray, before: np.ndarray, after: np.ndarray, level: float
) -> Row:
    was, now = before == labels, after == labels
    between = difference_interval(now, was, groups, level)
    row = _accuracy(now, groups)
    change = row["accuracy"] - float(was.mean())
    # Without an interval all groups have moved alike.
    beyond = change != 0 if between is None else not between[0] <= 0 <= between[1]
    return {
        "n": len(labels),
        **row,
        "change": change,
        "change_interval": None if between is None else list(between),
        "right_to_wrong": int((was & ~now).sum()),
        "wrong_to_right": int((now & ~was).sum()),
        "other_answers": int((before != after).sum()),
        "moves": bool(beyond and row["groups"] >= FEW_GROUPS),
    }


def in_words(found: Mapping[str, Any]) -> str:
    """Return what a network leans on, in one to three sentences.

    Args:
        found: as `summary` returns it.
    """
    rows = found["probes"]
    if not rows:
        return "No change of the sound has been answered."
    was, groups = percent(found["unchanged"]["accuracy"]), found["groups"]
    least = min(rows, key=lambda row: row["change"])
    if groups < FEW_GROUPS:
        return (
            f"{groups} groups of tracks are too few to say what the network leans on. The accuracy "
            f"is {was}; the largest fall is by {least['probe']}: {points(least['change'])} points."
        )
    moved = [row for row in rows if row["moves"]]
    if not moved:
        # A change of up to this size could have been missed.
        sides = [abs(side) for row in rows for side in row["change_interval"] or ()]
        reach = f"; the intervals reach up to {100 * max(sides):.1f} points" if sides else ""
        return (
            f"None of these {len(rows)} changes moves the accuracy of {was} by more than its "
            f"interval can tell{reach}."
        )
    falls, rises = ([r for r in moved if (r["change"] < 0) == fall] for fall in (True, False))
    verb = "moves" if len(moved) == 1 else "move"
    said = (
        f"{len(moved)} of {len(rows)} changes {verb} the accuracy of {was} by more than the "
        f"interval can tell: {_listed(moved)}."
    )
    if falls:
        blurred = any(row["probe"] == CONTROL.name for row in falls)
        ordered = sorted(falls, key=lambda row: row["change"])
        leans = dict.fromkeys(_leans_on(row, blurred) for row in ordered)
        said += f" The network leans on {_and(list(leans))}."
    if rises:
        said += f" It does better with {_and([row['probe'] for row in rises])}."
    return said


def _listed(rows: Sequence[Row]) -> str:
    ordered = sorted(rows, key=lambda row: -abs(row["change"]))
    named = [f"{row['probe']} ({points(row['change'])} points)" for row in ordered[:_NAMED]]
    rest = len(ordered) - len(named)
    return ", ".join(named) + (f" and {rest} more" if rest else "")


def _leans_on(row: Row, blurred: bool) -> str:
    probe = next(probe for probe in PROBES if probe.name == row["probe"])
    return CONTROL.leans_on if blurred and probe.vocoded else probe.leans_on


def _and(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def points(change: float) -> str:
    """Return a difference of shares in points, such as "−3.1"."""
    return f"{100 * change:+.1f}".replace("-", "−")
