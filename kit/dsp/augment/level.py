"""Random changes of level, spectrum and labels: pure functions of a key, one draw an example.

The first argument is a JAX key. Every axis before the last (of waveforms) or the last two (of
spectrograms) counts examples; example i is changed by `fold_in(key, i)` alone, so it is changed in
the same way whatever else is in the batch.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Key, Shaped

from kit.dsp.checks import AnyArray, Number, as_waveform, positive_int, require
from kit.dsp.jit import compiled

PRNGKey = Key[jax.Array, ""]


def each(
    key: PRNGKey, x: jax.Array, inner: int, change: Callable[[jax.Array, jax.Array], jax.Array]
) -> jax.Array:
    """`change(key_i, x_i)` of every example, which has `inner` axes of its own."""
    shape = x.shape[x.ndim - inner :]
    examples = x.reshape(-1, *shape)
    keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(len(examples)))
    return jax.vmap(change)(keys, examples).reshape(x.shape)


@compiled("key", "S")
def spec_augment(
    key: PRNGKey,
    S: Float[AnyArray, "*batch bins frames"],
    *,
    freq_masks: int = 2,
    freq_width: int = 27,
    time_masks: int = 2,
    time_width: int = 100,
    time_share: Number = 1.0,
    fill: Number | None = None,
) -> Float[jax.Array, "*batch bins frames"]:
    """Bands of bins and of frames blanked out.

    Args:
        key: JAX key.
        S: spectrograms, of decibels say.
        freq_masks, freq_width: bands of bins; each is 0 to `freq_width` bins wide.
        time_masks, time_width: bands of frames; each is 0 to `time_width` frames long.
        time_share: at most this share of the frames in one band.
        fill: what is put there; the example's mean if None.
    Raises:
        ParameterError: a negative number or width, a share outside [0, 1].
    Source: Park et al. 2019 (SpecAugment), without the warping; the defaults are its policy LD.
    """
    freq_masks = positive_int("freq_masks", freq_masks, least=0)
    time_masks = positive_int("time_masks", time_masks, least=0)
    freq_width = positive_int("freq_width", freq_width, least=0)
    time_width = positive_int("time_width", time_width, least=0)
    require(0 <= time_share <= 1, "time_share", time_share, "it must lie between 0 and 1")
    S = jnp.asarray(S)
    bins, frames = S.shape[-2:]
    longest = min(time_width, int(time_share * frames))

    def change(k: jax.Array, x: jax.Array) -> jax.Array:
        in_bins, in_frames = jax.random.split(k)
        blank = _bands(in_bins, bins, freq_masks, min(freq_width, bins))[:, None]
        blank = blank | _bands(in_frames, frames, time_masks, longest)[None, :]
        return jnp.where(blank, jnp.mean(x) if fill is None else fill, x)

    return each(key, S, 2, change)


def _bands(key: jax.Array, size: int, count: int, widest: int) -> jax.Array:
    of_width, of_start = jax.random.split(key)
    width = jax.random.randint(of_width, (count, 1), 0, widest + 1)
    start = jax.random.uniform(of_start, (count, 1)) * (size - width + 1)
    at = jnp.arange(size)
    first = jnp.floor(start).astype(jnp.int32)
    return jnp.any((at >= first) & (at < first + width), axis=0)


@compiled("key", "x", "targets")
def mixup(
    key: PRNGKey,
    x: Float[AnyArray, "batch *shape"],
    targets: Float[AnyArray, "batch classes"],
    *,
    alpha: Number = 0.2,
) -> tuple[Float[jax.Array, "batch *shape"], Float[jax.Array, "batch classes"]]:
    """Each example mixed with another of the batch, and its targets in the same proportion.

    Args:
        key: JAX key.
        x: examples.
        targets: probabilities of the classes, such as one-hot rows.
        alpha: of the beta distribution; towards 0 less is mixed. The example keeps at least half.
    Raises:
        ParameterError: `alpha` not above 0, another number of targets than of examples.
    Source: Zhang et al. 2018. Here alone what else is in the batch matters, by definition.
    """
    require(alpha > 0, "alpha", alpha, "it must be above 0")
    x, targets = jnp.asarray(x), jnp.asarray(targets)
    require(len(x) == len(targets), "targets.shape", targets.shape, f"there are {len(x)} examples")
    of_share, of_partner = jax.random.split(key)
    share = jax.random.beta(of_share, alpha, alpha, (len(x),), x.dtype)
    share = jnp.maximum(share, 1 - share)
    partner = jax.random.permutation(of_partner, len(x))

    def mixed(v: jax.Array) -> jax.Array:
        mine = share.astype(v.dtype).reshape(-1, *[1] * (v.ndim - 1))
        return mine * v + (1 - mine) * v[partner]

    return mixed(x), mixed(targets)


@compiled("key", "y")
def random_gain(
    key: PRNGKey,
    y: Shaped[AnyArray, "*batch samples"],
    *,
    low_db: Number = -6.0,
    high_db: Number = 6.0,
) -> Float[jax.Array, "*batch samples"]:
    """Louder or softer by decibels drawn evenly between two.

    Args:
        key: JAX key.
        y: waveforms.
        low_db, high_db: decibels.
    Raises:
        ParameterError: `low_db` above `high_db`.
    """
    require(low_db <= high_db, "low_db", low_db, f"it must not exceed high_db (={high_db})")

    def change(k: jax.Array, x: jax.Array) -> jax.Array:
        db = jax.random.uniform(k, (), x.dtype, low_db, high_db)
        return x * 10 ** (db / 20)

    return each(key, as_waveform(y), 1, change)


@compiled("key", "y")
def eq_tilt(
    key: PRNGKey,
    y: Shaped[AnyArray, "*batch samples"],
    *,
    sr: Number,
    db_per_octave: Number = 1.5,
    pivot_hz: Number = 1000.0,
    limit_db: Number = 12.0,
) -> Float[jax.Array, "*batch samples"]:
    """The spectrum tilted about a frequency, by a slope drawn evenly up to one.

    Args:
        key: JAX key.
        y: waveforms.
        sr: sample rate, Hz.
        db_per_octave: steepest slope, up or down.
        pivot_hz: stays as it is.
        limit_db: no frequency is changed by more.
    Raises:
        ParameterError: a slope or limit below 0, a pivot not above 0.
    """
    require(db_per_octave >= 0, "db_per_octave", db_per_octave, "it must not be negative")
    require(limit_db >= 0, "limit_db", limit_db, "it must not be negative")
    require(pivot_hz > 0, "pivot_hz", pivot_hz, "it must be above 0 Hz")
    y = as_waveform(y)
    samples = y.shape[-1]
    hz = np.arange(samples // 2 + 1) * (sr / samples)
    octaves = jnp.asarray(np.log2(np.maximum(hz, 1.0) / pivot_hz), y.dtype)

    def change(k: jax.Array, x: jax.Array) -> jax.Array:
        slope = jax.random.uniform(k, (), x.dtype, -db_per_octave, db_per_octave)
        db = jnp.clip(slope * octaves, -limit_db, limit_db)
        return jnp.fft.irfft(jnp.fft.rfft(x) * 10 ** (db / 20), n=samples)

    return each(key, y, 1, change)


@compiled("key", "y")
def time_shift(
    key: PRNGKey,
    y: Shaped[AnyArray, "*batch samples"],
    *,
    max_shift: int,
    wrap: bool = False,
) -> Float[jax.Array, "*batch samples"]:
    """Later or earlier by samples drawn evenly up to `max_shift`.

    Args:
        key: JAX key.
        y: waveforms.
        max_shift: samples.
        wrap: what goes out at one end comes in at the other; otherwise silence comes in.
    Raises:
        ParameterError: `max_shift` below 0.
    """
    max_shift = positive_int("max_shift", max_shift, least=0)
    y = as_waveform(y)
    at = jnp.arange(y.shape[-1])

    def change(k: jax.Array, x: jax.Array) -> jax.Array:
        shift = jax.random.randint(k, (), -max_shift, max_shift + 1)
        rolled = jnp.roll(x, shift)
        came = at - shift
        return rolled if wrap else jnp.where((came >= 0) & (came < len(x)), rolled, 0)

    return each(key, y, 1, change)


@compiled("key", "y", "noise")
def add_noise(
    key: PRNGKey,
    y: Shaped[AnyArray, "*batch samples"],
    *,
    snr_db: Number = 20.0,
    high_snr_db: Number | None = None,
    noise: Any = None,
) -> Float[jax.Array, "*batch samples"]:
    """Noise added at a ratio of signal to noise in decibels.

    Args:
        key: JAX key.
        y: waveforms; silence stays silent.
        snr_db: of the mean squares; with `high_snr_db` drawn evenly between the two.
        noise: (samples,) to add in place of white Gaussian noise; rolled at random.
    Raises:
        ParameterError: `snr_db` above `high_snr_db`, noise of another length.
    """
    top = snr_db if high_snr_db is None else high_snr_db
    require(snr_db <= top, "snr_db", snr_db, f"it must not exceed high_snr_db (={top})")
    y = as_waveform(y)
    given = None if noise is None else as_waveform(noise, "noise")
    if given is not None:
        require(
            given.shape == y.shape[-1:],
            "noise.shape",
            given.shape,
            f"it must be ({y.shape[-1]},)",
        )

    def change(k: jax.Array, x: jax.Array) -> jax.Array:
        of_level, of_noise = jax.random.split(k)
        db = jax.random.uniform(of_level, (), x.dtype, snr_db, top) if top > snr_db else snr_db
        if given is None:
            drawn = jax.random.normal(of_noise, x.shape, x.dtype)
        else:
            drawn = jnp.roll(given, jax.random.randint(of_noise, (), 0, len(x)))
        power = jnp.mean(jnp.square(x)) / jnp.maximum(jnp.mean(jnp.square(drawn)), 1e-30)
        return x + drawn * _root(power) * 10 ** (-jnp.asarray(db) / 20)

    return each(key, y, 1, change)


def _root(power: jax.Array) -> jax.Array:
    # A root has no slope at zero.
    return jnp.where(power > 0, jnp.sqrt(jnp.where(power > 0, power, 1)), 0)
