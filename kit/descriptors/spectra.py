"""Compute the measurements that descriptors share, in one pass over the frames of an STFT."""

import math
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from kit.dsp import fft_frequencies, mel, onset_strength, power_to_db
from kit.dsp.checks import AnyArray, Number
from kit.dsp.dft import rfft
from kit.dsp.framing import map_frames
from kit.dsp.mel import banded_product
from kit.dsp.stft import magnitude
from kit.dsp.windows import padded_window

RATE = 22050
CLIP_S = 30
SAMPLES = CLIP_S * RATE
SHORTEST_S = 5.0
"""Shorter audio has no descriptors."""
N_FFT = 2048
HOP = 512
FRAME_RATE = RATE / HOP
"""Frames per second."""

BINS_HZ = fft_frequencies(sr=RATE, n_fft=N_FFT)
_FINE_MEL = mel(sr=RATE, n_fft=N_FFT, dtype=np.float64)
_COARSE_MEL = mel(sr=RATE, n_fft=N_FFT, n_mels=40, dtype=np.float64)
_ROLLED = 0.85

Made = TypeVar("Made")


class Frames(NamedTuple):
    """Measurements of each frame of an STFT of `N_FFT` samples every `HOP`.

    Flatness is the geometric over the arithmetic mean of the power, dB: 0 for a flat spectrum,
    about -2.5 for white noise, at most -30 for tones.
    """

    fine: Float[jax.Array, "*frames 128"]
    """Power in 128 mel bands."""
    coarse: Float[jax.Array, "*frames 40"]
    """Power in 40 mel bands."""
    amplitude: Float[jax.Array, "*frames"]
    """Sum of the magnitudes."""
    centroid: Float[jax.Array, "*frames"]
    """Hz; 0 in silence."""
    rolloff: Float[jax.Array, "*frames"]
    """Hz below which 85% of the magnitude lies."""
    flatness: Float[jax.Array, "*frames"]
    """dB, whole spectrum."""
    voice_flatness: Float[jax.Array, "*frames"]
    """dB, from 200 to 3400 Hz."""
    gap_flatness: Float[jax.Array, "*frames"]
    """dB, from 300 to 8000 Hz."""
    gap_power: Float[jax.Array, "*frames"]
    """Sum of the power from 300 to 8000 Hz."""


class Spectra(NamedTuple):
    """Measurements of a batch of clips at `RATE`."""

    frames: Frames
    """Arrays of (batch, frames)."""
    mel: Float[jax.Array, "batch 40 frames"]
    """Power in 40 bands."""
    onsets: Float[jax.Array, "batch frames"]
    """Spectral flux over 128 mel bands, dB per frame; independent of the level."""


def spectra(y: Float[AnyArray, "batch samples"]) -> Spectra:
    """Return the measurements of a batch of clips."""
    frames = map_windowed(y, measure_frames, n_fft=N_FFT, hop_length=HOP)
    return Spectra(frames, jnp.swapaxes(frames.coarse, -1, -2), _onsets(frames.fine))


def onsets_of(y: Float[AnyArray, "batch samples"]) -> Float[jax.Array, "batch frames"]:
    """Return `Spectra.onsets` alone."""

    def fine(windowed: Float[jax.Array, "frames 2048"]) -> Float[jax.Array, "frames 128"]:
        return banded_product(magnitude(rfft(windowed), 2), _FINE_MEL)

    return _onsets(map_windowed(y, fine, n_fft=N_FFT, hop_length=HOP))


def _onsets(fine: Float[jax.Array, "batch frames 128"]) -> Float[jax.Array, "batch frames"]:
    levels = power_to_db(jnp.swapaxes(fine, -1, -2))
    return onset_strength(S=levels, sr=RATE, hop_length=HOP)


def measure_frames(windowed: Float[jax.Array, "frames 2048"]) -> Frames:
    """Return the measurements of windowed frames."""
    power = magnitude(rfft(windowed), 2)
    S = jnp.sqrt(power)
    amplitude = jnp.sum(S, axis=-1)
    floored = jnp.maximum(power, 1e-10)
    # Shared by the three flatnesses; the mean of the logarithm gives the geometric mean.
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


def map_windowed(
    y: Float[AnyArray, "batch samples"],
    function: Callable[[Float[jax.Array, "frames n_fft"]], Made],
    *,
    n_fft: int,
    hop_length: int,
) -> Made:
    """Return `function` of the centred, Hann-windowed frames of clips, by blocks of frames.

    Args:
        y: clips; padded with silence.
        function: maps a block of frames to an array (frames, ...) or a tree of arrays, each frame
            independently of the others.
        n_fft, hop_length: samples of a frame, and between the starts of two frames.
    """
    window = padded_window("hann", n_fft, n_fft)
    half = n_fft // 2
    signal = jnp.pad(jnp.asarray(y), ((0, 0), (half, half)))

    def of_clip(clip: Float[jax.Array, "samples"]) -> Made:
        made, _ = map_frames(
            lambda frames: function(frames * jnp.asarray(window, frames.dtype)),
            clip,
            clip.shape[0],
            frame_length=n_fft,
            hop_length=hop_length,
        )
        return made

    return jax.lax.map(of_clip, signal)


def between(low_hz: Number, high_hz: Number) -> slice:
    """Return the bins of the STFT from one frequency to another."""
    inside = [i for i, hz in enumerate(BINS_HZ.tolist()) if low_hz <= hz <= high_hz]
    return slice(inside[0], inside[-1] + 1)


def _rolled(S: Float[jax.Array, "frames bins"]) -> Int[jax.Array, "frames"]:
    """Return the bin at which the running sum of a frame reaches 85% of its sum.

    Find the group of bins, then the bin in it, because running sums over all bins are slow.
    """
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
    # The order of summation differs, so the group's last sum may be too low by a rounding error.
    return jnp.minimum(group[:, 0] * size + jnp.minimum(step, size - 1), bins - 1)


def _running(x: Float[jax.Array, "rows n"]) -> Float[jax.Array, "rows n"]:
    """Return running sums along the last axis, by a matrix product: fast for few numbers."""
    ones = np.triu(np.ones((x.shape[-1], x.shape[-1]), x.dtype))
    return jnp.dot(x, ones, precision=jax.lax.Precision.HIGHEST)
