from fractions import Fraction

import librosa
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.dsp import (
    ParameterError,
    interval_frequencies,
    plimit_intervals,
    pythagorean_intervals,
    vqt,
)

PRIMES = st.sampled_from([[3], [5], [3, 5], [3, 7], [3, 5, 7], [3, 5, 7, 11]])


@given(st.integers(1, 40), st.booleans())
def test_pythagorean_intervals(notes, sort):
    ours = pythagorean_intervals(bins_per_octave=notes, sort=sort)
    theirs = librosa.pythagorean_intervals(bins_per_octave=notes, sort=sort)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    factors = pythagorean_intervals(bins_per_octave=notes, sort=sort, return_factors=True)
    assert factors == librosa.pythagorean_intervals(
        bins_per_octave=notes, sort=sort, return_factors=True
    )


@settings(max_examples=30)
@given(PRIMES, st.integers(1, 30), st.booleans())
def test_plimit_intervals(primes, notes, sort):
    arguments = {"primes": primes, "bins_per_octave": notes, "sort": sort}
    ours = plimit_intervals(**arguments)
    np.testing.assert_allclose(ours, librosa.plimit_intervals(**arguments), rtol=1e-12)
    factors = plimit_intervals(return_factors=True, **arguments)
    assert factors == librosa.plimit_intervals(return_factors=True, **arguments)
    exact = [np.prod([Fraction(p) ** n for p, n in note.items()], initial=1) for note in factors]
    np.testing.assert_allclose(ours, [float(ratio) for ratio in exact], rtol=1e-12)


def test_the_just_scale():
    expected = [1, 16 / 15, 9 / 8, 6 / 5, 5 / 4, 4 / 3, 45 / 32, 3 / 2, 8 / 5, 5 / 3, 9 / 5, 15 / 8]
    ours = plimit_intervals(primes=[3, 5])
    assert len(np.intersect1d(np.round(ours, 9), np.round(expected, 9))) >= 11


@pytest.mark.parametrize("intervals", ["equal", "pythagorean", "ji3", "ji5", "ji7"])
@pytest.mark.parametrize("sort", [True, False])
def test_interval_frequencies(intervals, sort):
    arguments = {"fmin": 55.0, "intervals": intervals, "bins_per_octave": 17, "sort": sort}
    ours = interval_frequencies(40, **arguments)
    np.testing.assert_allclose(ours, librosa.interval_frequencies(40, **arguments), rtol=1e-12)


def test_a_transform_in_just_intonation():
    sr, fmin = 8000, 110.0
    t = np.arange(sr) / sr
    # A pure fifth in the second octave: 440 Hz * 3/2.
    y = np.sin(2 * np.pi * 4 * fmin * 1.5 * t).astype(np.float32)
    C = vqt(y, sr=sr, fmin=fmin, n_bins=36, intervals="ji5", hop_length=256)
    strongest = int(np.argmax(np.abs(np.asarray(C)).mean(axis=-1)))
    freqs = interval_frequencies(36, fmin=fmin, intervals="ji5")
    assert freqs[strongest] == pytest.approx(660.0, rel=1e-9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"primes": []}, "primes"),
        ({"primes": [3, 4]}, "odd primes"),
        ({"primes": [2]}, "primes is 2"),
        ({"primes": [3], "bins_per_octave": 0}, "bins_per_octave is 0"),
    ],
)
def test_plimit_intervals_refuses(arguments, message):
    with pytest.raises(ParameterError, match=message):
        plimit_intervals(**arguments)


def test_unknown_intervals():
    with pytest.raises(ParameterError, match="intervals is 'ji11'; it must be \"equal\""):
        interval_frequencies(12, fmin=55.0, intervals="ji11")
    with pytest.raises(ParameterError, match="bins_per_octave is 0"):
        pythagorean_intervals(bins_per_octave=0)
