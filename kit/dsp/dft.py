"""The DFT of real frames."""

from functools import lru_cache
from typing import Literal, TypeAlias, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Complex, Float

from kit.dsp.arrays import placed
from kit.dsp.checks import AnyArray, one_of, require
from kit.dsp.jit import Length, by_clip

Method: TypeAlias = Literal["auto", "fft", "real"]


def rfft(
    frames: Float[jax.Array, "*batch n_fft"], *, method: Method = "auto"
) -> Complex[jax.Array, "*batch bins"]:
    """Return the DFT of real frames; bins = 1 + n_fft // 2.

    Args:
        frames: float32 or float64.
        method: "fft"; or "real", products with cosines and sines; "auto" is "fft".
    Raises:
        ParameterError: an unknown method, complex frames.

    Example:
        >>> kit.dsp.rfft(jnp.array([1.0, 0.0, -1.0, 0.0]))
        Array([0.+0.j, 2.+0.j, 0.+0.j], dtype=complex64)
    """
    require(not jnp.iscomplexobj(frames), "frames.dtype", frames.dtype, "it must be real")
    frames = frames.astype(jnp.result_type(frames, jnp.float32))
    one_of("method", method, get_args(Method))
    samples = frames.shape[-1] if frames.ndim else 0
    require(samples, "frames.shape", frames.shape, "its last axis must be samples, at least one")
    if isinstance(frames, Tracer):
        return _rows(frames, method)
    *batch, n_fft = frames.shape
    rows = np.asarray(frames).reshape(-1, n_fft)
    made = _columns(np.ascontiguousarray(rows.T), method=method)
    return placed(np.asarray(made).T.reshape(*batch, n_fft // 2 + 1))


def _rows(
    frames: Float[jax.Array, "*batch n_fft"], method: Method
) -> Complex[jax.Array, "*batch bins"]:
    if method == "real":
        return jax.lax.complex(*real_rfft(frames))
    return jnp.fft.rfft(frames, axis=-1)


@by_clip(frames="bt")
def _columns(
    n: Length, frames: Float[AnyArray, "n_fft rows"], *, method: Method
) -> tuple[Complex[jax.Array, "bins rows"], Length]:
    return _rows(jnp.asarray(frames).T, method).T, n


def real_rfft(
    frames: Float[jax.Array, "*batch n_fft"],
) -> tuple[Float[jax.Array, "*batch bins"], Float[jax.Array, "*batch bins"]]:
    """Return the real and the imaginary part of the DFT, by products with cosines and sines.

    It uses neither complex numbers nor an FFT, which some devices and formats lack. At 2048 samples
    it takes 25 times as long as the FFT on a CPU.
    """
    cosine, sine = (jnp.asarray(m, frames.dtype) for m in _turns(frames.shape[-1]))
    exact = jax.lax.Precision.HIGHEST
    return jnp.dot(frames, cosine, precision=exact), jnp.dot(frames, sine, precision=exact)


@lru_cache(maxsize=8)
def _turns(n: int) -> tuple[Float[np.ndarray, "n bins"], Float[np.ndarray, "n bins"]]:
    # The product modulo n is exact in integers; large angles lose digits.
    angle = 2 * np.pi / n * (np.outer(np.arange(n), np.arange(1 + n // 2)) % n)
    return np.cos(angle), -np.sin(angle)


def rfft_in_double(
    frames: Float[jax.Array, "*batch n_fft"], window: Float[np.ndarray, "n_fft"]
) -> Complex[jax.Array, "*batch bins"]:
    """Return the DFT of windowed frames, computed in double precision and rounded once.

    It works without 64-bit JAX. TPUs lack this FFT and compute in the precision of `frames`;
    derivatives do so on every device.
    """

    def plain(x: Float[jax.Array, "*batch n_fft"]) -> Complex[jax.Array, "..."]:
        return rfft(x * jnp.asarray(window, x.dtype))

    # If 64-bit types are off, JAX cannot batch or transpose an operation that uses them, so this
    # function does both itself.
    @jax.custom_batching.custom_vmap
    def exact(x: Float[jax.Array, "*batch n_fft"]) -> Complex[jax.Array, "..."]:
        with jax.enable_x64(True):
            return plain(x.astype(jnp.float64)).astype(jnp.result_type(x.dtype, jnp.complex64))

    exact.def_vmap(lambda size, batched, x: (exact(x), True))
    double = jax.custom_jvp(exact)
    double.defjvp(lambda x, dx: (exact(*x), plain(*dx)))
    return jax.lax.platform_dependent(frames, tpu=plain, default=double)


def fast_length(n: int) -> int:
    """Return the next length whose only prime factors are 2, 3 and 5, which FFTs compute fast.

    Source: `scipy.fft.next_fast_len` for real input, which takes 0.1 s to import.
    """
    while True:
        rest = n
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return n
        n += 1
