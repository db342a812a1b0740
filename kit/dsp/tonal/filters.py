"""Filter banks of constant-Q and variable-Q transforms, as constants in NumPy."""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Complex, Float

from kit.dsp.checks import Number, ParameterError, positive_int, require
from kit.dsp.tonal.wavelet import (
    C1_HZ,
    bins_of_octave,
    check_tuning,
    equal_bandwidth,
    finite,
    interval_frequencies,
    relative_bandwidth,
    sparsified,
    wavelet,
    wavelet_lengths,
    window_bandwidth,
)
from kit.dsp.windows import WindowSpec

# Reach of the half-band filters in samples, by the share of the new Nyquist frequency up to which
# they are flat. Kaiser's formula gives 6.41 / (1 - share) for an error of -100 dB. Frequencies
# between the share and its mirror image about the new Nyquist frequency alias onto the rest of the
# spectrum, which no filter of a lower octave reads.
_REACHES = {0.5: 13, 0.7: 23, 0.8: 33, 0.92: 81}
# A filter passes nothing beyond its main lobe, whose half width for a Hann window of an equivalent
# noise bandwidth of 1.5 bins is 2 bins.
_MAIN_LOBE = 4 / 3
# Room for the slope of the half-band filter's error beyond its flat part.
_MARGIN = 1.2
# Filters up to this length multiply the samples, longer ones the few bins of the spectrum in which
# they lie. Of 1024, 2048 and 4096 bins, 2048 was fastest (2 CPU cores).
_LONGEST_PRODUCT = 2048
_BINS = 32


class Bins(NamedTuple):
    """Bins of a transform: arguments of `vqt`, with the values of `cqt` as defaults."""

    sr: Number
    hop_length: int
    fmin: Number | None
    n_bins: int | None
    bins_per_octave: int
    intervals: Any = "equal"
    gamma: Number | None = 0
    n_octaves: int | None = None
    """The argument from which the caller computed `n_bins`, for an error's message."""

    @property
    def per_octave(self) -> int:
        """Return the number of bins in an octave, checked."""
        return bins_of_octave(self.intervals, self.bins_per_octave)


class Shape(NamedTuple):
    """Shape of the filters: arguments of `vqt`, with its defaults."""

    filter_scale: Number = 1
    norm: Number | None = 1
    sparsity: Number = 0.01
    window: WindowSpec = "hann"
    scale: bool = True


class Octaves(NamedTuple):
    """Sizes of the octaves of a filter bank: the highest first, but the lowest first of `icqt`."""

    early: tuple[int, ...]
    """Reach of the half-band filter of each halving of the rate before the highest octave."""
    reach: int
    """Reach of the half-band filter of the other halvings."""
    halvings: tuple[int, ...]
    """Halvings of the rate before each octave, without the early ones."""
    lengths: tuple[int, ...]
    """Length of each octave's filters; their values are padded to the longest."""
    hop_length: int
    """Hop of the highest octave."""
    bins: tuple[int, ...]
    """Filters of each octave."""


def _sizes(reaches: Any, lengths: Any, bins: Any, hop_length: int) -> Octaves:
    """Return the sizes of octaves; `reaches` are of all halvings before each of them."""
    early, longest = min(reaches, key=len), max(reaches, key=len)
    return Octaves(
        early,
        max(longest[len(early) :], default=0),
        tuple(len(r) - len(early) for r in reaches),
        tuple(lengths),
        hop_length // 2 ** len(early),
        tuple(bins),
    )


class Spectral(NamedTuple):
    """Sizes of one octave of filters that multiply spectra."""

    halvings: tuple[int, ...]
    """Reach of the half-band filter of each halving of the rate, the early ones included."""
    n_fft: int
    hop_length: int
    bins: int
    used: tuple[int, int]
    """Range of the spectrum's bins that the filters read."""


class Short(NamedTuple):
    """Sizes of filters that multiply the magnitudes of one STFT."""

    n_fft: int
    hop_length: int
    bins: int
    used: int
    """The filters read the spectrum's bins below this one."""


Sizes = Octaves | tuple[Spectral, ...]
"""Sizes of a filter bank, the highest octave first."""


class Transform(NamedTuple):
    """Sizes of a transform's filters."""

    octaves: Sizes
    """Sizes of the long filters, whose responses are complex; () without long filters."""
    short: Short | None
    """Sizes of the filters whose responses are magnitudes."""
    magnitude: bool = False
    """Return magnitudes even without a short filter."""

    @property
    def bins(self) -> int:
        """Return the number of filters."""
        if isinstance(self.octaves, Octaves):
            long = sum(self.octaves.bins)
        else:
            long = sum(octave.bins for octave in self.octaves)
        return long + (self.short.bins if self.short else 0)


Filters = tuple[Transform, np.ndarray]
"""Sizes, which are constants of a program, and all values in one line, which are its argument."""


def _cached(function: Callable[[Bins, Shape, Number], Any]) -> Callable[[Bins, Shape, Number], Any]:
    """Return a function that keeps its 16 latest results, for arguments that can be hashed."""
    of_key = lru_cache(maxsize=16)(lambda _wide, _types, *given: function(*given))

    def call(bins: Bins, shape: Shape, tuning: Number) -> Any:
        # Key on the widest dtype and on types too: 1 == 1.0 would share a cache entry.
        wide = bool(jax.config.read("jax_enable_x64"))
        types = tuple(type(v) for v in (*bins, *shape, tuning))
        try:
            hash((bins, shape))
        except TypeError:
            return function(bins, shape, tuning)
        return of_key(wide, types, bins, shape, tuning)

    return call


@_cached
def octave_filters(bins: Bins, shape: Shape, tuning: Number) -> Filters:
    """Return the filters of `vqt`."""
    bins, tones = _tones(bins, shape, tuning)
    octaves = []
    for low, high, reaches in _plan(tones, bins, shape):
        rate = bins.sr / 2 ** len(reaches)
        spectra, n_fft = _spectra(rate, tones, slice(low, high), bins.gamma, shape)
        # A filter of half the length, at half the rate, gives half the response.
        gain = np.full(high - low, 2.0 ** len(reaches))
        if shape.scale:
            gain = gain / np.sqrt(tones.lengths[low:high])
        octaves.append((spectra * gain[:, None], n_fft, reaches))
    bank = _of_samples if max(n for _, n, _ in octaves) <= _LONGEST_PRODUCT else _of_spectra
    sizes, values = bank(octaves, bins.hop_length)
    return Transform(sizes, None), values.astype(jax.dtypes.canonicalize_dtype(np.float64))


@_cached
def short_filters(bins: Bins, shape: Shape, tuning: Number) -> Filters:
    """Return the filters of `pseudo_cqt`."""
    bins, tones = _tones(bins, shape, tuning)
    count = len(tones.freqs)
    n_fft = int(2.0 ** (1 + np.ceil(np.log2(bins.hop_length))))
    spectra, n_fft = _spectra(bins.sr, tones, slice(count), bins.gamma, shape, n_fft)
    gain = np.full(count, 1 / n_fft) if shape.scale else tones.lengths / n_fft
    basis = np.abs(spectra) * np.sqrt(gain)[:, None]
    last = int(np.flatnonzero(basis.any(axis=0))[-1])
    # Rounded, so that filters of another tuning share the program.
    used = min(basis.shape[1], (last // 64 + 1) * 64)
    values = np.ascontiguousarray(basis[:, :used].T).reshape(-1)
    sizes = Transform((), Short(n_fft, bins.hop_length, count, used))
    return sizes, values.astype(jax.dtypes.canonicalize_dtype(np.float64))


@_cached
def hybrid_filters(bins: Bins, shape: Shape, tuning: Number) -> Filters:
    """Return the filters of `hybrid_cqt`."""
    bins, tones = _tones(bins, shape, tuning)
    freqs = tones.freqs
    full = len(freqs) - int(np.sum(2.0 ** np.ceil(np.log2(tones.lengths)) < 2 * bins.hop_length))
    low = bins._replace(fmin=float(freqs[0]), n_bins=full, n_octaves=None)
    if full == 0:
        return short_filters(low._replace(n_bins=len(freqs)), shape, 0.0)
    long, values = octave_filters(low, shape, 0.0)
    if full == len(freqs):
        return long._replace(magnitude=True), values
    high = low._replace(fmin=float(freqs[full]), n_bins=len(freqs) - full)
    short, more = short_filters(high, shape, 0.0)
    return Transform(long.octaves, short.short), np.concatenate([values, more])


@_cached
def inverse_filters(
    bins: Bins, shape: Shape, tuning: Number
) -> tuple[Octaves, Float[np.ndarray, "values"], float]:
    """Return the filters of `icqt`: sizes, values, and the length of the longest in samples."""
    bins, tones = _tones(bins, shape, tuning)
    plan = _plan(tones, bins, shape)[::-1]
    made = []
    for low, high, reaches in plan:
        rate = bins.sr / 2 ** len(reaches)
        spectra, n_fft = _spectra(rate, tones, slice(low, high), bins.gamma, shape)
        gain = n_fft / tones.lengths[low:high] / np.sum(np.abs(spectra) ** 2, axis=1)
        if shape.scale:
            gain = gain * np.sqrt(tones.lengths[low:high])
        back = np.conj(spectra) * gain[:, None]
        made.append(np.stack([np.fft.irfft(back, n_fft), np.fft.irfft(1j * back, n_fft)]))
    _, counts, lengths = zip(*(m.shape for m in made), strict=True)
    sizes = _sizes([reaches for _, _, reaches in plan], lengths, counts, bins.hop_length)
    values = np.zeros((len(made), 2, max(sizes.bins), max(sizes.lengths)))
    for place, m in zip(values, made, strict=True):
        start = (place.shape[2] - m.shape[2]) // 2
        place[:, : m.shape[1], start : start + m.shape[2]] = m
    widest = jax.dtypes.canonicalize_dtype(np.float64)
    return sizes, values.reshape(-1).astype(widest), float(max(tones.lengths))


class _Tones(NamedTuple):
    """Frequencies and lengths of all filters."""

    freqs: Float[np.ndarray, "n_bins"]
    """Hz, ascending."""
    alpha: Float[np.ndarray, "n_bins"]
    """Bandwidth over frequency."""
    lengths: Float[np.ndarray, "n_bins"]
    """Samples."""
    highest: float
    """The highest frequency that any filter passes, Hz."""


def _tones(bins: Bins, shape: Shape, tuning: Number) -> tuple[Bins, _Tones]:
    """Return `bins` with whole numbers checked, and the tones of its filters."""
    sr, per_octave = bins.sr, bins.per_octave
    bins = bins._replace(hop_length=positive_int("hop_length", bins.hop_length))
    require(finite(sr) and sr > 0, "sr", sr, "it must be a number above 0 Hz")
    check_tuning(tuning, per_octave)
    least = C1_HZ if bins.fmin is None else bins.fmin
    rule = f"the lowest bin must lie above 0 Hz and below sr / 2 = {sr / 2:g} Hz"
    known = finite(least) and least > 0 and least * 2.0 ** (tuning / per_octave) < sr / 2
    require(known, "fmin", bins.fmin, rule)
    lowest = float(least) * 2.0 ** (tuning / per_octave)
    count = math.ceil(per_octave * math.log2(sr / lowest)) if bins.n_bins is None else bins.n_bins
    freqs = interval_frequencies(
        positive_int("n_bins", count),
        fmin=lowest,
        intervals=bins.intervals,
        bins_per_octave=per_octave,
    )
    options = {"window": shape.window, "filter_scale": shape.filter_scale, "gamma": bins.gamma}
    if bins.n_bins is None:
        freqs = _below_nyquist(freqs, sr, per_octave, **options)
    alpha = _bandwidths(freqs, per_octave)
    lengths, highest = wavelet_lengths(freqs=freqs, sr=sr, alpha=alpha, **options)
    if highest > sr / 2:
        name = "n_bins" if bins.n_octaves is None else "n_octaves"
        raise ParameterError(
            f"{name} is {getattr(bins, name)}; the highest filter passes {highest:.0f} Hz, above "
            f"sr / 2 = {sr / 2:g} Hz; lower {name} or fmin"
        )
    return bins._replace(bins_per_octave=per_octave), _Tones(freqs, alpha, lengths, highest)


def _below_nyquist(freqs: np.ndarray, sr: Number, bins_per_octave: int, **shape: Any) -> np.ndarray:
    """Return the frequencies whose filters pass nothing above `sr / 2`, each as if the highest.

    Source: librosa 1.0 `constantq.__clip_freqs`.
    """
    if len(freqs) == 1:
        alpha = _bandwidths(freqs, bins_per_octave)
    else:
        spacing = np.diff(np.log2(freqs))
        alpha = equal_bandwidth(1 / np.concatenate([spacing[:1], spacing]))
    count = 0
    for freq, width in zip(freqs, alpha, strict=True):
        _, highest = wavelet_lengths(freqs=[freq], sr=sr, alpha=[width], **shape)
        if highest >= sr / 2:
            break
        count += 1
    require(count, "sr", sr, f"the filter at {freqs[0]:g} Hz passes more than sr / 2")
    return freqs[:count]


def _bandwidths(freqs: np.ndarray, bins_per_octave: int) -> np.ndarray:
    """Return the bandwidth of each bin over its frequency."""
    if len(freqs) == 1:
        return np.atleast_1d(equal_bandwidth(bins_per_octave))
    return relative_bandwidth(freqs)


def _spectra(
    sr: Number,
    tones: _Tones,
    part: slice,
    gamma: Number | None,
    shape: Shape,
    least: int = 1,
) -> tuple[Complex[np.ndarray, "n bins"], int]:
    """Return the spectra of some filters at a rate, and the length of their FFT."""
    rows, lengths = wavelet(
        freqs=tones.freqs[part],
        sr=sr,
        window=shape.window,
        filter_scale=shape.filter_scale,
        norm=shape.norm,
        gamma=gamma,
        alpha=tones.alpha[part],
        dtype=np.complex128,
    )
    n_fft = max(rows.shape[1], least)
    scaled = rows * (lengths[:, None] / n_fft)
    spectra = np.fft.fft(scaled, n=n_fft, axis=1)[:, : n_fft // 2 + 1]
    return sparsified(spectra, shape.sparsity), n_fft


def _plan(tones: _Tones, bins: Bins, shape: Shape) -> list[tuple[int, int, tuple[int, ...]]]:
    """Plan the octaves, the highest first: filters from and to, reaches of all halvings.

    The rate is halved before an octave if the hop is even and the filters of that octave and of
    the lower ones pass nothing that the halving removes. librosa 0.11 gives the number of halvings
    before the highest octave (`constantq.__early_downsample_count`).
    """
    sr, hop_length, per_octave = bins.sr, bins.hop_length, bins.bins_per_octave
    # Upper end of each filter's band, Hz.
    edges = tones.freqs + _MAIN_LOBE * window_bandwidth(shape.window) * sr / tones.lengths
    twos = (hop_length & -hop_length).bit_length() - 1
    room = max(0, math.ceil(math.log2(sr / 2 / tones.highest)) - 2)
    early = min(room, max(0, twos - -(-len(edges) // per_octave) + 1))
    plan, reaches = [], []
    for high in range(len(edges), 0, -per_octave):
        top = float(np.max(edges[:high]))
        for _ in range(early if high == len(edges) else 1):
            share = top / (sr / 2 ** (len(reaches) + 2))
            if hop_length % 2 ** (len(reaches) + 1) or share > max(_REACHES):
                break
            flat = min((s for s in _REACHES if s >= share * _MARGIN), default=max(_REACHES))
            reaches.append(_REACHES[flat])
        plan.append((max(0, high - per_octave), high, tuple(reaches)))
    return plan


_Spectra = list[tuple[np.ndarray, int, tuple[int, ...]]]


def _of_samples(octaves: _Spectra, hop_length: int) -> tuple[Octaves, np.ndarray]:
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
    spectra, lengths, reaches = zip(*octaves, strict=True)
    return _sizes(reaches, lengths, map(len, spectra), hop_length), values.reshape(-1)


def _of_spectra(octaves: _Spectra, hop_length: int) -> tuple[tuple[Spectral, ...], np.ndarray]:
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
