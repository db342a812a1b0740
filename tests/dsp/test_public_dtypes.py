"""Dtypes, layouts and ranges of the arrays that public functions of `kit.dsp` take."""

import contextlib
from collections.abc import Callable

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from jaxtyping import TypeCheckError

from kit.dsp import ParameterError
from tests.dsp.calls import Call, stereo, wave
from tests.dsp.test_public import THOROUGH, every, leaves, same

# Without coverage, which takes a third of the time: other tests run the same lines of kit.
pytestmark = pytest.mark.no_cover


def read_only(x: np.ndarray) -> np.ndarray:
    x = x.copy()
    x.flags.writeable = False
    return x


LAYOUTS: dict[str, Callable[[np.ndarray], object]] = {
    "double": lambda x: x.astype(np.result_type(x, np.float64)),
    "big-endian": lambda x: x.astype(x.dtype.newbyteorder(">")),
    "strided": lambda x: np.repeat(x, 2, axis=-1)[..., ::2],
    "reversed": lambda x: x[..., ::-1].copy()[..., ::-1],
    "read-only": read_only,
    "Fortran": np.asfortranarray,
    "JAX": jax.device_put,
}


@every
def test_the_layout_of_an_array_changes_nothing(call: Call):
    clip = call.make()
    expected = call.of(clip)
    for name, arranged in LAYOUTS.items():
        try:
            same(call.of(arranged(clip)), expected)
        except AssertionError as error:
            raise AssertionError(name) from error


@every
@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_half_precision_is_widened(call: Call, dtype: type):
    clip = call.make()
    turn = call.number % 4 == (dtype is np.float16)
    if np.iscomplexobj(clip) or not (THOROUGH or turn):
        return
    half = clip.astype(dtype)
    found, expected = (leaves(call.of(x)) for x in (half, half.astype(np.float32)))
    for ours, theirs in zip(found, expected, strict=True):
        inexact = jnp.issubdtype(ours.dtype, jnp.inexact)
        precision = float(jnp.finfo(ours.dtype).eps) if inexact else 0
        wide = np.complex64 if np.iscomplexobj(ours) else np.float32
        same(ours.astype(wide), theirs.astype(wide), max(4 * precision, 1e-6))


@every
def test_integers(call: Call):
    clip = call.make()
    if np.iscomplexobj(clip) or not (THOROUGH or call.number % 3 == 0):
        return
    sound = call.clip in (wave, stereo) and call.name != "frame"
    whole = (clip * (1000 if sound else 5)).astype(np.int16)
    # Where types are checked, as in these tests, they refuse some first.
    with contextlib.suppress(ParameterError, TypeCheckError):
        ours = leaves(call.of(whole))
        theirs = leaves(call.of(whole.astype(np.float32) / (32768 if sound else 1)))
        same([a.astype(b.dtype) for a, b in zip(ours, theirs, strict=True)], theirs, 1e-6)


@every
@pytest.mark.parametrize("exponent", [-100, 100])
def test_an_extreme_range(call: Call, exponent: int):
    if call.degree is None and exponent > 0:
        # Powers, and decibels as power, overflow.
        return
    clip = call.make()
    scale = np.float32(2.0**exponent)
    found = call.of(clip * scale)
    assert not any(np.isnan(leaf).any() for leaf in leaves(found))
    if call.degree is None:
        return
    expected = call.of(clip)
    if call.degree == 1:
        expected = jax.tree.map(lambda leaf: np.asarray(leaf) * scale, expected)
    same(found, expected, 1e-5)
