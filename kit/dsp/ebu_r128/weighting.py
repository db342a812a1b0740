"""The K-weighting of ITU-R BS.1770-4."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from kit.dsp.checks import Number, require


def k_weighting(sr: Number) -> Float[np.ndarray, "2 6"]:
    """The two second-order sections of the K-weighting at a sample rate, as scipy's `sos`.

    The standard gives coefficients at 48 kHz; these are the analogue filters behind them (a shelf
    of 4 dB at 1682 Hz and a high-pass at 38 Hz), mapped by the bilinear transform to any rate.

    Source: BS.1770-4, tables 1 and 2, which this gives at 48 kHz to 1e-7; the parameters are those
    of the libebur128 project.
    """
    require(sr >= 8000, "sr", sr, "K-weighting takes at least 8000 Hz")
    shelf_hz, shelf_db, shelf_q = 1681.974450955533, 3.999843853973347, 0.7071752369554196
    k = math.tan(math.pi * shelf_hz / sr)
    high = 10 ** (shelf_db / 20)
    band = high**0.4996667741545416
    norm = 1 + k / shelf_q + k * k
    shelf = [
        (high + band * k / shelf_q + k * k) / norm,
        2 * (k * k - high) / norm,
        (high - band * k / shelf_q + k * k) / norm,
        1.0,
        2 * (k * k - 1) / norm,
        (1 - k / shelf_q + k * k) / norm,
    ]
    pass_hz, pass_q = 38.13547087602444, 0.5003270373238773
    k = math.tan(math.pi * pass_hz / sr)
    norm = 1 + k / pass_q + k * k
    high_pass = [1.0, -2.0, 1.0, 1.0, 2 * (k * k - 1) / norm, (1 - k / pass_q + k * k) / norm]
    return np.array([shelf, high_pass])


def k_weighted(y: Float[jax.Array, "*batch samples"], sr: Number) -> jax.Array:
    """Return `y` through the K-weighting, computed by its frequency response.

    The slower pole, of 38 Hz, falls to 1e-9 within a tenth of a second. That much silence after
    the signal keeps its end from reaching its start.
    """
    import scipy.fft
    import scipy.signal

    samples = y.shape[-1]
    size = scipy.fft.next_fast_len(samples + math.ceil(0.1 * sr), real=True) or 1
    _, response = scipy.signal.sosfreqz(
        k_weighting(sr), worN=2 * np.pi * np.arange(size // 2 + 1) / size
    )
    spectrum = jnp.fft.rfft(y, n=size) * jnp.asarray(response, (y + 0j).dtype)
    return jnp.fft.irfft(spectrum, n=size)[..., :samples]
