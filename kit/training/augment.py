"""Random changes of a batch of training segments, inside the step.

Each is a pure function of a key and of the batch. Shift, gain, tilt and mixtures change decibels,
before the input is scaled; masks come after the scaling, whose means are not to count the blanks.
Rows of padding stay as they are.
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

_PER_DB = math.log(10) / 10  # natural logarithm of a power, per decibel

Number = Array | np.ndarray | np.floating | np.integer
"""A scalar: float32, or int32 where frames or bands are counted."""

Batched = Float[Array, "batch frames n_mels"]


@dataclass(frozen=True)
class Augmentations:
    """The augmentations that a compiled step has.

    Attributes:
        shifts: segments are rotated.
        gains: levels are changed.
        tilts: spectra are tilted.
        mix: "none", "mixup" or "between_class".
        time_masks: masks of frames.
        band_masks: masks of mel bands.
        speeds: samples are played faster or slower.
        noises: noise is added to samples.
    """

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
        """Return those that a configuration switches on."""
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
    """The numbers of `AugmentConfig`; those of augmentations that are off are ignored."""

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
    """The labels of mixed segments or tracks: `share` of their own, the rest of the `other`.

    As `y` of a batch, `other` has a class for each, or a 1 or 0 for each of its labels.
    """

    other: Num[Array, "labels *n_labels"]
    share: Float[Array, " labels"]


def in_decibels(
    key: Key[Array, ""],
    x: Batched,
    y: Int[Array, " labels"],
    real: Bool[Array, " batch"],
    which: Augmentations,
    by: Strengths,
) -> tuple[Batched, Mixture | None]:
    """Return segments shifted, with another gain and tilt, and then mixed; None if not mixed.

    Args:
        key: PRNG key.
        x: segments, dB.
        y: classes, as for `mixed`.
        real: false for padding, which is not changed and not mixed with others.
        which: those that are on.
        by: their strengths.
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
    """Return segments rotated by up to `most` frames, later or earlier."""
    by = _whole(key, len(x), 2 * most + 1)[:, None] - most
    came = (jnp.arange(x.shape[1]) - by) % x.shape[1]
    return jnp.take_along_axis(x, came[:, :, None], axis=1)


def amplified(key: Key[Array, ""], x: Batched, most_db: Number) -> Batched:
    """Return segments with up to `most_db` dB added or subtracted."""
    return x + _evenly(key, x, most_db)


def tilted(key: Key[Array, ""], x: Batched, most_db: Number) -> Batched:
    """Return segments with a slope over the bands added.

    It is 0 dB in the middle, and up to `most_db` dB at the highest band, or below 0 there.
    """
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
    """Return each segment, or track, mixed with another of the batch.

    Its own share is at least a half. Tracks are mixed segment by segment, with one share.

    Args:
        key: PRNG key.
        x: segments, dB.
        y: the class of each segment; or of each track, whose segments stand side by side, equally
            many of each.
        real: false for padding, which is mixed with nothing.
        how: "mixup" interpolates decibels, between any two segments. "between_class" adds powers,
            of two segments of different classes; if a batch has one class, nothing is mixed.
        alpha: of the beta distribution of the shares.
    Source: Zhang et al. 2018 (mixup); Tokozume et al. 2018 (between-class), with the level of the
        whole segment in place of the greatest A-weighted one in a window.
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
    """Return draws of the beta distribution of (alpha, alpha), or 1 minus those below a half.

    Source: Bailey 1994 (Student's t of 2 alpha degrees of freedom from two uniform numbers), whose
    t / sqrt(2 alpha + t²) is that distribution, scaled to -1 to 1. `jax.random.beta` takes loops,
    and seconds to compile.
    """
    one, two = jax.random.uniform(key, (2, count))
    squared = ((1 - one) ** (-1 / jnp.asarray(alpha)) - 1) * jnp.cos(2 * jnp.pi * two) ** 2
    return 0.5 + 0.5 / jnp.sqrt(1 + 1 / squared)


def _whole(key: Key[Array, ""], count: int, below: Number) -> Int[Array, " {count}"]:
    """Return whole numbers from 0 to below a bound, or one bound each."""
    return jnp.floor(jax.random.uniform(key, (count,)) * below).astype(jnp.int32)


def partners(
    key: Key[Array, ""], y: Int[Array, " batch"], real: Bool[Array, " batch"], *, apart: bool
) -> Int[Array, " batch"]:
    """Return the row that each row is mixed with, drawn evenly; its own where there is none.

    Args:
        key: PRNG key.
        y: classes.
        real: false for padding, which is no partner and has none.
        apart: draw among rows of other classes, not among all.
    """
    own, count = jnp.arange(len(y)), real.sum()
    # Sorted by class with the padding last, the rows of other classes follow a class's last row,
    # and go on at the first row.
    group = jnp.where(real, y if apart else 0, jnp.iinfo(y.dtype).max)
    order = jnp.argsort(group)
    start, end = (jnp.searchsorted(group[order], group, side=side) for side in ("left", "right"))
    others = count - (end - start) if apart else jnp.broadcast_to(count, y.shape)
    number = _whole(key, len(y), others)
    partner = order[(end + number) % jnp.maximum(count, 1)]
    return jnp.where(real & (others > 0), partner, own)


def added(x: Batched, other: Batched, share: Float[Array, "batch 1 1"]) -> Batched:
    """Return the level of a sum of two sounds, of which the first is heard with `share`, dB.

    Amplitudes are weighed by p and 1 - p, over the root of p² + (1 - p)²; p is the share, corrected
    for the levels of both, so that the louder one does not drown the other. Their powers add up, as
    those of sounds that are not in phase.
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
    """Return segments with some bands of frames and of mel bands at the segment's own mean.

    Args:
        key: PRNG key.
        x: the network's input.
        real: false for padding, which is not masked.
        which: says how many masks there are.
        by: their greatest widths; each mask is 0 to this wide, and at most the whole axis.
    Source: Park et al. 2019 (SpecAugment), without the warping.
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
