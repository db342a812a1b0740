"""Recursive filters of low order as scans, and the filters made of them."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float, Shaped

from kit.dsp.checks import AnyArray, Number, as_waveform, require
from kit.dsp.framing import fit
from kit.dsp.jit import compiled

# Samples of one product in `one_pole`.
_BLOCK = 64


def one_pole(
    x: Float[jax.Array, "*batch samples"], pole: float, start: Float[jax.Array, "#*batch 1"]
) -> Float[jax.Array, "*batch samples"]:
    """y[t] = x[t] + pole * y[t - 1], with `start` for y[-1].

    Blocks are products with a triangular matrix of the pole's powers; what goes from block to block
    is a filter of one pole itself.
    """
    samples = x.shape[-1]
    if samples == 0:
        return x
    size = min(_BLOCK, samples)
    powers = np.float64(pole) ** np.arange(size + 1)
    back = np.arange(size)[:, None] - np.arange(size)
    matrix = np.where(back >= 0, powers[np.maximum(back, 0)], 0)
    blocks = -(-samples // size)
    rows = fit(x, blocks * size).reshape(*x.shape[:-1], blocks, size)
    inside = jnp.dot(rows, jnp.asarray(matrix.T, x.dtype), precision=lax.Precision.HIGHEST)
    before = jnp.broadcast_to(start, (*x.shape[:-1], 1)).astype(x.dtype)
    if blocks > 1:
        ends = one_pole(inside[..., :-1, -1], float(powers[size]), before)
        before = jnp.concatenate([before, ends], axis=-1)
    out = inside + before[..., None] * jnp.asarray(powers[1:], x.dtype)
    return out.reshape(*x.shape[:-1], blocks * size)[..., :samples]


def biquad(
    x: Float[jax.Array, "*batch samples"], b: np.ndarray, a: np.ndarray
) -> Float[jax.Array, "*batch samples"]:
    """A second-order section at rest: b of three, a of three with a[0] = 1.

    Source: the transposed direct form II, as `scipy.signal.lfilter`.
    """
    b0, b1, b2 = (float(v) for v in b)
    _, a1, a2 = (float(v) for v in a)

    def step(state: Any, x_t: jax.Array) -> Any:
        s1, s2 = state
        y_t = b0 * x_t + s1
        return (b1 * x_t - a1 * y_t + s2, b2 * x_t - a2 * y_t), y_t

    zero = jnp.zeros(x.shape[:-1], x.dtype)
    _, y = lax.scan(step, (zero, zero), jnp.moveaxis(x, -1, 0), unroll=32)
    return jnp.moveaxis(y, 0, -1)


@compiled("y", "zi")
def preemphasis(
    y: Shaped[AnyArray, "*batch samples"],
    *,
    coef: Number = 0.97,
    zi: Any = None,
    return_zf: bool = False,
) -> Any:
    """y[t] - coef * y[t - 1]: the high frequencies raised.

    Args:
        y: waveforms (…, samples).
        coef: between 0 (nothing) and 1.
        zi: state of the filter, (…, 1): -coef times the sample before; by default the one that
            continues the first two in a straight line.
        return_zf: give the last state too.
    Returns:
        The result, or (result, state).
    Source: librosa 0.11 `effects.preemphasis`.
    """
    y = as_waveform(y)
    if zi is None:
        require(y.shape[-1] >= 2, "y.shape", y.shape, "without zi it must hold two samples")
        zi = 2 * y[..., :1] - y[..., 1:2]
    zi = jnp.broadcast_to(jnp.atleast_1d(jnp.asarray(zi, y.dtype)), (*y.shape[:-1], 1))
    delayed = jnp.concatenate([zi, -coef * y[..., :-1]], axis=-1)
    out = y + delayed
    return (out, -coef * y[..., -1:]) if return_zf else out


@compiled("y", "zi")
def deemphasis(
    y: Shaped[AnyArray, "*batch samples"],
    *,
    coef: Number = 0.97,
    zi: Any = None,
    return_zf: bool = False,
) -> Any:
    """The inverse of `preemphasis`: y[t] + coef * out[t - 1].

    Args:
        y: waveforms (…, samples).
        coef: as in `preemphasis`.
        zi: state of the filter, (…, 1): coef times the output before; by default the one that
            undoes `preemphasis` with its default.
        return_zf: give the last state too.
    Source: librosa 0.11 `effects.deemphasis`.
    """
    y = as_waveform(y)
    given = zi is not None
    state = jnp.asarray(zi if given else 0, y.dtype)
    state = jnp.broadcast_to(jnp.atleast_1d(state), (*y.shape[:-1], 1))
    first = y[..., :1] + state
    out = one_pole(jnp.concatenate([first, y[..., 1:]], axis=-1), coef, jnp.zeros_like(first))
    zf = coef * out[..., -1:]
    if not given:
        require(y.shape[-1] >= 2, "y.shape", y.shape, "without zi it must hold two samples")
        slack = ((2 - coef) * y[..., :1] - y[..., 1:2]) / (3 - coef)
        out = out - slack * jnp.asarray(coef ** np.arange(y.shape[-1], dtype=float), y.dtype)
    return (out, zf) if return_zf else out
