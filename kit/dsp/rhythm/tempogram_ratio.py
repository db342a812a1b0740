"""Tempograms seen through ratios of tempi, and two tempograms as one."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.interpolate
from jaxtyping import Float, Num, Shaped

from kit.dsp.checks import AnyArray, Number, ParameterError, positive_int, require
from kit.dsp.jit import compiled
from kit.dsp.rhythm.onset import traceable
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
# Beat to bar: three, four, five and seven beats (Abimbola, Kostrzewa and Kasprowski 2023).
_METRES = (1 / 3, 1 / 4, 1 / 5, 1 / 7)
_NEIGHBOURS = ("linear", "nearest", "previous", "next")


@compiled("y", "onset_envelope", "tg", "bpm")
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
    """Return the tempogram at multiples of the tempo: which note values recur, at any tempo.

    Args:
        y, sr, hop_length, onset_envelope, win_length, center, window, norm: see `tempogram`.
        tg: tempogram (…, lags, frames) in place of y and the envelope.
        bpm: tempo in beats a minute, one or one for each frame (…, frames); that of `tempo`, frame
            by frame, if not given.
        start_bpm, std_bpm, max_tempo, prior: see `tempo`.
        freqs: beats a minute of each row of the tempogram, no two the same; of its lags if not
            given.
        factors: multiples of the tempo; if not given the 13 of a whole note (4), dotted half
            (8/3), half triplet (3), half (2), dotted quarter (4/3), quarter triplet (3/2), quarter
            (1), dotted eighth (2/3), eighth triplet (3/4), eighth (1/2), dotted sixteenth (1/3),
            sixteenth triplet (3/8) and sixteenth (1/4), in this order.
        aggregate: over frames, such as `jnp.mean`; every frame if not given.
        kind: between the rows: "linear", "nearest", "previous" or "next".
        fill_value: beyond the slowest and the fastest row.
    Raises:
        ParameterError: neither y, an envelope nor a tempogram, `freqs` that do not fit it, an
            unknown kind, or arguments that `tempogram` or `tempo` refuse.
    Source: librosa 0.11 `feature.tempogram_ratio`; Peeters 2005; Prockup et al. 2015.
    """
    known = f"it must be one of {', '.join(_NEIGHBOURS)}"
    require(kind in _NEIGHBOURS, "kind", kind, known)
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
    tg = _tempogram_of("tg", tg)
    if freqs is None:
        freqs = tempo_frequencies(tg.shape[-2], hop_length=hop_length, sr=sr)
    rows, order = _rows(freqs, tg.shape[-2])
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
    factors = jnp.asarray(_RATIOS if factors is None else np.asarray(factors), tg.dtype)
    bpm = jnp.asarray(bpm, tg.dtype)
    wanted = jnp.broadcast_to(bpm, (*tg.shape[:-2], tg.shape[-1]))[..., None] * factors
    by_frame = jnp.swapaxes(tg[..., order, :], -1, -2)
    ratios = jnp.swapaxes(_at_tempi(by_frame, rows, wanted, kind, fill_value), -1, -2)
    if aggregate is None:
        return ratios
    return jnp.asarray(traceable(aggregate)(ratios, axis=-1))


def _at_tempi(
    table: Float[jax.Array, "*batch frames rows"],
    rows: Float[np.ndarray, "rows"],
    wanted: Float[jax.Array, "*batch frames factors"],
    kind: str,
    fill_value: Number,
) -> Float[jax.Array, "*batch frames factors"]:
    """Interpolate each frame between rows of ascending tempi."""
    tempi = jnp.asarray(rows, table.dtype)
    above = jnp.clip(jnp.searchsorted(tempi, wanted), 1, len(rows) - 1)
    low, high = tempi[above - 1], tempi[above]
    part = (wanted - low) / (high - low)
    if kind == "nearest":
        part = jnp.where(part > 0.5, 1, 0)
    elif kind == "previous":
        part = jnp.where(part < 1, 0, 1)
    elif kind == "next":
        part = jnp.where(part > 0, 1, 0)
    left = jnp.take_along_axis(table, above - 1, axis=-1)
    right = jnp.take_along_axis(table, above, axis=-1)
    value = left + part * (right - left)
    outside = (wanted < tempi[0]) | (wanted > tempi[-1])
    # A tempo that is NaN lies nowhere, and its ratios are NaN.
    return jnp.where(outside, jnp.asarray(fill_value, value.dtype), value)


def metrogram(
    *,
    tg: Num[AnyArray, "..."],
    freqs: Any,
    factors: Any = None,
    aggregate: Callable[..., Any] | None = np.sum,
    kind: str = "linear",
    fill_value: Number = 0,
) -> Float[jax.Array, "*batch factors frames"] | Float[jax.Array, "*batch factors tempi frames"]:
    """Return how strongly a tempo and its fraction occur together: how many beats a bar has.

    Args:
        tg: tempogram (…, tempi, frames); a complex one, such as `fourier_tempogram`, may be given.
        freqs: its tempi, finite, no two the same.
        factors: fractions of a tempo; 1/3, 1/4, 1/5 and 1/7 if not given.
        aggregate: over the tempi; None gives the product at every tempo.
        kind: of interpolation along the tempi, as in `scipy.interpolate.interp1d`.
        fill_value: of the tempogram beyond its tempi.
    Raises:
        ParameterError: `freqs` that do not fit the tempogram, an unknown kind.
    Source: librosa 1.0 `feature.metrogram`; Cozens and Godsill 2023.
    """
    shape = np.shape(tg)
    require(len(shape) >= 2, "tg.shape", shape, "its last two axes are tempi and frames")
    tempi = np.asarray(freqs, np.float64)
    _rows(tempi, shape[-2])
    require(np.all(np.isfinite(tempi)), "freqs", freqs, "they must be finite")
    fractions = np.asarray(_METRES if factors is None else factors, np.float64)
    matrix, outside = _interpolation(tempi, np.multiply.outer(fractions, tempi), kind)
    return _products(tg=tg, matrix=matrix, fill=outside * float(fill_value), aggregate=aggregate)


@compiled("tg", "matrix", "fill")
def _products(*, tg: Any, matrix: Any, fill: Any, aggregate: Any) -> Any:
    tg = _tempogram_of("tg", tg)
    real = jnp.zeros((), tg.dtype).real.dtype
    matrix, fill = jnp.asarray(matrix, real), jnp.asarray(fill, real)
    slow = jnp.einsum("hif,...ft->...hit", matrix, tg, precision="highest") + fill[..., None]
    product = slow * tg[..., None, :, :]
    return product if aggregate is None else jnp.asarray(traceable(aggregate)(product, axis=-2))


@compiled("y", "onset_envelope")
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
) -> Float[jax.Array, "*batch tempi frames"]:
    """Return the geometric mean of `fourier_tempogram` and `tempogram`.

    One has peaks at multiples of the tempo, the other at its fractions; their product has those
    that both have.

    Args:
        y, sr, hop_length, onset_envelope, win_length, center, window: see `tempogram`.
        kind: of interpolation between the lags, as in `scipy.interpolate.interp1d`.
        fill_value: of the tempogram slower than its longest lag and faster than its shortest.
    Returns:
        tempi = win_length // 2 + 1, at the tempi of `fourier_tempogram`.
    Raises:
        ParameterError: `win_length` below 3, an unknown kind, neither y nor an envelope.
    Source: librosa 1.0 `feature.hybrid_tempogram`; Peeters 2005.
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
    by_frequency = magnitude(fourier_tempogram(**shared))
    by_lag = tempogram(**shared)[..., 1:, :]
    lags = tempo_frequencies(win_length, sr=sr, hop_length=hop_length)[1:]
    wanted = fft_frequencies(sr=sr * 60 / hop_length, n_fft=win_length)
    matrix, outside = _interpolation(lags, wanted, kind)
    resampled = jnp.einsum(
        "if,...ft->...it", jnp.asarray(matrix, by_lag.dtype), by_lag, precision="highest"
    ) + jnp.asarray(outside[:, None] * float(fill_value), by_lag.dtype)
    frames = min(by_frequency.shape[-1], by_lag.shape[-1])
    product = by_frequency[..., :frames] * jnp.abs(resampled[..., :frames])
    # A root has no slope at zero.
    return jnp.where(product == 0, 0, jnp.sqrt(jnp.where(product == 0, 1, product)))


def _interpolation(
    places: Float[np.ndarray, "rows"], wanted: Float[np.ndarray, "..."], kind: str
) -> tuple[Float[np.ndarray, "... rows"], Float[np.ndarray, "..."]]:
    """Return interpolation as a matrix, zero beyond the places, and where that is.

    Raises:
        ParameterError: an unknown kind, or too few rows for it.
    """
    try:
        function = scipy.interpolate.interp1d(
            places, np.eye(len(places)), axis=0, kind=kind, bounds_error=False, fill_value=0.0
        )
    except (NotImplementedError, ValueError) as error:
        raise ParameterError(f"kind is {kind!r}; scipy says: {error}") from None
    outside = (wanted < places.min()) | (wanted > places.max())
    return function(wanted), outside.astype(float)


def _rows(freqs: Any, rows: int) -> tuple[Float[np.ndarray, "rows"], np.ndarray]:
    """Return the finite tempi in ascending order, and the rows of the tempogram that have them."""
    tempi = np.asarray(freqs, np.float64)
    require(tempi.shape == (rows,), "freqs.shape", tempi.shape, f"the tempogram has {rows} rows")
    kept = np.flatnonzero(np.isfinite(tempi))
    order = kept[np.argsort(tempi[kept], kind="stable")]
    require(len(order) > 1, "freqs", freqs, "two of them must be finite")
    require(np.all(np.diff(tempi[order]) > 0), "freqs", freqs, "no two may be the same")
    return tempi[order], order


def _tempogram_of(name: str, tg: Any) -> jax.Array:
    tg = jnp.asarray(tg)
    require(tg.ndim >= 2, f"{name}.shape", tg.shape, "its last two axes are tempi and frames")
    return tg.astype(jnp.result_type(tg, jnp.float32))
