"""Random changes of tempo and pitch, of a length that stays: pure functions of a key."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float, Int, Shaped

from kit.dsp.augment.level import PRNGKey, each
from kit.dsp.checks import AnyArray, Number, as_waveform, require
from kit.dsp.effects.istft import istft
from kit.dsp.effects.phase_vocoder import Steps, stretched_rows
from kit.dsp.jit import compiled
from kit.dsp.stft import stft

# Positions in a stretched signal are kept as integers of 2**-15 samples, exact at any length.
_BITS = 15
_TAPS = 32


@compiled("key", "y")
def random_stretch(
    key: PRNGKey,
    y: Shaped[AnyArray, "*batch samples"],
    *,
    low: Number = 0.9,
    high: Number = 1.1,
    n_fft: int = 2048,
) -> Float[jax.Array, "*batch samples"]:
    """Played faster or slower at the same pitch, by a rate drawn evenly between two.

    Args:
        key: JAX key.
        y: waveforms.
        low, high: rates; above 1 is faster. A faster one ends in silence, a slower one is cut.
        n_fft: of the phase vocoder.
    Raises:
        ParameterError: rates not above 0 or out of order.
    """
    require(0 < low <= high, "low", low, f"it must lie above 0 and not above high (={high})")
    y = as_waveform(y)

    def change(k: jax.Array, x: jax.Array) -> jax.Array:
        rate = jax.random.uniform(k, (), x.dtype, low, high)
        return stretched(x, rate, n_fft)

    return each(key, y, 1, change)


@compiled("key", "y")
def random_pitch(
    key: PRNGKey,
    y: Shaped[AnyArray, "*batch samples"],
    *,
    low_steps: Number = -2.0,
    high_steps: Number = 2.0,
    n_fft: int = 2048,
) -> Float[jax.Array, "*batch samples"]:
    """Higher or lower at the same tempo, by semitones drawn evenly between two.

    Args:
        key: JAX key.
        y: waveforms.
        low_steps, high_steps: semitones, within an octave either way.
        n_fft: of the phase vocoder.
    Raises:
        ParameterError: steps out of order or beyond an octave.
    """
    require(
        -12 <= low_steps <= high_steps <= 12,
        "low_steps",
        low_steps,
        f"low_steps <= high_steps (={high_steps}), both within 12",
    )
    y = as_waveform(y)
    # Room for the slowest: an octave up is stretched to twice the length, then read twice as fast.
    longest = int(np.ceil(y.shape[-1] * 2.0 ** (max(0.0, high_steps) / 12))) + n_fft

    def change(k: jax.Array, x: jax.Array) -> jax.Array:
        steps = jax.random.uniform(k, (), x.dtype, low_steps, high_steps)
        speed = jnp.round(2.0 ** (steps / 12) * 2**_BITS) / 2**_BITS
        long = stretched(jnp.pad(x, (0, longest - len(x))), 1 / speed, n_fft)
        return read_at_speed(long, speed, len(x))

    return each(key, y, 1, change)


def stretched(
    x: Float[jax.Array, "samples"], rate: Float[jax.Array, ""], n_fft: int
) -> Float[jax.Array, "samples"]:
    """`x` at a rate that may be traced, cut or filled with silence to its own length."""
    D = stft(x, n_fft=n_fft).T
    times = jnp.arange(len(D)) * rate
    whole = jnp.minimum(jnp.floor(times), len(D)).astype(jnp.int32)
    part = times - whole
    # Times past the last frame are those of silence.
    made = stretched_rows(D, len(D), Steps(whole, whole, jnp.stack([1 - part, part], axis=-1)))
    return istft(made.T, n_fft=n_fft, length=len(x))


def read_at_speed(
    x: Float[jax.Array, "samples"], speed: Float[jax.Array, ""], count: int
) -> Float[jax.Array, "{count}"]:
    """`count` samples of x at positions 0, speed, 2 speed, …, by a windowed sinc of 64 taps that
    also keeps out what would alias.

    Args:
        x: waveform.
        speed: between 0.5 and 2, a multiple of 2**-15.
        count: samples of the result.
    """
    unit = jnp.round(speed * 2**_BITS).astype(jnp.int32)
    index = jnp.arange(count)
    # n * unit would not fit 32 bits: n is split, and each part's product does.
    block, rest = index >> _BITS, index & (2**_BITS - 1)
    product = rest * unit
    whole = block * unit + (product >> _BITS)
    part = (product & (2**_BITS - 1)).astype(x.dtype) / 2**_BITS
    low = jnp.minimum(1.0, 1 / speed) * 0.95
    padded = jnp.pad(x, (_TAPS, _TAPS))

    def one_chunk(where: tuple[Int[jax.Array, "n"], Float[jax.Array, "n"]]) -> jax.Array:
        at, between = where
        offset = jnp.arange(-_TAPS + 1, _TAPS + 1)
        away = offset - between[:, None]
        window = jnp.square(jnp.cos(jnp.clip(away / _TAPS, -1, 1) * (np.pi / 2)))
        weight = low * jnp.sinc(low * away) * window
        inside = jnp.minimum(at[:, None] + offset + _TAPS, len(padded) - 1)
        return jnp.sum(padded[inside] * weight, axis=1)

    size = 4096
    fill = -count % size
    chunks = (
        jnp.pad(whole, (0, fill)).reshape(-1, size),
        jnp.pad(part, (0, fill)).reshape(-1, size),
    )
    return lax.map(one_chunk, chunks).reshape(-1)[:count]
