"""What the descriptors of a clip have in common: one STFT, and what is soon made of it."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float

from kit.dsp import fft_frequencies, melspectrogram, onset_strength, power_to_db, stft
from kit.dsp.checks import AnyArray, Number
from kit.dsp.stft import magnitude

RATE = 22050
CLIP_S = 30
SAMPLES = CLIP_S * RATE
N_FFT = 2048
HOP = 512
FRAME_RATE = RATE / HOP
"""Frames a second."""

BINS_HZ = fft_frequencies(sr=RATE, n_fft=N_FFT)


class Spectra(NamedTuple):
    """Of a batch of clips at `RATE`."""

    magnitude: Float[jax.Array, "batch bins frames"]
    """Of an STFT of `N_FFT` samples every `HOP`."""
    mel: Float[jax.Array, "batch 40 frames"]
    """Power in 40 bands."""
    onsets: Float[jax.Array, "batch frames"]
    """Spectral flux over 128 mel bands, dB a frame; it does not depend on the level."""


def spectra(y: Float[AnyArray, "batch samples"]) -> Spectra:
    """One STFT, and what is soon made of it."""
    S = magnitude(stft(y, n_fft=N_FFT, hop_length=HOP))
    power = jnp.square(S)
    levels = power_to_db(melspectrogram(S=power, sr=RATE))
    return Spectra(
        S,
        melspectrogram(S=power, sr=RATE, n_mels=40),
        onset_strength(S=levels, sr=RATE, hop_length=HOP),
    )


def between(low_hz: Number, high_hz: Number) -> slice:
    """The bins of the STFT from one frequency to another."""
    inside = [i for i, hz in enumerate(BINS_HZ.tolist()) if low_hz <= hz <= high_hz]
    return slice(inside[0], inside[-1] + 1)


def tonality_db(
    S: Float[AnyArray, "batch bins frames"],
) -> Float[jax.Array, "batch frames"]:
    """Spectral flatness of each frame, dB: 0 for a flat spectrum, about -2.5 for white noise, -30
    and less for tones.

    Source: Johnston 1988; flatness as in librosa 0.11 `feature.spectral_flatness`.
    """
    power = jnp.maximum(jnp.square(S), 1e-10)
    return 10 * (jnp.mean(jnp.log10(power), axis=-2) - jnp.log10(jnp.mean(power, axis=-2)))
