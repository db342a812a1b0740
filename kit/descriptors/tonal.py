"""Key and mode."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from kit.descriptors.spectra import RATE, map_windowed
from kit.dsp import Key, fft_frequencies, key
from kit.dsp.checks import AnyArray
from kit.dsp.dft import rfft
from kit.dsp.stft import magnitude

PROFILE = "bgate"
"""Of dance music, see `kit.dsp.key`."""

_N_FFT = 8192
_HOP = 4096
# From the lowest bass notes to the range where overtones outnumber fundamentals.
_LOW_HZ, _HIGH_HZ = 60.0, 2000.0
_TUNING_HZ = 100.0
# The fifth partial of a sawtooth has a fifth of the first one's amplitude, and is a major third.
_FIFTH_PARTIAL = 0.2

_TUNING_PITCH = 12 * math.log2(_TUNING_HZ / 440) + 9
_HZ = np.asarray(fft_frequencies(sr=RATE, n_fft=_N_FFT))
_FIRST = int(np.searchsorted(_HZ, _LOW_HZ))
_LAST = int(np.searchsorted(_HZ, _HIGH_HZ))


def key_of(y: Float[AnyArray, "batch samples"]) -> Key:
    """Return the tonic and the mode of each clip by `PROFILE`."""
    return key(chroma=pitch_classes(y)[..., None], profile=PROFILE)


def pitch_classes(y: Float[AnyArray, "batch samples"]) -> Float[jax.Array, "batch 12"]:
    """Return the strength of each pitch class of a clip; class 0 is C.

    Peaks of each frame's spectrum between 60 and 2000 Hz, interpolated by a parabola, are corrected
    by the clip's tuning and added to the nearest class, with a weight that falls with distance.
    All frames have equal weight. A fifth of each class is subtracted from the class a major
    third above: its fifth partial lies there and makes minor keys look major.

    Source: Gómez 2006, "Tonal description of polyphonic audio for music content processing", with
        the tuning of Gómez's thesis, and Faraldo, Jordà and Herrera 2017.
    """
    peak, pitch = _peaks(y)
    tonal = jnp.where(pitch >= _TUNING_PITCH, peak, 0)
    turn = 2 * np.pi * pitch
    sine, cosine = (jnp.sum(tonal * f(turn), axis=(-2, -1)) for f in (jnp.sin, jnp.cos))
    tuning = jnp.arctan2(sine, cosine) / (2 * np.pi)
    # One clip at a time: in a fused program XLA computes the tuning again for every bin.
    mean = jax.lax.map(_mean_chroma, (peak, pitch, tuning))
    return jnp.maximum(mean - _FIFTH_PARTIAL * jnp.roll(mean, 4, axis=-1), 0)


def _mean_chroma(
    clip: tuple[Float[jax.Array, "frames bins"], Float[jax.Array, "frames bins"], jax.Array],
) -> Float[jax.Array, "12"]:
    """Return the mean chroma over frames, from a clip's peaks, their pitches and the tuning."""
    peak, pitch, tuning = clip
    tuned = pitch - tuning
    nearest = jnp.round(tuned)
    weight = peak * jnp.square(jnp.cos(np.pi * (tuned - nearest)))
    number = jnp.mod(nearest, 12)
    # One frame at a time, for the same reason.
    chroma = jax.lax.map(_by_class, (number, weight))
    chroma = chroma / jnp.maximum(jnp.max(chroma, axis=-1, keepdims=True), 1e-9)
    return jnp.mean(chroma, axis=-2)


def _by_class(
    frame: tuple[Float[jax.Array, "bins"], Float[jax.Array, "bins"]],
) -> Float[jax.Array, "12"]:
    number, weight = frame
    inside = number == jnp.arange(12, dtype=number.dtype)[:, None]
    return jnp.sum(jnp.where(inside, weight, 0), axis=-1)


Peaks = tuple[Float[jax.Array, "*batch frames bins"], Float[jax.Array, "*batch frames bins"]]


def _peaks(y: Float[AnyArray, "batch samples"]) -> Peaks:
    """Return the strength and the pitch of each bin between 60 and 2000 Hz.

    The strength is the magnitude relative to the frame's highest peak, and 0 for a bin that is not
    a peak. The pitch is interpolated by a parabola, in semitones above C4 (9 for 440 Hz).
    """

    def of_frames(windowed: Float[jax.Array, "frames 8192"]) -> Peaks:
        S = magnitude(rfft(windowed)[:, _FIRST - 1 : _LAST + 1])
        left, middle, right = S[:, :-2], S[:, 1:-1], S[:, 2:]
        peak = jnp.where((middle > left) & (middle >= right), middle, 0)
        a, b, c = (jnp.log(jnp.maximum(part, 1e-9)) for part in (left, middle, right))
        bend = a - 2 * b + c
        offset = jnp.where(bend < 0, 0.5 * (a - c) / jnp.where(bend < 0, bend, -1), 0)
        hz = jnp.asarray(_HZ[_FIRST:_LAST], S.dtype)
        hz = hz + jnp.clip(offset, -0.5, 0.5) * (RATE / _N_FFT)
        peak = peak / jnp.maximum(jnp.max(peak, axis=-1, keepdims=True), 1e-9)
        return peak, 12 * jnp.log2(hz / 440) + 9

    return map_windowed(y, of_frames, n_fft=_N_FFT, hop_length=_HOP)


def mode_margin(correlation: Float[AnyArray, "batch 2 12"]) -> Float[jax.Array, "batch"]:
    """Return the correlation of the best major key minus that of the best minor key."""
    best = jnp.max(correlation, axis=-1)
    return best[..., 1] - best[..., 0]
