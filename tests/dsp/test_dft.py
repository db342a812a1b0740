import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.fft

from kit.dsp import ParameterError, log_mel, rfft
from kit.dsp.dft import fast_length

SIZES = [2048, 1200, 405, 64, 61, 2, 1]


@pytest.mark.parametrize("method", ["auto", "fft", "real"])
@pytest.mark.parametrize("n_fft", SIZES)
def test_every_method_is_the_dft(method, n_fft, relative):
    x = np.random.default_rng(n_fft).standard_normal((3, n_fft)).astype(np.float32)
    ours = rfft(jnp.asarray(x), method=method)
    # Measured: at most 1.7e-7 by fft, 5.4e-7 by products.
    assert relative(ours, np.fft.rfft(x.astype(np.float64))) < 3e-6


def test_the_front_end_without_complex_numbers():
    y = np.random.default_rng(0).standard_normal((1, 8000)).astype(np.float32)
    real = log_mel(y, method="real")
    np.testing.assert_allclose(real, log_mel(y), atol=1e-3)
    np.testing.assert_allclose(real, log_mel(y, method="double"), atol=1e-3)
    text = jax.jit(lambda y: log_mel(y, method="real")).lower(y).as_text()
    assert "complex" not in text


def test_unknown_method():
    function = getattr(rfft, "__wrapped__", rfft)
    with pytest.raises(Exception, match="method") as caught:
        function(jnp.ones(8), method="dct")
    assert isinstance(caught.value, ParameterError) or "TypeCheckError" in str(caught.type)


def test_fast_lengths_are_those_of_scipy():
    for n in [*range(1, 3000), 2**20 + 1, 3_000_017]:
        assert fast_length(n) == scipy.fft.next_fast_len(n, real=True)
