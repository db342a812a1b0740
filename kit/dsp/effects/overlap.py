"""Sums of overlapping frames, the transpose of framing."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float, Inexact, Int, Num, Shaped

from kit.dsp.checks import AnyArray, Number, check_size, positive_int, require
from kit.dsp.framing import MAX_SLICES, map_blocks
from kit.dsp.jit import Length, by_clip
from kit.dsp.spectral.normalize import normalize_values
from kit.dsp.windows import WindowSpec, get_window, pad_center

# Frames of one step of the loop, and their samples, which fit into the CPU's cache.
_MOST_FRAMES = 96
_MOST_SAMPLES = 2048 * _MOST_FRAMES


def check_overlap(frame_length: int, hop_length: int, frames: int) -> None:
    """Refuse a hop that would take too much memory."""
    check_size("hop_length", hop_length, hop_length * frames, most=2**30)
    overlapping = -(-frame_length // hop_length)
    rule = f"{overlapping} frames of {frame_length} samples would overlap; raise it"
    require(overlapping * frame_length <= 2**26, "hop_length", hop_length, rule)


def _check(given: dict[str, Any]) -> None:
    hop_length = positive_int("hop_length", given["hop_length"])
    shape = given["frames"].shape
    if len(shape) > 1:
        check_overlap(shape[-2], hop_length, shape[-1])


@by_clip(frames="lt", check=_check)
def overlap_add(
    n: Length, frames: Num[AnyArray, "*batch frame_length frames"], *, hop_length: int
) -> tuple[Num[jax.Array, "*batch samples"], Length]:
    """Return the sum of frames, each `hop_length` samples after the previous one.

    Args:
        frames: (…, frame_length, frames).
        hop_length: samples between the starts of two frames.
    Returns:
        samples = frame_length + hop_length * (frames - 1), or 0 without frames.
    Raises:
        ParameterError: `hop_length` below 1.
    Source: librosa 0.11 `util.utils`, the sum inside `istft`.

    Example:
        >>> kit.dsp.overlap_add(jnp.ones((4, 2)), hop_length=2)
        Array([1., 1., 2., 2., 1., 1.], dtype=float32)
    """
    length, count = frames.shape
    hop_length = positive_int("hop_length", hop_length)
    if count == 0 or length == 0:
        return jnp.zeros(0, frames.dtype), 0
    samples = length + hop_length * (n - 1)
    total = add_frames(
        lambda at: jnp.take(frames, at, axis=1).T,
        n,
        frame_length=length,
        hop_length=hop_length,
        size=length + hop_length * (count - 1),
        valid=samples,
    )
    return total, samples


def add_frames(
    function: Callable[[Int[jax.Array, "rows"]], Inexact[jax.Array, "rows frame_length"]],
    n: Length,
    *,
    frame_length: int,
    hop_length: int,
    size: int,
    valid: Length,
    start: int = 0,
    squared_window: Float[np.ndarray, "frame_length"] | None = None,
) -> Shaped[jax.Array, "{size}"]:
    """Sum overlapping frames, computed some at a time; return `size` samples of it from `start` on.

    Args:
        function: function from indices of frames, 0 to n - 1, to frames, one per row.
        valid: samples to compute; later ones are undefined.
        squared_window: divide by the sum of this over the frames, where it is above zero.
        The others: as named.
    """
    # Rows of one hop; zeros before each frame align the result with the rows.
    lead = -start % hop_length
    hops = -(-(lead + frame_length) // hop_length)
    reach, first = hops - 1, (start + lead) // hop_length
    ends = (lead, hops * hop_length - lead - frame_length)
    rows = -(-size // hop_length)
    most = min(_MOST_FRAMES, max(1, _MOST_SAMPLES // (hops * hop_length)))
    blocks = -(-rows // max(most - reach, reach, 1))
    count = -(-rows // blocks)

    def block(index: Int[jax.Array, ""] | int) -> Shaped[jax.Array, "count hop_length"]:
        top = first + index * count
        at = top - reach + jnp.arange(count + reach)
        inside = (at >= 0) & (at < n)
        frames = function(jnp.clip(at, 0, jnp.maximum(n - 1, 0)))
        frames = jnp.where(inside[:, None], frames, 0)
        if ends != (0, 0):
            frames = jnp.pad(frames, ((0, 0), ends))
        total = _sums(frames, hop_length)
        if squared_window is None:
            return total
        parts = jnp.asarray(
            np.pad(squared_window, ends).reshape(hops, hop_length), jnp.real(total).dtype
        )
        of_row = top + lax.iota(jnp.int32, count)[:, None] - lax.iota(jnp.int32, hops)
        present = ((of_row >= 0) & (of_row < n)).astype(parts.dtype)
        weight = jnp.dot(present, parts, precision=lax.Precision.HIGHEST)
        return total / jnp.where(weight > jnp.finfo(weight.dtype).tiny, weight, 1)

    made = map_blocks(block, blocks, -(-valid // (count * hop_length)))
    return made.reshape(-1)[:size]


def _sums(frames: Shaped[jax.Array, "frames whole"], hop_length: int) -> Shaped[jax.Array, "..."]:
    """Return the rows of one hop that all overlapping frames contribute to."""
    count, length = frames.shape
    hops = length // hop_length
    reach = hops - 1
    if hops <= MAX_SLICES:
        parts = frames.reshape(count, hops, hop_length)
        return jnp.asarray(sum(parts[reach - k : count - k, k] for k in range(hops)))
    # Rows one hop longer than the sum, reshaped to the sum's length, shift by one hop each.
    width = length + (count - 1) * hop_length
    skewed = jnp.pad(frames, ((0, 0), (0, width + hop_length - length))).reshape(-1)
    total = jnp.sum(skewed[: count * width].reshape(count, width), axis=0)
    return total.reshape(-1, hop_length)[reach:count]


def window_sumsquare(
    *,
    window: WindowSpec,
    n_frames: int,
    hop_length: int = 512,
    win_length: int | None = None,
    n_fft: int = 2048,
    dtype: type = np.float32,
    norm: Number | None = None,
) -> Float[np.ndarray, "samples"]:
    """Return the sum of the squared window over the frames of an STFT, the divisor in `istft`.

    Args:
        window, hop_length, win_length, n_fft: as in `stft`.
        n_frames: number of frames.
        dtype: dtype of the result.
        norm: order of the norm that scales the window first; None for no scaling.
    Returns:
        A NumPy constant of n_fft + hop_length * (n_frames - 1) values.
    Raises:
        ParameterError: a size below 1, `win_length` above `n_fft`.
    Source: librosa 0.11 `filters.window_sumsquare`.

    Example:
        >>> kit.dsp.window_sumsquare(window="ones", n_frames=2, n_fft=4, hop_length=2)
        array([1., 1., 2., 2., 1., 1.], dtype=float32)
    """
    n_frames, n_fft = positive_int("n_frames", n_frames), positive_int("n_fft", n_fft)
    hop_length = positive_int("hop_length", hop_length)
    values = get_window(window, n_fft if win_length is None else win_length)
    if norm is not None:
        values = normalize_values(values, norm)
    squared = pad_center(values**2, n_fft)
    steps = math.ceil(n_fft / hop_length)
    padded = np.pad(squared, (0, steps * hop_length - n_fft)).reshape(steps, hop_length)
    sums = np.zeros((n_frames + steps - 1, hop_length))
    for k in range(steps):
        sums[k : k + n_frames] += padded[k]
    return sums.reshape(-1)[: n_fft + hop_length * (n_frames - 1)].astype(dtype)
