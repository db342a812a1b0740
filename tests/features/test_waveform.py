"""Excerpts of a waveform in memory against those of a file with the same samples."""

import dataclasses

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit.audio import CancelledError, EmptyError, NonFiniteError, SilentError, TooShortError
from kit.errors import UsageError
from kit.features import excerpts
from kit.features.excerpts import waveform_excerpts


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("waveforms")


@given(
    seconds=st.floats(0.6, 5.0),
    rate=st.sampled_from([8000, 11025, 44100]),
    channels=st.integers(1, 2),
    position=st.sampled_from(["start", "middle", "spread"]),
    count=st.integers(1, 3),
    offset_s=st.sampled_from([0.0, 0.037]),
)
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_waveform_has_the_excerpts_of_its_file(
    tiny_features, folder, seconds, rate, channels, position, count, offset_s
):
    config = dataclasses.replace(
        tiny_features, position=position, excerpts=count, offset_s=offset_s, least_s=0.5
    )
    y = np.random.default_rng(0).uniform(-0.5, 0.5, (round(seconds * rate), channels))
    soundfile.write(folder / "a.wav", y, rate, subtype="FLOAT")
    of_file = excerpts(folder / "a.wav", config)
    of_array = waveform_excerpts(y.T.astype(np.float32), rate, config)
    assert [e.start_s for e in of_array] == [e.start_s for e in of_file]
    for one, other in zip(of_array, of_file, strict=True):
        np.testing.assert_allclose(one.y, other.y, atol=1e-6)


def test_silent_excerpts_are_dropped(tiny_features, folder):
    config = dataclasses.replace(tiny_features, position="start", excerpts=3, least_s=0.5)
    y = np.random.default_rng(0).uniform(-0.5, 0.5, 8 * 4000)
    y[: 8 * 1100] = 0
    soundfile.write(folder / "b.wav", y, 8000, subtype="FLOAT")
    starts = [e.start_s for e in waveform_excerpts(y, 8000, config)]
    assert starts == [e.start_s for e in excerpts(folder / "b.wav", config)] == [1.1, 2.2]


@pytest.mark.parametrize(
    ("y", "error"),
    [
        (np.zeros(20_000, np.float32), SilentError),
        (np.full(20_000, 0.5), SilentError),
        (np.tile([0.5, -0.3], 10_000) * [[1.0], [-1.0]], CancelledError),
        (np.ones(1000, np.float32), TooShortError),
        (np.full(20_000, np.nan), NonFiniteError),
        (np.zeros(20_000, np.int16), UsageError),
        (np.zeros((20_000, 2), np.float32), UsageError),
        (np.zeros(0, np.float32), EmptyError),
    ],
)
def test_what_cannot_be_heard_is_refused(tiny_features, y, error):
    with pytest.raises(error, match="waveform"):
        waveform_excerpts(y, 8000, tiny_features)
