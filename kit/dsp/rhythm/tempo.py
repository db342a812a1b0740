"""Tempo in beats a minute."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer
from jaxtyping import Bool, Float, Int, Num, Shaped

from kit.dsp.arrays import of_numpy, traceable
from kit.dsp.checks import AnyArray, Number, ParameterError, positive_int, require
from kit.dsp.dft import fast_length
from kit.dsp.jit import Length, by_clip
from kit.dsp.rhythm.tempogram import (
    check_envelope,
    check_lags,
    envelope_of_clip,
    frames_of,
    map_windows,
    power_of_rows,
    tempo_frequencies,
    tempogram,
)
from kit.dsp.stft import scale_of

# Weight of a correlation of 1 against the prior's logarithm in `dance_tempo`.
_SHARPNESS = 12.0
# Error of an autocorrelation's peak, frames.
_PEAK_ERROR = 0.15
# Ratio of the correlations at half a beat and at a beat, above which the beat may be two beats.
_AS_STRONG = 0.9


def tempo(
    *,
    y: Shaped[AnyArray, "*batch samples"] | None = None,
    sr: Number = 22050,
    onset_envelope: Num[AnyArray, "*batch frames"] | None = None,
    tg: Num[AnyArray, "*batch lags frames"] | None = None,
    hop_length: int = 512,
    start_bpm: Number = 120,
    std_bpm: Number = 1.0,
    ac_size: Number = 8.0,
    max_tempo: Number | None = 320.0,
    aggregate: Callable[..., Any] | None = np.mean,
    prior: Any = None,
) -> Float[jax.Array, "*batch times"]:
    """Return the most likely tempo, beats a minute.

    Args:
        y: waveforms (…, samples).
        sr: sample rate, Hz.
        onset_envelope: (…, frames) in place of `y`.
        tg: tempogram in place of both, (…, lags, frames).
        hop_length: samples between frames of the onset strength.
        start_bpm: centre of the log-normal prior.
        std_bpm: its width, octaves.
        ac_size: length of the autocorrelation window, seconds.
        max_tempo: upper limit, beats a minute; None for no limit.
        aggregate: function of (array, axis=, keepdims=) over frames; None gives a tempo for every
            frame. Functions other than the mean run on the host, outside `jit`.
        prior: object with a method `logpdf(bpm)`, such as a frozen SciPy distribution, in place of
            the log-normal prior.
    Returns:
        times = 1, or frames if `aggregate` is None. Silence gives the prior's most likely tempo.
        NaN where a value is not finite.
    Raises:
        ParameterError: `start_bpm`, `std_bpm` or `ac_size` not above 0, or a prior that excludes
            every tempo.
    Source: librosa 0.11 and 1.0 `feature.tempo`; Ellis 2007.

    Example:
        >>> y = np.zeros(10 * 22050, np.float32)
        >>> y[:: 22050 // 2] = 1
        >>> kit.dsp.tempo(y=y, sr=22050).round()
        Array([117.], dtype=float32)
    """
    given = {"y": y, "sr": sr, "onset_envelope": onset_envelope, "hop_length": hop_length, "tg": tg}
    check_envelope(given)
    if tg is not None:
        tg = tg if isinstance(tg, jax.Array) else np.asarray(tg)
        require(tg.ndim > 1 and tg.size, "tg.shape", tg.shape, "it must be (…, lags, frames)")
        require(not jnp.iscomplexobj(tg), "tg.dtype", tg.dtype, "it must be real")
    lags = window_of(ac_size, sr, hop_length, frames_of(given)) if tg is None else tg.shape[-2]
    weight = log_weight(lags, sr, hop_length, start_bpm, std_bpm, max_tempo, prior)
    known = not any(isinstance(a, Tracer) for a in (y, onset_envelope, tg))
    named = aggregate if aggregate is None else traceable(aggregate)
    if known and named not in (None, jnp.mean):
        if tg is None:
            tg = tempogram(
                y=y,
                sr=sr,
                onset_envelope=onset_envelope,
                hop_length=hop_length,
                win_length=lags,
            )
            y = onset_envelope = None
        tg = np.asarray(of_numpy(named)(np.asarray(tg), axis=-1, keepdims=True))
        named = None
    return estimate(
        y=None if tg is not None else y,
        sr=sr,
        onset_envelope=None if tg is not None else onset_envelope,
        tg=tg,
        hop_length=hop_length,
        aggregate=named,
        weight=weight,
    )


def window_of(ac_size: Number, sr: Number, hop_length: int, frames: int) -> int:
    """Return the length in frames of an autocorrelation window of `ac_size` seconds."""
    require(0 < ac_size < math.inf, "ac_size", ac_size, "it must be above 0 seconds and finite")
    name = "ac_size * sr // hop_length"
    lags = positive_int(name, int(ac_size * sr) // hop_length)
    check_lags(name, lags, frames)
    return lags


def density(prior: Any) -> Callable[..., Any]:
    """Return the `logpdf` of a prior; refuse a prior without one."""
    require(callable(getattr(prior, "logpdf", None)), "prior", prior, "it must have a logpdf")
    return prior.logpdf


def log_weight(
    lags: int,
    sr: Number,
    hop_length: int,
    start_bpm: Number,
    std_bpm: Number = 1.0,
    max_tempo: Number | None = 320.0,
    prior: Any = None,
) -> Float[np.ndarray, "lags"]:
    """Return the logarithm of the prior at each lag of a tempogram, -inf above `max_tempo`."""
    require(start_bpm > 0, "start_bpm", start_bpm, "it must be above 0")
    require(std_bpm > 0, "std_bpm", std_bpm, "it must be above 0")
    bpm = tempo_frequencies(lags, hop_length=hop_length, sr=sr)
    if prior is not None:
        weight = np.array(density(prior)(bpm), np.float64)
    else:
        weight = -0.5 * ((np.log2(bpm) - np.log2(start_bpm)) / std_bpm) ** 2
    if max_tempo is not None:
        weight[: int(np.argmax(bpm < max_tempo))] = -np.inf
    weight = np.where(np.isnan(weight) | np.isinf(bpm), -np.inf, weight)
    if np.all(np.isneginf(weight)):
        raise ParameterError(
            f"no tempo is possible: prior and max_tempo exclude all {lags} lags of the tempogram; "
            "raise ac_size, or change prior or max_tempo"
        )
    return weight.astype(np.float32)


@by_clip(y="t", onset_envelope="t", tg="bt", weight="b", check=check_envelope)
def estimate(
    n: Length,
    *,
    y: Any = None,
    sr: Number = 22050,
    onset_envelope: Any = None,
    tg: Any = None,
    hop_length: int = 512,
    aggregate: Callable[..., Any] | None = jnp.mean,
    weight: Float[AnyArray, "lags"],
) -> tuple[Float[jax.Array, "times"], Length | None]:
    """Return the best tempo of one clip; arguments as in `tempo`, `weight` from `log_weight`."""
    lags = weight.shape[-1]
    if tg is None:
        envelope, n = envelope_of_clip(n, y, sr, onset_envelope, hop_length)
        if aggregate is jnp.mean:
            return best_tempo(mean_tempogram(n, envelope, lags), weight, sr, hop_length), None
        tg, n = tempogram.of_clip(
            n, onset_envelope=envelope, sr=sr, hop_length=hop_length, win_length=lags
        )
    tg = jnp.asarray(tg)
    tg = tg.astype(jnp.result_type(tg, jnp.float32))
    if aggregate is jnp.mean:
        inside = jnp.arange(tg.shape[-1]) < n
        tg = jnp.sum(jnp.where(inside, tg, 0), axis=-1, keepdims=True) / n
    elif aggregate is not None:
        tg = jnp.asarray(aggregate(tg, axis=-1, keepdims=True))
    return best_tempo(tg, weight, sr, hop_length), n if aggregate is None else None


def mean_tempogram(
    n: Length, envelope: Float[jax.Array, "frames"], win_length: int
) -> Float[jax.Array, "lags 1"]:
    """Return the mean over time of `tempogram`.

    The mean of autocorrelations, each divided by its value at lag 0, is the inverse FFT of the mean
    of power spectra, so one inverse FFT is enough.
    """

    def powers(rows: Float[jax.Array, "rows win_length"]) -> Float[jax.Array, "rows bins"]:
        energy = jnp.sum(jnp.square(rows), axis=-1, keepdims=True)
        silent = energy < np.finfo(rows.dtype).tiny
        return power_of_rows(rows)[0] / jnp.where(silent, 1, energy)

    envelope = lax.stop_gradient(envelope * scale_of(envelope))
    power, times = map_windows(powers, n, envelope, win_length=win_length)
    inside = (jnp.arange(power.shape[0]) < times)[:, None]
    mean = jnp.sum(jnp.where(inside, power, 0), axis=0) / times
    n_fft = fast_length(2 * win_length - 1)
    return jnp.fft.irfft(mean, n=n_fft)[:win_length, None]


def best_tempo(
    tg: Float[jax.Array, "lags times"], weight: Any, sr: Number, hop_length: int
) -> Float[jax.Array, "times"]:
    """Return the tempo of the most likely lag, NaN where a lag is not finite."""
    bpm = tempo_frequencies(tg.shape[0], hop_length=hop_length, sr=sr)
    # Negative correlations count as 0; below -1e-6 the logarithm would fail.
    score = jnp.log1p(1e6 * jnp.where(tg < 0, 0, tg)) + jnp.asarray(weight, tg.dtype)[:, None]
    best = jnp.asarray(bpm, tg.dtype)[jnp.argmax(score, axis=0)]
    return jnp.where(jnp.all(jnp.isfinite(tg), axis=0), best, jnp.nan)


def _check_dance(given: dict[str, Any]) -> None:
    check_envelope(given)
    for name in ("low_bpm", "start_bpm", "std_bpm"):
        value = given[name]
        require(0 < value < math.inf, name, value, "it must be above 0 and finite")
    slowest = _slowest(given["sr"], given["hop_length"], given["low_bpm"])
    hop_length = given["hop_length"]
    require(
        slowest > 2, "hop_length", hop_length, "a beat must last more than two frames; lower it"
    )
    frames, need = frames_of(given), _need(slowest)
    require(frames > need, "onset_envelope", f"{frames} frames", f"it must have more than {need}")


def _slowest(sr: Number, hop_length: int, low_bpm: Number) -> float:
    """Return the length of the slowest beat, frames."""
    return 60 * sr / hop_length / low_bpm


def _need(slowest: float) -> int:
    """Return the number of lags for four beats of the slowest tempo, with a margin."""
    return math.ceil(4 * slowest) + 4


@by_clip(y="t", onset_envelope="t", check=_check_dance)
def dance_tempo(
    n: Length,
    *,
    y: Shaped[AnyArray, "*batch samples"] | None = None,
    sr: Number = 22050,
    onset_envelope: Num[AnyArray, "*batch frames"] | None = None,
    hop_length: int = 512,
    low_bpm: Number = 90.0,
    start_bpm: Number = 128.0,
    std_bpm: Number = 0.4,
    refine: bool = True,
) -> tuple[Float[jax.Array, "*batch"], None]:
    """Return the tempo of a whole clip of dance music, within one octave and between the lags.

    `tempo` makes octave errors if the off-beat is strong, and its tempi are those of whole lags
    (117.5 and 123.0 are neighbours at the defaults). This function searches one octave. The score
    of a lag is the weighted mean of the clip's autocorrelation at half the lag, the lag, twice and
    four times the lag (a bar contains all of them). The peak is the top of a parabola.

    Args:
        y, sr, hop_length, onset_envelope: see `tempo`.
        low_bpm: lower end of the octave [low_bpm, 2 * low_bpm).
        start_bpm, std_bpm: centre (in any octave) and width in octaves of the log-normal prior.
        refine: fit a parabola at the best lag of 16 beats (4 for a clip shorter than 20 beats);
            otherwise return the best lag of 4 beats.
    Returns:
        Beats a minute. Silence and a constant envelope give the prior's most likely tempo; values
        that are not finite give NaN.
    Raises:
        ParameterError: `low_bpm`, `start_bpm` or `std_bpm` not above 0, or too few or too long
            frames for `low_bpm`.

    Example:
        >>> y = np.zeros(10 * 22050, np.float32)
        >>> y[:: 22050 // 2] = 1  # two clicks a second
        >>> round(float(kit.dsp.dance_tempo(y=y, sr=22050)))  # beats a minute
        120
    """
    rate = sr / hop_length
    slowest = _slowest(sr, hop_length, low_bpm)
    need, enough = _need(slowest), 20 * math.ceil(slowest)
    envelope, n = envelope_of_clip(n, y, sr, onset_envelope, hop_length)
    # Sixteen beats separate tempi better than four, if the clip is long enough.
    bars = envelope.shape[-1] > enough
    lags = _whole_clip(n, envelope, 16 * math.ceil(slowest) + 8 if bars else need)
    # Steps of one lag at four beats are steps of a quarter lag at one beat.
    four = np.linspace(2 * slowest, 4 * slowest, 1 + math.ceil(4 * slowest))
    beat = four / 4
    # Half a beat has half the weight: dance music divides its beat by two, and a wrong period of
    # 3 / 2 beats has no peak there.
    half, one, two = (_at(lags, beat * k) for k in (0.5, 1, 2))
    score = 0.5 * half + one + two + _at(lags, four)
    octaves = np.log2(60 * rate / beat / start_bpm)
    distance = (octaves - np.round(octaves)) / std_bpm
    best = jnp.argmax(_SHARPNESS / 3.5 * score - jnp.asarray(0.5 * distance**2, lags.dtype))
    at = jnp.asarray(four, lags.dtype)[best]
    bpm, error = 4 * 60 * rate / at, 0.0
    if refine:
        period, error = _refined(lags, at, 4)
        if bars:
            period, error = (
                jnp.where(n > enough, far, near)
                for far, near in zip(_refined(lags, at, 16), (period, error), strict=True)
            )
        bpm = 60 * rate / period
    doubled = half[best] > _AS_STRONG * one[best]
    bpm = _within_octave(bpm, low_bpm, error, doubled)
    return jnp.where(jnp.isfinite(lags[0]), bpm, jnp.nan), None


def _whole_clip(
    n: Length, envelope: Float[jax.Array, "frames"], last: int
) -> Float[jax.Array, "lags"]:
    """Return the autocorrelation at lags 0 to `last`, 1 at lag 0; zero for a constant envelope."""
    frames = envelope.shape[-1]
    envelope = envelope * scale_of(envelope)
    inside = jnp.arange(frames) < n
    # Remove the mean, which correlates at every lag.
    mean = jnp.sum(jnp.where(inside, envelope, 0)) / n
    centred = jnp.where(inside, envelope - mean, 0)
    power, n_fft = power_of_rows(centred)
    lags = jnp.fft.irfft(power, n=n_fft)[: last + 1]
    # Longer lags have fewer pairs.
    lags = lags * (n / jnp.maximum(n - np.arange(last + 1), 1)).astype(lags.dtype)
    # Rounding errors of a constant correlate too.
    noise = n * jnp.square(16 * np.finfo(lags.dtype).eps * mean)
    recurs = ~(lags[0] <= noise)
    return jnp.where(recurs, lags / jnp.where(recurs, lags[0], 1), 0)


def _within_octave(
    bpm: Float[jax.Array, ""], low_bpm: Number, error: Any, doubled: Bool[jax.Array, ""]
) -> Float[jax.Array, ""]:
    """Return a tempo in the octave or next to it, moved into [low_bpm, 2 * low_bpm).

    With a relative `error`, a tempo near an end may lie on either side. If the tempo is `doubled`,
    twice the tempo is as likely.
    """
    top = 2 * low_bpm * (1 - np.finfo(bpm.dtype).eps)
    ratio = bpm / low_bpm
    twice = (ratio < 1 - error) | (doubled & (ratio < 1 + error))
    bpm = jnp.where(twice, 2 * bpm, jnp.where(ratio > 2 * (1 + error), bpm / 2, bpm))
    return jnp.clip(bpm, low_bpm, top)


def _at(lags: Float[jax.Array, "lags"], where: np.ndarray) -> Float[jax.Array, "n"]:
    """Return the autocorrelation around lags that need not be whole.

    A period between two lags has half of its correlation at each. The kernel is a trapezoid: 1 up
    to half a lag away, 0 from one and a half lags.
    """
    first = np.floor(where).astype(int) - 1
    taps = first[:, None] + np.arange(4)
    kernel = np.clip(1.5 - np.abs(taps - where[:, None]), 0, 1)
    return jnp.sum(lags[np.abs(taps)] * jnp.asarray(kernel, lags.dtype), axis=-1) / (1 + lags[1])


def _refined(
    lags: Float[jax.Array, "lags"], four: Float[jax.Array, ""], beats: int
) -> tuple[Float[jax.Array, ""], Float[jax.Array, ""]]:
    """Return the length of a beat in frames from the peak at `beats` beats, and its relative error.

    `four` is the length of four beats, and `beats` a multiple of 4.
    """
    smooth = lags[1:-1] + 0.5 * (lags[:-2] + lags[2:])
    reach = beats // 4
    at = jnp.round(four * reach).astype(int)
    near = at + np.arange(-reach, reach + 1)
    at = at - reach + jnp.argmax(smooth[near - 1])
    peak = at + _peak_offset(smooth, at - 1)
    return peak / beats, _PEAK_ERROR / peak


def _peak_offset(lags: Float[jax.Array, "lags"], at: Int[jax.Array, ""]) -> Float[jax.Array, ""]:
    """Return the offset from `at` to the top of the parabola through three lags, at most 1."""
    left, middle, right = lags[at - 1], lags[at], lags[at + 1]
    bend = left - 2 * middle + right
    safe = jnp.where(bend < 0, bend, -1)
    return jnp.where(bend < 0, jnp.clip(0.5 * (left - right) / safe, -1, 1), 0)
