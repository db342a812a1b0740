"""The preset "torchaudio" against torchaudio itself, all by its defaults."""

import numpy as np
import pytest

from kit.dsp import log_mel, mel, preset

WHY = "torchaudio is not installed: pip install -e '.[peers]'"
torchaudio = pytest.importorskip("torchaudio", reason=WHY)
torch = pytest.importorskip("torch", reason=WHY)

# 128 bands are too many for 400 points of a transform: both leave the same four empty and say so.
pytestmark = [
    pytest.mark.filterwarnings("ignore:At least one mel filterbank has all zero values"),
    pytest.mark.filterwarnings("ignore:Empty filters detected"),
]

SR = 16000
CONFIG = preset("torchaudio")
SIGNALS = ["noise", "sine", "chirp", "impulse", "silence", "dc", "square"]
# Measured: 1.04e-3 dB, where noise is loud in a bin at a triangle's edge, whose weight of 0.003
# torchaudio rounds by 0.2 %: it makes its filters in single precision, kit in double.
DECIBELS = 1.5e-3
# Of the peak power. Bands that a tone or chirp does not reach hold the rounding of the transform,
# which differs by library: decibels there differ by up to 3.3. Measured: 2.8e-12 beyond DECIBELS.
FLOOR = 1e-11


def make(name: str, n: int) -> np.ndarray:
    t = np.arange(n) / SR
    made = {
        "noise": lambda: 0.3 * np.random.default_rng(20).standard_normal(n),
        "sine": lambda: np.sin(2 * np.pi * 440 * t),
        "chirp": lambda: np.sin(2 * np.pi * (50 + 3500 * t * SR / n) * t),
        "impulse": lambda: (np.arange(n) == n // 3) * 1.0,
        "silence": lambda: np.zeros(n),
        "dc": lambda: np.ones(n),
        "square": lambda: np.where(np.sin(2 * np.pi * 100 * t + 0.1) > 0, 1.0, -1.0),
    }
    return made[name]().astype(np.float32)


def reference(y: np.ndarray, **arguments) -> np.ndarray:
    """torchaudio's decibels, (…, frames, n_mels)."""
    spectrogram = torchaudio.transforms.MelSpectrogram(**arguments)(torch.from_numpy(y))
    levels = torchaudio.transforms.AmplitudeToDB()(spectrogram)
    return np.swapaxes(levels.numpy(), -1, -2)


def assert_same(ours: np.ndarray, theirs: np.ndarray) -> None:
    assert ours.shape == theirs.shape
    power, expected = (10 ** (levels.astype(np.float64) / 10) for levels in (ours, theirs))
    share = 10 ** (DECIBELS / 10) - 1
    np.testing.assert_allclose(power, expected, rtol=share, atol=FLOOR * expected.max())


# 201 is the shortest that torch can reflect by 200; 399 to 401 lie about the window's length.
@pytest.mark.parametrize("n", [201, 399, 400, 401, 1000, 16123])
@pytest.mark.parametrize("name", SIGNALS)
def test_preset_equals_torchaudio(name, n):
    y = make(name, n)[None]
    assert_same(np.asarray(log_mel(y, np.array([n]), CONFIG)), reference(y))


def test_a_batch_equals_torchaudio():
    y = np.stack([make(name, 1000) for name in SIGNALS])
    ours = np.asarray(log_mel(y, np.full(len(y), 1000), CONFIG))
    for clip, theirs in zip(ours, reference(y), strict=True):
        assert_same(clip, theirs)


@pytest.mark.parametrize("n", [1, 2, 77, 200])
def test_shorter_than_torch_can_reflect(n):
    y = make("noise", n)[None]
    with pytest.raises(RuntimeError, match=r"[Pp]adding size"):
        reference(y)
    # Reflected again and again, as NumPy does.
    padded = np.pad(y, ((0, 0), (200, 200)), mode="reflect")
    theirs = reference(padded, center=False)
    assert_same(np.asarray(log_mel(y, np.array([n]), CONFIG)), theirs)


@pytest.mark.parametrize(
    ("sr", "n_fft", "n_mels", "fmin", "fmax"),
    [
        (16000, 400, 128, 0.0, 8000.0),
        (16000, 400, 40, 20.0, 7600.0),
        (22050, 2048, 128, 0.0, 11025.0),
        (44100, 2048, 64, 30.0, 16000.0),
    ],
)
def test_filters_equal_torchaudio(sr, n_fft, n_mels, fmin, fmax):
    ours = mel(sr=sr, n_fft=n_fft, n_mels=n_mels, fmin=fmin, fmax=fmax, htk=True, norm=None)
    theirs = torchaudio.functional.melscale_fbanks(
        1 + n_fft // 2, fmin, fmax, n_mels, sr, norm=None, mel_scale="htk"
    )
    # Of a peak of 1. Measured: 1.7e-5, single precision of torchaudio's band edges.
    np.testing.assert_allclose(ours, theirs.numpy().T, rtol=0, atol=5e-5)
