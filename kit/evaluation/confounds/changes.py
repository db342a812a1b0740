"""Changes of a sound that keep its genre: `(samples, rate in Hz, amount)` to samples.

All changes are deterministic. The result may be shorter or longer than the samples.
"""

import io
from typing import Any

import numpy as np
import scipy.fft
import soundfile
import soxr
from jaxtyping import Float32

from kit import dsp

Samples = Float32[np.ndarray, " samples"]
Changed = Float32[np.ndarray, " changed"]

PIVOT_HZ = 1000.0
TILT_LIMIT_DB = 12.0
"""Largest gain at any frequency: 3 dB an octave would be 30 dB over ten octaves."""
ORDER = 4
"""Order of the Butterworth filters, run forwards and backwards: -6 dB at the edge, then 48 dB an
octave."""
MP3_HZ = 44_100
"""MP3 has 320 kb/s only at 32 kHz and above."""
_MP3_KBPS = (32, 320)


def louder(y: Samples, _: int, db: float) -> Changed:
    """Return samples made louder by `db`, without clipping."""
    return y * np.float32(10 ** (db / 20))


def tilted(y: Samples, rate: int, db_per_octave: float) -> Changed:
    """Return samples whose spectrum is tilted about 1 kHz, by at most 12 dB at any frequency."""
    # Add a second of silence, so that the end does not wrap around into the start.
    size: Any = scipy.fft.next_fast_len(len(y) + rate, real=True)
    octaves = np.log2(np.maximum(np.fft.rfftfreq(size, 1 / rate), 1.0) / PIVOT_HZ)
    gain = 10 ** (np.clip(db_per_octave * octaves, -TILT_LIMIT_DB, TILT_LIMIT_DB) / 20)
    return np.fft.irfft(np.fft.rfft(y, size) * gain, size)[: len(y)].astype(np.float32)


def low_passed(y: Samples, rate: int, edge_hz: float) -> Changed:
    """Return samples low-passed at `edge_hz`, with zero phase."""
    # No frequency lies above half the rate.
    return y if 2 * edge_hz >= rate else _filtered(y, rate, edge_hz, "lowpass")


def high_passed(y: Samples, rate: int, edge_hz: float) -> Changed:
    """Return samples high-passed at `edge_hz`, with zero phase."""
    return _filtered(y, rate, edge_hz, "highpass")


def _filtered(y: Samples, rate: int, edge_hz: float, kind: str) -> Changed:
    # Takes a second to import; a report of stored answers does not need it.
    from scipy.signal import butter, sosfiltfilt

    if not len(y):
        return y
    sections = butter(ORDER, edge_hz, kind, fs=rate, output="sos")
    return sosfiltfilt(sections, y, padlen=min(len(y) - 1, 3 * ORDER)).astype(np.float32)


def through_mp3(y: Samples, rate: int, kbps: float) -> Changed:
    """Return samples encoded as MP3 at a constant bit rate, mono at 44.1 kHz, and decoded.

    A stereo file needs about twice the bit rate for the same quality.
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
        # libsndfile spreads its levels evenly over LAME's bit rates.
        compression_level=(most - kbps) / (most - least),
    )
    stream.seek(0)
    decoded = soundfile.read(stream, dtype="float32")[0]
    return soxr.resample(decoded, MP3_HZ, rate)[: len(y)]


def stretched(y: Samples, _: int, speed: float) -> Changed:
    """Return samples played `speed` times as fast at the same pitch."""
    return np.asarray(dsp.time_stretch(y, rate=speed)) if len(y) else y


def blurred(y: Samples, rate: int, speed: float) -> Changed:
    """Return samples `stretched` and stretched back, which blurs their attacks twice.

    It is the control of the changes of tempo or pitch, which blur attacks once.
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
