"""Real FFTs over the last axis in the precision of the input, with exact types."""

from typing import cast

import numpy as np
import scipy.fft
from jaxtyping import Complex64, Float32


def rfft(
    x: Float32[np.ndarray, "*channels samples"], n: int | None = None
) -> Complex64[np.ndarray, "*channels bins"]:
    """Return the spectrum of a sound, zero-padded to `n` samples."""
    return np.asarray(scipy.fft.rfft(x, n))


def irfft(
    spectrum: Complex64[np.ndarray, "*channels bins"], n: int
) -> Float32[np.ndarray, "*channels samples"]:
    """Return the `n` samples of a spectrum."""
    return np.asarray(scipy.fft.irfft(spectrum, n))


def fast_length(n: int) -> int:
    """Return the smallest length of at least `n` with a fast FFT."""
    return cast(int, scipy.fft.next_fast_len(n, real=True))
