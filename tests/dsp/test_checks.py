import numpy as np
import pytest

from kit.dsp import ParameterError
from kit.dsp.checks import positive_int
from kit.errors import KitError, UsageError


@pytest.mark.parametrize("value", [0, -1, 1.5, 2.0, True, "3", None])
def test_no_whole_number(value):
    with pytest.raises(ParameterError, match=f"hop_length is {value!r}; .* at least 1"):
        positive_int("hop_length", value)


def test_whole_numbers():
    assert positive_int("n", np.int64(3)) == 3
    assert type(positive_int("n", np.int64(3))) is int
    assert positive_int("n", 0, least=0) == 0


def test_is_an_error_of_usage():
    assert issubclass(ParameterError, UsageError)
    assert issubclass(ParameterError, KitError)
