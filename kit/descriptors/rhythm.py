"""Tempo, onset rate and the fluctuation of loudness."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from kit.descriptors.spectra import FRAME_RATE, HOP, RATE
from kit.dsp import dance_tempo
from kit.dsp.checks import AnyArray
from kit.dsp.spectral.rank_filters import maximum_filter

# Minimum onset strength above the local mean, dB; steady noise varies by some tenths.
_ONSET_DB = 1.0
_BLOCK_S = 0.01
# Windows of Streich and Herrera: 310 ms to 8.8 s, each a tenth longer than the one before.
_WINDOWS = tuple(
    dict.fromkeys(
        round(0.31 / _BLOCK_S * 1.1**k)
        for k in range(1 + int(math.log(8.8 / 0.31) / math.log(1.1)))
    )
)


def tempo(onsets: Float[AnyArray, "*batch frames"]) -> Float[jax.Array, "*batch"]:
    """Return the tempo, bpm within [90, 180)."""
    return dance_tempo(onset_envelope=onsets, sr=RATE, hop_length=HOP)


def onset_rate(onsets: Float[AnyArray, "batch frames"]) -> Float[jax.Array, "batch"]:
    """Return the onsets per second.

    An onset is a frame with the maximum onset strength within 70 ms, 1 dB or more above the mean of
    a second.

    Source: the peak picking of Böck, Krebs and Schedl 2012, with a threshold in dB.
    """
    onsets = jnp.asarray(onsets)
    near = maximum_filter(onsets, 7, axis=-1)
    width = round(FRAME_RATE)
    taps = jnp.ones(width, onsets.dtype)
    share = jnp.convolve(jnp.ones(onsets.shape[-1], onsets.dtype), taps, mode="same")
    mean = jax.vmap(lambda row: jnp.convolve(row, taps, mode="same"))(onsets) / share
    peaks = (onsets >= near) & (onsets > mean + _ONSET_DB)
    return jnp.sum(peaks, axis=-1) * (FRAME_RATE / onsets.shape[-1])


def scaling_exponent(y: Float[AnyArray, "batch samples"]) -> Float[jax.Array, "batch"]:
    """Return the mean exponent of a detrended fluctuation analysis of the loudness curve.

    The standard deviation of every 10 ms is summed over time. In windows of 0.31 to 8.8 s a
    straight line is subtracted from the sum, and F is the root mean square of the residual. The
    exponent is the slope of log F against log window: near 0 for a regular beat, 0.5 for noise, up
    to 1.5 for a level that drifts.

    Source: Streich and Herrera 2005, "Detrended fluctuation analysis of music signals:
        danceability estimation and further semantic characterization" (AES 118).
    """
    block = round(_BLOCK_S * RATE)
    count = y.shape[-1] // block
    deviation = jnp.std(y[..., : count * block].reshape(-1, count, block), axis=-1)
    mean = jnp.mean(deviation, axis=-1, keepdims=True)
    walk = jnp.cumsum(deviation / jnp.maximum(mean, 1e-9) - 1, axis=-1)
    fluctuation = jnp.stack([_fluctuation(walk, size) for size in _WINDOWS], axis=-1)
    level = jnp.log(jnp.maximum(fluctuation, 1e-9))
    window = np.log(np.array(_WINDOWS))
    slopes = jnp.diff(level, axis=-1) / jnp.asarray(np.diff(window), level.dtype)
    return jnp.mean(slopes, axis=-1)


def _fluctuation(walk: Float[AnyArray, "batch blocks"], size: int) -> Float[jax.Array, "batch"]:
    """Return the root mean square residual of straight lines in half-overlapping windows."""
    hop = max(1, size // 2)
    starts = np.arange(0, walk.shape[-1] - size + 1, hop)
    windows = walk[:, starts[:, None] + np.arange(size)]
    windows = windows - jnp.mean(windows, axis=-1, keepdims=True)
    ramp = np.arange(size) - (size - 1) / 2
    ramp = jnp.asarray(ramp / np.linalg.norm(ramp), walk.dtype)
    along = jnp.sum(windows * ramp, axis=-1, keepdims=True)
    return jnp.sqrt(jnp.mean(jnp.square(windows - along * ramp), axis=(-2, -1)))
