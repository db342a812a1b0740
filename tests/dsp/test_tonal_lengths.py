"""Tonal functions of any length share a program, and give what the exact length gives."""

import jax
import librosa
import numpy as np
import pytest

from kit import dsp
from tests.dsp.test_public import counting

SR = 22050
# Without coverage, which takes a third of the time: other tests run the same lines of kit.
pytestmark = [
    pytest.mark.filterwarnings("ignore:n_fft=.* is too large"),
    pytest.mark.no_cover,
]
NOISE = (0.3 * np.random.default_rng(3).standard_normal(12289)).astype(np.float32)
# Around the lengths of buffers, odd and even, and around multiples of the hop.
LENGTHS = (4095, 4096, 4097, 6143, 8191, 12289)

SHORT = {"fmin": 220.0, "n_bins": 40, "hop_length": 128}


def transform(name, **options):
    return lambda y: getattr(dsp, name)(y, **(SHORT | options))


def feature(name, **options):
    shared = {"tuning": 0.0, "fmin": 110.0, "n_octaves": 5, "hop_length": 256}
    return lambda y: getattr(dsp, name)(y=y, **(shared | options))


# Of the other functions, and of two octaves, `test_public` compares them.
CALLS = {
    "cqt": transform("cqt"),
    "cqt_reflect": transform("cqt", pad_mode="reflect"),
    "chroma_cqt": feature("chroma_cqt"),
    "key": lambda y: dsp.key(y=y).correlation,
}


@pytest.mark.parametrize("name", CALLS)
def test_a_padded_clip_gives_what_the_exact_length_gives(name, relative):
    call = CALLS[name]
    for length in LENGTHS[: 2 if name == "cqt" else 1]:
        y = NOISE[:length]
        exact = np.asarray(jax.jit(call)(y))
        assert relative(call(y), exact) < 1e-6


def test_inverse_of_two_frames(relative):
    """Of more frames, and of `griffinlim_cqt`, see `test_public`."""
    C = librosa.cqt(NOISE, **SHORT)[:, :2]
    back = lambda C: dsp.icqt(C, fmin=220.0, hop_length=128)  # noqa: E731
    assert relative(back(C), np.asarray(jax.jit(back)(C))) < 1e-6


def test_lengths_of_frames(relative):
    """An odd length at every halving, against librosa."""
    for length in (8191, 12289):
        y = NOISE[:length]
        ours, theirs = dsp.cqt(y, **SHORT), librosa.cqt(y, **SHORT)
        assert ours.shape == theirs.shape
        assert relative(np.asarray(ours)[:, 12:-12], theirs[:, 12:-12]) < 5e-3


def test_a_tuning_takes_no_program_of_its_own():
    y = NOISE[:8192]
    dsp.cqt(y, **SHORT)
    dsp.chroma_stft(y=y, tuning=0.0)
    with counting() as programs:
        dsp.cqt(y, **SHORT, tuning=0.21)
        dsp.chroma_stft(y=y, tuning=0.21)
    assert not programs
