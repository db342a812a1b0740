"""True peak: ITU-R BS.1770-4, annex 2."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Float, Shaped

from kit.dsp.checks import AnyArray, Number, as_waveform, require
from kit.dsp.decibel import peak_of
from kit.dsp.jit import compiled
from kit.dsp.resample import resample


@compiled("y")
def true_peak(y: Shaped[AnyArray, "*batch samples"], *, sr: Number) -> Float[jax.Array, "*batch"]:
    """Greatest magnitude between the samples, dB relative to full scale (dBTP), of each channel.

    Args:
        y: (…, samples), full scale 1.
        sr: sample rate, Hz; oversampled to at least 192 kHz.
    Returns:
        dBTP; -inf for silence.
    Source: ITU-R BS.1770-4, annex 2, with `resample`'s filter in place of the example there.
    """
    y = as_waveform(y)
    require(sr > 0, "sr", sr, "it must be above 0 Hz")
    factor = max(1, math.ceil(192000 / sr)) if sr < 192000 else 1
    over = resample(y, orig_sr=1, target_sr=factor) if factor > 1 else y
    peak = peak_of(jnp.abs(over), (-1,))[..., 0]
    return jnp.where(peak == 0, -jnp.inf, 20 * jnp.log10(jnp.where(peak == 0, 1, peak)))
