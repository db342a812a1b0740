"""A run by the recipe for small sets: in each fold, what nested cross-validation chooses.

A fold's classifiers, the network whose layers they take, and the networks that were trained beside
them are in one checkpoint, so that such a run is restored, evaluated and predicted with like any
other.
"""

import time
import warnings
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path

import jax
import numpy as np

from kit import __version__
from kit.catalogue import Catalogue, load
from kit.config import Experiment, ExtractConfig, replaced, to_dict
from kit.errors import KitWarning, UsageError
from kit.evaluation.baselines.choice import Show
from kit.evaluation.baselines.folds import Fold, Task
from kit.evaluation.baselines.measure import Measured, measure
from kit.evaluation.baselines.nested import chosen_of, inner_folds, mean_of
from kit.evaluation.baselines.networks import Trainee, forget
from kit.evaluation.baselines.result import Baselines
from kit.evaluation.baselines.rows import of_networks, of_store
from kit.evaluation.baselines.run import baselines, silent
from kit.features.embed import Embeddings, embed
from kit.shallow.ensemble import Part
from kit.shallow.networks import NETWORKS, experiments_of, row_of
from kit.shallow.recipe import require_recipe
from kit.training import Run, TrainingProgress, processes
from kit.training.checkpoint import Checkpoints
from kit.training.collection import Collection, open_collection
from kit.training.fitting import train
from kit.training.small import Ensemble, to_save
from kit.training.transfer import published
from kit.weights.musicnn import load as load_weights
from kit.weights.trunk import musicnn_trunk

NETWORK = "musicnn"
"""The name of the network whose layers are heard, as `kit baselines` gives it."""
_TRAINING = 20
"""A network's training in units of the progress; a classifier is one."""


def fit_small_set(
    experiment: Experiment,
    *,
    catalogue: Catalogue | None = None,
    runs: Path | str = "runs",
    fresh: bool = False,
    rights: bool = False,
    options: ExtractConfig = ExtractConfig(),
    progress: Callable[[TrainingProgress], None] | None = None,
    show: Show | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Run:
    """Choose and fit classifiers for each fold, or find the finished run.

    The same experiment on the same files has one folder under `runs`. Stopped and called again, it
    goes on with the folds that are not done, and ends in the same numbers.

    Args:
        experiment: as `kit.shallow.recipe.small_set` gives it; its features must have been
            extracted.
        catalogue: the tracks; loaded from `experiment.catalogue` if not given.
        runs: where run folders are made.
        fresh: start a new run even if there is one.
        rights: as for `kit.training.fit`.
        options: how vectors and embeddings are computed.
        progress: called before each classifier and each fold.
        show: called while vectors, embeddings and what networks hear are computed, with the stage
            ("vectors", "embed" or "hear").
        stop: called regularly meanwhile.
    Raises:
        KeyboardInterrupt: `stop` returned True.
        ConfigError: the experiment is not what `small_set` gives.
        UsageError: as for `kit.training.fit`; or several processes, and networks to train.
        KitError: as for `kit.training.fit`, or the network's weights are not there.
    """
    require_recipe(experiment)
    if experiment.model.networks and jax.process_count() > 1:
        raise UsageError(
            "one process trains the networks of the recipe; leave out --distributed or "
            "--model.networks"
        )
    for one in experiments_of(experiment).values():
        published(one.model)  # raises, before hours of work
    if catalogue is None:
        catalogue = load(Path(experiment.catalogue))
    experiment = replaced(experiment, "catalogue", str(catalogue.folder.resolve()))
    collection, statement = open_collection(experiment, catalogue, rights=rights)
    learner = _Learner(catalogue, experiment, options, show or silent, stop)
    return train(
        experiment,
        collection,
        runs=Path(runs),
        fresh=fresh,
        statements=[statement] if statement else [],
        progress=progress,
        learn=lambda *fold: processes.agreed(lambda: learner.learn(*fold)),
    )


def beside(
    run: Run,
    *,
    curve: bool = True,
    progress: Show | None = None,
    rights: bool = False,
) -> tuple[Baselines, dict[str, float]]:
    """Return the rows that a run by the recipe chose from, on its folds, and what it chose.

    They are written into the run's folder, where `kit.evaluate` finds them. The learning curve is
    that of the average by the mean of the folds' weights.

    Args:
        run: by the recipe.
        curve: make the learning curve.
        progress: as for `kit.baselines`.
        rights: as for `kit.baselines`.
    Returns:
        The baselines, and the mean weight of each.
    """
    experiment = run.experiment()
    catalogue = load(Path(experiment.catalogue))
    weights = mean_of([one.metrics()[-1]["weights"] for one in run.trainings])
    name, probed = experiment.model.weights, {}
    if name:
        probed = {NETWORK: embed(catalogue, musicnn_trunk(name, heard=experiment.features))}
    found = baselines(
        catalogue,
        run=run,
        probed=probed,
        choose=weights if curve else False,
        seed=experiment.train.seed,
        rights=rights,
        progress=progress,
    )
    found.write(run.folder)
    return found, weights


class _Learner:
    """Learns one fold after another; the first one has the numbers of all tracks computed."""

    def __init__(
        self,
        catalogue: Catalogue,
        experiment: Experiment,
        options: ExtractConfig,
        show: Show,
        stop: Callable[[], bool],
    ) -> None:
        self._catalogue = catalogue
        self._features = experiment.features
        self._model = experiment.model
        self._options = options
        self._show = show
        self._stop = stop
        self._trained: dict[str, Trainee] = {}

    def learn(
        self,
        experiment: Experiment,
        collection: Collection,
        run: Run,
        progress: Callable[[TrainingProgress], None] | None,
    ) -> None:
        """Choose and fit the classifiers of one fold, and write its checkpoint."""
        began = time.monotonic()
        sources, embedded = self._numbers
        # In an order on which no answer depends.
        table = collection.parts.sort_values("track_id", ignore_index=True)
        table = table.loc[table["track_id"].isin(list(sources))].reset_index(drop=True)
        ids, notes = table["track_id"].tolist(), []
        candidates = [
            *of_store(self._measured.store, [sources[track] for track in ids], self._model.vectors),
            *of_networks(embedded, ids, notes),
        ]
        for note in notes:
            warnings.warn(f"{note}; see failures.csv", KitWarning, stacklevel=2)
        targets = np.array([collection.labels.index(label) for label in table["label"]])
        groups = np.unique(table["group"].to_numpy(str), return_inverse=True)[1]
        test = (table["part"] == "test").to_numpy()
        fold = Fold(run.fold or "test", np.flatnonzero(~test), np.flatnonzero(test))
        task = Task(collection.labels, targets, groups, (fold,), experiment.train.seed)
        trainees = self._trainees(experiment, collection)
        bar = _Bar(progress, len(candidates), len(trainees) * (1 + len(inner_folds(fold, task))))
        networks = [
            trainee.candidate(table, run, fold.name, bar.train) for trainee in trainees.values()
        ]
        found = chosen_of([*candidates, *networks], bar.choose).answer(fold, task)
        # Networks without a weight have a row in the table too.
        for one in networks:
            if one.name not in found.chosen["weights"]:
                one.answer(fold, task)
        parts = [part for part in found.parts if isinstance(part, Part)]
        ensembles = [part for part in found.parts if isinstance(part, Ensemble)]
        heard = {part.vector.partition("/")[0] for part in parts}
        weights = {name: load_weights(self._model.weights) for name in embedded if name in heard}
        state, about = to_save(parts, weights, ensembles)
        meta = {
            "kit": __version__,
            "experiment": to_dict(experiment),
            "labels": list(collection.labels),
            "n_mels": collection.n_mels,
            "from_arrays": False,
            "train_counts": np.bincount(targets[~test], minlength=len(collection.labels)).tolist(),
            "chosen": found.chosen["baseline"],
            **about,
        }
        with Checkpoints(run.checkpoints) as checkpoints:
            checkpoints.save(1, state, meta, 0.0)
            checkpoints.wait()
        nothing = dict.fromkeys(
            ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy")
        )
        row = {"step": 1, "epoch": 1, **nothing, **found.chosen, "chosen": meta["chosen"]}
        run.write_metrics([row | {"seconds": round(time.monotonic() - began, 3)}])
        forget(run)

    def _trainees(self, experiment: Experiment, collection: Collection) -> dict[str, Trainee]:
        """Return the networks, with what they hear of all tracks; computed for the first fold."""
        for name, one in experiments_of(experiment).items():
            if name not in self._trained:
                self._trained[name] = Trainee.of(
                    name,
                    one,
                    collection,
                    self._catalogue,
                    self._features,
                    lambda done, total, name=name: self._show("hear", done, total, name),
                )
        return self._trained

    @cached_property
    def _measured(self) -> Measured:
        return measure(
            self._catalogue,
            self._features,
            self._options,
            progress=lambda done, total: self._show("vectors", done, total, ""),
            stop=self._stop,
        )

    @cached_property
    def _numbers(self) -> tuple[Mapping[str, str], dict[str, Embeddings]]:
        """The source of each track that has vectors, and the embeddings by their network."""
        measured, embedded = self._measured, {}
        if self._model.weights and not measured.stopped:
            trunk = musicnn_trunk(self._model.weights, heard=self._features)
            embedded[NETWORK] = embed(
                self._catalogue,
                trunk,
                self._options,
                progress=lambda done, total: self._show("embed", done, total, ""),
                stop=self._stop,
            )
        if measured.stopped or any(found.stopped for found in embedded.values()):
            raise KeyboardInterrupt
        return measured.sources, embedded


class _Bar:
    """The progress of a fold: one unit for each classifier, `_TRAINING` for each network."""

    def __init__(
        self, progress: Callable[[TrainingProgress], None] | None, classifiers: int, trainings: int
    ) -> None:
        self._progress = progress
        self._total = classifiers + _TRAINING * trainings
        self._done = 0

    def choose(self, note: str) -> None:
        """Say that a classifier has begun, by the note of `chosen_of`; networks use `train`."""
        name = note.partition(", ")[2]
        if name not in map(row_of, NETWORKS):
            self._say(self._done, name)
            self._done += 1

    def train(self, note: str, share: float) -> None:
        """Say how far the training of a network is; at a share of 1 it is done."""
        self._say(self._done + int(share * _TRAINING), note)
        if share >= 1:
            self._done += _TRAINING

    def _say(self, done: int, note: str) -> None:
        if self._progress:
            self._progress(TrainingProgress(min(done, self._total), self._total, 0, {}, note))
