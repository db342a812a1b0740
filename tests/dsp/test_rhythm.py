import jax
import librosa
import numpy as np
import pytest
import scipy.stats

from kit.dsp import (
    ParameterError,
    beat_track,
    dance_tempo,
    fourier_tempogram,
    onset_strength,
    onset_strength_multi,
    plp,
    tempo,
    tempo_frequencies,
    tempogram,
)

SR = 22050
TOLERANCE = 1e-5  # relative to the peak; measured: at most 2e-6


def clicks(bpm: float, seconds: float = 15.0, off_beat: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(4)
    y = np.zeros(int(seconds * SR))
    for beat in np.arange(0.1, seconds - 0.5, 60 / bpm):
        y[int(beat * SR)] += 1
        y[int((beat + 30 / bpm) * SR)] += off_beat
    burst = np.exp(-np.arange(600) / 90) * rng.standard_normal(600)
    return np.convolve(y, burst)[: len(y)].astype(np.float32)


CLICKS = clicks(126.0)
ENVELOPE = librosa.onset.onset_strength(y=CLICKS, sr=SR)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"lag": 2, "max_size": 3, "detrend": True, "aggregate": np.median},
        {"center": False, "hop_length": 1024, "aggregate": np.max},
    ],
)
def test_onset_strength(arguments, relative):
    theirs = librosa.onset.onset_strength(y=CLICKS, sr=SR, **arguments)
    assert relative(onset_strength(y=CLICKS, sr=SR, **arguments), theirs) < TOLERANCE


def test_onset_strength_of_bands(relative):
    S = librosa.power_to_db(librosa.feature.melspectrogram(y=CLICKS[:SR]))
    for channels in ([0, 32, 64, 128], [slice(0, 10), slice(5, 40)]):
        theirs = librosa.onset.onset_strength_multi(S=S, channels=channels)
        assert relative(onset_strength_multi(S=S, channels=channels), theirs) < TOLERANCE
    every = onset_strength_multi(S=S, aggregate=False)
    assert relative(every, librosa.onset.onset_strength_multi(S=S, aggregate=False)) < TOLERANCE


@pytest.mark.parametrize("arguments", [{}, {"win_length": 101, "norm": 2}, {"center": False}])
def test_tempogram(arguments, relative):
    theirs = librosa.feature.tempogram(onset_envelope=ENVELOPE, **arguments)
    assert relative(tempogram(onset_envelope=ENVELOPE, **arguments), theirs) < TOLERANCE
    arguments.pop("norm", None)
    F = librosa.feature.fourier_tempogram(onset_envelope=ENVELOPE, **arguments)
    assert relative(fourier_tempogram(onset_envelope=ENVELOPE, **arguments), F) < TOLERANCE


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"aggregate": None},
        {"prior": scipy.stats.uniform(60, 40)},
        {"start_bpm": 60, "max_tempo": None},
    ],
)
def test_tempo(arguments):
    theirs = librosa.feature.tempo(onset_envelope=ENVELOPE, sr=SR, **arguments)
    np.testing.assert_allclose(tempo(onset_envelope=ENVELOPE, sr=SR, **arguments), theirs, 1e-6)


def test_tempo_frequencies():
    np.testing.assert_allclose(tempo_frequencies(40), librosa.tempo_frequencies(40))


@pytest.mark.parametrize(("bpm", "off_beat"), [(126, 0), (133.7, 0.8), (174, 0.5), (98, 0.9)])
def test_dance_tempo(bpm, off_beat):
    found = dance_tempo(y=clicks(bpm, off_beat=off_beat))
    assert float(found) == pytest.approx(bpm, rel=5e-3)  # measured: 1e-3 at most


def test_dance_tempo_of_a_batch():
    both = np.stack([clicks(120), clicks(140)])
    np.testing.assert_allclose(jax.jit(lambda y: dance_tempo(y=y))(both), [120, 140], rtol=5e-3)


@pytest.mark.parametrize("arguments", [{}, {"tightness": 40}, {"bpm": 63.0}])
def test_beats(arguments):
    ours = beat_track(onset_envelope=ENVELOPE, sr=SR, **arguments)
    theirs = librosa.beat.beat_track(onset_envelope=ENVELOPE, sr=SR, **arguments)
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-6)
    np.testing.assert_array_equal(ours[1], theirs[1])


def test_beats_of_a_batch_and_units():
    both = np.stack([ENVELOPE, ENVELOPE[::-1]])
    bpm, mask = beat_track(onset_envelope=both, sr=SR, sparse=False)
    theirs = librosa.beat.beat_track(onset_envelope=both, sr=SR, sparse=False)
    np.testing.assert_allclose(bpm, theirs[0], rtol=1e-6)
    np.testing.assert_array_equal(mask, theirs[1])
    frames = np.flatnonzero(mask[0])
    for units, unit in (("samples", 512), ("time", 512 / SR)):
        _, found = beat_track(onset_envelope=ENVELOPE, sr=SR, units=units)
        np.testing.assert_allclose(found, frames * unit)


def test_beats_that_change_tempo():
    bpm = np.linspace(100, 140, len(ENVELOPE))
    ours = beat_track(onset_envelope=ENVELOPE, sr=SR, bpm=bpm)
    theirs = librosa.beat.beat_track(onset_envelope=ENVELOPE, sr=SR, bpm=bpm)
    np.testing.assert_array_equal(ours[1], theirs[1])


def test_silence_has_no_beat():
    bpm, beats = beat_track(onset_envelope=np.zeros(500, np.float32))
    assert bpm == 0
    assert len(beats) == 0
    bpm, mask = beat_track(onset_envelope=np.zeros((2, 500), np.float32), sparse=False)
    assert not np.any(bpm)
    assert not np.any(mask)


def test_pulse(relative):
    # librosa 0.11 divides by the magnitude of the greatest real part, which is that of a masked bin
    # (0) wherever the strongest one's is negative; here, by the strongest one's own magnitude.
    F = librosa.feature.fourier_tempogram(onset_envelope=ENVELOPE, sr=SR)
    bpm = librosa.fourier_tempo_frequencies(sr=SR)
    F[(bpm < 30) | (bpm > 300)] = 0
    size = np.abs(F)
    F = np.where(size == size.max(axis=0), F / np.maximum(size.max(axis=0), 1e-19), 0)
    pulse = librosa.istft(F, hop_length=1, n_fft=384, length=len(ENVELOPE))
    expected = librosa.util.normalize(np.maximum(pulse, 0))
    assert relative(plp(onset_envelope=ENVELOPE, sr=SR), expected) < 1e-4
    prior = scipy.stats.lognorm(loc=np.log(120), scale=120, s=1)
    assert np.isfinite(plp(onset_envelope=ENVELOPE, sr=SR, prior=prior)).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: onset_strength(y=CLICKS, lag=0), "lag is 0"),
        (lambda: onset_strength(y=CLICKS, max_size=0), "max_size is 0"),
        (lambda: onset_strength(), "give one of them"),
        (lambda: onset_strength(y=CLICKS, aggregate=False), "aggregate is False"),
        (lambda: tempogram(onset_envelope=ENVELOPE, win_length=0), "win_length is 0"),
        (lambda: tempo(onset_envelope=ENVELOPE, start_bpm=0), "start_bpm is 0"),
        (lambda: dance_tempo(onset_envelope=ENVELOPE[:50]), "onset_envelope is '50 frames'"),
        (lambda: beat_track(onset_envelope=ENVELOPE, tightness=0), "tightness is 0"),
        (lambda: beat_track(onset_envelope=ENVELOPE, bpm=-1.0), "bpm"),
        (lambda: beat_track(onset_envelope=ENVELOPE, units="bars"), "units is 'bars'"),
        (lambda: beat_track(onset_envelope=np.ones((2, 9))), "sparse is True"),
        (lambda: plp(onset_envelope=ENVELOPE, tempo_min=100, tempo_max=50), "tempo_max is 50"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ParameterError, match=message):
        call()
