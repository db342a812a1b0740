"""Pitch peaks of spectra, and their deviation from concert pitch."""

import math
import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Float, Int, Num, Shaped

from kit.dsp.arrays import of_numbers, traceable
from kit.dsp.checks import AnyArray, Number, numbers, positive_int, require
from kit.dsp.jit import Length, by_clip
from kit.dsp.stft import (
    PadMode,
    check_framing,
    fft_frequencies,
    map_magnitude,
    n_fft_of,
    needs_length,
)
from kit.dsp.tonal.wavelet import check_tuning, finite
from kit.dsp.windows import WindowSpec


def hz_to_octs(frequencies: Any, *, tuning: Number = 0.0, bins_per_octave: int = 12) -> Any:
    """Return octaves above A0 (27.5 Hz shifted by `tuning`) plus 1.

    Args:
        frequencies: Hz, any shape.
        tuning: offset from A440, in bins.
        bins_per_octave: number of bins in an octave.
    Returns:
        A JAX array for a JAX array, otherwise NumPy; -inf for 0 Hz, NaN for negative frequencies.
    Source: librosa 0.11 `hz_to_octs`.

    Example:
        >>> kit.dsp.hz_to_octs(np.array([440.0, 880.0]))
        array([4., 5.])
    """
    bins_per_octave = positive_int("bins_per_octave", bins_per_octave)
    check_tuning(tuning, bins_per_octave)
    lowest = 440.0 * 2.0 ** (tuning / bins_per_octave) / 16

    def octaves(xp: Any, f: Any) -> Any:
        # The logarithm has no finite slope at zero.
        nothing = f == 0
        with np.errstate(invalid="ignore"):
            return xp.where(nothing, -np.inf, xp.log2(xp.where(nothing, lowest, f) / lowest))

    return of_numbers(octaves, frequencies)


def _check_piptrack(given: dict[str, Any]) -> None:
    check_framing({**given, "n_fft": 2048 if given["n_fft"] is None else given["n_fft"]})


@by_clip(y="t", S="bt", check=_check_piptrack, exact=needs_length)
def piptrack(
    n: Length,
    *,
    y: Shaped[AnyArray, "*batch samples"] | None = None,
    sr: Number = 22050,
    S: Num[AnyArray, "*batch bins frames"] | None = None,
    n_fft: int | None = 2048,
    hop_length: int | None = None,
    fmin: Number = 150.0,
    fmax: Number = 4000.0,
    threshold: Number = 0.1,
    win_length: int | None = None,
    window: WindowSpec = "hann",
    center: bool = True,
    pad_mode: PadMode = "constant",
    ref: Number | Callable[..., Any] | None = None,
) -> tuple[
    tuple[Float[jax.Array, "*batch bins frames"], Float[jax.Array, "*batch bins frames"]], Length
]:
    """Return the peaks of each frame, interpolated between the bins.

    Args:
        y, sr: waveforms and their rate.
        S: magnitudes in place of y.
        n_fft, hop_length, win_length, window, center, pad_mode: see `stft`.
        fmin, fmax: range of the search, Hz.
        threshold: least magnitude of a peak, over the frame's maximum.
        ref: in place of that maximum, a function of S and `axis`; or a number, which replaces the
            threshold.
    Returns:
        Frequency in Hz and magnitude of each peak, 0 at bins without a peak. Both are NaN where the
        magnitude, its neighbours or the frame's threshold are not finite.
    Raises:
        ParameterError: neither y nor S, an argument out of its range, or as `stft`.
    Source: librosa 0.11 `piptrack`; Smith, "Sinusoidal Peak Interpolation".

    Example:
        >>> y = np.sin(2 * np.pi * 440 * np.arange(22050) / 22050)
        >>> pitches, magnitudes = kit.dsp.piptrack(y=y, sr=22050)
        >>> round(float(pitches[magnitudes[:, 20].argmax(), 20]))  # Hz
        440
    """
    require(finite(sr) and sr > 0, "sr", sr, "it must be a number above 0 Hz")
    numbers = {"fmin": fmin, "fmax": fmax, "threshold": threshold}
    for name, value in numbers.items():
        require(not math.isnan(value), name, value, "it must be a number")
    n_fft = n_fft_of(S, 2048 if n_fft is None and S is not None else n_fft)  # pyright: ignore[reportArgumentType]
    centres = fft_frequencies(sr=sr, n_fft=n_fft)
    inside = np.flatnonzero((max(fmin, 0) <= centres) & (centres < min(fmax, sr / 2)))

    def peaks(rows: Num[jax.Array, "rows bins"]) -> tuple[jax.Array, jax.Array]:
        S = jnp.abs(rows)
        if not len(inside):
            return jnp.zeros_like(S), jnp.zeros_like(S)
        pitches, magnitudes = _peaks(S, inside, sr / n_fft, threshold, ref)
        around = [(0, 0), (int(inside[0]), S.shape[1] - int(inside[-1]) - 1)]
        return jnp.pad(pitches, around), jnp.pad(magnitudes, around)

    return map_magnitude(
        peaks,
        n,
        y=y,
        S=S,
        n_fft=n_fft,
        hop_length=hop_length,
        win_length=win_length,
        window=window,
        center=center,
        pad_mode=pad_mode,
        time_last=True,
    )


def _peaks(
    S: Float[jax.Array, "rows bins"],
    inside: Int[np.ndarray, "band"],
    width_hz: float,
    threshold: Number,
    ref: Number | Callable[..., Any] | None,
) -> tuple[Float[jax.Array, "rows band"], Float[jax.Array, "rows band"]]:
    """Return frequency and magnitude of the peaks of frames, one per row, in a range of bins."""
    if ref is None:
        limit = threshold * jnp.max(S, axis=1, keepdims=True)
    elif callable(ref):
        of_bins = jnp.asarray(traceable(ref)(jnp.swapaxes(S, 0, 1), axis=-2), S.dtype)
        limit = jnp.broadcast_to(threshold * of_bins, (len(S),))[:, None]
    else:
        limit = jnp.asarray(abs(ref), S.dtype)
    last = S.shape[1] - 1
    behind, ahead = (S[:, np.clip(inside + step, 0, last)] for step in (-1, 1))
    S = S[:, inside]
    slope = (ahead - behind) / 2
    bend = ahead + behind - 2 * S
    inner = (inside > 0) & (inside < last)
    steep = jnp.abs(slope) >= jnp.abs(bend)
    shift = jnp.where(inner & ~steep, -slope / jnp.where(steep, 1, bend), 0)
    loud = jnp.where(limit < S, S, 0)
    up = loud > jnp.where(limit < behind, behind, 0)
    # As in librosa, the last bin is a peak if it is above the bin before.
    peak = up & (loud >= jnp.where(limit < ahead, ahead, 0))
    spoilt = ~jnp.isfinite(S + ahead + behind + limit)
    pitches = jnp.where(peak, (inside.astype(S.dtype) + shift) * width_hz, 0)
    magnitudes = jnp.where(peak, S + 0.5 * slope * shift, 0)
    return jnp.where(spoilt, jnp.nan, pitches), jnp.where(spoilt, jnp.nan, magnitudes)


def pitch_tuning(
    frequencies: Any, *, resolution: Number = 0.01, bins_per_octave: int = 12
) -> float:
    """Return the most frequent deviation from equal temperament at A440, in bins; not for `jit`.

    Args:
        frequencies: Hz, any shape; values not above 0 are ignored.
        resolution: width of the histogram's bins.
        bins_per_octave: bins of the temperament.
    Returns:
        Between -0.5 and 0.5.
    Raises:
        ParameterError: a frequency that is not finite or is traced; an argument out of its range.
    Warns:
        UserWarning: all frequencies are ignored, and the result is 0.
    Source: librosa 0.11 `pitch_tuning`.

    Example:
        >>> kit.dsp.pitch_tuning(np.array([440.0, 880.0]) * 2 ** (0.25 / 12))
        0.25
    """
    rule = "it must lie between 0 and 1"
    require(finite(resolution) and 0 < resolution < 1, "resolution", resolution, rule)
    bins_per_octave = positive_int("bins_per_octave", bins_per_octave)
    _known("frequencies", frequencies)
    values = np.atleast_1d(numbers("frequencies", frequencies))
    require(
        np.all(np.isfinite(values)), "frequencies", "not finite", "NaN and infinity have no pitch"
    )
    values = values[values > 0]
    if not len(values):
        warnings.warn("Trying to estimate tuning from empty frequency set: it is 0", stacklevel=2)
        return 0.0
    away = np.mod(bins_per_octave * hz_to_octs(values), 1.0)
    away[away >= 0.5] -= 1.0
    edges = np.linspace(-0.5, 0.5, int(np.ceil(1.0 / resolution)) + 1)
    counts, edges = np.histogram(away, edges)
    return float(edges[np.argmax(counts)])


def estimate_tuning(
    *,
    y: Shaped[AnyArray, "*batch samples"] | None = None,
    sr: Number = 22050,
    S: Num[AnyArray, "*batch bins frames"] | None = None,
    n_fft: int | None = 2048,
    resolution: Number = 0.01,
    bins_per_octave: int = 12,
    **kwargs: Any,
) -> float:
    """Return the tuning of a sound in bins, from the louder half of its peaks; not for `jit`.

    Arguments are as in `piptrack` and `pitch_tuning`. All clips of a batch count as one sound.

    Raises:
        ParameterError: y or S is traced, or holds NaN or infinity; or as `piptrack`.
    Source: librosa 0.11 `estimate_tuning`.

    Example:
        >>> y = np.sin(2 * np.pi * 440 * 2 ** (0.2 / 12) * np.arange(22050) / 22050)
        >>> round(float(kit.dsp.estimate_tuning(y=y, sr=22050)), 1)  # semitones
        0.2
    """
    _known("y", y)
    _known("S", S)
    pitch, mag = (np.asarray(v) for v in piptrack(y=y, sr=sr, S=S, n_fft=n_fft, **kwargs))
    name = "y" if S is None else "S"
    return _of_peaks(pitch, mag, name, resolution, bins_per_octave)


def _of_peaks(
    pitch: np.ndarray, mag: np.ndarray, name: str, resolution: Number, bins_per_octave: int
) -> float:
    spoilt = np.isnan(pitch).any()
    require(not spoilt, name, "not finite", "it has no tuning; give finite values")
    found = pitch > 0
    pitch, mag = pitch[found], mag[found]
    least = np.median(mag) if len(mag) else 0.0
    return pitch_tuning(pitch[mag >= least], resolution=resolution, bins_per_octave=bins_per_octave)


def clip_tunings(
    *, sr: Number, bins_per_octave: int, y: Any = None, S: Any = None
) -> Float[np.ndarray, "*batch"]:
    """Return the tuning of each clip, as `estimate_tuning` does; 0 for one with NaN or infinity."""
    rule = "its estimate needs known values; give a number if the sound is traced"
    require(not isinstance(y, Tracer) and not isinstance(S, Tracer), "tuning", None, rule)
    pitch, mag = (np.asarray(v) for v in piptrack(y=y, S=S, sr=sr))
    batch = pitch.shape[:-2]
    pitch, mag = (v.reshape(-1, *v.shape[-2:]) for v in (pitch, mag))
    name = "y" if S is None else "S"
    tunings = [
        0.0 if np.isnan(p).any() else _of_peaks(p, m, name, 0.01, bins_per_octave)
        for p, m in zip(pitch, mag, strict=True)
    ]
    return np.reshape(np.asarray(tunings, np.float64), batch)


def by_tuning(
    function: Callable[[AnyArray, Number], Any],
    y: AnyArray,
    *,
    sr: Number,
    bins_per_octave: int,
    tuning: Number | None,
) -> Any:
    """Return `function(y, tuning)`; if `tuning` is None, each clip has its own estimate.

    Clips of equal tuning are computed together.
    """
    if tuning is not None:
        return function(y, tuning)
    tunings = clip_tunings(y=y, sr=sr, bins_per_octave=bins_per_octave)
    if tunings.size == 0:
        return function(y, 0.0)
    different = np.unique(tunings)
    if len(different) == 1:
        return function(y, float(different[0]))
    clips = np.asarray(y).reshape(tunings.size, -1)
    order = [np.flatnonzero(tunings.reshape(-1) == t) for t in different]
    made = [function(clips[i], float(t)) for i, t in zip(order, different, strict=True)]
    back = np.argsort(np.concatenate(order))

    def joined(*parts: Any) -> jax.Array:
        whole = np.concatenate([np.asarray(p) for p in parts])[back]
        return jax.device_put(whole.reshape(*tunings.shape, *whole.shape[1:]))

    return jax.tree.map(joined, *made)


def _known(name: str, value: object) -> None:
    rule = "its values must be known: estimate the tuning outside jax.jit"
    require(not isinstance(value, Tracer), name, "traced", rule)
