"""Overlapping frames of a signal, without a gather where there need be none."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Shaped

from kit.dsp.checks import AnyArray, positive_int, require

# Up to so many hops in a frame, frames are shifted views of one reshaped array, put side by side;
# beyond, that program would be long to compile and a gather is as good.
MAX_SLICES = 64


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
