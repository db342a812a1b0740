"""Onset strength: how much louder the spectrum gets from frame to frame."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Float, Num, Shaped

from kit.dsp.checks import AnyArray, Number, ParameterError, positive_int, require
from kit.dsp.decibel import at_least, power_to_db
from kit.dsp.effects.iir import one_pole
from kit.dsp.jit import compiled, traceable
from kit.dsp.mel import melspectrogram
from kit.dsp.spectral.rank_filters import maximum_filter
from kit.dsp.stft import magnitude


def onset_strength(
    *,
    y: Shaped[AnyArray, "*batch samples"] | None = None,
    sr: Number = 22050,
    S: Num[AnyArray, "..."] | None = None,
    lag: int = 1,
    max_size: int = 1,
    ref: Num[AnyArray, "..."] | None = None,
    detrend: bool = False,
    center: bool = True,
    feature: Callable[..., Any] | None = None,
    aggregate: Any = None,
    **kwargs: Any,
) -> Float[jax.Array, "*batch frames"]:
    """Spectral flux, the mean over bands of what grew.

    Args:
        y, sr: waveforms and their rate.
        S: log-power spectrogram (…, bands, frames) in place of y.
        lag: frames between the two that are compared.
        max_size: above 1, the earlier frame is taken as the greatest of so many neighbouring bands
            (which keeps vibrato out).
        ref: earlier spectrum in place of S.
        detrend: the slow part is filtered out.
        center: frame t is set where the STFT's frame t is centred.
        feature: of y, in place of `melspectrogram`.
        aggregate: over bands; the mean if not given. NumPy's own functions are taken as JAX's.
        kwargs: `n_fft`, `hop_length`, and others to `feature`.
    Raises:
        ParameterError: `lag` or `max_size` below 1, neither y nor S, a ref of another shape.
    Source: librosa 0.11 `onset.onset_strength`; Böck and Widmer 2013.
    """
    if aggregate is False:
        raise ParameterError("aggregate is False; onset_strength_multi gives every band")
    every = onset_strength_multi(
        y=y,
        sr=sr,
        S=S,
        lag=lag,
        max_size=max_size,
        ref=ref,
        detrend=detrend,
        center=center,
        feature=feature,
        aggregate=aggregate,
        channels=None,
        **kwargs,
    )
    return every[..., 0, :]


def onset_strength_multi(
    *,
    y: Shaped[AnyArray, "*batch samples"] | None = None,
    sr: Number = 22050,
    S: Num[AnyArray, "..."] | None = None,
    n_fft: int = 2048,
    hop_length: int = 512,
    lag: int = 1,
    max_size: int = 1,
    ref: Num[AnyArray, "..."] | None = None,
    detrend: bool = False,
    center: bool = True,
    feature: Callable[..., Any] | None = None,
    aggregate: Any = None,
    channels: Sequence[Any] | None = None,
    **kwargs: Any,
) -> Float[jax.Array, "*batch channels frames"]:
    """`onset_strength` of several groups of bands.

    Args:
        channels: slices of bands, or the bands at which groups begin and end; all as one if not
            given.
        aggregate: as in `onset_strength`; False gives every band.
    Source: librosa 0.11 `onset.onset_strength_multi`.
    """
    lag, max_size = positive_int("lag", lag), positive_int("max_size", max_size)
    if S is None:
        if y is None:
            raise ParameterError("y and S: give one of them")
        if feature is None:
            kwargs = {"fmax": sr / 2} | kwargs
        # Not within the program below: a feature may need to know the values.
        made = (feature or melspectrogram)(y=y, sr=sr, n_fft=n_fft, hop_length=hop_length, **kwargs)
        S = power_to_db(magnitude(made))
    return _flux(
        S=S,
        ref=ref,
        lag=lag,
        max_size=max_size,
        detrend=detrend,
        delay=lag + (n_fft // (2 * hop_length) if center else 0),
        cut=center,
        aggregate=aggregate,
        channels=None if channels is None else tuple(channels),
    )


@compiled("S", "ref")
def _flux(
    *,
    S: Any,
    ref: Any,
    lag: int,
    max_size: int,
    detrend: bool,
    delay: int,
    cut: bool,
    aggregate: Any,
    channels: Sequence[Any] | None,
) -> Float[jax.Array, "*batch channels frames"]:
    S = jnp.atleast_2d(jnp.asarray(S))
    S = S.astype(jnp.result_type(S, jnp.float32))
    if ref is None:
        before = S if max_size == 1 else maximum_filter(S, max_size, axis=-2)
    else:
        before = jnp.asarray(ref, S.dtype)
        require(before.shape == S.shape, "ref.shape", before.shape, f"S has shape {S.shape}")
    grown = at_least(S[..., lag:] - before[..., :-lag], 0.0)
    if aggregate is not False:
        grown = _grouped(grown, channels, jnp.mean if aggregate is None else traceable(aggregate))
    flux = jnp.pad(grown, [(0, 0)] * (grown.ndim - 1) + [(delay, 0)])
    if detrend:
        step = flux - jnp.pad(flux, [(0, 0)] * (flux.ndim - 1) + [(1, 0)])[..., :-1]
        flux = one_pole(step, 0.99, jnp.zeros_like(step[..., :1]))
    return flux[..., : S.shape[-1]] if cut else flux


def _grouped(
    x: Float[jax.Array, "*batch bands frames"],
    channels: Sequence[Any] | None,
    aggregate: Callable[..., Any],
) -> Float[jax.Array, "*batch channels frames"]:
    if channels is None:
        groups = [slice(None)]
    elif all(isinstance(c, slice) for c in channels):
        groups = list(channels)
    else:
        edges = sorted({min(int(c), x.shape[-2]) for c in channels})
        groups = [slice(a, b) for a, b in pairwise(edges)]
    return jnp.stack([jnp.asarray(aggregate(x[..., g, :], axis=-2)) for g in groups], axis=-2)
