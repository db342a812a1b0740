"""True peak: ITU-R BS.1770-4, annex 2."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Shaped

from kit.dsp.checks import AnyArray, Number, as_waveform, require
from kit.dsp.decibel import peak_of
from kit.dsp.jit import Length, by_clip
from kit.dsp.resample import oversampled

# The error of the peak is then at most 0.003 dB.
_MOST = 64


def true_peak(y: Shaped[AnyArray, "*batch samples"], *, sr: Number) -> Float[jax.Array, "*batch"]:
    """Return the greatest magnitude of each channel, at and between the samples.

    Args:
        y: (…, samples), full scale 1.
        sr: sample rate, Hz; oversampled to at least 192 kHz, but not by more than 64.
    Returns:
        Decibels relative to full scale (dBTP); -inf for silence, NaN if a sample is not finite.
    Raises:
        ParameterError: a rate that is not finite and above 0.
    Source: ITU-R BS.1770-4, annex 2, with the filter of `resample` in place of its example.

    Example:
        >>> y = np.tile([0.5, 0.5, -0.5, -0.5], 500)  # a sine of amplitude 0.707, between its peaks
        >>> round(float(kit.dsp.true_peak(y, sr=44100)))  # dBTP
        -3
    """
    require(0 < sr < math.inf, "sr", sr, "it must be a finite number above 0 Hz")
    y = y if isinstance(y, jax.Array) else np.asarray(y)
    return _true_peak(y, factor=1 if sr >= 192000 else math.ceil(min(_MOST, 192000 / sr)))


@by_clip(y="t")
def _true_peak(
    n: Length, y: Shaped[AnyArray, "samples"], *, factor: int
) -> tuple[Float[jax.Array, ""], None]:
    y = as_waveform(y)
    over = oversampled(n, y, factor).reshape(len(y), factor)
    # Past the signal's end, the filter's response is not part of the signal.
    over = jnp.where(jnp.arange(len(y))[:, None] < n, over, 0)
    peak = peak_of(jnp.abs(over), (0, 1))[0, 0]
    peak = jnp.where(jnp.all(jnp.isfinite(y)), peak, jnp.nan)
    return jnp.where(peak == 0, -jnp.inf, 20 * jnp.log10(jnp.where(peak == 0, 1, peak))), None
