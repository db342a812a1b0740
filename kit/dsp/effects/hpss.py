"""Harmonic and percussive parts of a sound."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Inexact, Num, Shaped

from kit.dsp.checks import AnyArray, Number, as_waveform, check_values, require
from kit.dsp.effects.istft import istft
from kit.dsp.effects.phase_vocoder import magphase
from kit.dsp.jit import compiled
from kit.dsp.spectral.rank_filters import median_filter
from kit.dsp.stft import stft

Pair = Number | tuple[Number, Number] | list[Number]


def _of_masks(given: dict[str, Any]) -> None:
    both = jnp.asarray(given["X"]), jnp.asarray(given["X_ref"])
    require(both[0].shape == both[1].shape, "X.shape", both[0].shape, f"not {both[1].shape}")
    check_values((both[0] >= 0) & (both[1] >= 0), "X, X_ref", "they must be at least 0")


@compiled("X", "X_ref", check=_of_masks)
def softmask(
    X: Num[AnyArray, "*shape"],
    X_ref: Num[AnyArray, "*shape"],
    *,
    power: Number = 1,
    split_zeros: bool = False,
) -> Float[jax.Array, "*shape"]:
    """X^power / (X^power + X_ref^power).

    Args:
        X, X_ref: at least 0.
        power: `np.inf` makes a mask of 0 and 1.
        split_zeros: where both are 0 the mask is 0.5; otherwise 0.
    Source: librosa 0.11 `util.softmask`.
    """
    X, X_ref = jnp.asarray(X), jnp.asarray(X_ref)
    require(power > 0, "power", power, "it must be above 0")
    if not np.isfinite(power):
        return (X_ref < X).astype(jnp.result_type(X, jnp.float32))
    X, X_ref = (v.astype(jnp.result_type(v, jnp.float32)) for v in (X, X_ref))
    larger = jnp.maximum(X, X_ref)
    nothing = larger < jnp.finfo(larger.dtype).tiny
    larger = jnp.where(nothing, 1, larger)
    mine, other = (X / larger) ** power, (X_ref / larger) ** power
    share = mine / jnp.where(nothing, 1, mine + other)
    return jnp.where(nothing, 0.5 if split_zeros else 0.0, share)


@compiled("S")
def hpss_spectrum(
    S: Inexact[AnyArray, "*batch bins frames"],
    *,
    kernel_size: Any = 31,
    power: Number = 2.0,
    mask: bool = False,
    margin: Any = 1.0,
) -> tuple[Inexact[jax.Array, "*batch bins frames"], Inexact[jax.Array, "*batch bins frames"]]:
    """A spectrogram's harmonic and percussive part: what is smooth in time, and in frequency.

    Args:
        S: (…, bins, frames), complex or magnitudes.
        kernel_size: length of the median filters, (in frames, in bins) or one for both.
        power: of the soft mask; `np.inf` for a hard one.
        mask: give the masks in place of the parts.
        margin: (harmonic, percussive) or one: by how much one has to exceed the other; above 1
            the parts do not sum to S.
    Raises:
        ParameterError: a margin below 1.
    Source: librosa 0.11 `decompose.hpss`; Fitzgerald 2010; Driedger, Müller and Disch 2014.
    """
    S = jnp.asarray(S)
    phase: Any = 1
    if jnp.iscomplexobj(S):
        S, phase = magphase(S)
    else:
        S = S.astype(jnp.result_type(S, jnp.float32))
    in_time, in_frequency = _pair(kernel_size)
    margin_harmonic, margin_percussive = _pair(margin)
    require(min(margin_harmonic, margin_percussive) >= 1, "margin", margin, "it must be at least 1")
    require(min(in_time, in_frequency) >= 1, "kernel_size", kernel_size, "it must be at least 1")
    harmonic = median_filter(S, int(in_time), axis=-1)
    percussive = median_filter(S, int(in_frequency), axis=-2)
    even = margin_harmonic == 1 and margin_percussive == 1
    of_harmonic = softmask(harmonic, percussive * margin_harmonic, power=power, split_zeros=even)
    of_percussive = softmask(
        percussive, harmonic * margin_percussive, power=power, split_zeros=even
    )
    if mask:
        return of_harmonic, of_percussive
    return S * of_harmonic * phase, S * of_percussive * phase


def _pair(value: Any) -> tuple[Any, Any]:
    if isinstance(value, tuple | list):
        require(len(value) == 2, "kernel_size or margin", value, "give two, or one for both")
        return value[0], value[1]
    return value, value


@compiled("y")
def hpss(
    y: Shaped[AnyArray, "*batch samples"],
    *,
    kernel_size: Any = 31,
    power: Number = 2.0,
    mask: bool = False,
    margin: Any = 1.0,
    **stft_arguments: Any,
) -> tuple[Float[jax.Array, "*batch samples"], Float[jax.Array, "*batch samples"]]:
    """A waveform's harmonic and percussive part; arguments as in `hpss_spectrum` and `stft`.

    Source: librosa 0.11 `effects.hpss`.
    """
    y = as_waveform(y)
    D = stft(y, **stft_arguments)
    parts = hpss_spectrum(D, kernel_size=kernel_size, power=power, mask=mask, margin=margin)
    back = {k: v for k, v in stft_arguments.items() if k not in ("pad_mode", "method", "dtype")}
    harmonic, percussive = (istft(p + 0j, length=y.shape[-1], **back) for p in parts)
    return harmonic, percussive


def harmonic(
    y: Shaped[AnyArray, "*batch samples"], **arguments: Any
) -> Float[jax.Array, "*batch samples"]:
    """The harmonic part alone; arguments as in `hpss`.

    Source: librosa 0.11 `effects.harmonic`.
    """
    return hpss(y, **arguments)[0]


def percussive(
    y: Shaped[AnyArray, "*batch samples"], **arguments: Any
) -> Float[jax.Array, "*batch samples"]:
    """The percussive part alone; arguments as in `hpss`.

    Source: librosa 0.11 `effects.percussive`.
    """
    return hpss(y, **arguments)[1]
