"""Stored baselines beside a network: find those of its split, and say in words which is best.

Nothing heavy is imported here: `kit evaluate` reads baselines, and does not compute them.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kit.errors import KitError
from kit.evaluation.intervals import FEW_GROUPS, difference_interval, group_interval
from kit.files import read_json

NAME = "baselines.json"
NETWORK = "the network"
RECIPE = "the recipe for small sets"

Row = dict[str, Any]


def split_digest(table: pd.DataFrame) -> str:
    """Return sixteen hexadecimal digits of which tracks are tested by which others.

    Args:
        table: `track_id`, `label`, `group`, and `fold` or `part`. Training and validation tracks
            count alike, since baselines learn from both.
    """
    side = table["fold"] if "fold" in table else np.where(table["part"] == "test", "test", "train")
    rows = sorted(zip(table["track_id"], table["label"], table["group"], side, strict=True))
    return hashlib.sha256(json.dumps([list(map(str, row)) for row in rows]).encode()).hexdigest()[
        :16
    ]


def find(table: pd.DataFrame, folders: Iterable[Path]) -> Row | None:
    """Return the content of the first baselines.json of a split; None if there is none.

    Args:
        table: the split, as for `split_digest`.
        folders: where the file may lie. A file of another split, or a damaged one, is passed over.
    """
    digest = split_digest(table)
    for folder in folders:
        path = folder / NAME
        if not path.is_file():
            continue
        try:
            found = read_json(path)
        except KitError:
            continue
        if isinstance(found, dict) and found.get("split") == digest:
            return found
    return None


def in_their_midst(
    tracks: Sequence[Mapping[str, Any]], table: pd.DataFrame, found: Row, name: str = NETWORK
) -> Row | None:
    """Return the network's row among those of the baselines, on the tracks that all have answered.

    Args:
        tracks: of evaluation.json: `track_id`, `label` and `predicted` of each.
        table: the run's split.
        found: the content of baselines.json.
        name: what answered them: `NETWORK` or `RECIPE`.
    Returns:
        `rows`, the best first: `name`, `n`, `correct`, `accuracy`, `interval`,
        `balanced_accuracy`; `groups`; and `best_in_words`. None if no track is common.
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
    """Return a row of numbers, JSON's types.

    Args:
        name: of the classifier.
        right: whether the answer for each track is right.
        labels: the true label of each.
        groups: the group of each, such as its artist.
    """
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
    ahead = network["accuracy"] >= other["accuracy"]
    shares = f"{_percent(network['accuracy'])} against {_percent(other['accuracy'])}"
    between = difference_interval(answers[name], answers[other["name"]], groups)
    if network["accuracy"] == other["accuracy"]:
        first = f"{name.capitalize()} and the best baseline, {other['name']}, are level: {shares}"
    elif ahead:
        first = f"{name.capitalize()} is the best; the next is {other['name']}: {shares}"
    else:
        first = f"The best is a baseline, {other['name']}; {name} is behind it: {shares}"
    sentence = f"{first}."
    if between is not None:
        low, high = (f"{100 * value:+.1f}".replace("-", "−") for value in between)
        sentence = f"{first} (difference {low} to {high} points, 95% interval)."
    if len(set(groups)) < FEW_GROUPS:
        count = len(set(groups))
        return f"{sentence} {count} groups of tracks are too few to call one of them better."
    if between is not None and between[0] <= 0 <= between[1]:
        return f"{sentence} These tracks are too few to call one of them better."
    return sentence


def _percent(value: float) -> str:
    return f"{100 * value:.1f}%"
