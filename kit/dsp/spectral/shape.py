"""Shape of the spectrum, frame by frame."""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float, Int, Num, Shaped

from kit.dsp.checks import AnyArray, Number, positive_int, require
from kit.dsp.decibel import at_least, power_to_db
from kit.dsp.jit import compiled
from kit.dsp.spectral.normalize import normalize
from kit.dsp.spectral.rank_filters import mean_of_greatest
from kit.dsp.stft import bin_frequencies, energies, fft_frequencies, spectrogram


def _of_energies(what: str) -> Callable[[dict[str, Any]], None]:
    """Refuses spectra that are complex or, where that can be seen, negative."""

    def check(given: dict[str, Any]) -> None:
        if given.get("S") is not None:
            energies(what, jnp.asarray(given["S"]))

    return check


Waveform = Shaped[AnyArray, "*batch samples"] | None
Spectrum = Num[AnyArray, "*batch bins frames"] | None


@compiled("y", "S", "freq", check=_of_energies("the centroid"))
def spectral_centroid(
    *,
    y: Waveform = None,
    sr: Number = 22050,
    S: Spectrum = None,
    freq: Any = None,
    **stft_arguments: Any,
) -> Float[jax.Array, "*batch 1 frames"]:
    """Mean frequency of each frame, Hz, weighted by magnitude; 0 in silence.

    Args:
        y, sr: waveforms and their rate.
        S: magnitudes in place of y.
        freq: of the bins, Hz: (bins,) or like S; those of the FFT if not given.
        stft_arguments: n_fft (2048), hop_length (512), win_length, window, center, pad_mode.
    Raises:
        ParameterError: S complex or negative.
    Source: librosa 0.11 `feature.spectral_centroid`.
    """
    S, n_fft = spectrogram(y=y, S=S, **stft_arguments)
    frequency = bin_frequencies(freq, sr, n_fft, S)
    return jnp.sum(frequency * normalize(S, norm=1, axis=-2), axis=-2, keepdims=True)


@compiled("y", "S", "freq", "centroid", check=_of_energies("the bandwidth"))
def spectral_bandwidth(
    *,
    y: Waveform = None,
    sr: Number = 22050,
    S: Spectrum = None,
    freq: Any = None,
    centroid: Any = None,
    norm: bool = True,
    p: Number = 2,
    **stft_arguments: Any,
) -> Float[jax.Array, "*batch 1 frames"]:
    """p-th root of the mean p-th power of the distance to the centroid, Hz.

    Args:
        y, sr, S, freq, stft_arguments: as in `spectral_centroid`.
        centroid: (…, 1, frames), Hz; computed if not given.
        norm: weights are scaled to sum to one.
        p: order; 2 is a standard deviation.
    Source: librosa 0.11 `feature.spectral_bandwidth`.
    """
    S, n_fft = spectrogram(y=y, S=S, **stft_arguments)
    require(p > 0, "p", p, "it must be above 0")
    frequency = bin_frequencies(freq, sr, n_fft, S)
    if centroid is None:
        weights = normalize(S, norm=1, axis=-2)
        centroid = jnp.sum(frequency * weights, axis=-2, keepdims=True)
    deviation = jnp.abs(frequency - jnp.asarray(centroid, S.dtype))
    weights = normalize(S, norm=1, axis=-2) if norm else S
    total = jnp.sum(weights * deviation**p, axis=-2, keepdims=True)
    # A root has no slope at zero.
    return jnp.where(total > 0, jnp.where(total > 0, total, 1) ** (1 / p), total)


@compiled("y", "S", "freq", check=_of_energies("the roll-off"))
def spectral_rolloff(
    *,
    y: Waveform = None,
    sr: Number = 22050,
    S: Spectrum = None,
    freq: Any = None,
    roll_percent: Number = 0.85,
    **stft_arguments: Any,
) -> Float[jax.Array, "*batch 1 frames"]:
    """The frequency below which `roll_percent` of a frame's magnitude lies, Hz.

    Args:
        y, sr, S, freq, stft_arguments: as in `spectral_centroid`.
        roll_percent: between 0 and 1.
    Source: librosa 0.11 `feature.spectral_rolloff`.
    """
    require(0 < roll_percent < 1, "roll_percent", roll_percent, "it must lie between 0 and 1")
    S, n_fft = spectrogram(y=y, S=S, **stft_arguments)
    if freq is None:
        rolled = jnp.asarray(fft_frequencies(sr=sr, n_fft=n_fft), S.dtype)[_rolled(S, roll_percent)]
        whole = jnp.sum(S, axis=-2, keepdims=True)
        return jnp.where(jnp.isfinite(whole), rolled, jnp.nan)
    frequency = jnp.broadcast_to(bin_frequencies(freq, sr, n_fft, S), S.shape)
    total = jnp.cumsum(S, axis=-2)
    above = total >= roll_percent * total[..., -1:, :]
    return jnp.min(jnp.where(above, frequency, jnp.inf), axis=-2, keepdims=True)


def _rolled(
    S: Float[jax.Array, "*batch bins frames"], share: float
) -> Int[jax.Array, "*batch 1 frames"]:
    """The bin with which a frame's sum reaches so much of the whole: first the group of bins, then
    the one in it, since running sums over all are slow."""
    bins, frames = S.shape[-2:]
    size = math.isqrt(bins) + 1
    groups = -(-bins // size)
    padded = jnp.pad(S, [(0, 0)] * (S.ndim - 2) + [(0, groups * size - bins), (0, 0)])
    grid = padded.reshape(*S.shape[:-2], groups, size, frames)
    sums = jnp.cumsum(jnp.sum(grid, axis=-2), axis=-2)
    goal = share * sums[..., -1:, :]
    group = jnp.argmax(sums >= goal, axis=-2, keepdims=True)
    before = jnp.where(group > 0, jnp.take_along_axis(sums, jnp.maximum(group - 1, 0), axis=-2), 0)
    inside = jnp.take_along_axis(grid, group[..., None, :], axis=-3)[..., 0, :, :]
    within = jnp.cumsum(inside, axis=-2) + before >= goal
    # Added up in another order, the group's last sum may fall short of the goal by a rounding.
    last = jnp.any(within, axis=-2, keepdims=True)
    step = jnp.where(last, jnp.argmax(within, axis=-2, keepdims=True), size - 1)
    return jnp.minimum(group * size + step, bins - 1)


@compiled("y", "S", check=_of_energies("flatness"))
def spectral_flatness(
    *,
    y: Waveform = None,
    S: Spectrum = None,
    amin: Number = 1e-10,
    power: Number = 2.0,
    **stft_arguments: Any,
) -> Float[jax.Array, "*batch 1 frames"]:
    """Geometric over arithmetic mean of |S|^power: 1 is noise, 0 a tone.

    Args:
        y, S, stft_arguments: as in `spectral_centroid`.
        amin: powers below this count as this.
        power: exponent of the magnitude.
    Source: librosa 0.11 `feature.spectral_flatness`.
    """
    require(amin > 0, "amin", amin, "it must be above 0")
    S, _ = spectrogram(y=y, S=S, **stft_arguments)
    floored = at_least(S**power, amin)
    geometric = jnp.exp(jnp.mean(jnp.log(floored), axis=-2, keepdims=True))
    return geometric / jnp.mean(floored, axis=-2, keepdims=True)


@compiled("y", "S")
def spectral_contrast(
    *,
    y: Waveform = None,
    sr: Number = 22050,
    S: Spectrum = None,
    freq: Any = None,
    fmin: Number = 200.0,
    n_bands: int = 6,
    quantile: Number = 0.02,
    linear: bool = False,
    **stft_arguments: Any,
) -> Float[jax.Array, "*batch bands frames"]:
    """Peaks over valleys in octave bands, dB; bands = n_bands + 1.

    Args:
        y, sr, S, stft_arguments: as in `spectral_centroid`.
        freq: (bins,), Hz, a constant.
        fmin: upper edge of the lowest band, Hz.
        n_bands: octaves above it.
        quantile: share of a band's bins that are its peak, and its valley.
        linear: the difference in place of dB.
    Raises:
        ParameterError: a band that begins above `sr / 2`, a bad share or size.
    Source: librosa 0.11 `feature.spectral_contrast`; Jiang et al. 2002.
    """
    n_bands = positive_int("n_bands", n_bands)
    require(0 < quantile < 1, "quantile", quantile, "it must lie between 0 and 1")
    require(fmin > 0, "fmin", fmin, "it must be above 0 Hz")
    S, n_fft = spectrogram(y=y, S=S, **stft_arguments)
    centres = np.atleast_1d(fft_frequencies(sr=sr, n_fft=n_fft) if freq is None else freq)
    require(
        centres.shape == (S.shape[-2],), "freq.shape", centres.shape, f"S has {S.shape[-2]} bins"
    )
    edges = np.concatenate([[0.0], fmin * 2.0 ** np.arange(n_bands + 1)])
    require(
        edges[-2] < sr / 2, "n_bands", n_bands, f"the top band begins above sr / 2 = {sr / 2:g} Hz"
    )
    bands = []
    for band, (low, high) in enumerate(pairwise(edges)):
        inside = np.flatnonzero((centres >= low) & (centres <= high))
        first, last = inside[0] - (band > 0), inside[-1] + 1
        last = len(centres) if band == n_bands else last
        count = max(1, int(np.rint(quantile * (last - first))))
        bands.append((slice(first, last - (band < n_bands)), count))

    def of_clip(clip: Float[jax.Array, "bins frames"]) -> Float[jax.Array, "2 bands frames"]:
        peaks = [mean_of_greatest(clip[band], count) for band, count in bands]
        valleys = [-mean_of_greatest(-clip[band], count) for band, count in bands]
        return jnp.stack([jnp.stack(peaks), jnp.stack(valleys)])

    # A clip at a time stays in the cache.
    both = lax.map(of_clip, S.reshape(-1, *S.shape[-2:]))
    both = both.reshape(*S.shape[:-2], 2, len(bands), S.shape[-1])
    peak, valley = both[..., 0, :, :], both[..., 1, :, :]
    return peak - valley if linear else power_to_db(peak) - power_to_db(valley)


@compiled("y", "S", "freq")
def poly_features(
    *,
    y: Waveform = None,
    sr: Number = 22050,
    S: Spectrum = None,
    order: int = 1,
    freq: Any = None,
    **stft_arguments: Any,
) -> Float[jax.Array, "*batch coefficients frames"]:
    """Coefficients of the polynomial in frequency nearest to each frame, the highest power first.

    Args:
        y, sr, S, freq, stft_arguments: as in `spectral_centroid`.
        order: of the polynomial.
    Source: librosa 0.11 `feature.poly_features`.
    """
    order = positive_int("order", order, least=0)
    S, n_fft = spectrogram(y=y, S=S, **stft_arguments)
    frequency = bin_frequencies(freq, sr, n_fft, S)
    top = jnp.maximum(jnp.max(jnp.abs(frequency), axis=-2, keepdims=True), 1e-30)
    scaled = frequency / top
    powers = jnp.arange(order, -1, -1)
    # Frequencies in units of the highest one: their powers would not fit single precision.
    basis = jnp.moveaxis(scaled, -2, -1)[..., None] ** powers
    if frequency.ndim == 2 and frequency.shape[-1] == 1:
        fit = jnp.linalg.pinv(basis[0])
        coefficients = jnp.einsum("cb,...bt->...ct", fit, S, precision=jax.lax.Precision.HIGHEST)
        return coefficients / (top[..., 0, 0] ** powers)[:, None]
    fit = jnp.linalg.pinv(basis)
    coefficients = jnp.einsum("...tcb,...bt->...ct", fit, S, precision=jax.lax.Precision.HIGHEST)
    return coefficients / top ** powers[:, None]
