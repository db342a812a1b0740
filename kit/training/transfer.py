"""Train from published weights: a cache of the frozen layers' outputs, and the probe.

The frozen layers of `kit.models.transfer` give the same outputs in every epoch and fold. If the
segments are known in advance, the outputs are computed once, and steps start from the cache.
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

SIZE = 16  # segments in a batch of the frozen layers, which need 9 MB for each


@dataclass(frozen=True)
class Inputs:
    """Network, batches and scaling of the steps of a training.

    Attributes:
        network: its functions.
        feed: source of batches.
        batches: batches of the training part.
        scaling: scaling of the feed's values.
        ids: track_id of each row of the feed's source.
        cached: the feed holds outputs of the frozen layers.
    """

    network: Network
    feed: Feed
    batches: Batches
    scaling: Scaling
    ids: dict[int, str]
    cached: bool = False


@dataclass(frozen=True)
class Cache:
    """Outputs of the frozen layers for all segments of training and evaluation.

    Attributes:
        outputs: (segments, rows, units).
        keys: row of each segment times `span`, plus its first frame; ascending.
        span: bound of the first frames.
    """

    outputs: Held
    keys: Int64[np.ndarray, " segments"]
    span: int

    def moved(self, picks: Picks) -> Picks:
        """Convert positions in the features to positions in `outputs`."""
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
        """Return the inputs of steps that start from the cache, given those for the features."""
        feed = path.feed(self.outputs, self.outputs.array.shape[1], over)
        tracks = (self.keys // self.span).tolist()
        here = dataclasses.replace(batches, moved=self.moved)
        named = {number: ids[row] for number, row in enumerate(tracks)}
        return Inputs(network.at("trained"), feed, here, make_scaling(), named, cached=True)


@dataclass(frozen=True)
class Start:
    """Published weights by path, and the cache of their frozen layers' outputs, if any."""

    weights: Weights
    cache: Cache | None


def published(model: Any) -> tuple[Weights, dict[str, str]] | None:
    """Return the published weights of a network and their name and digest; None if random.

    Raises:
        KitError: the file is missing or damaged.
        ConfigError: the weights do not fit the network.
    """
    if not isinstance(model, MusicnnConfig) or model.transfer == "none":
        return None
    weights = load(model.weights, model)
    return weights, {"name": model.weights, "sha256": digest_of(weights)}


def first_arrays(network: Network, weights: Weights, seed: int | None = None) -> tuple[Tree, Tree]:
    """Return published parameters and buffers, with a random head; a head of zeros without seed."""
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
    """Return the state before the first step, and the probe's choice for metrics.jsonl.

    The probe is fitted to the tracks of `training`.
    """
    config = experiment.train
    if experiment.model.transfer == "head":
        return begin(config, *first_arrays(network, weights, config.seed)), {}
    params, buffers = first_arrays(network, weights)
    # Import scikit-learn, which takes half a second, only if it is used.
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


def _of_tracks(
    inputs: Inputs, params: Tree, buffers: Tree, part: Part
) -> Float[np.ndarray, "tracks units"]:
    """Return each track's hidden layers, averaged over its evaluation segments, float64."""
    segments = inputs.batches.experiment.segments
    tracks, _ = part.evaluation_segments(segments)
    method = "embed" if inputs.cached else "embed_input"
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
    """Return the frozen layers' outputs for all tracks; None if each step must compute them.

    That is so if segments are drawn at random or augmented, and if the outputs are larger than
    `memory_gib`; results then differ by rounding only. `progress` is called with (segments done,
    number of segments).
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
    # The weights were trained on levels without standardisation.
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
    """Return `Cache.keys` of the segments of training and evaluation."""
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
    """Return a jitted `step(params, buffers, batch, scaling)` that calls a method of the module."""

    @partial(jax.jit, out_shardings=replicated)
    def step(params: Tree, buffers: Tree, batch: Batch, scaling: Scaling) -> Array:
        x = scaling.apply(batch.x)
        return network.use(params, buffers, lambda module: getattr(module, method)(x))

    return step
