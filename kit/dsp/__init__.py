"""Arrays to arrays: librosa's names, defaults and layout (…, bins, frames), in JAX.

The modules of this folder are the front end and its parts, and are imported with the package. The
folders (rhythm, tonal, spectral, effects, ebu_r128, augment) hold the other functions by theme.
Their names are here too; the first use of a name imports its module. No folder has the name of a
function, because importing the folder would replace the function.

`docs/librosa.md` compares each function with librosa's.
"""

# ruff: noqa: F401
import importlib
import inspect
from typing import TYPE_CHECKING

from kit.dsp import checks
from kit.dsp.checks import ParameterError
from kit.dsp.decibel import amplitude_to_db, db_to_amplitude, db_to_power, power_to_db
from kit.dsp.dft import rfft
from kit.dsp.framing import frame
from kit.dsp.frontend import log_mel, preset
from kit.dsp.jit import split_batch
from kit.dsp.mel import hz_to_mel, mel, mel_frequencies, mel_to_hz, melspectrogram
from kit.dsp.resample import resample
from kit.dsp.stft import fft_frequencies, magnitude, stft
from kit.dsp.windows import get_window

if TYPE_CHECKING:
    from kit.dsp.augment.level import (
        add_noise,
        eq_tilt,
        mixup,
        random_gain,
        spec_augment,
        time_shift,
    )
    from kit.dsp.augment.time import random_pitch, random_stretch
    from kit.dsp.ebu_r128.meter import (
        loudness,
        loudness_of_steps,
        loudness_range,
        momentary_loudness,
        short_term_loudness,
    )
    from kit.dsp.ebu_r128.true_peak import true_peak
    from kit.dsp.ebu_r128.weighting import k_weighting
    from kit.dsp.effects.griffinlim import griffinlim
    from kit.dsp.effects.hpss import harmonic, hpss, hpss_spectrum, percussive, softmask
    from kit.dsp.effects.inverse import mel_to_audio, mel_to_stft, mfcc_to_audio, mfcc_to_mel
    from kit.dsp.effects.istft import istft
    from kit.dsp.effects.overlap import overlap_add, window_sumsquare
    from kit.dsp.effects.phase_vocoder import magphase, phase_vocoder
    from kit.dsp.effects.stretch import pitch_shift, time_stretch
    from kit.dsp.iir import deemphasis, preemphasis
    from kit.dsp.rhythm.beat import beat_track
    from kit.dsp.rhythm.onset import onset_strength, onset_strength_multi
    from kit.dsp.rhythm.onset_detect import onset_backtrack, onset_detect, peak_pick
    from kit.dsp.rhythm.pulse import plp
    from kit.dsp.rhythm.tempo import dance_tempo, tempo
    from kit.dsp.rhythm.tempogram import (
        autocorrelate,
        fourier_tempogram,
        tempo_frequencies,
        tempogram,
    )
    from kit.dsp.rhythm.tempogram_ratio import hybrid_tempogram, metrogram, tempogram_ratio
    from kit.dsp.spectral.cepstral import mfcc
    from kit.dsp.spectral.contrast import spectral_contrast
    from kit.dsp.spectral.delta import delta, stack_memory
    from kit.dsp.spectral.energy import rms, zero_crossing_rate, zero_crossings
    from kit.dsp.spectral.normalize import normalize
    from kit.dsp.spectral.pcen import pcen
    from kit.dsp.spectral.shape import (
        poly_features,
        spectral_bandwidth,
        spectral_centroid,
        spectral_flatness,
        spectral_rolloff,
    )
    from kit.dsp.spectral.silence import loud_frames, split, trim
    from kit.dsp.tonal.chroma import (
        chroma_cens,
        chroma_cqt,
        chroma_stft,
        chroma_vqt,
        tonnetz,
    )
    from kit.dsp.tonal.chroma_weights import chroma_filters, cq_to_chroma
    from kit.dsp.tonal.constantq import cqt, hybrid_cqt, pseudo_cqt, vqt
    from kit.dsp.tonal.icqt import griffinlim_cqt, icqt
    from kit.dsp.tonal.intervals import plimit_intervals, pythagorean_intervals
    from kit.dsp.tonal.key import Key, key
    from kit.dsp.tonal.tuning import estimate_tuning, hz_to_octs, piptrack, pitch_tuning
    from kit.dsp.tonal.wavelet import (
        interval_frequencies,
        wavelet,
        wavelet_lengths,
        window_bandwidth,
    )

_THEMES = {
    "augment.level": ("add_noise", "eq_tilt", "mixup", "random_gain", "spec_augment", "time_shift"),
    "augment.time": ("random_pitch", "random_stretch"),
    "ebu_r128.meter": (
        "loudness",
        "loudness_of_steps",
        "loudness_range",
        "momentary_loudness",
        "short_term_loudness",
    ),
    "ebu_r128.true_peak": ("true_peak",),
    "ebu_r128.weighting": ("k_weighting",),
    "effects.griffinlim": ("griffinlim",),
    "effects.hpss": ("harmonic", "hpss", "hpss_spectrum", "percussive", "softmask"),
    "effects.inverse": ("mel_to_audio", "mel_to_stft", "mfcc_to_audio", "mfcc_to_mel"),
    "effects.istft": ("istft",),
    "effects.overlap": ("overlap_add", "window_sumsquare"),
    "effects.phase_vocoder": ("magphase", "phase_vocoder"),
    "effects.stretch": ("pitch_shift", "time_stretch"),
    "iir": ("deemphasis", "preemphasis"),
    "rhythm.beat": ("beat_track",),
    "rhythm.pulse": ("plp",),
    "rhythm.onset": ("onset_strength", "onset_strength_multi"),
    "rhythm.onset_detect": ("onset_backtrack", "onset_detect", "peak_pick"),
    "rhythm.tempo": ("dance_tempo", "tempo"),
    "rhythm.tempogram": ("autocorrelate", "fourier_tempogram", "tempo_frequencies", "tempogram"),
    "rhythm.tempogram_ratio": ("hybrid_tempogram", "metrogram", "tempogram_ratio"),
    "spectral.cepstral": ("mfcc",),
    "spectral.delta": ("delta", "stack_memory"),
    "spectral.contrast": ("spectral_contrast",),
    "spectral.energy": ("rms", "zero_crossing_rate", "zero_crossings"),
    "spectral.silence": ("loud_frames", "split", "trim"),
    "spectral.normalize": ("normalize",),
    "spectral.pcen": ("pcen",),
    "spectral.shape": (
        "poly_features",
        "spectral_bandwidth",
        "spectral_centroid",
        "spectral_flatness",
        "spectral_rolloff",
    ),
    "tonal.chroma": (
        "chroma_cens",
        "chroma_cqt",
        "chroma_stft",
        "chroma_vqt",
        "tonnetz",
    ),
    "tonal.chroma_weights": ("chroma_filters", "cq_to_chroma"),
    "tonal.constantq": ("cqt", "hybrid_cqt", "pseudo_cqt", "vqt"),
    "tonal.icqt": ("griffinlim_cqt", "icqt"),
    "tonal.intervals": ("plimit_intervals", "pythagorean_intervals"),
    "tonal.key": ("Key", "key"),
    "tonal.tuning": ("estimate_tuning", "hz_to_octs", "piptrack", "pitch_tuning"),
    "tonal.wavelet": ("interval_frequencies", "wavelet", "wavelet_lengths", "window_bandwidth"),
}
_HOMES = {name: f"kit.dsp.{module}" for module, names in _THEMES.items() for name in names}

_EAGER = (
    *("ParameterError", "amplitude_to_db", "db_to_amplitude", "db_to_power", "fft_frequencies"),
    *("frame", "get_window", "hz_to_mel", "log_mel", "magnitude", "mel", "mel_frequencies"),
    *("mel_to_hz", "melspectrogram", "power_to_db", "preset", "resample", "rfft", "split_batch"),
    "stft",
)
__all__ = sorted((*_EAGER, *_HOMES))  # pyright: ignore[reportUnsupportedDunderAll]


for _name in _EAGER:
    if inspect.isfunction(globals()[_name]):
        globals()[_name] = checks.checked(globals()[_name])


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'kit.dsp' has no attribute {name!r}")
    value: object = getattr(importlib.import_module(_HOMES[name]), name)
    # All public functions check their arguments here.
    globals()[name] = checks.checked(value) if inspect.isfunction(value) else value
    return globals()[name]


def __dir__() -> list[str]:
    return __all__
