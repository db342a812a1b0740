"""Compare a network with the stored baselines of its split.

`kit evaluate` reads baselines and does not compute them, so this file imports no classifiers.
"""

import contextlib
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kit.errors import KitError
from kit.evaluation.intervals import FEW_GROUPS, difference_interval, group_interval
from kit.evaluation.words import percent, points
from kit.files import read_json

NAME = "baselines.json"
NETWORK = "the network"
RECIPE = "the recipe for small sets"

Row = dict[str, Any]


def split_digest(table: pd.DataFrame) -> str:
    """Return sixteen hexadecimal digits that identify a split.

    Args:
        table: `track_id`, `label`, `group`, and `fold` or `part`. Training and validation parts
            count as one, since baselines learn from both.
    """
    side = table["fold"] if "fold" in table else np.where(table["part"] == "test", "test", "train")
    rows = sorted(zip(table["track_id"], table["label"], table["group"], side, strict=True))
    text = json.dumps([list(map(str, row)) for row in rows])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def find(table: pd.DataFrame, folders: Iterable[Path]) -> Row | None:
    """Return the first intact baselines.json of a split in `folders`; None without one."""
    digest = split_digest(table)
    for folder in folders:
        with contextlib.suppress(KitError):  # missing or damaged
            found = read_json(folder / NAME)
            if isinstance(found, dict) and found.get("split") == digest:
                return found
    return None


def in_their_midst(
    tracks: Sequence[Mapping[str, Any]], table: pd.DataFrame, found: Row, name: str = NETWORK
) -> Row | None:
    """Return `baselines` of evaluation.json, on the tracks that network and baselines answered.

    Returns:
        `rows`, the best first, `groups` and `best_in_words`. None without a common track.
    """
    group_of = dict(zip(table["track_id"], table["group"], strict=True))
    known = set(found["tracks"])
    both = [track for track in tracks if track["track_id"] in known]
    if not both:
        return None
    groups = [group_of[track["track_id"]] for track in both]
    labels = np.array([track["label"] for track in both])
    answers = {name: np.array([track["label"] == track["predicted"] for track in both])}
    for row in found["rows"]:
        wrong = set(row["wrong"])
        answers[row["name"]] = np.array([track["track_id"] not in wrong for track in both])
    rows = [score(name, right, labels, groups) for name, right in answers.items()]
    # The network first at a tie, then the simpler baseline.
    rows.sort(key=lambda row: -row["correct"])
    return {
        "rows": rows,
        "groups": rows[0]["groups"],
        "best_in_words": _best_in_words(name, rows, answers, groups),
    }


def score(
    name: str, right: np.ndarray, labels: np.ndarray, groups: Sequence[Any] | np.ndarray
) -> Row:
    """Return the scores of a classifier, in JSON's types."""
    recalls = [float(right[labels == label].mean()) for label in np.unique(labels)]
    return {
        "name": name,
        "n": len(right),
        "correct": int(right.sum()),
        "accuracy": float(right.mean()),
        **group_interval(right, groups),
        "balanced_accuracy": float(np.mean(recalls)),
    }


def _best_in_words(
    name: str, rows: Sequence[Row], answers: Mapping[str, np.ndarray], groups: Sequence[Any]
) -> str:
    network = next(row for row in rows if row["name"] == name)
    other = next(row for row in rows if row["name"] != name)
    shares = f"{percent(network['accuracy'])} against {percent(other['accuracy'])}"
    between = difference_interval(answers[name], answers[other["name"]], groups)
    if network["accuracy"] == other["accuracy"]:
        first = f"{name.capitalize()} and the best baseline, {other['name']}, are level: {shares}"
    elif network["accuracy"] > other["accuracy"]:
        first = f"{name.capitalize()} is the best; the next is {other['name']}: {shares}"
    else:
        first = f"The best is a baseline, {other['name']}; {name} is behind it: {shares}"
    sentence = f"{first}."
    if between is not None:
        low, high = map(points, between)
        sentence = f"{first} (difference {low} to {high} points, 95% interval)."
    if (count := len(set(groups))) < FEW_GROUPS:
        return f"{sentence} {count} groups of tracks are too few to call one of them better."
    if between is not None and between[0] <= 0 <= between[1]:
        return f"{sentence} These tracks are too few to call one of them better."
    return sentence
