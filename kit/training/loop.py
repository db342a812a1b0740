"""The training loop: features in, a run's folder with checkpoints out."""

import ast
import inspect
import textwrap
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from kit import __version__
from kit.catalogue import Catalogue, load
from kit.config import MODELS, Experiment, SegmentConfig, replaced, to_dict
from kit.errors import UsageError
from kit.lock import only_one
from kit.models import Network, Tree, check
from kit.training import run as run_folder
from kit.training.checkpoint import Checkpoints
from kit.training.collection import Collection, open_collection
from kit.training.data import Part, Picks, make_scaling, scaling_in_json, scaling_of
from kit.training.epoch import Feed, Sums, choose, run_epoch
from kit.training.optimiser import Recipe, hyperparameters
from kit.training.placement import shardings
from kit.training.run import Run
from kit.training.scores import checkpoint_score
from kit.training.segments import segments_of_tracks
from kit.training.settle import BATCHES, settled
from kit.training.state import TrainState, init_state, template
from kit.training.step import Batch, Metrics, Scaling, make_eval_step, make_train_step
from kit.training.stopping import require_validation, stopped_early
from kit.training.watch import require_finite_row, require_finite_steps


@dataclass(frozen=True)
class Progress:
    """The state of a training after one or more steps, which `fit` reports.

    Attributes:
        step: steps done.
        total_steps: steps of the whole training.
        epoch: the current epoch, from 0.
        metrics: the row of the last finished epoch; empty in the first.
        path: one line: where the features are, and why.
    """

    step: int
    total_steps: int
    epoch: int
    metrics: dict[str, Any]
    path: str


def fit(
    experiment: Experiment,
    *,
    catalogue: Catalogue | None = None,
    runs: Path | str = "runs",
    fresh: bool = False,
    rights: bool = False,
    memory_gib: float = 4.0,
    progress: Callable[[Progress], None] | None = None,
) -> Run:
    """Train a network, resume a training that was interrupted, or find the finished run.

    The same experiment on the same files has one folder under `runs`. Stopped at any instant and
    called again, it ends in the same parameters, bit for bit, as if it had never been stopped.

    Args:
        experiment: the configuration; the features must have been extracted.
        catalogue: the tracks; loaded from `experiment.catalogue` if not given.
        runs: where run folders are made.
        fresh: start a new run even if there is one.
        rights: state a right to train on all of the catalogue's audio; config.json keeps the
            statement where there is audio that needs one.
        memory_gib: features up to this size, GiB, are held on the device, or in memory if the
            device is the CPU; larger ones are read batch by batch. The result is the same.
        progress: called after each step; on GPU and TPU, after each block of steps.
    Raises:
        UsageError: audio from Spotify, and no right to it stated (`kit.catalogue.rights`); or a
            split that cannot be made.
        ConfigError: a network that cannot be built, or does not take the segments.
        KitError: no features, another process at work on this run, a loss that is not finite, or
            a folder that cannot be written.
    """
    if catalogue is None:
        catalogue = load(Path(experiment.catalogue))
    experiment = replaced(experiment, "catalogue", str(catalogue.folder.resolve()))
    collection, statement = open_collection(experiment, catalogue, rights=rights)
    return train(
        experiment,
        collection,
        runs=Path(runs),
        fresh=fresh,
        statements=[statement] if statement else [],
        memory_gib=memory_gib,
        progress=progress,
    )


def train(
    experiment: Experiment,
    collection: Collection,
    *,
    runs: Path,
    fresh: bool = False,
    statements: Sequence[str] = (),
    memory_gib: float = 4.0,
    scan: bool | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Run:
    """Train on a collection; `fit` and `fit_arrays` describe the other arguments and errors.

    Args:
        experiment: as for `fit`.
        collection: tracks, labels and features.
        runs: as for `fit`.
        fresh: as for `fit`.
        statements: statements of rights that the run keeps.
        memory_gib: as for `fit`.
        scan: run many steps in one program; None to do so on GPU and TPU (`kit.training.epoch`).
        progress: as for `fit`.
    """
    require_validation(experiment, collection.parts["part"].tolist())
    network = check(
        experiment.model, experiment.segments.frames, collection.n_mels, len(collection.labels)
    )
    key = run_folder.identity(
        experiment, collection.sources, collection.parts, _code(experiment.model, network)
    )
    run = None if fresh else run_folder.find(experiment, key, runs)
    if run is not None and run.finished():
        run.add_statements(statements)
        return run
    place = runs / experiment.name
    with only_one(place / f".{key}", "trains", name=f"this experiment in {place}"):
        if not fresh:
            run = run_folder.find(experiment, key, runs)
        if run is None:
            facts = {"labels": list(collection.labels), **collection.facts}
            run = run_folder.create(
                experiment, key, collection.parts, runs, facts=facts, statements=statements
            )
        run.add_statements(statements)
        _train(experiment, collection, network, run, memory_gib, scan, progress)
    return run


def _code(model: Any, network: Network) -> str:
    """Return the source of a model that is not kit's own: edited, it is another experiment."""
    if type(model) in MODELS.values():
        return ""
    sources = []
    for cls in (type(model), network.module):
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
        except (OSError, TypeError, SyntaxError):
            continue  # defined in a shell, or in a compiled module
        sources.append(ast.unparse(tree))
    return "\n".join(sources)


def _train(
    experiment: Experiment,
    collection: Collection,
    network: Network,
    run: Run,
    memory_gib: float,
    scan: bool | None,
    progress: Callable[[Progress], None] | None,
) -> None:
    config, segments = experiment.train, experiment.segments
    with Checkpoints(run.checkpoints) as checkpoints:
        step = checkpoints.step("last") or 0
        if step:
            host = checkpoints.restore(step, template(network, config))
            known = checkpoints.meta(step)["scaling"]
        else:
            host, known = init_state(network, config), None
        path = choose(collection.nbytes, memory_gib, jax.default_backend(), scan)
        if path.resident:
            collection = collection.held()
        training, validation = _parts(experiment, collection)
        each = segments_of_tracks(training.frames, training.n_frames, segments)
        count = int(each.sum())
        # Full batches only: a repeated segment would count twice in batch normalisation.
        batch_size = min(config.batch_size, count)
        per_epoch = count // batch_size
        total = per_epoch * config.epochs
        scaling = _scaling(experiment, collection, training, known)
        replicated, over_batch = shardings(batch_size)
        state: TrainState = jax.device_put(host, replicated)
        counts = np.bincount(training.y, each, len(collection.labels))
        numbers = hyperparameters(config, total, counts)
        scaling, numbers = jax.device_put((scaling, numbers), replicated)
        feed = path.feed(collection.source, segments.frames, over_batch)
        meta = {
            "kit": __version__,
            "experiment": to_dict(experiment),
            "labels": list(collection.labels),
            "n_mels": collection.n_mels,
            "from_arrays": collection.from_arrays,
            "scaling": scaling_in_json(scaling),
            "train_counts": np.bincount(training.y, minlength=len(collection.labels)).tolist(),
        }
        recipe = Recipe.of(config)
        train_step = make_train_step(network, recipe)
        eval_step = make_eval_step(network)
        rows = [row for row in run.metrics() if row["step"] <= step]
        ids = collection.ids("train")
        key = jax.device_put(jax.random.key(config.seed), replicated)
        for epoch in range(step // per_epoch, config.epochs):
            if stopped_early(rows, config.patience):
                break
            started = time.monotonic()
            tracks, starts = training.training_segments(segments, config, epoch)
            whole = slice(per_epoch * batch_size)
            picks = training.picks(tracks[whole], starts[whole], batch_size)
            sums = Sums()
            for done in run_epoch(feed, train_step, state, picks, key, step, scaling, numbers):
                state, step, metrics = done
                sums.add(metrics)
                if progress:
                    progress(Progress(step, total, epoch, rows[-1] if rows else {}, path.reason))
            require_finite_steps(
                run,
                epoch + 1,
                step - per_epoch + 1,
                {name: sums.each(name) for name in ("loss", "grad_norm")},
                partial(_ids_of_batch, ids, tracks, batch_size),
                collection.paths,
            )
            row = {"step": step, "epoch": epoch + 1, **sums.means("train")}
            trained_s = time.monotonic() - started
            again = feed.batches(Picks(*(each[:BATCHES] for each in picks)))
            here = jax.random.fold_in(key, step)
            state = settled(network, recipe, state, again, here, scaling, numbers)
            params, buffers = state.evaluated()

            def evaluate(batch: Batch, params: Tree = params, buffers: Tree = buffers) -> Metrics:
                return eval_step(params, buffers, batch, scaling)

            row |= _validate(evaluate, feed, validation, segments, batch_size)
            for name in ("grad_norm", "param_norm", "update_norm"):
                row[name] = sums.mean(name, "steps")
            row["learning_rate"] = float(sums.each("learning_rate")[-1])
            require_finite_row(row, run)
            row["segments_per_s"] = round(per_epoch * batch_size / trained_s, 1)
            row["seconds"] = round(time.monotonic() - started, 3)
            rows.append(row)
            run.write_metrics(rows)
            checkpoints.save(step, state, meta, checkpoint_score(row))
        checkpoints.wait()


def _parts(experiment: Experiment, collection: Collection) -> tuple[Part, Part | None]:
    n_frames = experiment.features.n_frames
    training, validation = (collection.part(p, n_frames) for p in ("train", "validation"))
    if training is None:
        raise UsageError("the split leaves no track to learn from; lower SplitConfig.test_fraction")
    return training, validation


def _scaling(
    experiment: Experiment,
    collection: Collection,
    training: Part,
    known: Mapping[str, Any] | None,
) -> Scaling:
    """Return the scaling of the training part, or the one that a checkpoint knows."""
    gain, offset = collection.gain, collection.offset
    if known is not None:
        return make_scaling(gain, offset, **known)
    kind = experiment.train.standardise
    return (
        make_scaling(gain, offset) if kind == "none" else scaling_of(training, gain, offset, kind)
    )


def _ids_of_batch(ids: list[str], tracks: np.ndarray, size: int, number: int) -> list[str]:
    return [ids[track] for track in tracks[number * size : (number + 1) * size]]


def _validate(
    evaluate: Callable[[Batch], Metrics],
    feed: Feed,
    part: Part | None,
    segments: SegmentConfig,
    batch_size: int,
) -> dict[str, float | None]:
    if part is None:
        return {"validation_loss": None, "validation_accuracy": None}
    sums = Sums()
    for batch in feed.batches(part.picks(*part.evaluation_segments(segments), batch_size)):
        sums.add(evaluate(batch))
    return {**sums.means("validation")}
