"""Per-channel energy normalisation."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer
from jaxtyping import Float, Num

from kit.dsp.arrays import array_of
from kit.dsp.checks import AnyArray, Number, ParameterError, positive_int, require
from kit.dsp.decibel import safe_power
from kit.dsp.iir import one_pole
from kit.dsp.jit import Length, by_clip
from kit.dsp.spectral.rank_filters import maximum_filter

# Frames of one product in the mean: with 64, a clip of 10 s takes 1.3 ms of CPU, not 0.4.
_BLOCK = 24


def pcen(
    S: Num[AnyArray, "..."],
    *,
    sr: Number = 22050,
    hop_length: int = 512,
    gain: Number = 0.98,
    bias: Number = 2,
    power: Number = 0.5,
    time_constant: Number = 0.4,
    eps: Number = 1e-6,
    b: Number | None = None,
    max_size: int = 1,
    ref: Float[AnyArray, "..."] | None = None,
    axis: int = -1,
    max_axis: int | None = None,
    zi: Any = None,
    return_zf: bool = False,
) -> Any:
    """Return (S / (eps + M)^gain + bias)^power - bias^power with M, the running mean of each band.

    Args:
        S: energies or magnitudes; complex values are replaced by their magnitude.
        sr, hop_length: sample rate in Hz and samples between frames.
        gain: exponent of the mean, at least 0.
        bias, power: offset and exponent of the compression; `power` 0 gives log(1 + S / M^gain).
        time_constant: time constant of the mean, seconds.
        eps: keeps the quotient finite.
        b: weight of the newest frame in the mean, in place of `time_constant`.
        max_size: above 1, average the maximum over this number of neighbouring bands.
        ref: energies to average, in place of S.
        axis: axis of frames.
        max_axis: axis of bands, if S has more than two axes and `max_size` is above 1.
        zi: state of the mean from `return_zf`, of length 1 on `axis`, for a signal in pieces.
        return_zf: return the state after the last frame too.
    Returns:
        The result, or (result, state); float32, or float64 for float64.
    Raises:
        ParameterError: an argument out of its range, arrays that do not fit S.
    Source: librosa 0.11 `pcen`; Wang et al. 2017.

    Example:
        >>> S = np.ones((2, 5), np.float32)
        >>> kit.dsp.pcen(S).shape  # bands, frames
        (2, 5)
    """
    for name, value in {"power": power, "gain": gain, "bias": bias}.items():
        require(value >= 0, name, value, "it must not be negative")
    require(eps > 0, "eps", eps, "it must be above 0")
    require(time_constant > 0, "time_constant", time_constant, "it must be above 0 s")
    max_size = positive_int("max_size", max_size)
    if b is None:
        b = newest_weight(time_constant, sr, hop_length)
    require(0 <= b <= 1, "b", b, "it must lie between 0 and 1")
    arrays = {"S": S, "ref": ref, "zi": zi}
    # On the host, an axis is moved without a program for each shape.
    xp: Any = jnp if any(isinstance(v, Tracer) for v in arrays.values()) else np
    S = xp.asarray(S)
    require(-S.ndim <= axis < S.ndim, "axis", axis, f"S has {S.ndim} axes")
    if ref is None and max_size > 1:
        max_axis = _band_axis(S.ndim, max_size, axis, max_axis)
    sources, places = (axis,), (-1,)
    if max_axis is not None and S.ndim > 1:
        require(
            -S.ndim <= max_axis < S.ndim and (max_axis - axis) % S.ndim != 0,
            "max_axis",
            max_axis,
            f"it must be one of the {S.ndim} axes of S, and not axis (={axis})",
        )
        sources, places = (axis, max_axis), (-1, -2)

    def moved(x: Any) -> Any:
        x = xp.moveaxis(x, sources, places)
        return x[None] if S.ndim == 1 else x

    def back(x: jax.Array) -> jax.Array:
        if S.ndim > 1 and sources[0] % S.ndim == S.ndim - 1 and len(sources) == 1:
            return x
        with jax.ensure_compile_time_eval():
            made: Any = x if isinstance(x, Tracer) else np.asarray(x)
            made = xp.moveaxis(made[0] if S.ndim == 1 else made, places, sources)
            return made if isinstance(made, Tracer) else jax.device_put(made)

    if ref is not None:
        require(ref.shape == S.shape, "ref.shape", ref.shape, f"S has shape {S.shape}")
        ref = moved(ref)
    if zi is not None:
        zi = xp.asarray(zi if isinstance(zi, Tracer) else array_of("zi", zi))
        shape = tuple(1 if a == axis % S.ndim else k for a, k in enumerate(S.shape))
        try:
            zi = moved(xp.broadcast_to(zi, shape))
        except ValueError:
            raise ParameterError(f"zi.shape is {zi.shape}; it must be {shape}") from None
    out, last = _pcen(
        S=moved(S), ref=ref, zi=zi, gain=gain, bias=bias, power=power, eps=eps, b=b, size=max_size
    )
    return (back(out), back(last)) if return_zf else back(out)


def newest_weight(time_constant: Number, sr: Number, hop_length: int) -> float:
    """Return `b` for a time constant in seconds."""
    hops = time_constant * sr / positive_int("hop_length", hop_length)
    require(hops > 0, "sr", sr, "it must be above 0 Hz")
    return float((np.sqrt(1 + 4 * hops**2) - 1) / (2 * hops**2))


@by_clip(S="bt", ref="bt", zi="bt")
def _pcen(
    n: Length,
    *,
    S: Any,
    ref: Any,
    zi: Any,
    gain: Number,
    bias: Number,
    power: Number,
    eps: Number,
    b: float,
    size: int,
) -> tuple[tuple[jax.Array, jax.Array], tuple[Length, None]]:
    S = jnp.abs(S) if jnp.iscomplexobj(S) else S.astype(jnp.result_type(S, jnp.float32))
    if ref is None:
        ref = S if size == 1 else maximum_filter(S, size, axis=0)
    ref = ref.astype(S.dtype)
    state = jnp.full((len(S), 1), 1 - b, S.dtype) if zi is None else zi[:, :1].astype(S.dtype)
    smooth = _mean(ref, b, state)
    last = state
    if S.shape[-1] > 0:
        last = (1 - b) * lax.dynamic_slice_in_dim(smooth, n - 1, 1, axis=-1)
    quotient = S * jnp.exp(-gain * jnp.log(eps + smooth))
    if power == 0:
        out = jnp.log1p(quotient)
    elif bias == 0:
        out = safe_power(quotient, power)
    elif power == 0.5:
        # The difference of two roots without cancellation.
        out = quotient / (jnp.sqrt(quotient + bias) + bias**0.5)
    else:
        with np.errstate(over="ignore"):
            scale = float(np.float64(bias) ** power)
        out = scale * jnp.expm1(power * jnp.log1p(quotient / bias))
    return (out, last), (n, None)


def _mean(
    x: Float[jax.Array, "*batch frames"], b: float, state: Float[jax.Array, "*batch 1"]
) -> Float[jax.Array, "*batch frames"]:
    fed = b * x + jnp.where(jnp.arange(x.shape[-1]) == 0, state, 0)
    return one_pole(fed, 1 - b, jnp.zeros_like(state), _BLOCK)


def _band_axis(ndim: int, size: int, axis: int, max_axis: int | None) -> int:
    require(ndim > 1, "max_size", size, "one-dimensional S has no neighbouring bands")
    if max_axis is None:
        require(ndim == 2, "max_axis", max_axis, f"S has {ndim} axes: give the axis of bands")
        max_axis = (1 - axis) % 2
    return max_axis
