"""Per-channel energy normalisation."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Num

from kit.dsp.checks import AnyArray, Number, positive_int, require
from kit.dsp.effects.iir import one_pole
from kit.dsp.jit import compiled
from kit.dsp.spectral.rank_filters import maximum_filter


@compiled("S", "ref", "zi")
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
    """Energy of each band over its own recent mean: (S / (eps + M)^gain + bias)^power - bias^power.

    Args:
        S: energies or magnitudes, frames on `axis`; the magnitude is taken of what is complex.
        sr, hop_length: give the seconds of a frame.
        gain: how much of the mean is taken out, at least 0.
        bias, power: of the compression; 0 for `power` is log(1 + S / M^gain).
        time_constant: of the mean, seconds.
        eps: keeps the quotient finite.
        b: weight of the newest frame in the mean, in place of `time_constant`.
        max_size: above 1, the mean is of the greatest of so many neighbouring bands.
        ref: energies to take the mean of, in place of S.
        axis: of frames.
        max_axis: of bands; needed where S has more than two axes and `max_size` is above 1.
        zi: state of the mean, 1 on `axis`, as `return_zf` gave it, so that a signal may come in
            pieces.
        return_zf: give the state after the last frame too.
    Returns:
        The result, or (result, state).
    Raises:
        ParameterError: an argument out of its range.
    Source: librosa 0.11 `pcen`; Wang et al. 2017.
    """
    for name, value in {"power": power, "gain": gain, "bias": bias}.items():
        require(value >= 0, name, value, "it must not be negative")
    require(eps > 0, "eps", eps, "it must be above 0")
    require(time_constant > 0, "time_constant", time_constant, "it must be above 0 s")
    max_size = positive_int("max_size", max_size)
    if b is None:
        frames = time_constant * sr / hop_length
        b = float((np.sqrt(1 + 4 * frames**2) - 1) / (2 * frames**2))
    require(0 <= b <= 1, "b", b, "it must lie between 0 and 1")
    S = jnp.asarray(S)
    S = jnp.abs(S) if jnp.iscomplexobj(S) else S.astype(jnp.result_type(S, jnp.float32))
    if ref is None:
        ref = S if max_size == 1 else _greatest(S, max_size, axis, max_axis)
    ref = jnp.asarray(ref, S.dtype)
    moved = jnp.moveaxis(ref, axis, -1)
    state = jnp.asarray(1 - b if zi is None else zi, S.dtype)
    state = state if state.ndim < ref.ndim else jnp.moveaxis(state, axis, -1)
    state = jnp.broadcast_to(state, (*moved.shape[:-1], 1))
    smooth = _mean(moved, b, state)
    last = jnp.moveaxis((1 - b) * smooth[..., -1:], -1, axis)
    smooth = jnp.moveaxis(smooth, -1, axis)
    quotient = S * jnp.exp(-gain * jnp.log(eps + smooth))
    if power == 0:
        out = jnp.log1p(quotient)
    elif bias == 0:
        out = quotient**power
    elif power == 0.5:
        # The difference of two roots, with nothing lost where they are close.
        out = quotient / (jnp.sqrt(quotient + bias) + bias**0.5)
    else:
        out = bias**power * jnp.expm1(power * jnp.log1p(quotient / bias))
    return (out, last) if return_zf else out


def _mean(
    x: Float[jax.Array, "*batch frames"], b: float, state: Float[jax.Array, "*batch 1"]
) -> Float[jax.Array, "*batch frames"]:
    fed = b * x
    fed = jnp.concatenate([fed[..., :1] + state, fed[..., 1:]], axis=-1)
    return one_pole(fed, 1 - b, jnp.zeros_like(state))


def _greatest(
    S: Float[jax.Array, "..."], size: int, axis: int, max_axis: int | None
) -> Float[jax.Array, "..."]:
    require(S.ndim > 1, "max_size", size, "one-dimensional S has no neighbouring bands")
    if max_axis is None:
        require(S.ndim == 2, "max_axis", max_axis, f"S has {S.ndim} axes: give the axis of bands")
        max_axis = (1 - axis) % 2
    return maximum_filter(S, size, axis=max_axis)
