"""Separation of harmonic and percussive sound."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Inexact, Num, Shaped

from kit.dsp.checks import (
    NUMBER,
    AnyArray,
    Number,
    as_waveform,
    of_kind,
    positive_int,
    require,
)
from kit.dsp.decibel import safe_power
from kit.dsp.effects.istft import check_round_trip, sizes_of_stft, synthesis
from kit.dsp.effects.phase_vocoder import split_phase
from kit.dsp.jit import Length, by_clip, elementwise
from kit.dsp.spectral.rank_filters import median_filter
from kit.dsp.stft import as_spectrogram, energies, map_spectrum, needs_length, stft

Parts = tuple[Inexact[jax.Array, "bins frames"], Inexact[jax.Array, "bins frames"]]


def softmask(
    X: Num[AnyArray, "*shape"],
    X_ref: Num[AnyArray, "*shape"],
    *,
    power: Number = 1,
    split_zeros: bool = False,
) -> Float[jax.Array, "*shape"]:
    """Return X^power / (X^power + X_ref^power).

    Args:
        X, X_ref: at least 0.
        power: `np.inf` makes a mask of 0 and 1.
        split_zeros: return 0.5 where both are 0; otherwise 0.
    Raises:
        ParameterError: shapes that differ, negative or complex values, `power` not above 0.
    Source: librosa 0.11 `util.softmask`.

    Example:
        >>> kit.dsp.softmask(np.array([3.0, 0.0]), np.array([1.0, 2.0]), power=1)
        Array([0.75, 0.  ], dtype=float32)
    """
    require(power > 0, "power", power, "it must be above 0")
    both = [v if isinstance(v, jax.Array) else np.asarray(v) for v in (X, X_ref)]
    require(both[0].shape == both[1].shape, "X.shape", both[0].shape, f"X_ref has {both[1].shape}")
    for value in both:
        energies("a mask", value, "X, X_ref")
    return _softmask(*both, power=power, split_zeros=split_zeros)


@elementwise("X", "X_ref")
def _softmask(
    X: Num[AnyArray, "*shape"], X_ref: Num[AnyArray, "*shape"], *, power: Number, split_zeros: bool
) -> Float[jax.Array, "*shape"]:
    X, X_ref = (v.astype(jnp.result_type(v, jnp.float32)) for v in map(jnp.asarray, (X, X_ref)))
    return masks(X, X_ref, power, split_zeros)


def masks(
    X: Float[jax.Array, "*shape"], X_ref: Float[jax.Array, "*shape"], power: Number, split: bool
) -> Float[jax.Array, "*shape"]:
    """Return `softmask` of values of at least 0; NaN if one of both is NaN."""
    # On CPU, XLA's maximum of a NaN and a number may be the number.
    spoilt = jnp.isnan(X) | jnp.isnan(X_ref)
    if not np.isfinite(power):
        return jnp.where(spoilt, jnp.nan, (X_ref < X).astype(X.dtype))
    larger = jnp.where(X_ref < X, X, X_ref)
    nothing = larger < jnp.finfo(larger.dtype).tiny
    larger = jnp.where(nothing, 1, larger)
    mine, other = (safe_power(v / larger, power) for v in (X, X_ref))
    share = mine / jnp.where(nothing, 1, mine + other)
    share = jnp.where(nothing, 0.5 if split else 0.0, share)
    return jnp.where(spoilt, jnp.nan, share)


def _check_spectrum(given: dict[str, Any]) -> None:
    if not jnp.iscomplexobj(given["S"]):
        energies("the separation", given["S"])


@by_clip(S="bt", check=_check_spectrum)
def hpss_spectrum(
    n: Length,
    S: Num[AnyArray, "*batch bins frames"],
    *,
    kernel_size: Any = 31,
    power: Number = 2.0,
    mask: bool = False,
    margin: Any = 1.0,
) -> tuple[Parts, Length]:
    """Return the harmonic and the percussive part of a spectrogram.

    The harmonic part is smooth in time, the percussive part in frequency.

    Args:
        S: (…, bins, frames), complex or magnitudes.
        kernel_size: length of the median filters, (frames, bins) or one for both.
        power: exponent of the soft mask; `np.inf` for a hard one.
        mask: return the masks in place of the parts.
        margin: factor by which one part must exceed the other, (harmonic, percussive) or one for
            both; above 1 the parts do not sum to S.
    Raises:
        ParameterError: a margin below 1, a kernel or power not above 0, magnitudes below 0.
    Source: librosa 0.11 `decompose.hpss`; Fitzgerald 2010; Driedger, Müller and Disch 2014.

    Example:
        >>> S = np.zeros((64, 64), np.float32)
        >>> S[10], S[:, 20] = 1, 1  # a tone and a click
        >>> harmonic, percussive = kit.dsp.hpss_spectrum(S)
        >>> float(harmonic[10, 40]), float(percussive[40, 20])
        (1.0, 1.0)
    """
    parts = separated(
        as_spectrogram(S), n, -1, kernel_size=kernel_size, power=power, mask=mask, margin=margin
    )
    return parts, n


def separated(
    S: Inexact[jax.Array, "rows columns"],
    n: Length,
    time_axis: int,
    *,
    kernel_size: Any,
    power: Number,
    mask: bool,
    margin: Any,
) -> Parts:
    """Return the parts of one spectrogram with `n` valid frames on `time_axis`, or the masks.

    Arguments are as in `hpss_spectrum`; `time_axis` is -1 or -2.
    """
    size, phase = split_phase(S)
    in_time, in_frequency = _pair("kernel_size", kernel_size)
    margin_harmonic, margin_percussive = (
        of_kind("margin", value, NUMBER) for value in _pair("margin", margin)
    )
    require(min(margin_harmonic, margin_percussive) >= 1, "margin", margin, "it must be at least 1")
    in_time = positive_int("kernel_size", in_time)
    in_frequency = positive_int("kernel_size", in_frequency)
    require(power > 0, "power", power, "it must be above 0")
    harmonic = median_filter(size, in_time, axis=time_axis, n=n)
    percussive = median_filter(size, in_frequency, axis=-3 - time_axis)
    even = margin_harmonic == 1 and margin_percussive == 1
    of_harmonic = masks(harmonic, percussive * margin_harmonic, power, even)
    of_percussive = masks(percussive, harmonic * margin_percussive, power, even)
    if mask:
        return of_harmonic, of_percussive
    return size * of_harmonic * phase, size * of_percussive * phase


def _pair(name: str, value: Any) -> tuple[Any, Any]:
    if isinstance(value, tuple | list):
        require(len(value) == 2, name, value, "it must be two numbers, or one for both")
        return value[0], value[1]
    return value, value


@by_clip(y="t", check=check_round_trip, exact=needs_length, passes=(stft,))
def hpss(
    n: Length,
    y: Shaped[AnyArray, "*batch samples"],
    *,
    kernel_size: Any = 31,
    power: Number = 2.0,
    mask: bool = False,
    margin: Any = 1.0,
    **stft_arguments: Any,
) -> tuple[tuple[Float[jax.Array, "*batch samples"], Float[jax.Array, "*batch samples"]], Length]:
    """Return the harmonic and the percussive part of a waveform.

    Args:
        y: waveforms (…, samples).
        kernel_size, power, mask, margin: see `hpss_spectrum`.
        stft_arguments: see `stft`.
    Raises:
        ParameterError: as `hpss_spectrum` and `stft`.
    Source: librosa 0.11 `effects.hpss`.

    Example:
        >>> y = np.zeros(1024)
        >>> y[512] = 1  # a click
        >>> harmonic, percussive = kit.dsp.hpss(y, n_fft=64, kernel_size=11)
        >>> int(percussive.argmax()), float(abs(harmonic).max().round(2))
        (512, 0.0)
    """
    y = as_waveform(y)
    complex_type = jnp.result_type(y.dtype, jnp.complex64)
    rows, frames = map_spectrum(lambda D: D.astype(complex_type), n, y, **stft_arguments)
    parts = separated(
        rows, frames, -2, kernel_size=kernel_size, power=power, mask=mask, margin=margin
    )

    def back(part: jax.Array) -> jax.Array:
        return synthesis(
            lambda at: part[at].astype(complex_type),
            frames,
            sizes_of_stft(stft_arguments),
            window=stft_arguments.get("window", "hann"),
            size=len(y),
            valid=n,
        )

    return (back(parts[0]), back(parts[1])), n


@by_clip(y="t", check=check_round_trip, exact=needs_length, passes=(stft,))
def harmonic(
    n: Length,
    y: Shaped[AnyArray, "*batch samples"],
    *,
    kernel_size: Any = 31,
    power: Number = 2.0,
    mask: bool = False,
    margin: Any = 1.0,
    **stft_arguments: Any,
) -> tuple[Float[jax.Array, "*batch samples"], Length]:
    """Return only the harmonic part; arguments as in `hpss`.

    Source: librosa 0.11 `effects.harmonic`.

    Example:
        >>> y = np.zeros(1024)
        >>> y[512] = 1  # a click
        >>> float(abs(kit.dsp.harmonic(y, n_fft=64, kernel_size=11)).max().round(2))
        0.0
    """
    options = {"kernel_size": kernel_size, "power": power, "mask": mask, "margin": margin}
    return hpss.of_clip(n, y, **options, **stft_arguments)[0][0], n


@by_clip(y="t", check=check_round_trip, exact=needs_length, passes=(stft,))
def percussive(
    n: Length,
    y: Shaped[AnyArray, "*batch samples"],
    *,
    kernel_size: Any = 31,
    power: Number = 2.0,
    mask: bool = False,
    margin: Any = 1.0,
    **stft_arguments: Any,
) -> tuple[Float[jax.Array, "*batch samples"], Length]:
    """Return only the percussive part; arguments as in `hpss`.

    Source: librosa 0.11 `effects.percussive`.

    Example:
        >>> y = np.zeros(1024)
        >>> y[512] = 1  # a click
        >>> int(kit.dsp.percussive(y, n_fft=64, kernel_size=11).argmax())
        512
    """
    options = {"kernel_size": kernel_size, "power": power, "mask": mask, "margin": margin}
    return hpss.of_clip(n, y, **options, **stft_arguments)[0][1], n
