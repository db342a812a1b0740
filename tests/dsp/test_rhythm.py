from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import librosa
import numpy as np
import pytest
import scipy.stats

from kit.dsp import (
    ParameterError,
    autocorrelate,
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

# Without coverage, which takes a third of the time: other tests run the same lines of kit.
pytestmark = pytest.mark.no_cover

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
    bpm, beats = beat_track(onset_envelope=np.zeros_like(ENVELOPE))
    assert bpm == 0
    assert len(beats) == 0
    bpm, mask = beat_track(onset_envelope=np.zeros((2, len(ENVELOPE)), np.float32), sparse=False)
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


def padded_and_exact(call: Callable[..., Any], x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a result computed in a padded buffer, and the exact one."""
    return np.asarray(call(x)), np.asarray(jax.jit(call)(x))


@pytest.mark.filterwarnings("ignore:n_fft")
@pytest.mark.parametrize(
    "call",
    [
        lambda e: autocorrelate(e, max_size=70),
        lambda e: tempogram(onset_envelope=e, win_length=50),
        lambda e: fourier_tempogram(onset_envelope=e, win_length=50),
        lambda e: tempo(onset_envelope=e),
        lambda e: beat_track(onset_envelope=e, sparse=False)[1],
        lambda e: plp(onset_envelope=e, win_length=50),
    ],
    ids=["autocorrelate", "tempogram", "fourier_tempogram", "tempo", "beat_track", "plp"],
)
def test_one_frame_gives_the_exact_result(call, relative):
    """As do more frames, in `test_public`."""
    padded, exact = padded_and_exact(call, ENVELOPE[-1:])
    assert relative(padded, exact) < 1e-6


@pytest.mark.parametrize("samples", [700, 32768])
@pytest.mark.filterwarnings("ignore:n_fft")
def test_no_length_changes_the_onset_strength(samples, relative):
    arguments = {"lag": 2, "max_size": 3, "detrend": True, "aggregate": np.median}
    y = CLICKS[:samples]
    padded, exact = padded_and_exact(lambda y: onset_strength(y=y, **arguments), y)
    assert relative(padded, exact) < 1e-6
    assert relative(padded, librosa.onset.onset_strength(y=y, **arguments)) < TOLERANCE


@pytest.mark.parametrize("center", [True, False])
def test_a_lag_of_more_than_all_frames(center, relative):
    S = np.random.default_rng(3).random((4, 5)).astype(np.float32)
    for aggregate in (None, lambda x, axis: np.percentile(x, 60, axis=axis)):
        arguments = {"S": S, "lag": 9, "center": center, "aggregate": aggregate}
        theirs = librosa.onset.onset_strength(**arguments)
        assert relative(onset_strength(**arguments), theirs) == 0


def test_onset_strength_takes_any_feature_and_function(relative):
    def feature(y: np.ndarray, sr: int, n_fft: int, hop_length: int) -> np.ndarray:
        return np.abs(librosa.stft(y, n_fft=n_fft, hop_length=hop_length)) ** 2

    def aggregate(x: np.ndarray, axis: int) -> np.ndarray:
        return np.percentile(x, 75, axis=axis)

    arguments = {"y": CLICKS, "feature": feature, "aggregate": aggregate, "detrend": True}
    theirs = librosa.onset.onset_strength(**arguments)
    assert relative(onset_strength(**arguments), theirs) < TOLERANCE


def test_onset_strength_where_a_level_is_not_finite():
    S = np.random.default_rng(3).random((6, 40)).astype(np.float32)
    for value in (np.nan, np.inf, -np.inf):
        spoilt = S.copy()
        spoilt[2, 20] = value
        for aggregate in (np.mean, np.max, np.median):
            given = {"center": False, "aggregate": aggregate}
            found = np.asarray(onset_strength(S=np.stack([S, spoilt]), **given))
            np.testing.assert_array_equal(np.flatnonzero(np.isnan(found[1])), [20, 21])
            np.testing.assert_array_equal(found[0], onset_strength(S=S, **given))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_has_no_tempo(value):
    spoilt = ENVELOPE.copy()
    spoilt[200] = value
    both = np.stack([spoilt, ENVELOPE])
    assert np.isnan(tempo(onset_envelope=spoilt)).all()
    assert np.isnan(dance_tempo(onset_envelope=spoilt))
    for bpm in (None, 126.0):
        found, beats = beat_track(onset_envelope=spoilt, bpm=bpm)
        assert np.isnan(found).all()
        assert len(beats) == 0
    found, beats = beat_track(onset_envelope=both, sparse=False)
    np.testing.assert_array_equal(np.isnan(found[:, 0]), [True, False])
    np.testing.assert_array_equal(np.any(beats, axis=-1), [False, True])
    curves = np.asarray(plp(onset_envelope=both))
    np.testing.assert_array_equal(np.isnan(curves).any(axis=-1), [True, False])
    every = np.asarray(tempo(onset_envelope=spoilt, aggregate=None, ac_size=2.0))
    assert np.isnan(every[200])
    assert np.isfinite(every[:100]).all()


def test_one_sample_that_is_not_a_number_spoils_the_tempo():
    y = CLICKS.copy()
    y[9000] = np.nan
    assert np.isnan(tempo(y=y)).all()
    assert np.isnan(beat_track(y=y)[0]).all()


def beats_as(kind: str, bpm: float, rate: float, seconds: float = 30.0) -> np.ndarray:
    """Return an onset envelope with the accents of a kind of music."""
    beats = np.arange(int(seconds * bpm / 60))
    bars = beats[::4]
    accents = {
        "bare": [(beats, 1.0)],
        "house": [(beats, 1.0), (beats + 0.5, 0.6), (beats[1::2], 0.5), (beats + 0.25, 0.15)],
        "drum and bass": [
            (bars, 1.0),
            (bars + 2.5, 1.0),
            (bars + 1, 1.1),
            (bars + 3, 1.1),
            (np.arange(0, len(beats), 0.5), 0.4),
        ],
    }
    envelope = np.zeros(int(seconds * rate))
    for times, strength in accents[kind]:
        at = np.round((times + 0.37) * 60 / bpm * rate).astype(int)
        np.add.at(envelope, at[at < len(envelope)], strength)
    if kind != "bare":
        envelope += 0.1 * np.random.default_rng(0).random(len(envelope))
    return envelope.astype(np.float32)


@pytest.mark.parametrize("kind", ["bare", "house", "drum and bass"])
@pytest.mark.parametrize(
    ("hop_length", "low_bpm"), [(512, 90), (441, 90), (128, 90), (512, 60), (441, 120)]
)
def test_dance_tempo_at_the_ends_of_its_octave(kind, hop_length, low_bpm):
    given = low_bpm * np.array([1, 1.005, 1.1, 4 / 3, 1.5, 1.7, 1.95, 1.97, 1.98, 1.995, 1.999])
    envelopes = np.stack([beats_as(kind, bpm, SR / hop_length) for bpm in given])
    found = dance_tempo(onset_envelope=envelopes, hop_length=hop_length, low_bpm=low_bpm)
    np.testing.assert_allclose(found, given, rtol=2e-3)  # measured: 6e-4


@pytest.mark.parametrize("bpm", [90, 176, 179])
def test_dance_tempo_of_clicks_at_the_ends_of_its_octave(bpm):
    assert float(dance_tempo(y=clicks(bpm, 30.0))) == pytest.approx(bpm, rel=2e-3)


def test_dance_tempo_of_a_constant_envelope():
    for value in (0.0, 0.1, 7.0):
        constant = jnp.full(700, value)
        found, slope = jax.value_and_grad(lambda e: dance_tempo(onset_envelope=e))(constant)
        assert float(found) == pytest.approx(128, rel=1e-2)
        assert np.isfinite(slope).all()


def test_tempo_keeps_to_the_range_of_single_precision():
    for scale in (1e-30, 1e30):
        scaled = ENVELOPE * np.float32(scale)
        np.testing.assert_array_equal(tempo(onset_envelope=scaled), tempo(onset_envelope=ENVELOPE))
        found = float(dance_tempo(onset_envelope=scaled))
        assert found == pytest.approx(float(dance_tempo(onset_envelope=ENVELOPE)), rel=1e-5)
        np.testing.assert_array_equal(
            beat_track(onset_envelope=scaled)[1], beat_track(onset_envelope=ENVELOPE)[1]
        )


def test_beats_that_librosa_does_not_hear(relative):
    spectrum = np.fft.rfft(CLICKS)
    spectrum[np.fft.rfftfreq(len(CLICKS), 1 / SR) > 300] = 0
    low = np.fft.irfft(spectrum, len(CLICKS)).astype(np.float32)
    for y in (low, CLICKS * np.float32(1e-7)):
        bpm, beats = beat_track(y=y)
        assert float(bpm[0]) == pytest.approx(126, rel=0.03)
        assert len(beats) == pytest.approx(15 * 126 / 60, abs=4)
    for y in (CLICKS * np.float32(1e-4), CLICKS * np.float32(2.0**-10)):
        theirs = librosa.beat.beat_track(y=y, sr=SR)
        np.testing.assert_array_equal(beat_track(y=y)[1], theirs[1])


def test_arrays_of_any_layout():
    for e in (ENVELOPE.astype(">f4"), list(map(float, ENVELOPE)), np.arange(len(ENVELOPE))):
        array = np.asarray(e, np.float32)
        np.testing.assert_array_equal(
            tempogram(onset_envelope=np.asarray(e)), tempogram(onset_envelope=array)
        )
    half = ENVELOPE.astype(np.float16)
    assert np.isfinite(plp(onset_envelope=half)).all()
    y = np.stack([ENVELOPE, ENVELOPE[::-1]])
    np.testing.assert_allclose(
        autocorrelate(y, axis=0), librosa.autocorrelate(y, axis=0), rtol=1e-5, atol=1e-4
    )


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
        (lambda: tempogram(onset_envelope=ENVELOPE[:100], center=False), "win_length is 384"),
        (lambda: fourier_tempogram(onset_envelope=ENVELOPE[:9], center=False), "win_length is 384"),
        (lambda: tempogram(onset_envelope=ENVELOPE[:0]), "onset_envelope.shape"),
        (lambda: tempogram(onset_envelope=1j * ENVELOPE), "onset_envelope.dtype"),
        (lambda: tempogram(y=CLICKS, hop_length=0), "hop_length is 0"),
        (lambda: tempo(onset_envelope=ENVELOPE, sr=np.inf), "sr is inf"),
        (lambda: tempo(onset_envelope=ENVELOPE, hop_length=0), "hop_length is 0"),
        (lambda: tempo(onset_envelope=ENVELOPE, ac_size=0.03), "no tempo is possible"),
        (lambda: tempo(onset_envelope=ENVELOPE, ac_size=np.inf), "ac_size is inf"),
        (lambda: tempo(tg=np.ones((0, 4))), "tg.shape"),
        (lambda: dance_tempo(onset_envelope=ENVELOPE, low_bpm=5000), "hop_length is 512"),
        (lambda: dance_tempo(onset_envelope=ENVELOPE, std_bpm=0), "std_bpm is 0"),
        (lambda: beat_track(onset_envelope=ENVELOPE, bpm=np.ones(7)), "bpm.shape"),
        (lambda: beat_track(onset_envelope=ENVELOPE, bpm=np.nan), "bpm"),
        (lambda: autocorrelate(ENVELOPE, axis=1), "axis is 1"),
        (lambda: autocorrelate(ENVELOPE[:0]), "y.shape"),
        (lambda: onset_strength(S=1j * np.ones((3, 9))), "S.dtype"),
        (lambda: onset_strength_multi(S=np.ones((3, 9)), channels=[0, 7]), "channels"),
        (lambda: onset_strength_multi(S=np.ones((3, 9)), channels=[slice(4, 9)]), "channels"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ParameterError, match=message):
        call()
