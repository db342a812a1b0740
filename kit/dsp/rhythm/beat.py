"""Beats, by dynamic programming."""

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer
from jaxtyping import Bool, Float, Int, Num, Shaped

from kit.dsp.checks import AnyArray, Number, ParameterError, check_values, require
from kit.dsp.decibel import at_least
from kit.dsp.effects.istft import istft
from kit.dsp.framing import frames_first
from kit.dsp.jit import compiled
from kit.dsp.rhythm.tempo import tempo
from kit.dsp.rhythm.tempogram import envelope_of, fourier_tempogram
from kit.dsp.spectral.normalize import normalize

# The slowest beat looked for where the tempo is not known while tracing, beats a minute; the
# default tempogram of `tempo` goes down to 7.5.
_SLOWEST_BPM = 7.5


def beat_track(
    *,
    y: Shaped[AnyArray, "*batch samples"] | None = None,
    sr: Number = 22050,
    onset_envelope: Num[AnyArray, "*batch frames"] | None = None,
    hop_length: int = 512,
    start_bpm: Number = 120.0,
    tightness: Number = 100,
    trim: bool = True,
    bpm: Any = None,
    prior: Any = None,
    units: str = "frames",
    sparse: bool = True,
) -> tuple[Any, Any]:
    """Tempo and beats.

    Args:
        y, sr, hop_length: waveforms, their rate, and the hop of the onset strength.
        onset_envelope: (…, frames) in place of y.
        start_bpm, prior: of `tempo`.
        tightness: of the beats around the tempo, above 0.
        trim: weak beats at both ends are left out.
        bpm: a tempo, one for each clip (…, 1), or one for each frame (…, frames), in place of the
            estimate.
        units: "frames", "samples" or "time" (seconds), of sparse beats.
        sparse: give the beats as a NumPy array, which takes a single clip and cannot be jitted;
            otherwise as a mask (…, frames), which can.
    Returns:
        (beats a minute, beats). Silence has tempo 0 and no beat.
    Raises:
        ParameterError: several clips and `sparse`, `bpm` or `tightness` not above 0, unknown units.
    Source: librosa 0.11 `beat.beat_track`; Ellis 2007.
    """
    require(tightness > 0, "tightness", tightness, "it must be above 0")
    known = ("frames", "samples", "time")
    require(units in known, "units", units, f"it must be one of {', '.join(known)}")
    envelope = envelope_of(y, sr, onset_envelope, hop_length, aggregate=jnp.median)
    if sparse and envelope.ndim != 1:
        raise ParameterError(
            f"sparse is True and there are {envelope.ndim - 1} axes of clips; "
            "give sparse=False for a mask, or one clip"
        )
    rate = sr / hop_length
    if bpm is None:
        bpm = tempo(
            onset_envelope=envelope, sr=sr, hop_length=hop_length, start_bpm=start_bpm, prior=prior
        )
        slowest = min(_SLOWEST_BPM, 60 / 8.0)
        result = bpm
    else:
        check_values(np.asarray(bpm) > 0 if not _traced(bpm) else True, "bpm", "it must be above 0")
        slowest = _SLOWEST_BPM if _traced(bpm) else float(np.min(np.asarray(bpm)))
        result = bpm
    bpm = jnp.asarray(bpm, envelope.dtype)
    bpm = bpm[..., None] if bpm.ndim == envelope.ndim - 1 else bpm
    require(
        bpm.ndim == 0 or bpm.shape[-1] in (1, envelope.shape[-1]),
        "bpm.shape",
        bpm.shape,
        f"the last axis must be 1 or the {envelope.shape[-1]} frames",
    )
    longest = max(1, round(rate * 60 / slowest))
    beats = _beats(envelope, bpm, float(rate), float(tightness), trim, longest)
    heard = jnp.any(envelope != 0, axis=-1)
    if not _traced(result):
        result = np.asarray(result)
    if not sparse:
        any_heard = heard[..., None] if np.ndim(result) == heard.ndim + 1 else jnp.all(heard)
        return jnp.where(any_heard, result, 0), beats
    if not heard:
        return 0.0, np.array([], int)
    found: Any = np.flatnonzero(np.asarray(beats))
    if units == "samples":
        found = found * hop_length
    elif units == "time":
        found = found * hop_length / sr
    return result, found


def _traced(value: Any) -> bool:
    return isinstance(value, Tracer)


@partial(jax.jit, static_argnums=(2, 3, 4, 5))
def _beats(
    envelope: Float[jax.Array, "*batch frames"],
    bpm: Float[jax.Array, "..."],
    rate: float,
    tightness: float,
    trim: bool,
    longest: int,
) -> Bool[jax.Array, "*batch frames"]:
    frames = envelope.shape[-1]
    flat = envelope.reshape(-1, frames)
    period = jnp.round(rate * 60 / bpm)
    period = jnp.broadcast_to(period, (*envelope.shape[:-1], frames)).reshape(-1, frames)
    one = partial(_beats_of_one, tightness=tightness, trim=trim, longest=longest)
    return jax.vmap(one)(flat, period).reshape(envelope.shape)


def _beats_of_one(
    envelope: Float[jax.Array, "frames"],
    period: Float[jax.Array, "frames"],
    tightness: float,
    trim: bool,
    longest: int,
) -> Bool[jax.Array, "frames"]:
    heard = jnp.any(envelope != 0)
    scale = jnp.std(envelope, ddof=1) + jnp.finfo(envelope.dtype).tiny
    local = _local_score(envelope / scale, period, longest)
    links, total = _links(local, period, tightness, longest)
    beats = _followed(links, _last_beat(total))
    return _trimmed(local, beats, trim) & heard


def _local_score(
    onsets: Float[jax.Array, "frames"], period: Float[jax.Array, "frames"], longest: int
) -> Float[jax.Array, "frames"]:
    """Onsets under a Gaussian of a 32nd of the beat; as in librosa, the first onset is left out."""
    # Beyond half a beat the Gaussian is exp(-128), zero in single precision; what is near zero but
    # above it still counts when silence is trimmed.
    reach = max(1, math.ceil(longest / 2))
    padded = jnp.pad(onsets.at[0].set(0), (reach, reach))
    near = frames_first(padded, 2 * reach + 1, 1, len(onsets))
    away = jnp.arange(-reach, reach + 1)
    weight = jnp.exp(-0.5 * jnp.square(away * 32.0 / period[:, None]))
    return jnp.sum(near * weight * (jnp.abs(away) <= period[:, None]), axis=-1)


def _links(
    local: Float[jax.Array, "frames"],
    period: Float[jax.Array, "frames"],
    tightness: float,
    longest: int,
) -> tuple[Int[jax.Array, "frames"], Float[jax.Array, "frames"]]:
    """For each frame the best beat before it (-1: none), and the score of the best path to it."""
    reach = 2 * longest
    lags = jnp.arange(1, reach + 1)
    log_lags = jnp.log(lags.astype(local.dtype))
    weak = 0.01 * jnp.max(local)

    def step(state: Any, here: Any) -> Any:
        past, first = state
        index, score, beat = here
        allowed = (lags >= jnp.round(beat / 2)) & (lags <= 2 * beat) & (lags <= index)
        penalty = tightness * jnp.square(log_lags - jnp.log(beat))
        candidates = jnp.where(allowed, past - penalty, -jnp.inf)
        choice = jnp.argmax(candidates)
        found = allowed[choice]
        total = score + jnp.where(found, candidates[choice], 0)
        silent = first & (score < weak)
        link = jnp.where(found & ~silent, index - lags[choice], -1)
        return (jnp.concatenate([total[None], past[:-1]]), silent), (link, total)

    state = (jnp.zeros(reach, local.dtype), jnp.array(True))
    _, (links, total) = lax.scan(step, state, (jnp.arange(len(local)), local, period))
    return links, total


def _last_beat(total: Float[jax.Array, "frames"]) -> Int[jax.Array, ""]:
    """The last peak that is at least half as high as the median peak."""
    rises = jnp.concatenate([jnp.array([False]), total[1:] > total[:-1]])
    holds = jnp.concatenate([total[:-1] >= total[1:], jnp.array([True])])
    peaks = rises & holds
    count = jnp.sum(peaks)
    ordered = jnp.sort(jnp.where(peaks, total, jnp.inf))
    middle = 0.5 * (ordered[jnp.maximum(count - 1, 0) // 2] + ordered[count // 2])
    good = peaks & (total >= 0.5 * middle)
    last = len(total) - 1 - jnp.argmax(good[::-1])
    return jnp.where(jnp.any(good), last, len(total) - 1)


def _followed(
    links: Int[jax.Array, "frames"], tail: Int[jax.Array, ""]
) -> Bool[jax.Array, "frames"]:
    def step(at: jax.Array, here: Any) -> Any:
        index, link = here
        hit = index == at
        return jnp.where(hit, link, at), hit

    _, beats = lax.scan(step, tail, (jnp.arange(len(links)), links), reverse=True)
    return beats


def _trimmed(
    local: Float[jax.Array, "frames"], beats: Bool[jax.Array, "frames"], trim: bool
) -> Bool[jax.Array, "frames"]:
    """Without the beats before the first, and after the last, frame that is strong enough."""
    frames = len(local)
    threshold = jnp.zeros((), local.dtype)
    if trim:
        # The scores at the beats alone, one after the other, smoothed by a Hann window of five.
        rank = jnp.where(beats, jnp.cumsum(beats) - 1, frames)
        packed = jnp.zeros(frames + 1, local.dtype).at[rank].set(local)[:frames]
        smooth = jnp.convolve(packed, jnp.asarray(np.hanning(5), local.dtype))[2 : frames + 2]
        count = jnp.minimum(jnp.sum(beats) + 2, frames)
        threshold = 0.5 * jnp.sqrt(jnp.sum(jnp.square(smooth)) / count)
    strong = local > threshold
    index = jnp.arange(frames)
    first = jnp.argmax(strong)
    last = frames - 1 - jnp.argmax(strong[::-1])
    return beats & (index >= first) & (index <= last) & jnp.any(strong)


@compiled("y", "onset_envelope")
def plp(
    *,
    y: Shaped[AnyArray, "*batch samples"] | None = None,
    sr: Number = 22050,
    onset_envelope: Num[AnyArray, "*batch frames"] | None = None,
    hop_length: int = 512,
    win_length: int = 384,
    tempo_min: Number | None = 30,
    tempo_max: Number | None = 300,
    prior: Any = None,
) -> Float[jax.Array, "*batch frames"]:
    """Predominant local pulse: the onset strength's strongest period at each time, as a curve.

    Args:
        y, sr, hop_length, onset_envelope: as in `beat_track`, but the mean over bands.
        win_length: frames of the tempogram's window.
        tempo_min, tempo_max: beats a minute; None for no limit.
        prior: as in `tempo`.
    Raises:
        ParameterError: `tempo_max` not above `tempo_min`.
    Source: librosa 0.11 `beat.plp`; Grosche and Müller 2011.
    """
    if tempo_min is not None and tempo_max is not None:
        require(tempo_max > tempo_min, "tempo_max", tempo_max, f"it must be above {tempo_min} bpm")
    envelope = envelope_of(y, sr, onset_envelope, hop_length, aggregate=jnp.median)
    F = fourier_tempogram(
        onset_envelope=envelope, sr=sr, hop_length=hop_length, win_length=win_length
    )
    bpm = np.arange(F.shape[-2]) * (sr * 60 / (hop_length * win_length))
    keep = np.ones(len(bpm), bool)
    keep &= bpm >= (tempo_min if tempo_min is not None else 0)
    keep &= bpm <= (tempo_max if tempo_max is not None else np.inf)
    F = F * jnp.asarray(keep[:, None], F.dtype)
    size = jnp.log1p(1e6 * jnp.abs(F))
    if prior is not None:
        size = size + jnp.asarray(prior.logpdf(bpm), size.dtype)[:, None]
    # The place of the peak, not its value: compiled twice, a logarithm need not equal itself.
    strongest = jnp.argmax(size, axis=-2)[..., None, :]
    F = jnp.where(jnp.arange(F.shape[-2])[:, None] == strongest, F, 0)
    tallest = jnp.max(jnp.abs(F), axis=-2, keepdims=True)
    F = F / (jnp.finfo(size.dtype).tiny ** 0.5 + tallest)
    pulse = istft(F, hop_length=1, n_fft=win_length, length=envelope.shape[-1])
    return normalize(at_least(pulse, 0.0), axis=-1)
