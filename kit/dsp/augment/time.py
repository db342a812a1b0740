"""Random changes of tempo and pitch at constant length: pure functions of a key."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float, Int, Shaped

from kit.dsp.augment.draws import PRNGKey, by_example
from kit.dsp.checks import AnyArray, Number, as_waveform, positive_int, require
from kit.dsp.effects.istft import sizes_of, synthesis
from kit.dsp.effects.phase_vocoder import Steps, stretched_rows
from kit.dsp.jit import Length
from kit.dsp.stft import map_spectrum

# Positions in a stretched signal are integers in units of 2**-15 samples, exact at any length.
_BITS = 15
_TAPS = 32


@by_example(y="t")
def random_stretch(
    n: Length,
    key: PRNGKey,
    y: Shaped[AnyArray, "*batch samples"],
    *,
    low: Number = 0.9,
    high: Number = 1.1,
    n_fft: int = 2048,
) -> tuple[Float[jax.Array, "*batch samples"], Length]:
    """Return waveforms played at a rate drawn uniformly, at the same pitch.

    Args:
        key: JAX key.
        y: waveforms.
        low, high: limits of the rate; above 1, the clip ends in silence, below 1, it is cut.
        n_fft: length of the phase vocoder's transform, samples.
    Raises:
        ParameterError: rates not above 0, not finite or out of order.

    Example:
        >>> import jax
        >>> kit.dsp.random_stretch(jax.random.key(0), np.ones((2, 1000)), n_fft=64).shape
        (2, 1000)
    """
    ordered = 0 < low <= high < math.inf
    require(ordered, "low", low, f"it must lie above 0 and not above high (={high}), both finite")
    n_fft = positive_int("n_fft", n_fft)
    y = as_waveform(y)
    rate = jax.random.uniform(key, (), y.dtype, low, high)
    return stretched(y, n, rate, n_fft), n


@by_example(y="t")
def random_pitch(
    n: Length,
    key: PRNGKey,
    y: Shaped[AnyArray, "*batch samples"],
    *,
    low_steps: Number = -2.0,
    high_steps: Number = 2.0,
    n_fft: int = 2048,
) -> tuple[Float[jax.Array, "*batch samples"], Length]:
    """Return waveforms shifted in pitch by semitones drawn uniformly, at the same tempo.

    Args:
        key: JAX key.
        y: waveforms.
        low_steps, high_steps: limits in semitones, within an octave up and down.
        n_fft: length of the phase vocoder's transform, samples.
    Raises:
        ParameterError: steps out of order or beyond an octave.

    Example:
        >>> import jax
        >>> kit.dsp.random_pitch(jax.random.key(0), np.ones((2, 1000)), n_fft=64).shape
        (2, 1000)
    """
    rule = f"low_steps <= high_steps (={high_steps}), both within 12"
    require(-12 <= low_steps <= high_steps <= 12, "low_steps", low_steps, rule)
    n_fft = positive_int("n_fft", n_fft)
    y = as_waveform(y)
    # Room for the highest pitch: an octave up takes a stretch to twice the length.
    ratio = 2.0 ** (max(0.0, high_steps) / 12)
    room = math.ceil(y.shape[0] * ratio) + 2 * n_fft
    longest: Length = room
    if not isinstance(n, int):
        longest = jnp.minimum(room, (n * ratio).astype(jnp.int32) + 2 * n_fft)
    steps = jax.random.uniform(key, (), y.dtype, low_steps, high_steps)
    speed = jnp.round(2.0 ** (steps / 12) * 2**_BITS) / 2**_BITS
    long = stretched(jnp.pad(y, (0, room - y.shape[0])), longest, 1 / speed, n_fft)
    return read_at_speed(long, speed, y.shape[0]), n


def stretched(
    y: Float[jax.Array, "samples"], n: Length, rate: Float[jax.Array, ""], n_fft: int
) -> Float[jax.Array, "samples"]:
    """Return a clip, zero past `n`, played at a traced rate.

    It is cut, or filled with silence, to its own length.
    """
    complex_type = jnp.result_type(y.dtype, jnp.complex64)
    rows, frames = map_spectrum(lambda D: D.astype(complex_type), n, y, n_fft=n_fft)
    times = jnp.minimum(jnp.arange(len(rows)) * rate, len(rows))
    whole = jnp.floor(times).astype(jnp.int32)
    part = times - whole
    weights = jnp.where((times < frames)[:, None], jnp.stack([1 - part, part], axis=-1), 0)
    known = isinstance(frames, int)
    made = stretched_rows(rows, frames, Steps(whole, whole, weights), None if known else frames)
    return synthesis(
        lambda at: made[at],
        frames,
        sizes_of(rows.shape[1], n_fft=n_fft),
        window="hann",
        size=len(y),
        valid=n,
    )


def read_at_speed(
    x: Float[jax.Array, "samples"], speed: Float[jax.Array, ""], count: int
) -> Float[jax.Array, "{count}"]:
    """Return `count` samples of x at positions 0, speed, 2 speed, …, by a windowed sinc of 64 taps.

    The speed is a multiple of 2**-15 between 0.5 and 2.
    """
    whole, part = _positions(speed, count)
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


def read_around(
    x: Float[jax.Array, "samples"], speed: Float[jax.Array, ""]
) -> Float[jax.Array, "samples"]:
    """Return x, repeated, at positions 0, speed, 2 speed, …, with the length of x.

    The speed, between 0.5 and 2, is rounded to a multiple of 2**-15.

    A polynomial of degree 5 through six samples takes a 25th of the time of `read_at_speed`. A tone
    at half the Nyquist frequency loses 0.3 dB, one at 0.8 of it 2.7 dB. Frequencies that a higher
    speed moves above the Nyquist frequency are aliased.
    """
    whole, part = _positions(speed, len(x))
    around = jnp.concatenate([x[-2:], x, x[:3]])
    first = whole % len(x)
    away = [part - near for near in range(-2, 4)]
    total = jnp.zeros_like(x)
    for i in range(6):
        # Lagrange polynomial: 1 at its own sample, 0 at the other five.
        weight = math.prod((away[j] / (i - j) for j in range(6) if j != i), start=jnp.ones(()))
        total = total + weight.astype(x.dtype) * around[first + i]
    return total


def _positions(
    speed: Float[jax.Array, ""], count: int
) -> tuple[Int[jax.Array, "{count}"], Float[jax.Array, "{count}"]]:
    """Return 0, speed, 2 speed, … as whole samples and fractions."""
    unit = jnp.round(speed * 2**_BITS).astype(jnp.int32)
    index = jnp.arange(count)
    # n * unit would overflow 32 bits, so n is split in two parts.
    block, rest = index >> _BITS, index & (2**_BITS - 1)
    product = rest * unit
    part = (product & (2**_BITS - 1)).astype(speed.dtype) / 2**_BITS
    return block * unit + (product >> _BITS), part
