"""A run by the recipe for small sets: nested cross-validation chooses classifiers in each fold.

One checkpoint per fold holds its classifiers, the network whose layers they take, and the networks
trained beside them. So the run can be restored, evaluated and used like any other.
"""

import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import jax
import numpy as np

from kit import __version__
from kit.catalogue import Catalogue, load
from kit.config import Experiment, ExtractConfig, replaced, to_dict
from kit.errors import KitWarning, UsageError
from kit.evaluation.baselines.folds import Fold, Task
from kit.evaluation.baselines.nested import Show, chosen_of, inner_folds, mean_of
from kit.evaluation.baselines.networks import Trainee, forget
from kit.evaluation.baselines.result import Baselines
from kit.evaluation.baselines.rows import of_networks, of_store
from kit.evaluation.baselines.run import baselines
from kit.evaluation.baselines.store import VectorStore, measure
from kit.features.by_file import Computed
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
"""Name of the frozen network, as in the rows of `kit baselines`."""
_TRAINING = 20
"""Units of progress of a network's training; a classifier takes one."""


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

    The same experiment on the same files has one folder under `runs`. A run that was stopped
    resumes with the unfinished folds, and gives the same numbers.

    Args:
        experiment: from `kit.shallow.recipe.small_set`; extract its features first.
        catalogue: the tracks; loaded from `experiment.catalogue` if None.
        runs: the folder for run folders.
        fresh: start a new run even if one exists.
        rights: as for `kit.training.fit`.
        options: how to compute vectors and embeddings.
        progress: called before each classifier and each fold.
        show: called while inputs are computed, with the stage ("vectors", "embed" or "hear").
        stop: called regularly meanwhile.
    Raises:
        KeyboardInterrupt: `stop` returned True.
        ConfigError: the experiment does not come from `small_set`.
        UsageError: as for `kit.training.fit`; or networks to train with several processes.
        KitError: as for `kit.training.fit`, or the network's weights are missing.
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
    learner = _Learner(catalogue, experiment, options, show or (lambda *_: None), stop)
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
    run: Run, *, curve: bool = True, progress: Show | None = None
) -> tuple[Baselines, dict[str, float]]:
    """Return the baselines of a run by the recipe, and the mean weight of each over its folds.

    The baselines are written into the run's folder, where `kit.evaluate` finds them.
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
        progress=progress,
    )
    found.write(run.folder)
    return found, weights


@dataclass(eq=False)
class _Learner:
    """Learns one fold after another; the first fold computes the inputs of all tracks."""

    catalogue: Catalogue
    experiment: Experiment
    options: ExtractConfig
    show: Show
    stop: Callable[[], bool]
    trained: dict[str, Trainee] = field(default_factory=dict)

    def learn(
        self,
        experiment: Experiment,
        collection: Collection,
        run: Run,
        progress: Callable[[TrainingProgress], None] | None,
    ) -> None:
        """Choose and fit the classifiers of one fold, and write its checkpoint."""
        began = time.monotonic()
        model, (sources, embedded) = self.experiment.model, self._numbers
        # Sort, so that the order of the catalogue does not matter.
        table = collection.parts.sort_values("track_id", ignore_index=True)
        table = table.loc[table["track_id"].isin(list(sources))].reset_index(drop=True)
        ids, notes = table["track_id"].tolist(), []
        candidates = [
            *of_store(self._measured[0], [sources[track] for track in ids], model.vectors),
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
        trainings = len(trainees) * (1 + len(inner_folds(fold, task)))
        bar = _Bar(progress, len(candidates) + _TRAINING * trainings)
        networks = [
            trainee.candidate(table, run, fold.name, bar.train) for trainee in trainees.values()
        ]
        found = chosen_of([*candidates, *networks], bar.choose).answer(fold, task)
        # The table has a row for networks without a weight too.
        for one in networks:
            if one.name not in found.chosen["weights"]:
                one.answer(fold, task)
        parts = [part for part in found.parts if isinstance(part, Part)]
        ensembles = [part for part in found.parts if isinstance(part, Ensemble)]
        heard = {part.vector.partition("/")[0] for part in parts}
        weights = {name: load_weights(model.weights) for name in embedded if name in heard}
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
        """Return the networks with their inputs of all tracks, computed for the first fold."""
        for name, one in experiments_of(experiment).items():
            if name not in self.trained:
                self.trained[name] = Trainee.of(
                    name,
                    one,
                    collection,
                    self.catalogue,
                    self.experiment.features,
                    lambda done, total, name=name: self.show("hear", done, total, name),
                )
        return self.trained

    @cached_property
    def _measured(self) -> tuple[VectorStore, Computed]:
        return measure(
            self.catalogue,
            self.experiment.features,
            self.options,
            progress=lambda done, total: self.show("vectors", done, total, ""),
            stop=self.stop,
        )

    @cached_property
    def _numbers(self) -> tuple[Mapping[str, str], dict[str, Embeddings]]:
        """The source of each track that has vectors, and the embeddings by network."""
        measured, embedded = self._measured[1], {}
        if self.experiment.model.weights and not measured.stopped:
            trunk = musicnn_trunk(self.experiment.model.weights, heard=self.experiment.features)
            embedded[NETWORK] = embed(
                self.catalogue,
                trunk,
                self.options,
                progress=lambda done, total: self.show("embed", done, total, ""),
                stop=self.stop,
            )
        if measured.stopped or any(found.stopped for found in embedded.values()):
            raise KeyboardInterrupt
        return measured.sources, embedded


@dataclass
class _Bar:
    """Progress of a fold: one unit for each classifier, `_TRAINING` for each network."""

    progress: Callable[[TrainingProgress], None] | None
    total: int
    done: int = 0

    def choose(self, note: str) -> None:
        """Report the start of a classifier, named by the note of `chosen_of`."""
        name = note.partition(", ")[2]
        if name not in map(row_of, NETWORKS):
            self._say(self.done, name)
            self.done += 1

    def train(self, note: str, share: float) -> None:
        """Report the finished share of a network's training."""
        self._say(self.done + int(share * _TRAINING), note)
        if share >= 1:
            self.done += _TRAINING

    def _say(self, done: int, note: str) -> None:
        if self.progress:
            self.progress(TrainingProgress(min(done, self.total), self.total, 0, {}, note))
