"""The power spectrum on a logarithmic axis of frequency."""

from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Float64, Shaped

from kit.dsp.checks import AnyArray, Number, positive_int, require
from kit.dsp.decibel import at_least
from kit.dsp.jit import Length, by_clip
from kit.dsp.mel import banded_product
from kit.dsp.stft import check_framing, map_magnitude

_LEAST = 1e-10  # of a band's power: -100 dB


def log_frequencies(
    *, fmin: Number, n_bins: int, bins_per_octave: int
) -> Float64[np.ndarray, " n_bins"]:
    """Return the centres of the bands, Hz."""
    return float(fmin) * 2.0 ** (np.arange(n_bins) / bins_per_octave)


def _check(given: dict[str, Any]) -> None:
    check_framing(given)
    centres = log_frequencies(
        fmin=given["fmin"],
        n_bins=positive_int("n_bins", given["n_bins"]),
        bins_per_octave=positive_int("bins_per_octave", given["bins_per_octave"]),
    )
    require(given["fmin"] > 0, "fmin", given["fmin"], "it must be above 0 Hz")
    half = given["sr"] / 2
    rule = f"the highest band, at {centres[-1]:.0f} Hz, must lie below sr / 2 = {half:g} Hz"
    require(centres[-1] < half, "n_bins", given["n_bins"], rule)


@by_clip(y="t", check=_check, time_axis=-2)
def log_frequency_levels(
    n: Length,
    y: Shaped[AnyArray, "*batch samples"],
    *,
    sr: Number,
    fmin: Number,
    n_bins: int,
    bins_per_octave: int = 36,
    n_fft: int = 1024,
    hop_length: int = 200,
) -> tuple[Float[jax.Array, "*batch frames n_bins"], Length]:
    """Return the level, in decibels, of bands of equal width on a logarithmic frequency axis.

    A recording played faster shifts along this axis by the same number of bands at each frequency.
    Low bands are as wide as the resolution of the transform.

    Args:
        y: waveforms, full scale 1.0.
        sr: sample rate, Hz.
        fmin: centre of the lowest band, Hz.
        n_bins: number of bands.
        bins_per_octave: bands in an octave.
        n_fft: length of the transform, samples.
        hop_length: samples between frames, which are centred, with zeros past both ends.
    Returns:
        Decibels relative to a mean power of 1 in the band, at least -100;
        frames = 1 + samples // hop_length if `n_fft` is even.
    Raises:
        ParameterError: a length below 1, or bands that do not lie between 0 and `sr / 2`.
    """
    basis = _basis(float(sr), float(fmin), n_bins, bins_per_octave, n_fft)
    return map_magnitude(
        lambda power: 10.0 * jnp.log10(at_least(banded_product(power, basis), _LEAST)),
        n,
        y=y,
        S=None,
        power=2,
        n_fft=n_fft,
        hop_length=hop_length,
    )


@lru_cache(maxsize=8)
def _basis(
    sr: float, fmin: float, n_bins: int, bins_per_octave: int, n_fft: int
) -> Float64[np.ndarray, "n_bins bins"]:
    """Return triangular filters between the neighbours' centres, each with a sum of 1."""
    step = sr / n_fft
    bins = np.arange(n_fft // 2 + 1) * step
    centre = log_frequencies(fmin=fmin, n_bins=n_bins, bins_per_octave=bins_per_octave)[:, None]
    ratio = 2.0 ** (1 / bins_per_octave)
    below = np.maximum(centre - centre / ratio, step)
    above = np.maximum(centre * ratio - centre, step)
    weights = np.minimum(1 - (centre - bins) / below, 1 - (bins - centre) / above)
    weights = np.maximum(weights, 0)
    return weights / weights.sum(axis=1, keepdims=True)
