"""Compare runs on the tracks that all of them have scored."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from scipy.special import stdtr

from kit.errors import KitError, UsageError
from kit.evaluation.intervals import (
    CONFIDENCE,
    FEW_GROUPS,
    difference_interval,
    group_interval,
)
from kit.evaluation.words import flat, percent, points
from kit.files import read_json
from kit.training import Run

COLUMNS = ("track_id", "label", "group", "fold", "predicted")
_SEEDS = ("train.seed", "name")
_BESIDE = ("difference", "difference_low", "difference_high", "mcnemar_p", "folds_p")
Row = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Scored:
    """A run's answers for its held-out tracks.

    Attributes:
        name: of the run.
        config: its configuration by dotted names.
        tracks: `COLUMNS`; the fold is "" in a run without folds.
        held_out: the share of the split's tracks that one network scored: the test part, or the
            mean fold.
    """

    name: str
    config: Mapping[str, Any]
    tracks: pd.DataFrame
    held_out: float


@dataclass(frozen=True)
class Comparison:
    """The result of a comparison, in JSON's types.

    Attributes:
        tracks: number of tracks that all runs have scored.
        groups: number of their groups, such as artists.
        rows: for each run `run`, `correct`, `accuracy`, `low`, `high` and, after the first run,
            `difference` from it, `difference_low`, `difference_high`, `mcnemar_p` and `folds_p`.
        config: each field that differs, except the name, to its value in each run.
        seeds: sentences on runs that differ only in their seed.
        claims: a sentence on each run after the first.
    """

    tracks: int
    groups: int
    rows: tuple[Row, ...]
    config: Mapping[str, list[Any]]
    seeds: tuple[str, ...]
    claims: tuple[str, ...]


def scored(run: Run) -> Scored:
    """Return the answers that `kit evaluate` wrote for the test part of a run.

    Raises:
        UsageError: the run was not evaluated, or its tracks have several labels.
        KitError: a file is damaged.
    """
    path = run.folder / "evaluation.json"
    if not path.is_file():
        raise UsageError(f"{run.folder} is not evaluated; run `kit evaluate {run.folder}`")
    content = read_json(path)
    if isinstance(content, dict) and content.get("several"):
        raise UsageError(f"{run.folder} has several labels a track, which kit cannot compare yet")
    table = run.folds() if run.is_folded else run.split()
    group = dict(zip(table["track_id"], table["group"], strict=True))
    try:
        rows = [
            (t["track_id"], t["label"], group[t["track_id"]], t.get("fold", ""), t["predicted"])
            for t in content["tracks"]
        ]
    except (KeyError, TypeError) as error:
        raise KitError(f"{path} is damaged; run `kit evaluate {run.folder}` again") from error
    tracks = pd.DataFrame(rows, columns=list(COLUMNS))
    parts = len(set(tracks["fold"])) if run.is_folded else 1
    name = f"{run.folder.parent.name}/{run.folder.name}"
    config = flat(read_json(run.folder / "config.json")["experiment"])
    return Scored(name, config, tracks, len(tracks) / parts / len(table))


def compare(runs: Sequence[Scored]) -> Comparison:
    """Compare each run with the first, track by track.

    The interval of a difference is a bootstrap over groups of paired differences. Bonferroni's
    correction widens it for several runs. McNemar's test takes tracks as independent, so its p is
    too small for large groups. `folds_p` is Student's t over shared folds, corrected for their
    overlapping training parts.

    Args:
        runs: two or more, whose labels of a track agree.
    Raises:
        UsageError: fewer than two runs, no common track, or labels that differ.

    Source: McNemar (1947), exact; Nadeau & Bengio (2003), Inference for the generalization error.
    """
    if len(runs) < 2:
        raise UsageError("a comparison needs runs to compare; name two or more")
    known = [set(run.tracks["track_id"]) for run in runs]
    ids = sorted(set.intersection(*known))
    if not ids:
        raise UsageError(
            f"no track was scored by all of {', '.join(run.name for run in runs)}; compare runs of "
            "one catalogue with the same --split"
        )
    tables = [run.tracks.set_index("track_id").loc[ids] for run in runs]
    first = tables[0]
    for run, table in zip(runs, tables, strict=True):
        other = table["label"] != first["label"]
        if other.any():
            raise UsageError(
                f"{int(other.sum())} tracks have another label in {run.name} than in "
                f"{runs[0].name}, such as {other.idxmax()}; compare runs of one catalogue, without "
                "--split.shuffle-labels"
            )
    groups = np.unique(
        [g or f"track {track}" for g, track in zip(first["group"], ids, strict=True)],
        return_inverse=True,
    )[1]
    right = [(table["predicted"] == table["label"]).to_numpy() for table in tables]
    level = 1 - (1 - CONFIDENCE) / (len(runs) - 1)
    rows, claims = [], []
    for run, table, answers in zip(runs, tables, right, strict=True):
        row: Row = {
            "run": run.name,
            "correct": int(answers.sum()),
            "accuracy": float(answers.mean()),
            **dict(zip(("low", "high"), group_interval(answers, groups)["interval"], strict=True)),
            **dict.fromkeys(_BESIDE),
        }
        if run is not runs[0]:
            row["difference"] = row["accuracy"] - float(right[0].mean())
            if between := difference_interval(answers, right[0], groups, level):
                row["difference_low"], row["difference_high"] = between
            row["mcnemar_p"] = mcnemar(answers, right[0])
            if "" not in set(first["fold"]) and table["fold"].equals(first["fold"]):
                gaps = pd.Series(answers.astype(float) - right[0]).groupby(first["fold"].to_numpy())
                row["folds_p"] = corrected_t(np.array(gaps.mean()), run.held_out)
            claims.append(_claim(row, runs[0].name, int(groups.max()) + 1, level))
        rows.append(row)
    return Comparison(
        len(ids),
        int(groups.max()) + 1,
        tuple(rows),
        _differences(runs),
        tuple(_seeds(runs, rows)),
        tuple(claims),
    )


def mcnemar(answers: Bool[np.ndarray, " tracks"], others: Bool[np.ndarray, " tracks"]) -> float:
    """Return the exact two-sided p of McNemar's test; 1 if both are right on the same tracks."""
    # Takes a second to import; training and prediction do not need it.
    from scipy.stats import binomtest

    won, lost = int((answers & ~others).sum()), int((others & ~answers).sum())
    return float(binomtest(won, won + lost).pvalue) if won + lost else 1.0


def corrected_t(gaps: Float[np.ndarray, " folds"], held_out: float) -> float | None:
    """Return the two-sided p of a mean difference over folds, corrected for their overlap.

    None for fewer than two folds, and if all differences are equal.

    Args:
        gaps: the difference in each fold.
        held_out: the share of the tracks that a fold tests.

    Source: Nadeau & Bengio (2003), Inference for the generalization error, section 3.
    """
    k = len(gaps)
    if k < 2 or np.ptp(gaps) == 0:
        return None
    error = np.sqrt((1 / k + held_out / (1 - held_out)) * gaps.var(ddof=1))
    return float(2 * stdtr(k - 1, -abs(gaps.mean()) / error))


def _claim(row: Row, first: str, groups: int, level: float) -> str:
    low, high = row["difference_low"], row["difference_high"]
    shares = f"{row['run']}: {points(row['difference'])} points from {first}"
    if low is None:
        return f"{shares}; all groups of tracks score alike."
    between = f"{points(low)} to {points(high)}, {percent(level)} interval"
    if groups < FEW_GROUPS:
        return f"{shares} ({between}); {groups} groups are too few to call one of them better."
    if low <= 0 <= high:
        return f"{shares} ({between}); these tracks do not tell which one is better."
    return f"{shares} ({between}); it is {'better' if low > 0 else 'worse'} on such tracks."


def _differences(runs: Sequence[Scored]) -> dict[str, list[Any]]:
    names = sorted({name for run in runs for name in run.config} - {"name"})
    values = {name: [run.config.get(name) for run in runs] for name in names}
    return {n: each for n, each in values.items() if any(value != each[0] for value in each)}


def _seeds(runs: Sequence[Scored], rows: Sequence[Row]) -> list[str]:
    """Return the mean and the spread of runs that differ in `train.seed` alone."""
    alike: dict[str, list[float]] = {}
    for run, row in zip(runs, rows, strict=True):
        rest = {name: value for name, value in run.config.items() if name not in _SEEDS}
        alike.setdefault(repr(sorted(rest.items())), []).append(row["accuracy"])
    return [
        f"{len(each)} runs that differ only in their seed: mean {percent(statistics.mean(each))}, "
        f"standard deviation {100 * statistics.stdev(each):.1f} points, {percent(min(each))} to "
        f"{percent(max(each))}."
        for each in alike.values()
        if len(each) > 1
    ]
