"""Real FFTs over the last axis in the precision of the input, typed as what they return."""

from typing import cast

import numpy as np
import scipy.fft
from jaxtyping import Complex64, Float32


def rfft(
    x: Float32[np.ndarray, "*channels samples"], n: int | None = None
) -> Complex64[np.ndarray, "*channels bins"]:
    """Return the spectrum of a sound, which is filled with zeros up to `n` samples first."""
    return np.asarray(scipy.fft.rfft(x, n))


def irfft(
    spectrum: Complex64[np.ndarray, "*channels bins"], n: int
) -> Float32[np.ndarray, "*channels samples"]:
    """Return the `n` samples of a spectrum."""
    return np.asarray(scipy.fft.irfft(spectrum, n))


def fast_length(n: int) -> int:
    """Return the next length from `n` upwards that is quick to transform."""
    return cast(int, scipy.fft.next_fast_len(n, real=True))
