"""The K-weighting of ITU-R BS.1770-4."""

import math
from functools import lru_cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float

from kit.dsp.checks import Number, require

# States of one product in `_states`.
_GROUP = 32


def k_weighting(sr: Number) -> Float[np.ndarray, "2 6"]:
    """Return the two second-order sections of the K-weighting at a sample rate, as SciPy's `sos`.

    The standard gives coefficients at 48 kHz. This function maps their analogue filters (a shelf of
    4 dB at 1682 Hz and a high-pass at 38 Hz) to any rate by the bilinear transform.

    Raises:
        ParameterError: `sr` below 8000 Hz, or not finite.
    Source: BS.1770-4, tables 1 and 2 (equal to 1e-7 at 48 kHz); parameters of libebur128.

    Example:
        >>> kit.dsp.k_weighting(48000).round(3)[0]  # b and a of the shelf
        array([ 1.535, -2.692,  1.198,  1.   , -1.691,  0.732])
    """
    require(8000 <= sr < math.inf, "sr", sr, "K-weighting takes a finite rate of at least 8000 Hz")
    shelf_hz, shelf_db, shelf_q = 1681.974450955533, 3.999843853973347, 0.7071752369554196
    k = math.tan(math.pi * shelf_hz / sr)
    high = 10 ** (shelf_db / 20)
    band = high**0.4996667741545416
    norm = 1 + k / shelf_q + k * k
    shelf = [
        (high + band * k / shelf_q + k * k) / norm,
        2 * (k * k - high) / norm,
        (high - band * k / shelf_q + k * k) / norm,
        1.0,
        2 * (k * k - 1) / norm,
        (1 - k / shelf_q + k * k) / norm,
    ]
    pass_hz, pass_q = 38.13547087602444, 0.5003270373238773
    k = math.tan(math.pi * pass_hz / sr)
    norm = 1 + k / pass_q + k * k
    high_pass = [1.0, -2.0, 1.0, 1.0, 2 * (k * k - 1) / norm, (1 - k / pass_q + k * k) / norm]
    return np.array([shelf, high_pass])


class _Blocks(NamedTuple):
    """Matrices of the filter on blocks of samples; rows multiply from the right."""

    inside: Float[np.ndarray, "block block"]
    """From a block to its own output."""
    into: Float[np.ndarray, "block 4"]
    """From a block to the state after it."""
    onward: Float[np.ndarray, "4 4"]
    """From the state before a block to the state after it."""
    out: Float[np.ndarray, "4 block"]
    """From the state before a block to its output."""


def k_weighted(
    x: Float[jax.Array, "channels samples"], sr: Number, block: int
) -> Float[jax.Array, "channels samples"]:
    """Return the K-weighted `x`, whose length is a multiple of `block`.

    The filter is causal: silence before the first sound stays exactly 0.
    """
    parts = _blocks(sr, block)
    inside, into, out = (jnp.asarray(m, x.dtype) for m in (parts.inside, parts.into, parts.out))
    rows = x.reshape(len(x), -1, block)
    before = _states(_product(rows, into), parts.onward)
    return (_product(rows, inside) + _product(before, out)).reshape(x.shape)


def _states(
    u: Float[jax.Array, "channels blocks order"], onward: Float[np.ndarray, "order order"]
) -> Float[jax.Array, "channels blocks order"]:
    """Return the state before each block: s[0] = 0, s[k + 1] = s[k] onward + u[k].

    A group of blocks is one product with a triangle of powers of `onward`. The states between
    groups follow the same recursion.
    """
    channels, blocks, order = u.shape
    size = min(_GROUP, blocks)
    groups = -(-blocks // size)
    powers = [np.eye(order)]
    for _ in range(size):
        powers.append(powers[-1] @ onward)
    triangle = np.zeros((size, order, size + 1, order))
    for j in range(size):
        for k in range(j + 1, size + 1):
            triangle[j, :, k] = powers[k - 1 - j]
    padded = jnp.pad(u, ((0, 0), (0, groups * size - blocks), (0, 0)))
    rows = padded.reshape(channels, groups, size * order)
    flat = jnp.asarray(triangle.reshape(size * order, -1), u.dtype)
    inside = _product(rows, flat).reshape(channels, groups, size + 1, order)
    states, ends = inside[:, :, :size], inside[:, :, size]
    if groups > 1:
        starts = _states(ends, powers[size])
        spread = jnp.asarray(np.concatenate(powers[:size], axis=1), u.dtype)
        states = states + _product(starts, spread).reshape(states.shape)
    return states.reshape(channels, groups * size, order)[:, :blocks]


def _product(x: jax.Array, matrix: jax.Array) -> jax.Array:
    return jnp.dot(x, matrix, precision=lax.Precision.HIGHEST)


@lru_cache(maxsize=16)
def _blocks(sr: Number, block: int) -> _Blocks:
    # State s of one section in the transposed direct form II: y = b0 x + s0.
    sections = []
    for b0, b1, b2, _, a1, a2 in k_weighting(sr):
        move = np.array([[-a1, 1.0], [-a2, 0.0]])
        sections.append((move, np.array([b1 - a1 * b0, b2 - a2 * b0]), np.array([1.0, 0.0]), b0))
    (a, b, c, d), (a2, b2, c2, d2) = sections
    move = np.block([[a, np.zeros((2, 2))], [np.outer(b2, c), a2]])
    enter, leave, through = np.r_[b, b2 * d], np.r_[d2 * c, c2], d * d2
    # In this basis the states for white noise are independent and as large as the noise. Single
    # precision needs this, because two poles are close to one.
    spread = np.outer(enter, enter)
    power = move
    for _ in range(30):
        spread, power = spread + power @ spread @ power.T, power @ power
    basis = np.linalg.cholesky(spread)
    move, enter = np.linalg.solve(basis, move @ basis), np.linalg.solve(basis, enter)
    leave = leave @ basis
    entered, left = [enter], [leave]
    for _ in range(block - 1):
        entered.append(move @ entered[-1])
        left.append(left[-1] @ move)
    response = np.r_[through, [leave @ e for e in entered[:-1]]]
    delay = np.arange(block) - np.arange(block)[:, None]
    return _Blocks(
        inside=np.where(delay >= 0, response[np.maximum(delay, 0)], 0),
        into=np.array(entered[::-1]),
        onward=np.linalg.matrix_power(move, block).T,
        out=np.array(left).T,
    )
