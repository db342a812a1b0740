"""Attribution maps of a spectrogram, as pure functions for the caller to jit."""

import math
from collections.abc import Callable
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

Answer: TypeAlias = Callable[[Float[Array, "batch frames n_mels"]], Float[Array, "batch n_classes"]]
"""Spectrograms to scores, such as log-odds, independently for each spectrogram of a batch."""
Spectrogram: TypeAlias = Float[Array, "frames n_mels"]


def occlusion(
    answer: Answer,
    x: Spectrogram,
    label: int | Int[Array, ""],
    fill: Float[Array, "n_mels"],
    *,
    patch: tuple[int, int],
    step: tuple[int, int],
    batch: int = 32,
) -> Spectrogram:
    """Return the mean fall of a label's score over the patches that hide each place.

    Each patch of frames and bands is replaced by `fill`; the last patches end at the edge of the
    spectrogram. Positive places speak for the label, negative ones against it.

    Args:
        answer: the network.
        x: the spectrogram.
        label: the column of the scores.
        fill: the level of each band.
        patch: frames and bands of a patch.
        step: frames and bands from one patch to the next.
        batch: patches per call.
    Source: Zeiler & Fergus (2014), Visualizing and understanding convolutional networks.
    """
    in_time, in_bands = (
        _covered(size, width, hop) for size, width, hop in zip(x.shape, patch, step, strict=True)
    )
    count = len(in_time) * len(in_bands)
    numbers = jnp.arange(math.ceil(count / batch) * batch) % count
    frames, bands = jnp.asarray(in_time), jnp.asarray(in_bands)

    def scores(chosen: Int[Array, "batch"]) -> Float[Array, "batch"]:
        hidden = frames[chosen // len(in_bands), :, None] & bands[chosen % len(in_bands), None, :]
        return answer(jnp.where(hidden, fill, x))[:, label]

    left = jax.lax.map(scores, numbers.reshape(-1, batch)).reshape(-1)[:count]
    falls = (answer(x[None])[0, label] - left).reshape(len(in_time), len(in_bands))
    over, up = frames.astype(x.dtype), bands.astype(x.dtype)
    return (over.T @ falls @ up) / (over.sum(0)[:, None] * up.sum(0))


def _covered(size: int, width: int, hop: int) -> Bool[np.ndarray, "patches size"]:
    """Return the mask of the places that each patch covers."""
    width = min(width, size)
    starts = np.unique([*range(0, size - width + 1, hop), size - width])
    at = np.arange(size)
    return (at >= starts[:, None]) & (at < starts[:, None] + width)


def integrated_gradients(
    answer: Answer,
    x: Spectrogram,
    label: int | Int[Array, ""],
    baseline: Spectrogram,
    *,
    steps: int = 64,
    batch: int = 32,
) -> tuple[Spectrogram, Float[Array, ""]]:
    """Return each place's contribution to the difference of a score from the baseline's score.

    It is the mean gradient on the straight line from the baseline to the spectrogram, by the
    midpoint rule, times their difference. For a linear function it is exact.

    Args:
        answer: the network.
        x: the spectrogram.
        label: the column of the scores.
        baseline: a spectrogram without information.
        steps: points on the line, rounded up to whole batches.
        batch: points per call.
    Returns:
        The map, and its completeness gap: the sum of the map minus the difference of the scores,
        which goes to 0 as `steps` grows.
    Source: Sundararajan, Taly & Yan (2017), Axiomatic attribution for deep networks.
    """
    count = math.ceil(steps / batch) * batch
    shares = ((jnp.arange(count) + 0.5) / count).astype(x.dtype).reshape(-1, batch)

    def slope(at: Float[Array, "batch"]) -> Spectrogram:
        points = baseline + at[:, None, None] * (x - baseline)
        return jax.grad(lambda z: answer(z)[:, label].sum())(points).sum(0)

    total, _ = jax.lax.scan(lambda sum_, at: (sum_ + slope(at), None), jnp.zeros_like(x), shares)
    found = (x - baseline) * total / count
    ends = answer(jnp.stack([x, baseline]))[:, label]
    return found, found.sum() - (ends[0] - ends[1])


def rank_correlation(one: np.ndarray, other: np.ndarray) -> float | None:
    """Return Spearman's rank correlation of two maps; None if one of them is constant."""
    # Takes a second to import; training and prediction do not need it.
    from scipy.stats import rankdata

    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return None
    return float(np.corrcoef(rankdata(one), rankdata(other))[0, 1])
