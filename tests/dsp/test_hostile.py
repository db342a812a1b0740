"""Hostile calls of every public function: drawn arrays, options and ways of calling.

A drawn call is one of `calls.py` on an array of another shape, dtype, layout or content, with
other options, good or bad. It raises `ParameterError` and no other error, or its result is
librosa's where `docs/librosa.md` says "same", the same by `jit` and `vmap` and with 64 bits, has a
finite gradient, and is not finite if the array is not. A result of librosa's that a rounding of the
array changes is not compared.
"""

import dataclasses
import inspect
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit import dsp
from kit.dsp import ParameterError
from tests.dsp.calls import CALLS, CONSTANTS, Call, stereo, wave, with_options
from tests.dsp.test_public import QUICK, THOROUGH, leaves
from tests.dsp.test_public_dtypes import LAYOUTS
from tests.dsp.test_table import INSTALLED, ROWS, librosas

# Without coverage, which takes a third of the time: other tests run the same lines of kit.
pytestmark = pytest.mark.no_cover

# Good values of options by name. Others are left as they are in the call, or get a bad one.
GOOD: dict[str, tuple[Any, ...]] = {
    "amin": (1e-5, 1.0),
    "axis": (0, -1, -2, None),
    "center": (False, 1),
    "dtype": (np.float32, np.float64, np.complex64),
    "fmax": (2000.0, 4000, None),
    "fmin": (0.0, 100, 3999.0),
    "frame_length": (64, 255, 1),
    "hop_length": (100, 1, 999),
    "n_fft": (64, 255, 1, 2),
    "n_mels": (1, 7, 300),
    "norm": (2, 1, None, np.inf, 0.5, 0, -np.inf, "slaney"),
    "pad_mode": ("edge", "reflect", "symmetric", "linear_ramp", "wrap"),
    "power": (1, 0.5, 2.0, 3),
    "ref": (2.0, "max", np.max, np.median),
    "sr": (8000, 44100.0, 1),
    "top_db": (None, 0, 20.0),
    "win_length": (64, 100, 1),
    "window": ("boxcar", ("kaiser", 4.0), "hamming"),
}
# Bad values of most options, and good ones of some.
BAD = (0, -1, 1.5, np.nan, np.inf, -np.inf, None, "no", True, 2**40, -(2.0**70), (1, "no"), b"no")
# Options whose great values take memory or time in proportion: their kind is checked all the same.
SIZES = {"n_iter", "kernel_size", "max_size", "order", "n_bands", "n_steps", "width", "max_shift"}
ARRAYS = {
    *("y", "x", "S", "C", "V", "D", "M", "X", "X_ref", "tg", "chroma", "onset_envelope", "key"),
    *("targets", "frames", "frequencies", "energy", "events", "data", "mfcc", "lengths", "config"),
}
STFT = ("n_fft", "hop_length", "win_length", "window", "center", "pad_mode")

DTYPES = {
    "float16": np.float16,
    "bfloat16": ml_dtypes.bfloat16,
    "float64": np.float64,
    "int16": np.int16,
    "int32": np.int32,
    "bool": np.bool_,
    "complex64": np.complex64,
}
RANDOM = {
    c.name for c in CALLS.values() if "key" in inspect.signature(getattr(dsp, c.name)).parameters
}


@dataclasses.dataclass(frozen=True)
class Case:
    """One drawn call."""

    id: str
    options: tuple[tuple[str, Any], ...] = ()
    n: int | None = None
    rows: int | None = None
    """Bands that are kept, all if None."""
    batch: tuple[int, ...] = ()
    dtype: str = "float32"
    layout: str = ""
    content: str = ""
    way: str = "eager"

    @property
    def call(self) -> Call:
        return CALLS[self.id]

    @property
    def spoilt(self) -> bool:
        return self.content in ("nan", "inf")

    @property
    def undecided(self) -> bool:
        """Whether a rounding says if the loudest frame is above itself, or a value is 0."""
        edge = {"top_db": 0, "norm": 0}
        return any(k in edge and v is not None and v == edge[k] for k, v in self.options)

    def of(self, x: Any) -> Any:
        return self.call.given(dict(self.options))(x)

    def array(self) -> np.ndarray:
        """Make the array, in native order and contiguous."""
        clip = self.call.make(n=self.n)
        if self.rows is not None and clip.ndim > 1:
            clip = clip[..., : self.rows, :]
        if self.content in ("zeros", "ones"):
            clip = np.full_like(clip, self.content == "ones")
        if self.spoilt:
            clip[..., clip.shape[-1] // 3 :] = float(self.content)
        if self.dtype != "float32":
            clip = self._cast(clip)
        return np.broadcast_to(clip, (*self.batch, *clip.shape)).copy()

    def _cast(self, clip: np.ndarray) -> np.ndarray:
        kind = np.dtype(DTYPES[self.dtype])
        if kind.kind in "iub":
            real = np.nan_to_num(np.real(clip), posinf=0, neginf=0)
            return (real * (1000 if self.call.clip in (wave, stereo) else 5)).astype(kind)
        if np.iscomplexobj(clip):
            return clip.astype(np.complex128 if self.dtype == "float64" else np.complex64)
        return clip.astype(kind)


def options_of(call: Call) -> list[str]:
    """Return the names of the options of a call that can be drawn."""
    parameters = inspect.signature(getattr(dsp, call.name)).parameters
    own = [p.name for p in parameters.values() if p.kind is p.KEYWORD_ONLY]
    passed = STFT if "stft_arguments" in parameters else ()
    if call.name in ("mfcc", "onset_strength"):
        passed = (*STFT, "n_mels", "fmin", "fmax")
    return sorted({*own, *passed} - ARRAYS)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    call = CALLS[draw(st.sampled_from(sorted(CALLS)))]
    options = {}
    names = options_of(call)
    for name in draw(st.lists(st.sampled_from(names), max_size=2, unique=True)) if names else ():
        good = GOOD.get(name, ())
        bad = tuple(b for b in BAD if name not in SIZES or not (b is True or b == 2**40))
        options[name] = draw(st.sampled_from(good if good and draw(st.booleans()) else bad))
    top = call.typical
    plain = draw(st.booleans())
    return Case(
        id=call.id,
        options=tuple(sorted(options.items())),
        n=draw(st.sampled_from((top, top, top - 1, top - 1, 7, 2, 1, 0))),
        rows=None if plain else draw(st.sampled_from((None, None, -1, 1, 0))),
        batch=() if plain else draw(st.sampled_from(((), (2,), (1,), (0,), (2, 1, 2)))),
        dtype="float32" if plain else draw(st.sampled_from(("float32", *DTYPES))),
        layout="" if plain else draw(st.sampled_from(("", *LAYOUTS))),
        content="" if plain else draw(st.sampled_from(("", "nan", "inf", "zeros", "ones"))),
        way=draw(st.sampled_from(("eager", "eager", "jit", "vmap", "grad", "x64"))),
    )


def compared() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield the functions that are librosa's, by the table, and librosa's own."""
    for name, ours, *said in ROWS:
        function = librosas(name)
        if ours and function and said[INSTALLED].startswith("same"):
            yield ours, function


THEIRS = dict(compared())


def finite(result: Any) -> bool:
    inexact = [leaf for leaf in leaves(result) if jnp.issubdtype(leaf.dtype, jnp.inexact)]
    return all(np.isfinite(leaf).all() for leaf in inexact)


def close(ours: Any, theirs: Any, tolerance: float, least: float = 1e-3) -> None:
    """Assert that results are equal, to a share of the peak, and not finite at the same places.

    Args:
        tolerance: share of the peak.
        least: a peak below counts as this.
    """
    ours, theirs = leaves(ours), leaves(theirs)
    assert [a.shape for a in ours] == [b.shape for b in theirs]
    for a, b in zip(ours, theirs, strict=True):
        if not jnp.issubdtype(b.dtype, jnp.inexact):
            assert a.size == 0 or np.mean(a == b) > 0.95
            continue
        wide = np.complex128 if np.iscomplexobj(b) else np.float64
        a, b = a.astype(wide), b.astype(wide)
        known = np.isfinite(b)
        np.testing.assert_array_equal(np.isfinite(a), known)
        a, b = np.where(known, a, 0), np.where(known, b, 0)
        peak = max(np.max(np.abs(b), initial=0), least)
        assert np.max(np.abs(a - b), initial=0) <= tolerance * peak


def unsteady(
    function: Callable[[np.ndarray], Any], x: np.ndarray, tolerance: float, least: float
) -> bool:
    """Return whether roundings, of an array and inside, change a result by more than the tolerance.

    The greatest of equal values, such as the bins of an impulse, is chosen by a rounding.
    """
    rng = np.random.default_rng(0)
    result = function(x)
    wide = np.complex128 if np.iscomplexobj(x) else np.float64
    for dtype in (x.dtype, wide) * 4:
        near = x * (1 + 1e-6 * rng.standard_normal(x.shape))
        try:
            close(function(near.astype(dtype)), result, tolerance, least)
        except AssertionError:
            return True
    return False


def outcome(function: Callable[[], Any]) -> Any:
    """Return arrays of NumPy, or the `ParameterError`."""
    try:
        return jax.tree.map(np.asarray, function())
    except ParameterError as error:
        return error


def librosa_of(case: Case, x: np.ndarray) -> Any:
    """Return librosa's result for a finite array of at least single precision, None without one."""
    numbers = [v for _, v in case.options if isinstance(v, int | float)]
    extreme = any(abs(v) > 1e6 for v in numbers)  # out of the range of single precision
    known = case.call.name in THEIRS and not (case.spoilt or extreme)
    if not known or case.dtype not in ("float32", "float64"):
        return None
    try:
        return case.call.given(dict(case.options), THEIRS.__getitem__)(x)
    except Exception:
        # librosa refuses it, or fails.
        return None


def by_way(case: Case, x: np.ndarray) -> Any:
    """Return the result of the drawn way of calling, None where there is no such way."""
    if case.way == "x64":
        if case.call.name in RANDOM:
            return None  # other draws
        with jax.enable_x64(True):
            return outcome(lambda: case.of(x))
    if case.call.host or x.dtype.kind not in "fciubV" or case.way == "eager":
        return None
    if case.way == "vmap":
        if case.call.alone:
            return None
        return outcome(lambda: compiled(jax.vmap(case.of), np.stack([x, x])))
    if case.way == "grad":
        if case.call.flat or not jnp.issubdtype(x.dtype, jnp.inexact):
            return None
        return outcome(lambda: compiled(jax.grad(lambda v: total(case.of(v))), x))
    return outcome(lambda: compiled(case.of, x))


def compiled(function: Callable[[Any], Any], x: np.ndarray) -> Any:
    given = jnp.asarray(x)
    return jax.jit(function).lower(given).compile(QUICK)(given)


def total(result: Any) -> jax.Array:
    parts = [a for a in jax.tree.leaves(result) if jnp.issubdtype(a.dtype, jnp.inexact)]
    return sum((jnp.sum(jnp.real(a) + jnp.imag(a)) for a in parts), jnp.zeros(()))


def hostile(quick: int, thorough: int) -> settings:
    """Return the settings of a number of calls."""
    return settings(
        max_examples=thorough if THOROUGH else quick,
        derandomize=not THOROUGH,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )


def check(case: Case) -> None:
    """Assert what must hold of a call."""
    x = case.array()
    # A waveform of integers is another one as floating point.
    plain = not case.layout or (case.layout == "double" and x.dtype.kind not in "fc")
    arranged = x if plain else LAYOUTS[case.layout](x)
    ours = outcome(lambda: case.of(arranged))
    theirs, other = librosa_of(case, x), by_way(case, x)
    if isinstance(ours, ParameterError):
        return
    half = x.dtype.itemsize == 2
    # A short clip may have one frame, of which nothing is left after a difference of frames.
    long = x.size and x.shape[-1] >= case.call.typical - 1
    spoilt = case.spoilt and long and jnp.issubdtype(x.dtype, jnp.inexact)
    if spoilt and all(a.size for a in leaves(ours)):
        assert not finite(ours), "a value that is not finite is lost"
    if case.undecided:
        return
    # Decibels near 0, and deltas of one frame, are differences of greater numbers.
    least = 1.0 if "_to_db" in case.id or case.call.name == "delta" else 1e-3
    if theirs is not None:
        # Where values are nearly as good, a function that chooses may choose another.
        tolerance = 1e-2 if case.call.flat else 1e-4
        try:
            close(ours, theirs, tolerance, least)
        except AssertionError:
            if not unsteady(partial(librosa_of, case), x, tolerance, least):
                raise
    if other is None or isinstance(other, ParameterError):
        return
    if case.way == "grad":
        # A great slope may be beyond half precision, in which the gradient is returned.
        wide = case.dtype != "float16"
        good = finite(other) if wide else not np.isnan(other).any()
        assert case.spoilt or not finite(ours) or good, "a gradient that is not finite"
    elif case.way == "vmap":
        close(jax.tree.map(lambda a: a[0], other), ours, 1e-2 if half else 1e-4, least)
    else:
        close(other, ours, 1e-2 if half else 1e-3 if case.way == "x64" else 1e-4, least)


@hostile(quick=200, thorough=3000)
@given(case=cases())
def test_a_call_is_right_or_refused(untyped, case: Case):
    with warnings.catch_warnings(action="ignore"):
        check(case)


@hostile(quick=100, thorough=2000)
@given(st.data())
def test_a_function_of_numbers_is_right_or_refuses(untyped, data: st.DataObject):
    name = data.draw(st.sampled_from(sorted(CONSTANTS)))
    parameter = data.draw(st.sampled_from(list(inspect.signature(getattr(dsp, name)).parameters)))
    value = data.draw(st.sampled_from([b for b in BAD if b != 2**40]))

    def instead(name: str) -> Callable[..., Any]:
        function = getattr(dsp, name)

        def call(*args: Any, **given: Any) -> Any:
            bound = inspect.signature(function).bind(*args, **given).arguments
            return function(**(bound | {parameter: value}))

        return call

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        outcome(with_options(CONSTANTS[name], {}, instead))
