import warnings
from dataclasses import replace

import librosa
import numpy as np
import pytest

from kit.config import FrontendConfig
from kit.dsp import ParameterError, log_mel, preset
from kit.dsp.streaming import begin, finish, push, relative

SMALL = FrontendConfig(n_fft=256, hop_length=64, n_mels=20)
Y = np.random.default_rng(3).standard_normal((2, 3000)).astype(np.float32)


def streamed(y: np.ndarray, sizes: list[int], config: FrontendConfig) -> np.ndarray:
    state, at, parts = begin(config, batch=len(y)), 0, []
    while at < y.shape[1]:
        size = sizes[len(parts) % len(sizes)]
        state, levels, count = push(state, y[:, at : at + size], config)
        parts.append(np.asarray(levels)[:, : int(count)])
        at += size
    levels, count = finish(state, config)
    parts.append(np.asarray(levels)[:, : int(count)])
    return np.asarray(relative(np.concatenate(parts, axis=1), config))


@pytest.mark.parametrize("sizes", [[3000], [1000], [64], [30], [1, 700, 63, 65]])
@pytest.mark.parametrize(
    "config",
    [
        SMALL,
        replace(SMALL, center=False),
        replace(SMALL, hop_length=400, ref=1.0, top_db=None),
        replace(SMALL, compression="log1p"),
    ],
    ids=["centred", "not centred", "long hop", "log1p"],
)
def test_blocks_do_not_matter(sizes, config):
    whole = log_mel(Y, np.array([3000, 3000]), config)
    # Measured: at most 2e-6 dB.
    np.testing.assert_allclose(streamed(Y, sizes, config), whole, atol=6e-6)


def test_bad_streams():
    with pytest.raises(ParameterError, match="pad_mode is 'reflect'"):
        begin(replace(SMALL, pad_mode="reflect"))
    with pytest.raises(ParameterError, match="must hold a sample"):
        push(begin(SMALL), np.zeros((1, 0), np.float32), SMALL)
    with pytest.raises(ParameterError, match="1 signals"):
        push(begin(SMALL), Y, SMALL)


def test_presets():
    y = Y[:1]
    lengths = np.array([3000])
    ours = log_mel(y, lengths, preset("librosa"))[0]
    theirs = librosa.power_to_db(librosa.feature.melspectrogram(y=y[0])).T
    np.testing.assert_allclose(ours, theirs, atol=1e-3)
    original = log_mel(y, lengths, preset("original"))[0]
    theirs = librosa.power_to_db(librosa.feature.melspectrogram(y=y[0]), ref=np.max).T
    np.testing.assert_allclose(original, theirs, atol=1e-3)
    with pytest.raises(ParameterError, match="preset is 'other'"):
        preset("other")


def test_torchaudio_preset():
    # torchaudio's documented defaults by librosa: HTK scale, no norm, reflected, 10 log10.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Empty filters")
        ours = log_mel(Y[:1], np.array([3000]), preset("torchaudio"))[0]
        S = librosa.feature.melspectrogram(
            y=Y[0], sr=16000, n_fft=400, hop_length=200, htk=True, norm=None, pad_mode="reflect"
        )
    np.testing.assert_allclose(ours, librosa.power_to_db(S, top_db=None).T, atol=1e-3)


def test_musicnn_preset():
    # As the package computes it, by librosa's default of its time: the ends are reflected.
    config = preset("musicnn")
    y = np.stack([0.2 * Y[0], np.zeros(3000, np.float32)])
    ours = log_mel(y, np.array([3000, 1000]), config)
    S = librosa.feature.melspectrogram(
        y=y[0], sr=16000, n_fft=512, hop_length=256, n_mels=96, pad_mode="reflect"
    )
    # Measured: 2e-6.
    np.testing.assert_allclose(ours[0], np.log10(10000 * S + 1).T, atol=1e-5)
    np.testing.assert_array_equal(ours[1], 0)
    short = log_mel(y[:, :1000], np.array([1000, 1000]), config)
    longer = log_mel(y, np.array([1000, 1000]), config)
    np.testing.assert_allclose(longer[:, :4], short, atol=1e-6)
    np.testing.assert_array_equal(longer[:, 4:], 0)
