"""Spectra stretched in time, and magnitude and phase apart."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Complex, Float, Inexact

from kit.dsp.checks import AnyArray, Number, positive_int, require
from kit.dsp.jit import compiled

_TURN = 2 * np.pi


@compiled("D")
def magphase(
    D: Inexact[AnyArray, "*shape"], *, power: Number = 1
) -> tuple[Float[jax.Array, "*shape"], Complex[jax.Array, "*shape"]]:
    """D as magnitude to a power, and phase as a unit complex number (1 where D is 0).

    Source: librosa 0.11 `magphase`.
    """
    D = jnp.asarray(D)
    D = D if jnp.iscomplexobj(D) else D + 0j
    size = jnp.abs(D)
    nothing = size == 0
    phase = jnp.where(nothing, 1, D / jnp.where(nothing, 1, size))
    return size**power, phase


def phase_vocoder(
    D: Complex[AnyArray, "*batch bins frames"],
    *,
    rate: Number,
    hop_length: int | None = None,
    n_fft: int | None = None,
) -> Complex[jax.Array, "*batch bins stretched"]:
    """An STFT played `rate` times as fast at the same pitch.

    Args:
        D: STFT (…, bins, frames).
        rate: above 1 is faster.
        hop_length: of D; `n_fft // 4` if not given.
        n_fft: of D; 2 * (bins - 1) if not given.
    Returns:
        stretched = ceil(frames / rate).
    Raises:
        ParameterError: `rate` not above 0, `hop_length` below 1.
    Source: librosa 0.11 `phase_vocoder`; the phase is kept within one turn here, so that single
    precision does not wear out with the length.
    """
    require(rate > 0, "rate", rate, "it must be above 0")
    D = jnp.asarray(D)
    n_fft = 2 * (D.shape[-2] - 1) if n_fft is None else positive_int("n_fft", n_fft)
    hop_length = positive_int("hop_length", n_fft // 4 if hop_length is None else hop_length)
    return _stretched(D, float(rate), hop_length, n_fft)


@partial(jax.jit, static_argnums=(1, 2, 3))
def _stretched(
    D: Complex[jax.Array, "*batch bins frames"], rate: float, hop_length: int, n_fft: int
) -> Complex[jax.Array, "*batch bins stretched"]:
    steps = np.arange(0, D.shape[-1], rate, dtype=np.float64)
    whole = steps.astype(int)
    D = jnp.pad(D, [(0, 0)] * (D.ndim - 1) + [(0, 2)])
    real = jnp.real(D).dtype
    part = jnp.asarray(steps - whole, real)
    size, angle = jnp.abs(D), jnp.angle(D)
    mag = (1 - part) * size[..., whole] + part * size[..., whole + 1]
    # Advance of each bin in one hop, in turns, without the whole ones.
    advance = jnp.asarray(_TURN * ((hop_length * np.arange(D.shape[-2]) % n_fft) / n_fft), real)[
        :, None
    ]
    change = angle[..., whole + 1] - angle[..., whole] - advance
    change = change - _TURN * jnp.round(change / _TURN) + advance
    first = angle[..., :1]

    def add(a: jax.Array, b: jax.Array) -> jax.Array:
        total = a + b
        return total - _TURN * jnp.round(total / _TURN)

    phases = lax.associative_scan(add, jnp.concatenate([first, change[..., :-1]], axis=-1), axis=-1)
    return mag * lax.complex(jnp.cos(phases), jnp.sin(phases))
