"""From constant-Q transforms back to sound."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Complex, Float, Inexact, Int, Num, UInt

from kit.dsp.checks import AnyArray, Number, positive_int, require
from kit.dsp.effects.griffinlim import check_momentum, key_arguments, rounds, start_phases
from kit.dsp.framing import fit
from kit.dsp.jit import Length, by_clip
from kit.dsp.stft import PAD_MODES, PadMode, check_pad_mode
from kit.dsp.tonal.constantq import check_res_type
from kit.dsp.tonal.filters import (
    Bins,
    Octaves,
    Shape,
    Transform,
    inverse_filters,
    octave_filters,
)
from kit.dsp.tonal.octaves import inverse, transform
from kit.dsp.windows import WindowSpec


def icqt(
    C: Inexact[AnyArray, "*batch n_bins frames"],
    *,
    sr: Number = 22050,
    hop_length: int = 512,
    fmin: Number | None = None,
    bins_per_octave: int = 12,
    tuning: Number = 0.0,
    filter_scale: Number = 1,
    norm: Number | None = 1,
    sparsity: Number = 0.01,
    window: WindowSpec = "hann",
    scale: bool = True,
    length: int | None = None,
    res_type: str | None = "soxr_hq",
    dtype: Any = None,
) -> Float[jax.Array, "*batch samples"]:
    """Return an approximate inverse of `cqt`.

    Args:
        C: constant-Q transform (…, n_bins, frames).
        sr, hop_length, fmin, bins_per_octave, tuning, filter_scale: as given to `cqt`.
        norm, sparsity, window, scale, res_type: as given to `cqt`.
        length: samples of the result, which is cut or padded with zeros to this length.
        dtype: dtype of the result; float of the precision of C if not given.
    Returns:
        samples = `length`, or hop_length * (frames - 1).
    Raises:
        ParameterError: fewer than two frames and no `length`, or as `cqt`.
    Source: librosa 1.0 `icqt`.

    Example:
        >>> y = np.sin(2 * np.pi * 880 * np.arange(2048) / 8000)
        >>> C = kit.dsp.cqt(y, sr=8000, hop_length=64, fmin=440.0, n_bins=24)
        >>> z = kit.dsp.icqt(C, sr=8000, hop_length=64, fmin=440.0, length=2048)
        >>> bool(np.corrcoef(y[512:1536], z[512:1536])[0, 1] > 0.99)
        True
    """
    check_res_type(res_type)
    C = _as_transform(C)
    hop_length = positive_int("hop_length", hop_length)
    bins = Bins(sr, hop_length, fmin, C.shape[-2], bins_per_octave)
    shape = Shape(filter_scale, norm, sparsity, window, scale)
    sizes, values, longest = inverse_filters(bins, shape, tuning)
    C = _cut(C, length, longest, hop_length)
    y = _inverse(C=C, filters=values, sizes=sizes, dtype=dtype)
    return _with_length(y, length)


def _as_transform(C: Any) -> AnyArray:
    C = C if isinstance(C, jax.Array) else np.asarray(C)
    require(C.ndim >= 2, "C.shape", C.shape, "its last two axes are bins and frames")
    require(C.shape[-2] >= 1 and C.shape[-1] >= 1, "C.shape", C.shape, "it must have a frame")
    return C


def _cut(C: AnyArray, length: int | None, longest: float, hop_length: int) -> AnyArray:
    """Return the frames that contribute to the first `length` samples."""
    if length is None:
        rule = "a single frame needs length"
        require(C.shape[-1] >= 2, "C.shape", C.shape, rule)
        return C
    length = positive_int("length", length, least=0)
    return C[..., : max(1, math.ceil((length + longest) / hop_length))]


def _with_length(y: jax.Array, length: int | None) -> jax.Array:
    if length is None or y.shape[-1] == length:
        return y
    if isinstance(y, Tracer):
        return fit(y, length)
    # On the host, because a JAX operation compiles a program for each length.
    known = np.asarray(y)[..., :length]
    missing = length - known.shape[-1]
    return jax.device_put(np.pad(known, [(0, 0)] * (known.ndim - 1) + [(0, missing)]))


@by_clip(C="bt", filters="w")
def _inverse(
    n: Length,
    *,
    C: Num[AnyArray, "*batch n_bins frames"],
    filters: Float[AnyArray, "*batch values"],
    sizes: Octaves,
    dtype: Any,
) -> tuple[Float[jax.Array, "*batch samples"], Length]:
    y, samples = inverse(n, _complex(C), filters, sizes)
    return y if dtype is None else y.astype(dtype), samples


def _complex(C: Num[AnyArray, "*shape"]) -> Complex[jax.Array, "*shape"]:
    return jnp.asarray(C).astype(jnp.result_type(jnp.asarray(C), jnp.complex64))


def griffinlim_cqt(
    C: Num[AnyArray, "*batch n_bins frames"],
    *,
    n_iter: int = 32,
    sr: Number = 22050,
    hop_length: int = 512,
    fmin: Number | None = None,
    bins_per_octave: int = 12,
    tuning: Number = 0.0,
    filter_scale: Number = 1,
    norm: Number | None = 1,
    sparsity: Number = 0.01,
    window: WindowSpec = "hann",
    scale: bool = True,
    pad_mode: PadMode = "constant",
    res_type: str | None = "soxr_hq",
    dtype: Any = None,
    length: int | None = None,
    momentum: Number = 0.99,
    init: str | None = "random",
    rng: Any = None,
    random_state: Any = None,
) -> Float[jax.Array, "*batch samples"]:
    """Return a waveform whose constant-Q transform has approximately the magnitude C.

    Args:
        C: magnitudes (…, n_bins, frames).
        n_iter, momentum: see `griffinlim`.
        sr, hop_length, fmin, bins_per_octave, tuning, filter_scale: see `cqt`.
        norm, sparsity, window, scale, pad_mode, res_type: see `cqt`.
        dtype: dtype of the result; float of the precision of C if not given.
        length: see `icqt`.
        init: "random" for random phases, equal for all clips; None for zero phases.
        rng, random_state: see `griffinlim`.
    Raises:
        ParameterError: both `rng` and `random_state`, or as `griffinlim` and `icqt`.
    Source: librosa 1.0 `griffinlim_cqt`.

    Example:
        >>> C = np.ones((12, 9), np.float32)
        >>> kit.dsp.griffinlim_cqt(C, sr=8000, hop_length=64, fmin=440.0, n_iter=2).shape
        (512,)
    """
    n_iter = positive_int("n_iter", n_iter, least=0)
    require(init in ("random", None), "init", init, 'it must be "random" or None')
    check_momentum(momentum)
    check_res_type(res_type)
    check_pad_mode(pad_mode)
    C = _as_transform(C)
    require(not jnp.issubdtype(C.dtype, jnp.complexfloating), "C.dtype", C.dtype, "pass jnp.abs(C)")
    hop_length = positive_int("hop_length", hop_length)
    bins = Bins(sr, hop_length, fmin, C.shape[-2], bins_per_octave)
    shape = Shape(filter_scale, norm, sparsity, window, scale)
    forth, of_forth = octave_filters(bins, shape, tuning)
    back, of_back, longest = inverse_filters(bins, shape, tuning)
    C = _cut(C, length, longest, hop_length)
    key = key_arguments(random_state, rng)
    samples = hop_length * (C.shape[-1] - 1) if length is None else length
    require(samples >= 1, "length", length, "it must be at least 1")
    y = _griffinlim(
        C=C,
        **key,
        samples=np.asarray(samples, np.int32),
        forth=of_forth,
        back=of_back,
        plan=forth,
        sizes=back,
        n_iter=n_iter,
        momentum=momentum,
        init=init,
        pad_mode=pad_mode,
        dtype=dtype,
    )
    return _with_length(y, length)


def _unusual(given: dict[str, Any]) -> bool:
    mode, frames = given["pad_mode"], given["C"].shape[-1]
    within = int(given["samples"]) < given["sizes"].hop_length * frames
    return callable(mode) or mode not in PAD_MODES or (mode != "constant" and not within)


@by_clip(C="bt", key="k", samples="", forth="w", back="w", exact=_unusual)
def _griffinlim(
    n: Length,
    *,
    C: Num[AnyArray, "*batch n_bins frames"],
    key: UInt[AnyArray, "words"],
    impl: str | None,
    samples: Int[AnyArray, ""],
    forth: Float[AnyArray, "values"],
    back: Float[AnyArray, "values2"],
    plan: Transform,
    sizes: Octaves,
    n_iter: int,
    momentum: Number,
    init: str | None,
    pad_mode: PadMode,
    dtype: Any,
) -> tuple[Float[jax.Array, "*batch samples"], Length]:
    S = jnp.asarray(C).astype(jnp.result_type(jnp.asarray(C), jnp.float32))

    def sound(C: Complex[jax.Array, "n_bins frames"]) -> tuple[jax.Array, Length]:
        return inverse(n, C, back, sizes)

    def again(y: Float[jax.Array, "samples"]) -> Complex[jax.Array, "n_bins frames"]:
        return transform(length, y, forth, plan.octaves, pad_mode)[0]

    size = jax.eval_shape(lambda c: sound(c)[0], S + 0j).shape[0]
    length = jnp.minimum(jnp.asarray(samples, jnp.int32), max(size, 1))
    whole = jax.random.wrap_key_data(jnp.asarray(key), impl=impl)
    angles = start_phases(whole, S.T, init).T

    def rebuilt(C: jax.Array) -> jax.Array:
        y, _ = sound(C)
        y = jnp.where(jnp.arange(y.shape[0]) < length, y, 0)
        return fit(y, max(size, 1))

    C = rounds(S, angles, rebuilt, again, n_iter, momentum)
    y, valid = sound(C)
    return y if dtype is None else y.astype(dtype), valid
