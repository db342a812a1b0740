"""Derivatives over frames, and stacks of past frames."""

import math
from functools import lru_cache, partial
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer
from jaxtyping import Float, Num

from kit.dsp.arrays import axis_moved, known, moved_back
from kit.dsp.checks import AnyArray, Number, ParameterError, of_kind, one_of, positive_int, require
from kit.dsp.framing import NUMPY_PAD_MODES, pad_ends
from kit.dsp.jit import Empty, Length, by_clip
from kit.dsp.stft import PAD_MODES

_NUMBER = frozenset({float})
_MODES = {"nearest": "edge", "mirror": "reflect", "constant": "constant", "wrap": "wrap"}


def delta(
    data: Num[AnyArray, "..."],
    *,
    width: int = 9,
    order: int = 1,
    axis: int = -1,
    mode: str = "interp",
    **kwargs: Any,
) -> Float[jax.Array, "..."]:
    """Return the smoothed derivative along an axis (Savitzky-Golay).

    Args:
        data: any shape; a 0-d array counts as one element.
        width: frames of the local fit, odd, at least 3.
        order: order of the derivative.
        axis: axis of frames.
        mode: "interp" fits the ends; "nearest", "mirror", "constant" and "wrap" pad the data.
        kwargs: `polyorder` (default `order`), `cval` for "constant", `delta`, the step.
    Raises:
        ParameterError: no frames, an even `width` or one too long for "interp", an `order` below 1,
            an unknown mode or axis.
    Source: librosa 0.11 `feature.delta`; `scipy.signal.savgol_filter`.

    Example:
        >>> kit.dsp.delta(np.arange(9.0))  # of a line, its slope
        Array([1., 1., 1., 1., 1., 1., 1., 1., 1.], dtype=float32)
    """
    data = known(data)
    data = data if data.ndim else data.reshape(1)
    width, order = positive_int("width", width, least=3), positive_int("order", order)
    require(width % 2 == 1, "width", width, "it must be odd")
    require(mode == "interp" or mode in _MODES, "mode", mode, f"it must be interp, {[*_MODES]}")
    require(-data.ndim <= axis < data.ndim, "axis", axis, f"data has {data.ndim} axes")
    frames = data.shape[axis]
    require(frames >= 1, "data.shape", data.shape, "it must have at least one frame")
    rule = f'it must not exceed the {frames} frames when mode is "interp"'
    require(mode != "interp" or width <= frames, "width", width, rule)
    kwargs = {"polyorder": order, "cval": 0.0, "delta": 1.0} | kwargs
    kwargs.pop("deriv", None)
    degree = positive_int("polyorder", kwargs.pop("polyorder"), least=0)
    require(degree < width, "polyorder", degree, f"it must be below width (={width})")
    cval, step = (of_kind(name, kwargs.pop(name), _NUMBER) for name in ("cval", "delta"))
    cval, step = (v if isinstance(v, Tracer) else float(v) for v in (cval, step))
    require(step > 0, "delta", step, "it must be above 0")
    options = {"mode": mode, "cval": cval, "step": step}
    for name in kwargs:
        raise TypeError(f"delta() got an unexpected keyword argument {name!r}")
    rows = axis_moved(data, axis, -1) if data.ndim > 1 else data[None]
    out = _savgol(data=rows, width=width, order=order, degree=degree, **options)
    return moved_back(out, -1, axis) if data.ndim > 1 else moved_back(known(out)[0], 0, 0)


def _savgol_of_known(
    data: np.ndarray,
    *,
    width: int,
    order: int,
    degree: int,
    mode: str,
    cval: Number,
    step: Number,
    empty: Empty,
) -> np.ndarray:
    x = np.ascontiguousarray(data, jnp.result_type(data, jnp.float32))
    half, frames = width // 2, x.shape[-1]
    out = empty(x.shape, x.dtype)
    sides = half if mode == "interp" else 0
    padded = x
    if mode != "interp":
        fill: dict[str, Any] = {"constant_values": cval} if mode == "constant" else {}
        padded = np.pad(x, [(0, 0), (half, half)], mode=cast(Any, _MODES[mode]), **fill)
    # One correlation of all rows; windows across two rows are dropped.
    taps = np.asarray(_taps(width, order, degree, step), x.dtype)
    found = np.zeros_like(padded)
    found.reshape(-1)[: padded.size - 2 * half] = np.correlate(padded.reshape(-1), taps, "valid")
    out[:, sides : frames - sides] = found[:, : frames - 2 * sides]
    if mode == "interp":
        ends = _end_matrix(width, order, degree, step).astype(x.dtype)
        out[:, :half] = x[:, :width] @ ends[:, :half]
        out[:, frames - half :] = x[:, frames - width :] @ ends[:, width - half :]
    return out


@by_clip(data="bt", of_known=lambda given: _savgol_of_known if given["data"].size else None)
def _savgol(
    n: Length,
    *,
    data: Any,
    width: int,
    order: int,
    degree: int,
    mode: str,
    cval: Number,
    step: Number,
) -> tuple[Float[jax.Array, "rows frames"], Length]:
    x = data.astype(jnp.result_type(data, jnp.float32))
    half, frames = width // 2, data.shape[-1]
    taps = _taps(width, order, degree, step)
    if mode in ("interp", "constant"):
        padded = _continued(x, n, half, half, "constant", constant_values=cval)
    else:
        padded = _continued(x, n, half, half, _MODES[mode])
    middle = sum(tap * padded[:, k : k + frames] for k, tap in enumerate(taps))
    middle = jnp.asarray(middle, x.dtype)
    if mode != "interp":
        return middle, n
    # First and last half window: derivatives of a polynomial fitted to the outer `width` frames.
    ends = jnp.asarray(_end_matrix(width, order, degree, step), x.dtype)
    dot = partial(jnp.dot, precision=lax.Precision.HIGHEST)
    last = lax.dynamic_slice_in_dim(x, n - width, width, axis=-1)
    out = lax.dynamic_update_slice_in_dim(middle, dot(x[:, :width], ends[:, :half]), 0, axis=-1)
    tail = dot(last, ends[:, width - half :])
    return lax.dynamic_update_slice_in_dim(out, tail, n - half, axis=-1), n


@lru_cache(maxsize=16)
def _taps(width: int, order: int, degree: int, step: Number) -> tuple[float, ...]:
    import scipy.signal

    taps = scipy.signal.savgol_coeffs(width, degree, deriv=order, delta=step, use="dot")
    return tuple(float(tap) for tap in taps)


def _continued(
    x: Num[jax.Array, "rows frames"], n: Length, left: int, right: int, mode: Any, **options: Any
) -> Num[jax.Array, "rows padded"]:
    """Extend the rows of a clip at its ends, as `jax.numpy.pad` does."""
    if isinstance(n, int):
        return jnp.pad(x, [(0, 0), (left, right)], mode=mode, **options)
    if mode == "constant":
        x = jnp.where(jnp.arange(x.shape[-1]) < n, x, options.get("constant_values", 0))
        return jnp.pad(x, [(0, 0), (left, right)], **options)
    return jax.vmap(lambda row: pad_ends(row, n, left, mode, right)[0])(x)


@lru_cache(maxsize=16)
def _end_matrix(width: int, order: int, degree: int, step: float) -> np.ndarray:
    at = np.arange(width) - width // 2
    fit = np.linalg.pinv(np.vander(at, degree + 1, increasing=True).astype(np.float64))
    powers = np.arange(degree + 1)
    factor = [math.perm(int(p), order) if p >= order else 0 for p in powers]
    exponent = np.maximum(powers - order, 0)
    slopes = np.array(factor) * at[:, None].astype(np.float64) ** exponent / step**order
    return (slopes @ fit).T


def _check_memory(given: dict[str, Any]) -> None:
    positive_int("n_steps", given["n_steps"])
    require(given["delay"] != 0, "delay", given["delay"], "it must not be 0")
    mode = given["mode"]
    if not callable(mode):
        one_of("mode", mode, NUMPY_PAD_MODES)
    shape = given["data"].shape
    require(shape[-1] >= 1, "data.shape", shape, "it must have at least one frame")
    options = {k: v for k, v in given.items() if k not in ("data", "n_steps", "delay", "mode")}
    if callable(mode) or any(isinstance(v, Tracer) for v in options.values()):
        return
    try:
        np.pad(np.ones((1, 1), given["data"].dtype), [(0, 0), (1, 1)], mode=mode, **options)
    except (TypeError, ValueError) as error:
        raise ParameterError(f"mode is {mode!r}, kwargs is {options}; {error}") from None


def _needs_length(given: dict[str, Any]) -> bool:
    """Return whether the padding needs the exact length of the data."""
    value = given.get("constant_values", 0)
    options = given.keys() - {"data", "n_steps", "delay", "mode", "constant_values"}
    return bool(options) or given["mode"] not in PAD_MODES or np.ndim(value) > 0


def stack_memory(
    data: Num[AnyArray, "..."],
    *,
    n_steps: int = 2,
    delay: int = 1,
    mode: str = "constant",
    **kwargs: Any,
) -> Num[jax.Array, "..."]:
    """Stack each frame with the frames `delay`, 2 `delay`, … before it.

    Args:
        data: (…, bins, frames); 1-d counts as one bin.
        n_steps: number of frames in a stack.
        delay: distance in frames; negative for later frames.
        mode, kwargs: padding, as in `jax.numpy.pad`.
    Returns:
        (…, bins * n_steps, frames).
    Raises:
        ParameterError: `n_steps` below 1, `delay` 0, no frames.
    Source: librosa 0.11 `feature.stack_memory`.

    Example:
        >>> kit.dsp.stack_memory(np.array([1.0, 2.0, 3.0]), n_steps=2)
        Array([[1., 2., 3.],
               [0., 1., 2.]], dtype=float32)
    """
    xp: Any = jnp if isinstance(data, Tracer) else np
    data = data if np.ndim(data) > 1 else xp.atleast_2d(xp.asarray(data))
    return _stacked(data=data, n_steps=n_steps, delay=delay, mode=mode, **kwargs)


def _stacked_of_known(
    data: np.ndarray, *, n_steps: int, delay: int, mode: Any, empty: Empty, **kwargs: Any
) -> np.ndarray:
    bands, frames = data.shape
    out = empty((n_steps * bands, frames), data.dtype)
    steps = out.reshape(n_steps, bands, frames)
    if mode in ("constant", "empty") and kwargs.keys() <= {"constant_values"}:
        # `np.pad` would take as long as all copies.
        fill = kwargs.get("constant_values", 0)
        for step, rows in enumerate(steps):
            late = min(frames, step * abs(delay))
            at, new = (late, slice(late)) if delay > 0 else (0, slice(frames - late, None))
            rows[:, new] = fill
            rows[:, at : at + frames - late] = data[:, late - at : frames - at]
        return out
    reach = (n_steps - 1) * abs(delay)
    start = reach if delay > 0 else 0
    padded = np.pad(data, [(0, 0), (start, reach - start)], mode=mode, **kwargs)
    for step, rows in enumerate(steps):
        at = start - step * delay
        rows[:] = padded[:, at : at + frames]
    return out


@by_clip(
    data="bt",
    check=_check_memory,
    exact=_needs_length,
    of_known=lambda _: _stacked_of_known,
)
def _stacked(
    n: Length, *, data: Any, n_steps: int, delay: int, mode: str, **kwargs: Any
) -> tuple[Num[jax.Array, "rows frames"], Length]:
    frames = data.shape[-1]
    reach = (n_steps - 1) * abs(delay)
    start = reach if delay > 0 else 0
    padded = _continued(data, n, start, reach - start, mode, **kwargs)
    starts = [start - step * delay for step in range(n_steps)]
    return jnp.concatenate([padded[:, at : at + frames] for at in starts], axis=0), n
