"""Responses of constant-Q filters, an octave at a time, at a rate that halves between octaves."""

import math
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Complex, Float, Shaped

from kit.dsp.checks import AnyArray, Number, as_waveform
from kit.dsp.dft import rfft
from kit.dsp.framing import frames_first, map_frames, pad_ends
from kit.dsp.jit import Length
from kit.dsp.stft import PadMode
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
# Filters up to this length multiply the samples, longer ones the few bins of the spectrum in which
# they lie. Of 1024, 2048 and 4096 bins, 2048 was fastest (2 CPU cores).
_LONGEST_PRODUCT = 2048
_BINS = 32


class Octave(NamedTuple):
    """Sizes of one octave of filters."""

    halvings: tuple[int, ...]
    """Reach of the filter of each halving of the rate that comes before this octave."""
    n_fft: int
    hop_length: int
    bins: int
    used: tuple[int, int] | None
    """Range of the spectrum's bins that the filters take; None if they take samples."""

    @property
    def rows(self) -> int:
        """Numbers of a frame that the filters take."""
        return self.n_fft if self.used is None else 2 * (self.used[1] - self.used[0])


class FilterBank(NamedTuple):
    """Filters of a constant-Q transform: sizes, and values that a program takes as an argument."""

    octaves: tuple[Octave, ...]
    """The highest first."""
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
    octaves: list[Octave] = []
    values = []
    for low, high, halvings, total in halving_plan(
        freqs + _MAIN_LOBE * window_bandwidth(window) * sr / lengths,
        bins_per_octave,
        sr,
        hop_length,
        early_halvings(sr, hop_length, -(-len(freqs) // bins_per_octave), highest),
    ):
        rate, hop = sr / 2**total, hop_length // 2**total
        spectra, n_fft = filter_spectra(rate, freqs[low:high], alpha[low:high], norm, sparsity, **shape)
        # A filter of half the length, at half the rate, gives half the response.
        gain = np.full(high - low, 2.0**total)
        if scale:
            gain = gain / np.sqrt(lengths[low:high])
        spectra = spectra * gain[:, None]
        octave = Octave(halvings, n_fft, hop, high - low, _used(spectra, n_fft))
        octaves.append(octave)
        values.append(_kernel(spectra, octave).reshape(-1))
    widest = jax.dtypes.canonicalize_dtype(np.float64)
    return FilterBank(tuple(octaves), np.concatenate(values).astype(widest))


def _used(spectra: Complex[np.ndarray, "n bins"], n_fft: int) -> tuple[int, int] | None:
    if n_fft <= _LONGEST_PRODUCT:
        return None
    # Rounded, so that filters of another tuning share the program.
    used = np.flatnonzero(np.any(spectra != 0, axis=0))
    low, high = int(used[0]) // _BINS * _BINS, -(-(int(used[-1]) + 1) // _BINS) * _BINS
    return low, min(high, spectra.shape[1])


def _kernel(spectra: Complex[np.ndarray, "n bins"], octave: Octave) -> Float[np.ndarray, "m n2"]:
    """Return the matrix from samples, or from parts of the spectrum, to parts of the response."""
    if octave.used is None:
        # The response is linear in the samples: the sum over bins of a spectrum times a filter.
        taps = np.fft.fft(spectra, n=octave.n_fft, axis=1).T
        return np.concatenate([taps.real, taps.imag], axis=1)
    part = spectra[:, slice(*octave.used)].T
    return np.block([[part.real, part.imag], [-part.imag, part.real]])


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
) -> list[tuple[int, int, tuple[int, ...], int]]:
    """Plan the octaves, the highest first: filters from, to, new halvings, halvings in all.

    The rate is halved before an octave if the hop is even and the filters of that octave and of
    those below pass nothing that the halving takes away.

    Args:
        edges: upper end of what each filter passes, Hz.
        bins_per_octave: filters in an octave.
        sr: rate before any halving, Hz.
        hop_length: at `sr`.
        early: halvings before the highest octave.
    """
    plan, total = [], 0
    for high in range(len(edges), 0, -bins_per_octave):
        low = max(0, high - bins_per_octave)
        top = float(np.max(edges[:high]))
        halvings = []
        wanted = early if high == len(edges) else 1
        for _ in range(wanted):
            share = top / (sr / 2 ** (total + 2))
            if hop_length % 2 ** (total + 1) or share > max(_REACHES):
                break
            flat = min((s for s in _REACHES if s >= share * _MARGIN), default=max(_REACHES))
            halvings.append(_REACHES[flat])
            total += 1
        plan.append((low, high, tuple(halvings), total))
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
    """Return a clip at half the rate, of `ceil(n / 2)` valid samples, and zero past those."""
    taps = _half_band(reach)
    span = 2 * _BLOCK - 1 + 2 * reach
    matrix = np.zeros((span, _BLOCK))
    for column in range(_BLOCK):
        matrix[2 * column : 2 * column + len(taps), column] = taps
    samples = -(-y.shape[0] // 2)
    blocks = -(-samples // _BLOCK)
    rows = frames_first(jnp.pad(y, (reach, reach)), span, 2 * _BLOCK, blocks)
    out = jnp.dot(rows, jnp.asarray(matrix, y.dtype), precision=HIGHEST)
    out = out.reshape(-1)[:samples]
    valid = (n + 1) // 2
    if not isinstance(n, int):
        out = jnp.where(jnp.arange(samples) < valid, out, 0)
    return out, valid


def doubled(
    y: Float[jax.Array, "samples"], n: Length, reach: int
) -> tuple[Float[jax.Array, "twice"], Length]:
    """Return a clip, zero past `n`, at twice the rate, of `2 * n` valid samples."""
    taps = 2 * _half_band(reach)
    half = reach // 2 + 1
    span = _BLOCK + 2 * half
    matrix = np.zeros((span, 2 * _BLOCK))
    for column in range(2 * _BLOCK):
        offset = column - 2 * (np.arange(span) - half)
        inside = np.abs(offset) <= reach
        matrix[inside, column] = taps[reach + offset[inside]]
    blocks = -(-y.shape[0] // _BLOCK)
    rows = frames_first(jnp.pad(y, (half, half)), span, _BLOCK, blocks)
    out = jnp.dot(rows, jnp.asarray(matrix, y.dtype), precision=HIGHEST)
    out = out.reshape(-1)[: 2 * y.shape[0]]
    if not isinstance(n, int):
        out = jnp.where(jnp.arange(len(out)) < 2 * n, out, 0)
    return out, 2 * n


def transform(
    n: Length,
    y: Shaped[AnyArray, "samples"],
    filters: Float[AnyArray, "values"],
    octaves: tuple[Octave, ...],
    pad_mode: PadMode,
) -> tuple[Complex[jax.Array, "n_bins frames"], Length]:
    """Return the responses of a filter bank to one clip, and the number of valid frames."""
    y = as_waveform(y)
    wanted = jnp.result_type(y.dtype, jnp.complex64)
    # librosa transforms in double precision whatever it is given; so does kit where there is any.
    inner = jax.dtypes.canonicalize_dtype(np.float64)
    y, filters = y.astype(inner), jnp.asarray(filters, inner)
    parts: list[Any] = []
    start, frames = 0, n
    for octave in octaves:
        for reach in octave.halvings:
            y, n = halved(y, n, reach)
        size = octave.rows * 2 * octave.bins
        kernel = filters[start : start + size].reshape(octave.rows, -1)
        start += size
        part, valid = _responses(n, y, kernel, octave, pad_mode)
        parts.append(part)
        # The highest octave has the fewest frames.
        frames = valid if octave is octaves[0] else frames
    shortest = min(len(p) for p in parts)
    rising = [p[:shortest].reshape(shortest, 2, -1) for p in reversed(parts)]
    both = jnp.concatenate(rising, axis=2)
    V = lax.complex(both[:, 0], both[:, 1]).astype(wanted)
    return jnp.swapaxes(V, 0, 1), frames


def _responses(
    n: Length,
    y: Float[jax.Array, "samples"],
    kernel: Float[jax.Array, "rows parts"],
    octave: Octave,
    pad_mode: PadMode,
) -> tuple[Float[jax.Array, "frames parts"], Length]:
    def respond(frames: Float[jax.Array, "frames n_fft"]) -> Float[jax.Array, "frames parts"]:
        if octave.used is not None:
            D = rfft(frames)[:, slice(*octave.used)]
            frames = jnp.concatenate([jnp.real(D), jnp.imag(D)], axis=1)
        return jnp.dot(frames, kernel, precision=HIGHEST)

    y, n = pad_ends(y, n, octave.n_fft // 2, pad_mode)
    return map_frames(
        respond, y, n, frame_length=octave.n_fft, hop_length=octave.hop_length
    )

