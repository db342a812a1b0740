"""Overlapping frames added up again, the transpose of framing."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Inexact

from kit.dsp.checks import AnyArray, Number, positive_int
from kit.dsp.framing import MAX_SLICES
from kit.dsp.spectral.normalize import normalize_values
from kit.dsp.windows import WindowSpec, get_window, pad_center


def overlap_add(
    frames: Inexact[AnyArray, "*batch frame_length frames"], *, hop_length: int
) -> Inexact[jax.Array, "*batch samples"]:
    """Frames, each `hop_length` after the last, summed where they overlap.

    Returns:
        samples = frame_length + hop_length * (frames - 1).
    Raises:
        ParameterError: `hop_length` below 1.
    """
    hop_length = positive_int("hop_length", hop_length)
    return add_rows(jnp.swapaxes(jnp.asarray(frames), -1, -2), hop_length)


@partial(jax.jit, static_argnums=1)
def add_rows(
    rows: Inexact[jax.Array, "*batch frames frame_length"], hop_length: int
) -> Inexact[jax.Array, "*batch samples"]:
    """`overlap_add` of frames that are rows."""
    *batch, count, length = rows.shape
    samples = length + hop_length * (count - 1)
    hops = math.ceil(length / hop_length)
    if hops > MAX_SLICES:
        where = hop_length * np.arange(count)[:, None] + np.arange(length)
        return jnp.zeros((*batch, samples), rows.dtype).at[..., where].add(rows)
    outer = [(0, 0)] * len(batch)
    rows = jnp.pad(rows, [*outer, (0, 0), (0, hops * hop_length - length)])
    total = jnp.zeros((*batch, count + hops - 1, hop_length), rows.dtype)
    for k in range(hops):
        piece = rows[..., k * hop_length : (k + 1) * hop_length]
        total = total + jnp.pad(piece, [*outer, (k, hops - 1 - k), (0, 0)])
    return total.reshape(*batch, -1)[..., :samples]


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
    """The squared window, summed over the frames of an STFT: what `istft` divides by.

    Args:
        window, hop_length, win_length, n_fft: as in `stft`.
        n_frames: frames.
        dtype: of the result.
        norm: p-norm to which the window is scaled first; none if None.
    Returns:
        A NumPy constant of n_fft + hop_length * (n_frames - 1) values.
    Raises:
        ParameterError: a size below 1, `win_length` above `n_fft`.
    Source: librosa 0.11 `filters.window_sumsquare`.
    """
    n_frames, n_fft = positive_int("n_frames", n_frames), positive_int("n_fft", n_fft)
    hop_length = positive_int("hop_length", hop_length)
    values = get_window(window, n_fft if win_length is None else win_length)
    if norm is not None:
        values = normalize_values(values, norm)
    squared = pad_center(values**2, n_fft)
    total = np.zeros(n_fft + hop_length * (n_frames - 1))
    steps = math.ceil(n_fft / hop_length)
    padded = np.pad(squared, (0, steps * hop_length - n_fft)).reshape(steps, hop_length)
    sums = np.zeros((n_frames + steps - 1, hop_length))
    for k in range(steps):
        sums[k : k + n_frames] += padded[k]
    total[:] = sums.reshape(-1)[: len(total)]
    return total.astype(dtype)
