"""The measurements of frames equal librosa's."""

import jax
import jax.numpy as jnp
import librosa
import numpy as np
import pytest

from kit.descriptors.spectra import HOP, N_FFT, RATE, between, map_windowed, spectra


@pytest.fixture(scope="module")
def clips(sounds):
    beat = sounds.beat(128) + sounds.tones([45, 57.3], harmonics=9)
    gaps = sounds.noise() * (np.arange(sounds.samples) % RATE > RATE // 3)
    return np.stack([beat, gaps.astype(np.float32)])


@pytest.fixture(scope="module")
def measured(clips):
    return jax.tree.map(np.asarray, jax.jit(spectra)(clips))


@pytest.fixture(scope="module")
def magnitudes(clips):
    return np.abs(librosa.stft(clips, n_fft=N_FFT, hop_length=HOP))


def test_mel_bands(measured, magnitudes):
    for bands, ours in ((128, measured.frames.fine), (40, measured.frames.coarse)):
        want = librosa.feature.melspectrogram(S=magnitudes**2, sr=RATE, n_mels=bands)
        np.testing.assert_allclose(ours.swapaxes(1, 2), want, rtol=1e-4, atol=1e-5 * want.max())
    np.testing.assert_array_equal(measured.mel.swapaxes(1, 2), measured.frames.coarse)


def test_onsets(measured, magnitudes):
    levels = librosa.power_to_db(
        librosa.feature.melspectrogram(S=magnitudes**2, sr=RATE), top_db=None
    )
    levels = np.stack([np.maximum(clip, clip.max() - 80) for clip in levels])
    want = librosa.onset.onset_strength_multi(S=levels, sr=RATE, hop_length=HOP)
    np.testing.assert_allclose(measured.onsets, want.reshape(measured.onsets.shape), atol=5e-3)


def test_shape_of_the_spectrum(measured, magnitudes):
    frames = measured.frames
    np.testing.assert_allclose(frames.amplitude, magnitudes.sum(axis=1), rtol=1e-4, atol=1e-3)
    loud = frames.amplitude > 1  # elsewhere it is a matter of rounding
    assert loud.mean() > 0.5
    centroid = librosa.feature.spectral_centroid(S=magnitudes, sr=RATE)[:, 0]
    np.testing.assert_allclose(frames.centroid[loud], centroid[loud], rtol=1e-4)
    rolloff = librosa.feature.spectral_rolloff(S=magnitudes, sr=RATE)[:, 0]
    a_bin = RATE / N_FFT
    assert np.abs(frames.rolloff - rolloff)[loud].max() <= a_bin
    assert (frames.rolloff == rolloff)[loud].mean() > 0.99
    assert (frames.centroid[~loud & (magnitudes.sum(axis=1) == 0)] == 0).all()


@pytest.mark.parametrize(
    ("name", "low_hz", "high_hz"),
    [("flatness", 0, RATE / 2), ("voice_flatness", 200, 3400), ("gap_flatness", 300, 8000)],
)
def test_flatness(measured, magnitudes, name, low_hz, high_hz):
    part = magnitudes[:, between(low_hz, high_hz)]
    want = 10 * np.log10(librosa.feature.spectral_flatness(S=part)[:, 0])
    np.testing.assert_allclose(getattr(measured.frames, name), want, rtol=2e-4, atol=2e-3)


def test_power_in_gaps(measured, magnitudes):
    want = (magnitudes[:, between(300, 8000)] ** 2).sum(axis=1)
    np.testing.assert_allclose(measured.frames.gap_power, want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("samples", [1, 511, 512, 40000, 400001])
@pytest.mark.parametrize(("n_fft", "hop_length"), [(2048, 512), (8192, 4096), (64, 100)])
def test_windowed_frames_are_librosa_s(samples, n_fft, hop_length):
    y = np.random.default_rng(samples).standard_normal((2, samples)).astype(np.float32)

    def both(windowed):
        return jnp.sum(windowed, axis=-1), {"all": windowed}

    sums, whole = map_windowed(y, both, n_fft=n_fft, hop_length=hop_length)
    padded = np.pad(y, ((0, 0), (n_fft // 2, n_fft // 2)))
    want = librosa.util.frame(padded, frame_length=n_fft, hop_length=hop_length)
    want = want.swapaxes(1, 2) * librosa.filters.get_window("hann", n_fft).astype(np.float32)
    np.testing.assert_array_equal(whole["all"], want)
    np.testing.assert_allclose(sums, want.sum(axis=-1), atol=1e-4 * n_fft**0.5)
