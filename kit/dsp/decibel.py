"""Conversion to and from decibels, maxima that keep NaN, and powers with a slope.

On CPU, XLA's maximum of NaN and a number may be the number, and its maximum over an array that
contains NaN may be any value, even -inf (jax 0.10, arrays of some thousand elements).
"""

import math
import warnings
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Float, Num

from kit.dsp.arrays import array_of, of_numpy, placed, traceable
from kit.dsp.checks import AnyArray, Number, ParameterError, require
from kit.dsp.jit import Empty, Length, by_clip, elementwise

Reference = Number | AnyArray | str | Callable[..., Any]
Axes = Literal["auto"] | int | tuple[int, ...] | None


def power_to_db(
    S: Num[AnyArray, "*shape"],
    *,
    ref: Reference = 1.0,
    amin: Number = 1e-10,
    top_db: Number | None = 80.0,
    axes: Axes = "auto",
) -> Float[jax.Array, "*shape"]:
    """Convert power to decibels, `10 log10(S / ref)`.

    Args:
        S: power, (…, bins, frames); complex values are replaced by their magnitude.
        ref: power at 0 dB: a number; an array that broadcasts against S; "max"; or a function of
            one clip, such as `jnp.max` or `jnp.median`.
        amin: floor of S and of ref.
        top_db: floor of the result, decibels below the peak; None for no floor.
        axes: axes of one clip, for the peak and the reference. "auto": the last two, as in librosa
            1.0, so that clips do not depend on the batch. None: all axes, as in librosa 0.11.
    Raises:
        ParameterError: `amin` not above 0, `top_db` below 0, axes outside S, an unknown ref.
    Warns:
        UserWarning: S is complex.
    Source: librosa 0.11 `power_to_db`, with 1.0's axes.

    Example:
        >>> kit.dsp.power_to_db(np.array([1.0, 0.1, 0.001]))
        Array([  0., -10., -30.], dtype=float32)
    """
    return _to_db(S, ref=ref, amin=amin, top_db=top_db, axes=axes, scale=10.0)


def amplitude_to_db(
    S: Num[AnyArray, "*shape"],
    *,
    ref: Reference = 1.0,
    amin: Number = 1e-5,
    top_db: Number | None = 80.0,
    axes: Axes = "auto",
) -> Float[jax.Array, "*shape"]:
    """Convert amplitude to decibels, `20 log10(|S| / ref)`; see `power_to_db`.

    Source: librosa 0.11 `amplitude_to_db`, with 1.0's axes.

    Example:
        >>> kit.dsp.amplitude_to_db(np.array([1.0, 0.1, 0.001]))
        Array([  0., -20., -60.], dtype=float32)
    """
    return _to_db(S, ref=ref, amin=amin, top_db=top_db, axes=axes, scale=20.0)


@elementwise("S_db")
def db_to_power(
    S_db: Num[AnyArray, "*shape"] | Number, *, ref: Number = 1.0
) -> Float[jax.Array, "*shape"]:
    """Return decibels as power, `ref * 10 ** (S_db / 10)`.

    Source: librosa 0.11 `db_to_power`.

    Example:
        >>> kit.dsp.db_to_power(np.array([0.0, -20.0]))
        Array([1.  , 0.01], dtype=float32)
    """
    return ref * _power_of_ten(S_db, 0.1)


@elementwise("S_db")
def db_to_amplitude(
    S_db: Num[AnyArray, "*shape"] | Number, *, ref: Number = 1.0
) -> Float[jax.Array, "*shape"]:
    """Return decibels as amplitude, `abs(ref) * 10 ** (S_db / 20)`.

    Source: librosa 0.11 `db_to_amplitude`.

    Example:
        >>> kit.dsp.db_to_amplitude(np.array([0.0, -20.0])).round(3)
        Array([1. , 0.1], dtype=float32)
    """
    return abs(ref) * _power_of_ten(S_db, 0.05)


def _power_of_ten(x: Num[AnyArray, "*shape"] | Number, factor: float) -> Float[jax.Array, "*shape"]:
    """Return `10 ** (factor * x)`; XLA's `power` takes seven times as long and is less exact."""
    return jnp.exp(jnp.asarray(x) * (factor * math.log(10)))


def _to_db(
    S: AnyArray, *, ref: Reference, amin: Number, top_db: Number | None, axes: Axes, scale: float
) -> jax.Array:
    require(amin > 0, "amin", amin, "it must be above 0")
    require(top_db is None or top_db >= 0, "top_db", top_db, "it must not be negative")
    if ref is None or (isinstance(ref, str) and ref != "max"):
        raise ParameterError(f'ref is {ref!r}; it must be "max", a number, an array or a function')
    S = array_of("S", S)
    if jnp.iscomplexobj(S):
        name = "power_to_db" if scale == 10 else "amplitude_to_db"
        warnings.warn(
            f"{name} was called on complex input and discards the phase; pass "
            f"{'jnp.abs(S) ** 2' if scale == 10 else 'jnp.abs(S)'}",
            stacklevel=3,
        )
    over = _axes(axes, S.ndim)
    if isinstance(S, Tracer) or isinstance(ref, Tracer) or S.size == 0:
        return _decibels(_magnitudes(S, scale), ref, amin, top_db, over, scale)
    rest = tuple(a for a in range(S.ndim) if a not in over)
    clips = np.transpose(np.asarray(S), rest + over)
    batch = clips.shape[: len(rest)]
    line = clips.reshape(*batch, math.prod(clips.shape[len(rest) :]))
    if callable(ref):
        reference: Any = _of_known_clips(ref, clips, batch, scale)
    elif isinstance(ref, str):
        reference = None
    else:
        reference = np.asarray(ref)
        if reference.ndim:
            reference = np.transpose(np.broadcast_to(reference, S.shape), rest + over)
            reference = reference.reshape(line.shape)
    of_element = reference is not None and np.ndim(reference) > len(batch)
    numbers = np.zeros((*batch, 3))
    numbers[..., 0] = amin
    numbers[..., 1] = 0 if top_db is None else top_db
    if reference is not None and not of_element:
        numbers[..., 2] = np.abs(reference)
    made = _decibels_of_clip(
        S=line,
        refs=reference if of_element else None,
        numbers=numbers,
        of_peak=reference is None,
        cut=top_db is not None,
        scale=scale,
    )
    return placed(np.transpose(np.asarray(made).reshape(clips.shape), np.argsort(rest + over)))


def _decibels_of_known(
    *,
    S: np.ndarray,
    refs: np.ndarray | None,
    numbers: np.ndarray,
    of_peak: bool,
    cut: bool,
    scale: float,
    empty: Empty,
) -> np.ndarray:
    """Compute `_decibels` of known values in NumPy, whose maxima keep NaN."""
    S = np.abs(S) if np.iscomplexobj(S) else S
    if S.dtype not in (np.float32, np.float64):
        S = S.astype(jnp.result_type(S, jnp.float32))
    number = S.dtype.type
    amin, top_db, ref = numbers.astype(S.dtype)
    least = S.min()
    # The sign of an amplitude is part of its phase.
    if scale == 20 and not least >= 0:
        S = np.abs(S)
        least = S.min()
    reference = S.max() if of_peak else ref if refs is None else refs.astype(S.dtype)
    out = empty(S.shape, S.dtype)
    # A NaN as minimum may hide -inf.
    if not least > -np.inf:
        S = np.where(np.isneginf(S), number(np.nan), S)
    if not least >= amin:
        # The maximum with an array takes a third of the time of one with a number.
        out.fill(amin)
        S = np.maximum(S, out, out=out)
    # NumPy vectorises base e on more machines than base 10.
    np.log(S, out=out)
    factor = number(scale / math.log(10))
    out *= factor
    zero = factor * np.log(np.maximum(np.abs(reference), amin))
    if zero.any():
        out -= zero
    if cut:
        np.maximum(out, np.full_like(out, out.max() - top_db), out=out)
    return out


def known_to_db(S: Float[np.ndarray, "bins frames"]) -> Float[np.ndarray, "bins frames"]:
    """Compute `power_to_db` of one clip's known powers in NumPy, with its defaults."""
    numbers = np.array([1e-10, 80.0, 1.0])
    options: dict[str, Any] = {"refs": None, "of_peak": False, "cut": True, "scale": 10.0}
    return _decibels_of_known(S=S, numbers=numbers, empty=np.empty, **options)


@by_clip(S="t", refs="t", numbers="k", of_known=lambda _: _decibels_of_known)
def _decibels_of_clip(
    n: Length, *, S: Any, refs: Any, numbers: Any, of_peak: bool, cut: bool, scale: float
) -> tuple[jax.Array, Length]:
    amin, top_db, ref = numbers
    reference = "max" if of_peak else ref if refs is None else refs
    return _decibels(
        _magnitudes(S, scale), reference, amin, top_db if cut else None, (0,), scale
    ), n


def _magnitudes(S: AnyArray, scale: float) -> Float[jax.Array, "*shape"]:
    S = jnp.abs(S) if scale == 20 or jnp.iscomplexobj(S) else jnp.asarray(S)
    return S.astype(jnp.result_type(S, jnp.float32))


def _of_known_clips(
    ref: Callable[..., Any], clips: np.ndarray, batch: tuple[int, ...], scale: float
) -> Float[np.ndarray, "*batch"]:
    flat = clips.reshape(-1, *clips.shape[len(batch) :])
    flat = np.abs(flat) if scale == 20 or np.iscomplexobj(flat) else flat
    flat = flat.astype(jnp.result_type(flat, jnp.float32), copy=False)
    values = [np.asarray(of_numpy(ref)(clip)) for clip in flat]
    return np.asarray(values, np.float64).reshape(batch)


def _axes(axes: Axes, ndim: int) -> tuple[int, ...]:
    if axes is None:
        return tuple(range(ndim))
    if axes == "auto":
        return tuple(range(max(0, ndim - 2), ndim))
    wanted = axes if isinstance(axes, tuple) else (axes,)
    known = all(isinstance(a, int | np.integer) and -ndim <= a < ndim for a in wanted)
    require(known, "axes", axes, f"S has {ndim} axes")
    return tuple(sorted({a % ndim for a in wanted}))


def _decibels(
    S: Float[jax.Array, "*shape"],
    ref: Any,
    amin: Any,
    top_db: Any,
    axes: tuple[int, ...],
    scale: float,
) -> Float[jax.Array, "*shape"]:
    if S.size == 0 and (isinstance(ref, str) or callable(ref)):
        ref = 1.0
    elif isinstance(ref, str):
        ref = peak_of(S, axes)
    elif callable(ref):
        ref = _of_each_clip(ref, S, axes)
    floor = jnp.asarray(amin, S.dtype)
    reference = at_least(jnp.abs(jnp.asarray(ref, S.dtype)), floor)
    S = at_least(jnp.where(jnp.isneginf(S), jnp.nan, S), floor)
    zero = scale * jnp.log10(reference)
    db = scale * jnp.log10(S) - zero
    if top_db is None or db.size == 0:
        return db
    # The peak of the power, because XLA would compute the decibels twice. A reference for each
    # element moves the peak.
    varies = any(zero.ndim >= S.ndim - a and zero.shape[a - S.ndim] > 1 for a in axes)
    peak = peak_of(db, axes) if varies else scale * jnp.log10(peak_of(S, axes)) - zero
    # A comparison with a NaN peak is False and would keep the rest of the clip.
    return jnp.where(jnp.isnan(peak), peak, at_least(db, peak - top_db))


def _of_each_clip(
    reduce: Callable[..., Any], S: jax.Array, axes: tuple[int, ...]
) -> Float[jax.Array, "..."]:
    """Return `reduce` of each clip, in a shape that broadcasts against S."""
    rest = tuple(a for a in range(S.ndim) if a not in axes)
    clips = jnp.transpose(S, rest + axes).reshape(-1, *(S.shape[a] for a in axes))
    values = jax.vmap(traceable(reduce))(clips) if len(clips) else clips
    return values.reshape([1 if a in axes else S.shape[a] for a in range(S.ndim)])


def at_least(
    x: Float[jax.Array, "..."], floor: Float[jax.Array, "..."] | float
) -> Float[jax.Array, "..."]:
    """Return the greater of the two, NaN where `x` is NaN."""
    return jnp.where(x < floor, jnp.asarray(floor, x.dtype), x)


def peak_of(x: Float[jax.Array, "..."], axes: tuple[int, ...]) -> Float[jax.Array, "..."]:
    """Return the maximum over `axes`, kept with length 1; NaN if any value there is NaN."""
    nans = jnp.isnan(x)
    peak = jnp.max(jnp.where(nans, -jnp.inf, x), axis=axes, keepdims=True)
    return jnp.where(jnp.any(nans, axis=axes, keepdims=True), jnp.nan, peak)


def safe_power(x: Float[jax.Array, "..."], exponent: Number) -> Float[jax.Array, "..."]:
    """Return `x ** exponent` of values of at least 0, with a finite slope where `x` is 0."""
    if exponent in (1, 2):
        return x if exponent == 1 else jnp.square(x)
    zero = x == 0
    return jnp.where(zero, 0, jnp.where(zero, 1, x) ** exponent)
