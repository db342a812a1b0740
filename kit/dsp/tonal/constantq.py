"""Constant-Q and variable-Q transforms, an octave at a time."""

import math
import warnings
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Complex, Float, Inexact, Shaped

from kit.dsp.checks import AnyArray, Number, ParameterError, as_waveform, positive_int, require
from kit.dsp.jit import Length, by_clip
from kit.dsp.resample import _NAMES
from kit.dsp.stft import PadMode, check_pad_mode, map_magnitude, needs_length
from kit.dsp.tonal.octaves import (
    HIGHEST,
    Octaves,
    Sizes,
    filter_bank,
    filter_spectra,
    transform,
)
from kit.dsp.tonal.tuning import by_tuning
from kit.dsp.tonal.wavelet import (
    C1_HZ,
    Intervals,
    bins_of_octave,
    check_tuning,
    equal_bandwidth,
    finite,
    interval_frequencies,
    relative_bandwidth,
    wavelet_lengths,
)
from kit.dsp.windows import WindowSpec


def vqt(
    y: Shaped[AnyArray, "*batch samples"],
    *,
    sr: Number = 22050,
    hop_length: int = 512,
    fmin: Number | None = None,
    n_bins: int | None = 84,
    intervals: Intervals = "equal",
    gamma: Number | None = None,
    bins_per_octave: int = 12,
    tuning: Number | None = 0.0,
    filter_scale: Number = 1,
    norm: Number | None = 1,
    sparsity: Number = 0.01,
    window: WindowSpec = "hann",
    scale: bool = True,
    pad_mode: PadMode = "constant",
    res_type: str | None = "soxr_hq",
    dtype: Any = None,
) -> Complex[jax.Array, "*batch n_bins frames"]:
    """Return the variable-Q transform: filters as wide as musical intervals, at equal hops.

    Args:
        y: waveforms.
        sr: sample rate, Hz.
        hop_length: samples between frames. The rate is halved between octaves while the hop is even
            and the next octave's filters lie below the new Nyquist frequency.
        fmin: of the lowest bin, Hz; C1 (32.7 Hz) if not given.
        n_bins: bins; None for the most that fit below `sr / 2`.
        intervals: see `interval_frequencies`.
        gamma: widens the lower filters, Hz; None for the widths of hearing, 0 for constant Q.
        bins_per_octave: bins.
        tuning: of fmin, in bins; None estimates it for each clip, for which y must be known.
        filter_scale: above 1, longer filters.
        norm: of each filter.
        sparsity: share of each filter's spectrum that is left out.
        window: of the filters.
        scale: divided by the root of the filter's length.
        pad_mode: see `stft`.
        res_type: a name that `resample` knows; all give the same filter.
        dtype: complex, of the result.
    Returns:
        Complex64 (complex128 of float64); frames = 1 + samples // hop_length.
    Raises:
        ParameterError: a filter passes more than `sr / 2`; an argument out of its range; `tuning`
            is None where y is traced.
    Warns:
        UserWarning: the clip is shorter than the longest filters.
    Source: librosa 1.0 `vqt`; Schörkhuber and Klapuri 2010.
    """
    check_res_type(res_type)

    def filters_of(tuning: Number) -> Filters:
        return octave_filters(
            sr=sr,
            hop_length=hop_length,
            fmin=fmin,
            n_bins=n_bins,
            intervals=intervals,
            gamma=gamma,
            bins_per_octave=bins_per_octave,
            tuning=tuning,
            filter_scale=filter_scale,
            norm=norm,
            sparsity=sparsity,
            window=window,
            scale=scale,
        )

    count = bins_of_octave(intervals, bins_per_octave)
    return _run(y, sr, count, tuning, pad_mode, dtype, filters_of)


def cqt(
    y: Shaped[AnyArray, "*batch samples"],
    *,
    sr: Number = 22050,
    hop_length: int = 512,
    fmin: Number | None = None,
    n_bins: int | None = 84,
    bins_per_octave: int = 12,
    tuning: Number | None = 0.0,
    filter_scale: Number = 1,
    norm: Number | None = 1,
    sparsity: Number = 0.01,
    window: WindowSpec = "hann",
    scale: bool = True,
    pad_mode: PadMode = "constant",
    res_type: str | None = "soxr_hq",
    dtype: Any = None,
) -> Complex[jax.Array, "*batch n_bins frames"]:
    """Return the constant-Q transform: `vqt` of equal intervals with `gamma` 0; arguments as there.

    Source: librosa 1.0 `cqt`; Brown 1991.
    """
    return vqt(
        y,
        sr=sr,
        hop_length=hop_length,
        fmin=fmin,
        n_bins=n_bins,
        intervals="equal",
        gamma=0,
        bins_per_octave=bins_per_octave,
        tuning=tuning,
        filter_scale=filter_scale,
        norm=norm,
        sparsity=sparsity,
        window=window,
        scale=scale,
        pad_mode=pad_mode,
        res_type=res_type,
        dtype=dtype,
    )


def pseudo_cqt(
    y: Shaped[AnyArray, "*batch samples"],
    *,
    sr: Number = 22050,
    hop_length: int = 512,
    fmin: Number | None = None,
    n_bins: int | None = 84,
    bins_per_octave: int = 12,
    tuning: Number | None = 0.0,
    filter_scale: Number = 1,
    norm: Number | None = 1,
    sparsity: Number = 0.01,
    window: WindowSpec = "hann",
    scale: bool = True,
    pad_mode: PadMode = "constant",
    dtype: Any = None,
) -> Float[jax.Array, "*batch n_bins frames"]:
    """Return magnitudes of a constant-Q transform from one STFT; arguments as in `vqt`.

    Source: librosa 1.0 `pseudo_cqt`.
    """

    def filters_of(tuning: Number) -> Filters:
        return short_filters(
            sr=sr,
            hop_length=hop_length,
            fmin=fmin,
            n_bins=n_bins,
            bins_per_octave=bins_per_octave,
            tuning=tuning,
            filter_scale=filter_scale,
            norm=norm,
            sparsity=sparsity,
            window=window,
            scale=scale,
        )

    return _run(y, sr, bins_per_octave, tuning, pad_mode, dtype, filters_of)


def hybrid_cqt(
    y: Shaped[AnyArray, "*batch samples"],
    *,
    sr: Number = 22050,
    hop_length: int = 512,
    fmin: Number | None = None,
    n_bins: int | None = 84,
    bins_per_octave: int = 12,
    tuning: Number | None = 0.0,
    filter_scale: Number = 1,
    norm: Number | None = 1,
    sparsity: Number = 0.01,
    window: WindowSpec = "hann",
    scale: bool = True,
    pad_mode: PadMode = "constant",
    res_type: str | None = "soxr_hq",
    dtype: Any = None,
) -> Float[jax.Array, "*batch n_bins frames"]:
    """Return magnitudes: `pseudo_cqt` where filters are shorter than two hops, `cqt` below.

    Source: librosa 1.0 `hybrid_cqt`.
    """
    check_res_type(res_type)

    def filters_of(tuning: Number) -> Filters:
        return hybrid_filters(
            sr=sr,
            hop_length=hop_length,
            fmin=fmin,
            n_bins=n_bins,
            bins_per_octave=bins_per_octave,
            tuning=tuning,
            filter_scale=filter_scale,
            norm=norm,
            sparsity=sparsity,
            window=window,
            scale=scale,
        )

    return _run(y, sr, bins_per_octave, tuning, pad_mode, dtype, filters_of)


class Transform(NamedTuple):
    """Sizes of a transform's filters."""

    octaves: Sizes
    """Of the long filters; () if there are none."""
    short: "_Short | None"
    """Of the filters whose magnitudes are enough."""
    magnitude: bool = False
    """Give magnitudes even if there is no short filter."""

    @property
    def bins(self) -> int:
        """Return the number of filters."""
        long = (
            self.octaves.bins
            if isinstance(self.octaves, Octaves)
            else [octave.bins for octave in self.octaves]
        )
        return sum(long) + (self.short.bins if self.short else 0)


class _Short(NamedTuple):
    """Filters that are applied to the magnitudes of one STFT."""

    n_fft: int
    hop_length: int
    bins: int
    used: int
    """The filters take the spectrum's bins below this one."""


Filters = tuple[Transform, np.ndarray]
"""Sizes, which a program is made for, and values, which it is given."""


def check_short(given: dict[str, Any]) -> None:
    """Warn of a clip that is shorter than the longest filters."""
    y, plan = given["y"], given["plan"]
    if y is None or plan is None or np.ndim(y) == 0:
        return
    if isinstance(plan.octaves, Octaves):
        octaves = [(plan.octaves.n_fft, k + len(plan.octaves.early)) for k in plan.octaves.halvings]
    else:
        octaves = [(octave.n_fft, len(octave.halvings)) for octave in plan.octaves]
    for n_fft, halvings in octaves:
        left = -(-y.shape[-1] // 2**halvings)
        if n_fft > left:
            warnings.warn(
                f"n_fft={n_fft} is too large for input signal of length={left}: filters reach "
                "beyond both ends of the clip",
                stacklevel=6,
            )
            return


def response(
    n: Length,
    y: Shaped[AnyArray, "samples"],
    filters: Float[AnyArray, "values"],
    plan: Transform,
    pad_mode: PadMode,
) -> tuple[Inexact[jax.Array, "n_bins frames"], Length]:
    """Return the transform of one clip, in magnitude if any filter is short."""
    if plan.short is None:
        C, frames = transform(n, y, filters, plan.octaves, pad_mode)
        return (jnp.abs(C) if plan.magnitude else C), frames
    short = plan.short
    basis = jnp.asarray(filters)[-short.used * short.bins :].reshape(short.used, short.bins)
    C, frames = map_magnitude(
        lambda rows: jnp.dot(rows[:, : short.used], basis.astype(rows.dtype), precision=HIGHEST),
        n,
        y=y,
        S=None,
        n_fft=short.n_fft,
        hop_length=short.hop_length,
        pad_mode=pad_mode,
    )
    C = jnp.swapaxes(C, 0, 1)
    if not plan.octaves:
        return C, frames
    low, of_low = transform(n, y, filters, plan.octaves, pad_mode)
    shortest = min(low.shape[-1], C.shape[-1])
    frames = min(frames, of_low) if isinstance(n, int) else jnp.minimum(frames, of_low)
    return jnp.concatenate([jnp.abs(low)[:, :shortest], C[:, :shortest]]), frames


@by_clip(y="t", filters="w", check=check_short, exact=needs_length)
def _transformed(
    n: Length,
    *,
    y: Shaped[AnyArray, "*batch samples"],
    filters: Float[AnyArray, "*batch values"],
    plan: Transform,
    pad_mode: PadMode,
    dtype: Any,
) -> tuple[Inexact[jax.Array, "*batch n_bins frames"], Length]:
    C, frames = response(n, y, filters, plan, pad_mode)
    return C if dtype is None else C.astype(dtype), frames


def _run(
    y: Shaped[AnyArray, "*batch samples"],
    sr: Number,
    bins_per_octave: int,
    tuning: Number | None,
    pad_mode: PadMode,
    dtype: Any,
    filters_of: Callable[[Number], Filters],
) -> Any:
    y = as_clips(y)
    check_pad_mode(pad_mode)

    def of_tuning(y: AnyArray, tuning: Number) -> jax.Array:
        plan, values = filters_of(tuning)
        return _transformed(y=y, filters=values, plan=plan, pad_mode=pad_mode, dtype=dtype)

    return by_tuning(of_tuning, y, sr=sr, bins_per_octave=bins_per_octave, tuning=tuning)


def cached(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that keeps its latest results, of arguments that can be hashed."""
    of_key = lru_cache(maxsize=16)(lambda _wide, _types, **given: function(**given))

    def call(**given: Any) -> Any:
        # The widest dtype of the values, and types: 1 == 1.0 are not the same hop length.
        wide = bool(jax.config.read("jax_enable_x64"))
        types = tuple(type(v) for v in given.values())
        try:
            hash(tuple(given.values()))
        except TypeError:
            return function(**given)
        return of_key(wide, types, **given)

    return call


@cached
def octave_filters(
    *,
    sr: Number,
    hop_length: int,
    fmin: Number | None,
    n_bins: int | None,
    intervals: Any,
    gamma: Number | None,
    bins_per_octave: int,
    tuning: Number,
    filter_scale: Number,
    norm: Number | None,
    sparsity: Number,
    window: WindowSpec,
    scale: bool,
    n_octaves: int | None = None,
) -> Filters:
    """Return the filters of `vqt`.

    Args:
        sr, hop_length, fmin, n_bins, intervals, gamma, bins_per_octave, tuning: see `vqt`.
        filter_scale, norm, sparsity, window, scale: see `vqt`.
        n_octaves: the argument that gave `n_bins`, for an error's message.
    """
    hop_length = positive_int("hop_length", hop_length)
    shape = {"window": window, "filter_scale": filter_scale, "gamma": gamma}
    freqs, alpha, _ = frequencies(
        sr, fmin, n_bins, intervals, bins_per_octave, tuning, n_octaves, **shape
    )
    bank = filter_bank(
        freqs,
        alpha,
        sr=sr,
        hop_length=hop_length,
        bins_per_octave=bins_of_octave(intervals, bins_per_octave),
        norm=norm,
        sparsity=sparsity,
        scale=scale,
        **shape,
    )
    return Transform(bank.sizes, None), bank.values


@cached
def short_filters(
    *,
    sr: Number,
    hop_length: int,
    fmin: Number | None,
    n_bins: int | None,
    bins_per_octave: int,
    tuning: Number,
    filter_scale: Number,
    norm: Number | None,
    sparsity: Number,
    window: WindowSpec,
    scale: bool,
) -> Filters:
    """Return the filters of `pseudo_cqt`, whose arguments these are."""
    hop_length = positive_int("hop_length", hop_length)
    shape = {"window": window, "filter_scale": filter_scale, "gamma": 0}
    freqs, alpha, lengths = frequencies(
        sr, fmin, n_bins, "equal", bins_per_octave, tuning, None, **shape
    )
    return _short(freqs, alpha, lengths, sr, hop_length, norm, sparsity, scale, **shape)


def _short(
    freqs: np.ndarray,
    alpha: np.ndarray,
    lengths: np.ndarray,
    sr: Number,
    hop_length: int,
    norm: Number | None,
    sparsity: Number,
    scale: bool,
    **shape: Any,
) -> Filters:
    spectra, n_fft = filter_spectra(
        sr, freqs, alpha, norm, sparsity, hop_length=hop_length, **shape
    )
    gain = np.full(len(freqs), 1 / n_fft) if scale else lengths / n_fft
    basis = np.abs(spectra) * np.sqrt(gain)[:, None]
    last = int(np.flatnonzero(basis.any(axis=0))[-1])
    # Rounded, so that filters of another tuning share the program.
    used = min(basis.shape[1], (last // 64 + 1) * 64)
    values = np.ascontiguousarray(basis[:, :used].T).reshape(-1)
    widest = jax.dtypes.canonicalize_dtype(np.float64)
    return Transform((), _Short(n_fft, hop_length, len(freqs), used)), values.astype(widest)


@cached
def hybrid_filters(
    *,
    sr: Number,
    hop_length: int,
    fmin: Number | None,
    n_bins: int | None,
    bins_per_octave: int,
    tuning: Number,
    filter_scale: Number,
    norm: Number | None,
    sparsity: Number,
    window: WindowSpec,
    scale: bool,
    n_octaves: int | None = None,
) -> Filters:
    """Return the filters of `hybrid_cqt`, whose arguments these are, and `octave_filters`."""
    hop_length = positive_int("hop_length", hop_length)
    shape = {"window": window, "filter_scale": filter_scale, "gamma": 0}
    freqs, _, lengths = frequencies(
        sr, fmin, n_bins, "equal", bins_per_octave, tuning, n_octaves, **shape
    )
    full = len(freqs) - int(np.sum(2.0 ** np.ceil(np.log2(lengths)) < 2 * hop_length))
    shared = {
        "sr": sr,
        "hop_length": hop_length,
        "bins_per_octave": bins_per_octave,
        "tuning": 0.0,
        "filter_scale": filter_scale,
        "norm": norm,
        "sparsity": sparsity,
        "window": window,
        "scale": scale,
    }
    if full == 0:
        return short_filters(fmin=float(freqs[0]), n_bins=len(freqs), **shared)
    long, values = octave_filters(
        fmin=float(freqs[0]), n_bins=full, intervals="equal", gamma=0, **shared
    )
    if full == len(freqs):
        return long._replace(magnitude=True), values
    short, more = short_filters(fmin=float(freqs[full]), n_bins=len(freqs) - full, **shared)
    return Transform(long.octaves, short.short), np.concatenate([values, more])


def frequencies(
    sr: Number,
    fmin: Number | None,
    n_bins: int | None,
    intervals: Any,
    bins_per_octave: int,
    tuning: Number,
    n_octaves: int | None,
    *,
    window: WindowSpec,
    filter_scale: Number,
    gamma: Number | None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the frequency of each bin, its bandwidth over its frequency, and its filter's length.

    Raises:
        ParameterError: a filter that passes more than `sr / 2`, or an argument out of its range.
    """
    require(finite(sr) and sr > 0, "sr", sr, "it must be a number above 0 Hz")
    bins_per_octave = bins_of_octave(intervals, bins_per_octave)
    check_tuning(tuning, bins_per_octave)
    least = C1_HZ if fmin is None else fmin
    require(
        finite(least) and least > 0 and least * 2.0 ** (tuning / bins_per_octave) < sr / 2,
        "fmin",
        fmin,
        f"the lowest bin must lie above 0 Hz and below sr / 2 = {sr / 2:g} Hz",
    )
    lowest = float(least) * 2.0 ** (tuning / bins_per_octave)
    shape = {"window": window, "filter_scale": filter_scale, "gamma": gamma}
    count = math.ceil(bins_per_octave * math.log2(sr / lowest)) if n_bins is None else n_bins
    freqs = interval_frequencies(
        positive_int("n_bins", count),
        fmin=lowest,
        intervals=intervals,
        bins_per_octave=bins_per_octave,
    )
    if n_bins is None:
        freqs = _below_nyquist(freqs, sr, bins_per_octave, **shape)
    alpha = bandwidths(freqs, bins_per_octave)
    lengths, highest = wavelet_lengths(freqs=freqs, sr=sr, alpha=alpha, **shape)
    if highest > sr / 2:
        name, value = ("n_bins", n_bins) if n_octaves is None else ("n_octaves", n_octaves)
        raise ParameterError(
            f"{name} is {value}; the highest filter passes {highest:.0f} Hz, above "
            f"sr / 2 = {sr / 2:g} Hz; lower {name} or fmin"
        )
    return freqs, alpha, lengths


def _below_nyquist(freqs: np.ndarray, sr: Number, bins_per_octave: int, **shape: Any) -> np.ndarray:
    """Return the frequencies whose filters pass nothing above `sr / 2`, each as if the highest.

    Source: librosa 1.0 `constantq.__clip_freqs`.
    """
    if len(freqs) == 1:
        alpha = bandwidths(freqs, bins_per_octave)
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


def bandwidths(freqs: np.ndarray, bins_per_octave: int) -> np.ndarray:
    """Return bandwidth over frequency of each bin."""
    if len(freqs) == 1:
        return np.atleast_1d(equal_bandwidth(bins_per_octave))
    return relative_bandwidth(freqs)


def as_clips(y: Any) -> AnyArray:
    """Return a waveform that has been checked, as an array."""
    if isinstance(y, Tracer):
        return as_waveform(y)
    y = y if isinstance(y, jax.Array) else np.asarray(y)
    require(y.ndim >= 1 and y.shape[-1] >= 1, "y.shape", y.shape, "its last axis must be samples")
    return y


def check_res_type(res_type: str | None) -> None:
    """Refuse a name that `resample` does not know. All names give the same filter."""
    known = ", ".join(_NAMES)
    require(res_type is None or res_type in _NAMES, "res_type", res_type, f"it must be of {known}")
