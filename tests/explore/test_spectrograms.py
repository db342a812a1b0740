"""What the figures show, by value, against librosa."""

import librosa
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from kit.config import FrontendConfig
from kit.errors import UsageError
from kit.explore.spectrograms import mark_frequencies, track
from kit.plots.style import LIGHT, png

SMALL = FrontendConfig(sample_rate=8000, n_fft=512, hop_length=128, n_mels=40)


def noise(samples, seed=0):
    return np.random.default_rng(seed).uniform(-0.5, 0.5, samples).astype(np.float32)


def panels(y, config=SMALL, **more):
    """Waveform, mel spectrogram and decibels."""
    return track(y, config, "title", **more).axes[:3]


def librosa_mel(y, config):
    return librosa.feature.melspectrogram(
        y=y,
        sr=config.sample_rate,
        n_fft=config.n_fft,
        hop_length=config.hop_length,
        n_mels=config.n_mels,
    )


def test_the_waveform_keeps_every_peak():
    y = np.zeros(80_000, np.float32)
    y[41_234] = 0.9
    axes = panels(y)[0]
    spans = axes.collections[0].get_paths()[0].vertices
    peak = spans[spans[:, 1].argmax()]
    assert peak[1] == pytest.approx(0.9)
    assert peak[0] == pytest.approx(41_234 / 8000, abs=10 / 1600)
    assert axes.get_xlim() == (0, 10)
    assert axes.get_ylim() == (-1, 1)


def test_a_waveform_beyond_full_scale_is_not_cut_off():
    y = np.zeros(4000, np.float32)
    y[3] = -1.5
    assert panels(y)[0].get_ylim() == (-1.5, 1.5)


def test_the_power_panel_shows_librosas_mel():
    y = noise(20_000)
    image = panels(y)[1].images[0]
    np.testing.assert_allclose(image.get_array(), librosa_mel(y, SMALL), rtol=1e-4)
    assert image.norm.vmin == 0


def test_the_decibel_panel_shows_what_the_network_gets():
    y = noise(20_000)
    image = panels(y)[2].images[0]
    expected = librosa.power_to_db(librosa_mel(y, SMALL), ref=np.max)
    np.testing.assert_allclose(image.get_array(), expected, atol=1e-3)
    assert image.norm.vmax == 0


def test_a_tone_lies_at_its_frequency_and_its_time():
    seconds = np.arange(16_000) / 8000
    y = (0.5 * np.sin(2 * np.pi * 1000 * seconds) * (seconds >= 1)).astype(np.float32)
    axes = panels(y)[2]
    image = axes.images[0]
    left, right, bottom, top = image.get_extent()
    values = image.get_array()
    band = values[:, 110:].max(axis=1).argmax()
    height = bottom + (band + 0.5) * (top - bottom) / len(values)
    texts = [t.get_text() for t in axes.get_yticklabels()]
    assert axes.get_yticks()[texts.index("1k")] == pytest.approx(height, abs=0.5)
    loud = np.flatnonzero(values[band] > -20)
    start = left + loud[0] * (right - left) / values.shape[1]
    assert start == pytest.approx(1.0, abs=512 / 8000)


@pytest.mark.parametrize("htk", [False, True])
def test_marked_frequencies_lie_between_the_bands_that_they_are_between(htk):
    config = FrontendConfig(sample_rate=22050, n_mels=128, fmin=50.0, fmax=8000.0, htk=htk)
    axes = Figure().add_subplot()
    mark_frequencies(axes.yaxis, config, apart=0.0)
    centres = librosa.mel_frequencies(130, fmin=50.0, fmax=8000.0, htk=htk)[1:-1]
    places, names = axes.get_yticks(), [t.get_text() for t in axes.get_yticklabels()]
    assert names == ["100", "200", "500", "1k", "2k", "5k"]
    hz = [100, 200, 500, 1000, 2000, 5000]
    np.testing.assert_allclose(places, np.interp(hz, centres, np.arange(128)), atol=0.02)


def test_marks_keep_their_distance():
    axes = Figure().add_subplot()
    mark_frequencies(axes.xaxis, FrontendConfig(), apart=0.25, margin=0.1)
    share = (axes.get_xticks() + 1) / 129
    assert len(share) >= 2
    assert np.diff(share).min() >= 0.25
    assert share.min() >= 0.1
    assert share.max() <= 0.9


def test_a_track_has_its_three_views_over_the_same_seconds():
    y = noise(16_000)
    figure = track(y, SMALL, "Night $ & <b>Day</b>", series=2)
    shown = figure.axes[:3]
    assert [a.get_title("left").split(":")[0] for a in shown] == [
        "Waveform",
        "Mel spectrogram",
        "Mel spectrogram",
    ]
    assert {a.get_xlim() for a in shown} == {(0, 2)}
    assert to_hex(shown[0].collections[1].get_facecolor()[0]) == LIGHT.series[2]
    assert shown[2].get_xlabel() == "Time (s)"
    assert [a.get_ylabel() for a in shown[1:]] == ["Frequency (Hz)"] * 2


EDGES = FrontendConfig(sample_rate=8000, center=False, n_fft=512, ref=1.0, power=1.0)


@pytest.mark.parametrize(
    ("y", "config"), [(np.zeros(4000, np.float32), SMALL), (noise(1), SMALL), (noise(4000), EDGES)]
)
def test_odd_clips_can_be_drawn(y, config):
    assert png(track(y, config, "", stacked=True)).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("y", "config"),
    [(noise(0), SMALL), (noise(100), FrontendConfig(sample_rate=8000, n_fft=512, center=False))],
)
def test_too_few_samples_are_refused(y, config):
    with pytest.raises(UsageError, match=f"has {len(y)} samples, fewer than"):
        track(y, config, "title")
