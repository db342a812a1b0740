"""Seven approximations of Spotify's features, each between 0 and 1, from measurements of a clip."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from kit.descriptors.spectra import FRAME_RATE, RATE, Frames
from kit.dsp import mel_frequencies
from kit.dsp.checks import AnyArray, Number

_SYLLABLES_HZ = (2.5, 6.0)
_CENTRES_HZ = np.asarray(mel_frequencies(42, fmin=0.0, fmax=RATE / 2))[1:-1]
_QUIET = 0.1  # share of frames that count as quiet


def unit(x: Float[AnyArray, "..."], low: Number, high: Number) -> Float[jax.Array, "..."]:
    """Map a measurement into (0, 1) by a logistic curve: 0.1 at `low`, 0.9 at `high`.

    Args:
        x: the measurement.
        low, high: in the unit of `x`; if `low` is above `high`, the curve falls.
    """
    place = 2 * (x - low) / (high - low) - 1
    return jax.nn.sigmoid(math.log(9) * place)


def danceability(
    exponent: Float[AnyArray, "batch"], onset_rate: Float[AnyArray, "batch"]
) -> Float[jax.Array, "batch"]:
    """Return the steadiness of the beat.

    `unit` of the scaling exponent from 1.1 down to 0.4, times `unit` of the onset rate from 0.25 to
    1.5 per second. Without the second factor steady noise would count as a beat, because its
    exponent is equally low.

    Source: Streich and Herrera 2005 for the exponent; the onset rate is kit's own.
    """
    return unit(exponent, 1.1, 0.4) * unit(onset_rate, 0.25, 1.5)


def energy(
    loudness: Float[AnyArray, "batch"], onset_rate: Float[AnyArray, "batch"]
) -> Float[jax.Array, "batch"]:
    """Return a weighted mean of loudness and onset rate.

    0.6 of `unit` of the loudness from -30 to -8 LUFS, and 0.4 of `unit` of the onset rate from 0.5
    to 8 per second.

    Source: loudness and onset rate are two of the five properties that Spotify names for its
        "energy"; the weights are kit's own.
    """
    return 0.6 * unit(loudness, -30, -8) + 0.4 * unit(onset_rate, 0.5, 8)


def valence(
    mode_margin: Float[AnyArray, "batch"],
    brightness: Float[AnyArray, "batch"],
    tempo: Float[AnyArray, "batch"],
) -> Float[jax.Array, "batch"]:
    """Return a weighted mean of mode, brightness and tempo.

    Half `unit` of the mode margin from -0.2 to 0.2, a quarter `unit` of the logarithm of the
    centroid from 1000 to 4000 Hz, a quarter `unit` of the tempo from 100 to 160 bpm.

    Args:
        mode_margin: `kit.descriptors.tonal.mode_margin`.
        brightness: mean spectral centroid, Hz.
        tempo: bpm.
    Source: mode, tempo and timbre are first among the cues of listeners in Gabrielsson and
        Lindström 2010, "The role of structure in the musical expression of emotions"; the weights
        are kit's own.
    """
    bright = unit(jnp.log(jnp.maximum(brightness, 1.0)), 6.907755, 8.294050)
    return 0.5 * unit(mode_margin, -0.2, 0.2) + 0.25 * bright + 0.25 * unit(tempo, 100, 160)


def brightness(frames: Frames) -> Float[jax.Array, "batch"]:
    """Return the mean spectral centroid, Hz."""
    return _weighted_mean(frames.centroid, frames)


def acousticness(frames: Frames) -> Float[jax.Array, "batch"]:
    """Return the mean of darkness and tonality.

    Half `unit` of the roll-off (85% of the magnitude) from 7000 down to 2000 Hz, half `unit` of the
    flatness from -15 down to -35 dB; both are means over frames. Acoustic instruments tend to be
    darker and more tonal than drum machines and synthesisers, with many exceptions.

    Source: both measures as in Peeters 2004, "A large set of audio features".
    """
    rolled = _weighted_mean(frames.rolloff, frames)
    flat = _weighted_mean(frames.flatness, frames)
    return 0.5 * unit(rolled, 7000, 2000) + 0.5 * unit(flat, -15, -35)


def _weighted_mean(x: Float[AnyArray, "batch frames"], frames: Frames) -> Float[jax.Array, "batch"]:
    """Return the mean over frames weighted by amplitude, because silent frames have no timbre."""
    weight = frames.amplitude
    return jnp.sum(x * weight, axis=-1) / jnp.maximum(jnp.sum(weight, axis=-1), 1e-9)


class Modulation(NamedTuple):
    """Modulation of the level of bands between 2.5 and 6 Hz, the rate of syllables."""

    depth: Float[jax.Array, "batch"]
    """Root mean square of this part of the envelopes, relative to their means."""
    spread: Float[jax.Array, "batch"]
    """Flatness of its spectrum: near 0 for the lines of a beat, at least 0.8 for speech."""


def modulation(
    mel: Float[AnyArray, "batch 40 frames"], low_hz: Number = 0.0, high_hz: Number = RATE / 2
) -> Modulation:
    """Return the modulation at the rate of syllables, of the mel bands between two frequencies.

    Args:
        mel: power.
        low_hz, high_hz: use the bands whose centres lie between them, weighted by their amplitude.
    Source: Scheirer and Slaney 1997, "Construction and evaluation of a robust multifeature
        speech/music discriminator" (ICASSP): 4 Hz modulation energy of 40 mel channels relative to
        their mean energy, and a pulse metric that separates speech from the beat of dance music.
    """
    bands = np.flatnonzero((low_hz <= _CENTRES_HZ) & (high_hz >= _CENTRES_HZ))
    envelope = jnp.sqrt(mel[:, bands[0] : bands[-1] + 1])
    frames = envelope.shape[-1]
    mean = jnp.mean(envelope, axis=-1, keepdims=True)
    window = np.hanning(frames)
    window = jnp.asarray(window / np.sqrt(np.sum(window**2)), mel.dtype)
    spectrum = jnp.fft.rfft((envelope - mean) * window, axis=-1)
    power = jnp.square(spectrum.real) + jnp.square(spectrum.imag)
    hz = np.arange(power.shape[-1]) * FRAME_RATE / frames
    inside = np.flatnonzero((hz >= _SYLLABLES_HZ[0]) & (hz <= _SYLLABLES_HZ[1]))
    power = power[..., inside[0] : inside[-1] + 1]
    # Double, for both sides of the spectrum; the power of the window is 1.
    squares = 2 * jnp.sum(power, axis=-1) / frames
    depth = jnp.sqrt(squares) / jnp.maximum(mean[..., 0], 1e-9)
    weight = mean[..., 0] / jnp.maximum(jnp.sum(mean[..., 0], axis=-1, keepdims=True), 1e-9)
    together = jnp.sum(power / jnp.maximum(mean, 1e-9) ** 2 * weight[..., None], axis=-2)
    together = jnp.maximum(together, 1e-12)
    flat = jnp.exp(jnp.mean(jnp.log(together), axis=-1)) / jnp.mean(together, axis=-1)
    return Modulation(jnp.sum(depth * weight, axis=-1), flat)


def speechiness(found: Modulation) -> Float[jax.Array, "batch"]:
    """Return `unit` of the depth from 0.35 to 0.75, times `unit` of the spread from 0.4 to 0.8."""
    return unit(found.depth, 0.35, 0.75) * unit(found.spread, 0.4, 0.8)


def instrumentalness(found: Modulation, frames: Frames) -> Float[jax.Array, "batch"]:
    """Return 1 minus a score for sung or spoken tones.

    The score is `speechiness` of the bands between 200 and 3400 Hz, times `unit` of their flatness
    from -4 down to -14 dB: tones at the rate of syllables that do not follow a beat. It is not a
    voice detector: a quiet voice in a band is missed, and an expressive saxophone counts as one.
    """
    tonality = jnp.mean(frames.voice_flatness, axis=-1)
    return 1 - speechiness(found) * unit(tonality, -4, -14)


def liveness(mel: Float[AnyArray, "batch 40 frames"], frames: Frames) -> Float[jax.Array, "batch"]:
    """Return the amount of noise between sounds, such as that of a crowd or a room.

    `unit` of `floor_db` from -30 to -8 dB, times `unit` of `quiet_flatness_db` from -18 to -6 dB.
    """
    return unit(floor_db(mel), -30, -8) * unit(quiet_flatness_db(frames), -18, -6)


def floor_db(mel: Float[AnyArray, "batch 40 frames"]) -> Float[jax.Array, "batch"]:
    """Return the level of a band's quietest tenth relative to its mean, dB, mean over bands.

    A crowd, tape hiss and long reverberation fill gaps; a constant sound has 0 dB.
    """
    frames = mel.shape[-1]
    quiet = -jax.lax.top_k(-mel, max(1, round(_QUIET * frames)))[0]
    gap = _decibels(jnp.mean(quiet, axis=-1)) - _decibels(jnp.mean(mel, axis=-1))
    return jnp.mean(jnp.maximum(gap, -80), axis=-1)


def quiet_flatness_db(frames: Frames) -> Float[jax.Array, "batch"]:
    """Return the flatness between 300 and 8000 Hz of the quietest tenth of the frames, dB.

    Noise between sounds is near 0 dB, tones are far below.
    """
    level = frames.gap_power
    count = max(1, round(_QUIET * level.shape[-1]))
    edge = -jax.lax.top_k(-level, count)[0][:, -1:]
    quiet = (level <= edge).astype(level.dtype)
    return jnp.sum(frames.gap_flatness * quiet, axis=-1) / jnp.sum(quiet, axis=-1)


def _decibels(power: Float[AnyArray, "..."]) -> Float[jax.Array, "..."]:
    """Return 10 log10 of a power that may be 0."""
    return 10 * jnp.log10(jnp.maximum(power, 1e-20))
