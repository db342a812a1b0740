"""A small typical call of every public function of `kit.dsp`, for tests that walk all of them.

A call is a function of one clip, whose last axis is time, and of batches of such clips unless
`alone` says why not. Every reason that a call gives is printed nowhere: it is for the reader.
"""

import dataclasses
import types
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from jax.core import Tracer

from kit import dsp
from kit.config import FrontendConfig

SR = 8000
N_FFT = 256
FRAMES: dict[str, Any] = {"n_fft": N_FFT, "hop_length": 64}
FREQS = np.geomspace(500.0, 2000.0, 25)[:-1]
CQT: dict[str, Any] = {"sr": SR, "hop_length": 64, "fmin": 500.0, "n_bins": 24}
BINS = N_FFT // 2 + 1
MELS = 20
LAGS = 32

Clip = Callable[[int, int], np.ndarray]
"""Makes a clip of a length and a seed."""


def _rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def wave(n: int, seed: int = 0) -> np.ndarray:
    """Samples: noise and two tones."""
    t = np.arange(n) / SR
    tones = 0.4 * np.sin(2 * np.pi * 440 * t) + 0.2 * np.sin(2 * np.pi * 1330 * t + seed)
    return (tones + 0.05 * _rng(seed).standard_normal(n)).astype(np.float32)


def stereo(n: int, seed: int = 0) -> np.ndarray:
    """(2, samples)."""
    return np.stack([wave(n, 2 * seed), wave(n, 2 * seed + 1)])


def spectrum(n: int, seed: int = 0) -> np.ndarray:
    """(bins, frames), complex."""
    parts = _rng(seed).standard_normal((2, BINS, n))
    return (parts[0] + 1j * parts[1]).astype(np.complex64)


def magnitudes(n: int, seed: int = 0) -> np.ndarray:
    """(bins, frames)."""
    return np.abs(spectrum(n, seed))


def bands(n: int, seed: int = 0) -> np.ndarray:
    """(mel bands, frames), power."""
    return (_rng(seed).random((MELS, n)) ** 2 + 1e-3).astype(np.float32)


def levels(n: int, seed: int = 0) -> np.ndarray:
    """(mel bands, frames), decibels."""
    return (10 * np.log10(bands(n, seed))).astype(np.float32)


def cepstra(n: int, seed: int = 0) -> np.ndarray:
    """(coefficients, frames)."""
    return _rng(seed).standard_normal((13, n)).astype(np.float32) * 5


def chroma(n: int, seed: int = 0) -> np.ndarray:
    """(12, frames)."""
    return _rng(seed).random((12, n)).astype(np.float32)


def wavelets(n: int, seed: int = 0) -> np.ndarray:
    """(bins of `cqt`, frames), complex."""
    parts = _rng(seed).standard_normal((2, 24, n))
    return (parts[0] + 1j * parts[1]).astype(np.complex64)


def octaves(n: int, seed: int = 0) -> np.ndarray:
    """(bins of `cqt`, frames), magnitudes."""
    return np.abs(wavelets(n, seed))


def envelope(n: int, seed: int = 0) -> np.ndarray:
    """(frames,): pulses every 11 frames above noise."""
    pulses = (np.arange(n) % 11 == seed % 11).astype(np.float32)
    return (pulses + 0.1 * _rng(seed).random(n)).astype(np.float32)


def lags(n: int, seed: int = 0) -> np.ndarray:
    """(lags, frames), an autocorrelation."""
    return _rng(seed).random((LAGS, n)).astype(np.float32)


def columns(n: int, seed: int = 0) -> np.ndarray:
    """(samples of a frame, frames)."""
    return _rng(seed).standard_normal((64, n)).astype(np.float32)


def numbers(n: int, seed: int = 0) -> np.ndarray:
    """(numbers,) from 0.5 to 9.5."""
    return (0.5 + 9 * _rng(seed).random(n)).astype(np.float32)


def hertz(n: int, seed: int = 0) -> np.ndarray:
    """(frequencies,) above 50 Hz."""
    return (50 + 3000 * _rng(seed).random(n)).astype(np.float32)


@dataclasses.dataclass(frozen=True)
class Call:
    """A call of one public function."""

    name: str
    of: Callable[[Any], Any]
    clip: Clip = wave
    """Makes the clip that the call takes."""
    form: str = ""
    """Tells calls of one function apart."""
    size: int = 0
    """Time of a typical clip; 3,000 samples or 40 frames if 0."""
    alone: str = ""
    """Why a call takes one clip, or why the clips of a batch depend on one another."""
    host: str = ""
    """Why it cannot be traced."""
    flat: str = ""
    """Why it has no gradient."""
    hides: str = ""
    """Why minus infinity may give a finite result."""
    degree: int | None = None
    """The power of a factor of the clip that is a factor of the result."""
    refuses: str = ""
    """Why a batch that holds a clip that is not finite is refused."""
    apart: float = 1e-6
    """Share of the peak by which a padded clip's result may differ, with the reason beside it."""

    @property
    def id(self) -> str:
        return f"{self.name}-{self.form}" if self.form else self.name

    @property
    def number(self) -> int:
        """A number by which tests that take turns choose."""
        return zlib.crc32(self.id.encode())

    @property
    def typical(self) -> int:
        return self.size or (3000 if self.clip in (wave, stereo) else 40)

    def given(
        self, options: dict[str, Any], function: Callable[[str], Callable[..., Any]] | None = None
    ) -> Callable[[Any], Any]:
        """Return the function of a clip with more options.

        Args:
            options: by name, in place of the call's own.
            function: kit's name of a function -> the function that is called in its place.
        """
        return with_options(self.of, options, function)

    def make(self, seed: int = 0, n: int | None = None) -> np.ndarray:
        """Make a clip of `n`, of the typical length if None."""
        return self.clip(
            self.typical if n is None else n, seed + zlib.crc32(self.name.encode()) % 99
        )


def with_options(
    of: Callable[..., Any],
    options: dict[str, Any],
    function: Callable[[str], Callable[..., Any]] | None = None,
) -> Callable[..., Any]:
    """Return a function that calls those of `dsp` with more options; see `Call.given`."""
    library = _Library(options, function or (lambda name: getattr(dsp, name)))
    scope = of.__globals__ | {"dsp": library}
    return types.FunctionType(of.__code__, scope, of.__name__, of.__defaults__, of.__closure__)


class _Library:
    """Functions that take more options than they are called with."""

    def __init__(self, options: dict[str, Any], function: Callable[[str], Callable[..., Any]]):
        self.options, self.function = options, function

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *args, **given: self.function(name)(*args, **(given | self.options))


KEY = jax.random.key(7)
COUNTS = "the result counts or chooses"
MASK = "a mask has no NaN"
HOST = "the result is made on the host"


def _calls() -> Iterator[Call]:
    yield Call("add_noise", lambda x: dsp.add_noise(KEY, x, snr_db=10.0))
    yield Call(
        "add_noise", lambda x: dsp.add_noise(KEY, x, snr_db=0.0, high_snr_db=9.0), form="drawn"
    )
    yield Call("eq_tilt", lambda x: dsp.eq_tilt(KEY, x, sr=SR))
    yield Call(
        "mixup",
        lambda x: dsp.mixup(KEY, x, np.eye(len(x), dtype=np.float32)),
        lambda n, seed: np.stack([wave(n, seed + i) for i in range(3)]),
        alone="mixing clips is its purpose",
        size=3000,
    )
    yield Call("random_gain", lambda x: dsp.random_gain(KEY, x))
    yield Call("random_pitch", lambda x: dsp.random_pitch(KEY, x, n_fft=N_FFT))
    yield Call("random_stretch", lambda x: dsp.random_stretch(KEY, x, n_fft=N_FFT))
    yield Call(
        "spec_augment",
        lambda x: dsp.spec_augment(KEY, x, freq_width=4, time_width=8),
        levels,
    )
    yield Call("time_shift", lambda x: dsp.time_shift(KEY, x, max_shift=100))
    yield Call(
        "time_shift", lambda x: dsp.time_shift(KEY, x, max_shift=100, wrap=True), form="wrap"
    )

    yield Call("log_mel", lambda x: dsp.log_mel(x, None, FRONT_END))
    yield Call("log_mel", lambda x: dsp.log_mel(x, None, FRONT_END, method="double"), form="double")
    yield Call("stft", lambda x: dsp.stft(x, **FRAMES))
    yield Call("stft", lambda x: dsp.stft(x, pad_mode="reflect", **FRAMES), form="reflect")
    yield Call("stft", lambda x: dsp.stft(x, center=False, **FRAMES), form="uncentred")
    yield Call("magnitude", lambda x: dsp.magnitude(x, 2.0), spectrum)
    yield Call("magphase", lambda x: dsp.magphase(x), spectrum)
    yield Call("rfft", lambda x: _turned(dsp.rfft(_turned(x))), columns)
    yield Call("frame", lambda x: dsp.frame(x, frame_length=64, hop_length=16))
    yield Call("melspectrogram", lambda x: dsp.melspectrogram(y=x, sr=SR, n_mels=MELS, **FRAMES))
    yield Call(
        "melspectrogram", lambda x: dsp.melspectrogram(S=x, sr=SR, n_mels=MELS), magnitudes, "S"
    )
    yield Call("hz_to_mel", lambda x: dsp.hz_to_mel(_jax(x)), hertz)
    yield Call("mel_to_hz", lambda x: dsp.mel_to_hz(_jax(x)), numbers)
    yield Call("hz_to_octs", lambda x: dsp.hz_to_octs(_jax(x)), hertz)
    yield Call("power_to_db", lambda x: dsp.power_to_db(x), bands)
    yield Call("power_to_db", lambda x: dsp.power_to_db(x, ref=np.max), bands, "max")
    yield Call("power_to_db", lambda x: dsp.power_to_db(x, ref=np.median), bands, "median")
    yield Call("amplitude_to_db", lambda x: dsp.amplitude_to_db(x, ref="max"), magnitudes)
    nothing = "-inf dB is a power of 0"
    yield Call("db_to_power", lambda x: dsp.db_to_power(x), levels, hides=nothing)
    yield Call("db_to_amplitude", lambda x: dsp.db_to_amplitude(x), levels, hides=nothing)
    yield Call("resample", lambda x: dsp.resample(x, orig_sr=SR, target_sr=5000))
    yield Call("resample", lambda x: dsp.resample(x, orig_sr=SR, target_sr=2 * SR), form="up")

    yield Call("istft", lambda x: dsp.istft(x, hop_length=64), spectrum)
    yield Call(
        "griffinlim", lambda x: dsp.griffinlim(x, n_iter=2, hop_length=64, rng=3), magnitudes
    )
    yield Call("hpss", lambda x: dsp.hpss(x, kernel_size=5, **FRAMES))
    yield Call("harmonic", lambda x: dsp.harmonic(x, kernel_size=5, **FRAMES))
    yield Call("percussive", lambda x: dsp.percussive(x, kernel_size=5, **FRAMES))
    yield Call("hpss_spectrum", lambda x: dsp.hpss_spectrum(x, kernel_size=5), magnitudes)
    yield Call("hpss_spectrum", lambda x: dsp.hpss_spectrum(x, kernel_size=5), spectrum, "complex")
    yield Call("softmask", lambda x: dsp.softmask(x, x[..., ::-1, :], power=0.5), magnitudes)
    yield Call("softmask", lambda x: dsp.softmask(x, x, power=2.0), magnitudes, "equal")
    yield Call("preemphasis", lambda x: dsp.preemphasis(x))
    yield Call("deemphasis", lambda x: dsp.deemphasis(x))
    yield Call("overlap_add", lambda x: dsp.overlap_add(x, hop_length=16), columns)
    yield Call("phase_vocoder", lambda x: dsp.phase_vocoder(x, rate=1.3), spectrum)
    yield Call("time_stretch", lambda x: dsp.time_stretch(x, rate=1.3, **FRAMES))
    yield Call("pitch_shift", lambda x: dsp.pitch_shift(x, sr=SR, n_steps=2, **FRAMES))

    yield Call("onset_strength", lambda x: dsp.onset_strength(y=x, sr=SR, n_mels=MELS, **FRAMES))
    yield Call("onset_strength", lambda x: dsp.onset_strength(S=x, sr=SR), levels, "S")
    yield Call(
        "onset_strength_multi",
        lambda x: dsp.onset_strength_multi(S=x, sr=SR, channels=[0, 8, MELS]),
        levels,
    )
    peaks: dict[str, Any] = {
        "pre_max": 3,
        "post_max": 3,
        "pre_avg": 3,
        "post_avg": 4,
        "delta": 0.1,
        "wait": 2,
    }
    yield Call(
        "onset_detect",
        lambda x: dsp.onset_detect(onset_envelope=x, sr=SR, hop_length=64, sparse=False),
        envelope,
        refuses=MASK,
        flat=COUNTS,
    )
    yield Call(
        "onset_detect",
        lambda x: dsp.onset_detect(onset_envelope=x, sr=SR, hop_length=64, backtrack=True),
        envelope,
        "sparse",
        alone="onsets are as many as there are",
        host=HOST,
        flat=COUNTS,
    )
    yield Call(
        "onset_backtrack",
        lambda x: dsp.onset_backtrack(np.array([3, 14, 25]), x),
        envelope,
        alone="it takes one envelope",
        host=HOST,
        flat=COUNTS,
    )
    yield Call(
        "peak_pick",
        lambda x: dsp.peak_pick(x, sparse=False, **peaks),
        envelope,
        flat=COUNTS,
        refuses=MASK,
    )
    tempo: dict[str, Any] = {"sr": SR, "hop_length": 128}
    small: dict[str, Any] = {"win_length": LAGS, **tempo}
    yield Call("autocorrelate", lambda x: dsp.autocorrelate(x, max_size=20), envelope)
    yield Call("tempogram", lambda x: dsp.tempogram(onset_envelope=x, **small), envelope, size=200)
    yield Call(
        "fourier_tempogram",
        lambda x: dsp.fourier_tempogram(onset_envelope=x, **small),
        envelope,
        size=200,
    )
    yield Call(
        "hybrid_tempogram",
        lambda x: dsp.hybrid_tempogram(onset_envelope=x, **small),
        envelope,
        size=200,
    )
    yield Call(
        "tempogram_ratio",
        lambda x: dsp.tempogram_ratio(onset_envelope=x, **small),
        envelope,
        size=200,
    )
    tempi = np.arange(1, LAGS + 1) * 15.0
    yield Call("metrogram", lambda x: dsp.metrogram(tg=x, freqs=tempi, factors=[1, 2]), lags)
    yield Call(
        "tempo", lambda x: dsp.tempo(onset_envelope=x, **tempo), envelope, size=200, flat=COUNTS
    )
    yield Call(
        "tempo",
        lambda x: dsp.tempo(onset_envelope=x, aggregate=None, ac_size=1.0, **tempo),
        envelope,
        "frames",
        size=200,
        flat=COUNTS,
    )
    yield Call(
        "dance_tempo", lambda x: dsp.dance_tempo(onset_envelope=x, **tempo), envelope, size=700
    )
    yield Call(
        "beat_track",
        lambda x: dsp.beat_track(onset_envelope=x, sparse=False, **tempo),
        envelope,
        size=200,
        flat=COUNTS,
    )
    yield Call(
        "plp",
        lambda x: dsp.plp(onset_envelope=x, tempo_min=60, tempo_max=400, **small),
        envelope,
        size=200,
    )

    yield Call("mfcc", lambda x: dsp.mfcc(y=x, sr=SR, n_mels=MELS, n_mfcc=13, **FRAMES))
    yield Call("mfcc", lambda x: dsp.mfcc(S=x, n_mfcc=13), levels, "S")
    yield Call("delta", lambda x: dsp.delta(x, width=5), cepstra)
    yield Call("delta", lambda x: dsp.delta(x, width=5, mode="nearest"), cepstra, "nearest")
    yield Call("stack_memory", lambda x: dsp.stack_memory(x, n_steps=3, delay=2), cepstra)
    yield Call("rms", lambda x: dsp.rms(y=x, frame_length=N_FFT, hop_length=64))
    yield Call("rms", lambda x: dsp.rms(S=x, frame_length=N_FFT), magnitudes, "S")
    loud: dict[str, Any] = {"frame_length": N_FFT, "hop_length": 64}
    yield Call("loud_frames", lambda x: dsp.loud_frames(x, **loud), flat=COUNTS, refuses=MASK)
    together = "the parts are those of all clips"
    yield Call("split", lambda x: dsp.split(x, **loud), alone=together, host=HOST, flat=COUNTS)
    yield Call("trim", lambda x: dsp.trim(x, **loud), alone=together, host=HOST, flat=HOST)
    yield Call("zero_crossings", lambda x: dsp.zero_crossings(x), flat=COUNTS, refuses=MASK)
    yield Call("zero_crossing_rate", lambda x: dsp.zero_crossing_rate(x, **loud), flat=COUNTS)
    # A rounding of the power, at a hundredth of the peak, is a larger one of its root.
    inverted: dict[str, Any] = {"apart": 1e-2}
    yield Call(
        "mel_to_audio",
        lambda x: dsp.mel_to_audio(x, sr=SR, n_iter=2, rng=3, **FRAMES),
        bands,
        **inverted,
    )
    yield Call("mel_to_stft", lambda x: dsp.mel_to_stft(x, sr=SR, n_fft=N_FFT), bands, **inverted)
    yield Call(
        "mfcc_to_audio",
        lambda x: dsp.mfcc_to_audio(x, n_mels=MELS, sr=SR, n_iter=2, rng=3, **FRAMES),
        cepstra,
        **inverted,
    )
    yield Call("mfcc_to_mel", lambda x: dsp.mfcc_to_mel(x, n_mels=MELS), cepstra)
    yield Call("normalize", lambda x: dsp.normalize(x, axis=-2), chroma)
    yield Call("normalize", lambda x: dsp.normalize(x, norm=2, axis=-1), chroma, "time")
    yield Call("normalize", lambda x: dsp.normalize(x, norm=0.5, axis=-2), chroma, "root")
    yield Call("pcen", lambda x: dsp.pcen(x, sr=SR, hop_length=64), bands)
    yield Call("pcen", lambda x: dsp.pcen(x, sr=SR, hop_length=64, bias=0), bands, "unbiased")
    yield Call("poly_features", lambda x: dsp.poly_features(y=x, sr=SR, **FRAMES))
    yield Call("poly_features", lambda x: dsp.poly_features(S=x, sr=SR, order=2), magnitudes, "S")
    shapes: dict[str, dict[str, Any]] = {
        "spectral_bandwidth": {},
        "spectral_centroid": {},
        "spectral_contrast": {"n_bands": 3},
        "spectral_rolloff": {},
    }
    for shape, more in shapes.items():
        yield Call(shape, lambda x, f=shape, m=more: getattr(dsp, f)(y=x, sr=SR, **m, **FRAMES))
        yield Call(
            shape, lambda x, f=shape, m=more: getattr(dsp, f)(S=x, sr=SR, **m), magnitudes, "S"
        )
    yield Call("spectral_flatness", lambda x: dsp.spectral_flatness(y=x, **FRAMES))
    yield Call("spectral_flatness", lambda x: dsp.spectral_flatness(S=x), magnitudes, "S")

    yield Call("chroma_stft", lambda x: dsp.chroma_stft(y=x, sr=SR, tuning=0.0, **FRAMES))
    yield Call("chroma_stft", lambda x: dsp.chroma_stft(S=x, sr=SR, tuning=0.0), magnitudes, "S")
    pitched: dict[str, Any] = {"bins_per_octave": 12, "n_octaves": 2}
    yield Call("chroma_cqt", lambda x: dsp.chroma_cqt(C=x, fmin=500.0, **pitched), octaves)
    yield Call(
        "chroma_cens",
        lambda x: dsp.chroma_cens(C=x, fmin=500.0, win_len_smooth=7, **pitched),
        octaves,
    )
    yield Call(
        "chroma_vqt",
        lambda x: dsp.chroma_vqt(V=x, fmin=500.0, intervals="equal", **pitched),
        octaves,
    )
    yield Call("tonnetz", lambda x: dsp.tonnetz(chroma=x), chroma)
    yield Call("key", lambda x: dsp.key(chroma=x), chroma)
    yield Call("cqt", lambda x: dsp.cqt(x, **CQT))
    yield Call("vqt", lambda x: dsp.vqt(x, gamma=5.0, **CQT))
    yield Call("hybrid_cqt", lambda x: dsp.hybrid_cqt(x, **CQT))
    yield Call("pseudo_cqt", lambda x: dsp.pseudo_cqt(x, **CQT))
    inverse: dict[str, Any] = {k: v for k, v in CQT.items() if k != "n_bins"}
    yield Call("icqt", lambda x: dsp.icqt(x, **inverse), wavelets)
    yield Call(
        "griffinlim_cqt",
        lambda x: dsp.griffinlim_cqt(x, n_iter=2, rng=3, **inverse),
        octaves,
    )
    yield Call("piptrack", lambda x: dsp.piptrack(y=x, sr=SR, fmax=3000.0, **FRAMES))
    yield Call("piptrack", lambda x: dsp.piptrack(S=x, sr=SR, fmax=3000.0), magnitudes, "S")
    one = "one tuning for all clips"
    yield Call(
        "estimate_tuning",
        lambda x: dsp.estimate_tuning(y=x, sr=SR, fmax=3000.0, **FRAMES),
        alone=one,
        host=HOST,
        flat=COUNTS,
    )
    yield Call(
        "pitch_tuning", lambda x: dsp.pitch_tuning(x), hertz, alone=one, host=HOST, flat=COUNTS
    )

    yield Call("loudness", lambda x: dsp.loudness(x, sr=SR), stereo, size=8000)
    # A difference of levels of some 20 dB, here near 0.
    close: dict[str, Any] = {"size": 40000, "apart": 1e-3}
    yield Call("loudness_range", lambda x: dsp.loudness_range(x, sr=SR), stereo, **close)
    yield Call("momentary_loudness", lambda x: dsp.momentary_loudness(x, sr=SR), stereo, size=8000)
    yield Call(
        "short_term_loudness", lambda x: dsp.short_term_loudness(x, sr=SR), stereo, size=40000
    )
    yield Call(
        "loudness_of_steps",
        lambda x: dsp.loudness_of_steps(x, np.full(x.shape[:-1], x.shape[-1], np.int32)),
        numbers,
    )
    yield Call("true_peak", lambda x: dsp.true_peak(x, sr=SR))


FRONT_END = FrontendConfig(sample_rate=SR, n_fft=N_FFT, hop_length=64, n_mels=MELS)


def _turned(x: Any) -> Any:
    """Swap the last two axes, as an array of JAX."""
    if isinstance(x, Tracer):
        return x.swapaxes(-1, -2)
    return _jax(np.swapaxes(np.asarray(x), -1, -2))


def _jax(x: Any) -> jax.Array:
    return x if isinstance(x, jax.Array) else jax.device_put(x.astype(x.dtype.newbyteorder("=")))


# A factor of the clip is one of the result, or changes nothing.
_LINEAR = {
    *("add_noise", "add_noise-drawn", "eq_tilt", "random_gain", "random_pitch", "random_stretch"),
    *("spec_augment", "time_shift", "time_shift-wrap", "stft", "stft-reflect", "stft-uncentred"),
    *("rfft", "frame", "resample", "resample-up", "istft", "griffinlim", "hpss", "harmonic"),
    *("percussive", "hpss_spectrum", "hpss_spectrum-complex", "preemphasis", "deemphasis"),
    *("overlap_add", "phase_vocoder", "time_stretch", "pitch_shift", "tempogram_ratio", "delta"),
    *("delta-nearest", "stack_memory", "rms", "rms-S", "mfcc-S", "poly_features"),
    *("poly_features-S", "cqt", "vqt", "hybrid_cqt", "pseudo_cqt", "icqt", "griffinlim_cqt"),
    *("trim", "mixup", "onset_strength-S", "onset_strength_multi"),
}
_LINEAR -= {"tempogram_ratio", "trim", "mixup"}
_INVARIANT = {
    *("softmask-equal", "tempo", "tempo-frames", "dance_tempo", "beat_track", "plp", "tempogram"),
    *("tempogram_ratio", "normalize", "normalize-time", "normalize-root"),
    *("spectral_bandwidth", "spectral_bandwidth-S", "spectral_centroid", "spectral_centroid-S"),
    *("spectral_rolloff", "spectral_rolloff-S", "chroma_stft", "chroma_stft-S", "chroma_cqt"),
    *("chroma_cens", "chroma_vqt", "tonnetz", "key", "onset_detect", "onset_detect-sparse"),
    *("loud_frames", "split", "estimate_tuning"),
}


def _by_degree(call: Call) -> Call:
    degree = 1 if call.id in _LINEAR else 0 if call.id in _INVARIANT else None
    return dataclasses.replace(call, degree=degree)


CALLS = {call.id: _by_degree(call) for call in _calls()}

CONSTANTS: dict[str, Callable[[], Any]] = {
    "chroma_filters": lambda: dsp.chroma_filters(sr=SR, n_fft=N_FFT),
    "cq_to_chroma": lambda: dsp.cq_to_chroma(24),
    "fft_frequencies": lambda: dsp.fft_frequencies(sr=SR, n_fft=N_FFT),
    "get_window": lambda: dsp.get_window("hann", N_FFT),
    "interval_frequencies": lambda: dsp.interval_frequencies(24, fmin=100.0),
    "k_weighting": lambda: dsp.k_weighting(SR),
    "mel": lambda: dsp.mel(sr=SR, n_fft=N_FFT, n_mels=MELS),
    "mel_frequencies": lambda: dsp.mel_frequencies(MELS, fmax=SR / 2),
    "plimit_intervals": lambda: dsp.plimit_intervals(primes=[3, 5]),
    "preset": lambda: dsp.preset("librosa"),
    "pythagorean_intervals": lambda: dsp.pythagorean_intervals(),
    "tempo_frequencies": lambda: dsp.tempo_frequencies(LAGS, sr=SR),
    "wavelet": lambda: dsp.wavelet(freqs=FREQS, sr=SR),
    "wavelet_lengths": lambda: dsp.wavelet_lengths(freqs=FREQS, sr=SR),
    "window_bandwidth": lambda: dsp.window_bandwidth("hann"),
    "window_sumsquare": lambda: dsp.window_sumsquare(window="hann", n_frames=9, n_fft=64),
}
"""Functions of numbers and names alone, which return constants: no clip, no program."""

OTHER = {"Key", "ParameterError", "split_batch"}
"""Names of types, and a function of a function."""
