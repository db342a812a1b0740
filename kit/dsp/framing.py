"""Overlapping frames of a signal, without a gather where possible."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer
from jaxtyping import Float, Int, Shaped

from kit.dsp.arrays import array_of, placed
from kit.dsp.checks import AnyArray, one_of, positive_int, require
from kit.dsp.jit import Length

# Up to this number of hops in a frame, frames are shifted views of one reshaped array. With more
# hops that program compiles slowly, and a gather is as fast.
MAX_SLICES = 64
NUMPY_PAD_MODES = (
    *("constant", "edge", "reflect", "symmetric", "wrap", "linear_ramp", "empty"),
    *("maximum", "mean", "median", "minimum"),
)
# Most frames that begin within one frame and are shifted views of the signal.
_MOST_PHASES = 8
# Samples in the rows of one transform. They and their spectrum fit into 1 MiB of cache: with four
# times more, the mel spectrogram of a clip takes 6 to 10 ms of CPU instead of 6.
_MOST_ROW_SAMPLES = 32 * 2048


def frame(
    x: Shaped[AnyArray, "..."], *, frame_length: int, hop_length: int, axis: int = -1
) -> Shaped[jax.Array, "..."]:
    """Slice `x` into overlapping frames; samples that fill no frame are dropped.

    Args:
        x: array of any dtype, (…, samples) for the default axis.
        frame_length: samples in a frame.
        hop_length: samples between the starts of two frames.
        axis: the axis of samples.
    Returns:
        (…, frame_length, frames) for axis -1; (frames, frame_length, …) for axis 0. As in librosa,
        a negative axis puts the frames after the samples, another axis before them.
    Raises:
        ParameterError: a length or hop below 1, an unknown axis, or fewer samples than a frame.
    Source: librosa 0.11 `util.frame`.

    Example:
        >>> kit.dsp.frame(np.arange(6.0), frame_length=4, hop_length=2)
        Array([[0., 2.],
               [1., 3.],
               [2., 4.],
               [3., 5.]], dtype=float32)
    """
    frame_length = positive_int("frame_length", frame_length)
    hop_length = positive_int("hop_length", hop_length)
    x = array_of("x", x)
    require(-x.ndim <= axis < x.ndim, "axis", axis, f"x has {x.ndim} axes")
    samples = x.shape[axis]
    rule = f"it must not exceed the {samples} samples of x"
    require(samples >= frame_length, "frame_length", frame_length, rule)
    frames = 1 + (samples - frame_length) // hop_length
    places = ((-1, -2), (axis - 1, axis)) if axis < 0 else ((-2, -1), (axis, axis + 1))
    if isinstance(x, Tracer):
        out = frames_first(jnp.moveaxis(x, axis, -1), frame_length, hop_length, frames)
        return jnp.moveaxis(out, *places)
    # A copy on the host compiles no program for each length.
    line = np.moveaxis(np.asarray(x), axis, -1)
    out = np.lib.stride_tricks.sliding_window_view(line, frame_length, -1)[..., ::hop_length, :]
    return placed(np.ascontiguousarray(np.moveaxis(out, *places)))


def fit(
    x: Shaped[jax.Array, "*batch samples"], length: int
) -> Shaped[jax.Array, "*batch {length}"]:
    """Cut the last axis, or pad it with zeros, to `length`."""
    missing = max(0, length - x.shape[-1])
    return jnp.pad(x[..., :length], [(0, 0)] * (x.ndim - 1) + [(0, missing)])


@partial(jax.jit, static_argnums=(1, 2, 3))
def frames_first(
    x: Shaped[jax.Array, "*batch samples"], frame_length: int, hop_length: int, frames: int
) -> Shaped[jax.Array, "*batch {frames} {frame_length}"]:
    """Return frames of the last axis, one per row, with zeros past the end of `x`."""
    hops = math.ceil(frame_length / hop_length)
    if hops > MAX_SLICES:
        start = hop_length * np.arange(frames)[:, None]
        whole = fit(x, (frames - 1) * hop_length + frame_length)
        return whole[..., start + np.arange(frame_length)]
    whole = fit(x, (frames - 1 + hops) * hop_length)
    rows = whole.reshape(*x.shape[:-1], frames - 1 + hops, hop_length)
    last = frame_length - (hops - 1) * hop_length
    parts = [rows[..., k : k + frames, :] for k in range(hops)]
    parts[-1] = parts[-1][..., :last]
    return parts[0] if hops == 1 else jnp.concatenate(parts, axis=-1)


def frame_count(samples: Any, frame_length: int, hop_length: int) -> Any:
    """Return the number of whole frames in a known or traced number of samples."""
    return 1 + (samples - frame_length) // hop_length


def map_frames(
    function: Callable[[Float[jax.Array, "rows frame_length"]], Any],
    y: Float[jax.Array, "samples"],
    n: Length,
    *,
    frame_length: int,
    hop_length: int,
    time_last: bool = False,
) -> tuple[Any, Length]:
    """Apply a function of frames, one per row, to all frames of a clip, some at a time.

    Args:
        function: returns an array, or a tree of arrays, with one row for each frame. It must treat
            frames independently.
        y: samples; those past `n` are zero.
        n: valid samples. A loop over frames ends with the last valid one.
        time_last: give results as (values, frames) in place of (frames, values).
        The others: as named, in samples.
    Returns:
        The results for all frames of `y`, and the number of valid frames. Results past them are
        zero or computed from zeros.
    """
    plan = partial(_by_blocks, function, frame_length, hop_length, time_last)
    valid = frame_count(n, frame_length, hop_length)
    if not isinstance(n, jax.Array):
        once = partial(_at_once, function, frame_length, hop_length, time_last)
        if not isinstance(n, int):
            # `jax.export` gives a symbol for the length.
            return once(y), valid
        return lax.platform_dependent(y, cpu=partial(plan, None), default=once), valid
    return plan(valid, y), valid


def _at_once(
    function: Callable[..., Any], frame_length: int, hop_length: int, time_last: bool, y: jax.Array
) -> Any:
    frames = frame_count(y.shape[0], frame_length, hop_length)
    frames = max(0, frames) if isinstance(frames, int) else frames
    made = function(frames_first(y, frame_length, hop_length, frames))
    return jax.tree.map(jnp.transpose, made) if time_last else made


def _by_blocks(
    function: Callable[..., Any],
    frame_length: int,
    hop_length: int,
    time_last: bool,
    valid: Int[jax.Array, ""] | None,
    y: jax.Array,
) -> Any:
    frames = max(0, frame_count(y.shape[0], frame_length, hop_length))
    phases = frame_length // hop_length
    if frame_length % hop_length or phases > _MOST_PHASES:
        phases = 1
    most = max(1, _MOST_ROW_SAMPLES // max(frame_length, hop_length))
    rows_in_all = -(-frames // phases)
    blocks = max(1, -(-rows_in_all // most))
    rows = -(-rows_in_all // blocks)
    made, step = rows * phases, phases * hop_length
    signal = fit(y, (blocks * made - 1) * hop_length + frame_length)
    span = (rows - 1) * step + frame_length

    def block(index: Int[jax.Array, ""] | int) -> Any:
        # Frames `phases` hops apart are adjacent, so no sample is copied.
        def phase(k: Int[jax.Array, ""]) -> Any:
            start = index * (made * hop_length) + k * hop_length
            piece = lax.dynamic_slice(signal, (start,), (span,))
            return function(frames_first(piece, frame_length, step, rows))

        parts = lax.map(phase, jnp.arange(phases))
        axis = 1 if time_last else 0
        return jax.tree.map(lambda a: _in_order(a, made, axis), parts)

    if blocks == 1:
        out = block(0)
    elif valid is None:
        out = lax.map(block, jnp.arange(blocks))
        if time_last:
            out = jax.tree.map(lambda a: jnp.swapaxes(a, 0, 1), out)
            out = jax.tree.map(lambda a: a.reshape(a.shape[0], -1), out)
        else:
            out = jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), out)
    else:
        # Up to the last valid frame.
        axis = 1 if time_last else 0
        out = jax.tree.map(
            lambda a: jnp.zeros((*a.shape[:axis], blocks * made, *a.shape[axis + 1 :]), a.dtype),
            jax.eval_shape(block, 0),
        )

        def put(i: Int[jax.Array, ""], out: Any) -> Any:
            return jax.tree.map(
                lambda a, new: lax.dynamic_update_slice_in_dim(a, new, i * made, axis),
                out,
                block(i),
            )

        out = lax.fori_loop(0, -(-valid // made), put, out)
    return jax.tree.map(lambda a: a[:, :frames] if time_last else a[:frames], out)


def _in_order(a: Shaped[jax.Array, "phases rows *rest"], made: int, axis: int) -> jax.Array:
    frames = jnp.swapaxes(a, 0, 1).reshape(made, *a.shape[2:])
    return frames if axis == 0 else frames.T


def map_blocks(function: Callable[[Any], jax.Array], blocks: int, valid: Length) -> jax.Array:
    """Return `function` of the block numbers below `valid`, and zeros for the other blocks.

    The loop can be differentiated if `valid` is an int.
    """
    if blocks == 1:
        return function(0)[None]
    if isinstance(valid, int):
        return lax.map(function, jnp.arange(blocks))
    shape = jax.eval_shape(function, 0)
    return lax.fori_loop(
        0,
        jnp.minimum(valid, blocks),
        lambda i, made: lax.dynamic_update_index_in_dim(made, function(i), i, 0),
        jnp.zeros((blocks, *shape.shape), shape.dtype),
    )


def pad_ends(
    y: Float[jax.Array, "samples"], n: Length, amount: int, pad_mode: Any, right: int | None = None
) -> tuple[Float[jax.Array, "padded"], Length]:
    """Extend a clip at both of its ends, wherever in the buffer it ends; samples past `n` are zero.

    Args:
        y, n: the clip and its valid samples.
        amount: samples added before the clip.
        pad_mode: of NumPy: "constant", "edge", "reflect", "symmetric", "wrap", "linear_ramp" (to
            zero) or "empty"; with an int `n`, all modes of `jax.numpy.pad`.
        right: samples added after the clip; `amount` if None.
    """
    right = amount if right is None else right
    if not callable(pad_mode):
        one_of("pad_mode", pad_mode, NUMPY_PAD_MODES)
    valid = n + amount + right
    if not isinstance(n, jax.Array) or pad_mode in ("constant", "empty"):
        return jnp.pad(y, (amount, right), mode=pad_mode), valid
    before, after = np.arange(-amount, 0), n + np.arange(right)
    if pad_mode == "linear_ramp":
        head = y[0] * jnp.asarray(np.arange(amount) / max(amount, 1), y.dtype)
        tail = y[n - 1] * jnp.asarray(1 - np.arange(1, right + 1) / max(right, 1), y.dtype)
    else:
        head, tail = (y[repeated(index, n, pad_mode)] for index in (before, after))
    whole = jnp.concatenate([head, y, jnp.zeros(right, y.dtype)])
    return lax.dynamic_update_slice(whole, tail, (amount + n,)), valid


def repeated(
    index: Int[AnyArray, "amount"], n: Int[jax.Array, ""], pad_mode: Any
) -> Int[jax.Array, "amount"]:
    """Map positions outside a clip of `n` samples to the positions whose samples they repeat."""
    last = n - 1
    if pad_mode == "wrap":
        return jnp.asarray(index) % n
    if pad_mode == "edge":
        return jnp.clip(index, 0, last)
    if pad_mode == "symmetric":
        phase = index % (2 * n)
        return jnp.minimum(phase, 2 * n - 1 - phase)
    period = jnp.maximum(2 * last, 1)
    phase = index % period
    return jnp.minimum(phase, period - phase) * (last > 0)
