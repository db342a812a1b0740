"""The training loop: a catalogue's features in, a run's folder with checkpoints out."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd

from kit import __version__
from kit.catalogue import Catalogue, load
from kit.catalogue.rights import require_rights
from kit.catalogue.split import split
from kit.config import Experiment, to_dict
from kit.errors import KitError
from kit.features import FeatureStore, store_path
from kit.models import build
from kit.training import run as runs_room
from kit.training.checkpoint import Checkpoints
from kit.training.placement import shardings
from kit.training.run import Run
from kit.training.segments import (
    Segments,
    cut,
    epoch_order,
    eval_batches,
    scaling_of,
    steps_per_epoch,
    train_batch,
)
from kit.training.state import TrainState, init_state, optimiser
from kit.training.step import Batch, EvalStep, Scaling, make_eval_step, make_train_step


@dataclass(frozen=True)
class Progress:
    """What `fit` tells after each step; `metrics` is the last finished epoch's row."""

    step: int
    total_steps: int
    epoch: int
    metrics: dict[str, Any]


@dataclass(frozen=True)
class _Data:
    labels: tuple[str, ...]
    train: Segments
    validation: Segments | None


def fit(
    experiment: Experiment,
    *,
    runs: Path | str = "runs",
    fresh: bool = False,
    rights: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> Run:
    """Train, or go on with a training that was interrupted, or find that all is done.

    The same experiment on the same files has one folder under `runs`; stopped at any instant and
    called again, it ends in the same parameters, bit for bit, as if it had never been stopped.

    Args:
        experiment: the configuration; its catalogue's features must have been extracted.
        runs: where run folders are made.
        fresh: start a new run even if there is one.
        rights: whoever calls this states a right to train on all of the catalogue's audio; the
            run's config.json keeps the statement where there is audio that needs one.
        progress: called after each step.
    Raises:
        UsageError: audio from Spotify, and no right to it stated (`kit.catalogue.rights`).
        KitError: no features, a split that cannot be made, a loss that is not finite, or a
            folder that cannot be written.
    """
    runs = Path(runs)
    catalogue = load(Path(experiment.catalogue))
    store = FeatureStore.open(store_path(catalogue, experiment.features))
    known = store.sources
    present = _present(catalogue, store)
    statement = require_rights(present, catalogue.folder, stated=rights)
    statements = [statement] if statement else []
    sources = {t: known[t] for t in present["track_id"]}
    run = None if fresh else runs_room.find(experiment, sources, runs)
    if run is None:
        parts = split(present, experiment.split)
        run = runs_room.create(experiment, sources, parts, runs, statements=statements)
    else:
        run.state(statements)
    _train(experiment, _load(run.split(), store, experiment), run, progress)
    return run


def _present(catalogue: Catalogue, store: FeatureStore) -> pd.DataFrame:
    table = catalogue.table
    present = table.loc[table["track_id"].isin(list(store.sources))]
    if present.empty:
        raise KitError(
            f"{store.path} has features of no track in {catalogue.folder}; see failures.csv there, "
            "and run `kit features` again"
        )
    return present


def _load(parts: pd.DataFrame, store: FeatureStore, experiment: Experiment) -> _Data:
    labels = tuple(sorted(parts["label"].unique()))

    def of(part: str) -> Segments | None:
        rows = parts.loc[parts["part"] == part]
        if rows.empty:
            return None
        features = store.read(rows["track_id"].tolist())
        classes = np.array([labels.index(label) for label in rows["label"]], np.int32)
        return Segments(cut(features, experiment.segments.frames), classes)

    train = of("train")
    if train is None:
        raise KitError("the split leaves no track to learn from; lower split.test_fraction")
    return _Data(labels, train, of("validation"))


def _train(
    experiment: Experiment, data: _Data, run: Run, progress: Callable[[Progress], None] | None
) -> None:
    config = experiment.train
    n_mels = experiment.features.frontend.n_mels
    network = build(experiment.model, n_mels=n_mels, n_classes=len(data.labels))
    scaling = scaling_of(data.train) if config.standardise else Scaling()
    per_epoch = steps_per_epoch(len(data.train), config.batch_size)
    total = per_epoch * config.epochs
    train_step = make_train_step(network, optimiser(config, total), scaling)
    eval_step = make_eval_step(network, scaling)
    replicated, over_batch = shardings(config.batch_size)
    meta = {
        "kit": __version__,
        "experiment": to_dict(experiment),
        "labels": list(data.labels),
        "scaling": scaling._asdict(),
        "train_counts": np.bincount(data.train.y, minlength=len(data.labels)).tolist(),
    }
    with Checkpoints(run.checkpoints) as checkpoints:
        step = checkpoints.step("last") or 0
        host = (
            checkpoints.restore(step, jax.eval_shape(lambda: init_state(network, config)))
            if step
            else init_state(network, config)
        )
        state: TrainState = jax.device_put(host, replicated)
        rows = [row for row in run.metrics() if row["step"] <= step]
        key = jax.random.key(config.seed)
        for epoch in range(step // per_epoch, config.epochs):
            started = time.monotonic()
            order = epoch_order(len(data.train), seed=config.seed, epoch=epoch)
            sums = _Sums()
            for position in range(per_epoch):
                batch = train_batch(
                    data.train, order, batch_size=config.batch_size, position=position
                )
                state, metrics = train_step(
                    state, jax.device_put(batch, over_batch), jax.random.fold_in(key, step)
                )
                step += 1
                sums.add(metrics)
                if progress:
                    progress(Progress(step, total, epoch, rows[-1] if rows else {}))
            row = {"step": step, "epoch": epoch + 1, **sums.means("train")}
            row |= _validate(state, eval_step, data.validation, config.batch_size, over_batch)
            row["grad_norm"] = sums.last["grad_norm"]
            _require_finite(row, run)
            row["seconds"] = round(time.monotonic() - started, 3)
            rows.append(row)
            run.write_metrics(rows)
            # Without a validation part the score falls with every epoch: the last is the best.
            score = -float(step) if data.validation is None else row["validation_loss"]
            checkpoints.save(step, state, meta, score)
        checkpoints.wait()


class _Sums:
    """Adds up the metrics of steps, on the device until they are asked for."""

    def __init__(self) -> None:
        self._kept: list[Any] = []

    def add(self, metrics: Any) -> None:
        self._kept.append(metrics)

    @property
    def last(self) -> dict[str, float]:
        return {k: float(v) for k, v in self._kept[-1].items()}

    def means(self, prefix: str) -> dict[str, float]:
        kept = jax.device_get(self._kept)
        weight = sum(float(m["weight"]) for m in kept)
        return {
            f"{prefix}_loss": sum(float(m["loss"]) for m in kept) / weight,
            f"{prefix}_accuracy": sum(float(m["correct"]) for m in kept) / weight,
        }


def _validate(
    state: TrainState,
    eval_step: EvalStep,
    data: Segments | None,
    batch_size: int,
    sharding: jax.sharding.Sharding,
) -> dict[str, float | None]:
    if data is None:
        return {"validation_loss": None, "validation_accuracy": None}
    sums = _Sums()
    for batch in eval_batches(data, batch_size=batch_size):
        placed: Batch = jax.device_put(batch, sharding)
        sums.add(eval_step(state.params, state.batch_stats, placed))
    return {**sums.means("validation")}


def _require_finite(row: dict[str, Any], run: Run) -> None:
    for name, value in row.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise KitError(
                f"{name} is {value} after epoch {row['epoch']}; lower train.learning_rate "
                f"(the last good checkpoint is kept in {run.checkpoints})"
            )
