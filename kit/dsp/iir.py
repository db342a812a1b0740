"""One-pole recursive filters by matrix products, pre-emphasis and de-emphasis."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float, Shaped

from kit.dsp.checks import AnyArray, Number, as_waveform, known_waveform, require
from kit.dsp.framing import fit
from kit.dsp.jit import Empty, Length, by_clip

# Samples of one product in `one_pole`.
_BLOCK = 64


def one_pole(
    x: Float[jax.Array, "*batch samples"],
    pole: float,
    start: Float[jax.Array, "#*batch 1"],
    block: int = _BLOCK,
) -> Float[jax.Array, "*batch samples"]:
    """Return y[t] = x[t] + pole * y[t - 1], with `start` for y[-1].

    Each block of samples is a product with a triangular matrix of the pole's powers. The last
    outputs of the blocks are computed by a one-pole filter in turn.
    """
    samples = x.shape[-1]
    if samples == 0:
        return x
    size = min(block, samples)
    powers = np.float64(pole) ** np.arange(size + 1)
    back = np.arange(size) - np.arange(size)[:, None]
    matrix = np.where(back >= 0, powers[np.maximum(back, 0)], 0)
    blocks = -(-samples // size)
    rows = fit(x, blocks * size).reshape(*x.shape[:-1], blocks, size)
    before = jnp.broadcast_to(start, (*x.shape[:-1], 1)).astype(x.dtype)
    dot = partial(jnp.dot, precision=lax.Precision.HIGHEST)
    if blocks > 1:
        last = dot(rows[..., :-1, :], jnp.asarray(matrix[:, -1], x.dtype))
        before = jnp.concatenate([before, one_pole(last, powers[size], before, block)], axis=-1)
    # The start of a block is one more row of its product. XLA would fuse a sum after the product
    # with the next operation, which then uses no vector units.
    fed = jnp.concatenate([before[..., None], rows], axis=-1)
    out = dot(fed, jnp.asarray(np.vstack([powers[1:], matrix]), x.dtype))
    return out.reshape(*x.shape[:-1], blocks * size)[..., :samples]


def _check(given: dict[str, Any]) -> None:
    y, zi = given["y"], given["zi"]
    if np.ndim(y) == 0:
        return
    least, rule = (2, "without zi it must hold two samples") if zi is None else (1, "it is empty")
    require(y.shape[-1] >= least, "y.shape", y.shape, rule)
    if zi is not None:
        given["zi"] = zi = zi if zi.ndim else zi[None]
        require(zi.shape[-1] == 1, "zi.shape", zi.shape, "its last axis must be 1")


def _preemphasis_of_known(
    y: np.ndarray, *, coef: Number, zi: np.ndarray | None, return_zf: bool, empty: Empty
) -> Any:
    y = known_waveform(y)
    factor = y.dtype.type(-coef)
    state = 2 * y[0] - y[1] if zi is None else zi[0].astype(y.dtype)
    out = empty(y.shape, y.dtype)
    out[0] = y[0] + state
    np.multiply(y[:-1], factor, out=out[1:])
    out[1:] += y[1:]
    return (out, factor * y[-1:]) if return_zf else out


@by_clip(y="t", zi="z", check=_check, of_known=lambda _: _preemphasis_of_known)
def preemphasis(
    n: Length,
    y: Shaped[AnyArray, "*batch samples"],
    *,
    coef: Number = 0.97,
    zi: Any = None,
    return_zf: bool = False,
) -> tuple[Any, Any]:
    """Return y[t] - coef * y[t - 1], which raises the high frequencies.

    Args:
        y: waveforms (…, samples).
        coef: between 0 (no change) and 1.
        zi: state of the filter, (…, 1): -coef times the sample before. The default extrapolates the
            first two samples in a straight line.
        return_zf: return the last state too.
    Returns:
        The result, or (result, state).
    Raises:
        ParameterError: fewer than two samples without `zi`, no samples, a state of another shape.
    Source: librosa 0.11 `effects.preemphasis`.

    Example:
        >>> kit.dsp.preemphasis(np.array([1.0, 1.0, 1.0]), coef=0.5, zi=0.0)
        Array([1. , 0.5, 0.5], dtype=float32)
    """
    y = as_waveform(y)
    state = 2 * y[:1] - y[1:2] if zi is None else jnp.asarray(zi, y.dtype)
    out = y + jnp.concatenate([state, -coef * y[:-1]])
    return ((out, -coef * y[n - 1][None]), (n, None)) if return_zf else (out, n)


@by_clip(y="t", zi="z", check=_check)
def deemphasis(
    n: Length,
    y: Shaped[AnyArray, "*batch samples"],
    *,
    coef: Number = 0.97,
    zi: Any = None,
    return_zf: bool = False,
) -> tuple[Any, Any]:
    """Return the inverse of `preemphasis`: y[t] + coef * out[t - 1].

    Args:
        y: waveforms (…, samples).
        coef: as in `preemphasis`.
        zi: state of the filter, (…, 1): coef times the output before. The default inverts
            `preemphasis` with its default.
        return_zf: return the last state too; as in librosa, without the effect of the default `zi`.
    Returns:
        The result, or (result, state).
    Raises:
        ParameterError: as `preemphasis`.
    Source: librosa 0.11 `effects.deemphasis`.

    Example:
        >>> y = np.array([0.1, 0.5, -0.2])
        >>> bool(np.allclose(kit.dsp.deemphasis(kit.dsp.preemphasis(y)), y))
        True
    """
    y = as_waveform(y)
    if zi is None:
        # librosa subtracts `slack * coef**t` from the result: the filter's response to a first
        # sample that is smaller by `slack`.
        slack = ((2 - coef) * y[:1] - y[1:2]) / (3 - coef)
        first = y[:1] - slack
    else:
        slack = None
        first = y[:1] + jnp.asarray(zi, y.dtype)
    out = one_pole(jnp.concatenate([first, y[1:]]), coef, jnp.zeros_like(first))
    if not return_zf:
        return out, n
    last = out[n - 1][None]
    if slack is not None:
        # librosa returns the state before this subtraction.
        last = last + slack * jnp.power(jnp.asarray(coef, y.dtype), n - 1)
    return (out, coef * last), (n, None)
