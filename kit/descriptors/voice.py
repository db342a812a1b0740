"""What may be a voice: level that comes and goes four times a second, out of step with a beat."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from kit.descriptors.scale import unit
from kit.descriptors.spectra import FRAME_RATE, RATE, Frames
from kit.dsp import mel_frequencies
from kit.dsp.checks import AnyArray, Number

_SYLLABLES_HZ = (2.5, 6.0)
_CENTRES_HZ = np.asarray(mel_frequencies(42, fmin=0.0, fmax=RATE / 2))[1:-1]


class Modulation(NamedTuple):
    """How the level of bands comes and goes between 2.5 and 6 times a second."""

    depth: Float[jax.Array, "batch"]
    """Root mean square of that part of the envelopes, against their means."""
    spread: Float[jax.Array, "batch"]
    """Flatness of its spectrum: near 0 for a beat, which has lines; 0.8 and more for speech."""


def modulation(
    mel: Float[AnyArray, "batch 40 frames"], low_hz: Number = 0.0, high_hz: Number = RATE / 2
) -> Modulation:
    """Modulation at the rate of syllables, of the mel bands between two frequencies.

    Args:
        mel: power.
        low_hz, high_hz: bands whose centres lie between count, each by its share of the amplitude.
    Source: Scheirer and Slaney 1997, "Construction and evaluation of a robust multifeature
    speech/music discriminator" (ICASSP): 4 Hz modulation energy of 40 mel channels against their
    mean energy, and a pulse metric that tells the beat of dance music from it.
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
    # Both sides of the spectrum; the window's power is one.
    squares = 2 * jnp.sum(power, axis=-1) / frames
    depth = jnp.sqrt(squares) / jnp.maximum(mean[..., 0], 1e-9)
    weight = mean[..., 0] / jnp.maximum(jnp.sum(mean[..., 0], axis=-1, keepdims=True), 1e-9)
    together = jnp.sum(power / jnp.maximum(mean, 1e-9) ** 2 * weight[..., None], axis=-2)
    together = jnp.maximum(together, 1e-12)
    flat = jnp.exp(jnp.mean(jnp.log(together), axis=-1)) / jnp.mean(together, axis=-1)
    return Modulation(jnp.sum(depth * weight, axis=-1), flat)


def speechiness(found: Modulation) -> Float[jax.Array, "batch"]:
    """`unit` of depth from 0.35 to 0.75, times `unit` of spread from 0.4 to 0.8."""
    return unit(found.depth, 0.35, 0.75) * unit(found.spread, 0.4, 0.8)


def instrumentalness(found: Modulation, frames: Frames) -> Float[jax.Array, "batch"]:
    """One less what may be a voice: tones between 200 and 3400 Hz that come and go like syllables,
    out of step with a beat: `speechiness` of these bands, times `unit` of their flatness from -4
    down to -14 dB.

    It is no detector of voices: a voice under a band goes unheard, and an expressive saxophone
    counts as one.

    Args:
        found: modulation of the bands from 200 to 3400 Hz.
        frames: of the same clips.
    """
    tonality = jnp.mean(frames.voice_flatness, axis=-1)
    return 1 - speechiness(found) * unit(tonality, -4, -14)
