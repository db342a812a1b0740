"""Features of the shape of the spectrum of each frame."""

import math
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float, Int, Num, Shaped

from kit.dsp.checks import AnyArray, Number, positive_int, require
from kit.dsp.decibel import at_least, safe_power
from kit.dsp.jit import ByClip, Empty, Length, by_clip
from kit.dsp.stft import (
    check_framing,
    energies,
    fft_frequencies,
    map_magnitude,
    n_fft_of,
    needs_length,
    stft,
)

Waveform = Shaped[AnyArray, "*batch samples"] | None
Spectrum = Num[AnyArray, "*batch bins frames"] | None
Rows = Float[jax.Array, "rows bins"]


P = ParamSpec("P")
Made = Float[jax.Array, "*batch made frames"]


def of_frames(
    what: str | None = None, *, of_known: Any = None, **arrays: str
) -> Callable[[Callable[Concatenate[Length, P], tuple[Made, Length]]], ByClip[P, Made]]:
    """Return `by_clip` for a function of the magnitudes of frames, of `y` or of `S`.

    If `what` is given, spectra that are complex or, if known, negative are refused. `of_known`
    is the NumPy function of a real S.
    """

    def check(given: dict[str, Any]) -> None:
        check_framing(given)
        S, freq = given.get("S"), given.get("freq")
        if what is not None and S is not None:
            energies(what, S)
        if isinstance(freq, np.ndarray | jax.Array) and freq.ndim == 1:
            # One frequency for all frames; otherwise the last axis of `freq` is frames.
            given["freq"] = freq[:, None]

    def known(given: dict[str, Any]) -> Any:
        S = given["S"]
        whole = given["y"] is None and S is not None and S.size and not jnp.iscomplexobj(S)
        return of_known if whole else None

    options: dict[str, Any] = {"check": check, "of_known": known, **arrays}
    return by_clip(y="t", S="bt", exact=needs_length, passes=(stft,), **options)


def map_of_frames(
    function: Callable[..., Float[jax.Array, "rows made"]],
    n: Length,
    *,
    y: Any,
    S: Any,
    beside: tuple[Num[AnyArray, "_ _"], ...] = (),
    framing: dict[str, Any],
) -> tuple[Float[jax.Array, "made frames"], Length]:
    """Apply a function of magnitudes and of `beside`, one row per frame or one for all frames."""
    rows = [a.T for a in beside]
    framing = {"hop_length": 512, **framing}
    if S is None and any(len(a) > 1 for a in rows):
        # Frames are computed together, to match those arrays; the call has its exact length.
        magnitudes, n = map_magnitude(lambda m: m, y.shape[-1], y=y, S=None, **framing)
        return function(magnitudes, *rows).T, n

    def of_block(m: Rows) -> Float[jax.Array, "rows values"]:
        return function(m, *rows)

    return map_magnitude(of_block, n, y=y, S=S, time_last=True, **framing)


def bin_frequencies(
    freq: Any, sr: Number, S: Any, stft_arguments: dict[str, Any]
) -> Num[AnyArray, "bins _"]:
    """Return the frequencies of bins in Hz, from 0 to `sr / 2` if `freq` is not given."""
    require(0 < sr < math.inf, "sr", sr, "it must be a finite rate above 0 Hz")
    n_fft = stft_arguments.get("n_fft", 2048)
    n_fft = 2048 if n_fft is None else n_fft
    if freq is None:
        # `n_fft_of` gives 0 for a spectrum of one bin.
        return fft_frequencies(sr=sr, n_fft=max(1, n_fft_of(S, n_fft)))[:, None]
    bins = n_fft_of(None, n_fft) // 2 + 1
    bins = bins if S is None else S.shape[-2]
    require(freq.shape[-2] == bins, "freq.shape", freq.shape, f"S has {bins} bins")
    return freq


def _mean_frequency(
    S: Rows, freq: Float[jax.Array, "#rows bins"], unit: Any
) -> Float[jax.Array, "rows 1"]:
    """Return the mean of `freq / unit` weighted by magnitudes, 0 in silence."""
    total = jnp.sum(S, axis=-1, keepdims=True)
    silent = total < jnp.finfo(S.dtype).tiny
    return jnp.sum(S * (freq / unit), axis=-1, keepdims=True) / jnp.where(silent, 1, total)


@of_frames("the centroid", freq="bt")
def spectral_centroid(
    n: Length,
    *,
    y: Waveform = None,
    sr: Number = 22050,
    S: Spectrum = None,
    freq: Any = None,
    **stft_arguments: Any,
) -> tuple[Float[jax.Array, "*batch 1 frames"], Length]:
    """Return the mean frequency of each frame in Hz, weighted by magnitude; 0 in silence.

    Args:
        y, sr: waveforms and their rate.
        S: magnitudes in place of y.
        freq: frequencies of the bins, Hz, (bins,) or shaped like S; those of the FFT if not given.
        stft_arguments: n_fft (2048), hop_length (512), win_length, window, center, pad_mode.
    Raises:
        ParameterError: S complex or negative; a `freq` that does not fit the bins.
    Source: librosa 0.11 `feature.spectral_centroid`.

    Example:
        >>> y = np.sin(2 * np.pi * 1000 * np.arange(22050) / 22050)
        >>> round(float(kit.dsp.spectral_centroid(y=y)[0, 20]))  # Hz
        1000
    """
    frequency = bin_frequencies(freq, sr, S, stft_arguments)

    def centroid(m: Rows, f: Any) -> Float[jax.Array, "rows 1"]:
        return _mean_frequency(m, jnp.asarray(f, m.dtype), 1)

    return map_of_frames(centroid, n, y=y, S=S, beside=(frequency,), framing=stft_arguments)


@of_frames("the bandwidth", freq="bt", centroid="bt")
def spectral_bandwidth(
    n: Length,
    *,
    y: Waveform = None,
    sr: Number = 22050,
    S: Spectrum = None,
    freq: Any = None,
    centroid: Any = None,
    norm: bool = True,
    p: Number = 2,
    **stft_arguments: Any,
) -> tuple[Float[jax.Array, "*batch 1 frames"], Length]:
    """Return the p-th root of the mean p-th power of the distance to the centroid, Hz.

    Args:
        y, sr, S, freq, stft_arguments: as in `spectral_centroid`.
        centroid: (…, 1, frames), Hz; computed if not given.
        norm: scale the weights to sum to one.
        p: order; 2 is a standard deviation.
    Raises:
        ParameterError: `p` not above 0 or infinite, or as in `spectral_centroid`.
    Source: librosa 0.11 `feature.spectral_bandwidth`.

    Example:
        >>> S = np.zeros((5, 1), np.float32)
        >>> S[[1, 3]] = 1
        >>> kit.dsp.spectral_bandwidth(S=S, sr=8000).tolist()  # bins of 1000 Hz
        [[1000.0]]
    """
    require(0 < p < math.inf, "p", p, "it must be above 0 and finite")
    frequency = bin_frequencies(freq, sr, S, stft_arguments)
    beside = (frequency,) if centroid is None else (frequency, centroid)

    def bandwidth(m: Rows, f: Any, given: Any = None) -> Float[jax.Array, "rows 1"]:
        # Powers of hertz would leave the range of single precision.
        unit = sr / 2
        f = jnp.asarray(f, m.dtype) / unit
        centre = _mean_frequency(m, f, 1) if given is None else given.astype(m.dtype) / unit
        distance = jnp.abs(f - centre)
        total = jnp.sum(m * safe_power(distance, p), axis=-1, keepdims=True)
        if norm:
            whole = jnp.sum(m, axis=-1, keepdims=True)
            total = total / jnp.where(whole < jnp.finfo(m.dtype).tiny, 1, whole)
        # The root has no finite slope at zero.
        return unit * jnp.where(total > 0, jnp.where(total > 0, total, 1) ** (1 / p), total)

    return map_of_frames(bandwidth, n, y=y, S=S, beside=beside, framing=stft_arguments)


@of_frames("the roll-off", freq="bt")
def spectral_rolloff(
    n: Length,
    *,
    y: Waveform = None,
    sr: Number = 22050,
    S: Spectrum = None,
    freq: Any = None,
    roll_percent: Number = 0.85,
    **stft_arguments: Any,
) -> tuple[Float[jax.Array, "*batch 1 frames"], Length]:
    """Return the frequency below which `roll_percent` of a frame's magnitude lies, Hz.

    Args:
        y, sr, S, freq, stft_arguments: as in `spectral_centroid`.
        roll_percent: between 0 and 1.
    Raises:
        ParameterError: a bad `roll_percent`, or as in `spectral_centroid`.
    Source: librosa 0.11 `feature.spectral_rolloff`.

    Example:
        >>> y = np.sin(2 * np.pi * 1000 * np.arange(22050) / 22050)
        >>> round(float(kit.dsp.spectral_rolloff(y=y)[0, 20]))  # Hz, to a bin
        1012
    """
    require(0 < roll_percent < 1, "roll_percent", roll_percent, "it must lie between 0 and 1")
    frequency = bin_frequencies(freq, sr, S, stft_arguments)

    def rolloff(m: Rows, f: Any) -> Float[jax.Array, "rows 1"]:
        f = jnp.asarray(f, m.dtype)
        # Frequencies may fall: take the lowest from the bin that reaches the share upwards.
        lowest = jnp.broadcast_to(lax.cummin(f, axis=1, reverse=True), m.shape)
        rolled = jnp.take_along_axis(lowest, _rolled(m, roll_percent), axis=-1)
        spoilt = 0 * (jnp.sum(m, axis=-1, keepdims=True) + jnp.sum(f, axis=-1, keepdims=True))
        return jnp.where(jnp.isnan(spoilt), jnp.nan, rolled)

    return map_of_frames(rolloff, n, y=y, S=S, beside=(frequency,), framing=stft_arguments)


def _rolled(S: Rows, share: float) -> Int[jax.Array, "rows 1"]:
    """Return the first bin at which a frame's running sum reaches `share` of its total.

    The search is over groups of bins, then within a group: running sums over all bins are slow.
    """
    rows, bins = S.shape
    size = math.isqrt(bins) + 1
    groups = -(-bins // size)
    grid = jnp.pad(S, [(0, 0), (0, groups * size - bins)]).reshape(rows, groups, size)
    sums = jnp.cumsum(jnp.sum(grid, axis=-1), axis=-1)
    goal = share * sums[:, -1:]
    group = jnp.argmax(sums >= goal, axis=-1, keepdims=True)
    before = jnp.where(group > 0, jnp.take_along_axis(sums, jnp.maximum(group - 1, 0), axis=-1), 0)
    inside = jnp.take_along_axis(grid, group[..., None], axis=1)[:, 0]
    within = jnp.cumsum(inside, axis=-1) + before >= goal
    # In another order of summation, the group's last sum may miss the goal by a rounding error.
    last = jnp.any(within, axis=-1, keepdims=True)
    step = jnp.where(last, jnp.argmax(within, axis=-1, keepdims=True), size - 1)
    return jnp.minimum(group * size + step, bins - 1)


def _flatness_of_known(
    *, S: np.ndarray, amin: Number, power: Number, empty: Empty, **_: Any
) -> np.ndarray:
    _require_flatness(amin, power)
    S = np.ascontiguousarray(S, jnp.result_type(S, jnp.float32))
    power, limits = float(power), np.finfo(S.dtype)
    least = float(np.clip(np.float64(amin) ** (1 / power), limits.tiny, limits.max))
    # In units of the greatest magnitude, as in the program. Sums are in double precision, because
    # NumPy would round the sum after each row.
    peak = np.maximum(S.max(axis=0), least)
    floor = math.log(amin) - power * np.log(peak)
    share = S / peak
    powers = np.maximum(share**power, np.exp(floor)).mean(axis=0, dtype=np.float64)
    logs = np.maximum(power * np.log(share), floor).mean(axis=0, dtype=np.float64)
    out = empty((1, len(peak)), S.dtype)
    out[0] = np.exp(logs) / powers
    return out


def _require_flatness(amin: Number, power: Number) -> None:
    require(amin > 0, "amin", amin, "it must be above 0")
    require(power > 0, "power", power, "it must be above 0")


@of_frames("flatness", of_known=_flatness_of_known)
def spectral_flatness(
    n: Length,
    *,
    y: Waveform = None,
    S: Spectrum = None,
    amin: Number = 1e-10,
    power: Number = 2.0,
    **stft_arguments: Any,
) -> tuple[Float[jax.Array, "*batch 1 frames"], Length]:
    """Return the geometric over the arithmetic mean of `|S|^power`: 1 for noise, 0 for a tone.

    Args:
        y, S, stft_arguments: as in `spectral_centroid`.
        amin: floor of the powers.
        power: exponent of the magnitude, above 0.
    Raises:
        ParameterError: `amin` or `power` not above 0, or as in `spectral_centroid`.
    Source: librosa 0.11 `feature.spectral_flatness`.

    Example:
        >>> S = np.ones((1025, 1), np.float32)
        >>> kit.dsp.spectral_flatness(S=S).tolist()  # of noise, 1
        [[1.0]]
    """
    _require_flatness(amin, power)
    log_amin = math.log(amin)
    with np.errstate(over="ignore", under="ignore"):
        least = np.float64(amin) ** (1 / power)

    def flatness(m: Rows) -> Float[jax.Array, "rows 1"]:
        # In units of the greatest magnitude, because its power may overflow.
        limits = jnp.finfo(m.dtype)
        peak = lax.stop_gradient(jnp.max(m, axis=-1, keepdims=True))
        peak = at_least(peak, float(np.clip(least, limits.tiny, limits.max)))
        floor = log_amin - power * jnp.log(peak)
        share = m / peak
        zero = share == 0
        share = jnp.where(zero, 1, share)
        logs = at_least(jnp.where(zero, -jnp.inf, power * jnp.log(share)), floor)
        powers = jnp.where(zero, 0, jnp.square(share) if power == 2 else share**power)
        mean = jnp.mean(at_least(powers, jnp.exp(floor)), axis=-1, keepdims=True)
        return jnp.exp(jnp.mean(logs, axis=-1, keepdims=True)) / mean

    return map_of_frames(flatness, n, y=y, S=S, framing=stft_arguments)


@of_frames(freq="bt")
def poly_features(
    n: Length,
    *,
    y: Waveform = None,
    sr: Number = 22050,
    S: Spectrum = None,
    order: int = 1,
    freq: Any = None,
    **stft_arguments: Any,
) -> tuple[Float[jax.Array, "*batch coefficients frames"], Length]:
    """Fit a polynomial in frequency to each frame by least squares, the highest power first.

    Args:
        y, sr, S, freq, stft_arguments: as in `spectral_centroid`.
        order: order of the polynomial.
    Raises:
        ParameterError: a negative `order`, a `freq` that does not fit the bins.
    Source: librosa 0.11 `feature.poly_features`.

    Example:
        >>> S = np.array([[1.0], [3.0], [5.0]], np.float32)
        >>> freq = np.array([0.0, 1.0, 2.0])
        >>> kit.dsp.poly_features(S=S, freq=freq, order=1).round(3)  # slope, start
        Array([[2.],
               [1.]], dtype=float32)
    """
    order = positive_int("order", order, least=0)
    frequency = bin_frequencies(freq, sr, S, stft_arguments)
    powers = np.arange(order, -1, -1)

    def coefficients(m: Rows, f: Any) -> Float[jax.Array, "rows powers"]:
        # Powers of hertz would leave the range of single precision.
        unit: Any = sr / 2
        if isinstance(f, np.ndarray):
            fit = np.linalg.pinv((f[..., None] / unit) ** powers)
        else:
            f = f.astype(m.dtype)
            unit = at_least(jnp.max(jnp.abs(f), axis=-1, keepdims=True), 1e-30)
            fit = jnp.linalg.pinv((f / unit)[..., None] ** powers)
        fit = jnp.asarray(fit, m.dtype)
        dot = "rb,cb->rc" if len(fit) == 1 else "rb,rcb->rc"
        fit = fit[0] if len(fit) == 1 else fit
        return jnp.einsum(dot, m, fit, precision=lax.Precision.HIGHEST) / unit**powers

    return map_of_frames(coefficients, n, y=y, S=S, beside=(frequency,), framing=stft_arguments)
