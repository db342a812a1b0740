"""Tempograms at ratios of the tempo, and the product of two tempograms."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.interpolate
from jax.core import Tracer
from jaxtyping import Float, Inexact, Num, Shaped

from kit.dsp.arrays import known, of_numpy, placed, traceable
from kit.dsp.checks import AnyArray, Number, ParameterError, numbers, one_of, positive_int, require
from kit.dsp.jit import Length, by_clip
from kit.dsp.rhythm.tempo import tempo
from kit.dsp.rhythm.tempogram import (
    Envelope,
    envelope_of,
    fourier_tempogram,
    tempo_frequencies,
    tempogram,
)
from kit.dsp.stft import fft_frequencies, magnitude
from kit.dsp.windows import WindowSpec

# Of the beat: a whole note of 4/4, dotted half, half, triplets, and so on down to a sixteenth
# (Prockup, Ehmann, Gouyon, Schmidt and Kim 2015, table 1).
_RATIOS = (4, 8 / 3, 3, 2, 4 / 3, 3 / 2, 1, 2 / 3, 3 / 4, 1 / 2, 1 / 3, 3 / 8, 1 / 4)
# Beat over bar, for three, four, five and seven beats (Abimbola, Kostrzewa and Kasprowski 2023).
_METRES = (1 / 3, 1 / 4, 1 / 5, 1 / 7)
_NEIGHBOURS = ("linear", "nearest", "previous", "next")


def tempogram_ratio(
    *,
    y: Shaped[AnyArray, "*batch samples"] | None = None,
    sr: Number = 22050,
    onset_envelope: Envelope = None,
    tg: Num[AnyArray, "..."] | None = None,
    bpm: Any = None,
    hop_length: int = 512,
    win_length: int = 384,
    start_bpm: Number = 120,
    std_bpm: Number = 1.0,
    max_tempo: Number | None = 320.0,
    freqs: Any = None,
    factors: Any = None,
    aggregate: Callable[..., Any] | None = None,
    prior: Any = None,
    center: bool = True,
    window: WindowSpec = "hann",
    kind: str = "linear",
    fill_value: Number = 0,
    norm: Number | None = np.inf,
) -> Float[jax.Array, "*batch factors frames"] | Float[jax.Array, "*batch factors"]:
    """Return the tempogram at multiples of the tempo, which shows the note values that recur.

    Args:
        y, sr, hop_length, onset_envelope, win_length, center, window, norm: see `tempogram`.
        tg: tempogram (…, lags, frames) in place of y and the envelope.
        bpm: tempo in beats a minute, one or one for each frame (…, frames); the result of `tempo`
            at each frame if not given.
        start_bpm, std_bpm, max_tempo, prior: see `tempo`.
        freqs: beats a minute of each row of the tempogram, no two the same; of its lags if not
            given.
        factors: multiples of the tempo; if not given the 13 of a whole note (4), dotted half
            (8/3), half triplet (3), half (2), dotted quarter (4/3), quarter triplet (3/2), quarter
            (1), dotted eighth (2/3), eighth triplet (3/4), eighth (1/2), dotted sixteenth (1/3),
            sixteenth triplet (3/8) and sixteenth (1/4), in this order.
        aggregate: function over frames, such as `jnp.mean`; None returns every frame.
        kind: interpolation between rows: "linear", "nearest", "previous" or "next".
        fill_value: value outside the tempi of the rows.
    Raises:
        ParameterError: neither y, an envelope nor a tempogram, `freqs` that do not fit it, an
            unknown kind, or arguments that `tempogram` or `tempo` refuse.
    Source: librosa 0.11 `feature.tempogram_ratio`; Peeters 2005; Prockup et al. 2015.

    Example:
        >>> tg = np.ones((64, 3), np.float32)
        >>> kit.dsp.tempogram_ratio(tg=tg, bpm=120.0, factors=[0.5, 1, 2]).shape  # factors, frames
        (3, 3)
    """
    one_of("kind", kind, _NEIGHBOURS)
    if tg is None:
        tg = tempogram(
            y=y,
            sr=sr,
            onset_envelope=onset_envelope,
            hop_length=hop_length,
            win_length=win_length,
            center=center,
            window=window,
            norm=norm,
        )
    rows, frames = _shape(tg)
    if freqs is None:
        freqs = tempo_frequencies(rows, hop_length=hop_length, sr=sr)
    tempi, order = _ascending(freqs, rows)
    if bpm is None:
        bpm = tempo(
            tg=tg,
            sr=sr,
            hop_length=hop_length,
            start_bpm=start_bpm,
            std_bpm=std_bpm,
            max_tempo=max_tempo,
            aggregate=None,
            prior=prior,
        )
    bpm = jnp.atleast_1d(bpm) if isinstance(bpm, Tracer) else np.atleast_1d(np.asarray(bpm))
    fits = bpm.shape[-1] in (1, frames)
    require(fits, "bpm.shape", bpm.shape, f"its last axis must be 1 or the {frames} frames")
    ratios = _ratios(
        tg=tg,
        bpm=bpm,
        tempi=tempi,
        order=order,
        factors=_factors(factors, _RATIOS),
        kind=kind,
        fill_value=float(fill_value),
    )
    return ratios if aggregate is None else _aggregated(aggregate, ratios)


@by_clip(tg="bt", bpm="t")
def _ratios(
    n: Length,
    *,
    tg: Any,
    bpm: Any,
    tempi: Float[np.ndarray, "rows"],
    order: np.ndarray,
    factors: Float[np.ndarray, "factors"],
    kind: str,
    fill_value: float,
) -> tuple[Float[jax.Array, "factors frames"], Length]:
    """Interpolate each frame between rows of ascending tempi."""
    # With 64 bits after 32, JAX (0.10) adds an int32 that it kept to indices of int64, and fails.
    table = tg[order.astype(np.int32), :].T.astype(jnp.result_type(tg, jnp.float32))
    places = jnp.asarray(tempi, table.dtype)
    wanted = jnp.asarray(bpm, table.dtype)[:, None] * jnp.asarray(factors, table.dtype)
    wanted = jnp.broadcast_to(wanted, (len(table), len(factors)))
    above = jnp.clip(jnp.searchsorted(places, wanted), 1, len(tempi) - 1)
    low, high = places[above - 1], places[above]
    part = (wanted - low) / (high - low)
    if kind == "nearest":
        part = jnp.where(part > 0.5, 1, 0)
    elif kind == "previous":
        part = jnp.where(part < 1, 0, 1)
    elif kind == "next":
        part = jnp.where(part > 0, 1, 0)
    left = jnp.take_along_axis(table, above - 1, axis=-1)
    right = jnp.take_along_axis(table, above, axis=-1)
    outside = (wanted < places[0]) | (wanted > places[-1])
    value = jnp.where(outside, fill_value, left + part * (right - left))
    return jnp.where(jnp.isnan(wanted), jnp.nan, value).T, n


def _aggregated(aggregate: Callable[..., Any], values: jax.Array, axis: int = -1) -> jax.Array:
    """Aggregate on the host if the values are known, without a program for each shape."""
    if isinstance(values, Tracer):
        return jnp.asarray(traceable(aggregate)(values, axis=axis))
    return placed(np.asarray(of_numpy(aggregate)(np.asarray(values), axis=axis)))


def metrogram(
    *,
    tg: Num[AnyArray, "..."],
    freqs: Any,
    factors: Any = None,
    aggregate: Callable[..., Any] | None = np.sum,
    kind: str = "linear",
    fill_value: Number = 0,
) -> (
    Inexact[jax.Array, "*batch factors frames"] | Inexact[jax.Array, "*batch factors tempi frames"]
):
    """Return the strength of a tempo together with its fraction, for the number of beats in a bar.

    Args:
        tg: tempogram (…, tempi, frames), real or complex (`fourier_tempogram`).
        freqs: its tempi, finite and distinct.
        factors: fractions of a tempo; 1/3, 1/4, 1/5 and 1/7 if not given.
        aggregate: function over the tempi; None gives the product at every tempo.
        kind: interpolation along the tempi, as in `scipy.interpolate.interp1d`.
        fill_value: value of the tempogram outside its tempi.
    Raises:
        ParameterError: `freqs` that do not fit the tempogram, an unknown kind.
    Source: librosa 1.0 `feature.metrogram`; Cozens and Godsill 2023.

    Example:
        >>> tg = np.array([[1.0], [0.0], [0.0], [1.0]])  # at 30 and at 120 beats a minute
        >>> kit.dsp.metrogram(tg=tg, freqs=[30, 60, 90, 120], factors=[1 / 2, 1 / 4]).tolist()
        [[0.0], [1.0]]
    """
    tempi = numbers("freqs", freqs)
    _ascending(tempi, _shape(tg)[0])
    require(np.all(np.isfinite(tempi)), "freqs", freqs, "they must be finite")
    fractions = _factors(factors, _METRES)
    matrix, outside = _interpolation(tempi, np.multiply.outer(fractions, tempi), kind)
    products = _products(tg=tg, matrix=matrix, fill=outside * float(fill_value))
    return products if aggregate is None else _aggregated(aggregate, products, axis=-2)


@by_clip(tg="bt")
def _products(
    n: Length, *, tg: Any, matrix: np.ndarray, fill: np.ndarray
) -> tuple[Inexact[jax.Array, "factors tempi frames"], Length]:
    tg = tg.astype(jnp.result_type(tg, jnp.float32))
    real = jnp.zeros((), tg.dtype).real.dtype
    slow = jnp.einsum("hif,ft->hit", jnp.asarray(matrix, real), tg, precision="highest")
    return (slow + jnp.asarray(fill, real)[..., None]) * tg, n


def hybrid_tempogram(
    *,
    y: Shaped[AnyArray, "*batch samples"] | None = None,
    sr: Number = 22050,
    onset_envelope: Envelope = None,
    hop_length: int = 512,
    win_length: int = 384,
    center: bool = True,
    window: WindowSpec = "hann",
    kind: str = "linear",
    fill_value: Number = 0.0,
) -> Float[jax.Array, "*batch tempi times"]:
    """Return the geometric mean of `fourier_tempogram` and `tempogram`.

    The first has peaks at multiples of the tempo, the second at its fractions. Their product keeps
    the peaks that both have.

    Args:
        y, sr, hop_length, onset_envelope, win_length, center, window: see `tempogram`.
        kind: interpolation between the lags, as in `scipy.interpolate.interp1d`.
        fill_value: value of the tempogram outside its lags.
    Returns:
        tempi = win_length // 2 + 1, at the tempi of `fourier_tempogram`.
    Raises:
        ParameterError: `win_length` below 3, an unknown kind, neither y nor an envelope.
    Source: librosa 1.0 `feature.hybrid_tempogram`; Peeters 2005.

    Example:
        >>> envelope = np.tile([1.0, 0.0, 0.0, 0.0], 8)
        >>> kit.dsp.hybrid_tempogram(onset_envelope=envelope, win_length=16).shape  # tempi, frames
        (9, 32)
    """
    win_length = positive_int("win_length", win_length, least=3)
    shared = {
        "onset_envelope": envelope_of(y, sr, onset_envelope, hop_length),
        "sr": sr,
        "hop_length": hop_length,
        "win_length": win_length,
        "center": center,
        "window": window,
    }
    by_frequency, by_lag = fourier_tempogram(**shared), tempogram(**shared)
    lags = tempo_frequencies(win_length, sr=sr, hop_length=hop_length)[1:]
    wanted = fft_frequencies(sr=sr * 60 / hop_length, n_fft=win_length)
    matrix, outside = _interpolation(lags, wanted, kind)
    frames = min(by_frequency.shape[-1], by_lag.shape[-1])
    return _geometric_mean(
        spectra=known(by_frequency)[..., :frames],
        lags=known(by_lag)[..., :frames],
        matrix=matrix,
        fill=outside * float(fill_value),
    )


@by_clip(spectra="bt", lags="bt")
def _geometric_mean(
    n: Length, *, spectra: Any, lags: Any, matrix: np.ndarray, fill: np.ndarray
) -> tuple[Float[jax.Array, "tempi frames"], Length]:
    weights = jnp.asarray(matrix, lags.dtype)
    resampled = jnp.einsum("if,ft->it", weights, lags[1:], precision="highest")
    resampled += jnp.asarray(fill, lags.dtype)[:, None]
    product = magnitude(spectra) * jnp.abs(resampled)
    # The root has no finite slope at zero.
    return jnp.where(product == 0, 0, jnp.sqrt(jnp.where(product == 0, 1, product))), n


def _interpolation(
    places: Float[np.ndarray, "rows"], wanted: Float[np.ndarray, "..."], kind: str
) -> tuple[Float[np.ndarray, "... rows"], Float[np.ndarray, "..."]]:
    """Return an interpolation matrix, zero outside `places`, and 1 where `wanted` is outside."""
    try:
        function = scipy.interpolate.interp1d(
            places, np.eye(len(places)), axis=0, kind=kind, bounds_error=False, fill_value=0.0
        )
    except (NotImplementedError, ValueError) as error:
        raise ParameterError(f"kind is {kind!r}; scipy says: {error}") from None
    outside = (wanted < places.min()) | (wanted > places.max())
    return function(wanted), outside.astype(float)


def _factors(factors: Any, default: Any) -> Float[np.ndarray, "factors"]:
    """Return factors of a tempo as a vector."""
    found = numbers("factors", default if factors is None else factors)
    require(found.ndim == 1 and len(found), "factors", factors, "it must be one axis of numbers")
    return found


def _ascending(freqs: Any, rows: int) -> tuple[Float[np.ndarray, "rows"], np.ndarray]:
    """Return the finite tempi in ascending order, and their rows of the tempogram."""
    tempi = numbers("freqs", freqs)
    require(tempi.shape == (rows,), "freqs.shape", tempi.shape, f"the tempogram has {rows} rows")
    kept = np.flatnonzero(np.isfinite(tempi))
    order = kept[np.argsort(tempi[kept], kind="stable")]
    require(len(order) > 1, "freqs", freqs, "two of them must be finite")
    require(np.all(np.diff(tempi[order]) > 0), "freqs", freqs, "no two may be the same")
    return tempi[order], order


def _shape(tg: Any) -> tuple[int, int]:
    shape = np.shape(tg)
    require(len(shape) >= 2, "tg.shape", shape, "its last two axes are tempi and frames")
    return shape[-2:]
