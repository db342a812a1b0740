"""Beats, by dynamic programming."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer
from jaxtyping import Bool, Float, Int, Num, Shaped

from kit.dsp.checks import AnyArray, Number, ParameterError, check_values, numbers, one_of, require
from kit.dsp.framing import fit
from kit.dsp.jit import Length, by_clip
from kit.dsp.rhythm.onset_detect import UNITS, check_sparse, in_units
from kit.dsp.rhythm.tempo import best_tempo, log_weight, mean_tempogram, window_of
from kit.dsp.rhythm.tempogram import (
    check_envelope,
    envelope_of_clip,
)
from kit.dsp.stft import scale_of

# Frames whose best predecessors are searched at once, and lags of one step of that search.
_SIDE_BY_SIDE = 32


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
    """Return the tempo and the beats.

    Args:
        y: waveforms (…, samples). Their onset strength is the median over bands, or the mean if the
            median is zero throughout, because less than half of the bands sound. A clip with a peak
            below 2**-16 is scaled to full scale first.
        sr: sample rate, Hz.
        onset_envelope: (…, frames) in place of `y`.
        hop_length: samples between frames of the onset strength.
        start_bpm, prior: see `tempo`.
        tightness: penalty for beats off the tempo, above 0.
        trim: drop weak beats at both ends.
        bpm: tempo in place of the estimate: one for all, (…, 1) for each clip, or (…, frames).
        units: unit of sparse beats: "frames", "samples" or "time" (seconds).
        sparse: return the beats as a NumPy array, for one clip outside `jit`; otherwise as a mask
            (…, frames).
    Returns:
        (beats a minute, beats). Silence gives tempo 0 and no beats; a clip with a value that is not
        finite gives tempo NaN and no beats.
    Raises:
        ParameterError: several clips and `sparse`, `bpm` or `tightness` not above 0, a `bpm` that
            does not fit the frames, unknown units, or as `tempo`.
    Source: librosa 0.11 and 1.0 `beat.beat_track`; Ellis 2007.

    Example:
        >>> y = np.zeros(10 * 22050, np.float32)
        >>> y[:: 22050 // 2] = 1  # two clicks a second
        >>> tempo, beats = kit.dsp.beat_track(y=y, sr=22050, units="time")
        >>> round(float(np.median(np.diff(beats))), 1)  # seconds
        0.5
    """
    require(0 < tightness < math.inf, "tightness", tightness, "it must be above 0 and finite")
    one_of("units", units, UNITS)
    check_envelope({"y": y, "sr": sr, "onset_envelope": onset_envelope, "hop_length": hop_length})
    source: Any = y if onset_envelope is None else onset_envelope
    check_sparse(sparse, "y" if onset_envelope is None else "onset_envelope", source)
    frames = np.shape(source)[-1]
    frames = frames if onset_envelope is not None else 1 + frames // hop_length
    tempi = {} if bpm is None else _tempi(bpm, np.ndim(source), frames)
    lags = window_of(8.0, sr, hop_length, frames)
    weight = log_weight(lags, sr, hop_length, start_bpm, prior=prior)
    estimate, beats = _tracked(
        y=y if onset_envelope is None else None,
        onset_envelope=onset_envelope,
        sr=sr,
        hop_length=hop_length,
        tightness=float(tightness),
        trim=bool(trim),
        weight=weight if bpm is None else None,
        **tempi,
    )
    if bpm is not None:
        estimate = _given(bpm, estimate)
    if not sparse:
        return estimate, beats
    if isinstance(beats, Tracer):
        raise ParameterError("sparse is True and the values are traced; give sparse=False")
    found = in_units(np.flatnonzero(np.asarray(beats)), units, sr, hop_length)
    estimate = np.asarray(estimate)
    return (0.0 if np.all(estimate == 0) else estimate), found


def _tempi(bpm: Any, axes: int, frames: int) -> dict[str, Any]:
    """Return `bpm` as an argument of `_tracked`: one value per clip or per frame."""
    if not isinstance(bpm, jax.Array):
        bpm = numbers("bpm", bpm)
    if not isinstance(bpm, Tracer):
        values = np.asarray(bpm)
        check_values((values > 0) & np.isfinite(values), "bpm", "it must be above 0 and finite")
    if bpm.ndim < axes:
        return {"bpm": bpm[..., None] if isinstance(bpm, Tracer) else np.asarray(bpm)[..., None]}
    rule = f"the last axis must be 1 or the {frames} frames"
    require(bpm.shape[-1] in (1, frames), "bpm.shape", bpm.shape, rule)
    return {"bpm": bpm} if bpm.shape[-1] == 1 else {"bpms": bpm}


def _given(bpm: Any, heard: Any) -> Any:
    """Return the given tempo, but 0 or NaN where `heard`, (…, 1) for each clip, is not 1."""
    traced = isinstance(bpm, Tracer) or isinstance(heard, Tracer)
    xp: Any = jnp if traced else np
    heard = heard if traced else np.asarray(heard)
    if np.ndim(bpm) == heard.ndim - 1:
        heard = heard[..., 0]
    if np.ndim(bpm) < heard.ndim:
        spoilt = xp.isnan(heard).all()
        heard = xp.where(spoilt, xp.nan, xp.where((heard == 0).all(), 0.0, 1.0))
    result = xp.where(heard == 1, bpm, heard)
    return result if traced else np.asarray(result)


@by_clip(y="t", onset_envelope="t", bpm="b", bpms="t", weight="b")
def _tracked(
    n: Length,
    *,
    y: Any,
    onset_envelope: Any,
    sr: Number,
    hop_length: int,
    tightness: float,
    trim: bool,
    weight: Any,
    bpm: Any = None,
    bpms: Any = None,
) -> tuple[tuple[Float[jax.Array, "1"], Bool[jax.Array, "frames"]], tuple[None, Length]]:
    """Return the tempo of one clip (1 if the caller gave it) and its beats.

    The tempo is 0 for silence and NaN for values that are not finite.
    """
    envelope, frames = beat_envelope(n, y, sr, onset_envelope, hop_length)
    envelope = lax.stop_gradient(envelope)
    finite = jnp.all(jnp.isfinite(envelope))
    envelope = jnp.where(finite, envelope, 0)
    heard = jnp.any(envelope != 0)
    envelope = envelope * scale_of(envelope)
    result = jnp.ones(1, envelope.dtype)
    if weight is not None:
        result = best_tempo(
            mean_tempogram(frames, envelope, weight.shape[-1]), weight, sr, hop_length
        )
        bpm = result
    inside = jnp.arange(envelope.shape[0]) < frames
    if bpms is None:
        tempi = jnp.broadcast_to(jnp.asarray(bpm, envelope.dtype), envelope.shape)
    else:
        tempi = fit(jnp.asarray(bpms, envelope.dtype), envelope.shape[0])
        tempi = jnp.where(inside, tempi, tempi[0])
    beats = _beats(frames, envelope, jnp.round(sr / hop_length * 60 / tempi), tightness, trim)
    result = jnp.where(finite, jnp.where(heard, result, 0), jnp.nan)
    return (result, beats & heard), (None, frames)


def beat_envelope(
    n: Length, y: Any, sr: Number, onset_envelope: Any, hop_length: int
) -> tuple[Float[jax.Array, "frames"], Length]:
    """Return the onset strength: the median over bands, or the mean if the median is all zero."""
    if onset_envelope is not None:
        return envelope_of_clip(n, y, sr, onset_envelope, hop_length)
    both, n = envelope_of_clip(n, y, sr, None, hop_length, aggregate=_median_and_mean)
    return jnp.where(jnp.any(both[0] != 0), both[0], both[1]), n


def _median_and_mean(
    x: Float[jax.Array, "bands frames"], axis: int
) -> Float[jax.Array, "2 frames"]:
    return jnp.stack([jnp.median(x, axis=axis), jnp.mean(x, axis=axis)])


def _beats(
    n: Length,
    envelope: Float[jax.Array, "frames"],
    period: Float[jax.Array, "frames"],
    tightness: float,
    trim: bool,
) -> Bool[jax.Array, "frames"]:
    """Return the beats of one clip; `period` is the length of a beat at each frame, in frames."""
    inside = jnp.arange(envelope.shape[0]) < n
    mean = jnp.sum(envelope) / n
    square = jnp.sum(jnp.where(inside, jnp.square(envelope - mean), 0))
    deviation = jnp.sqrt(square / jnp.maximum(n - 1, 1)) + jnp.finfo(envelope.dtype).tiny
    local = jnp.where(inside, _local_score(n, envelope / deviation, period), 0)
    links, total = _links(n, local, period, tightness)
    return _trimmed(n, local, links, _last_beat(n, total), trim)


def _local_score(
    n: Length, onsets: Float[jax.Array, "frames"], period: Float[jax.Array, "frames"]
) -> Float[jax.Array, "frames"]:
    """Smooth onsets by a Gaussian of a 32nd of the beat; as in librosa, without the first frame."""
    frames = len(onsets)
    padded = jnp.pad(onsets.at[0].set(0), (frames, frames))
    # Beyond half a beat the Gaussian is below exp(-128), zero in single precision. Smaller values
    # above zero still count when silence is trimmed.
    reach = jnp.minimum(jnp.ceil(jnp.max(period) / 2).astype(int), n - 1)
    narrow = 32.0 / period

    def add(step: Int[jax.Array, ""], total: Float[jax.Array, "frames"]) -> Any:
        away = step - reach
        weight = jnp.exp(-0.5 * jnp.square(away * narrow)) * (jnp.abs(away) <= period)
        return total + weight * lax.dynamic_slice(padded, (frames + away,), (frames,))

    return lax.fori_loop(0, 2 * reach + 1, add, jnp.zeros_like(onsets))


def _links(
    n: Length,
    local: Float[jax.Array, "frames"],
    period: Float[jax.Array, "frames"],
    tightness: float,
) -> tuple[Int[jax.Array, "frames"], Float[jax.Array, "frames"]]:
    """Return for each frame the best beat before it (-1: none), and the score of the best path.

    A beat lasts at least half a period, so the scores of that number of frames depend only on
    earlier frames. Each step computes some frames in parallel; the next step starts after the
    frames whose scores are final.
    """
    frames, width = len(local), _SIDE_BY_SIDE
    shortest, longest = jnp.round(period / 2), 2 * period
    first_lag = jnp.maximum(jnp.min(shortest).astype(int), 1)
    last_lag = jnp.minimum(jnp.max(longest).astype(int), n)
    chunks = (last_lag - first_lag) // width + 1
    stride = jnp.minimum(first_lag, width)
    # Scores before the first frame and past a step's last frame are never used.
    total = jnp.zeros(2 * frames + 2 * width, local.dtype)
    start = frames + width
    score, beat = (jnp.pad(x, (0, width), constant_values=1) for x in (local, period))
    near = np.arange(width)
    toeplitz = width - 1 + near[:, None] - near  # frames down, lags across

    def step(state: Any) -> Any:
        at, total, links = state
        here = lax.dynamic_slice(beat, (at,), (width,))[:, None]
        low, high, middle = jnp.round(here / 2), 2 * here, jnp.log(here)

        def search(k: Int[jax.Array, ""], best: Any) -> Any:
            first = first_lag + k * width
            lags = first + near
            past = lax.dynamic_slice(
                total, (jnp.maximum(start + at - first - width + 1, 0),), (2 * width - 1,)
            )[toeplitz]
            allowed = (lags >= low) & (lags <= high) & (lags <= (at + near)[:, None])
            penalty = tightness * jnp.square(jnp.log(lags.astype(local.dtype)) - middle)
            candidates = jnp.where(allowed, past - penalty, -jnp.inf)
            choice = jnp.argmax(candidates, axis=1)
            value = jnp.take_along_axis(candidates, choice[:, None], axis=1)[:, 0]
            better = value > best[0]
            return (jnp.where(better, value, best[0]), jnp.where(better, lags[choice], best[1]))

        none = (jnp.full(width, -jnp.inf, local.dtype), jnp.zeros(width, int))
        value, lag = lax.fori_loop(0, chunks, search, none)
        found = lag > 0
        new = lax.dynamic_slice(score, (at,), (width,)) + jnp.where(found, value, 0)
        link = jnp.where(found, at + near - lag, -1)
        return (
            at + stride,
            lax.dynamic_update_slice(total, new, (start + at,)),
            lax.dynamic_update_slice(links, link, (at,)),
        )

    state = (jnp.zeros((), int), total, jnp.full(frames + width, -1))
    _, total, links = lax.while_loop(lambda s: s[0] < n, step, state)
    # The first loud frame starts the path.
    loud = local >= 0.01 * jnp.max(local)
    links = jnp.where(jnp.arange(frames) < jnp.argmax(loud), -1, links[:frames])
    return links, total[start : start + frames]


def _last_beat(n: Length, total: Float[jax.Array, "frames"]) -> Int[jax.Array, ""]:
    """Return the last peak that is at least half of the median peak."""
    index = jnp.arange(len(total))
    total = jnp.where(index < n, total, -jnp.inf)
    rises = jnp.concatenate([jnp.array([False]), total[1:] > total[:-1]])
    holds = jnp.concatenate([total[:-1] >= total[1:], jnp.array([True])])
    peaks = rises & holds & (index < n)
    count = jnp.sum(peaks)
    ordered = jnp.sort(jnp.where(peaks, total, jnp.inf))
    middle = 0.5 * (ordered[jnp.maximum(count - 1, 0) // 2] + ordered[count // 2])
    good = peaks & (total >= 0.5 * middle)
    return jnp.where(jnp.any(good), jnp.max(jnp.where(good, index, 0)), n - 1)


def _trimmed(
    n: Length,
    local: Float[jax.Array, "frames"],
    links: Int[jax.Array, "frames"],
    tail: Int[jax.Array, ""],
    trim: bool,
) -> Bool[jax.Array, "frames"]:
    """Return the beats from `tail` back, without weak beats at both ends.

    With `trim`, beats before the first or after the last strong frame are dropped. A strong frame
    is above half the root mean square of the beats' scores, smoothed by a Hann window of five
    beats, which adds half of both neighbours.
    """
    index = jnp.arange(len(local))

    def step(state: Any) -> Any:
        at, later, square, count, beats = state
        here = local[at]
        before = links[at]
        earlier = jnp.where(before >= 0, local[before], 0)
        square += jnp.square(here + 0.5 * (earlier + later))
        return before, here, square, count + 1, beats | (index == at)

    zero = jnp.zeros((), local.dtype)
    state = (tail, zero, zero, jnp.zeros((), int), jnp.zeros(len(local), bool))
    _, _, square, count, beats = lax.while_loop(lambda s: s[0] >= 0, step, state)
    # As in librosa, the window's end after the last beat counts, within the clip's frames.
    square += jnp.where(count < n, jnp.square(0.5 * local[tail]), 0)
    threshold = 0.5 * jnp.sqrt(square / jnp.minimum(count + 2, n)) if trim else zero
    strong = (local > threshold) & (index < n)
    first, last = jnp.argmax(strong), jnp.max(jnp.where(strong, index, 0))
    return beats & (index >= first) & (index <= last) & jnp.any(strong)
