"""Calls of `kit.dsp` with drawn arguments, arrays and ways of calling, and what must hold of them.

A drawn call is one of `calls.py` with other options, on an array of another shape, dtype, layout
or content. It either raises `ParameterError`, or its result is librosa's where librosa documents
the same function, the same in any way of calling, and never a plausible number made of NaN.
"""

import dataclasses
import inspect
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import librosa
import ml_dtypes
import numpy as np
from hypothesis import strategies as st

from kit import dsp
from kit.dsp import ParameterError
from tests.dsp.calls import CALLS, CONSTANTS, Call, stereo, wave
from tests.dsp.test_public import QUICK, leaves, spoiled
from tests.dsp.test_public_dtypes import LAYOUTS
from tests.dsp.test_table import INSTALLED, ROWS, librosas

# Values of arguments by name: those that most functions take, and those at the edge of them.
SIZES = (64, 1, 255)
VALUES: dict[str, tuple[Any, ...]] = {
    "n_fft": (64, 255, 1, 2),
    "hop_length": (100, 1, 999),
    "win_length": (64, 100, 1),
    "frame_length": (64, 255, 1),
    "window": ("boxcar", ("kaiser", 4.0), "hamming"),
    "center": (False,),
    "pad_mode": ("edge", "reflect", "symmetric", "linear_ramp", "wrap"),
    "power": (1, 0.5, 2.0, 3),
    "norm": (2, 1, None, np.inf, 0.5, 0, -np.inf, "slaney"),
    "n_mels": (1, 7, 300),
    "fmin": (0.0, 100, 3999.0),
    "fmax": (2000.0, 4000, None),
    "top_db": (None, 0, 20.0),
    "amin": (1e-5, 1.0),
    "ref": (2.0, "max", np.max, np.median),
    "sr": (8000, 44100.0, 1, 1e9),
    "axis": (0, -1, -2, 1, None),
    "dtype": (np.float32, np.float64, np.complex64),
}
# What no argument of a number takes, or only some.
BAD: tuple[Any, ...] = (0, -1, 1.5, np.nan, np.inf, -np.inf, None, "no", True, 2**40, -(2.0**70))


THEIRS = {
    ours: librosas(name)
    for name, ours, *said in ROWS
    if ours and said[INSTALLED] != "no such function" and librosas(name)
}
SAME = {ours for _, ours, *said in ROWS if said[INSTALLED].startswith("same")}


def options_of(name: str) -> list[str]:
    """Return the names of the options that can be drawn."""
    parameters = inspect.signature(getattr(dsp, name)).parameters.values()
    arrays = {"y", "S", "C", "V", "tg", "chroma", "key", "x", "targets", "onset_envelope", "D", "M"}
    arrays |= {"kwargs", "stft_arguments", "rng", "random_state", "config", "noise", "lengths"}
    own = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
    if "stft_arguments" in [p.name for p in parameters] or name in ("mfcc", "onset_strength"):
        own += ["n_fft", "hop_length", "win_length", "window", "center", "pad_mode"]
    if name in ("mfcc", "onset_strength"):
        own += ["fmin", "fmax"]
    return [n for n in dict.fromkeys(own) if n not in arrays]


DTYPES = (
    np.float32, np.float32, np.float32, np.float64, np.float16, ml_dtypes.bfloat16, np.int16, np.int32, bool, np.complex64,
)
WAYS = ("eager", "eager", "jit", "vmap", "grad", "x64")
CONTENTS = ("typical", "typical", "typical", "zeros", "nan", "inf", "constant")


@dataclasses.dataclass
class Case:
    call: Call
    options: dict[str, Any]
    n: int
    rows: int | None
    batch: tuple[int, ...]
    dtype: Any
    layout: str
    content: str
    way: str

    def __repr__(self):
        return f"{self.call.id} {self.options} n={self.n} rows={self.rows} batch={self.batch} {np.dtype(self.dtype).name} {self.layout} {self.content} {self.way}"

    def of(self, x):
        return self.call.given(self.options)(x)

    def array(self) -> np.ndarray:
        clip = self.call.make(n=self.n)
        if self.rows is not None and clip.ndim > 1:
            clip = clip[..., : self.rows, :]
        if self.content == "zeros":
            clip = np.zeros_like(clip)
        elif self.content == "constant":
            clip = np.ones_like(clip)
        elif self.content in ("nan", "inf") and clip.size:
            clip = spoiled(clip, float(self.content))
        dtype = np.dtype(self.dtype)
        if dtype.kind in "iu":
            clip = np.nan_to_num(np.real(clip)) * (1000 if self.call.clip in (wave, stereo) else 5)
        if np.iscomplexobj(clip) and dtype.kind != "c":
            dtype = np.result_type(dtype, np.complex64) if dtype.kind == "f" and dtype.itemsize > 2 else np.dtype(np.complex64)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            clip = clip.astype(dtype)
        return np.broadcast_to(clip, (*self.batch, *clip.shape)).copy()


@st.composite
def cases(draw) -> Case:
    call = CALLS[draw(st.sampled_from(sorted(CALLS)))]
    names = options_of(call.name)
    options = {}
    if names:
        for name in draw(st.lists(st.sampled_from(names), max_size=2, unique=True)):
            pool = VALUES.get(name, ())
            if not pool or draw(st.integers(0, 2)) == 0:
                pool = BAD
            options[name] = draw(st.sampled_from(pool))
    top = call.typical
    n = draw(st.sampled_from((top, top, top, top - 1, 0, 1, 2, 7)))
    rows = draw(st.sampled_from((None, None, None, None, 0, 1, -1)))
    batch = draw(st.sampled_from(((), (), (), (2,), (1,), (0,), (2, 1, 2))))
    if draw(st.booleans()):
        dtype, layout, content = np.float32, "plain", "typical"
    else:
        dtype = draw(st.sampled_from(DTYPES))
        layout = draw(st.sampled_from(("plain", *LAYOUTS)))
        content = draw(st.sampled_from(CONTENTS))
    way = draw(st.sampled_from(WAYS))
    return Case(call, options, n, rows, batch, dtype, layout, content, way)


def finite(x): return all(np.isfinite(a).all() for a in leaves(x) if a.dtype.kind in "fc" )


def close(ours, theirs, tolerance):
    ours, theirs = leaves(ours), leaves(theirs)
    assert len(ours) == len(theirs), "number of results"
    for a, b in zip(ours, theirs, strict=True):
        assert a.shape == b.shape, f"shape {a.shape} {b.shape}"
        if a.dtype.kind in "fcV" or b.dtype.kind in "fc":
            wide = np.complex128 if np.iscomplexobj(b) else np.float64
            a, b = a.astype(wide), b.astype(wide)
            ok = np.isfinite(b)
            assert (ok == np.isfinite(a)).all(), "finite elsewhere"
            peak = np.max(np.abs(b), where=ok, initial=1e-30)
            worst = np.max(np.abs(a - b), where=ok, initial=0) / peak
            assert worst <= tolerance, f"{worst:.2g} of the peak"
        else:
            assert (a == b).mean() > 0.98 if a.size else True, "values"


def check(case: Case, log) -> None:
    x = case.array()
    arranged = LAYOUTS[case.layout](x) if case.layout != "plain" else x
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ours = case.of(arranged)
            ours = jax.tree.map(np.asarray, ours)
        except ParameterError as e:
            ours = e
        name = case.call.name
        refused = isinstance(ours, ParameterError)
        # librosa
        if name in THEIRS and case.content not in ("nan", "inf"):
            wide = x.astype(np.float32) / (32768 if x.dtype == np.int16 and case.call.clip in (wave, stereo) else 1) if x.dtype.kind not in "c" else x
            try:
                if name in ("onset_detect","beat_track","peak_pick") and False: raise KeyError
                def lib(n):
                    f = THEIRS[n]
                    ok = inspect.signature(f).parameters
                    return f
                theirs = case.call.given(case.options, lib)(wide)
            except Exception as e:
                theirs = e
            if isinstance(theirs, Exception):
                if not refused: log("librosa-refuses", f"{type(theirs).__name__} {str(theirs)[:100]}")
            elif refused:
                log("kit-refuses", str(ours)[:150])
            elif name in SAME:
                try: close(ours, theirs, 2e-2 if x.dtype.itemsize == 2 else 1e-4)
                except AssertionError as e: log("differs", str(e))
            else:
                try: close(ours, theirs, 2)
                except AssertionError as e: log("differs-shape", str(e))
        if not refused:
            if case.content in ("nan", "inf") and x.size and x.dtype.kind in "fcV":
                if finite(ours): log("hidden", "nan is hidden")
            elif not finite(ours): log("notfinite", "finite became not finite")
        if case.way == "eager": return
        try:
            if case.way == "x64":
                with jax.enable_x64(True):
                    wide = x.astype(np.result_type(x.dtype, np.float64)) if x.dtype.kind in "fc" else x
                    way = jax.tree.map(np.asarray, case.of(wide))
            else:
                if case.way == "vmap":
                    if case.call.alone: return
                    given = jnp.stack([jnp.asarray(x)] * 2)
                    f = jax.vmap(case.of)
                elif case.way == "grad":
                    if case.call.flat: return
                    def loss(v):
                        total = jnp.zeros(())
                        for leaf in jax.tree.leaves(case.of(v)):
                            if jnp.issubdtype(leaf.dtype, jnp.inexact):
                                total += jnp.sum(jnp.real(leaf) + jnp.imag(leaf))
                        return total
                    f = jax.grad(loss); given = jnp.asarray(x)
                    if given.dtype.kind in "iub": return
                else:
                    f = case.of; given = jnp.asarray(x)
                way = jax.tree.map(np.asarray, jax.jit(f).lower(given).compile(QUICK)(given))
        except ParameterError as e:
            if not refused and case.way != "x64": log("traced-refuses", str(e)[:150])
            return
        if case.way == "grad":
            if not refused and finite(ours) and not finite(way): log("gradient", "not finite")
            return
        if refused:
            log("traced-takes", str(ours)[:150]); return
        if case.way == "vmap":
            way = jax.tree.map(lambda a: a[0], way)
        try: close(way, ours, 1e-2 if x.dtype.itemsize==2 else max(1e-5, case.call.apart) if case.way!="x64" else 1e-3)
        except AssertionError as e: log(case.way, str(e))
