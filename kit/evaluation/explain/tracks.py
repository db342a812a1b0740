"""The maps of a few tracks of a run: what its networks listened to, and a check of the maps."""

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
from kit.evaluation.metrics import hits, mistakes
from kit.features import FeatureStore
from kit.features.codec import padding
from kit.training import Restored, Run, restore
from kit.training.checkpoint import Which
from kit.training.differentiable import Differentiable, log_odds

HITS_PER_LABEL, MISTAKES = 1, 2
SEGMENTS = 4
"""Segments of a track that are looked at, side by side in the middle of its first excerpt."""
PATCHES = 8
"""Patches that lie side by side along either axis of a segment; they step by half a patch."""
STEPS = (64, 256)
"""Points of the integrated gradients; the second if the first leave too large a gap."""
TOLERANCE = 0.05
"""Largest completeness gap, as a share of the difference of scores, that 64 points may leave."""
SIMILAR = 0.5
"""A rank correlation above this means that untrained weights give a similar map."""
_UNTRAINED_KEY = 1  # another one than a training's seed of 0
Told = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Explained:
    """Attribution of the answer for a stretch of a track.

    Attributes:
        track: its row of evaluation.json.
        seconds: length of a frame.
        band_hz: the middle of each mel band, Hz.
        spectrogram: the stretch, (frames, n_mels), as the front end gives it.
        occlusion: mean fall of the log-odds of the answer where a place is hidden.
        gradients: integrated gradients of the log-odds of the answer.
        gap: the largest completeness gap of a segment, as a share of its difference of scores.
        untrained: the rank correlations of both maps with those of untrained weights, for the
            segment in the middle; None where a map is constant.
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
    """Check that a run has networks whose answers can be explained.

    Raises:
        UsageError: it is one of the recipe for small sets, or of several labels a track.
    """
    if not restored.networks:
        raise UsageError(
            "a run by the recipe for small sets has no network whose spectrogram could be "
            "explained; leave out --explain, or use `kit confounds`"
        )
    if restored.experiment.train.several:
        raise UsageError(
            "--explain explains the one label of a track, and this run has several labels a "
            "track; leave it out"
        )


def explained(
    run: Run,
    which: Which,
    rows: Sequence[dict[str, Any]],
    store: FeatureStore,
    progress: Told | None = None,
) -> list[Explained]:
    """Return the maps of the surest right answer for each label and of the surest mistakes.

    In a run of folds each track is explained by the network of its fold.

    Args:
        run: the run.
        which: the best checkpoints, or the last ones.
        rows: `tracks` of evaluation.json.
        store: its features.
        progress: called with (tracks done, tracks in all).
    """
    chosen = [*hits(rows, per_label=HITS_PER_LABEL), *mistakes(rows, limit=MISTAKES)]
    networks: dict[str, Restored] = {}
    folds = {one.fold: one for one in run.inside} if run.is_folded else {}
    found = []
    for row in chosen:
        fold = row.get("fold", "")
        if fold not in networks:
            networks[fold] = restore(folds.get(fold, run).folder, which)
        stored, frames = store.read([row["track_id"]]), store.frames([row["track_id"]])
        found.append(_explained(networks[fold], row, stored[0][: int(frames[0])]))
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
    maps = _Maps(network.networks)
    made = [maps(x, label, fill) for x in segments]
    middle = len(segments) // 2
    keys = jax.random.split(jax.random.key(_UNTRAINED_KEY), len(network.networks))
    drawn = [one.untrained(key) for one, key in zip(network.networks, keys, strict=True)]
    other = _Maps(drawn)(segments[middle], label, fill)
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
    """Return segments side by side out of the middle of an excerpt."""
    length = network.experiment.segments.frames
    if len(stored) < length:
        silence = padding(network.experiment.features)
        missing = ((0, length - len(stored)), (0, 0))
        stored = np.pad(stored, missing, constant_values=silence)
    count = min(SEGMENTS, len(stored) // length)
    first = (len(stored) - count * length) // 2
    return stored[first : first + count * length].reshape(count, length, -1)


class _Maps:
    """Both maps of a segment by networks, and the relative completeness gap."""

    def __init__(self, networks: Sequence[Differentiable]) -> None:
        self._networks = tuple(networks)

    def __call__(
        self,
        x: Float32[np.ndarray, "frames n_mels"],
        label: np.int32,
        fill: Float32[np.ndarray, " n_mels"],
    ) -> tuple[np.ndarray, np.ndarray, float]:
        patch = (max(1, x.shape[0] // PATCHES), max(1, x.shape[1] // PATCHES))
        hidden = _hidden(self._networks, x, label, fill, patch=patch)
        gradients, share = self._gradients(x, label, fill, STEPS[0])
        if share > TOLERANCE:
            gradients, share = self._gradients(x, label, fill, STEPS[1])
        return np.asarray(hidden), gradients, share

    def _gradients(
        self, x: np.ndarray, label: np.int32, fill: np.ndarray, steps: int
    ) -> tuple[np.ndarray, float]:
        found, gap, whole = _gradients(self._networks, x, label, fill, steps=steps)
        # A share of a smaller difference of log-odds would mean nothing.
        return np.asarray(found), abs(float(gap)) / max(abs(float(whole)), 0.1)


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
) -> tuple[Float[Array, "frames n_mels"], Float[Array, ""], Float[Array, ""]]:
    """Return the map, its completeness gap, and the difference of scores that it adds up to."""
    baseline = jnp.broadcast_to(fill, x.shape)
    answer = partial(log_odds, networks)
    found, gap = integrated_gradients(answer, x, label, baseline, steps=steps)
    return found, gap, found.sum() - gap
