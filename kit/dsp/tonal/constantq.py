"""Constant-Q and variable-Q transforms, an octave at a time."""

import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Complex, Float, Inexact, Shaped

from kit.dsp.checks import AnyArray, Number, as_waveform, one_of, require
from kit.dsp.jit import Length, by_clip
from kit.dsp.resample import RES_TYPES
from kit.dsp.stft import PadMode, check_pad_mode, map_magnitude, needs_length
from kit.dsp.tonal.filters import (
    Bins,
    Filters,
    Octaves,
    Shape,
    Transform,
    hybrid_filters,
    octave_filters,
    short_filters,
)
from kit.dsp.tonal.octaves import HIGHEST, transform
from kit.dsp.tonal.tuning import by_tuning
from kit.dsp.tonal.wavelet import Intervals
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
        fmin: frequency of the lowest bin, Hz; C1 (32.7 Hz) if not given.
        n_bins: number of bins; None for all that fit below `sr / 2`.
        intervals: see `interval_frequencies`.
        gamma: widening of the lower filters, Hz; None for the bandwidths of hearing, 0 for
            constant Q.
        bins_per_octave: number of bins in an octave.
        tuning: offset of fmin, bins; None estimates it for each clip, outside `jit`.
        filter_scale: above 1, longer filters.
        norm: order of each filter's norm; None for no scaling.
        sparsity: share of each filter's spectrum that is set to 0.
        window: window of the filters.
        scale: divide by the root of the filter's length.
        pad_mode: see `stft`.
        res_type: a name that `resample` knows; all give the same filter.
        dtype: complex dtype of the result.
    Returns:
        Complex64 (complex128 for float64); frames = 1 + samples // hop_length.
    Raises:
        ParameterError: a filter passes more than `sr / 2`; an argument out of its range; `tuning`
            is None and y is traced.
    Warns:
        UserWarning: the clip is shorter than the longest filters.
    Source: librosa 1.0 `vqt`; Schörkhuber and Klapuri 2010.

    Example:
        >>> y = np.sin(2 * np.pi * 880 * np.arange(4000) / 8000)
        >>> V = kit.dsp.vqt(y, sr=8000, hop_length=128, fmin=440.0, n_bins=18)
        >>> int(abs(V[:, 16]).argmax())  # an octave above 440 Hz
        12
    """
    check_res_type(res_type)
    bins = Bins(sr, hop_length, fmin, n_bins, bins_per_octave, intervals, gamma)
    shape = Shape(filter_scale, norm, sparsity, window, scale)
    return _run(y, octave_filters, bins, shape, tuning, pad_mode, dtype)


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

    Example:
        >>> y = np.sin(2 * np.pi * 440 * np.arange(22050) / 22050)
        >>> C = kit.dsp.cqt(y, sr=22050, fmin=55.0, n_bins=48)
        >>> int(abs(C[:, 20]).argmax())  # three octaves above 55 Hz
        36
    """
    check_res_type(res_type)
    bins = Bins(sr, hop_length, fmin, n_bins, bins_per_octave)
    shape = Shape(filter_scale, norm, sparsity, window, scale)
    return _run(y, octave_filters, bins, shape, tuning, pad_mode, dtype)


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

    Example:
        >>> y = np.sin(2 * np.pi * 880 * np.arange(4000) / 8000)
        >>> C = kit.dsp.pseudo_cqt(y, sr=8000, hop_length=128, fmin=440.0, n_bins=18)
        >>> int(C[:, 16].argmax())  # an octave above 440 Hz
        12
    """
    bins = Bins(sr, hop_length, fmin, n_bins, bins_per_octave)
    shape = Shape(filter_scale, norm, sparsity, window, scale)
    return _run(y, short_filters, bins, shape, tuning, pad_mode, dtype)


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
    """Return `pseudo_cqt` where filters are shorter than two hops, and magnitudes of `cqt` below.

    Source: librosa 1.0 `hybrid_cqt`.

    Example:
        >>> y = np.sin(2 * np.pi * 880 * np.arange(4000) / 8000)
        >>> C = kit.dsp.hybrid_cqt(y, sr=8000, hop_length=128, fmin=440.0, n_bins=18)
        >>> int(C[:, 16].argmax())  # an octave above 440 Hz
        12
    """
    check_res_type(res_type)
    bins = Bins(sr, hop_length, fmin, n_bins, bins_per_octave)
    shape = Shape(filter_scale, norm, sparsity, window, scale)
    return _run(y, hybrid_filters, bins, shape, tuning, pad_mode, dtype)


def check_short(given: dict[str, Any]) -> None:
    """Warn if the clip is shorter than the longest filters."""
    y, plan = given["y"], given["plan"]
    if y is None or plan is None or np.ndim(y) == 0:
        return
    if isinstance(plan.octaves, Octaves):
        octaves = [
            (max(plan.octaves.lengths), k + len(plan.octaves.early)) for k in plan.octaves.halvings
        ]
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
    """Return the transform of one clip, as magnitudes if any filter is short."""
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
    filters_of: Callable[[Bins, Shape, Number], Filters],
    bins: Bins,
    shape: Shape,
    tuning: Number | None,
    pad_mode: PadMode,
    dtype: Any,
) -> Any:
    y = as_clips(y)
    check_pad_mode(pad_mode)

    def of_tuning(y: AnyArray, tuning: Number) -> jax.Array:
        plan, values = filters_of(bins, shape, tuning)
        return _transformed(y=y, filters=values, plan=plan, pad_mode=pad_mode, dtype=dtype)

    return by_tuning(of_tuning, y, sr=bins.sr, bins_per_octave=bins.per_octave, tuning=tuning)


def as_clips(y: Any) -> AnyArray:
    """Return a waveform as a checked array."""
    if isinstance(y, Tracer):
        return as_waveform(y)
    y = y if isinstance(y, jax.Array) else np.asarray(y)
    require(y.ndim >= 1 and y.shape[-1] >= 1, "y.shape", y.shape, "its last axis must be samples")
    return y


def check_res_type(res_type: str | None) -> None:
    """Refuse a name that `resample` does not know."""
    if res_type is not None:
        one_of("res_type", res_type, RES_TYPES)
