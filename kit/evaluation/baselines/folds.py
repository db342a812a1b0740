"""Answer held-out tracks by each baseline, trained on the other tracks."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from threadpoolctl import threadpool_limits

from kit.evaluation.baselines.models import BOOSTING, Family, fit
from kit.evaluation.baselines.store import VectorStore
from kit.shallow.classifiers import Classifier, classifier_of
from kit.shallow.dictionary import Dictionary, learn
from kit.shallow.ensemble import DICTIONARY, Part
from kit.training.probe import Layers, fitted
from kit.training.small import Ensemble


@dataclass(frozen=True, eq=False)
class Fold:
    """Numbers of the training and the test tracks, without a group on both sides."""

    name: str
    train: Int[np.ndarray, " train"]
    test: Int[np.ndarray, " test"]


@dataclass(frozen=True, eq=False)
class Task:
    """Tracks, their labels and their folds.

    Attributes:
        labels: their names.
        targets: the label of each track, by number.
        groups: the group of each track, such as its artist, by number.
        folds: with disjoint test parts.
        seed: of all random draws.
    """

    labels: tuple[str, ...]
    targets: Int[np.ndarray, " tracks"]
    groups: Int[np.ndarray, " tracks"]
    folds: tuple[Fold, ...]
    seed: int = 0

    @property
    def tested(self) -> Int[np.ndarray, " tested"]:
        """Sorted numbers of the tracks in a fold's test part."""
        return np.sort(np.concatenate([fold.test for fold in self.folds]))


@dataclass(frozen=True, eq=False)
class Answered:
    """The answers for the test part of a fold.

    Attributes:
        probabilities: one row per test track, one column per label.
        chosen: the options that cross-validation chose.
        parts: the classifiers and networks behind the answers, for a run to keep; none for
            baselines that need more than a track's audio.
    """

    probabilities: Float[np.ndarray, "test classes"]
    chosen: Mapping[str, Any] = field(default_factory=dict)
    parts: tuple[Part | Ensemble, ...] = ()


Answer = Callable[[Fold, Task], Answered]
"""It may read the numbers of all tracks, and must fit only on the fold's training tracks."""


@dataclass(frozen=True)
class Baseline:
    """A name and a function that answers a fold."""

    name: str
    answer: Answer


@dataclass(frozen=True, eq=False)
class Row:
    """The answers of one baseline.

    Attributes:
        name: of the baseline.
        probabilities: one row per track of `Task.tested`, one column per label.
        chosen: the options that cross-validation chose in each fold.
        cpu_s: processor time of all folds.
    """

    name: str
    probabilities: Float[np.ndarray, "tested classes"]
    chosen: dict[str, dict[str, Any]]
    cpu_s: float


def out_of_fold(
    baselines: Sequence[Baseline],
    task: Task,
    progress: Callable[[int, int, str], None] | None = None,
) -> list[Row]:
    """Return the answers of each baseline for all test tracks."""
    place = {track: at for at, track in enumerate(task.tested.tolist())}
    rows: list[Row] = []
    total = len(baselines) * len(task.folds)
    for number, baseline in enumerate(baselines):
        answers = np.zeros((len(place), len(task.labels)))
        chosen: dict[str, dict[str, Any]] = {}
        began = time.process_time()
        for at, fold in enumerate(task.folds):
            if progress:
                progress(number * len(task.folds) + at, total, baseline.name)
            found = baseline.answer(fold, task)
            answers[[place[track] for track in fold.test.tolist()]] = found.probabilities
            chosen[fold.name] = dict(found.chosen)
        rows.append(Row(baseline.name, answers, chosen, time.process_time() - began))
    if progress:
        progress(total, total, "")
    return rows


def prior() -> Baseline:
    """Return the baseline that answers each label's share of the training tracks."""

    def answer(fold: Fold, task: Task) -> Answered:
        counts = np.bincount(task.targets[fold.train], minlength=len(task.labels))
        return Answered(np.tile(counts / counts.sum(), (len(fold.test), 1)))

    return Baseline("prior", answer)


def of_vectors(
    name: str, x: Float[np.ndarray, "tracks numbers"], family: Family, vector: str | None = None
) -> Baseline:
    """Return a classifier of vectors: a kind of `kit.shallow.vectors.KINDS`, or embeddings."""

    def answer(fold: Fold, task: Task) -> Answered:
        return _answer(x[fold.train], x[fold.test], family, fold, task, vector)

    return Baseline(f"{name}, {family.name}", answer)


def of_table(numbers: Float[np.ndarray, "tracks columns"], family: Family = BOOSTING) -> Baseline:
    """Return a classifier of the table's audio features.

    Args:
        numbers: one row per track of the task, NaN for a missing number.
        family: kind of classifier; it must take missing numbers.
    """

    def answer(fold: Fold, task: Task) -> Answered:
        x = known_columns(numbers, fold)
        return _answer(x[fold.train], x[fold.test], family, fold, task)

    return Baseline(f"table features, {family.name}", answer)


def known_columns(
    numbers: Float[np.ndarray, "tracks columns"], fold: Fold
) -> Float[np.ndarray, "tracks known"]:
    """Return the columns with a number in the training part; a column of zeros without any."""
    known = np.isfinite(numbers[fold.train]).any(axis=0)
    return numbers[:, known] if known.any() else np.zeros((len(numbers), 1))


def of_layers(name: str, layers: Layers) -> Baseline:
    """Return the linear probe of a frozen network, which chooses one of its layers."""

    def answer(fold: Fold, task: Task) -> Answered:
        found = fitted(
            {layer: rows[fold.train] for layer, rows in layers.items()},
            task.targets[fold.train],
            task.groups[fold.train],
            len(task.labels),
            seed=task.seed,
        )
        arrays = {
            "present": np.arange(len(task.labels)),
            "temperature": np.array(1.0),
            "mean": found.mean,
            "scale": found.deviation,
            "weights": found.kernel,
            "bias": found.bias,
        }
        classifier = Classifier("linear", len(task.labels), arrays)
        layer = found.choice.layer
        return Answered(
            classifier.probabilities(layers[layer][fold.test]),
            {"layer": layer, "C": found.choice.strength},
            (Part(f"{name}/{layer}", classifier),),
        )

    return Baseline(f"{name}, probe", answer)


def of_dictionary(store: VectorStore, sources: Sequence[str], family: Family) -> Baseline:
    """Return a classifier of codes, by a dictionary learned from a fold's training tracks."""

    def answer(fold: Fold, task: Task) -> Answered:
        def mels(tracks: Int[np.ndarray, " _"]) -> Any:
            return store.mels([sources[int(track)] for track in tracks])

        codes = []
        # On small matrices, one thread is faster than several.
        with threadpool_limits(1):
            dictionary = learn((mel for _, mel in mels(fold.train)), len(fold.train), task.seed)
            for tracks in (fold.train, fold.test):
                found = {at: dictionary.code(mel) for at, mel in mels(tracks)}
                codes.append(np.stack([found[at] for at in range(len(tracks))]))
        return _answer(codes[0], codes[1], family, fold, task, DICTIONARY, dictionary)

    return Baseline(f"patch dictionary, {family.name}", answer)


def _answer(
    train: Float[np.ndarray, "train numbers"],
    test: Float[np.ndarray, "test numbers"],
    family: Family,
    fold: Fold,
    task: Task,
    vector: str | None = None,
    dictionary: Dictionary | None = None,
) -> Answered:
    found = fit(
        family,
        train,
        task.targets[fold.train],
        task.groups[fold.train],
        len(task.labels),
        task.seed,
    )
    parts = ()
    if vector is not None:
        classifier = classifier_of(found.model, len(task.labels), found.temperature)
        parts = (Part(vector, classifier, dictionary),)
    return Answered(found.probabilities(test), found.options, parts)
