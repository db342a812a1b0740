"""Simple classifiers; cross-validation inside the training part chooses their options."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy.special import log_softmax
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits

from kit.evaluation.calibration import temperature
from kit.shallow.classifiers import LEAST_P, spread
from kit.training.probe import inner_splits

INNER_FOLDS = 4
# Tracks to choose options on; the time of an SVM grows with their square.
_MOST_TO_CHOOSE = 2000


@dataclass(frozen=True)
class Family:
    """A kind of classifier.

    Attributes:
        name: shown in tables.
        options: candidates for cross-validation, the simplest first.
        fallback: options for a training part that is too small for cross-validation.
        build: options and a seed to an untrained scikit-learn estimator.
        cheaper: options that save time during the comparison.
    """

    name: str
    options: tuple[Mapping[str, Any], ...]
    fallback: Mapping[str, Any]
    build: Callable[[Mapping[str, Any], int], Any]
    cheaper: Mapping[str, Any] = field(default_factory=dict)


class _RootScaler(StandardScaler):
    """Divide numbers by the root of their deviation, so that numbers that vary more count more.

    It suits numbers of one unit, such as MFCCs: those that vary little are mostly noise.
    """

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> "_RootScaler":
        super().fit(X, y, sample_weight)
        self.scale_ = np.sqrt(self.scale_)
        return self


def _svm(options: Mapping[str, Any], seed: int, scaler: type = StandardScaler) -> Any:
    return make_pipeline(scaler(), SVC(**options, break_ties=True))


def _logistic(options: Mapping[str, Any], seed: int, scaler: type = StandardScaler) -> Any:
    return make_pipeline(scaler(), LogisticRegression(**options, max_iter=10_000))


def _forest(options: Mapping[str, Any], seed: int) -> Any:
    return RandomForestClassifier(**{"n_estimators": 300, **options}, random_state=seed)


def _boosting(options: Mapping[str, Any], seed: int) -> Any:
    # A slower rate than scikit-learn's: as right, and less sure where it is wrong.
    return HistGradientBoostingClassifier(learning_rate=0.05, random_state=seed)


SVM = Family("SVM", tuple({"C": c} for c in (0.1, 1.0, 3.0, 10.0, 30.0)), {"C": 10.0}, _svm)
"""Radial basis functions of scaled numbers; gamma is 1 / number of columns."""
FOREST = Family(
    "random forest",
    tuple({"min_samples_leaf": n} for n in (3, 1)),
    {"min_samples_leaf": 1},
    _forest,
    {"n_estimators": 100},
)
LOGISTIC = Family(
    "logistic regression",
    tuple({"C": c} for c in (0.001, 0.01, 0.1, 1.0, 10.0)),
    {"C": 0.01},
    _logistic,
)
ROOT_SVM = dataclasses.replace(SVM, build=partial(_svm, scaler=_RootScaler))
ROOT_LOGISTIC = dataclasses.replace(LOGISTIC, build=partial(_logistic, scaler=_RootScaler))
BOOSTING = Family("gradient boosting", ({},), {}, _boosting)
"""It takes columns with missing values."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """Trained classifier with its chosen options.

    Attributes:
        model: a scikit-learn estimator.
        classes: number of labels.
        options: the chosen options.
        temperature: factor of the scores before the softmax.
    """

    model: Any
    classes: int
    options: Mapping[str, Any]
    temperature: float

    def probabilities(
        self, x: Float[np.ndarray, "tracks numbers"]
    ) -> Float[np.ndarray, "tracks classes"]:
        """Return the probability of each label."""
        with threadpool_limits(1):
            scores = _scores(self.model, x, self.classes)
        return np.exp(log_softmax(self.temperature * scores, axis=1))


def fit(
    family: Family,
    x: Float[np.ndarray, "tracks numbers"],
    targets: Int[np.ndarray, " tracks"],
    groups: Int[np.ndarray, " tracks"],
    classes: int,
    seed: int = 0,
) -> Fitted:
    """Choose options by cross-validation over groups, and train on all tracks.

    The options with the most right answers win, the simpler ones at a tie. The same held-out
    answers set the temperature, which gives an SVM probabilities too.

    Args:
        family: the kind of classifier.
        x: the numbers of each training track.
        targets: the label of each, by number.
        groups: the group of each, such as its artist, by number.
        classes: number of labels; some may have no training track.
        seed: of forests, boosting and the inner folds.
    """
    # On a few hundred rows, one thread is faster than several.
    with threadpool_limits(1):
        options, factor = _chosen(family, x, targets, groups, classes, seed)
        model = family.build(options, seed).fit(x, targets)
    return Fitted(model, classes, options, factor)


def _chosen(
    family: Family,
    x: np.ndarray,
    targets: np.ndarray,
    groups: np.ndarray,
    classes: int,
    seed: int,
) -> tuple[Mapping[str, Any], float]:
    by_probability = not hasattr(family.build(family.fallback, seed), "decision_function")
    if by_probability and len(family.options) == 1:
        return family.options[0], 1.0  # nothing to choose
    some = _some(groups, seed)
    x, targets, groups = x[some], targets[some], groups[some]
    splits = inner_splits(targets, groups, INNER_FOLDS, seed)
    if not splits:
        return family.fallback, 1.0
    tried: list[tuple[int, Mapping[str, Any], np.ndarray]] = []
    for options in family.options:
        scores = np.zeros((len(x), classes))
        for train, held_out in splits:
            model = family.build({**options, **family.cheaper}, seed)
            model.fit(x[train], targets[train])
            scores[held_out] = _scores(model, x[held_out], classes)
        tried.append((int((scores.argmax(axis=1) == targets).sum()), options, scores))
    _, options, scores = max(tried, key=lambda one: one[0])  # the first at a tie
    return options, temperature(scores, targets)


def _some(groups: np.ndarray, seed: int) -> np.ndarray:
    """Return the tracks of whole groups, drawn up to `_MOST_TO_CHOOSE` tracks."""
    if len(groups) <= _MOST_TO_CHOOSE:
        return np.arange(len(groups))
    names, size = np.unique(groups, return_counts=True)
    order = np.random.default_rng([seed, 5]).permutation(len(names))
    drawn = order[: 1 + int(np.searchsorted(np.cumsum(size[order]), _MOST_TO_CHOOSE))]
    return np.flatnonzero(np.isin(groups, names[drawn]))


def _scores(model: Any, x: np.ndarray, classes: int) -> Float[np.ndarray, "tracks classes"]:
    """Return a score for each track and label, the highest for the answer."""
    if hasattr(model, "decision_function"):
        found = model.decision_function(x)
        if found.ndim == 1:
            found = np.stack([-found, found], axis=1) / 2
    else:
        found = np.log(np.maximum(model.predict_proba(x), LEAST_P))
    return spread(found, model.classes_, classes)
