import jax
import jax.numpy as jnp
import librosa
import numpy as np
import pytest

from kit.dsp import (
    ParameterError,
    fourier_tempogram,
    hybrid_tempogram,
    metrogram,
    tempo_frequencies,
    tempogram,
    tempogram_ratio,
)

SR = 22050
TOLERANCE = 1e-5  # relative to the peak; measured: at most 1e-6
# New in librosa 1.0.
NEW = pytest.mark.skipif(not hasattr(librosa.feature, "metrogram"), reason="librosa below 1.0")


def pulses(frames: int = 500) -> np.ndarray:
    """An onset envelope of pulses every 20 frames, every second one weaker."""
    rng = np.random.default_rng(2)
    envelope = 0.05 * rng.random(frames)
    envelope[5::20] += 1
    envelope[15::20] += 0.4
    return envelope.astype(np.float32)


ENVELOPE = pulses()
TG = librosa.feature.tempogram(onset_envelope=ENVELOPE, sr=SR).astype(np.float32)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"aggregate": np.median},
        {"factors": np.array([1.0, 2.0, 0.5])},
        {"bpm": np.array(120.0)},
        {"bpm": np.linspace(60, 240, TG.shape[-1])},
        {"bpm": np.array(2000.0), "fill_value": -1},
        {"start_bpm": 60, "max_tempo": None},
        {"kind": "nearest"},
        {"kind": "previous"},
        {"kind": "next"},
    ],
)
def test_tempogram_ratio(arguments, relative):
    theirs = librosa.feature.tempogram_ratio(tg=TG, sr=SR, **arguments)
    ours = tempogram_ratio(tg=TG, sr=SR, **arguments)
    assert ours.shape == theirs.shape
    assert relative(ours, theirs) < TOLERANCE


def test_of_an_envelope_with_its_own_window(relative):
    arguments = {"onset_envelope": ENVELOPE, "sr": SR, "win_length": 200, "norm": None}
    theirs = librosa.feature.tempogram_ratio(**arguments)
    assert relative(tempogram_ratio(**arguments), theirs) < TOLERANCE


def test_tempi_of_the_rows_in_any_order():
    tg = np.multiply.outer([4.0, 0.0, 1.0, 3.0, 2.0], np.ones(4))
    freqs = np.array([16.0, 1.0, 2.0, 8.0, 4.0])
    bpm = np.array([4.0, 2.0, 1.0, 1.5])
    ours = tempogram_ratio(tg=tg, freqs=freqs, factors=np.array([1, 2, 4]), bpm=bpm)
    expected = [[2, 1, 0, 0.5], [3, 2, 1, 1.5], [4, 3, 2, 2.5]]
    np.testing.assert_allclose(ours, expected, rtol=1e-6)


def test_half_the_tempo_is_where_every_second_pulse_is(relative):
    ratios = np.asarray(
        tempogram_ratio(tg=TG, sr=SR, factors=np.array([1, 0.5, 2]), bpm=60 * SR / (512 * 20))
    )
    beat, half, double = ratios[:, 150:350].mean(axis=-1)
    assert beat > 0.5
    assert half > 0.5
    assert double < beat


def test_a_batch_is_each_clip_alone(relative):
    batch = np.stack([ENVELOPE, ENVELOPE[::-1], np.zeros_like(ENVELOPE)])
    ours = jax.jit(lambda e: tempogram_ratio(onset_envelope=e, sr=SR))(batch)
    for clip, ratios in zip(batch, ours, strict=True):
        assert relative(ratios, tempogram_ratio(onset_envelope=clip, sr=SR)) < TOLERANCE
    assert np.isfinite(ours).all()


def test_a_nan_spoils_its_own_frames():
    tg = TG.copy()
    tg[:, 7] = np.nan
    ratios = np.asarray(tempogram_ratio(tg=tg, sr=SR, bpm=120.0))
    assert np.isnan(ratios[:, 7]).any()
    assert np.isfinite(np.delete(ratios, 7, axis=-1)).all()
    assert np.isnan(np.asarray(tempogram_ratio(tg=TG, sr=SR, bpm=np.nan))).all()


@NEW
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"win_length": 101, "center": False},
        {"kind": "cubic"},
        {"kind": "nearest", "fill_value": 0.5, "hop_length": 256},
    ],
)
def test_hybrid_tempogram(arguments, relative):
    theirs = librosa.feature.hybrid_tempogram(onset_envelope=ENVELOPE, sr=SR, **arguments)
    ours = hybrid_tempogram(onset_envelope=ENVELOPE, sr=SR, **arguments)
    assert ours.shape == theirs.shape
    assert relative(ours, theirs) < TOLERANCE


def test_the_hybrid_has_neither_fractions_nor_multiples_of_the_tempo():
    both = np.asarray(hybrid_tempogram(onset_envelope=ENVELOPE, sr=SR)).mean(axis=-1)
    by_frequency = np.abs(fourier_tempogram(onset_envelope=ENVELOPE, sr=SR)).mean(axis=-1)
    # Rows of the pulses every 20 frames and every 10, and of multiples and fractions of them.
    pulse, faster, slower = [19, 38], [77, 115, 154], [6, 10]
    assert np.argmax(both) in pulse
    assert by_frequency[faster].max() > by_frequency[pulse].max()
    assert both[faster].max() < 0.9 * both[pulse].max()
    assert both[slower].max() < 0.1 * both[pulse].max()


def test_the_hybrid_of_silence_is_zero_and_has_a_gradient():
    silence = jnp.zeros(400)
    assert not np.any(hybrid_tempogram(onset_envelope=silence, sr=SR))
    slope = jax.jit(jax.grad(lambda e: jnp.sum(hybrid_tempogram(onset_envelope=e, sr=SR))))(silence)
    assert np.isfinite(slope).all()


def test_metrogram_of_known_metres():
    freqs = np.array([1 / 7, 1 / 5, 1 / 4, 1 / 3, 1])
    tg = np.vstack([np.eye(4), np.ones(4)])
    ours = metrogram(tg=tg, freqs=freqs)
    np.testing.assert_allclose(ours, np.eye(4)[::-1], atol=1e-6)


@NEW
@pytest.mark.parametrize("aggregate", [np.sum, np.max, None])
@pytest.mark.parametrize("kind", ["linear", "cubic"])
def test_metrogram(aggregate, kind, relative):
    freqs = tempo_frequencies(len(TG), sr=SR)[1:]
    arguments = {"tg": TG[1:], "freqs": freqs, "aggregate": aggregate, "kind": kind}
    theirs = librosa.feature.metrogram(**arguments)
    ours = metrogram(**arguments)
    assert ours.shape == theirs.shape
    assert relative(ours, theirs) < TOLERANCE


@NEW
def test_metrogram_of_a_complex_tempogram(relative):
    F = np.asarray(fourier_tempogram(onset_envelope=ENVELOPE, sr=SR))
    freqs = librosa.fourier_tempo_frequencies(sr=SR)
    arguments = {"tg": np.stack([F, 2 * F]), "freqs": freqs, "factors": [0.5], "fill_value": 1}
    theirs = librosa.feature.metrogram(**(arguments | {"factors": np.array([0.5])}))
    assert relative(metrogram(**arguments), theirs) < TOLERANCE


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tempogram_ratio(), "give one of them"),
        (lambda: tempogram_ratio(tg=TG, kind="cubic"), "kind is 'cubic'"),
        (lambda: tempogram_ratio(tg=TG[0]), "tg.shape"),
        (lambda: tempogram_ratio(tg=TG, freqs=np.arange(9.0)), "the tempogram has 384 rows"),
        (lambda: tempogram_ratio(tg=TG, freqs=np.zeros(384)), "no two may be the same"),
        (lambda: tempogram_ratio(tg=TG, freqs=np.full(384, np.inf)), "two of them must be finite"),
        (lambda: tempogram_ratio(tg=TG, start_bpm=0), "start_bpm is 0"),
        (lambda: metrogram(tg=TG, freqs=tempo_frequencies(384)), "they must be finite"),
        (lambda: metrogram(tg=TG[1:], freqs=np.ones(383)), "no two may be the same"),
        (lambda: metrogram(tg=np.ones(3), freqs=np.ones(3)), "tg.shape"),
        (
            lambda: metrogram(tg=TG[1:], freqs=tempo_frequencies(384)[1:], kind="round"),
            "kind is 'round'",
        ),
        (lambda: hybrid_tempogram(onset_envelope=ENVELOPE, win_length=2), "win_length is 2"),
        (lambda: hybrid_tempogram(onset_envelope=ENVELOPE, kind="round"), "kind is 'round'"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ParameterError, match=message):
        call()


def test_the_tempogram_is_the_default(relative):
    tg = tempogram(onset_envelope=ENVELOPE, sr=SR)
    ours = tempogram_ratio(onset_envelope=ENVELOPE, sr=SR)
    assert relative(ours, np.asarray(tempogram_ratio(tg=tg, sr=SR))) < TOLERANCE
