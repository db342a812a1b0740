"""Beats a minute."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Num, Shaped

from kit.dsp.checks import AnyArray, Number, positive_int, require
from kit.dsp.jit import compiled, traceable
from kit.dsp.rhythm.tempogram import envelope_of, tempo_frequencies, tempogram

# How much a correlation of 1 weighs against the prior's logarithm in `dance_tempo`.
_SHARPNESS = 12.0


@compiled("y", "onset_envelope", "tg")
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
    """The most likely tempo, beats a minute.

    Args:
        y, sr, hop_length: waveforms, their rate, and the hop of the onset strength.
        onset_envelope: (…, frames) in place of y.
        tg: tempogram in place of both.
        start_bpm: centre of the log-normal prior.
        std_bpm: its width, octaves.
        ac_size: length of the autocorrelation window, seconds.
        max_tempo: nothing above it is considered; no limit if None.
        aggregate: over frames; None gives a tempo for every frame.
        prior: anything with `logpdf(bpm)` in place of the log-normal one, such as a frozen
            distribution of scipy.
    Returns:
        times = 1, or frames where `aggregate` is None. Silence gives what the prior prefers.
    Raises:
        ParameterError: `start_bpm` or `std_bpm` not above 0.
    Source: librosa 0.11 `feature.tempo`; Ellis 2007.
    """
    require(start_bpm > 0, "start_bpm", start_bpm, "it must be above 0")
    require(std_bpm > 0, "std_bpm", std_bpm, "it must be above 0")
    if tg is None:
        win_length = int(ac_size * sr) // hop_length
        tg = tempogram(
            y=y,
            sr=sr,
            onset_envelope=onset_envelope,
            hop_length=hop_length,
            win_length=positive_int("ac_size * sr // hop_length", win_length),
        )
    tg = jnp.asarray(tg)
    bpm = tempo_frequencies(tg.shape[-2], hop_length=hop_length, sr=sr)
    if aggregate is not None:
        tg = jnp.asarray(traceable(aggregate)(tg, axis=-1, keepdims=True))
    weight = log_prior(bpm, start_bpm, std_bpm, prior)
    if max_tempo is not None:
        weight[: int(np.argmax(bpm < max_tempo))] = -np.inf
    score = jnp.log1p(1e6 * tg) + jnp.asarray(weight, tg.dtype)[:, None]
    return jnp.asarray(bpm, tg.dtype)[jnp.argmax(score, axis=-2)]


def log_prior(
    bpm: Float[np.ndarray, "lags"], start_bpm: Number, std_bpm: Number, prior: Any
) -> Float[np.ndarray, "lags"]:
    """The logarithm of the prior at each lag."""
    if prior is not None:
        return np.array(prior.logpdf(bpm), np.float64)
    with np.errstate(divide="ignore"):
        octaves = (np.log2(bpm) - np.log2(start_bpm)) / std_bpm
    return -0.5 * octaves**2


@compiled("y", "onset_envelope")
def dance_tempo(
    *,
    y: Shaped[AnyArray, "*batch samples"] | None = None,
    sr: Number = 22050,
    onset_envelope: Num[AnyArray, "*batch frames"] | None = None,
    hop_length: int = 512,
    low_bpm: Number = 90.0,
    start_bpm: Number = 128.0,
    std_bpm: Number = 0.4,
    refine: bool = True,
) -> Float[jax.Array, "*batch"]:
    """Tempo of a whole clip of dance music, within one octave and between the lags.

    `tempo` errs by octaves where the off-beat is strong, and knows no tempo between two lags
    (at 128 they are 6 bpm apart). Here a lag's score is the mean of the autocorrelation of the
    whole clip at half that lag, the lag itself, twice and four times it (a bar holds them all),
    only one octave is looked at, and the peak is that of a parabola.

    Args:
        y, sr, hop_length, onset_envelope: as in `tempo`.
        low_bpm: the octave is [low_bpm, 2 * low_bpm).
        start_bpm, std_bpm: of the log-normal prior within it.
        refine: parabola through the best lag of 16 beats (4, where the clip is shorter than 20)
            and its neighbours; otherwise the best lag of 4 beats.
    Raises:
        ParameterError: `low_bpm` not above 0, or frames too short or too coarse for it.
    """
    require(low_bpm > 0, "low_bpm", low_bpm, "it must be above 0")
    envelope = envelope_of(y, sr, onset_envelope, hop_length)
    frames = envelope.shape[-1]
    rate = sr / hop_length
    slowest = 60 * rate / low_bpm
    shortest, longest = int(np.ceil(slowest / 2)), int(np.floor(slowest))
    require(shortest >= 2, "hop_length", hop_length, "a beat must last two frames; lower it")
    need = 4 * longest + 3
    require(frames > need, "onset_envelope", f"{frames} frames", f"it must have more than {need}")
    # Without its mean and slow swell, only what recurs is left to correlate.
    centred = envelope - jnp.mean(envelope, axis=-1, keepdims=True)
    size = 2 * frames
    spectrum = jnp.fft.rfft(centred, n=size)
    energy = jnp.square(spectrum.real) + jnp.square(spectrum.imag)
    # Sixteen beats tell tempi apart still better, where the clip holds them.
    kept = max(need, 16 * longest + 6) if frames > 20 * longest else need
    lags = jnp.fft.irfft(energy, n=size)[..., : kept + 1]
    # Fewer pairs at longer lags.
    lags = lags * jnp.asarray(frames / (frames - np.arange(kept + 1)), lags.dtype)
    lags = lags / (lags[..., :1] + jnp.finfo(lags.dtype).tiny)
    # A fourfold period tells four tempi apart between two single lags.
    four = np.arange(4 * shortest, 4 * longest + 1)
    beat = four / 4
    # Half a beat counts half: dance music divides its beat by two, and a rival at 3 / 2 of the
    # period has nothing there.
    score = 0.5 * _at(lags, beat / 2) + _at(lags, beat) + _at(lags, 2 * beat) + lags[..., four]
    score = score / 3.5
    weight = log_prior(60 * rate / beat, start_bpm, std_bpm, None)
    ranked = _SHARPNESS * score + jnp.asarray(weight, lags.dtype)
    best = jnp.argmax(ranked, axis=-1)
    at, beats = jnp.asarray(four)[best], 4
    if refine:
        if kept > need:
            near = 4 * at[..., None] + np.arange(-4, 5)
            found = jnp.argmax(jnp.take_along_axis(lags, near, axis=-1), axis=-1)
            at, beats = 4 * at - 4 + found, 16
        return beats * 60 * rate / (at + _peak_offset(lags, at))
    return beats * 60 * rate / at.astype(lags.dtype)


def _at(lags: Float[jax.Array, "*batch lags"], where: np.ndarray) -> Float[jax.Array, "*batch n"]:
    whole = np.floor(where).astype(int)
    part = jnp.asarray(where - whole, lags.dtype)
    return lags[..., whole] * (1 - part) + lags[..., whole + 1] * part


def _peak_offset(
    lags: Float[jax.Array, "*batch lags"], at: Num[jax.Array, "*batch"]
) -> Float[jax.Array, "*batch"]:
    """From `at` to the top of the parabola through it and its neighbours, at most one."""
    left, middle, right = (
        jnp.take_along_axis(lags, (at + d)[..., None], axis=-1)[..., 0] for d in (-1, 0, 1)
    )
    bend = left - 2 * middle + right
    safe = jnp.where(bend < 0, bend, -1)
    return jnp.where(bend < 0, jnp.clip(0.5 * (left - right) / safe, -1, 1), 0)
