import numpy as np
import pyloudnorm
import pytest
import scipy.signal
import soundfile

from kit import dsp
from kit.audio import NotAudioError, SilentError, TooShortError, decode
from kit.descriptors.measure import integrated_loudness
from kit.descriptors.read import MOST_CLIPS, LowRateError, _StepPowers, read_track
from kit.descriptors.spectra import RATE, SAMPLES


def write(path, seconds, rate=8000, channels=1, hz=None):
    t = np.arange(round(seconds * rate)) / rate
    # The pitch rises, so that each moment can be told from another.
    y = 0.3 * np.sin(2 * np.pi * (hz or 200 + 5 * t) * t)
    soundfile.write(path, np.stack([y / (1 + c) for c in range(channels)], axis=1), rate)
    return path


def test_the_middle_of_a_file(tmp_path):
    path = write(tmp_path / "a.wav", 50)
    audio = read_track(path)
    want, _ = decode(path, sample_rate=RATE, offset_s=10.0, duration_s=30.0)
    assert audio.clips.shape == (1, SAMPLES)
    np.testing.assert_array_equal(audio.clips[0], want[:SAMPLES])
    assert audio.duration_s == 50
    assert len(audio.powers) == 300


def test_a_short_file_is_repeated(tmp_path):
    path = write(tmp_path / "a.wav", 12.3)
    y, _ = decode(path, sample_rate=RATE)
    audio = read_track(path)
    np.testing.assert_array_equal(audio.clips[0], np.resize(y, SAMPLES))
    assert audio.duration_s == pytest.approx(12.3)


@pytest.mark.parametrize(("seconds", "clips"), [(40, 1), (50, 2), (95, 3), (120, 4)])
def test_the_whole_of_a_file(tmp_path, seconds, clips):
    path = write(tmp_path / "a.wav", seconds)
    y, _ = decode(path, sample_rate=RATE)
    audio = read_track(path, whole=True)
    assert len(audio.clips) == clips
    whole = min(clips, int(seconds // 30))
    joined = audio.clips[:whole].reshape(-1)
    np.testing.assert_array_equal(joined, y[: len(joined)])
    assert len(audio.powers) == 10 * seconds


def test_a_mix_is_looked_at_evenly(tmp_path):
    seconds = 30 * (MOST_CLIPS + 2)
    audio = read_track(write(tmp_path / "a.wav", seconds), whole=True)
    assert len(audio.clips) == (MOST_CLIPS + 2) // 2
    assert audio.duration_s == seconds
    assert len(audio.powers) == 10 * seconds


@pytest.mark.parametrize(
    ("rate", "channels"), [(44100, 2), (48000, 1), (22050, 2), (96000, 2), (8000, 1)]
)
def test_loudness_of_any_rate_and_channels(tmp_path, rate, channels):
    path = write(tmp_path / "a.wav", 12, rate, channels, hz=997.0)
    y, _ = soundfile.read(path, always_2d=True)
    ours = integrated_loudness(read_track(path).powers)
    # pyloudnorm's shelf is another design, which shows where half the rate is not far above it.
    most = 0.05 if rate >= 44100 else 0.2
    assert ours == pytest.approx(pyloudnorm.Meter(rate).integrated_loudness(y), abs=most)
    assert ours == pytest.approx(float(dsp.loudness(y.T.astype(np.float32), sr=rate)), abs=0.01)


def test_low_frequency_effects_do_not_count(tmp_path):
    path, rate = tmp_path / "a.wav", 48000
    y = np.zeros((10 * rate, 6))
    y[:, 0] = 0.2 * np.sin(2 * np.pi * 997 * np.arange(len(y)) / rate)
    soundfile.write(path, y, rate)
    alone = integrated_loudness(read_track(path).powers)
    y[:, 3] = y[:, 0]
    soundfile.write(path, y, rate)
    assert integrated_loudness(read_track(path).powers) == pytest.approx(alone, abs=1e-3)


def test_loudness_of_real_clips(shared):
    """Within 0.2 LU of pyloudnorm, all channels at the file's own rate."""
    files = sorted((shared / "music").rglob("*.mp3"))[::15]
    for path in files:
        y, rate = soundfile.read(path, always_2d=True)
        audio = read_track(path)
        start = max(0, (len(y) - 30 * rate) // 2)
        theirs = pyloudnorm.Meter(rate).integrated_loudness(y[start : start + 30 * rate])
        assert integrated_loudness(audio.powers) == pytest.approx(theirs, abs=0.2)
        assert round(1000 * audio.duration_s) == round(1000 * len(y) / rate)


def test_what_cannot_be_described(tmp_path):
    soundfile.write(tmp_path / "silent.wav", np.zeros(80000), 8000)
    with pytest.raises(SilentError, match="is silent"):
        read_track(tmp_path / "silent.wav")
    with pytest.raises(TooShortError, match=r"4\.900 s long, 5\.000 s"):
        read_track(write(tmp_path / "short.wav", 4.9))
    with pytest.raises(LowRateError, match="4000 samples a second"):
        read_track(write(tmp_path / "low.wav", 10, 4000))
    (tmp_path / "text.mp3").write_text("no audio")
    with pytest.raises(NotAudioError):
        read_track(tmp_path / "text.mp3")


def test_all_below_the_gate(tmp_path):
    soundfile.write(tmp_path / "a.wav", 1e-5 * np.sin(np.arange(80000)), 8000, subtype="FLOAT")
    assert integrated_loudness(read_track(tmp_path / "a.wav").powers) == -70


@pytest.mark.parametrize("channels", [1, 2, 3, 5, 6, 7, 8, 9])
def test_power_of_each_step(channels):
    """Whatever blocks the samples come in: that of the filtered channels by their weights."""
    rate, rng = 11025, np.random.default_rng(channels)
    y = rng.standard_normal((5 * rate + 77, channels)).astype(np.float32)
    steps = _StepPowers(rate, channels)
    for block in np.split(y, [1, 2, 1000, 40001]):
        steps.add(block)
    layouts = {
        5: [1, 1, 1, 1.41, 1.41],
        6: [1, 1, 1, 0, 1.41, 1.41],
        7: [1, 1, 1, 0, 1, 1.41, 1.41],
        8: [1, 1, 1, 0, 1, 1, 1.41, 1.41],
    }
    weights = layouts.get(channels, [1] * channels)
    size = round(0.1 * rate)
    weighted = scipy.signal.sosfilt(dsp.k_weighting(rate), y.astype(float), axis=0)
    power = np.square(weighted) @ weights
    want = power[: len(power) // size * size].reshape(-1, size).mean(axis=1)
    assert steps.frames == len(y)
    np.testing.assert_allclose(steps.powers(), want, rtol=1e-12)
