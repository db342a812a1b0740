"""Training loop of one network: from features to checkpoints and metrics."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax

from kit import __version__
from kit.config import Experiment, MusicnnConfig, to_dict
from kit.models import Network
from kit.training import processes
from kit.training.batches import Batches
from kit.training.collection import Collection
from kit.training.data import Part
from kit.training.epoch import Sums, choose, run_epoch
from kit.training.optimiser import Recipe, hyperparameters
from kit.training.placement import placed, shardings
from kit.training.run import Run
from kit.training.saving import Record
from kit.training.scaling import Scaling, make_scaling, measured, scaling_in_json
from kit.training.state import TrainState, init_state, template
from kit.training.step import make_eval_step, make_train_step, refresh_averages
from kit.training.stopping import stopped_early
from kit.training.transfer import Inputs, Start, first_state
from kit.training.watch import require_finite_row, require_finite_steps


@dataclass(frozen=True)
class TrainingProgress:
    """Progress of a training after one or more steps.

    Attributes:
        step: steps done of this network.
        total_steps: steps of its whole training.
        epoch: the current epoch, from 0.
        metrics: row of the last finished epoch; empty in the first epoch.
        path: one line that says where the features are, and why.
        trained: finished networks among those of folds and members.
        networks: number of networks.
        place: such as "fold 2/5, member 1/4"; empty for a single network.
    """

    step: int
    total_steps: int
    epoch: int
    metrics: dict[str, Any]
    path: str
    trained: int = 0
    networks: int = 1
    place: str = ""

    @property
    def done(self) -> int:
        """Steps done of all networks, if each takes as many as this one."""
        return self.trained * self.total_steps + self.step

    @property
    def total(self) -> int:
        """Steps of all networks, if each takes as many as this one."""
        return self.networks * self.total_steps


def train_run(
    experiment: Experiment,
    collection: Collection,
    network: Network,
    run: Run,
    memory_gib: float,
    scan: bool | None,
    progress: Callable[[TrainingProgress], None] | None,
    start: Start | None = None,
) -> None:
    """Train one network, or resume its training.

    Args:
        experiment: configuration of this network, without folds and members.
        collection: features and labels, in the split of this network.
        network: its functions.
        run: its folder.
        start: published weights to start from; None for random ones.
        The others: see `kit.training.fitting.train`.
    """
    config, segments = experiment.train, experiment.segments
    with Record(run, template(network, config)) as record:
        step, rows = record.step, record.rows
        path = choose(collection.nbytes, memory_gib, jax.default_backend(), scan)
        if path.resident:
            collection = collection.held()
        n_frames = experiment.features.n_frames
        training = collection.training(n_frames)
        validation = collection.part("validation", n_frames)
        batches = Batches.of(experiment, training)
        per_epoch = batches.per_epoch
        total = per_epoch * config.epochs
        scaling = _scaling(experiment, collection, training, record.meta.get("scaling"))
        replicated, over_batch = shardings(batches.size)
        counts = training.counts(len(collection.labels), batches.units)
        numbers = hyperparameters(config, total, counts)
        ids = {number: track_id for track_id, number in collection.rows.items()}
        if start and start.cache:
            inputs = start.cache.inputs(network, batches, path, over_batch, ids)
        else:
            feed = path.feed(collection.source, segments.frames, over_batch)
            inputs = Inputs(network, feed, batches, scaling, ids)
        meta = {
            "kit": __version__,
            "experiment": to_dict(experiment),
            "labels": list(collection.labels),
            "n_mels": collection.n_mels,
            "from_arrays": collection.from_arrays,
            "scaling": scaling_in_json(scaling),
            "train_counts": training.counts(len(collection.labels)).tolist(),
        }
        begun = time.monotonic()
        host, chosen = record.state, {}
        if host is None and start:
            host, chosen = first_state(
                experiment, collection, training, network, inputs, start.weights
            )
            host = processes.of_first(host)
        elif host is None:
            host = processes.of_first(init_state(network, config))
        state: TrainState = placed(host, replicated)
        network, feed, batches = inputs.network, inputs.feed, inputs.batches
        scaling, numbers = placed((inputs.scaling, numbers), replicated)
        recipe = Recipe.of(config, experiment.model)
        train_step = make_train_step(network, recipe)
        eval_step = make_eval_step(network, config.loss, config.several)

        def scored(part: Part | None, prefix: str) -> dict[str, float | None]:
            if part is None:
                return {f"{prefix}_loss": None, f"{prefix}_accuracy": None}
            params, buffers = state.evaluated()
            sums = Sums()
            for batch in feed.batches(batches.evaluation(part)):
                sums.add(eval_step(params, buffers, batch, scaling))
            return sums.means(prefix)

        if isinstance(experiment.model, MusicnnConfig) and experiment.model.transfer == "probe":
            if not step:
                row = {"step": 1, "epoch": 1, **scored(training, "train")}
                row |= scored(validation, "validation") | chosen
                row["seconds"] = round(time.monotonic() - begun, 3)
                require_finite_row(row, run)
                record.add(row, state, meta)
                if progress:
                    progress(TrainingProgress(1, 1, 0, row, path.reason))
            record.wait()
            return
        key = jax.jit(jax.random.key, out_shardings=replicated)(config.seed)
        for epoch in range(step // per_epoch, config.epochs):
            if stopped_early(rows, config.patience):
                break
            started = time.monotonic()
            picks = batches.training(epoch)
            sums = Sums()
            for done in run_epoch(feed, train_step, state, picks, key, step, scaling, numbers):
                state, step, metrics = done
                sums.add(metrics)
                if progress:
                    progress(
                        TrainingProgress(step, total, epoch, rows[-1] if rows else {}, path.reason)
                    )
            processes.agreed(
                partial(
                    require_finite_steps,
                    run,
                    epoch + 1,
                    step - per_epoch + 1,
                    {name: sums.each(name) for name in ("loss", "grad_norm")},
                    lambda number, rows=picks.rows: [
                        inputs.ids[row] for row in rows[number].tolist()
                    ],
                    collection.paths,
                )
            )
            row = {"step": step, "epoch": epoch + 1, **sums.means("train")}
            trained_s = time.monotonic() - started
            here = jax.random.fold_in(key, step)
            again = feed.batches(picks)
            state = refresh_averages(network, recipe, state, again, here, scaling, numbers)
            row |= scored(validation, "validation")
            for name in ("grad_norm", "param_norm", "update_norm"):
                row[name] = sums.mean(name, "steps")
            row["learning_rate"] = float(sums.each("learning_rate")[-1])
            row, chosen = row | chosen, {}
            require_finite_row(row, run)
            row["segments_per_s"] = round(float(picks.weight.sum()) / trained_s, 1)
            row["seconds"] = round(time.monotonic() - started, 3)
            record.add(row, state, meta)
        record.wait()


def _scaling(
    experiment: Experiment,
    collection: Collection,
    training: Part,
    known: Mapping[str, Any] | None,
) -> Scaling:
    """Return the checkpoint's scaling if it is known, else that of the training part."""

    def found() -> dict[str, Any]:
        return scaling_in_json(measured(experiment, collection, training))

    # Measuring reads every row, so one process does it for all.
    known = processes.agreed(found) if known is None else known
    frontend = experiment.features.frontend_in_step
    return make_scaling(collection.gain, collection.offset, frontend=frontend, **known)
