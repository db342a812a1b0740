"""Phase vocoder, and separation of magnitude and phase."""

import warnings
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer
from jaxtyping import Complex, Float, Inexact, Int, Num

from kit.dsp.checks import AnyArray, Number, ParameterError, one_of, positive_int, require
from kit.dsp.decibel import safe_power
from kit.dsp.effects.istft import pads_clips
from kit.dsp.jit import Length, by_clip, elementwise, padded_length

Kind = Literal[
    "linear", "slinear", "nearest", "nearest-up", "zero", "previous", "next", "quadratic", "cubic"
]
# Frames in a spline. Weights fall by a factor of 0.27 or less from frame to frame, so more frames
# would not change a digit of double precision.
_SPLINE_FRAMES = 64


@elementwise("D")
def magphase(
    D: Num[AnyArray, "*shape"], *, power: Number = 1
) -> tuple[Float[jax.Array, "*shape"], Complex[jax.Array, "*shape"]]:
    """Return the magnitude of D to a power, and its phase as a unit complex number.

    Args:
        D: any shape.
        power: exponent of the magnitude, above 0.
    Returns:
        Magnitude and phase; the phase of 0 is 1.
    Raises:
        ParameterError: `power` not above 0.
    Source: librosa 0.11 `magphase`.

    Example:
        >>> magnitude, phase = kit.dsp.magphase(np.array([3 + 4j]))
        >>> magnitude
        Array([5.], dtype=float32)
    """
    require(power > 0, "power", power, "it must be above 0")
    D = jnp.asarray(D)
    size, real, imag = polar(D.astype(jnp.result_type(D, jnp.complex64)))
    return safe_power(size, power), lax.complex(real, imag)


def polar(D: Complex[jax.Array, "*shape"]) -> tuple[Any, Any, Any]:
    """Return the magnitude of D, and the real and imaginary part of D over its magnitude.

    Where D is 0, the real part is 1, and all slopes are finite. D is scaled before squaring, so
    that squares neither overflow nor vanish.
    """
    real, imag = jnp.real(D), jnp.imag(D)
    scale = jnp.maximum(jnp.abs(real), jnp.abs(imag))
    nothing = scale == 0
    scale = lax.stop_gradient(jnp.where(nothing, 1, scale))
    real, imag = real / scale, imag / scale
    squared = jnp.square(real) + jnp.square(imag)
    root = jnp.sqrt(jnp.where(nothing, 1, squared))
    size = jnp.where(nothing, squared, scale * root)
    return size, jnp.where(nothing, 1, real / root), jnp.where(nothing, imag, imag / root)


class Steps(NamedTuple):
    """The frames that make each frame of a stretched spectrum."""

    whole: Int[AnyArray, "stretched"]
    """The frame before; its phase and its successor's give the phase advance."""

    first: Int[AnyArray, "stretched"]
    """The first of the frames whose magnitudes are summed."""

    weights: Float[AnyArray, "stretched taps"]
    """Weights of those magnitudes."""

    def arguments(self, padded: bool) -> dict[str, Any]:
        """Return the arguments of a function made by `by_clip`."""
        count = len(self.whole)
        if not padded:
            return {**self._asdict(), "count": None}
        fill = padded_length(count) - count
        filled = {
            k: np.pad(v, [(0, fill)] + [(0, 0)] * (v.ndim - 1)) for k, v in self._asdict().items()
        }
        return {**filled, "count": np.asarray(count, np.int32)}


def steps_of_rate(frames: int, rate: Number, kind: str = "linear") -> Steps:
    """Return the steps of a constant rate."""
    require(rate > 0 and np.isfinite(rate), "rate", rate, "it must be above 0, and finite")
    require(frames / rate <= 2**22, "rate", rate, f"it gives too many frames from {frames}")
    return steps_at(np.arange(0, frames, rate, dtype=np.float64), frames, kind)


def steps_at(times: Any, frames: int, kind: str) -> Steps:
    """Return the steps at times in frames, from 0 up to but not including `frames`."""
    one_of("kind", kind, get_args(Kind))
    known = not isinstance(times, Tracer)
    times = np.asarray(times, np.float64) if known else times
    xp: Any = np if known else jnp
    whole = xp.floor(times).astype(np.int32)
    if kind in ("linear", "slinear"):
        part = times - whole
        return Steps(whole, whole, xp.stack([1 - part, part], axis=-1))
    if kind in ("quadratic", "cubic"):
        return _spline_steps(times, whole, frames, 2 if kind == "quadratic" else 3)
    at = {
        "nearest": xp.ceil(times - 0.5),
        "nearest-up": xp.floor(times + 0.5),
        "next": xp.ceil(times),
    }.get(kind, whole)
    first = xp.clip(at, 0, frames - 1).astype(np.int32)
    return Steps(whole, first, xp.ones((*first.shape, 1)))


def _spline_steps(times: Any, whole: Any, frames: int, degree: int) -> Steps:
    import scipy.interpolate  # takes 0.1 s, and few calls need it

    require(not isinstance(times, Tracer), "t_out", "traced", "a spline needs its values")
    require(frames > degree, "kind", degree, f"a spline of this degree takes {degree + 1} frames")
    count = min(frames, _SPLINE_FRAMES)
    first = np.clip(whole - count // 2, 0, frames - count)
    basis = scipy.interpolate.make_interp_spline(np.arange(count), np.eye(count), k=degree)
    return Steps(whole, first.astype(np.int32), np.asarray(basis(times - first)))


@by_clip(D="bt", whole="s", first="s", weights="sk", count="")
def _stretched(
    n: Length,
    D: Num[AnyArray, "*batch bins frames"],
    *,
    whole: Int[AnyArray, "stretched"],
    first: Int[AnyArray, "stretched"],
    weights: Float[AnyArray, "stretched taps"],
    count: Int[AnyArray, ""] | None = None,
) -> tuple[Complex[jax.Array, "*batch bins stretched"], Length]:
    D = jnp.asarray(D)
    rows = D.astype(jnp.result_type(D, jnp.complex64)).T
    made = stretched_rows(rows, n, Steps(whole, first, weights), count)
    return made.T, whole.shape[0] if count is None else jnp.asarray(count)


def stretched_rows(
    D: Complex[jax.Array, "frames bins"],
    n: Length,
    steps: Steps,
    count: Int[AnyArray, ""] | None = None,
) -> Complex[jax.Array, "stretched bins"]:
    """Return a spectrum, one frame per row, at the times of `steps`.

    Frames past `n` count as zero. Rows past the first `count` are zero; all are computed if None.
    """
    real = jnp.finfo(D.dtype).dtype
    weights = jnp.asarray(steps.weights, real)
    taps = weights.shape[1]
    whole, first = jnp.asarray(steps.whole), jnp.asarray(steps.first)

    def frames(start: Any, length: int) -> Complex[jax.Array, "length bins"]:
        at = start + np.arange(length)
        rows = D[jnp.clip(at, 0, len(D) - 1)]
        return jnp.where((at < n)[:, None], rows, 0)

    def step(phase: Any, at: Any) -> Any:
        whole, first, weight = at
        size, real, imag = polar(frames(whole, 2))
        if taps != 2:
            size, _, _ = polar(frames(first, taps))
        size = jnp.sum(weight[:, None] * size, axis=0)
        turned = _product(phase, (real[1], imag[1]), (real[0], -imag[0]))
        # One Newton iteration keeps the length at 1.
        scale = 1.5 - 0.5 * (jnp.square(turned[0]) + jnp.square(turned[1]))
        return (turned[0] * scale, turned[1] * scale), lax.complex(size * phase[0], size * phase[1])

    if len(whole) == 0:
        return jnp.zeros((0, D.shape[1]), D.dtype)
    _, real_part, imag_part = polar(frames(whole[0], 1))
    start = (real_part[0], imag_part[0])
    if count is None:
        return lax.scan(step, start, (whole, first, weights))[1]

    def put(i: Any, state: Any) -> Any:
        phase, made = state
        phase, row = step(phase, (whole[i], first[i], weights[i]))
        return phase, lax.dynamic_update_index_in_dim(made, row, i, 0)

    empty = jnp.zeros((len(whole), D.shape[1]), D.dtype)
    return lax.fori_loop(0, jnp.asarray(count), put, (start, empty))[1]


def _product(*factors: Any) -> Any:
    (a, b), *others = factors
    for c, d in others:
        a, b = a * c - b * d, a * d + b * c
    return a, b


def phase_vocoder(
    D: Num[AnyArray, "*batch bins frames"],
    *,
    rate: Number | None = None,
    t_out: Any = None,
    kind: str = "linear",
    hop_length: int | None = None,
    n_fft: int | None = None,
) -> Complex[jax.Array, "*batch bins stretched"]:
    """Return an STFT played `rate` times as fast at the same pitch, or at the times `t_out`.

    Args:
        D: STFT (…, bins, frames).
        rate: above 1 is faster.
        t_out: in place of `rate`, times in frames of D, from 0 up to but not including `frames`.
        kind: how magnitudes are interpolated, as `scipy.interpolate.interp1d` names it: "linear",
            "nearest", "nearest-up", "zero", "slinear", "quadratic", "cubic", "previous" or "next".
        hop_length, n_fft: checked, without effect.
    Returns:
        stretched = ceil(frames / rate), or the number of times.
        Past the last frame linear magnitudes fade out, as in librosa 0.11; 1.0 extrapolates them,
        also below zero. The phase is a product of unit numbers, so errors do not grow with length.
    Raises:
        ParameterError: not one of `rate` and `t_out`, a rate not above 0, times out of range, an
            unknown kind, a size below 1.
    Warns:
        UserWarning: decreasing times.
    Source: librosa 0.11 `phase_vocoder`, with 1.0's `t_out` and `kind`.

    Example:
        >>> D = kit.dsp.stft(np.sin(np.arange(8000.0)), n_fft=512)
        >>> D.shape, kit.dsp.phase_vocoder(D, rate=2.0).shape
        ((257, 63), (257, 32))
    """
    if (rate is None) == (t_out is None):
        raise ParameterError("rate and t_out: give exactly one of them")
    for name, value in (("hop_length", hop_length), ("n_fft", n_fft)):
        if value is not None:
            positive_int(name, value)
    D = D if isinstance(D, jax.Array) else np.asarray(D)
    require(D.ndim >= 2, "D.shape", D.shape, "its last two axes are bins and frames")
    frames = D.shape[-1]
    require(frames >= 1, "D.shape", D.shape, "it must have at least one frame")
    if t_out is None:
        steps = steps_of_rate(frames, rate or 0, kind)
    else:
        steps = steps_at(_checked(t_out, frames), frames, kind)
    padded = pads_clips(D, steps.whole)
    return _stretched(D, **steps.arguments(padded))


def _checked(t_out: Any, frames: int) -> Any:
    if isinstance(t_out, Tracer):
        return t_out
    times = np.asarray(t_out, np.float64)
    require(times.ndim == 1, "t_out.shape", times.shape, "it must have one axis")
    inside = bool(np.all((times >= 0) & (times < frames)))
    require(inside, "t_out", t_out, f"its values must lie from 0 to below the {frames} frames")
    if np.any(np.diff(times) < 0):
        warnings.warn("t_out is not monotonic; the phase may be wrong there", stacklevel=3)
    return times


def split_phase(
    S: Inexact[jax.Array, "*shape"],
) -> tuple[Float[jax.Array, "*shape"], Complex[jax.Array, "*shape"] | int]:
    """Return magnitudes and unit phases of a complex array; a real array and 1 for a real one."""
    if not jnp.iscomplexobj(S):
        return S, 1
    size, real, imag = polar(S)
    return size, lax.complex(real, imag)
