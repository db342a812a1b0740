"""Attribution maps of a spectrogram: pure functions of a function, to be jitted by the caller."""

import math
from collections.abc import Callable
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

Answer: TypeAlias = Callable[[Float[Array, "batch frames n_mels"]], Float[Array, "batch n_classes"]]
"""Spectrograms to scores, such as log-odds; no spectrogram of a batch changes another."""
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
    """Return how much of the score of a label each place of a spectrogram holds up.

    A patch of frames and bands takes the level of `fill`, and steps over the spectrogram; the last
    patches end where it ends. A place has the mean fall of the score over the patches that cover
    it: above 0 it speaks for the label, below 0 against it.

    Args:
        answer: the network.
        x: the spectrogram.
        label: the column of its scores.
        fill: a level for each band.
        patch: frames and bands of a patch.
        step: from one patch to the next.
        batch: patches of one call.
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
    """Return which of `size` places each patch covers; together they cover all."""
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
    """Return the share of each place in the difference of a score from that of a baseline.

    The gradient of the score is averaged over the straight way from the baseline to the
    spectrogram, by the midpoint rule, and multiplied by their difference. For a linear function
    it is weight times difference, exactly.

    Args:
        answer: the network.
        x: the spectrogram.
        label: the column of its scores.
        baseline: a spectrogram that stands for "nothing".
        steps: points on the way; rounded up to whole batches.
        batch: points of one call.
    Returns:
        The map, and its completeness gap: the sum of the map less the difference of the scores of
        `x` and `baseline`, which goes to 0 as `steps` grows.
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
    # Takes a second to import, which training and prediction do without.
    from scipy.stats import rankdata

    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return None
    return float(np.corrcoef(rankdata(one), rankdata(other))[0, 1])
