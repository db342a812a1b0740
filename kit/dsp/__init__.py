"""Arrays to arrays: librosa's names, defaults and layout (…, bins, frames), in JAX.

`docs/librosa.md` says function by function what is the same and what differs.
"""

from kit.dsp.checks import ParameterError
from kit.dsp.decibel import amplitude_to_db, db_to_amplitude, db_to_power, power_to_db
from kit.dsp.framing import frame
from kit.dsp.frontend import log_mel
from kit.dsp.mel import hz_to_mel, mel, mel_frequencies, mel_to_hz
from kit.dsp.melspectrogram import melspectrogram
from kit.dsp.stft import magnitude, stft
from kit.dsp.windows import get_window

__all__ = [
    "ParameterError",
    "amplitude_to_db",
    "db_to_amplitude",
    "db_to_power",
    "frame",
    "get_window",
    "hz_to_mel",
    "log_mel",
    "magnitude",
    "mel",
    "mel_frequencies",
    "mel_to_hz",
    "melspectrogram",
    "power_to_db",
    "stft",
]
