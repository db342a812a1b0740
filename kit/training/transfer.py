"""Trainings that start from published weights: frozen outputs in a cache, and the probe.

`kit.models.transfer` has the network. Its frozen part gives the same outputs in every epoch and
fold, so they are computed once where the segments are known before, and steps begin behind it.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding
from jaxtyping import Array, Float, Int64

from kit.config import AugmentConfig, Experiment, MusicnnConfig, SegmentConfig
from kit.models import Network, Tree
from kit.training.batches import Batches
from kit.training.collection import Collection
from kit.training.data import Held, Part, Picks, aligned
from kit.training.epoch import GIB, Feed, Path
from kit.training.losses import Batch
from kit.training.placement import placed, shardings
from kit.training.scaling import Scaling, make_scaling
from kit.training.segments import draw
from kit.training.state import TrainState, begin
from kit.weights.files import Weights, digest_of
from kit.weights.musicnn import load

SIZE = 16  # segments in a batch of the frozen part, whose filters need 9 MB for each


@dataclass(frozen=True)
class Inputs:
    """The network, the batches and the scaling of the steps of a training.

    Attributes:
        network: its functions.
        feed: where the batches come from.
        batches: of the training.
        scaling: of what the feed gives.
        ids: the track of each row of the feed's source.
        behind: the feed gives outputs of the frozen part.
    """

    network: Network
    feed: Feed
    batches: Batches
    scaling: Scaling
    ids: dict[int, str]
    behind: bool = False


@dataclass(frozen=True)
class Cache:
    """Outputs of the frozen part for every segment that a training or an evaluation takes.

    Attributes:
        outputs: (segments, rows, units).
        keys: the row of each segment times `span`, plus its first frame; ascending.
        span: more than the first frame of any segment.
    """

    outputs: Held
    keys: Int64[np.ndarray, " segments"]
    span: int

    def moved(self, picks: Picks) -> Picks:
        """Return where the outputs of segments lie that are named by their place in features."""
        rows = np.asarray(picks.rows, np.int64) * self.span + np.asarray(picks.starts)
        at = np.searchsorted(self.keys, rows).astype(np.int32)
        return picks._replace(rows=at, starts=np.zeros_like(at))

    def inputs(
        self,
        network: Network,
        batches: Batches,
        path: Path,
        over: NamedSharding,
        ids: dict[int, str],
    ) -> Inputs:
        """Return the inputs of steps that begin behind the frozen part.

        Args:
            network: the whole one.
            batches: of segments in the features.
            path: the source of batches.
            over: how a batch lies on the devices.
            ids: the track of each row of the features.
        """
        feed = path.feed(self.outputs, self.outputs.array.shape[1], over)
        tracks = (self.keys // self.span).tolist()
        here = dataclasses.replace(batches, moved=self.moved)
        named = {number: ids[row] for number, row in enumerate(tracks)}
        return Inputs(network.at("trained"), feed, here, make_scaling(), named, behind=True)


@dataclass(frozen=True)
class Start:
    """The published weights that a training starts from.

    Attributes:
        weights: by path.
        cache: outputs of their frozen part, or None.
    """

    weights: Weights
    cache: Cache | None


def published(model: Any) -> tuple[Weights, dict[str, str]] | None:
    """Return the weights that a network starts from, and the facts that name them; None if random.

    Raises:
        KitError: they are not there, or the file is damaged.
        ConfigError: they do not fit the network.
    """
    if not isinstance(model, MusicnnConfig) or model.transfer == "none":
        return None
    weights = load(model.weights, model)
    return weights, {"name": model.weights, "sha256": digest_of(weights)}


def first_arrays(network: Network, weights: Weights, seed: int | None = None) -> tuple[Tree, Tree]:
    """Return parameters and buffers: published ones, and an output from a seed, or of zeros."""
    if seed is None:
        params, buffers = (
            {path: jnp.zeros(leaf.shape, leaf.dtype) for path, leaf in tree.items()}
            for tree in network.shapes()
        )
    else:
        params, buffers = network.init(jax.random.key(seed))

    def known(tree: Tree) -> Tree:
        kept = [path for path in tree if path in weights and not path.startswith("head/")]
        return tree | {path: jnp.asarray(weights[path]) for path in kept}

    return known(params), known(buffers)


def first_state(
    experiment: Experiment,
    collection: Collection,
    training: Part,
    network: Network,
    inputs: Inputs,
    weights: Weights,
) -> tuple[TrainState, dict[str, Any]]:
    """Return the state before the first step, and what the probe chose.

    Args:
        experiment: of this network.
        collection: in its split.
        training: the tracks that the probe is fitted to.
        network: the whole one.
        inputs: of the steps.
        weights: by path.
    """
    config = experiment.train
    if experiment.model.transfer == "head":
        return begin(config, *first_arrays(network, weights, config.seed)), {}
    params, buffers = first_arrays(network, weights)
    # scikit-learn takes half a second to import, which other trainings do not need.
    from kit.training.probe import fitted, moments

    units = _of_tracks(inputs, params, buffers, training)
    wide = units.shape[1] - experiment.model.dense
    layers = {"penultimate": units[:, wide:], "pooled": units[:, :wide]}
    train = collection.parts.loc[collection.parts["part"] == "train"]
    groups, labels = train["group"].tolist(), len(collection.labels)
    found = fitted(layers, training.y, groups, labels, seed=config.seed)
    there = slice(wide, None) if found.choice.layer == "penultimate" else slice(wide)
    # The weights of the other layer are zero.
    kernel = np.zeros((units.shape[1], labels), np.float32)
    kernel[there] = found.kernel
    mean, deviation = moments(units)
    params |= {
        "head/kernel": jnp.asarray(kernel),
        "head/bias": jnp.asarray(found.bias, jnp.float32),
    }
    buffers |= {
        "standardise/mean": jnp.asarray(mean, jnp.float32),
        "standardise/deviation": jnp.asarray(deviation, jnp.float32),
    }
    chosen = {
        "probe_layer": found.choice.layer,
        "probe_strength": found.choice.strength,
        "probe_log_loss": found.choice.log_loss,
    }
    return begin(config, params, buffers), chosen


def _single(tree: dict[str, np.ndarray]) -> Tree:
    return {path: jnp.asarray(leaf, jnp.float32) for path, leaf in tree.items()}


def _of_tracks(
    inputs: Inputs, params: Tree, buffers: Tree, part: Part
) -> Float[np.ndarray, "tracks units"]:
    """Return the mean over its segments of evaluation of each track's hidden layers, float64."""
    segments = inputs.batches.experiment.segments
    tracks, _ = part.evaluation_segments(segments)
    method = "embed" if inputs.behind else "embed_input"
    replicated, _ = shardings(inputs.batches.size)
    step = _make_step(inputs.network, method, replicated)
    picks = inputs.batches.of_segments(part)
    scaling = placed(inputs.scaling, replicated)
    params, buffers = placed((params, buffers), replicated)
    rows = [np.asarray(step(params, buffers, b, scaling)) for b in inputs.feed.batches(picks)]
    each = np.concatenate(rows)[: len(tracks)].astype(np.float64)
    total = np.zeros((len(part.rows), each.shape[1]))
    np.add.at(total, tracks, each)
    return total / np.bincount(tracks, minlength=len(total))[:, None]


def cached(
    experiment: Experiment,
    collection: Collection,
    network: Network,
    weights: Weights,
    path: Path,
    memory_gib: float,
    progress: Callable[[int, int], None] | None = None,
) -> Cache | None:
    """Return the frozen part's outputs for all tracks; None if they change from epoch to epoch.

    They do where segments are drawn at random, or augmented. None, too, if they are larger than
    `memory_gib`: each step then computes them, with the same results but for rounding.

    Args:
        experiment: of the run.
        collection: its tracks, in any split.
        network: its functions.
        weights: by path.
        path: the source of batches.
        memory_gib: largest size of the outputs, GiB.
        progress: called with segments done and segments in all.
    """
    segments, features = experiment.segments, experiment.features
    if segments.draw != "grid" or experiment.train.augment != AugmentConfig():
        return None
    ids = list(collection.rows)
    rows = np.array([collection.rows[t] for t in ids], np.int32)
    frames = np.array([collection.frames[t] for t in ids], np.int32)
    everything = Part(collection.source, rows, frames, np.zeros_like(rows), features.n_frames)
    span = features.row_frames
    keys = _keys(everything, segments, span)
    segment = jax.ShapeDtypeStruct((1, segments.frames, collection.n_mels), jnp.float32)
    shapes = jax.eval_shape(
        lambda p, b, x: network.use(p, b, lambda module: module.frozen(x)),
        *network.shapes(),
        segment,
    )
    shape = (len(keys), *shapes.shape[1:])
    if 4 * np.prod(shape, dtype=float) > memory_gib * GIB:
        return None
    count = jax.device_count()
    size = count * max(1, SIZE // count)
    replicated, over_batch = shardings(size)
    feed = path.feed(collection.source, segments.frames, over_batch)
    params, buffers = placed(first_arrays(network, weights), replicated)
    # As `kit.training.scaling.measured` has it: the weights know levels as they are.
    scaling = make_scaling(collection.gain, collection.offset, frontend=features.frontend_in_step)
    step, scaling = _make_step(network, "frozen", replicated), placed(scaling, replicated)
    outputs, done = aligned(shape, np.dtype(np.float32)), 0
    for batch in feed.batches(_picks(keys, span, size)):
        outputs[done : done + size] = np.asarray(step(params, buffers, batch, scaling))[
            : len(keys) - done
        ]
        done = min(done + size, len(keys))
        if progress:
            progress(done, len(keys))
    return Cache(Held(outputs), keys, span)


def _keys(part: Part, segments: SegmentConfig, span: int) -> Int64[np.ndarray, " segments"]:
    """Return the segments of training and of evaluation, as `Cache.keys`."""
    evaluation = part.evaluation_segments(segments)
    training = draw(part.frames, part.n_frames, segments, seed=0, epoch=0)
    both = [part.rows[tracks].astype(np.int64) * span + at for tracks, at in (evaluation, training)]
    return np.unique(np.concatenate(both))


def _picks(keys: Int64[np.ndarray, " segments"], span: int, size: int) -> Picks:
    padded = np.resize(keys, (-(-len(keys) // size), size))
    rows, starts = (each.astype(np.int32) for each in np.divmod(padded, span))
    return Picks(rows, starts, np.zeros_like(rows), np.ones(rows.shape, np.float32))


@lru_cache(maxsize=16)
def _make_step(
    network: Network, method: str, replicated: NamedSharding
) -> Callable[[Tree, Tree, Batch, Scaling], Array]:
    """Return `step(params, buffers, batch, scaling)`, jitted: what a method of the module gives."""

    @partial(jax.jit, out_shardings=replicated)
    def step(params: Tree, buffers: Tree, batch: Batch, scaling: Scaling) -> Array:
        x = scaling.apply(batch.x)
        return network.use(params, buffers, lambda module: getattr(module, method)(x))

    return step
