"""Derivatives over frames, and frames beside their past."""

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Num

from kit.dsp.checks import AnyArray, positive_int, require
from kit.dsp.jit import compiled

_MODES = {"nearest": "edge", "mirror": "reflect", "constant": "constant", "wrap": "wrap"}


@compiled("data")
def delta(
    data: Num[AnyArray, "..."],
    *,
    width: int = 9,
    order: int = 1,
    axis: int = -1,
    mode: str = "interp",
    **kwargs: Any,
) -> Float[jax.Array, "..."]:
    """Smoothed derivative along an axis (Savitzky-Golay).

    Args:
        data: any shape; a 0-d array counts as one of one element.
        width: frames of the local fit, odd, at least 3.
        order: of the derivative.
        axis: of frames.
        mode: "interp" fits the ends, or how the data goes on there: "nearest", "mirror",
            "constant", "wrap".
        kwargs: `polyorder` (the order by default), `cval` for "constant".
    Raises:
        ParameterError: an even `width`, one too long for "interp", an `order` below 1, an unknown
            mode.
    Source: librosa 0.11 `feature.delta`; `scipy.signal.savgol_filter`.
    """
    data = jnp.atleast_1d(jnp.asarray(data))
    data = data.astype(jnp.result_type(data, jnp.float32))
    width, order = positive_int("width", width, least=3), positive_int("order", order)
    require(width % 2 == 1, "width", width, "it must be odd")
    require(mode == "interp" or mode in _MODES, "mode", mode, f"it must be interp, {[*_MODES]}")
    frames = data.shape[axis]
    require(
        mode != "interp" or width <= frames,
        "width",
        width,
        f'it must not exceed the {frames} frames when mode is "interp"',
    )
    kwargs = {"polyorder": order} | kwargs
    degree = positive_int("polyorder", kwargs.pop("polyorder"), least=0)
    require(degree < width, "polyorder", degree, f"it must be below width (={width})")
    cval = kwargs.pop("cval", 0.0)
    kwargs.pop("deriv", None)
    step = kwargs.pop("delta", 1.0)
    require(not kwargs, "kwargs", sorted(kwargs), "no such arguments")
    out = _savgol(jnp.moveaxis(data, axis, -1), width, order, degree, mode, cval, step)
    return jnp.moveaxis(out, -1, axis)


@partial(jax.jit, static_argnums=(1, 2, 3, 4, 5, 6))
def _savgol(
    x: Float[jax.Array, "*batch frames"],
    width: int,
    order: int,
    degree: int,
    mode: str,
    cval: float,
    step: float,
) -> Float[jax.Array, "*batch frames"]:
    import scipy.signal

    half = width // 2
    frames = x.shape[-1]
    taps = scipy.signal.savgol_coeffs(width, degree, deriv=order, delta=step, use="dot")
    outer = [(0, 0)] * (x.ndim - 1)
    if mode == "interp":
        padded = jnp.pad(x, [*outer, (half, half)])
    elif mode == "constant":
        padded = jnp.pad(x, [*outer, (half, half)], constant_values=cval)
    else:
        padded = jnp.pad(x, [*outer, (half, half)], mode=_MODES[mode])
    middle = sum(float(c) * padded[..., k : k + frames] for k, c in enumerate(taps))
    middle = jnp.asarray(middle, x.dtype)
    if mode != "interp":
        return middle
    # The first and last half window: derivatives of one polynomial fitted to the outermost width.
    ends = jnp.asarray(_end_matrix(width, order, degree, step), x.dtype)
    dot = partial(jnp.dot, precision=jax.lax.Precision.HIGHEST)
    head = dot(x[..., :width], ends[:, :half])
    tail = dot(x[..., -width:], ends[:, width - half :])
    return jnp.concatenate([head, middle[..., half : frames - half], tail], axis=-1)


def _end_matrix(width: int, order: int, degree: int, step: float) -> np.ndarray:
    at = np.arange(width) - width // 2
    fit = np.linalg.pinv(np.vander(at, degree + 1, increasing=True).astype(np.float64))
    powers = np.arange(degree + 1)
    factor = [math.perm(int(p), order) if p >= order else 0 for p in powers]
    exponent = np.maximum(powers - order, 0)
    slopes = np.array(factor) * at[:, None].astype(np.float64) ** exponent / step**order
    return (slopes @ fit).T


@compiled("data")
def stack_memory(
    data: Num[AnyArray, "..."],
    *,
    n_steps: int = 2,
    delay: int = 1,
    mode: str = "constant",
    **kwargs: Any,
) -> Num[jax.Array, "..."]:
    """Each frame on top of the ones `delay`, 2 `delay`, … before it.

    Args:
        data: (…, bins, frames); 1-d counts as one bin.
        n_steps: frames stacked.
        delay: frames between; negative stacks what comes after.
        mode, kwargs: how the data goes on at its ends, as `jax.numpy.pad` takes it.
    Returns:
        (…, bins * n_steps, frames).
    Raises:
        ParameterError: `n_steps` below 1, `delay` 0, no frames.
    Source: librosa 0.11 `feature.stack_memory`.
    """
    n_steps = positive_int("n_steps", n_steps)
    require(delay != 0, "delay", delay, "it must not be 0")
    data = jnp.atleast_2d(jnp.asarray(data))
    frames = data.shape[-1]
    require(frames >= 1, "data.shape", data.shape, "it must have at least one frame")
    reach = (n_steps - 1) * abs(delay)
    sides = (reach, 0) if delay > 0 else (0, reach)
    padded = jnp.pad(data, [(0, 0)] * (data.ndim - 1) + [sides], mode=mode, **kwargs)
    start = reach if delay > 0 else 0
    parts = []
    for step in range(n_steps):
        at = start - step * delay
        parts.append(padded[..., at : at + frames])
    return jnp.concatenate(parts, axis=-2)
