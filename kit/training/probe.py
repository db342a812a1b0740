"""Probe: regularised logistic regression on the frozen layers of a network.

For each fold, layer and strength of regularisation are chosen by grouped cross-validation inside
the other folds. The tracks of a fold take no part in its choice, scaling or fit.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Float, Int
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from threadpoolctl import threadpool_limits

from kit.errors import UsageError

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Candidate values of C; a smaller C regularises more."""
_INNER = 5
NEVER = -50.0
"""Logit of a label without tracks, so that its probability is almost 0."""
_ROUNDING = 1e-5  # relative error of a mean of float32 numbers
_LEAST = 1e-6  # floor of probabilities, so that one missing label does not decide the log-loss

Layers: TypeAlias = Mapping[str, Float[np.ndarray, "tracks _"]]
Names: TypeAlias = Sequence[str] | np.ndarray
Split: TypeAlias = tuple[Int[np.ndarray, " train"], Int[np.ndarray, " test"]]


@dataclass(frozen=True)
class Choice:
    """Layer and regularisation that were chosen for a fold.

    Attributes:
        fold: the test fold.
        layer: name of the layer.
        strength: C of scikit-learn's `LogisticRegression`.
        log_loss: mean of the inner cross-validation over the tracks of the other folds; None if a
            label has too few groups for it, so that the first layer and a C of 0.01 are used.
    """

    fold: str
    layer: str
    strength: float
    log_loss: float | None


@dataclass(frozen=True)
class Linear:
    """Logits as a linear function of a standardised layer.

    The probe is fitted to the mean embedding of each track, whose logits are the mean of the logits
    of its segments.

    Attributes:
        choice: layer and regularisation.
        mean: mean of each unit over the tracks.
        deviation: deviation of each unit over the tracks; 1 for a constant unit.
        kernel: weights from standardised units to logits.
        bias: bias of the logits; `NEVER` for a label without tracks.
    """

    choice: "Choice"
    mean: Float[np.ndarray, " width"]
    deviation: Float[np.ndarray, " width"]
    kernel: Float[np.ndarray, "width labels"]
    bias: Float[np.ndarray, " labels"]


@dataclass(frozen=True)
class Probe:
    """Out-of-fold predictions of a probe.

    Attributes:
        labels: sorted labels, the columns of `probabilities`.
        probabilities: (tracks, labels), out of fold.
        choices: one for each fold.
    """

    labels: tuple[str, ...]
    probabilities: Float[np.ndarray, "tracks labels"]
    choices: tuple[Choice, ...]


def probe(
    embeddings: Layers,
    labels: Names,
    groups: Names,
    folds: Names,
    *,
    only: str | None = None,
    strengths: Sequence[float] = STRENGTHS,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Probe:
    """Return out-of-fold probabilities of labels by logistic regression on embeddings.

    Args:
        embeddings: one or more layers, one row for each track.
        labels: label of each track.
        groups: group of each track, such as its artist, for the inner cross-validation.
        folds: fold of each track; each fold is predicted by a fit to the others.
        only: the fold to predict; tracks of other folds have probabilities of 0. None for all.
        strengths: candidate values of C.
        seed: seed of the inner cross-validation.
        progress: called with (folds done, number of folds).
    Raises:
        UsageError: no layer, rows that do not fit the labels, numbers that are not finite, fewer
            than two folds or labels, or only one label outside a fold.
    """
    names, y = np.unique(np.asarray(labels, str), return_inverse=True)
    fold_of, group_of = np.asarray(folds, str), np.asarray(groups, str)
    _check(embeddings, y, group_of, fold_of)
    probabilities = np.zeros((len(y), len(names)))
    x = {name: np.asarray(rows, np.float64) for name, rows in embeddings.items()}
    each = np.unique(fold_of) if only is None else np.array([only])
    choices = []
    # On small tables, BLAS threads wait longer than they compute.
    with threadpool_limits(1):
        for done, fold in enumerate(each.tolist()):
            test = fold_of == fold
            known = {name: rows[~test] for name, rows in x.items()}
            choice = _choose(known, y[~test], group_of[~test], fold, len(names), strengths, seed)
            mean, deviation, model = _fit(known[choice.layer], y[~test], choice.strength)
            unknown = (x[choice.layer][test] - mean) / deviation
            probabilities[test] = _spread(model, unknown, len(names))
            choices.append(choice)
            if progress:
                progress(done + 1, len(each))
    return Probe(tuple(names.tolist()), probabilities, tuple(choices))


def fitted(
    embeddings: Layers,
    y: Int[np.ndarray, " tracks"],
    groups: Names,
    labels: int,
    *,
    seed: int = 0,
) -> Linear:
    """Return the probe fitted to all of these tracks.

    Args:
        y: number of each track's label.
        labels: number of labels.
        The others: as for `probe`.
    Raises:
        UsageError: numbers that are not finite, or only one label.
    """
    group_of = np.asarray(groups, str)
    x = {name: np.asarray(rows, np.float64) for name, rows in embeddings.items()}
    _require_finite(x)
    if len(present := np.unique(y)) < 2:
        raise UsageError("the probe has tracks of one label; give it two labels at least")
    with threadpool_limits(1):
        choice = _choose(x, y, group_of, "", labels, STRENGTHS, seed)
        mean, deviation, model = _fit(x[choice.layer], y, choice.strength)
    coefficients, intercepts = model.coef_, model.intercept_
    if len(present) == 2:
        # scikit-learn has one logit, of the second label against the first.
        coefficients, intercepts = (
            np.concatenate([-half, half]) for half in (coefficients / 2, intercepts / 2)
        )
    kernel, bias = np.zeros((coefficients.shape[1], labels)), np.full(labels, NEVER)
    kernel[:, present], bias[present] = coefficients.T, intercepts
    return Linear(choice, mean, deviation, kernel, bias)


def _fit(
    x: Float[np.ndarray, "tracks width"], y: Int[np.ndarray, " tracks"], strength: float
) -> tuple[np.ndarray, np.ndarray, LogisticRegression]:
    """Return the `moments` of a layer, and a regression fitted to the standardised layer."""
    mean, deviation = moments(x)
    return mean, deviation, _regression(strength).fit((x - mean) / deviation, y)


def moments(
    x: Float[np.ndarray, "tracks width"],
) -> tuple[Float[np.ndarray, " width"], Float[np.ndarray, " width"]]:
    """Return mean and deviation of each unit; the deviation of a constant unit is 1.

    Embeddings are means of float32 numbers, so a constant unit varies by rounding errors, which
    must not be scaled up.
    """
    mean, deviation = x.mean(axis=0), x.std(axis=0)
    return mean, np.where(deviation > _ROUNDING * np.abs(mean), deviation, 1.0)


def _choose(
    layers: Layers,
    y: Int[np.ndarray, " tracks"],
    groups: np.ndarray,
    fold: str,
    count: int,
    strengths: Sequence[float],
    seed: int,
) -> Choice:
    """Return layer and C with the lowest log-loss; at a tie, the first layer and smallest C."""
    present = np.unique(y)
    if len(present) < 2:
        raise UsageError(f"without fold {fold}, one label is left; take folds of several labels")
    splits = inner_splits(y, groups, _INNER, seed)
    if not splits:
        return Choice(fold, next(iter(layers)), 1e-2, None)
    asked = sum(len(test) for _, test in splits)
    choices = []
    for layer, x in layers.items():
        losses = np.zeros(len(strengths))
        for train, test in splits:
            mean, deviation = moments(x[train])
            known, unknown = ((x[part] - mean) / deviation for part in (train, test))
            for at, strength in enumerate(strengths):
                answer = _spread(_regression(strength).fit(known, y[train]), unknown, count)
                right = answer[np.arange(len(test)), y[test]]
                losses[at] -= np.log(np.maximum(right, _LEAST)).sum()
        means = (losses / asked).tolist()
        choices += [Choice(fold, layer, c, mean) for c, mean in zip(strengths, means, strict=True)]
    return min(choices, key=lambda choice: choice.log_loss)


def inner_splits(
    targets: Int[np.ndarray, " tracks"], groups: np.ndarray, most: int, seed: int
) -> list[Split]:
    """Return `(train, test)` of each inner fold, with each group in one of them.

    There are at most as many folds as the rarest label has groups, and no folds if it has one.
    Folds with an empty test part, or with one label in the training part, are left out; they occur
    if a group has several labels.
    """
    count = min([most, *(len(np.unique(groups[targets == label])) for label in np.unique(targets))])
    if count < 2:
        return []
    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    return [
        (train, test)
        for train, test in splitter.split(targets, targets, groups)
        if len(test) and len(np.unique(targets[train])) > 1
    ]


def _regression(strength: float) -> LogisticRegression:
    return LogisticRegression(C=strength, max_iter=5000)


def _spread(
    model: LogisticRegression, x: Float[np.ndarray, "tracks width"], count: int
) -> Float[np.ndarray, "tracks labels"]:
    """Return probabilities of all labels; 0 for labels outside the model's training tracks."""
    answer = np.zeros((len(x), count))
    answer[:, model.classes_] = model.predict_proba(x)
    return answer


def _check(
    embeddings: Layers,
    y: Int[np.ndarray, " tracks"],
    groups: np.ndarray,
    folds: np.ndarray,
) -> None:
    if not embeddings:
        raise UsageError("the probe has no layer; give at least one array of embeddings")
    if {len(y)} != {len(groups), len(folds), *map(len, embeddings.values())}:
        raise UsageError(
            f"the probe has {len(y)} labels, {len(groups)} groups, {len(folds)} folds and rows of "
            f"{', '.join(f'{len(rows)} {name}' for name, rows in embeddings.items())}; give one of "
            "each for a track"
        )
    _require_finite(embeddings)
    if len(np.unique(folds)) < 2 or len(np.unique(y)) < 2:
        raise UsageError("the probe needs at least two folds and two labels")


def _require_finite(embeddings: Layers) -> None:
    for name, rows in embeddings.items():
        if not np.isfinite(rows).all():
            raise UsageError(f"the layer {name} has NaN or infinity; leave these tracks out")
