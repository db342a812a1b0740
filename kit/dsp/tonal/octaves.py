"""Responses of constant-Q filters, an octave at a time, at a rate that halves between octaves."""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Complex, Float, Shaped

from kit.dsp.checks import AnyArray, Number, as_waveform
from kit.dsp.dft import rfft
from kit.dsp.framing import frames_first, map_frames, pad_ends
from kit.dsp.jit import Length
from kit.dsp.stft import PAD_MODES, PadMode
from kit.dsp.tonal.wavelet import sparsified, wavelet, wavelet_lengths, window_bandwidth
from kit.dsp.windows import WindowSpec

HIGHEST = lax.Precision.HIGHEST
# Reach of the half-band filters in samples, by the share of the new Nyquist frequency up to which
# they are flat. Kaiser's formula gives 6.41 / (1 - share) for an error of -100 dB. What lies
# between the share and its mirror image about the new Nyquist frequency is folded onto the rest of
# the spectrum, where no filter of a lower octave looks.
_REACHES = {0.5: 13, 0.7: 23, 0.8: 33, 0.92: 81}
_BETA = 0.1102 * (100 - 8.7)
# A filter passes nothing beyond its main lobe, whose half width for a Hann window of an equivalent
# noise bandwidth of 1.5 bins is 2 bins.
_MAIN_LOBE = 4 / 3
# Room for the slope of the half-band filter's error beyond its flat part.
_MARGIN = 1.2
# Samples that one block of a half-band filter gives.
_BLOCK = 16
# Blocks of one product.
_ROWS = 256
# Frames of one product.
_FRAMES = 128
# Filters up to this length multiply the samples, longer ones the few bins of the spectrum in which
# they lie. Of 1024, 2048 and 4096 bins, 2048 was fastest (2 CPU cores).
_LONGEST_PRODUCT = 2048
_BINS = 32


class Octaves(NamedTuple):
    """Sizes of all octaves of a filter bank that multiply samples, the highest first."""

    early: tuple[int, ...]
    """Reach of the filter of each halving of the rate before the highest octave."""
    reach: int
    """Reach of the filter of the other halvings."""
    halvings: tuple[int, ...]
    """Of each octave, how often the rate is halved after the early halvings."""
    n_fft: int
    hop_length: int
    """Of the highest octave."""
    bins: tuple[int, ...]
    """Filters of each octave."""


class Spectral(NamedTuple):
    """Sizes of one octave of filters that multiply spectra."""

    halvings: tuple[int, ...]
    """Reach of the filter of each halving of the rate, the early ones included."""
    n_fft: int
    hop_length: int
    bins: int
    used: tuple[int, int]
    """Range of the spectrum's bins that the filters take."""


Sizes = Octaves | tuple[Spectral, ...]
"""Sizes of a filter bank, the highest octave first."""


class FilterBank(NamedTuple):
    """Filters of a constant-Q transform: sizes, and values that a program takes as an argument."""

    sizes: Sizes
    values: np.ndarray
    """All filters in one line, in the widest floating point that JAX has."""


def filter_bank(
    freqs: Float[np.ndarray, "n_bins"],
    alpha: Float[np.ndarray, "n_bins"],
    *,
    sr: Number,
    hop_length: int,
    bins_per_octave: int,
    norm: Number | None,
    sparsity: Number,
    scale: bool,
    window: WindowSpec,
    filter_scale: Number,
    gamma: Number | None,
) -> FilterBank:
    """Return the filters of `transform`; the arguments are those of `vqt`."""
    shape = {"window": window, "filter_scale": filter_scale, "gamma": gamma}
    lengths, highest = wavelet_lengths(freqs=freqs, sr=sr, alpha=alpha, **shape)
    plan = halving_plan(
        freqs + _MAIN_LOBE * window_bandwidth(window) * sr / lengths,
        bins_per_octave,
        sr,
        hop_length,
        early_halvings(sr, hop_length, -(-len(freqs) // bins_per_octave), highest),
    )
    octaves = []
    for low, high, reaches in plan:
        rate = sr / 2 ** len(reaches)
        spectra, n_fft = filter_spectra(
            rate, freqs[low:high], alpha[low:high], norm, sparsity, **shape
        )
        # A filter of half the length, at half the rate, gives half the response.
        gain = np.full(high - low, 2.0 ** len(reaches))
        if scale:
            gain = gain / np.sqrt(lengths[low:high])
        octaves.append((spectra * gain[:, None], n_fft, reaches))
    bank = _of_samples if max(n for _, n, _ in octaves) <= _LONGEST_PRODUCT else _of_spectra
    sizes, values = bank(octaves, hop_length)
    widest = jax.dtypes.canonicalize_dtype(np.float64)
    return FilterBank(sizes, values.astype(widest))


_Filters = list[tuple[np.ndarray, int, tuple[int, ...]]]


def _of_samples(octaves: _Filters, hop_length: int) -> tuple[Octaves, np.ndarray]:
    """Return matrices of one shape for all octaves, so that one step of a loop serves them."""
    longest = max(n_fft for _, n_fft, _ in octaves)
    widest = max(len(spectra) for spectra, _, _ in octaves)
    values = np.zeros((len(octaves), longest, 2, widest))
    for place, (spectra, n_fft, _) in zip(values, octaves, strict=True):
        # The response is linear in the samples: the sum over bins of a spectrum times a filter.
        taps = np.fft.fft(spectra, n=n_fft, axis=1).T
        start = (longest - n_fft) // 2
        place[start : start + n_fft, 0, : len(spectra)] = taps.real
        place[start : start + n_fft, 1, : len(spectra)] = taps.imag
    early = octaves[0][2]
    later = [reaches[len(early) :] for _, _, reaches in octaves]
    sizes = Octaves(
        early,
        max(later[-1], default=0),
        tuple(map(len, later)),
        longest,
        hop_length // 2 ** len(early),
        tuple(len(spectra) for spectra, _, _ in octaves),
    )
    return sizes, values.reshape(-1)


def _of_spectra(octaves: _Filters, hop_length: int) -> tuple[tuple[Spectral, ...], np.ndarray]:
    """Return matrices of the few bins in which the filters of each octave lie."""
    sizes, values = [], []
    for spectra, n_fft, reaches in octaves:
        # Rounded, so that filters of another tuning share the program.
        used = np.flatnonzero(np.any(spectra != 0, axis=0))
        low = int(used[0]) // _BINS * _BINS
        high = min(spectra.shape[1], (int(used[-1]) // _BINS + 1) * _BINS)
        part: Any = spectra[:, low:high].T
        hop = hop_length // 2 ** len(reaches)
        sizes.append(Spectral(reaches, n_fft, hop, len(spectra), (low, high)))
        real, imag = np.real(part), np.imag(part)
        values.append(np.block([[real, imag], [-imag, real]]).reshape(-1))
    return tuple(sizes), np.concatenate(values)


def filter_spectra(
    sr: Number,
    freqs: Float[np.ndarray, "n"],
    alpha: Float[np.ndarray, "n"],
    norm: Number | None,
    sparsity: Number,
    *,
    window: WindowSpec,
    filter_scale: Number,
    gamma: Number | None,
    hop_length: int | None = None,
) -> tuple[Complex[np.ndarray, "n bins"], int]:
    """Return the spectra of filters, and the length of their transform."""
    rows, lengths = wavelet(
        freqs=freqs,
        sr=sr,
        window=window,
        filter_scale=filter_scale,
        norm=norm,
        gamma=gamma,
        alpha=alpha,
        dtype=np.complex128,
    )
    n_fft = rows.shape[1]
    if hop_length is not None:
        n_fft = max(n_fft, int(2.0 ** (1 + np.ceil(np.log2(hop_length)))))
    scaled = rows * (lengths[:, None] / n_fft)
    spectra = np.fft.fft(scaled, n=n_fft, axis=1)[:, : n_fft // 2 + 1]
    return sparsified(spectra, sparsity), n_fft


def early_halvings(sr: Number, hop_length: int, octaves: int, highest: float) -> int:
    """Return how often the rate is halved before the highest octave.

    Source: librosa 0.11 `constantq.__early_downsample_count`.
    """
    room = max(0, math.ceil(math.log2(sr / 2 / highest)) - 2)
    return min(room, max(0, _twos(hop_length) - octaves + 1))


def _twos(hop_length: int) -> int:
    return (hop_length & -hop_length).bit_length() - 1


def halving_plan(
    edges: Float[np.ndarray, "n_bins"],
    bins_per_octave: int,
    sr: Number,
    hop_length: int,
    early: int,
) -> list[tuple[int, int, tuple[int, ...]]]:
    """Plan the octaves, the highest first: filters from and to, reaches of all halvings.

    The rate is halved before an octave if the hop is even and the filters of that octave and of
    those below pass nothing that the halving takes away.

    Args:
        edges: upper end of what each filter passes, Hz.
        bins_per_octave: filters in an octave.
        sr: rate before any halving, Hz.
        hop_length: at `sr`.
        early: halvings before the highest octave.
    """
    plan, reaches = [], []
    for high in range(len(edges), 0, -bins_per_octave):
        top = float(np.max(edges[:high]))
        for _ in range(early if high == len(edges) else 1):
            share = top / (sr / 2 ** (len(reaches) + 2))
            if hop_length % 2 ** (len(reaches) + 1) or share > max(_REACHES):
                break
            flat = min((s for s in _REACHES if s >= share * _MARGIN), default=max(_REACHES))
            reaches.append(_REACHES[flat])
        plan.append((max(0, high - bins_per_octave), high, tuple(reaches)))
    return plan


@lru_cache
def _half_band(reach: int) -> Float[np.ndarray, "taps"]:
    """Return a low-pass filter of half the Nyquist frequency; every other tap is zero."""
    at = np.arange(-reach, reach + 1)
    taps = np.sinc(at / 2) / 2 * np.kaiser(2 * reach + 1, _BETA)
    odd = at % 2 == 1
    # A constant stays itself.
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
    """Return `function(start)` of each block of `step` rows, and zeros for blocks past `valid`."""
    shape = jax.eval_shape(function, jnp.int32(0))

    def one(start: jax.Array) -> jax.Array:
        # A loop of fewer steps would be as fast, but has no gradient.
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
    # librosa transforms in double precision whatever it is given; so does kit where there is any.
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
    shape = (len(sizes.bins), sizes.n_fft, 2 * max(sizes.bins))
    kernels = filters[: math.prod(shape)].reshape(shape)
    rows = min(_FRAMES, frames)

    def respond(y: jax.Array, n: Length, kernel: jax.Array, hop_length: Any) -> jax.Array:
        signal, _ = pad_ends(y, n, sizes.n_fft // 2, pad_mode)

        def block(start: jax.Array) -> jax.Array:
            starts = (start + jnp.arange(rows, dtype=jnp.int32)) * hop_length
            cut = jax.vmap(lambda at: lax.dynamic_slice(signal, (at,), (sizes.n_fft,)))(starts)
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


class Inverse(NamedTuple):
    """Sizes of the filters that turn a transform back into sound, the lowest octave first."""

    early: tuple[int, ...]
    """Reach of the filter of each doubling of the rate after the highest octave."""
    reach: int
    """Reach of the filter of the other doublings."""
    halvings: tuple[int, ...]
    """Of each octave, how often the rate is doubled before the early doublings."""
    lengths: tuple[int, ...]
    """Of the transform of each octave."""
    hop_length: int
    """Of the highest octave."""
    bins: tuple[int, ...]


def inverse_bank(
    freqs: Float[np.ndarray, "n_bins"],
    alpha: Float[np.ndarray, "n_bins"],
    *,
    sr: Number,
    hop_length: int,
    bins_per_octave: int,
    norm: Number | None,
    sparsity: Number,
    scale: bool,
    window: WindowSpec,
    filter_scale: Number,
) -> tuple[Inverse, np.ndarray]:
    """Return the filters of `inverse`; the arguments are those of `icqt`."""
    shape: dict[str, Any] = {"window": window, "filter_scale": filter_scale, "gamma": 0}
    lengths, highest = wavelet_lengths(freqs=freqs, sr=sr, alpha=alpha, **shape)
    plan = halving_plan(
        freqs + _MAIN_LOBE * window_bandwidth(window) * sr / lengths,
        bins_per_octave,
        sr,
        hop_length,
        early_halvings(sr, hop_length, -(-len(freqs) // bins_per_octave), highest),
    )
    made = []
    for low, high, reaches in plan[::-1]:
        rate = sr / 2 ** len(reaches)
        spectra, n_fft = filter_spectra(
            rate, freqs[low:high], alpha[low:high], norm, sparsity, **shape
        )
        gain = n_fft / lengths[low:high] / np.sum(np.abs(spectra) ** 2, axis=1)
        if scale:
            gain = gain * np.sqrt(lengths[low:high])
        back = np.conj(spectra) * gain[:, None]
        made.append(np.stack([np.fft.irfft(back, n_fft), np.fft.irfft(1j * back, n_fft)]))
    early = plan[0][2]
    sizes = Inverse(
        early,
        max(plan[-1][2][len(early) :], default=0),
        tuple(len(reaches) - len(early) for _, _, reaches in plan[::-1]),
        tuple(m.shape[2] for m in made),
        hop_length // 2 ** len(early),
        tuple(m.shape[1] for m in made),
    )
    values = np.zeros((len(made), 2, max(sizes.bins), max(sizes.lengths)))
    for place, m in zip(values, made, strict=True):
        start = (place.shape[2] - m.shape[2]) // 2
        place[:, : m.shape[1], start : start + m.shape[2]] = m
    widest = jax.dtypes.canonicalize_dtype(np.float64)
    return sizes, values.reshape(-1).astype(widest)


def inverse(
    n: Length,
    C: Complex[jax.Array, "n_bins frames"],
    filters: Float[AnyArray, "values"],
    sizes: Inverse,
) -> tuple[Float[jax.Array, "samples"], Length]:
    """Return the sound of one clip's transform, `hop_length * (n - 1)` valid samples.

    Each octave is added at its own rate to the sound of those below, whose rate is then doubled.
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
    # Even, so that it has a half.
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

    # Rate doubles before an octave that is halved less often than the one below.
    double = np.diff(sizes.halvings, prepend=sizes.halvings[0]) < 0
    hops = np.array([sizes.hop_length >> k for k in sizes.halvings], np.int32)
    given = (parts, kernels, hops, np.array(sizes.lengths, np.int32), double)
    (total, _), _ = lax.scan(octave, (jnp.zeros(size, inner), jnp.int32(0)), given)
    samples = sizes.hop_length * (n - 1)
    total = total[: sizes.hop_length * (frames - 1)]
    for reach in sizes.early[::-1]:
        total, samples = doubled(total, samples, reach)
    return total.astype(jnp.real(C).dtype), samples
