"""The DFT of real frames as matrix products, to compare with the library's FFT.

"matmul" is one product with a matrix of cosines and sines: much arithmetic, but of the kind that
tensor cores and TPUs are made of. "factored" splits n = n1 * n2 and makes two small products with
twiddle factors between (the Cooley-Tukey step as matrices; FlashFFTConv calls it Monarch, arXiv
2311.05908): 20 times fewer operations than "matmul" at 2048. "matmul_bf16" is "matmul" of operands
rounded to bfloat16, added up in single precision.

None is faster than the FFT on a CPU; `benchmarks/dsp.py` measures them on the device at hand.
"""

import math
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Complex, Float

_HIGHEST = jax.lax.Precision.HIGHEST
METHODS = ("fft", "matmul", "factored", "matmul_bf16")


def rfft(frames: Float[jax.Array, "*batch n_fft"], method: str) -> Complex[jax.Array, "..."]:
    """Return the DFT of real frames by one of `METHODS`."""
    if method == "fft":
        return jnp.fft.rfft(frames)
    if method == "matmul":
        return _dense(frames, _HIGHEST)
    if method == "matmul_bf16":
        return _dense(frames.astype(jnp.bfloat16), None, frames.dtype)
    first = _factor(frames.shape[-1])
    return _dense(frames, _HIGHEST) if first == 1 else _factored(frames, first, _HIGHEST)


@lru_cache(maxsize=32)
def _turns(rows: int, columns: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """cos and -sin of 2 pi j k / n in float64, for j < rows and k < columns."""
    # The product modulo n is exact in integers; large angles would not be.
    angle = 2 * np.pi / n * (np.outer(np.arange(rows), np.arange(columns)) % n)
    return np.cos(angle), -np.sin(angle)


def _dense(
    frames: Float[jax.Array, "*batch n_fft"],
    precision: jax.lax.Precision | None,
    dtype: Any = None,
) -> Complex[jax.Array, "*batch bins"]:
    n_fft = frames.shape[-1]
    bins = 1 + n_fft // 2
    basis = jnp.asarray(np.concatenate(_turns(n_fft, bins, n_fft), axis=1), frames.dtype)
    dtype = dtype or frames.dtype
    both = jnp.dot(frames, basis, precision=precision, preferred_element_type=dtype)
    return jax.lax.complex(both[..., :bins], both[..., bins:])


def _factor(n: int) -> int:
    """The largest even divisor of `n` up to its square root, or the largest if none is even."""
    divisors = [d for d in range(1, math.isqrt(n) + 1) if n % d == 0]
    return max([d for d in divisors if d % 2 == 0] or divisors)


def _factored(
    frames: Float[jax.Array, "*batch n_fft"], n1: int, precision: jax.lax.Precision | None
) -> Complex[jax.Array, "*batch bins"]:
    n = frames.shape[-1]
    n2 = n // n1
    dtype = frames.dtype
    # Real input: rows above n1 / 2 of the first stage mirror those below.
    half = n1 // 2 + 1
    grid = frames.reshape(*frames.shape[:-1], n1, n2)
    cos1, sin1 = (jnp.asarray(m, dtype) for m in _turns(half, n1, n1))
    real = jnp.einsum("ka,...ab->...kb", cos1, grid, precision=precision)
    imag = jnp.einsum("ka,...ab->...kb", sin1, grid, precision=precision)
    twist_cos, twist_sin = (jnp.asarray(m, dtype) for m in _turns(half, n2, n))
    real, imag = (
        real * twist_cos - imag * twist_sin,
        real * twist_sin + imag * twist_cos,
    )
    cos2, sin2 = (jnp.asarray(m, dtype) for m in _turns(n2, n2, n2))
    basis = jnp.concatenate(
        [jnp.concatenate([cos2, sin2], axis=1), jnp.concatenate([-sin2, cos2], axis=1)]
    )
    both = jnp.einsum(
        "...ki,ij->...kj", jnp.concatenate([real, imag], axis=-1), basis, precision=precision
    )
    lower = jax.lax.complex(both[..., :n2], both[..., n2:])
    mirrored = jnp.conj(lower[..., 1 : n1 - half + 1, :][..., ::-1, ::-1])
    rows = jnp.concatenate([lower, mirrored], axis=-2)
    # Row k1, column k2 is bin k1 + n1 * k2.
    flat = jnp.swapaxes(rows, -1, -2).reshape(*frames.shape[:-1], n)
    return flat[..., : 1 + n // 2]
