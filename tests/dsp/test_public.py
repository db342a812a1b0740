"""What holds for every public function of `kit.dsp`, on the calls of `calls.py`."""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kit import dsp
from kit.dsp import ParameterError
from kit.dsp.jit import padded_length
from tests.dsp.calls import CALLS, CONSTANTS, OTHER, Call

# Twice as quick to compile as by default, and as right.
# Not level 0, which computes wrong gradients of a maximum (jaxlib 0.10.2).
QUICK = {"xla_backend_optimization_level": 1, "xla_llvm_disable_expensive_passes": True}
THOROUGH = bool(os.environ.get("KIT_TEST_THOROUGH"))

# All tests of a call run one after another, so that they share its programs.
every = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS, scope="session")
# Coverage takes a third of the time, and the test in batches runs the same lines of kit.
uncovered = pytest.mark.no_cover


def test_every_public_name_has_a_call():
    called = {call.name for call in CALLS.values()}
    assert sorted(called | set(CONSTANTS) | OTHER) == dsp.__all__
    assert not called & set(CONSTANTS)


@pytest.mark.parametrize("name", CONSTANTS)
def test_a_function_without_a_clip_returns_constants(name):
    result = CONSTANTS[name]()
    assert not any(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(result))


_COMPILED: list[str] = []


def _listen(event: str, duration_secs: float, **kwargs: str | int) -> None:
    if event == "/jax/core/compile/backend_compile_duration":
        _COMPILED.append(str(kwargs.get("fun_name", "")))


jax.monitoring.register_event_duration_secs_listener(_listen)


@contextlib.contextmanager
def counting() -> Iterator[list[str]]:
    """Collect a line for each program that is compiled meanwhile."""
    programs: list[str] = []
    before = len(_COMPILED)
    yield programs
    programs += _COMPILED[before:]


def leaves(result: Any) -> list[np.ndarray]:
    return [np.asarray(leaf) for leaf in jax.tree.leaves(result)]


def same(ours: Any, theirs: Any, tolerance: float = 0.0) -> None:
    """Assert that results are equal, to a share of the peak."""
    ours, theirs = leaves(ours), leaves(theirs)
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        assert a.shape == b.shape
        assert a.dtype == b.dtype
        if tolerance and np.issubdtype(b.dtype, np.inexact):
            finite = np.isfinite(b)
            np.testing.assert_array_equal(finite, np.isfinite(a))
            peak = np.max(np.abs(b), where=finite, initial=0)
            worst = np.max(np.abs(a - b), where=finite, initial=0)
            assert worst <= tolerance * peak, f"{worst / peak:.2g} of the peak"
            a, b = np.where(finite, 0, a), np.where(finite, 0, b)
        np.testing.assert_array_equal(a, b)


def finite(result: Any) -> bool:
    return all(np.isfinite(leaf).all() for leaf in leaves(result))


def spoiled(clip: np.ndarray, value: float) -> np.ndarray:
    """Return a clip with one value that is not finite, a third of its bands up."""
    clip = clip.copy()
    clip[(*(size // 3 for size in clip.shape[:-1]), clip.shape[-1] // 2)] = value
    return clip


@uncovered
@every
def test_a_gradient_at_silence_is_finite(call: Call):
    if call.flat:
        return
    clip = call.make()

    def loss(x: jax.Array) -> jax.Array:
        total = jnp.zeros(())
        for leaf in jax.tree.leaves(call.of(x)):
            if jnp.issubdtype(leaf.dtype, jnp.inexact):
                weights = jnp.cos(jnp.arange(leaf.size, dtype=jnp.float32)).reshape(leaf.shape)
                total += jnp.sum(weights * (jnp.real(leaf) + jnp.imag(leaf)))
        return total

    gradient = jax.jit(jax.grad(loss)).lower(clip).compile(QUICK)
    half = np.where(np.arange(clip.shape[-1]) < clip.shape[-1] // 2, 0, clip)
    for x in (np.zeros_like(clip), half.astype(clip.dtype)):
        found = np.asarray(gradient(x))
        assert np.isfinite(found).all(), f"{np.sum(~np.isfinite(found))} of {found.size}"


@every
def test_a_clip_is_the_same_in_any_batch(call: Call):
    if call.alone:
        return
    loud = call.make()
    batch = np.stack([loud, np.zeros_like(loud), spoiled(loud, np.nan)])
    if call.refuses:
        with pytest.raises(ParameterError, match="finite"):
            call.of(batch)
        batch = batch[:2]
    together = leaves(call.of(batch))
    same([leaf[0] for leaf in together], call.of(loud))
    assert all(np.isfinite(leaf[0]).all() for leaf in together)


@uncovered
@every
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_shows(call: Call, value: float):
    clip = call.make()
    assert finite(call.of(clip))
    if call.hides and value == -np.inf:
        return
    try:
        result = call.of(spoiled(clip, value))
    except ParameterError:
        return
    assert not finite(result)


def lengths_of(call: Call) -> list[int]:
    """Return the greatest and the least length of a range that shares a program."""
    top = padded_length(call.typical)
    below = max(n for n in range(top) if padded_length(n) < top) if top > 64 else 40
    return [top, below + 1]


@uncovered
@every
def test_lengths_share_programs(call: Call):
    if call.alone and not call.host:
        return
    # What a function makes of a clip may be in another range.
    for n in lengths_of(call):
        call.of(call.make(n=n))
    top, low = lengths_of(call)
    call.of(call.make(n=top - 1))
    for n in (top - 2, top - 3, low + 1, low + 2):
        with counting() as programs:
            call.of(call.make(n=n))
        assert not programs, f"for a length of {n}"


@uncovered
@every
def test_a_padded_clip_gives_the_exact_result(call: Call):
    if call.host:
        return
    lengths = lengths_of(call)
    for n in lengths if THOROUGH else lengths[call.number % 2 :][:1]:
        clip = call.make(n=n)
        ours = call.of(clip)
        exact = jax.jit(call.of).lower(clip).compile(QUICK)
        same(ours, exact(clip), call.apart)
