"""Attribution maps of a few tracks of a run, and a comparison with untrained weights."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32

from kit.dsp import mel_frequencies
from kit.errors import UsageError
from kit.evaluation.explain.maps import integrated_gradients, occlusion, rank_correlation
from kit.evaluation.folds import networks_of
from kit.evaluation.metrics import hits, mistakes
from kit.features import FeatureStore
from kit.features.codec import padding
from kit.training import Restored, Run
from kit.training.differentiable import Differentiable, log_odds

HITS_PER_LABEL, MISTAKES = 1, 2
SEGMENTS = 4
"""Segments per track, side by side in the middle of its first excerpt."""
PATCHES = 8
"""Patches along either axis of a segment; they step by half a patch."""
STEPS = (64, 256)
"""Points of the integrated gradients; the second number if the first leaves too large a gap."""
TOLERANCE = 0.05
"""Largest completeness gap with 64 points, as a share of the difference of scores."""
SIMILAR = 0.5
"""Above this rank correlation, untrained weights give a similar map."""
_UNTRAINED_KEY = 1  # differs from a training's seed of 0
Told = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Explained:
    """Attribution of the answer for a stretch of a track.

    Attributes:
        track: its row of evaluation.json.
        seconds: length of a frame.
        band_hz: the middle of each mel band, Hz.
        spectrogram: the stretch, (frames, n_mels), as the front end gives it.
        occlusion: mean fall of the answer's log-odds over the patches that hide each place.
        gradients: integrated gradients of the answer's log-odds.
        gap: the largest completeness gap of a segment, as a share of its difference of scores.
        untrained: rank correlations of both maps with the maps of untrained weights, for the
            middle segment; None for a constant map.
    """

    track: dict[str, Any]
    seconds: float
    band_hz: Float[np.ndarray, " n_mels"]
    spectrogram: Float32[np.ndarray, "frames n_mels"]
    occlusion: Float32[np.ndarray, "frames n_mels"]
    gradients: Float32[np.ndarray, "frames n_mels"]
    gap: float
    untrained: tuple[float | None, float | None]


def require_network(restored: Restored) -> None:
    """Raise `UsageError` for a run by the recipe for small sets, or with several labels a track."""
    if not restored.networks:
        raise UsageError(
            "a run by the recipe for small sets has no network with attribution maps; leave out "
            "--explain, or use `kit confounds`"
        )
    if restored.experiment.train.several:
        raise UsageError(
            "--explain needs one label a track, and this run has several labels a track; leave it "
            "out"
        )


def explained(
    run: Run,
    restored: Restored,
    rows: Sequence[dict[str, Any]],
    store: FeatureStore,
    progress: Told | None = None,
) -> list[Explained]:
    """Return the maps of each label's most confident right answer and of confident mistakes.

    In a run of folds the network of a track's fold explains it.
    """
    chosen = [*hits(rows, per_label=HITS_PER_LABEL), *mistakes(rows, limit=MISTAKES)]
    network_of = networks_of(run, restored)
    found = []
    for row in chosen:
        stored, frames = store.read([row["track_id"]]), store.frames([row["track_id"]])
        found.append(_explained(network_of(row.get("fold", "")), row, stored[0][: int(frames[0])]))
        if progress:
            progress(len(found), len(chosen))
    return found


def _explained(
    network: Restored, row: dict[str, Any], stored: Float32[np.ndarray, "frames width"]
) -> Explained:
    config = network.experiment.features
    scaling = network.networks[0].scaling
    cut = _segments(stored[: config.n_frames], network)
    segments = np.asarray(scaling.decibels(scaling.widened(cut)))
    label = np.int32(network.labels.index(row["predicted"]))
    fill = segments.mean((0, 1))
    made = [_maps(network.networks, x, label, fill) for x in segments]
    middle = len(segments) // 2
    keys = jax.random.split(jax.random.key(_UNTRAINED_KEY), len(network.networks))
    drawn = tuple(one.untrained(key) for one, key in zip(network.networks, keys, strict=True))
    other = _maps(drawn, segments[middle], label, fill)
    hidden, gradients = (np.concatenate([one[i] for one in made]) for i in (0, 1))
    frontend = config.frontend
    top = frontend.sample_rate / 2 if frontend.fmax is None else frontend.fmax
    edges = mel_frequencies(frontend.n_mels + 2, fmin=frontend.fmin, fmax=top, htk=frontend.htk)
    return Explained(
        row,
        frontend.hop_length / frontend.sample_rate,
        edges[1:-1],
        np.concatenate(segments),
        hidden,
        gradients,
        max(one[2] for one in made),
        (
            rank_correlation(made[middle][0], other[0]),
            rank_correlation(made[middle][1], other[1]),
        ),
    )


def _segments(
    stored: Float32[np.ndarray, "frames width"], network: Restored
) -> Float32[np.ndarray, "segments segment width"]:
    """Return segments, side by side, from the middle of an excerpt."""
    length = network.experiment.segments.frames
    if len(stored) < length:
        silence = padding(network.experiment.features)
        missing = ((0, length - len(stored)), (0, 0))
        stored = np.pad(stored, missing, constant_values=silence)
    count = min(SEGMENTS, len(stored) // length)
    first = (len(stored) - count * length) // 2
    return stored[first : first + count * length].reshape(count, length, -1)


def _maps(
    networks: tuple[Differentiable, ...],
    x: Float32[np.ndarray, "frames n_mels"],
    label: np.int32,
    fill: Float32[np.ndarray, " n_mels"],
) -> tuple[np.ndarray, np.ndarray, float]:
    """Return both maps of a segment by networks, and the relative completeness gap."""
    patch = (max(1, x.shape[0] // PATCHES), max(1, x.shape[1] // PATCHES))
    hidden = _hidden(networks, x, label, fill, patch=patch)
    gradients, gap = _gradients(networks, x, label, fill, steps=STEPS[0])
    if gap > TOLERANCE:
        gradients, gap = _gradients(networks, x, label, fill, steps=STEPS[1])
    return np.asarray(hidden), np.asarray(gradients), float(gap)


@partial(jax.jit, static_argnames="patch")
def _hidden(
    networks: tuple[Differentiable, ...],
    x: Array,
    label: Array,
    fill: Array,
    patch: tuple[int, int],
) -> Float[Array, "frames n_mels"]:
    step = (max(1, patch[0] // 2), max(1, patch[1] // 2))
    answer = partial(log_odds, networks)
    return occlusion(answer, x, label, fill, patch=patch, step=step)


@partial(jax.jit, static_argnames="steps")
def _gradients(
    networks: tuple[Differentiable, ...], x: Array, label: Array, fill: Array, steps: int
) -> tuple[Float[Array, "frames n_mels"], Float[Array, ""]]:
    """Return the map, and its completeness gap as a share of the difference of scores."""
    baseline = jnp.broadcast_to(fill, x.shape)
    answer = partial(log_odds, networks)
    found, gap = integrated_gradients(answer, x, label, baseline, steps=steps)
    # Below a difference of 0.1 in log-odds the share would be meaningless.
    return found, jnp.abs(gap) / jnp.maximum(jnp.abs(found.sum() - gap), 0.1)
