"""Onsets as peaks of the onset strength, picked greedily or by dynamic programming."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer
from jaxtyping import Bool, Float, Int, Num, Shaped

from kit.dsp.arrays import known, placed
from kit.dsp.checks import (
    AnyArray,
    Number,
    ParameterError,
    check_values,
    one_of,
    positive_int,
    require,
)
from kit.dsp.jit import Length, by_clip
from kit.dsp.rhythm.tempogram import envelope_of

_METHODS = ("greedy", "dp_count", "dp_value")
UNITS = ("frames", "samples", "time")


def onset_detect(
    *,
    y: Shaped[AnyArray, "*batch samples"] | None = None,
    sr: Number = 22050,
    onset_envelope: Num[AnyArray, "*batch frames"] | None = None,
    hop_length: int = 512,
    backtrack: bool = False,
    energy: Num[AnyArray, "..."] | None = None,
    units: str = "frames",
    normalize: bool = True,
    sparse: bool = True,
    **kwargs: Any,
) -> Num[np.ndarray, "onsets"] | Bool[jax.Array, "*batch frames"]:
    """Return the onsets of notes: the peaks of the onset strength.

    Args:
        y, sr, hop_length: waveforms, their rate, and the hop of the onset strength.
        onset_envelope: (…, frames) in place of y.
        backtrack: move each onset back to the previous minimum of `energy`.
        energy: see `onset_backtrack`; the onset strength if not given.
        units: unit of sparse onsets: "frames", "samples" or "time" (seconds).
        normalize: scale the onset strength of each clip to [0, 1] first.
        sparse: return the onsets as a NumPy array, for one clip outside `jit`; otherwise as a mask
            (…, frames).
        kwargs: arguments of `peak_pick`. By default a peak is the maximum of the 30 ms up to its
            frame, exceeds the mean within 100 ms by 0.07, and follows the previous peak by more
            than 30 ms.
    Returns:
        Onsets in ascending order, or the mask. Silence has no onsets.
    Raises:
        ParameterError: neither y nor an envelope, values that are not finite, unknown units,
            several clips or a traced array and `sparse`, `backtrack` without `sparse`, or arguments
            that `peak_pick` refuses.
    Source: librosa 0.11 `onset.onset_detect`; Böck, Krebs and Schedl 2012.

    Example:
        >>> y = np.zeros(22050, np.float32)
        >>> y[11264] = 1
        >>> kit.dsp.onset_detect(y=y, sr=22050, units="time").round(1)
        array([0.5])
    """
    one_of("units", units, UNITS)
    if backtrack and not sparse:
        raise ParameterError("backtrack is True and sparse is False; give sparse=True")
    hop_length = positive_int("hop_length", hop_length)
    envelope = known(envelope_of(y, sr, onset_envelope, hop_length))
    check_sparse(sparse, "onset_envelope", envelope)
    frames = envelope.shape[-1] if envelope.ndim else 0
    require(frames > 0, "onset_envelope.shape", envelope.shape, "it must have a frame")
    xp = jnp if isinstance(envelope, Tracer) else np
    check_values(xp.isfinite(envelope), "onset_envelope", "they must be finite")
    if normalize:
        envelope = envelope - xp.min(envelope, axis=-1, keepdims=True)
        tiny = np.finfo(envelope.dtype).tiny
        envelope = envelope / (xp.max(envelope, axis=-1, keepdims=True) + tiny)
    defaults = {
        "pre_max": 0.03 * sr // hop_length,
        "post_max": 1,
        "pre_avg": 0.1 * sr // hop_length,
        "post_avg": 0.1 * sr // hop_length + 1,
        "wait": 0.03 * sr // hop_length,
        "delta": 0.07,
    }
    mask = known(peak_pick(envelope, sparse=False, **(defaults | kwargs)))
    mask = mask & xp.any(envelope != 0, axis=-1, keepdims=True)
    if not sparse:
        return mask if isinstance(mask, Tracer) else placed(mask)
    onsets = np.flatnonzero(mask)
    if backtrack:
        onsets = onset_backtrack(onsets, np.asarray(envelope) if energy is None else energy)
    return in_units(onsets, units, sr, hop_length)


def in_units(
    frames: Int[np.ndarray, "events"], units: str, sr: Number, hop_length: int
) -> Num[np.ndarray, "events"]:
    """Return frames as "frames", "samples" or "time" (seconds)."""
    if units == "samples":
        return frames * hop_length
    return frames * hop_length / sr if units == "time" else frames


def check_sparse(sparse: bool, name: str, array: Any) -> None:
    """Refuse `sparse` for several clips, or traced values."""
    if sparse and (array.ndim != 1 or isinstance(array, Tracer)):
        found = "is traced" if isinstance(array, Tracer) else f"has {array.ndim} axes"
        raise ParameterError(f"sparse is True and {name} {found}; give sparse=False for a mask")


def onset_backtrack(
    events: Num[AnyArray, "events"], energy: Num[AnyArray, "..."]
) -> Int[np.ndarray, "events"]:
    """Move each event back to the closest local minimum of the energy; not for `jit`.

    Args:
        events: frames, 0 and above.
        energy: (frames,), such as the onset strength; or (1, frames), such as `rms`.
    Returns:
        For each event the last minimum at or before it; 0 if there is no minimum.
    Raises:
        ParameterError: `events` not whole numbers of at least 0, or `energy` not finite or of
            several clips.
    Source: librosa 0.11 `onset.onset_backtrack`, which refuses an empty list of events, and returns
    0 for all events if the energy is (1, frames).

    Example:
        >>> energy = np.array([3.0, 1.0, 2.0, 4.0, 1.0])
        >>> kit.dsp.onset_backtrack(np.array([3]), energy)  # to the minimum before
        array([1])
    """
    at, level = np.asarray(events), np.asarray(energy)
    whole = np.issubdtype(at.dtype, np.integer) and bool(np.all(at >= 0))
    require(whole, "events", events, "they must be whole numbers of at least 0")
    one = level.ndim >= 1 and level.size == level.shape[-1]
    require(one, "energy.shape", level.shape, "it must be of one clip, (frames,)")
    level = level.reshape(-1)
    check_values(np.isfinite(level), "energy", "they must be finite")
    lower = (level[1:-1] <= level[:-2]) & (level[1:-1] < level[2:])
    minima = np.concatenate([[0], 1 + np.flatnonzero(lower)])
    return minima[np.searchsorted(minima, at, side="right") - 1]


def peak_pick(
    x: Num[AnyArray, "..."],
    *,
    pre_max: Number,
    post_max: Number,
    pre_avg: Number,
    post_avg: Number,
    delta: Number,
    wait: Number,
    sparse: bool = True,
    method: str = "greedy",
    axis: int = -1,
) -> Any:
    """Return the peaks of a signal that rise above its surroundings.

    A candidate is the maximum from `pre_max` before to `post_max` - 1 after it, and at least
    `delta` above the mean from `pre_avg` before to `post_avg` - 1 after it. The peaks are
    candidates more than `wait` apart. Numbers are rounded up to whole ones.

    Args:
        x: any real numbers; one axis if `sparse`.
        pre_max, pre_avg, delta, wait: at least 0.
        post_max, post_avg: above 0.
        sparse: return the indices as a NumPy array, outside `jit`; otherwise a mask shaped like x.
        method: "greedy" takes each candidate that is far enough from the previous peak; "dp_count"
            finds the largest set of peaks by dynamic programming, "dp_value" the set with the
            greatest sum of values.
        axis: axis of the signal.
    Raises:
        ParameterError: an argument out of range, an unknown method, NaN in x, or several axes or a
            traced array and `sparse`.
    Source: librosa 0.11 `util.peak_pick`, with librosa 1.0's `method`.

    Example:
        >>> x = np.array([0.0, 0.0, 1.0, 0.0, 0.0, 2.0, 0.0])
        >>> kit.dsp.peak_pick(x, pre_max=2, post_max=2, pre_avg=2, post_avg=2, delta=0.1, wait=1)
        array([2, 5])
    """
    least = {"pre_max": pre_max, "pre_avg": pre_avg, "delta": delta, "wait": wait}
    for name, value in least.items():
        require(value >= 0, name, value, "it must not be negative")
    for name, value in {"post_max": post_max, "post_avg": post_avg}.items():
        require(value > 0, name, value, "it must be above 0")
    sizes = {"pre_max": pre_max, "post_max": post_max, "pre_avg": pre_avg, "post_avg": post_avg}
    for name, value in (sizes | {"wait": wait}).items():
        require(value < 2**31, name, value, "it must be below 2**31")
    one_of("method", method, _METHODS)
    array = known(x)
    check_sparse(sparse, "x", array)
    require(-array.ndim <= axis < array.ndim, "axis", axis, f"x has {array.ndim} axes")
    require(array.shape[axis] > 0, "x.shape", array.shape, "the signal must have a value")
    require(not np.iscomplexobj(array), "x.dtype", array.dtype, "it must be real")
    xp: Any = jnp if isinstance(array, Tracer) else np
    check_values(xp.isfinite(array), "x", "they must be finite")
    peaks = _picked(
        x=xp.moveaxis(array, axis, -1),
        pre_max=math.ceil(pre_max),
        post_max=math.ceil(post_max),
        pre_avg=math.ceil(pre_avg),
        post_avg=math.ceil(post_avg),
        delta=float(delta),
        wait=math.ceil(wait),
        method=method,
    )
    mask = xp.moveaxis(known(peaks), -1, axis)
    if sparse:
        return np.flatnonzero(mask)
    return mask if isinstance(mask, Tracer) else placed(mask)


@by_clip(x="t")
def _picked(
    n: Length,
    *,
    x: Any,
    pre_max: int,
    post_max: int,
    pre_avg: int,
    post_avg: int,
    delta: float,
    wait: int,
    method: str,
) -> tuple[Bool[jax.Array, "frames"], Length]:
    x = jnp.asarray(x)
    x = x.astype(jnp.result_type(x, jnp.float32))
    there = jnp.arange(len(x)) < n
    x = jnp.where(there, x, 0)
    greatest = _windowed(jnp.where(there, x, -jnp.inf), -jnp.inf, lax.max, pre_max, post_max)
    total = _windowed(x, 0.0, lax.add, pre_avg, post_avg)
    count = _windowed(there.astype(x.dtype), 0.0, lax.add, pre_avg, post_avg)
    candidates = there & (x >= greatest) & (x >= total / jnp.maximum(count, 1) + delta)
    # Comparisons are False only near a NaN; here NaN removes all peaks of its clip.
    candidates &= ~jnp.any(jnp.isnan(x))
    if method != "greedy":
        values = jnp.ones_like(x) if method == "dp_count" else x
        candidates = _worth_taking(values, candidates, wait)
    return _apart(candidates, wait), n


def _windowed(
    x: Float[jax.Array, "frames"], start: float, join: Any, before: int, after: int
) -> Float[jax.Array, "frames"]:
    """Join the values from `before` frames before each to `after` - 1 after it."""
    # A window longer than the signal gives the same result with more work.
    before, after = min(before, len(x)), min(after, len(x) + 1)
    initial = jnp.asarray(start, x.dtype)
    return lax.reduce_window(x, initial, join, (before + after,), (1,), [(before, after - 1)])


def _apart(candidates: Bool[jax.Array, "frames"], wait: int) -> Bool[jax.Array, "frames"]:
    """Take each candidate that is more than `wait` frames after the last one taken."""

    def step(left: jax.Array, here: jax.Array) -> tuple[jax.Array, jax.Array]:
        taken = here & (left == 0)
        return jnp.where(taken, wait, jnp.maximum(left - 1, 0)), taken

    return lax.scan(step, jnp.zeros((), int), candidates)[1]


def _worth_taking(
    values: Float[jax.Array, "frames"], candidates: Bool[jax.Array, "frames"], wait: int
) -> Bool[jax.Array, "frames"]:
    """Return the candidates that increase the best sum from their frame to the end.

    The best set takes these from the left, more than `wait` frames apart.
    """

    def step(later: jax.Array, here: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        # Differences between the best sums from neighbouring frames on: the sums of a long signal
        # would lose small values in single precision.
        value, candidate = here
        gain = value + later[-1]
        taken = candidate & (gain > 0)
        gain = jnp.where(taken, gain, 0)
        return jnp.concatenate([jnp.zeros_like(later[:1]), later[:-1] - gain]), taken

    start = jnp.zeros(wait + 1, values.dtype)
    return lax.scan(step, start, (values, candidates), reverse=True)[1]
