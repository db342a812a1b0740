"""Onset strength: the increase of the spectrum's level from frame to frame."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Float, Num, Shaped

from kit.dsp.arrays import traceable
from kit.dsp.checks import AnyArray, Number, ParameterError, positive_int, require
from kit.dsp.decibel import at_least, power_to_db
from kit.dsp.iir import one_pole
from kit.dsp.jit import Length, by_clip
from kit.dsp.mel import melspectrogram
from kit.dsp.spectral.rank_filters import maximum_filter
from kit.dsp.stft import as_spectrogram, check_framing, magnitude, needs_length

# On CPU, XLA's maximum and minimum of NaN and a number may be the number.
_SKIP_NAN = ("max", "min", "amax", "amin")


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
    aggregate: Callable[..., Any] | bool | None = None,
    **kwargs: Any,
) -> Float[jax.Array, "*batch frames"]:
    """Return the spectral flux: the mean over bands of the increase in level.

    Args:
        y: waveforms (…, samples).
        sr: sample rate, Hz.
        S: log-power spectrogram (…, bands, frames), decibels, in place of `y`.
        lag: frames between the two compared frames.
        max_size: above 1, compare with the earlier frame's maximum over this number of neighbouring
            bands, which suppresses vibrato.
        ref: earlier spectrum, shaped like `S`, in place of `S`.
        detrend: remove slow changes by a high-pass filter.
        center: align frame t with the centre of the STFT's frame t.
        feature: function of `y`, `sr`, `n_fft`, `hop_length` and `kwargs` that returns a power
            spectrogram, in place of `melspectrogram`. It is called once, outside any program.
        aggregate: function of (array, axis=) over bands; the mean if not given. A NumPy function
            runs as the JAX function of its name. Other functions run on the host, outside `jit`.
        kwargs: `n_fft`, `hop_length`, and arguments of `feature`.
    Returns:
        Decibels per frame, in the precision of `y` or `S`. NaN for a frame that compares a level
        that is not finite.
    Raises:
        ParameterError: `lag` or `max_size` below 1, neither `y` nor `S`, a `ref` of another shape,
            a complex `S`, or as `melspectrogram`.
    Source: librosa 0.11 and 1.0 `onset.onset_strength`; Böck and Widmer 2013.

    Example:
        >>> y = np.zeros(22050, np.float32)
        >>> y[11264] = 1  # a click on frame 22
        >>> int(kit.dsp.onset_strength(y=y, sr=22050).argmax())
        23
    """
    if aggregate is False:
        raise ParameterError(
            "aggregate is False; use onset_strength_multi, which returns every band"
        )
    return _strength(
        *(y, sr, S, lag, max_size, ref, detrend, center, feature, aggregate, None), **kwargs
    )


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
    aggregate: Callable[..., Any] | bool | None = None,
    channels: Sequence[Any] | np.ndarray | None = None,
    **kwargs: Any,
) -> Float[jax.Array, "*batch channels frames"]:
    """Return `onset_strength` of several groups of bands.

    Args:
        y, sr, S, lag, max_size, ref, detrend, center, feature, kwargs: see `onset_strength`.
        n_fft, hop_length: sizes of the STFT, samples.
        aggregate: see `onset_strength`; False returns every band.
        channels: slices of bands, or the edges between groups of bands; one group of all bands if
            not given.
    Raises:
        ParameterError: as `onset_strength`, or an empty group.
    Source: librosa 0.11 and 1.0 `onset.onset_strength_multi`.

    Example:
        >>> y = np.zeros(11025, np.float32)
        >>> y[5632] = 1  # a click
        >>> kit.dsp.onset_strength_multi(y=y, channels=[0, 32, 64, 128]).shape  # groups, frames
        (3, 22)
    """
    options: dict[str, Any] = {"n_fft": n_fft, "hop_length": hop_length, **kwargs}
    groups = _groups(channels)
    return _strength(
        *(y, sr, S, lag, max_size, ref, detrend, center, feature, aggregate, groups), **options
    )


def _strength(
    y: Any,
    sr: Number,
    S: Any,
    lag: int,
    max_size: int,
    ref: Any,
    detrend: bool,
    center: bool,
    feature: Callable[..., Any] | None,
    aggregate: Any,
    groups: tuple[Any, ...] | None,
    *,
    n_fft: int = 2048,
    hop_length: int = 512,
    **kwargs: Any,
) -> Float[jax.Array, "..."]:
    n_fft, hop_length = positive_int("n_fft", n_fft), positive_int("hop_length", hop_length)
    if S is None and y is None:
        raise ParameterError("y and S: give one of them")
    if S is None and feature is not None and feature is not melspectrogram:
        # Outside any program, because a feature may need known values.
        made = feature(y=y, sr=sr, n_fft=n_fft, hop_length=hop_length, **kwargs)
        S = power_to_db(magnitude(made) if isinstance(made, Tracer) else np.abs(np.asarray(made)))
    if S is not None:
        y, S, kwargs = None, _two_axes(S), {}
    ref = None if ref is None else _two_axes(ref)
    known = aggregate is None or aggregate is False or callable(aggregate)
    require(known, "aggregate", aggregate, "it must be a function, False or None")
    aggregate = jnp.mean if aggregate is None else traceable(aggregate)
    framing: Any = {"lag": lag, "center": center, "n_fft": n_fft, "hop_length": hop_length}
    of_bands: Any = {"y": y, "sr": sr, "S": S, "ref": ref, "max_size": max_size, **kwargs}
    known = not any(isinstance(a, Tracer) for a in (y, S, ref))
    of_jax = aggregate is getattr(jnp, getattr(aggregate, "__name__", ""), None)
    if not known or not callable(aggregate) or of_jax:
        return flux(aggregate=aggregate, groups=groups, detrend=detrend, **framing, **of_bands)
    raw = {**framing, "center": False}
    every = np.asarray(flux(aggregate=False, groups=(), detrend=False, **raw, **of_bands))
    grown = _grouped(every[..., lag:], groups, aggregate, np)
    placed = _placed(grown=grown, detrend=detrend, **framing)
    frames = every.shape[-1] if S is None else S.shape[-1]
    # A lag above the number of frames makes more frames.
    return jax.device_put(np.asarray(placed)[..., :frames]) if center else placed


def _check(given: dict[str, Any]) -> None:
    positive_int("lag", given["lag"])
    positive_int("max_size", given["max_size"])
    S, ref = given["S"], given["ref"]
    if S is None:
        check_framing({**given, "center": True})
        return
    require(S.size, "S.shape", S.shape, "it must hold a band and a frame")
    require(not jnp.iscomplexobj(S), "S.dtype", S.dtype, "it must be decibels: take power_to_db")
    if ref is not None:
        require(ref.shape == S.shape, "ref.shape", ref.shape, f"S has shape {S.shape}")


def _exact(given: dict[str, Any]) -> bool:
    of_y = given["y"] is not None
    return of_y and (given["ref"] is not None or needs_length({**given, "center": True}))


@by_clip(y="t", S="bt", ref="bt", check=_check, exact=_exact, passes=(melspectrogram,))
def flux(
    n: Length,
    *,
    y: Any = None,
    sr: Number = 22050,
    S: Any = None,
    ref: Any = None,
    n_fft: int = 2048,
    hop_length: int = 512,
    lag: int = 1,
    max_size: int = 1,
    detrend: bool = False,
    center: bool = True,
    aggregate: Any = jnp.mean,
    groups: tuple[Any, ...] | None = None,
    **kwargs: Any,
) -> tuple[Float[jax.Array, "..."], Length]:
    """Return the onset strength of one clip: (frames,), or (channels, frames) with `groups`.

    `aggregate` can be traced, or is False for every band. `groups` is from `_groups`; None is one
    group without an axis.
    """
    if S is None:
        power, n = melspectrogram.of_clip(
            n, y=y, sr=sr, n_fft=n_fft, hop_length=hop_length, **kwargs
        )
        # Frames past the clip's end must not raise its peak.
        S = power_to_db(jnp.where(jnp.arange(power.shape[-1]) < n, power, 0))
    S = as_spectrogram(S)
    if ref is None:
        before = S if max_size == 1 else maximum_filter(S, max_size, axis=-2)
    else:
        before = as_spectrogram(ref, "ref").astype(S.dtype)
        require(before.shape == S.shape, "ref.shape", before.shape, f"S has shape {S.shape}")
    change = S[:, lag:] - before[:, :-lag]
    # A step down from infinity would count as no onset.
    grown = jnp.where(jnp.isfinite(change), at_least(change, 0.0), jnp.nan)
    if aggregate is not False:
        grown = _grouped(grown, groups, aggregate, jnp)
    framing: Any = {"lag": lag, "center": center, "n_fft": n_fft, "hop_length": hop_length}
    rest = max(n - lag, 0) if isinstance(n, int) else jnp.maximum(n - lag, 0)
    placed, valid = _placed.of_clip(rest, grown=grown, detrend=detrend, **framing)
    return (placed[..., : S.shape[-1]], n) if center else (placed, valid)


@by_clip(grown="t")
def _placed(
    n: Length,
    *,
    grown: Any,
    detrend: bool,
    lag: int,
    center: bool,
    n_fft: int,
    hop_length: int,
) -> tuple[Float[jax.Array, "..."], Length]:
    """Delay the increase by `lag` and the centre of the frame, and remove slow changes."""
    delay = lag + (n_fft // (2 * hop_length) if center else 0)
    placed = jnp.pad(grown, [(0, 0)] * (grown.ndim - 1) + [(delay, 0)])
    if detrend:
        step = placed - jnp.pad(placed, [(0, 0)] * (placed.ndim - 1) + [(1, 0)])[..., :-1]
        placed = one_pole(step, 0.99, jnp.zeros_like(step[..., :1]))
    return placed[..., : lag + grown.shape[-1]] if center else placed, lag + n


def _groups(channels: Any) -> tuple[Any, ...]:
    """Return groups of bands as hashable edges, or as (start, stop, step)."""
    if channels is None:
        return ((None, None, None),)
    channels = tuple(channels)
    if channels and all(isinstance(c, slice) for c in channels):
        return tuple((c.start, c.stop, c.step) for c in channels)
    edges = [positive_int("channels", c, least=0) for c in channels]
    require(len(set(edges)) > 1, "channels", channels, "it must be slices, or two or more bands")
    return tuple(sorted(set(edges)))


def _grouped(x: Any, groups: tuple[Any, ...] | None, aggregate: Callable[..., Any], xp: Any) -> Any:
    """Return one row for each group of bands; no axis of groups if `groups` is None."""
    bands = x.shape[-2]

    def reduced(part: Any) -> Any:
        require(part.shape[-2], "channels", groups, f"a group has none of the {bands} bands")
        out = xp.asarray(aggregate(part, axis=-2))
        if getattr(aggregate, "__name__", "") in _SKIP_NAN:
            out = xp.where(xp.isnan(part).any(axis=-2), xp.nan, out)
        return out

    if groups is None:
        return reduced(x)
    if isinstance(groups[0], int):
        edges = [g for g in groups if g <= bands]
        require(len(edges) > 1, "channels", groups, f"there are {bands} bands")
        parts = [slice(a, b) for a, b in pairwise(edges)]
    else:
        parts = [slice(*g) for g in groups]
    return xp.stack([reduced(x[..., part, :]) for part in parts], axis=-2)


def _two_axes(S: Any) -> Any:
    S = S if isinstance(S, jax.Array) else np.asarray(S)
    if S.ndim > 1:
        return S
    return S.reshape(1, -1) if isinstance(S, Tracer) else np.asarray(S).reshape(1, -1)
