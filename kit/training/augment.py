"""Augmentations of a batch of training segments, inside the step.

Each is a pure function of a key and a batch. Speed and noise change samples before the front end.
Shift, gain, tilt and mixtures change decibels before standardisation, masks after it, so that its
means do not count masked values. Padding stays unchanged.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key, Num

from kit.config import AugmentConfig
from kit.dsp.augment.draws import bands
from kit.dsp.augment.level import add_noise
from kit.dsp.augment.time import read_around

SNR_RANGE_DB = 20.0
"""Signal-to-noise ratios are drawn from the given one to this much more, dB."""
_PER_DB = math.log(10) / 10  # natural logarithm of a power, per decibel

Number = Array | np.ndarray | np.floating | np.integer
"""A scalar: float32, or int32 for counts of frames or bands."""

Batched = Float[Array, "batch frames n_mels"]
Samples = Float[Array, "batch samples"]


@dataclass(frozen=True)
class Augmentations:
    """Augmentations of a compiled step: enabled or not, kind of mixture, numbers of masks."""

    shifts: bool = False
    gains: bool = False
    tilts: bool = False
    mix: str = "none"
    time_masks: int = 0
    band_masks: int = 0
    speeds: bool = False
    noises: bool = False

    @classmethod
    def of(cls, config: AugmentConfig) -> "Augmentations":
        """Return the augmentations that a configuration enables."""
        return cls(
            shifts=config.shift > 0,
            gains=config.gain_db > 0,
            tilts=config.tilt_db > 0,
            mix=config.mix,
            time_masks=config.time_masks,
            band_masks=config.band_masks,
            speeds=config.speed > 0,
            noises=config.snr_db is not None,
        )


class Strengths(NamedTuple):
    """Numbers of `AugmentConfig`; those of disabled augmentations are ignored."""

    gain_db: Number = np.float32(0.0)
    tilt_db: Number = np.float32(0.0)
    shift: Number = np.int32(0)
    time_width: Number = np.int32(0)
    band_width: Number = np.int32(0)
    mix_alpha: Number = np.float32(1.0)
    speed: Number = np.float32(0.0)
    snr_db: Number = np.float32(0.0)

    @classmethod
    def of(cls, config: AugmentConfig) -> "Strengths":
        """Return the numbers of a configuration."""
        return cls(
            np.float32(config.gain_db),
            np.float32(config.tilt_db),
            np.int32(config.shift),
            np.int32(config.time_width),
            np.int32(config.band_width),
            np.float32(config.alpha),
            np.float32(config.speed),
            np.float32(config.snr_db or 0.0),
        )


class Mixture(NamedTuple):
    """Labels of mixed segments or tracks: `share` of their own, the rest of `other`.

    `other` has the format of `y` in a batch.
    """

    other: Num[Array, "labels *n_labels"]
    share: Float[Array, " labels"]


def in_samples(
    key: Key[Array, ""],
    x: Float[Array, "batch frames hop_length"],
    real: Bool[Array, " batch"],
    which: Augmentations,
    by: Strengths,
) -> Float[Array, "batch frames hop_length"]:
    """Change the speed of segments of samples and add noise; arguments as for `in_decibels`."""
    of_speed, of_noise = jax.random.split(key)
    y = x.reshape(len(x), -1)
    if which.speeds:
        y = played(of_speed, y, by.speed)
    if which.noises:
        y = noisy(of_noise, y, by.snr_db)
    return jnp.where(real[:, None, None], y.reshape(x.shape), x)


def played(key: Key[Array, ""], y: Samples, most: Number) -> Samples:
    """Play segments faster or slower by up to a share of `most`, tempo and pitch together.

    A faster segment starts again after its last sample.
    """
    speed = 1 + jax.random.uniform(key, (len(y),), y.dtype, -most, most)
    return jax.vmap(read_around)(y, speed)


def noisy(key: Key[Array, ""], y: Samples, snr_db: Number) -> Samples:
    """Add white noise, `snr_db` to `snr_db + SNR_RANGE_DB` below the signal."""
    of_ratio, of_noise = jax.random.split(key)
    least = jnp.asarray(snr_db)
    ratio = jax.random.uniform(of_ratio, (len(y), 1), y.dtype, least, least + SNR_RANGE_DB)
    # `add_noise` takes a Python number, and the ratio is traced.
    noise = add_noise(of_noise, y, snr_db=0.0) - y
    return y + noise * 10 ** (-ratio / 20)


def in_decibels(
    key: Key[Array, ""],
    x: Batched,
    y: Int[Array, " labels"],
    real: Bool[Array, " batch"],
    which: Augmentations,
    by: Strengths,
) -> tuple[Batched, Mixture | None]:
    """Shift segments in dB, change gain and tilt, then mix them (see `mixed`), except padding.

    Returns:
        The segments, and the labels of the mixture if they are mixed.
    """
    of_shift, of_gain, of_tilt, of_mix = jax.random.split(key, 4)
    new, mixture = x, None
    if which.shifts:
        new = shifted(of_shift, new, by.shift)
    if which.gains:
        new = amplified(of_gain, new, by.gain_db)
    if which.tilts:
        new = tilted(of_tilt, new, by.tilt_db)
    if which.mix != "none":
        new, mixture = mixed(of_mix, new, y, real, which.mix, by.mix_alpha)
    return jnp.where(real[:, None, None], new, x), mixture


def shifted(key: Key[Array, ""], x: Batched, most: Number) -> Batched:
    """Rotate segments by up to `most` frames, later or earlier."""
    by = _whole(key, len(x), 2 * most + 1)[:, None] - most
    came = (jnp.arange(x.shape[1]) - by) % x.shape[1]
    return jnp.take_along_axis(x, came[:, :, None], axis=1)


def amplified(key: Key[Array, ""], x: Batched, most_db: Number) -> Batched:
    """Add or subtract up to `most_db` dB."""
    return x + _evenly(key, x, most_db)


def tilted(key: Key[Array, ""], x: Batched, most_db: Number) -> Batched:
    """Add a slope over the bands: 0 dB in the middle, up to ±`most_db` dB at the highest band."""
    slope = jnp.linspace(-1.0, 1.0, x.shape[2], dtype=x.dtype)
    return x + _evenly(key, x, most_db) * slope[None, None, :]


def _evenly(key: Key[Array, ""], x: Batched, most: Number) -> Float[Array, "batch 1 1"]:
    return jax.random.uniform(key, (len(x), 1, 1), x.dtype, -most, most)


def mixed(
    key: Key[Array, ""],
    x: Batched,
    y: Int[Array, " labels"],
    real: Bool[Array, " batch"],
    how: str,
    alpha: Number,
) -> tuple[Batched, Mixture]:
    """Mix each segment, or track, with another one of the batch; its own share is at least 0.5.

    Tracks are mixed segment by segment, with one share.

    Args:
        key: PRNG key.
        x: segments, dB.
        y: class of each segment; or of each track, with adjacent and equally many segments.
        real: false for padding, which is not mixed.
        how: "mixup" interpolates decibels of any two segments. "between_class" adds powers of two
            segments of different classes; a batch of one class is not mixed.
        alpha: parameter of the beta distribution of the shares.
    Source: Zhang et al. 2018 (mixup); Tokozume et al. 2018 (between-class), with the level of the
        whole segment in place of the highest A-weighted level in a window.
    """
    of_share, of_partner = jax.random.split(key)
    places = len(x) // len(y)
    there = real.reshape(-1, places).any(axis=1)
    share = jnp.where(there, shares(of_share, len(y), alpha), 1)
    partner = partners(of_partner, y, there, apart=how == "between_class")
    other = x.reshape(-1, places, *x.shape[1:])[partner].reshape(x.shape)
    mine = jnp.repeat(share, places)[:, None, None]
    new = mine * x + (1 - mine) * other if how == "mixup" else added(x, other, mine)
    return new, Mixture(y[partner], share)


def shares(key: Key[Array, ""], count: int, alpha: Number) -> Float[Array, " {count}"]:
    """Draw x from the beta distribution (alpha, alpha), and return max(x, 1 - x).

    `jax.random.beta` has loops that take seconds to compile.

    Source: Bailey 1994: t, Student's with 2 alpha degrees of freedom, from two uniform numbers;
    t / sqrt(2 alpha + t²) has this distribution, scaled to -1 to 1.
    """
    one, two = jax.random.uniform(key, (2, count))
    squared = ((1 - one) ** (-1 / jnp.asarray(alpha)) - 1) * jnp.cos(2 * jnp.pi * two) ** 2
    return 0.5 + 0.5 / jnp.sqrt(1 + 1 / squared)


def _whole(key: Key[Array, ""], count: int, below: Number) -> Int[Array, " {count}"]:
    """Draw integers from 0 to below one bound, or a bound for each."""
    return jnp.floor(jax.random.uniform(key, (count,)) * below).astype(jnp.int32)


def partners(
    key: Key[Array, ""], y: Int[Array, " batch"], real: Bool[Array, " batch"], *, apart: bool
) -> Int[Array, " batch"]:
    """Draw the row to mix each row with, of another class if `apart`; its own if none qualifies."""
    own, count = jnp.arange(len(y)), real.sum()
    # Rows are sorted by class, with padding last: cyclically, the rows of other classes follow the
    # last row of a class.
    group = jnp.where(real, y if apart else 0, jnp.iinfo(y.dtype).max)
    order = jnp.argsort(group)
    start, end = (jnp.searchsorted(group[order], group, side=side) for side in ("left", "right"))
    others = count - (end - start) if apart else jnp.broadcast_to(count, y.shape)
    number = _whole(key, len(y), others)
    partner = order[(end + number) % jnp.maximum(count, 1)]
    return jnp.where(real & (others > 0), partner, own)


def added(x: Batched, other: Batched, share: Float[Array, "batch 1 1"]) -> Batched:
    """Return the level of a sum of two sounds in dB; `share` is the perceived share of the first.

    Amplitudes have the weights p and 1 - p, over the root of p² + (1 - p)²; p is the share
    corrected for the levels of both, so that the louder sound does not mask the other. Powers add
    up, as for sounds that are not in phase.
    """
    level, other_level = (
        jax.nn.logsumexp(_PER_DB * each, axis=(1, 2), keepdims=True) for each in (x, other)
    )
    # The logarithm of (p / (1 - p))².
    odds = 2 * jnp.log(share / (1 - share)) - (level - other_level)
    both = jnp.logaddexp(
        _PER_DB * x + jax.nn.log_sigmoid(odds), _PER_DB * other + jax.nn.log_sigmoid(-odds)
    )
    return both / _PER_DB


def masked(
    key: Key[Array, ""],
    x: Batched,
    real: Bool[Array, " batch"],
    which: Augmentations,
    by: Strengths,
) -> Batched:
    """Set stripes of frames and of mel bands to the segment's mean, except padding.

    `by` has the largest widths: a stripe has 0 to this many frames or bands.

    Source: Park et al. 2019 (SpecAugment), without time warping.
    """
    _, frames, n_mels = x.shape
    blank = jnp.zeros(x.shape, bool)
    for axis, room, count, width in (
        (2, frames, which.time_masks, by.time_width),
        (1, n_mels, which.band_masks, by.band_width),
    ):
        if count:
            keys = jax.random.split(jax.random.fold_in(key, axis), len(x))
            widest = jnp.minimum(width, room)
            here = jax.vmap(lambda k, r=room, c=count, w=widest: bands(k, r, r, c, w))(keys)
            blank = blank | jnp.expand_dims(here, axis)
    mean = x.mean(axis=(1, 2), keepdims=True)
    return jnp.where(blank & real[:, None, None], mean, x)
