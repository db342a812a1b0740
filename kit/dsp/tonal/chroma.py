"""Pitch classes."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Num, Shaped

from kit.dsp.checks import AnyArray, Number, ParameterError, positive_int, require
from kit.dsp.jit import compiled
from kit.dsp.spectral.normalize import normalize, normalize_values
from kit.dsp.stft import spectrogram
from kit.dsp.tonal.constantq import cqt, hybrid_cqt, vqt
from kit.dsp.tonal.tuning import estimate_tuning, hz_to_octs
from kit.dsp.tonal.wavelet import C1_HZ
from kit.dsp.windows import get_window

_HIGHEST = jax.lax.Precision.HIGHEST


def chroma_filters(
    *,
    sr: Number,
    n_fft: int,
    n_chroma: int = 12,
    tuning: Number = 0.0,
    ctroct: Number = 5.0,
    octwidth: Number | None = 2,
    norm: Number | None = 2,
    base_c: bool = True,
    dtype: Any = np.float32,
) -> Float[np.ndarray, "n_chroma bins"]:
    """Weights that fold the bins of an STFT onto pitch classes.

    Args:
        sr, n_fft: of the STFT.
        n_chroma: pitch classes in an octave.
        tuning: of A440, in classes.
        ctroct, octwidth: centre and half width of the Gaussian over octaves; None weighs all alike.
        norm: of each bin's weights.
        base_c: class 0 is C, otherwise A.
        dtype: of the result; computed in float64.
    Source: librosa 0.11 `filters.chroma`; Ellis, "Chroma Feature Analysis and Synthesis", 2007.
    """
    n_chroma, n_fft = positive_int("n_chroma", n_chroma), positive_int("n_fft", n_fft)
    require(sr > 0, "sr", sr, "it must be above 0 Hz")
    frequencies = np.arange(1, n_fft) * (sr / n_fft)
    place = n_chroma * hz_to_octs(frequencies, tuning=tuning, bins_per_octave=n_chroma)
    # The bin at 0 Hz is set one and a half octaves below the first.
    place = np.concatenate([[place[0] - 1.5 * n_chroma], place])
    width = np.concatenate([np.maximum(np.diff(place), 1.0), [1.0]])
    away = place[None, :] - np.arange(n_chroma)[:, None]
    half = np.round(n_chroma / 2)
    away = np.remainder(away + half + 10 * n_chroma, n_chroma) - half
    weights = np.exp(-0.5 * (2 * away / width) ** 2)
    if norm is not None:
        weights = np.apply_along_axis(normalize_values, 0, weights, norm)
    if octwidth is not None:
        weights = weights * np.exp(-0.5 * ((place / n_chroma - ctroct) / octwidth) ** 2)
    if base_c:
        weights = np.roll(weights, -3 * (n_chroma // 12), axis=0)
    return np.ascontiguousarray(weights[:, : 1 + n_fft // 2], dtype=dtype)


def cq_to_chroma(
    n_input: int,
    *,
    bins_per_octave: int = 12,
    n_chroma: int = 12,
    fmin: Number | None = None,
    window: Any = None,
    base_c: bool = True,
    dtype: Any = np.float32,
) -> Float[np.ndarray, "n_chroma n_input"]:
    """Weights that fold the bins of a constant-Q transform onto pitch classes.

    Args:
        n_input: bins.
        bins_per_octave: a multiple of `n_chroma`.
        fmin: of bin 0, Hz; C1 if not given.
        window: convolved with each class's weights over the bins.
        base_c: class 0 is C, otherwise A.
    Raises:
        ParameterError: `bins_per_octave` no multiple of `n_chroma`.
    Source: librosa 0.11 `filters.cq_to_chroma`.
    """
    require(
        bins_per_octave % n_chroma == 0,
        "bins_per_octave",
        bins_per_octave,
        f"it must be a multiple of n_chroma (={n_chroma})",
    )
    merge = bins_per_octave // n_chroma
    lowest = C1_HZ if fmin is None else fmin
    above_c = (12 * np.log2(lowest / 440.0) + 69) % 12
    roll = round((above_c if base_c else above_c - 9) * (n_chroma / 12))
    bins = np.arange(n_input)
    of_bin = ((bins + merge // 2) // merge + roll) % n_chroma
    weights = (of_bin[None, :] == np.arange(n_chroma)[:, None]).astype(np.float64)
    if window is not None:
        taps = np.asarray(window, np.float64).reshape(-1)
        weights = np.stack([_same(row, taps) for row in weights])
    return weights.astype(dtype)


def _same(row: np.ndarray, taps: np.ndarray) -> np.ndarray:
    start = (len(taps) - 1) // 2
    return np.convolve(row, taps)[start : start + len(row)]


def chroma_stft(
    *,
    y: Shaped[AnyArray, "*batch samples"] | None = None,
    sr: Number = 22050,
    S: Num[AnyArray, "*batch bins frames"] | None = None,
    norm: Number | None = np.inf,
    n_fft: int = 2048,
    hop_length: int = 512,
    tuning: Number | None = None,
    n_chroma: int = 12,
    win_length: int | None = None,
    window: Any = "hann",
    center: bool = True,
    pad_mode: Any = "constant",
    **kwargs: Any,
) -> Float[jax.Array, "*batch n_chroma frames"]:
    """Chroma of a power spectrogram.

    Args:
        y, sr: waveforms and their rate.
        S: power in place of y.
        norm: of each frame; None for none.
        tuning: in classes; estimated if None, for which the values must be known: give a number to
            trace.
        n_chroma: classes.
        kwargs: to `chroma_filters`.
    Source: librosa 0.11 `feature.chroma_stft`.
    """
    S, n_fft = spectrogram(
        y=y,
        S=S,
        n_fft=n_fft,
        hop_length=hop_length,
        power=2,
        win_length=win_length,
        window=window,
        center=center,
        pad_mode=pad_mode,
    )
    if tuning is None:
        tuning = estimate_tuning(S=S, sr=sr, bins_per_octave=n_chroma)
    weights = chroma_filters(sr=sr, n_fft=n_fft, tuning=tuning, n_chroma=n_chroma, **kwargs)
    return normalize(_folded(weights, S), norm=norm, axis=-2)


def _folded(weights: np.ndarray, S: jax.Array) -> jax.Array:
    # Frame by frame, as the transform made them: turned around twice, nothing is moved.
    frames = jnp.swapaxes(S, -1, -2)
    folded = jnp.dot(frames, jnp.asarray(weights.T, S.dtype), precision=_HIGHEST)
    return jnp.swapaxes(folded, -1, -2)


def chroma_cqt(
    *,
    y: Shaped[AnyArray, "*batch samples"] | None = None,
    sr: Number = 22050,
    C: Num[AnyArray, "*batch bins frames"] | None = None,
    hop_length: int = 512,
    fmin: Number | None = None,
    norm: Number | None = np.inf,
    threshold: Number | None = 0.0,
    tuning: Number | None = None,
    n_chroma: int = 12,
    n_octaves: int = 7,
    window: Any = None,
    bins_per_octave: int | None = 36,
    cqt_mode: str = "full",
) -> Float[jax.Array, "*batch n_chroma frames"]:
    """Chroma of a constant-Q transform.

    Args:
        y, sr: waveforms and their rate.
        C: magnitudes of a constant-Q transform in place of y.
        hop_length, fmin, bins_per_octave, tuning: of the transform, over `n_octaves`; `tuning`
            estimated if None (give a number to trace).
        norm: of each frame.
        threshold: values below it are 0.
        n_chroma, window: see `cq_to_chroma`.
        cqt_mode: "full" or "hybrid".
    Source: librosa 0.11 `feature.chroma_cqt`.
    """
    bins_per_octave = n_chroma if bins_per_octave is None else bins_per_octave
    require(
        bins_per_octave % n_chroma == 0,
        "bins_per_octave",
        bins_per_octave,
        f"it must be a multiple of n_chroma (={n_chroma})",
    )
    require(cqt_mode in ("full", "hybrid"), "cqt_mode", cqt_mode, 'it must be "full" or "hybrid"')
    if C is None:
        if y is None:
            raise ParameterError("y and C: give one of them")
        transform = cqt if cqt_mode == "full" else hybrid_cqt
        C = transform(
            y,
            sr=sr,
            hop_length=hop_length,
            fmin=fmin,
            n_bins=n_octaves * bins_per_octave,
            bins_per_octave=bins_per_octave,
            tuning=tuning,
        )
    C = jnp.asarray(C)
    C = jnp.abs(C) if jnp.iscomplexobj(C) else C.astype(jnp.result_type(C, jnp.float32))
    weights = cq_to_chroma(
        C.shape[-2], bins_per_octave=bins_per_octave, n_chroma=n_chroma, fmin=fmin, window=window
    )
    return _thresholded(_folded(weights, C), threshold, norm)


def _thresholded(chroma: jax.Array, threshold: Number | None, norm: Number | None) -> jax.Array:
    if threshold is not None:
        chroma = jnp.where(chroma < threshold, 0, chroma)
    return normalize(chroma, norm=norm, axis=-2)


def chroma_vqt(
    *,
    y: Shaped[AnyArray, "*batch samples"] | None = None,
    sr: Number = 22050,
    V: Num[AnyArray, "*batch bins frames"] | None = None,
    hop_length: int = 512,
    fmin: Number | None = None,
    intervals: Any,
    norm: Number | None = np.inf,
    threshold: Number | None = 0.0,
    n_octaves: int = 7,
    bins_per_octave: int = 12,
    gamma: Number = 0,
) -> Float[jax.Array, "*batch n_chroma frames"]:
    """Chroma of a variable-Q transform, one class for each interval; arguments as in `vqt`.

    Source: librosa 0.11 `feature.chroma_vqt`.
    """
    bins_per_octave = bins_per_octave if isinstance(intervals, str) else len(intervals)
    if V is None:
        if y is None:
            raise ParameterError("y and V: give one of them")
        V = vqt(
            y,
            sr=sr,
            hop_length=hop_length,
            fmin=fmin,
            intervals=intervals,
            n_bins=n_octaves * bins_per_octave,
            bins_per_octave=bins_per_octave,
            gamma=gamma,
        )
    V = jnp.abs(jnp.asarray(V))
    weights = cq_to_chroma(
        V.shape[-2], bins_per_octave=bins_per_octave, n_chroma=bins_per_octave, fmin=fmin
    )
    return _thresholded(_folded(weights, V), threshold, norm)


@compiled("C")
def chroma_cens(
    *,
    y: Shaped[AnyArray, "*batch samples"] | None = None,
    norm: Number | None = 2,
    win_len_smooth: int | None = 41,
    smoothing_window: Any = "hann",
    **kwargs: Any,
) -> Float[jax.Array, "*batch n_chroma frames"]:
    """Chroma energy normalised statistics: quantised and smoothed over `win_len_smooth` frames.

    Args:
        y, kwargs: as in `chroma_cqt`.
        norm: of each frame.
        win_len_smooth: frames; None for no smoothing.
        smoothing_window: see `get_window`.
    Source: librosa 0.11 `feature.chroma_cens`; Müller and Ewert 2011.
    """
    if win_len_smooth is not None:
        win_len_smooth = positive_int("win_len_smooth", win_len_smooth)
    chroma = normalize(chroma_cqt(y=y, norm=None, **kwargs), norm=1, axis=-2)
    steps = jnp.asarray([0.4, 0.2, 0.1, 0.05], chroma.dtype)
    quantised = jnp.sum(chroma[..., None] > steps, axis=-1) * jnp.asarray(0.25, chroma.dtype)
    if win_len_smooth is not None:
        taps = get_window(smoothing_window, win_len_smooth + 2, fftbins=False)
        taps = jnp.asarray(taps / taps.sum(), chroma.dtype)
        half = len(taps) // 2
        rows = quantised.reshape(-1, quantised.shape[-1])
        full = jax.vmap(lambda row: jnp.convolve(row, taps))(rows)
        start = (len(taps) - 1) - half
        quantised = full[:, start : start + rows.shape[1]].reshape(quantised.shape)
    return normalize(quantised, norm=norm, axis=-2)


@compiled("chroma")
def tonnetz(
    *,
    y: Shaped[AnyArray, "*batch samples"] | None = None,
    sr: Number = 22050,
    chroma: Num[AnyArray, "*batch n_chroma frames"] | None = None,
    **kwargs: Any,
) -> Float[jax.Array, "*batch 6 frames"]:
    """Chroma as a point on circles of fifths, minor thirds and major thirds (sine, cosine of each).

    Args:
        y, sr, kwargs: as in `chroma_cqt`.
        chroma: in place of y.
    Source: librosa 0.11 `feature.tonnetz`; Harte, Sandler and Gasser 2006.
    """
    if chroma is None:
        if y is None:
            raise ParameterError("y and chroma: give one of them")
        chroma = chroma_cqt(y=y, sr=sr, **kwargs)
    chroma = jnp.asarray(chroma)
    place = np.linspace(0, 12, num=chroma.shape[-2], endpoint=False)
    turns = np.array([7 / 6, 7 / 6, 3 / 2, 3 / 2, 2 / 3, 2 / 3])[:, None] * place
    # Even rows are sines: half a turn behind, in units of pi.
    turns[::2] -= 0.5
    radius = np.array([1, 1, 1, 1, 0.5, 0.5])[:, None]
    weights = radius * np.cos(np.pi * turns)
    return _folded(weights, normalize(chroma, norm=1, axis=-2))
