import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal

from kit.dsp import ParameterError, get_window
from kit.dsp.windows import padded_window

SPECS = ["hann", "hamming", "blackman", "boxcar", "nuttall", ("kaiser", 6.0), ("tukey", 0.3), 8.6]


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("length", [1, 2, 7, 256])
@pytest.mark.parametrize("periodic", [True, False])
def test_equals_scipy(spec, length, periodic):
    ours = get_window(spec, length, fftbins=periodic)
    assert ours.dtype == np.float64
    np.testing.assert_array_equal(ours, scipy.signal.get_window(spec, length, fftbins=periodic))


def test_values_and_functions_pass_through():
    values = np.linspace(0, 1, 9)
    np.testing.assert_array_equal(get_window(values, 9), values)
    np.testing.assert_array_equal(get_window(list(values), 9), values)
    np.testing.assert_array_equal(get_window(np.hanning, 9), np.hanning(9))
    np.testing.assert_array_equal(get_window(jnp.ones, 3), np.ones(3))


@pytest.mark.parametrize(("short", "whole"), [(5, 8), (5, 9), (4, 9), (4, 4)])
def test_padding_centres_the_window(short, whole):
    padded = padded_window("boxcar", short, whole)
    left = (whole - short) // 2
    expected = np.zeros(whole)
    expected[left : left + short] = 1
    np.testing.assert_array_equal(padded, expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("no such window", 8), "no such window"),
        ((("kaiser",), 8), "kaiser"),
        ((np.ones(7), 8), "8 values"),
        ((np.ones((2, 4)), 8), "8 values"),
        (("hann", 0), "Nx is 0"),
        (("hann", True), "Nx is True"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ParameterError, match=message):
        get_window(*arguments)


def test_window_longer_than_transform():
    with pytest.raises(ParameterError, match="win_length is 9"):
        padded_window("hann", 9, 8)
