"""Compute the vectors of a track for simple classifiers by `kit.dsp`.

Sample rate, FFT and hop are fixed, so that vectors of all catalogues are comparable.
"""

import dataclasses
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float16, Float32

from kit import dsp
from kit.audio import NonFiniteError
from kit.config import FeatureConfig, FrontendConfig, frames_of, seconds_of

VERSION = 4
"""Increase it if a value below changes its meaning, so that stored vectors are recomputed."""
FRONTEND = FrontendConfig()
FRAME_RATE = FRONTEND.sample_rate / FRONTEND.hop_length
"""Frames per second."""
BANDS = 40
KINDS = ("simple", "mfcc", "rich", "shape")
"""Vectors of a track besides its mel spectrogram."""

_MFCC = 20
_SHAPE_MFCC = 20
_SHAPE_STEPS = 16
# Range of levels, and of the levels that count as sounding, dB below the peak.
_SHAPE_DB, _SOUNDING_DB = 50.0, 12.0
# Margin on both sides of the sounding part, as a share of it, for soft ends of words.
_SHAPE_BESIDE = 0.1
# Share of the mean spectrum that is subtracted, since it depends on voice and microphone.
_SHAPE_CENTRED = 0.5
_GROUPS = 8
_MODULATION_HZ = np.geomspace(0.5, 20.0, 13)
# Shortest FFT, so that the lowest modulation range has FFT bins for any clip.
_LEAST_FFT = 2048
# Floor of the flux, dB²: that of steady noise.
_FLUX_FLOOR = 1e-3
_LEAST_S = 0.1  # one window of the FFT
_LOUDNESS_SAMPLES = math.ceil(0.4 * FRONTEND.sample_rate)  # a block of the loudness
_QUIETEST_LUFS = -70.0  # the gate of the loudness; silence has minus infinity


@dataclass(frozen=True, eq=False)
class Vectors:
    """The vectors of one track.

    Attributes:
        simple: tempo (BPM), loudness (LUFS), and the mean level of 40 mel bands (dB).
        mfcc: mean and deviation of 20 MFCCs, then of their deltas.
        rich: see `rich_names`.
        shape: see `shape_over_time`.
        mel: 40 mel bands, dB below the peak of the excerpt, for dictionaries.
    """

    simple: Float32[np.ndarray, " 42"]
    mfcc: Float32[np.ndarray, " 80"]
    rich: Float32[np.ndarray, " numbers"]
    shape: Float32[np.ndarray, " 621"]
    mel: Float16[np.ndarray, "frames 40"]


def excerpt_config(features: FeatureConfig) -> FeatureConfig:
    """Return a feature configuration with the sample rate and the frames of the vectors.

    Position, number, length and offset of the excerpts stay. A track must have at least 0.1 s, one
    window of the FFT.
    """
    wanted = features.least_s
    if wanted is None:
        wanted = seconds_of(features.n_frames, features.frontend)
    return dataclasses.replace(
        features,
        frontend=FRONTEND,
        n_frames=frames_of(math.ceil(features.clip_s * FRONTEND.sample_rate), FRONTEND),
        least_s=max(_LEAST_S, wanted),
        dtype="float32",
    )


def vectors_of(excerpts: Sequence[Float32[np.ndarray, " _"]]) -> Vectors:
    """Return the vectors of a track: means over its excerpts, and their concatenated mel frames.

    Args:
        excerpts: mono samples at 22,050 Hz, full scale 1.
    Raises:
        NonFiniteError: a value is not finite, since samples are far too large.
    """
    found = [_of_excerpt(y) for y in excerpts]
    means = {kind: np.mean([getattr(one, kind) for one in found], axis=0) for kind in KINDS}
    if not all(np.isfinite(vector).all() for vector in means.values()):
        raise NonFiniteError("the samples are so large that their statistics are not finite")
    return Vectors(**means, mel=np.concatenate([one.mel for one in found]))


def _of_excerpt(y: Float32[np.ndarray, " samples"]) -> Vectors:
    rate, hop = FRONTEND.sample_rate, FRONTEND.hop_length
    magnitude = np.abs(np.asarray(dsp.stft(y=y, n_fft=FRONTEND.n_fft, hop_length=hop)))
    power = np.square(magnitude)
    bands = np.asarray(dsp.melspectrogram(S=power, sr=rate, n_mels=BANDS))
    mel = np.asarray(dsp.power_to_db(bands, ref=np.max))
    fine = np.asarray(dsp.melspectrogram(S=power, sr=rate, n_mels=FRONTEND.n_mels))
    level = np.asarray(dsp.power_to_db(fine))
    coefficients = np.asarray(dsp.mfcc(S=level, n_mfcc=_MFCC))
    onsets = np.asarray(dsp.onset_strength(S=level, sr=rate, hop_length=hop))
    tempo = float(np.asarray(dsp.tempo(onset_envelope=onsets, sr=rate, hop_length=hop))[0])
    # Repeat a clip that is shorter than a block of the loudness.
    repeated = np.resize(y, max(len(y), _LOUDNESS_SAMPLES))
    loudness = float(np.asarray(dsp.loudness(repeated, sr=rate)))
    spectrum = np.mean(np.asarray(dsp.power_to_db(bands, top_db=None)), axis=1)
    contrast = np.asarray(dsp.spectral_contrast(S=magnitude, sr=rate))
    chroma = np.asarray(dsp.chroma_stft(S=power, sr=rate, tuning=0.0))
    rich = [
        *(mel.mean(axis=1), mel.std(axis=1), *np.quantile(mel, (0.1, 0.9), axis=1)),
        modulation(mel).ravel(),
        *(contrast.mean(axis=1), contrast.std(axis=1)),
        *_sorted_chroma(chroma),
        _rhythm(onsets, tempo),
    ]
    return Vectors(
        simple=_joined([[tempo, max(loudness, _QUIETEST_LUFS)], spectrum]),
        mfcc=mfcc_statistics(coefficients),
        rich=_joined(rich),
        shape=shape_over_time(mel),
        mel=np.ascontiguousarray(mel.T, np.float16),
    )


def mfcc_statistics(
    coefficients: Float32[np.ndarray, "20 frames"],
) -> Float32[np.ndarray, " 80"]:
    """Return mean and deviation over time of MFCCs, then of their deltas."""
    # Deltas take nine frames: repeat the last frame of a shorter clip.
    short = max(0, 9 - coefficients.shape[1])
    deltas = np.asarray(dsp.delta(np.pad(coefficients, ((0, 0), (0, short)), "edge")))
    rows = (coefficients, deltas)
    return _joined([part for x in rows for part in (x.mean(axis=1), x.std(axis=1))])


def shape_over_time(mel: Float32[np.ndarray, "40 frames"]) -> Float32[np.ndarray, " 621"]:
    """Return the course of a clip's spectrum from start to end, for clips of any length.

    The sounding part, from the first to the last frame within 12 dB of the loudest, plus a tenth of
    it on both sides, is cut into 16 equal steps. The vector holds 20 MFCCs at the middle of each
    step, minus half their mean over the sounding part; half the 15 differences between neighbouring
    steps; and the logarithm of the number of sounding frames.

    Args:
        mel: dB below the peak; levels below -50 dB count as -50 dB.
    """
    level = np.asarray(dsp.power_to_db(np.sum(10 ** (mel / 10), axis=0), top_db=None))
    sounding = np.flatnonzero(level >= level.max() - _SOUNDING_DB)
    first, last = sounding[0], sounding[-1] + 1
    coefficients = np.asarray(dsp.mfcc(S=np.maximum(mel, -_SHAPE_DB), n_mfcc=_SHAPE_MFCC))
    mean = coefficients[:, first:last].mean(axis=1, keepdims=True)
    centred = coefficients - _SHAPE_CENTRED * mean
    frames = last - first
    share = (np.arange(_SHAPE_STEPS) + 0.5) / _SHAPE_STEPS
    at = first - 0.5 + frames * (share + _SHAPE_BESIDE * (2 * share - 1))
    # Outside the clip, `interp` repeats the first and the last frame.
    steps = np.stack([np.interp(at, np.arange(mel.shape[1]), row) for row in centred])
    return _joined([steps.ravel(), np.diff(steps, axis=1).ravel() / 2, [math.log(frames)]])


def modulation(
    mel: Float32[np.ndarray, "40 frames"],
) -> Float[np.ndarray, "8 12"]:
    """Return the modulation power of 8 groups of bands in 12 ranges from 0.5 to 20 Hz, log10 dB².

    The onset flux of a group is the mean rise of its 5 bands from frame to frame, dB. Its power
    spectrum, with a Hann window and without the mean, is averaged in ranges of equal ratio.
    """
    rise = np.maximum(np.diff(mel.astype(np.float64), axis=1, prepend=mel[:, :1]), 0)
    flux = rise.reshape(_GROUPS, -1, rise.shape[1]).mean(axis=1)
    frames = flux.shape[1]
    window = np.hanning(frames + 2)[1:-1]
    varied = (flux - flux.mean(axis=1, keepdims=True)) * window
    size = max(_LEAST_FFT, 1 << (frames - 1).bit_length())
    density = np.square(np.abs(np.fft.rfft(varied, size, axis=1))) / np.square(window).sum()
    hz = np.fft.rfftfreq(size, 1 / FRAME_RATE)
    edges = np.searchsorted(hz, _MODULATION_HZ)
    means = [density[:, low:high].mean(axis=1) for low, high in itertools.pairwise(edges)]
    return np.log10(np.stack(means, axis=1) + _FLUX_FLOOR)


def rich_names() -> list[str]:
    """Return the names of the values of the vector "rich"."""
    names = [
        f"mel {band} {what}" for what in ("mean", "std", "p10", "p90") for band in range(BANDS)
    ]
    names += [
        f"modulation of group {group}, {low:.2g} to {high:.2g} Hz"
        for group in range(_GROUPS)
        for low, high in itertools.pairwise(_MODULATION_HZ)
    ]
    names += [f"contrast {band} {what}" for what in ("mean", "std") for band in range(7)]
    names += [f"chroma rank {rank} {what}" for what in ("mean", "std") for rank in range(12)]
    return [*names, "onset mean", "onset std", "onsets a second", "tempo", "pulse"]


def _sorted_chroma(
    chroma: Float32[np.ndarray, "12 frames"],
) -> tuple[Float32[np.ndarray, " 12"], Float32[np.ndarray, " 12"]]:
    """Return mean and deviation of the pitch classes, strongest first, for any key."""
    mean = chroma.mean(axis=1)
    order = np.argsort(-mean, kind="stable")
    return mean[order], chroma.std(axis=1)[order]


def _rhythm(onsets: Float32[np.ndarray, " frames"], tempo: float) -> list[float]:
    """Return mean and deviation of the onset strength, onsets per second, tempo, and pulse.

    The pulse is the autocorrelation of the onset strength at a lag of one beat.
    """
    rate, hop = FRONTEND.sample_rate, FRONTEND.hop_length
    found = np.asarray(dsp.onset_detect(onset_envelope=onsets, sr=rate, hop_length=hop))
    centred = onsets.astype(np.float64) - onsets.mean()
    lag = max(1, round(60 * FRAME_RATE / tempo))
    power = float(np.sum(np.square(centred)))
    pulse = float(np.sum(centred[lag:] * centred[:-lag])) / power if power > 0 else 0.0
    a_second = len(found) * FRAME_RATE / len(onsets)
    return [float(onsets.mean()), float(onsets.std()), a_second, tempo, pulse]


def _joined(parts: Sequence[Sequence[float] | np.ndarray]) -> Float32[np.ndarray, " numbers"]:
    return np.concatenate([np.asarray(part, np.float32) for part in parts])
