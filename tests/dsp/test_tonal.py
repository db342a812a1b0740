import librosa
import numpy as np
import pytest

from kit import dsp
from kit.dsp import ParameterError
from kit.dsp.tonal.key import NAMES, PROFILES

SR = 22050
# In the lowest octaves of two seconds: librosa and kit both say so.
# Without coverage, which takes a third of the time: other tests run the same lines of kit.
pytestmark = [
    pytest.mark.filterwarnings("ignore:n_fft=.* is too large"),
    pytest.mark.no_cover,
]


def chord(midi: list[float] | list[int], seconds: float = 2.0) -> np.ndarray:
    t = np.arange(int(seconds * SR)) / SR
    tones = [np.sin(2 * np.pi * 440 * 2 ** ((m - 69) / 12) * t) for m in midi]
    return (0.2 * sum(tones)).astype(np.float32)


Y = (chord([48, 52, 55, 64, 72]) + 0.02 * np.random.default_rng(0).standard_normal(2 * SR)).astype(
    np.float32
)
# Relative to the peak; measured: at most 1.7e-2, in the first frames of the lowest octaves, where
# the sound begins at full level: both cut what the resampling filter spreads before sample 0, and
# the shorter filter spreads less. There kit is 2.1e-2, librosa 3.7e-2 from a transform without
# resampling.
CQT_TOLERANCE = 2e-2


@pytest.mark.parametrize("name", ["cqt", "vqt", "hybrid_cqt", "pseudo_cqt"])
def test_constant_q(name, relative):
    ours, theirs = getattr(dsp, name)(Y, n_bins=60), getattr(librosa, name)(Y, n_bins=60)
    # Measured: 1.7e-2 and, with the shorter filters of vqt, 3.1e-2 in the first frame.
    assert relative(ours, theirs) < 4e-2
    assert relative(ours[:, 3:-3], theirs[:, 3:-3]) < CQT_TOLERANCE


def test_constant_q_arguments(relative):
    arguments = {"fmin": 110.0, "n_bins": 24, "bins_per_octave": 24, "hop_length": 256}
    arguments |= {"scale": False, "tuning": 0.3, "filter_scale": 0.8}
    assert relative(dsp.cqt(Y, **arguments), librosa.cqt(Y, **arguments)) < CQT_TOLERANCE


def test_wavelets():
    freqs = librosa.cqt_frequencies(24, fmin=100)
    for ours, theirs in zip(
        dsp.wavelet(freqs=freqs), librosa.filters.wavelet(freqs=freqs), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_inverse_constant_q():
    C = librosa.cqt(Y, n_bins=72)
    ours = np.asarray(dsp.icqt(C, length=len(Y)))
    theirs = librosa.icqt(C, length=len(Y))
    middle = slice(SR // 2, -SR // 2)
    error = np.linalg.norm(ours[middle] - theirs[middle]) / np.linalg.norm(theirs[middle])
    assert error < 1e-2  # measured: 3e-3


def test_chroma_filters():
    arguments = {"sr": SR, "n_fft": 2048, "n_chroma": 24, "tuning": 0.2}
    np.testing.assert_allclose(
        dsp.chroma_filters(**arguments), librosa.filters.chroma(**arguments), atol=1e-6
    )
    for bins in (12, 36):
        for fmin in (None, 50.0, 440.0):
            np.testing.assert_array_equal(
                dsp.cq_to_chroma(84, bins_per_octave=bins, fmin=fmin),
                librosa.filters.cq_to_chroma(84, bins_per_octave=bins, fmin=fmin),
            )


@pytest.mark.parametrize("name", ["chroma_stft", "chroma_cqt", "tonnetz"])
def test_chroma(name, relative):
    ours = getattr(dsp, name)(y=Y, tuning=0.0)
    theirs = getattr(librosa.feature, name)(y=Y, tuning=0.0)
    assert relative(ours, theirs) < CQT_TOLERANCE


def test_chroma_cens_of_a_transform(relative):
    C = np.abs(librosa.cqt(Y, n_bins=252, bins_per_octave=36))
    assert relative(dsp.chroma_cens(C=C), librosa.feature.chroma_cens(C=C)) < 1e-5


def test_tuning(relative):
    y = (chord([60, 64, 67]) * 1).astype(np.float32)
    assert dsp.estimate_tuning(y=y) == pytest.approx(librosa.estimate_tuning(y=y), abs=1e-6)
    for ours, theirs in zip(dsp.piptrack(y=Y), librosa.piptrack(y=Y), strict=True):
        assert relative(ours, theirs) < 1e-5
    with pytest.warns(UserWarning, match="empty frequency set"):
        assert dsp.pitch_tuning([0.0]) == 0.0


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_key_of_scales(profile):
    major, minor = [0, 2, 4, 5, 7, 9, 11], [0, 2, 3, 5, 7, 8, 10]
    for tonic in (0, 3, 11):
        for mode, scale in enumerate((minor, major)):
            chroma = np.zeros((12, 4), np.float32)
            # The notes of a scale as often as its own profile's fifth and tonic ask for.
            chroma[[(tonic + d) % 12 for d in scale]] = 1
            chroma[[tonic, (tonic + 7) % 12]] += 1
            chroma[(tonic + (4 if mode else 3)) % 12] += 0.5
            found = dsp.key(chroma=chroma, profile=profile)
            assert (int(found.tonic), int(found.mode)) == (tonic, mode), NAMES[tonic]


def test_key_of_sound_and_batches():
    cadence = np.concatenate(
        [chord(c, 1.0) for c in ([57, 60, 64], [62, 65, 69], [64, 68, 71], [57, 60, 64])]
    )
    found = dsp.key(y=np.stack([cadence, np.zeros_like(cadence)]))
    assert NAMES[int(found.tonic[0])] == "A"
    assert int(found.mode[0]) == 0
    assert found.correlation.shape == (2, 2, 12)
    assert not np.any(found.correlation[1])
    assert float(found.correlation[0].max()) <= 1 + 1e-6


def test_key_of_noise_and_of_music_out_of_tune():
    """Noise has no key, as its correlation tells; music has it between two semitones too."""
    chords = ([57, 60, 64], [62, 65, 69], [64, 68, 71], [57, 60, 64])
    music = np.concatenate([chord([note + 0.4 for note in c], 0.75) for c in chords])
    noise = np.random.default_rng(0).standard_normal(music.shape).astype(np.float32)
    found = dsp.key(y=np.stack([music, noise]))
    assert NAMES[int(found.tonic[0])] == "A"
    assert int(found.mode[0]) == 0
    assert float(found.correlation[0].max()) > 0.75 > float(found.correlation[1].max())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: dsp.cqt(Y, n_bins=200), "n_bins is 200"),
        (lambda: dsp.vqt(Y, intervals="ji11"), "intervals is 'ji11'"),
        (lambda: dsp.vqt(Y, gamma=-1), "gamma is -1"),
        (lambda: dsp.chroma_cqt(y=Y, bins_per_octave=10), "bins_per_octave is 10"),
        (lambda: dsp.chroma_cqt(), "give one of them"),
        (lambda: dsp.tonnetz(), "give one of them"),
        (lambda: dsp.key(chroma=np.ones((12, 3)), profile="temperley"), "profile is 'temperley'"),
        (lambda: dsp.key(), "give one of them"),
        (lambda: dsp.cq_to_chroma(84, bins_per_octave=13), "bins_per_octave is 13"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ParameterError, match=message):
        call()
