"""Classifiers fitted by scikit-learn, as arrays and NumPy functions of them in float64.

A run stores the arrays, so that they can be restored without a pickle or scikit-learn. The results
equal those of scikit-learn's estimators.

Sources: C.-C. Chang and C.-J. Lin 2011, "LIBSVM: a library for support vector machines", section 7,
    for the vote between pairs of labels; scikit-learn's `decision_function` and `predict_proba`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from jaxtyping import Float

Arrays = Mapping[str, np.ndarray]

LEAST_P = 1e-6
"""The least probability whose logarithm is a score."""


@dataclass(frozen=True, eq=False)
class Classifier:
    """A fitted classifier.

    Attributes:
        kind: one of `KINDS`.
        classes: number of labels.
        arrays: arrays of `classifier_of` by name: `present`, the numbers of the labels with
            training tracks; `temperature`, the factor of its scores; and those of its kind.
    """

    kind: str
    classes: int
    arrays: Arrays

    def probabilities(
        self, x: Float[np.ndarray, "tracks numbers"]
    ) -> Float[np.ndarray, "tracks classes"]:
        """Return the probability of each label."""
        found = _SCORES[self.kind](self.arrays, np.asarray(x, np.float64))
        scores = spread(found, self.arrays["present"], self.classes)
        scores = float(self.arrays["temperature"]) * scores
        return np.exp(scores - np.logaddexp.reduce(scores, axis=1, keepdims=True))


def spread(
    found: Float[np.ndarray, "tracks _"], present: np.ndarray, classes: int
) -> Float[np.ndarray, "tracks classes"]:
    """Return scores of all labels; a label without training tracks scores below all others.

    Args:
        found: scores of the labels with training tracks.
        present: numbers of these labels.
        classes: number of labels.
    """
    scores = np.repeat(found.min(axis=1, keepdims=True) - 1, classes, axis=1)
    scores[:, present] = found
    return scores


def classifier_of(model: Any, classes: int, temperature: float = 1.0) -> Classifier:
    """Convert a fitted estimator to arrays.

    Args:
        model: random forest, or pipeline of a standard scaler and either an SVM with radial basis
            functions or a logistic regression.
        classes: number of labels.
        temperature: factor of its scores before the softmax.
    """
    about = {
        "present": np.asarray(model.classes_, np.int64),
        "temperature": np.array(temperature),
    }
    if hasattr(model, "estimators_"):
        return Classifier("forest", classes, {**about, **_of_forest(model)})
    scaler, last = (step for _, step in model.steps)
    about |= {"mean": scaler.mean_, "scale": scaler.scale_}
    if hasattr(last, "support_vectors_"):
        return Classifier("svm", classes, {**about, **_of_svm(last)})
    weights = {"weights": last.coef_.T, "bias": last.intercept_}
    return Classifier("linear", classes, {**about, **weights})


def _of_svm(model: Any) -> dict[str, np.ndarray]:
    """Return the support vectors and their coefficients for each pair of labels."""
    coefficients, counts = model.dual_coef_, model.n_support_
    ends = np.cumsum(counts)
    pairs = list(combinations(range(len(counts)), 2))
    if len(counts) == 2:
        decisions = coefficients
    else:
        # Rows of `dual_coef_` are the other labels, without the vector's own.
        decisions = np.zeros((len(pairs), coefficients.shape[1]))
        for row, (first, second) in zip(decisions, pairs, strict=True):
            for own, other in ((first, second), (second, first)):
                mine = slice(ends[own] - counts[own], ends[own])
                row[mine] = coefficients[other - (other > own), mine]
    return {
        "vectors": np.asarray(model.support_vectors_),
        "decisions": decisions,
        "intercepts": model.intercept_,
        # scikit-learn has no public name for the value of `gamma="scale"`.
        "gamma": np.array(model._gamma),
    }


def _of_forest(model: Any) -> dict[str, np.ndarray]:
    """Return the nodes of all trees in a row; both children of a leaf are the leaf itself."""
    trees = [estimator.tree_ for estimator in model.estimators_]
    roots = np.cumsum([0, *(tree.node_count for tree in trees[:-1])])
    sides: dict[str, list[np.ndarray]] = {"left": [], "right": []}
    for tree, root in zip(trees, roots, strict=True):
        own = np.arange(tree.node_count)
        for side, of_node in (("left", tree.children_left), ("right", tree.children_right)):
            sides[side].append(root + np.where(of_node < 0, own, of_node))
    # `value` holds shares since scikit-learn 1.3, and counts before.
    values = np.concatenate([tree.value[:, 0] for tree in trees])
    return {
        "roots": roots,
        "depth": np.array(max(tree.max_depth for tree in trees)),
        "number": np.concatenate([np.maximum(tree.feature, 0) for tree in trees]),
        "threshold": np.concatenate([tree.threshold for tree in trees]),
        "value": values / values.sum(axis=1, keepdims=True),
        **{side: np.concatenate(children) for side, children in sides.items()},
    }


def _linear(arrays: Arrays, x: np.ndarray) -> np.ndarray:
    return _both(_scaled(arrays, x) @ arrays["weights"] + arrays["bias"])


def _svm(arrays: Arrays, x: np.ndarray) -> np.ndarray:
    x, vectors = _scaled(arrays, x), arrays["vectors"]
    squares = np.square(x).sum(1)[:, None] + np.square(vectors).sum(1) - 2 * x @ vectors.T
    kernel = np.exp(-arrays["gamma"] * np.maximum(squares, 0))
    decisions = kernel @ arrays["decisions"].T + arrays["intercepts"]
    count = len(arrays["present"])
    if count == 2:
        return _both(decisions)
    pairs = np.array(list(combinations(range(count), 2)))
    first, second = np.eye(count)[pairs[:, 0]], np.eye(count)[pairs[:, 1]]
    votes = (decisions >= 0) @ first + (decisions < 0) @ second
    sure = decisions @ (first - second)
    return votes + sure / (3 * (np.abs(sure) + 1))


def _forest(arrays: Arrays, x: np.ndarray) -> np.ndarray:
    # scikit-learn compares float32 values with the thresholds.
    x = x.astype(np.float32)
    rows = np.arange(len(x))[:, None]
    at = np.tile(arrays["roots"], (len(x), 1))
    for _ in range(int(arrays["depth"])):
        below = x[rows, arrays["number"][at]] <= arrays["threshold"][at]
        at = np.where(below, arrays["left"][at], arrays["right"][at])
    return np.log(np.maximum(arrays["value"][at].mean(axis=1), LEAST_P))


def _scaled(arrays: Arrays, x: np.ndarray) -> np.ndarray:
    return (x - arrays["mean"]) / arrays["scale"]


def _both(decisions: np.ndarray) -> np.ndarray:
    """Return scores of two labels from one decision between them."""
    return decisions if decisions.shape[1] > 1 else np.hstack([-decisions, decisions]) / 2


_SCORES: dict[str, Callable[[Arrays, np.ndarray], np.ndarray]] = {
    "linear": _linear,
    "svm": _svm,
    "forest": _forest,
}
KINDS = tuple(_SCORES)
"""The kinds of classifiers."""
