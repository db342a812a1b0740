"""Overlapping frames of a signal, without a gather where there need be none."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float, Int, Shaped

from kit.dsp.checks import AnyArray, positive_int, require
from kit.dsp.jit import Length

# Up to so many hops in a frame, frames are shifted views of one reshaped array, put side by side;
# beyond, that program would be long to compile and a gather is as good.
MAX_SLICES = 64
# Frames that begin within one frame and are made in one step of a loop, at most. XLA on CPU
# computes them side by side: 4.4 ms a clip on 2 cores, and 5.5 ms one after the other.
_MOST_SIDE_BY_SIDE = 8
# Samples in the rows of one transform. They stay in the CPU's cache, where all frames in one array
# would be paged in on every call, and are enough to be worth one step of a loop.
_MOST_ROWS = 176
_MOST_ROW_SAMPLES = 2048 * _MOST_ROWS


def frame(
    x: Shaped[AnyArray, "..."], *, frame_length: int, hop_length: int, axis: int = -1
) -> Shaped[jax.Array, "..."]:
    """Slices `x` into overlapping frames; samples that fill no frame are dropped.

    Args:
        x: array of any dtype, (…, samples) for the default axis.
        frame_length: samples in a frame.
        hop_length: samples between the starts of two frames.
        axis: the axis of samples.
    Returns:
        (…, frame_length, frames) for axis -1; (frames, frame_length, …) for axis 0. As in librosa,
        a negative axis has the frames after the samples, another before them.
    Raises:
        ParameterError: a length or hop below 1, no such axis, or fewer samples than a frame.
    Source: librosa 0.11 `util.frame`.
    """
    frame_length = positive_int("frame_length", frame_length)
    hop_length = positive_int("hop_length", hop_length)
    x = jnp.asarray(x)
    require(-x.ndim <= axis < x.ndim, "axis", axis, f"x has {x.ndim} axes")
    samples = x.shape[axis]
    require(
        samples >= frame_length,
        "frame_length",
        frame_length,
        f"it must not exceed the {samples} samples of x",
    )
    frames = 1 + (samples - frame_length) // hop_length
    out = frames_first(jnp.moveaxis(x, axis, -1), frame_length, hop_length, frames)
    if axis < 0:
        return jnp.moveaxis(out, (-1, -2), (axis - 1, axis))
    return jnp.moveaxis(out, (-2, -1), (axis, axis + 1))


def fit(
    x: Shaped[jax.Array, "*batch samples"], length: int
) -> Shaped[jax.Array, "*batch {length}"]:
    """The last axis cut, or continued with zeros, to exactly `length`."""
    missing = max(0, length - x.shape[-1])
    return jnp.pad(x[..., :length], [(0, 0)] * (x.ndim - 1) + [(0, missing)])


@partial(jax.jit, static_argnums=(1, 2, 3))
def frames_first(
    x: Shaped[jax.Array, "*batch samples"], frame_length: int, hop_length: int, frames: int
) -> Shaped[jax.Array, "*batch {frames} {frame_length}"]:
    """Frames of the last axis, one frame a row; zeros past the end of `x`."""
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


def windowed_frames(
    x: Float[jax.Array, "*batch samples"],
    window: Float[AnyArray, "frame_length"],
    hop_length: int,
    frames: int,
) -> Float[jax.Array, "*batch {frames} frame_length"]:
    """Frames as `frames_first` gives them, times the window."""
    return frames_first(x, window.shape[0], hop_length, frames) * jnp.asarray(window, x.dtype)


def frame_count(samples: Length, frame_length: int, hop_length: int) -> Length:
    """Return the number of whole frames in so many samples, at least `frame_length`."""
    return 1 + (samples - frame_length) // hop_length


def map_frames(
    function: Callable[[Float[jax.Array, "rows frame_length"]], Any],
    y: Float[jax.Array, "samples"],
    n: Length,
    *,
    frame_length: int,
    hop_length: int,
) -> tuple[Any, Length]:
    """Apply a function of frames to all frames of a clip, some at a time.

    Args:
        function: of frames, one a row, to an array (or a tree of arrays) with as many rows. It
            must treat each frame by itself.
        y: at least `frame_length` samples; those past `n` are zero.
        n: valid samples. A loop over frames ends with the last valid one.
    Returns:
        The results for all frames of `y`, and the number of valid frames. Rows past those are
        zero or made of zeros.
    """
    frames = frame_count(y.shape[0], frame_length, hop_length)
    valid = frame_count(n, frame_length, hop_length)
    phases = frame_length // hop_length
    if frame_length % hop_length or phases > _MOST_SIDE_BY_SIDE:
        phases = 1
    total = -(-frames // phases)
    most = min(_MOST_ROWS, max(1, _MOST_ROW_SAMPLES // max(frame_length, hop_length)))
    blocks = -(-total // most)
    rows = -(-total // blocks)
    step = phases * hop_length
    signal = fit(y, (blocks * rows * phases - 1) * hop_length + frame_length)

    def block(index: Int[jax.Array, ""] | int) -> Any:
        # Frames `phases` hops apart lie side by side, so no sample is copied to make them.
        span = (rows - 1) * step + frame_length
        parts = [
            function(
                frames_first(
                    lax.dynamic_slice(signal, (index * rows * step + k * hop_length,), (span,)),
                    frame_length,
                    step,
                    rows,
                )
            )
            for k in range(phases)
        ]
        return jax.tree.map(lambda *p: jnp.stack(p, axis=1).reshape(-1, *p[0].shape[1:]), *parts)

    if blocks == 1:
        made = block(0)
    elif isinstance(n, int):
        made = lax.map(block, jnp.arange(blocks))
        made = jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), made)
    else:
        shapes = jax.eval_shape(block, 0)
        empty = jax.tree.map(
            lambda s: jnp.zeros((blocks * s.shape[0], *s.shape[1:]), s.dtype), shapes
        )

        def put(i: Int[jax.Array, ""], done: Any) -> Any:
            return jax.tree.map(
                lambda a, new: lax.dynamic_update_slice_in_dim(a, new, i * len(new), axis=0),
                done,
                block(i),
            )

        made = lax.fori_loop(0, -(-valid // (rows * phases)), put, empty)
    return jax.tree.map(lambda a: a[:frames], made), valid


def pad_ends(
    y: Float[jax.Array, "samples"], n: Length, amount: int, pad_mode: Any, right: int | None = None
) -> tuple[Float[jax.Array, "padded"], Length]:
    """Continue a clip at both of its own ends, wherever in the buffer it ends.

    Args:
        y: samples past `n` are zero.
        n: valid samples.
        amount: samples before, and after unless `right` says otherwise.
        pad_mode: of NumPy: "constant", "edge", "reflect", "symmetric", "linear_ramp" (to zero) or
            "empty"; anything else `jax.numpy.pad` knows where `n` is an int.
    Returns:
        `amount + right` samples more, and the number that are valid.
    """
    right = amount if right is None else right
    valid = n + amount + right
    if isinstance(n, int) or pad_mode in ("constant", "empty"):
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
    index: Int[AnyArray, "amount"], n: Int[jax.Array, ""], pad_mode: str
) -> Int[jax.Array, "amount"]:
    """Map positions outside a clip of `n` samples to the positions that they repeat."""
    last = n - 1
    if pad_mode == "edge":
        return jnp.clip(index, 0, last)
    if pad_mode == "symmetric":
        phase = index % (2 * n)
        return jnp.minimum(phase, 2 * n - 1 - phase)
    period = jnp.maximum(2 * last, 1)
    phase = index % period
    return jnp.minimum(phase, period - phase) * (last > 0)
