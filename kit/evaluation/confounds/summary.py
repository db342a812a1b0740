"""Scores of each probe, and sentences on them."""

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
from kit.evaluation.words import listed, percent, points

Row = dict[str, Any]
_NAMED = 4  # changes that the sentence names, the largest first


def summary(
    tracks: Sequence[Mapping[str, Any]], answers: Mapping[str, Sequence[str | None]]
) -> dict[str, Any]:
    """Return the accuracy after each change, and its difference from the unchanged sound.

    Both cover the tracks that have an answer after the change. The interval of the difference is a
    bootstrap over groups, paired by track, with Bonferroni's correction for the number of probes.

    Args:
        tracks: `label` and `group` of each.
        answers: the predicted label of each track, or None, by the name of the probe, with
            `UNCHANGED`.
    Returns:
        `said`, sentences; `confidence` of the intervals of differences; `n` and `groups` answered;
        `unchanged`, with `correct`, `accuracy` and `interval`; and in `probes` for each probe also
        `change`, `change_interval` (None if all groups change alike), `right_to_wrong`,
        `wrong_to_right`, `other_answers` (tracks with another answer) and `moves`.
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
    about = {"correct": int(right.sum()), "accuracy": float(right.mean())}
    return about | {name: found[name] for name in ("interval", "groups")}


def _row(
    labels: np.ndarray, groups: np.ndarray, before: np.ndarray, after: np.ndarray, level: float
) -> Row:
    was, now = before == labels, after == labels
    between = difference_interval(now, was, groups, level)
    row = _accuracy(now, groups)
    change = row["accuracy"] - float(was.mean())
    # Without an interval all groups have changed alike.
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
    """Return the properties of the sound that a network relies on, in one to three sentences."""
    rows = found["probes"]
    if not rows:
        return "No change of the sound was tested."
    was, groups = percent(found["unchanged"]["accuracy"]), found["groups"]
    least = min(rows, key=lambda row: row["change"])
    if groups < FEW_GROUPS:
        return (
            f"{groups} groups of tracks are too few to say what the network relies on. The "
            f"accuracy is {was}; the largest fall is for {least['probe']}: "
            f"{points(least['change'])} points."
        )
    moved = [row for row in rows if row["moves"]]
    if not moved:
        # The probes could miss a change of up to this size.
        sides = [abs(side) for row in rows for side in row["change_interval"] or ()]
        reach = f"; the intervals reach up to {100 * max(sides):.1f} points" if sides else ""
        return (
            f"None of these {len(rows)} changes moves the accuracy of {was} significantly{reach}."
        )
    falls, rises = ([r for r in moved if (r["change"] < 0) == fall] for fall in (True, False))
    verb = "moves" if len(moved) == 1 else "move"
    moved.sort(key=lambda row: -abs(row["change"]))
    named = [f"{row['probe']} ({points(row['change'])} points)" for row in moved[:_NAMED]]
    rest = f" and {len(moved) - _NAMED} more" if len(moved) > _NAMED else ""
    said = (
        f"{len(moved)} of {len(rows)} changes {verb} the accuracy of {was} significantly: "
        f"{', '.join(named)}{rest}."
    )
    if falls:
        ordered = [row["probe"] for row in sorted(falls, key=lambda row: row["change"])]
        blurred = CONTROL.name in ordered
        probes = [next(probe for probe in PROBES if probe.name == name) for name in ordered]
        leans = [(CONTROL if blurred and one.vocoded else one).leans_on for one in probes]
        said += f" The network relies on {listed(list(dict.fromkeys(leans)))}."
    if rises:
        said += f" It is more accurate with {listed([row['probe'] for row in rises])}."
    return said
