"""What the descriptors of a clip have in common: one pass over the frames of its STFT."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from kit.descriptors.blocks import by_blocks
from kit.dsp import fft_frequencies, mel, onset_strength, power_to_db
from kit.dsp.checks import AnyArray, Number
from kit.dsp.dft import rfft
from kit.dsp.mel import banded_product
from kit.dsp.stft import magnitude

RATE = 22050
CLIP_S = 30
SAMPLES = CLIP_S * RATE
N_FFT = 2048
HOP = 512
FRAME_RATE = RATE / HOP
"""Frames a second."""

BINS_HZ = fft_frequencies(sr=RATE, n_fft=N_FFT)
_FINE_MEL = mel(sr=RATE, n_fft=N_FFT, dtype=np.float64)
_COARSE_MEL = mel(sr=RATE, n_fft=N_FFT, n_mels=40, dtype=np.float64)
_ROLLED = 0.85


class Frames(NamedTuple):
    """What is known of each frame of an STFT of `N_FFT` samples every `HOP`.

    Flatness is geometric over arithmetic mean of the power, dB: 0 for a flat spectrum, about -2.5
    for white noise, -30 and less for tones.
    """

    fine: Float[jax.Array, "*frames 128"]
    """Power in mel bands."""
    coarse: Float[jax.Array, "*frames 40"]
    """Power in fewer of them."""
    amplitude: Float[jax.Array, "*frames"]
    """Sum of the magnitudes."""
    centroid: Float[jax.Array, "*frames"]
    """Hz; 0 in silence."""
    rolloff: Float[jax.Array, "*frames"]
    """Hz below which 85% of the magnitude lies."""
    flatness: Float[jax.Array, "*frames"]
    """dB, of the whole spectrum."""
    voice_flatness: Float[jax.Array, "*frames"]
    """dB, from 200 to 3400 Hz."""
    gap_flatness: Float[jax.Array, "*frames"]
    """dB, from 300 to 8000 Hz."""
    gap_power: Float[jax.Array, "*frames"]
    """Sum of the power from 300 to 8000 Hz."""


class Spectra(NamedTuple):
    """Of a batch of clips at `RATE`."""

    frames: Frames
    """Of (batch, frames)."""
    mel: Float[jax.Array, "batch 40 frames"]
    """Power in 40 bands."""
    onsets: Float[jax.Array, "batch frames"]
    """Spectral flux over 128 mel bands, dB a frame; it does not depend on the level."""


def spectra(y: Float[AnyArray, "batch samples"]) -> Spectra:
    """One STFT, and what is soon made of it."""
    frames = by_blocks(y, of_frames, n_fft=N_FFT, hop_length=HOP)
    levels = power_to_db(jnp.swapaxes(frames.fine, -1, -2))
    return Spectra(
        frames,
        jnp.swapaxes(frames.coarse, -1, -2),
        onset_strength(S=levels, sr=RATE, hop_length=HOP),
    )


def of_frames(windowed: Float[jax.Array, "frames 2048"]) -> Frames:
    """What is known of frames that have been windowed."""
    power = magnitude(rfft(windowed), 2)
    S = jnp.sqrt(power)
    amplitude = jnp.sum(S, axis=-1)
    floored = jnp.maximum(power, 1e-10)
    # Its mean's logarithm is the flatness' other half, and bands have theirs of the same.
    logarithm = jnp.log10(floored)

    def flatness(part: slice) -> Float[jax.Array, "frames"]:
        geometric = jnp.mean(logarithm[:, part], axis=-1)
        return 10 * (geometric - jnp.log10(jnp.mean(floored[:, part], axis=-1)))

    gaps = between(300, 8000)
    bins_hz = jnp.asarray(BINS_HZ, S.dtype)
    return Frames(
        fine=banded_product(power, _FINE_MEL),
        coarse=banded_product(power, _COARSE_MEL),
        amplitude=amplitude,
        centroid=jnp.sum(S * bins_hz, axis=-1) / jnp.maximum(amplitude, 1e-30),
        rolloff=bins_hz[_rolled(S)],
        flatness=flatness(slice(None)),
        voice_flatness=flatness(between(200, 3400)),
        gap_flatness=flatness(gaps),
        gap_power=jnp.sum(power[:, gaps], axis=-1),
    )


def between(low_hz: Number, high_hz: Number) -> slice:
    """The bins of the STFT from one frequency to another."""
    inside = [i for i, hz in enumerate(BINS_HZ.tolist()) if low_hz <= hz <= high_hz]
    return slice(inside[0], inside[-1] + 1)


def _rolled(S: Float[jax.Array, "frames bins"]) -> Int[jax.Array, "frames"]:
    """The bin with which a frame's sum reaches its share of the whole: first the group of bins,
    then the one in it, since running sums over all are slow."""
    bins = S.shape[-1]
    size = math.isqrt(bins) + 1
    groups = -(-bins // size)
    grid = jnp.pad(S, [(0, 0), (0, groups * size - bins)]).reshape(-1, groups, size)
    sums = _running(jnp.sum(grid, axis=-1))
    goal = _ROLLED * sums[:, -1:]
    group = jnp.sum(sums < goal, axis=-1, keepdims=True)
    before = jnp.where(group > 0, jnp.take_along_axis(sums, jnp.maximum(group - 1, 0), -1), 0)
    inside = jnp.take_along_axis(grid, group[..., None], axis=-2)[:, 0]
    step = jnp.sum(_running(inside) + before < goal, axis=-1)
    # Added up in another order, the group's last sum may fall short of the goal by a rounding.
    return jnp.minimum(group[:, 0] * size + jnp.minimum(step, size - 1), bins - 1)


def _running(x: Float[jax.Array, "rows n"]) -> Float[jax.Array, "rows n"]:
    """Running sums of few numbers, by a product."""
    ones = np.triu(np.ones((x.shape[-1], x.shape[-1]), x.dtype))
    return jnp.dot(x, ones, precision=jax.lax.Precision.HIGHEST)
