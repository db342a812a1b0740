"""Random changes of the samples of training segments, inside the step.

Each is a pure function of a key and of the batch. They come before the front end; what changes
decibels alike is in `kit.training.augment`. Rows of padding stay as they are.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from kit.dsp.augment.level import add_noise
from kit.dsp.augment.time import read_around
from kit.training.augment import Augmentations, Number, Strengths

SNR_RANGE_DB = 20.0
"""Ratios of signal to noise are drawn from the given one to this much more, dB."""

Samples = Float[Array, "batch samples"]


def changed(
    key: Key[Array, ""],
    x: Float[Array, "batch frames hop_length"],
    real: Bool[Array, " batch"],
    which: Augmentations,
    by: Strengths,
) -> Float[Array, "batch frames hop_length"]:
    """Return segments at another speed, and with noise.

    Args:
        key: PRNG key.
        x: samples, `hop_length` to a frame.
        real: false for padding, which is not changed.
        which: those that are on.
        by: their strengths.
    """
    of_speed, of_noise = jax.random.split(key)
    y = x.reshape(len(x), -1)
    if which.speeds:
        y = played(of_speed, y, by.speed)
    if which.noises:
        y = noisy(of_noise, y, by.snr_db)
    return jnp.where(real[:, None, None], y.reshape(x.shape), x)


def played(key: Key[Array, ""], y: Samples, most: Number) -> Samples:
    """Return segments played faster or slower by up to a share of `most`, as a turntable does.

    Tempo and pitch change together. A faster segment begins again where its samples end.
    """
    speed = 1 + jax.random.uniform(key, (len(y),), y.dtype, -most, most)
    return jax.vmap(read_around)(y, speed)


def noisy(key: Key[Array, ""], y: Samples, snr_db: Number) -> Samples:
    """Return segments with white noise, `snr_db` or up to `SNR_RANGE_DB` more below the signal."""
    of_ratio, of_noise = jax.random.split(key)
    least = jnp.asarray(snr_db)
    ratio = jax.random.uniform(of_ratio, (len(y), 1), y.dtype, least, least + SNR_RANGE_DB)
    # `add_noise` takes numbers; the ratio is an argument of the compiled step.
    noise = add_noise(of_noise, y, snr_db=0.0) - y
    return y + noise * 10 ** (-ratio / 20)
