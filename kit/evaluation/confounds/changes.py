"""Changes of a sound that leave its genre: `(samples, rate in Hz, amount)` to samples.

None of them is random. The result may be shorter or longer than the samples.
"""

import io
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.fft
import soundfile
import soxr
from jaxtyping import Array, Float, Float32

from kit import dsp

Samples = Float32[np.ndarray, " samples"]
Changed = Float32[np.ndarray, " changed"]

PIVOT_HZ = 1000.0
TILT_LIMIT_DB = 12.0
"""No frequency is changed by more: 3 dB an octave would be 30 dB over ten octaves."""
ORDER = 4
"""Of the Butterworth filters, which run forwards and backwards: -6 dB at the edge, and then 48 dB
an octave."""
MP3_HZ = 44_100
"""MP3 knows 320 kb/s only at 32 kHz and above."""
_MP3_KBPS = (32, 320)


def louder(y: Samples, _: int, db: float) -> Changed:
    """Return samples made louder by `db`; nothing is clipped, so that only the level differs."""
    return y * np.float32(10 ** (db / 20))


def tilted(y: Samples, rate: int, db_per_octave: float) -> Changed:
    """Return samples whose spectrum is tilted about 1 kHz, by at most 12 dB at any frequency.

    Args:
        y: samples.
        rate: of them, Hz.
        db_per_octave: above 0 raises what is above 1 kHz.
    """

    def gain(hz: np.ndarray) -> np.ndarray:
        octaves = np.log2(np.maximum(hz, 1.0) / PIVOT_HZ)
        return 10 ** (np.clip(db_per_octave * octaves, -TILT_LIMIT_DB, TILT_LIMIT_DB) / 20)

    return _filtered(y, rate, gain)


def low_passed(y: Samples, rate: int, edge_hz: float) -> Changed:
    """Return samples without what is above `edge_hz`, in phase.

    Source: SciPy `sosfiltfilt` with `butter(4, edge_hz)`, whose gain this has.
    """
    return _filtered(y, rate, lambda hz: 1 / (1 + _warped(hz, edge_hz, rate) ** (2 * ORDER)))


def high_passed(y: Samples, rate: int, edge_hz: float) -> Changed:
    """Return samples without what is below `edge_hz`, in phase.

    Source: SciPy `sosfiltfilt` with `butter(4, edge_hz, "highpass")`, whose gain this has.
    """
    return _filtered(y, rate, lambda hz: 1 - 1 / (1 + _warped(hz, edge_hz, rate) ** (2 * ORDER)))


def _warped(hz: np.ndarray, edge_hz: float, rate: int) -> np.ndarray:
    """Return frequencies as multiples of an edge, on the axis of the bilinear transform."""
    top = 0.4999 * rate  # the tangent ends at half the rate
    return np.tan(np.pi * np.minimum(hz, top) / rate) / math.tan(math.pi * edge_hz / rate)


def _filtered(y: Samples, rate: int, gain: Callable[[np.ndarray], np.ndarray]) -> Changed:
    # Whole seconds: few lengths are compiled. One of silence: no end rings into a start.
    size: Any = scipy.fft.next_fast_len((math.ceil(len(y) / rate) + 1) * rate, real=True)
    gains = gain(np.arange(size // 2 + 1) * (rate / size)).astype(np.float32)
    return np.asarray(_weighed(np.pad(y, (0, size - len(y))), gains))[: len(y)]


@jax.jit
def _weighed(
    y: Float[Array | np.ndarray, " size"], gains: Float[Array | np.ndarray, " bins"]
) -> Float[Array, " size"]:
    return jnp.fft.irfft(jnp.fft.rfft(y) * gains, n=y.shape[0])


def through_mp3(y: Samples, rate: int, kbps: float) -> Changed:
    """Return what is left of samples after MP3 at a constant rate, of one channel at 44.1 kHz.

    A stereo file spends about twice as much for the same quality.

    Args:
        y: samples.
        rate: of them, Hz.
        kbps: a rate of MPEG-1 layer III: 64, 128, 320 and others.
    """
    if not len(y):
        return y
    stream, (least, most) = io.BytesIO(), _MP3_KBPS
    soundfile.write(
        stream,
        soxr.resample(y, rate, MP3_HZ),
        MP3_HZ,
        format="MP3",
        bitrate_mode="CONSTANT",
        # libsndfile spreads its levels evenly over the rates of LAME.
        compression_level=(most - kbps) / (most - least),
    )
    stream.seek(0)
    decoded = soundfile.read(stream, dtype="float32")[0]
    return soxr.resample(decoded, MP3_HZ, rate)[: len(y)]


def stretched(y: Samples, _: int, speed: float) -> Changed:
    """Return samples played `speed` times as fast at the same pitch."""
    return np.asarray(dsp.time_stretch(y, rate=speed)) if len(y) else y


def blurred(y: Samples, rate: int, speed: float) -> Changed:
    """Return samples that were `stretched` and stretched back, whose attacks are blurred.

    The control of changes of tempo or pitch alone, which blur attacks once where this does twice.
    """
    return stretched(stretched(y, rate, speed), rate, 1 / speed)


def played(y: Samples, rate: int, speed: float) -> Changed:
    """Return samples played `speed` times as fast, as a turntable does: the pitch moves too."""
    return soxr.resample(y, rate * speed, rate) if len(y) else y


def transposed(y: Samples, rate: int, semitones: float) -> Changed:
    """Return samples higher by `semitones` at the same tempo."""
    return np.asarray(dsp.pitch_shift(y, sr=rate, n_steps=semitones)) if len(y) else y


def later(y: Samples, rate: int, seconds: float) -> Changed:
    """Return samples without their first `seconds`."""
    return y[round(seconds * rate) :]
