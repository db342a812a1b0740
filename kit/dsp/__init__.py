"""Arrays to arrays: librosa's names, defaults and layout (…, bins, frames), in JAX.

`docs/librosa.md` says function by function what is the same and what differs.
"""

from kit.dsp.augment import add_noise, eq_tilt, mixup, random_gain, spec_augment, time_shift
from kit.dsp.augment_time import random_pitch, random_stretch
from kit.dsp.beat import beat_track, plp
from kit.dsp.cepstral import mfcc
from kit.dsp.checks import ParameterError
from kit.dsp.chroma import (
    chroma_cens,
    chroma_cqt,
    chroma_filters,
    chroma_stft,
    chroma_vqt,
    cq_to_chroma,
    tonnetz,
)
from kit.dsp.constantq import cqt, hybrid_cqt, pseudo_cqt, vqt
from kit.dsp.decibel import amplitude_to_db, db_to_amplitude, db_to_power, power_to_db
from kit.dsp.delta import delta, stack_memory
from kit.dsp.dft import rfft
from kit.dsp.energy import loud_frames, rms, split, trim, zero_crossing_rate, zero_crossings
from kit.dsp.framing import frame
from kit.dsp.frontend import log_mel
from kit.dsp.griffinlim import griffinlim
from kit.dsp.hpss import harmonic, hpss, hpss_spectrum, percussive, softmask
from kit.dsp.icqt import griffinlim_cqt, icqt
from kit.dsp.iir import deemphasis, preemphasis
from kit.dsp.inverse import mel_to_audio, mel_to_stft, mfcc_to_audio, mfcc_to_mel
from kit.dsp.istft import istft
from kit.dsp.key import Key, key
from kit.dsp.loudness import (
    k_weighting,
    loudness,
    loudness_of_steps,
    loudness_range,
    momentary_loudness,
    short_term_loudness,
    true_peak,
)
from kit.dsp.mel import hz_to_mel, mel, mel_frequencies, mel_to_hz
from kit.dsp.melspectrogram import melspectrogram
from kit.dsp.normalize import normalize
from kit.dsp.onset import onset_strength, onset_strength_multi
from kit.dsp.overlap import overlap_add, window_sumsquare
from kit.dsp.pcen import pcen
from kit.dsp.phase_vocoder import magphase, phase_vocoder
from kit.dsp.presets import preset
from kit.dsp.resample import resample
from kit.dsp.sharded import split_batch
from kit.dsp.spectral import (
    poly_features,
    spectral_bandwidth,
    spectral_centroid,
    spectral_contrast,
    spectral_flatness,
    spectral_rolloff,
)
from kit.dsp.spectrogram import fft_frequencies
from kit.dsp.stft import magnitude, stft
from kit.dsp.stretch import pitch_shift, time_stretch
from kit.dsp.tempo import dance_tempo, tempo
from kit.dsp.tempogram import autocorrelate, fourier_tempogram, tempo_frequencies, tempogram
from kit.dsp.tuning import estimate_tuning, hz_to_octs, piptrack, pitch_tuning
from kit.dsp.wavelet import interval_frequencies, wavelet, wavelet_lengths, window_bandwidth
from kit.dsp.windows import get_window

__all__ = [
    "Key",
    "ParameterError",
    "add_noise",
    "amplitude_to_db",
    "autocorrelate",
    "beat_track",
    "chroma_cens",
    "chroma_cqt",
    "chroma_filters",
    "chroma_stft",
    "chroma_vqt",
    "cq_to_chroma",
    "cqt",
    "dance_tempo",
    "db_to_amplitude",
    "db_to_power",
    "deemphasis",
    "delta",
    "eq_tilt",
    "estimate_tuning",
    "fft_frequencies",
    "fourier_tempogram",
    "frame",
    "get_window",
    "griffinlim",
    "griffinlim_cqt",
    "harmonic",
    "hpss",
    "hpss_spectrum",
    "hybrid_cqt",
    "hz_to_mel",
    "hz_to_octs",
    "icqt",
    "interval_frequencies",
    "istft",
    "k_weighting",
    "key",
    "log_mel",
    "loud_frames",
    "loudness",
    "loudness_of_steps",
    "loudness_range",
    "magnitude",
    "magphase",
    "mel",
    "mel_frequencies",
    "mel_to_audio",
    "mel_to_hz",
    "mel_to_stft",
    "melspectrogram",
    "mfcc",
    "mfcc_to_audio",
    "mfcc_to_mel",
    "mixup",
    "momentary_loudness",
    "normalize",
    "onset_strength",
    "onset_strength_multi",
    "overlap_add",
    "pcen",
    "percussive",
    "phase_vocoder",
    "piptrack",
    "pitch_shift",
    "pitch_tuning",
    "plp",
    "poly_features",
    "power_to_db",
    "preemphasis",
    "preset",
    "pseudo_cqt",
    "random_gain",
    "random_pitch",
    "random_stretch",
    "resample",
    "rfft",
    "rms",
    "short_term_loudness",
    "softmask",
    "spec_augment",
    "spectral_bandwidth",
    "spectral_centroid",
    "spectral_contrast",
    "spectral_flatness",
    "spectral_rolloff",
    "split",
    "split_batch",
    "stack_memory",
    "stft",
    "tempo",
    "tempo_frequencies",
    "tempogram",
    "time_shift",
    "time_stretch",
    "tonnetz",
    "trim",
    "true_peak",
    "vqt",
    "wavelet",
    "wavelet_lengths",
    "window_bandwidth",
    "window_sumsquare",
    "zero_crossing_rate",
    "zero_crossings",
]
