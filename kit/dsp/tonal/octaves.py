"""Responses of constant-Q filters, an octave at a time, at a rate that halves between octaves."""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Complex, Float, Shaped

from kit.dsp.checks import AnyArray, as_waveform
from kit.dsp.dft import rfft
from kit.dsp.framing import frames_first, map_frames, pad_ends
from kit.dsp.jit import Length
from kit.dsp.stft import PAD_MODES, PadMode
from kit.dsp.tonal.filters import Octaves, Sizes, Spectral

HIGHEST = lax.Precision.HIGHEST
# Shape of the half-band filters' Kaiser window, for an error of -100 dB.
_BETA = 0.1102 * (100 - 8.7)
# Samples that one block of a half-band filter gives.
_BLOCK = 16
# Blocks of one product.
_ROWS = 256
# Frames of one product.
_FRAMES = 128


@lru_cache
def _half_band(reach: int) -> Float[np.ndarray, "taps"]:
    """Return a low-pass filter of half the Nyquist frequency; every other tap is zero."""
    at = np.arange(-reach, reach + 1)
    taps = np.sinc(at / 2) / 2 * np.kaiser(2 * reach + 1, _BETA)
    odd = at % 2 == 1
    # A constant does not change.
    taps[odd] *= 0.5 / taps[odd].sum()
    taps[~odd] = 0.5 * (at[~odd] == 0)
    return taps


def halved(
    y: Float[jax.Array, "samples"], n: Length, reach: int
) -> tuple[Float[jax.Array, "half"], Length]:
    """Return a clip, zero past `n`, at half the rate: `ceil(n / 2)` valid samples, then zeros."""
    taps = _half_band(reach)
    span = 2 * _BLOCK - 1 + 2 * reach
    matrix = np.zeros((span, _BLOCK))
    for column in range(_BLOCK):
        matrix[2 * column : 2 * column + len(taps), column] = taps
    samples, valid = -(-y.shape[0] // 2), (n + 1) // 2
    rows = min(_ROWS, -(-samples // _BLOCK))
    signal = jnp.pad(y, (reach, reach + 2 * rows * _BLOCK))

    def block(start: jax.Array) -> jax.Array:
        part = lax.dynamic_slice(signal, (2 * start,), ((rows - 1) * 2 * _BLOCK + span,))
        frames = frames_first(part, span, 2 * _BLOCK, rows)
        return jnp.dot(frames, jnp.asarray(matrix, y.dtype), precision=HIGHEST).reshape(-1)

    out = _blocks(block, samples, rows * _BLOCK, valid)
    return jnp.where(jnp.arange(samples) < valid, out, 0), valid


def _blocks(
    function: Callable[[jax.Array], jax.Array], size: int, step: int, valid: Length
) -> jax.Array:
    """Return `function(start)` for each block of `step` rows, and zeros for blocks past `valid`."""
    shape = jax.eval_shape(function, jnp.int32(0))

    def one(start: jax.Array) -> jax.Array:
        # A loop with a traced number of steps would have no gradient.
        return lax.cond(
            start < valid, function, lambda _: jnp.zeros(shape.shape, shape.dtype), start
        )

    count = -(-size // step)
    made = lax.map(one, step * jnp.arange(count, dtype=jnp.int32))
    return made.reshape(count * step, *shape.shape[1:])[:size]


def doubled(
    y: Float[jax.Array, "samples"], n: Length, reach: int
) -> tuple[Float[jax.Array, "twice"], Length]:
    """Return a clip, zero past `n`, at twice the rate: `2 * n` valid samples, then zeros."""
    taps = 2 * _half_band(reach)
    half = reach // 2 + 1
    span = _BLOCK + 2 * half
    matrix = np.zeros((span, 2 * _BLOCK))
    for column in range(2 * _BLOCK):
        offset = column - 2 * (np.arange(span) - half)
        inside = np.abs(offset) <= reach
        matrix[inside, column] = taps[reach + offset[inside]]
    samples, valid = 2 * y.shape[0], 2 * n
    rows = min(_ROWS, -(-y.shape[0] // _BLOCK))
    signal = jnp.pad(y, (half, half + rows * _BLOCK))

    def block(start: jax.Array) -> jax.Array:
        part = lax.dynamic_slice(signal, (start // 2,), ((rows - 1) * _BLOCK + span,))
        frames = frames_first(part, span, _BLOCK, rows)
        return jnp.dot(frames, jnp.asarray(matrix, y.dtype), precision=HIGHEST).reshape(-1)

    out = _blocks(block, samples, 2 * rows * _BLOCK, valid)
    return jnp.where(jnp.arange(samples) < valid, out, 0), valid


def transform(
    n: Length,
    y: Shaped[AnyArray, "samples"],
    filters: Float[AnyArray, "values"],
    sizes: Sizes,
    pad_mode: PadMode,
) -> tuple[Complex[jax.Array, "n_bins frames"], Length]:
    """Return the responses of a filter bank to one clip, and the number of valid frames."""
    y = as_waveform(y)
    wanted = jnp.result_type(y.dtype, jnp.complex64)
    # Double precision if it is enabled, as librosa transforms every dtype.
    inner = jax.dtypes.canonicalize_dtype(np.float64)
    of_sizes = _by_samples if isinstance(sizes, Octaves) else _by_spectra
    parts, frames = of_sizes(
        n, y.astype(inner), jnp.asarray(filters, inner), cast(Any, sizes), pad_mode
    )
    both = jnp.concatenate(parts[::-1], axis=2)
    V = lax.complex(both[:, 0], both[:, 1]).astype(wanted)
    return jnp.swapaxes(V, 0, 1), frames


_Responses = tuple[list[Float[jax.Array, "frames 2 bins"]], Length]


def _by_samples(
    n: Length, y: jax.Array, filters: jax.Array, sizes: Octaves, pad_mode: PadMode
) -> _Responses:
    for reach in sizes.early:
        y, n = halved(y, n, reach)
    length, valid = y.shape[0], 1 + n // sizes.hop_length
    frames = 1 + length // sizes.hop_length
    n_fft = max(sizes.lengths)
    shape = (len(sizes.bins), n_fft, 2 * max(sizes.bins))
    kernels = filters[: math.prod(shape)].reshape(shape)
    rows = min(_FRAMES, frames)

    def respond(y: jax.Array, n: Length, kernel: jax.Array, hop_length: Any) -> jax.Array:
        signal, _ = pad_ends(y, n, n_fft // 2, pad_mode)

        def block(start: jax.Array) -> jax.Array:
            starts = (start + jnp.arange(rows, dtype=jnp.int32)) * hop_length
            cut = jax.vmap(lambda at: lax.dynamic_slice(signal, (at,), (n_fft,)))(starts)
            return jnp.dot(cut, kernel, precision=HIGHEST)

        return _blocks(block, frames, rows, valid)

    def octave(state: tuple[jax.Array, Any], given: Any) -> Any:
        y, n = state
        kernel, hop_length, halve = given

        def half(y: jax.Array, n: Any) -> Any:
            made, n = halved(y, n, sizes.reach)
            return jnp.pad(made, (0, length - made.shape[0])), n

        if sizes.reach:
            y, n = lax.cond(halve, half, lambda y, n: (y, n), y, n)
        return (y, n), respond(y, n, kernel, hop_length)

    if callable(pad_mode) or pad_mode not in PAD_MODES:
        made = []
        for index, kernel in enumerate(kernels):
            if index and sizes.halvings[index] > sizes.halvings[index - 1]:
                y, n = halved(y, n, sizes.reach)
            made.append(respond(y, n, kernel, sizes.hop_length >> sizes.halvings[index]))
    else:
        hops = np.array([sizes.hop_length >> k for k in sizes.halvings], np.int32)
        halve = np.diff(sizes.halvings, prepend=0) > 0
        _, made = lax.scan(octave, (y, jnp.int32(n)), (kernels, hops, halve))
    parts = [
        part.reshape(frames, 2, -1)[:, :, :bins]
        for part, bins in zip(made, sizes.bins, strict=True)
    ]
    return parts, valid


def _by_spectra(
    n: Length, y: jax.Array, filters: jax.Array, sizes: tuple[Spectral, ...], pad_mode: PadMode
) -> _Responses:
    parts: list[jax.Array] = []
    start, frames, done = 0, n, 0
    for octave in sizes:
        for reach in octave.halvings[done:]:
            y, n = halved(y, n, reach)
        done = len(octave.halvings)
        low, high = octave.used
        size = 4 * (high - low) * octave.bins
        kernel = filters[start : start + size].reshape(2 * (high - low), -1)
        start += size

        def respond(
            rows: jax.Array, kernel: jax.Array = kernel, low: int = low, high: int = high
        ) -> jax.Array:
            D = rfft(rows)[:, low:high]
            both = jnp.concatenate([jnp.real(D), jnp.imag(D)], axis=1)
            return jnp.dot(both, kernel, precision=HIGHEST)

        signal, padded = pad_ends(y, n, octave.n_fft // 2, pad_mode)
        part, valid = map_frames(
            respond, signal, padded, frame_length=octave.n_fft, hop_length=octave.hop_length
        )
        # The highest octave has the fewest frames.
        frames = frames if parts else valid
        parts.append(part.reshape(len(part), 2, -1))
    shortest = min(len(p) for p in parts)
    return [p[:shortest] for p in parts], frames


def inverse(
    n: Length,
    C: Complex[jax.Array, "n_bins frames"],
    filters: Float[AnyArray, "values"],
    sizes: Octaves,
) -> tuple[Float[jax.Array, "samples"], Length]:
    """Return the sound of one clip's transform, `hop_length * (n - 1)` valid samples.

    Each octave is added at its own rate to the sum of the lower octaves, after doubling its rate.
    """
    inner = jax.dtypes.canonicalize_dtype(np.float64)
    frames, longest, count = C.shape[1], max(sizes.lengths), len(sizes.bins)
    C = jnp.where(jnp.arange(frames) < n, C, 0)
    kernels = jnp.asarray(filters, inner).reshape(count, 2 * max(sizes.bins), longest)
    both = jnp.stack([jnp.real(C), jnp.imag(C)]).astype(inner)
    starts = np.concatenate([[0], np.cumsum(sizes.bins)])
    parts = jnp.stack(
        [
            jnp.pad(
                both[:, starts[k] : starts[k + 1]], [(0, 0), (0, max(sizes.bins) - bins), (0, 0)]
            ).reshape(-1, frames)
            for k, bins in enumerate(sizes.bins)
        ]
    )
    # An even size, so that it can be halved.
    size = max(2, sizes.hop_length * (frames - 1) + sizes.hop_length * (frames - 1) % 2)

    def octave(state: tuple[jax.Array, jax.Array], given: Any) -> Any:
        total, valid = state
        part, kernel, hop_length, n_fft, double = given
        if sizes.reach:
            total, valid = lax.cond(
                double,
                lambda y, m: doubled(y[: size // 2], m, sizes.reach),
                lambda y, m: (y, m),
                total,
                valid,
            )
        rows = jnp.dot(part.T, kernel, precision=HIGHEST)
        at = hop_length * jnp.arange(frames, dtype=jnp.int32)

        def frames_of(signal: jax.Array) -> jax.Array:
            return jax.vmap(lambda s: lax.dynamic_slice(signal, (s,), (longest,)))(at)

        whole = jax.ShapeDtypeStruct((size + longest,), inner)
        (added,) = jax.linear_transpose(frames_of, whole)(rows)
        valid = (hop_length * (n - 1)).astype(jnp.int32)
        place = jnp.arange(size, dtype=jnp.int32) + n_fft // 2
        last = jnp.minimum(n - 1, place // hop_length)
        overlap = last - jnp.maximum(0, (place - n_fft) // hop_length + 1) + 1
        new = added[longest // 2 :][:size] / jnp.maximum(overlap, 1).astype(inner)
        heard = (overlap > 0) & (jnp.arange(size) < valid)
        return (total + jnp.where(heard, new, 0), valid), None

    # The rate doubles before an octave with fewer halvings than the next lower octave.
    double = np.diff(sizes.halvings, prepend=sizes.halvings[0]) < 0
    hops = np.array([sizes.hop_length >> k for k in sizes.halvings], np.int32)
    given = (parts, kernels, hops, np.array(sizes.lengths, np.int32), double)
    (total, _), _ = lax.scan(octave, (jnp.zeros(size, inner), jnp.int32(0)), given)
    samples = sizes.hop_length * (n - 1)
    total = total[: sizes.hop_length * (frames - 1)]
    for reach in sizes.early[::-1]:
        total, samples = doubled(total, samples, reach)
    return total.astype(jnp.real(C).dtype), samples
