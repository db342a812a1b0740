"""Silence and channels that cancel are found where the channels are still apart."""

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit.audio import CancelledError, SilentError, decode

RATE = 8000


def noise(channels: int, seconds: float = 4.0) -> np.ndarray:
    shape = (round(RATE * seconds), channels)
    return np.random.default_rng(channels).uniform(-0.5, 0.5, shape).astype(np.float32)


@pytest.fixture
def write(tmp_path):
    def to_file(x):
        soundfile.write(tmp_path / "a.wav", x, RATE, subtype="FLOAT")
        return tmp_path / "a.wav"

    return to_file


@pytest.mark.parametrize("channels", [1, 2, 5])
@pytest.mark.parametrize(
    ("peak", "said"), [(0.0, "constant"), (1e-6, "-120 dBFS"), (0.99 * 10**-3.5, "-70 dBFS")]
)
def test_a_silent_file_is_refused(write, channels, peak, said):
    x = noise(channels)
    path = write(x * np.float32(peak / np.abs(x).max()))
    with pytest.raises(SilentError, match=rf"silent from 0.00 to 4.00 s \(.*{said}\).*leave it"):
        decode(path, check_sound=True)
    assert len(decode(path)[0]) == 4 * RATE


@pytest.mark.parametrize("at", [0, 4 * RATE - 1])
def test_one_sample_in_one_channel_is_sound(write, at):
    x = np.zeros((4 * RATE, 3), np.float32)
    x[at, 1] = -1.01 * 10**-3.5
    decode(write(x), check_sound=True)


def test_only_the_part_that_is_decoded_is_judged(write):
    x = noise(2)
    x[RATE : 2 * RATE] = 0
    x[2 * RATE : 3 * RATE, 1] = -x[2 * RATE : 3 * RATE, 0]
    path = write(x)
    decode(path, check_sound=True, sample_rate=22050)
    decode(path, check_sound=True, offset_s=0.0, duration_s=1.0)
    with pytest.raises(SilentError, match=r"from 1.00 to 2.00 s"):
        decode(path, check_sound=True, offset_s=1.0, duration_s=1.0)
    with pytest.raises(CancelledError, match=r"from 2.00 to 3.00 s, the mix is silent"):
        decode(path, check_sound=True, offset_s=2.0, duration_s=1.0, sample_rate=4000)
    decode(path, check_sound=True, offset_s=3.0)


@pytest.mark.parametrize("channels", [2, 4])
@pytest.mark.parametrize(("below_db", "refused"), [(36, False), (39, False), (41, True)])
def test_channels_that_cancel(write, channels, below_db, refused):
    half = noise(channels // 2)
    # What is left of a + b where b is a little weaker than -a.
    left = 2 * 10 ** (-below_db / 20)
    x = np.concatenate([half, (left - 1) * half], axis=1)
    path = write(x.astype(np.float32))
    if channels == 4:
        mix = x.mean(axis=1)
        below_db = 10 * np.log10(np.mean(np.square(x)) / np.mean(np.square(mix)))
        refused = below_db >= 40
    if not refused:
        decode(path, check_sound=True)
        return
    with pytest.raises(CancelledError, match=rf"mix is {round(below_db)} dB below them; convert"):
        decode(path, check_sound=True)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(1, 3),
    st.sampled_from([0.0, 1e-30, 1e-4, 1.0, 1e12]),
    st.lists(st.sampled_from([-1.0, 0.0, 0.001, 1.0]), min_size=3, max_size=3),
)
def test_the_samples_stay_what_they_are(write, channels, scale, gains):
    """Either both give the same bits, or the part is silent or cancelled by the definition."""
    x = noise(channels, 0.5) * np.float32(scale) * np.array(gains[:channels], np.float32)
    x[:, 1:] = x[:, :1] * np.array(gains[1:channels], np.float32)
    path = write(x)
    want, _ = decode(path)
    wide = x.astype(np.float64)
    silent = np.abs(wide).max() < 10**-3.5
    mixed = np.mean(np.square(wide.mean(axis=1)))
    cancelled = not silent and mixed <= 1e-4 * np.mean(np.square(wide))
    if silent or cancelled:
        with pytest.raises(SilentError if silent else CancelledError):
            decode(path, check_sound=True)
        return
    got, _ = decode(path, check_sound=True)
    np.testing.assert_array_equal(got, want)


def test_squares_that_float32_cannot_hold_are_not_judged(write):
    half = noise(1) * np.float32(1e20)
    decode(write(np.concatenate([half, -half], axis=1)), check_sound=True)


def test_no_real_recording_is_silent_or_cancelled(shared):
    for path in sorted((shared / "music").glob("*/*.mp3"))[::9]:
        decode(path, duration_s=10.0, check_sound=True)
    for path in sorted((shared / "esc10").glob("**/*.ogg"))[::9]:
        decode(path, check_sound=True)
