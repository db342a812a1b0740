"""The training loop: features in, a run's folder with checkpoints out."""

import ast
import dataclasses
import inspect
import textwrap
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd

from kit import __version__
from kit.catalogue import Catalogue, load
from kit.catalogue.rights import require_rights
from kit.catalogue.split import kept_apart, split
from kit.config import MODELS, Experiment, SegmentConfig, replaced, to_dict
from kit.errors import KitError, UsageError
from kit.features import FeatureStore, codec, failures_of, left_out_in_words, store_path
from kit.lock import only_one
from kit.models import Network, Tree, check
from kit.training import run as run_folder
from kit.training.checkpoint import Checkpoints
from kit.training.data import (
    Part,
    Read,
    Source,
    ahead,
    make_scaling,
    scaling_in_json,
    scaling_of,
)
from kit.training.optimiser import Recipe, hyperparameters
from kit.training.placement import shardings
from kit.training.run import Run
from kit.training.scores import checkpoint_score
from kit.training.segments import draw, segments_of_tracks
from kit.training.settle import BATCHES, settled
from kit.training.state import TrainState, init_state, template
from kit.training.step import Batch, Metrics, Scaling, make_eval_step, make_train_step
from kit.training.stopping import require_validation, stopped_early
from kit.training.watch import require_finite_row, require_finite_steps

GIB = 2**30


@dataclass(frozen=True)
class Progress:
    """What `fit` reports after each step; `metrics` is the last finished epoch's row."""

    step: int
    total_steps: int
    epoch: int
    metrics: dict[str, Any]


@dataclass(frozen=True)
class Collection:
    """Tracks, labels and features of one training. Making one reads no features.

    Attributes:
        parts: the split: track_id, label, group, part.
        labels: names of the classes, in the order of the network's outputs.
        sources: the hash of each track's file, or of its array.
        source: where the rows are.
        rows: the number of each track's row in `source`, by track_id.
        frames: valid frames of each track, by track_id.
        n_mels: mel bands.
        gain: turns stored values into dB, with `offset`.
        offset: dB of a stored 0.
        facts: what `Run.facts` returns of it.
        from_arrays: kit does not know the front end that made the features.
        paths: the file of each track, by track_id, as far as they are known.
    """

    parts: pd.DataFrame
    labels: tuple[str, ...]
    sources: Mapping[str, str]
    source: Source
    rows: Mapping[str, int]
    frames: Mapping[str, int]
    n_mels: int
    gain: float
    offset: float
    facts: Mapping[str, Any]
    from_arrays: bool = False
    paths: Mapping[str, str] = field(default_factory=dict)

    def ids(self, name: str) -> list[str]:
        """Return the track_id of each track in one part of the split, in the order of `part`."""
        return self.parts.loc[self.parts["part"] == name, "track_id"].tolist()

    def part(self, name: str, n_frames: int) -> Part | None:
        """Return one part of the split; None if no track is in it."""
        ids = self.ids(name)
        if not ids:
            return None
        chosen = self.parts.loc[self.parts["part"] == name]
        return Part(
            self.source,
            np.array([self.rows[t] for t in ids], np.int32),
            np.array([self.frames[t] for t in ids], np.int32),
            np.array([self.labels.index(label) for label in chosen["label"]], np.int32),
            n_frames,
        )


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
        memory_gib: features up to this size, GiB, are loaded into memory; larger ones are read
            batch by batch. The result is the same.
        progress: called after each step.
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


def open_collection(
    experiment: Experiment, catalogue: Catalogue, *, rights: bool = False
) -> tuple[Collection, str]:
    """Return the tracks of a catalogue that have features, and the right to them that was stated.

    Args:
        experiment: the configuration; the features must have been extracted.
        catalogue: the tracks.
        rights: as for `fit`.
    Raises:
        UsageError: audio from Spotify, and no right to it stated; or a split that cannot be made.
        KitError: no features.
    """
    store = FeatureStore.open(store_path(catalogue, experiment.features))
    table = catalogue.table
    present = table.loc[table["track_id"].isin(list(store.sources))]
    if present.empty:
        why = left_out_in_words(
            failures_of(store, catalogue), experiment.features, experiment.segments
        )
        raise KitError(
            f"no track of {catalogue.folder} can be used: {why}"
            if why
            else f"{store.path} has features of no track in {catalogue.folder}; run `kit features`"
        )
    statement = require_rights(present, catalogue.folder, stated=rights)
    return _collection(present, store, experiment), statement


def _collection(present: pd.DataFrame, store: FeatureStore, experiment: Experiment) -> Collection:
    config = experiment.features
    ids = present["track_id"].tolist()
    parts = split(present, experiment.split)
    apart = kept_apart(present, experiment.split)
    by = codec.scale(config)
    known = store.sources

    def read(numbers: np.ndarray) -> np.ndarray:
        return store.read_stored([ids[number] for number in numbers])

    row = config.row_frames * config.frontend.n_mels * np.dtype(config.dtype).itemsize
    return Collection(
        parts=parts,
        labels=tuple(sorted(parts["label"].unique())),
        sources={t: known[t] for t in ids},
        source=Read(read, row),
        rows={t: number for number, t in enumerate(ids)},
        frames=dict(zip(ids, store.frames(ids).tolist(), strict=True)),
        n_mels=config.frontend.n_mels,
        gain=by.get("scale_factor", 1.0),
        offset=by.get("add_offset", 0.0),
        facts={
            "kind": "catalogue",
            "tracks": len(ids),
            "kept_apart": dataclasses.asdict(apart) | {"in_words": apart.in_words()},
        },
        paths=dict(zip(ids, present["path"].astype(str), strict=True)) if "path" in present else {},
    )


def train(
    experiment: Experiment,
    collection: Collection,
    *,
    runs: Path,
    fresh: bool = False,
    statements: Sequence[str] = (),
    memory_gib: float = 4.0,
    progress: Callable[[Progress], None] | None = None,
) -> Run:
    """Train on a collection; `fit` and `fit_arrays` describe the arguments and errors."""
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
        _train(experiment, collection, network, run, memory_gib, progress)
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


def _parts(
    experiment: Experiment, collection: Collection, memory_gib: float
) -> tuple[Part, Part | None]:
    n_frames = experiment.features.n_frames
    training, validation = (collection.part(p, n_frames) for p in ("train", "validation"))
    if training is None:
        raise UsageError("the split leaves no track to learn from; lower SplitConfig.test_fraction")
    size = training.nbytes + (validation.nbytes if validation else 0)
    if size <= memory_gib * GIB:
        return training.held(), validation.held() if validation else None
    return training, validation


def _train(
    experiment: Experiment,
    collection: Collection,
    network: Network,
    run: Run,
    memory_gib: float,
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
        training, validation = _parts(experiment, collection, memory_gib)
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
        classes = training.y if config.balance == "draw" else None
        key = jax.random.key(config.seed)
        for epoch in range(step // per_epoch, config.epochs):
            if stopped_early(rows, config.patience):
                break
            started = time.monotonic()
            tracks, starts = draw(
                training.frames,
                training.n_frames,
                segments,
                seed=config.seed,
                epoch=epoch,
                classes=classes,
            )
            make = partial(_batch, training, tracks, starts, segments.frames, batch_size)
            sums = _Sums()
            for batch in ahead(make, per_epoch):
                placed = jax.device_put(batch, over_batch)
                state, metrics = train_step(
                    state, placed, jax.random.fold_in(key, step), scaling, numbers
                )
                step += 1
                sums.add(metrics)
                if progress:
                    progress(Progress(step, total, epoch, rows[-1] if rows else {}))
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
            again = (jax.device_put(b, over_batch) for b in ahead(make, min(BATCHES, per_epoch)))
            state = settled(network, recipe, state, again, jax.random.fold_in(key, step), scaling)
            params, buffers = state.evaluated()

            def evaluate(batch: Batch, params: Tree = params, buffers: Tree = buffers) -> Metrics:
                return eval_step(params, buffers, jax.device_put(batch, over_batch), scaling)

            row |= _validate(evaluate, validation, segments, batch_size)
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


def _batch(
    part: Part, tracks: np.ndarray, starts: np.ndarray, frames: int, size: int, number: int
) -> Batch:
    chosen = slice(number * size, (number + 1) * size)
    return part.batch(tracks[chosen], starts[chosen], frames, size)


def _ids_of_batch(ids: list[str], tracks: np.ndarray, size: int, number: int) -> list[str]:
    return [ids[track] for track in tracks[number * size : (number + 1) * size]]


class _Sums:
    """Adds up the metrics of steps, which stay on the device until they are asked for."""

    def __init__(self) -> None:
        self._kept: list[Any] = []

    def add(self, metrics: Any) -> None:
        self._kept.append(metrics)

    def each(self, name: str) -> np.ndarray:
        return np.array(jax.device_get([metrics[name] for metrics in self._kept]))

    def mean(self, name: str, over: str = "weight") -> float:
        kept = jax.device_get([(m[name], m[over]) for m in self._kept])
        return sum(float(value) for value, _ in kept) / sum(float(count) for _, count in kept)

    def means(self, prefix: str) -> dict[str, float]:
        return {
            f"{prefix}_loss": self.mean("loss"),
            f"{prefix}_accuracy": self.mean("correct"),
        }


def _validate(
    evaluate: Callable[[Batch], Metrics],
    part: Part | None,
    segments: SegmentConfig,
    batch_size: int,
) -> dict[str, float | None]:
    if part is None:
        return {"validation_loss": None, "validation_accuracy": None}
    tracks, starts = part.evaluation_segments(segments)
    make = partial(_batch, part, tracks, starts, segments.frames, batch_size)
    sums = _Sums()
    for batch in ahead(make, -(-len(tracks) // batch_size)):
        sums.add(evaluate(batch))
    return {**sums.means("validation")}
