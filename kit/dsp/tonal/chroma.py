"""Pitch classes."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer
from jaxtyping import Float, Num, Shaped

from kit.dsp.checks import (
    AnyArray,
    Number,
    ParameterError,
    as_waveform,
    positive_int,
    require,
)
from kit.dsp.framing import frames_first
from kit.dsp.jit import Length, by_clip
from kit.dsp.spectral.normalize import check_norm, normalize
from kit.dsp.stft import (
    PadMode,
    as_spectrogram,
    check_framing,
    map_magnitude,
    n_fft_of,
    needs_length,
    scale_of,
)
from kit.dsp.tonal.chroma_weights import chroma_filters, cq_to_chroma
from kit.dsp.tonal.constantq import as_clips, check_short, response
from kit.dsp.tonal.filters import Bins, Filters, Shape, Transform, hybrid_filters, octave_filters
from kit.dsp.tonal.octaves import HIGHEST
from kit.dsp.tonal.tuning import by_tuning, clip_tunings
from kit.dsp.tonal.wavelet import Intervals, bins_of_octave
from kit.dsp.windows import WindowSpec, get_window


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
    window: WindowSpec = "hann",
    center: bool = True,
    pad_mode: PadMode = "constant",
    **kwargs: Any,
) -> Float[jax.Array, "*batch n_chroma frames"]:
    """Return the chroma of a power spectrogram.

    Args:
        y, sr: waveforms and their rate.
        S: power in place of y.
        norm: order of each frame's norm; None for no scaling.
        n_fft, hop_length, win_length, window, center, pad_mode: see `stft`.
        tuning: offset in classes; estimated for each clip if None, which needs known values.
        n_chroma: pitch classes in an octave.
        kwargs: arguments of `chroma_filters`.
    Raises:
        ParameterError: neither y nor S; `tuning` is None and they are traced; or as `stft` and
            `chroma_filters`.
    Source: librosa 0.11 `feature.chroma_stft`.

    Example:
        >>> y = np.sin(2 * np.pi * 440 * np.arange(22050) / 22050)
        >>> int(kit.dsp.chroma_stft(y=y, tuning=0.0)[:, 20].argmax())  # 0 is C, 9 is A
        9
    """
    check_norm(norm)
    framing: dict[str, Any] = {
        "n_fft": n_fft,
        "hop_length": hop_length,
        "win_length": win_length,
        "window": window,
        "center": center,
        "pad_mode": pad_mode,
    }
    if y is None and S is None:
        raise ParameterError("y and S: give one of them")
    if S is not None:
        S = S if isinstance(S, jax.Array) else np.asarray(S)
        require(S.ndim >= 2, "S.shape", S.shape, "its last two axes are bins and frames")
    of_filters: dict[str, Any] = {"sr": sr, "n_fft": n_fft_of(S, n_fft), "n_chroma": n_chroma}
    of_filters |= kwargs
    if tuning is not None:
        weights = chroma_filters(tuning=tuning, **of_filters)
        return _chroma_of_spectrum(y=y, S=S, weights=weights, norm=norm, **framing)
    if S is None:
        assert y is not None
        require(not isinstance(y, Tracer), "tuning", None, "give a number where y is traced")
        S = _power(y=y, **framing)
    tunings = clip_tunings(S=S, sr=sr, bins_per_octave=n_chroma)
    filters = {t: chroma_filters(tuning=t, **of_filters) for t in np.unique(tunings).tolist()}
    weights = np.array([filters[t] for t in tunings.reshape(-1).tolist()])
    weights = weights.reshape(*tunings.shape, n_chroma, of_filters["n_fft"] // 2 + 1)
    return _chroma_of_spectrum(y=None, S=S, weights=weights, norm=norm, **framing)


@by_clip(y="t", S="bt", weights="cb", check=check_framing, exact=needs_length)
def _chroma_of_spectrum(
    n: Length,
    *,
    y: Shaped[AnyArray, "*batch samples"] | None,
    S: Num[AnyArray, "*batch bins frames"] | None,
    weights: Float[AnyArray, "*batch n_chroma bins"],
    norm: Number | None,
    **framing: Any,
) -> tuple[Float[jax.Array, "*batch n_chroma frames"], Length]:
    if y is not None and norm is not None:
        y = as_waveform(y)
        y = y * scale_of(y)

    def fold(rows: Num[jax.Array, "rows bins"]) -> Num[jax.Array, "rows n_chroma"]:
        folded = jnp.dot(rows, jnp.asarray(weights, rows.dtype).T, precision=HIGHEST)
        return normalize(folded, norm=norm, axis=-1)

    return map_magnitude(fold, n, y=y, S=S, power=2, time_last=True, **framing)


@by_clip(y="t", check=check_framing, exact=needs_length)
def _power(
    n: Length, *, y: Shaped[AnyArray, "*batch samples"], **framing: Any
) -> tuple[Float[jax.Array, "*batch bins frames"], Length]:
    return map_magnitude(lambda rows: rows, n, y=y, S=None, power=2, time_last=True, **framing)


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
    """Return the chroma of a constant-Q transform.

    Args:
        y, sr: waveforms and their rate.
        C: a constant-Q transform, or its magnitudes, in place of y.
        hop_length, fmin, bins_per_octave: see `cqt`.
        tuning: see `cqt`; estimated for each clip if None, which needs known values.
        n_octaves: octaves of the transform.
        norm: order of each frame's norm.
        threshold: values below it are set to 0.
        n_chroma, window: see `cq_to_chroma`.
        cqt_mode: "full" or "hybrid".
    Raises:
        ParameterError: neither y nor C, or as `cqt` and `cq_to_chroma`.
    Source: librosa 0.11 `feature.chroma_cqt`.

    Example:
        >>> C = np.zeros((84, 10), np.float32)
        >>> C[9::12] = 1  # A in seven octaves
        >>> int(kit.dsp.chroma_cqt(C=C, bins_per_octave=12)[:, 0].argmax())  # 0 is C, 9 is A
        9
    """
    bins_per_octave = n_chroma if bins_per_octave is None else bins_per_octave
    require(cqt_mode in ("full", "hybrid"), "cqt_mode", cqt_mode, 'it must be "full" or "hybrid"')
    n_octaves = positive_int("n_octaves", n_octaves)

    bins = Bins(
        sr, hop_length, fmin, n_octaves * bins_per_octave, bins_per_octave, n_octaves=n_octaves
    )
    filters_of = hybrid_filters if cqt_mode == "hybrid" else octave_filters

    def weights_of(bins: int) -> np.ndarray:
        return cq_to_chroma(
            bins, bins_per_octave=bins_per_octave, n_chroma=n_chroma, fmin=fmin, window=window
        )

    weights_of(n_octaves * bins_per_octave)
    return _of_transform(y, "C", C, filters_of, bins, tuning, weights_of, threshold, norm)


def _of_transform(
    y: Any,
    name: str,
    C: Any,
    filters_of: Callable[[Bins, Shape, Number], Filters],
    bins: Bins,
    tuning: Number | None,
    weights_of: Callable[[int], np.ndarray],
    threshold: Number | None,
    norm: Number | None,
) -> jax.Array:
    check_norm(norm)
    known = threshold is None or not np.isnan(threshold)
    require(known, "threshold", threshold, "it must be a number or None")
    shared: dict[str, Any] = {"threshold": threshold, "norm": norm}
    if C is not None:
        C = C if isinstance(C, jax.Array) else np.asarray(C)
        require(C.ndim >= 2, f"{name}.shape", C.shape, "its last two axes are bins and frames")
        weights = weights_of(C.shape[-2])
        return _chroma(y=None, C=C, filters=None, weights=weights, plan=None, **shared)
    if y is None:
        raise ParameterError(f"y and {name}: give one of them")

    def of_tuning(y: AnyArray, tuning: Number) -> jax.Array:
        plan, values = filters_of(bins, Shape(), tuning)
        weights = weights_of(plan.bins)
        return _chroma(y=y, C=None, filters=values, weights=weights, plan=plan, **shared)

    y = as_clips(y)
    return by_tuning(of_tuning, y, sr=bins.sr, bins_per_octave=bins.per_octave, tuning=tuning)


@by_clip(y="t", C="bt", filters="w", weights="cb", check=check_short)
def _chroma(
    n: Length,
    *,
    y: Shaped[AnyArray, "*batch samples"] | None,
    C: Num[AnyArray, "*batch bins frames"] | None,
    filters: Float[AnyArray, "*batch values"] | None,
    weights: Float[AnyArray, "*batch n_chroma bins"],
    plan: Transform | None,
    threshold: Number | None,
    norm: Number | None,
) -> tuple[Float[jax.Array, "*batch n_chroma frames"], Length]:
    if C is None:
        assert y is not None
        assert filters is not None
        assert plan is not None
        C, n = response(n, y, filters, plan, "constant")
    # The transform computes frames as rows, so XLA removes both transpositions.
    rows = jnp.swapaxes(jnp.abs(as_spectrogram(C)), 0, 1)
    chroma = jnp.dot(rows, jnp.asarray(weights, rows.dtype).T, precision=HIGHEST)
    if threshold is not None:
        chroma = jnp.where(chroma < threshold, 0, chroma)
    return jnp.swapaxes(normalize(chroma, norm=norm, axis=-1), 0, 1), n


def chroma_vqt(
    *,
    y: Shaped[AnyArray, "*batch samples"] | None = None,
    sr: Number = 22050,
    V: Num[AnyArray, "*batch bins frames"] | None = None,
    hop_length: int = 512,
    fmin: Number | None = None,
    intervals: Intervals,
    norm: Number | None = np.inf,
    threshold: Number | None = 0.0,
    n_octaves: int = 7,
    bins_per_octave: int = 12,
    gamma: Number | None = 0,
) -> Float[jax.Array, "*batch n_chroma frames"]:
    """Return the chroma of a variable-Q transform, one class for each interval.

    Arguments are as in `vqt` and `chroma_cqt`.

    Source: librosa 0.11 `feature.chroma_vqt`.

    Example:
        >>> V = np.zeros((6, 1), np.float32)
        >>> V[1::3] = 1  # the third in two octaves
        >>> kit.dsp.chroma_vqt(V=V, intervals=[1, 5 / 4, 3 / 2]).tolist()
        [[0.0], [1.0], [0.0]]
    """
    count = bins_of_octave(intervals, bins_per_octave)
    n_octaves = positive_int("n_octaves", n_octaves)

    bins = Bins(sr, hop_length, fmin, n_octaves * count, count, intervals, gamma, n_octaves)

    def weights_of(bins: int) -> np.ndarray:
        return cq_to_chroma(bins, bins_per_octave=count, n_chroma=count, fmin=fmin)

    return _of_transform(y, "V", V, octave_filters, bins, 0.0, weights_of, threshold, norm)


def chroma_cens(
    *,
    y: Shaped[AnyArray, "*batch samples"] | None = None,
    sr: Number = 22050,
    C: Num[AnyArray, "*batch bins frames"] | None = None,
    hop_length: int = 512,
    fmin: Number | None = None,
    tuning: Number | None = None,
    n_chroma: int = 12,
    n_octaves: int = 7,
    bins_per_octave: int | None = 36,
    cqt_mode: str = "full",
    window: Any = None,
    norm: Number | None = 2,
    win_len_smooth: int | None = 41,
    smoothing_window: WindowSpec = "hann",
) -> Float[jax.Array, "*batch n_chroma frames"]:
    """Return chroma energy normalised statistics: quantised and smoothed chroma.

    Args:
        y, sr, C, hop_length, fmin, tuning: see `chroma_cqt`.
        n_chroma, n_octaves, bins_per_octave, cqt_mode, window: see `chroma_cqt`.
        norm: order of each frame's norm.
        win_len_smooth: length of the smoothing in frames; None for no smoothing.
        smoothing_window: see `get_window`.
    Returns:
        A frame that is not finite is NaN, and so are the frames smoothed with it.
    Raises:
        ParameterError: as `chroma_cqt`, or a smoothing window out of its range.
    Source: librosa 0.11 `feature.chroma_cens`; Müller and Ewert 2011.

    Example:
        >>> C = np.zeros((84, 60), np.float32)
        >>> C[9::12] = 1  # A in seven octaves
        >>> int(kit.dsp.chroma_cens(C=C, bins_per_octave=12)[:, 30].argmax())  # 0 is C, 9 is A
        9
    """
    if win_len_smooth is not None:
        win_len_smooth = positive_int("win_len_smooth", win_len_smooth)
    check_norm(norm)
    chroma = chroma_cqt(
        y=y,
        sr=sr,
        C=C,
        hop_length=hop_length,
        fmin=fmin,
        norm=None,
        tuning=tuning,
        n_chroma=n_chroma,
        n_octaves=n_octaves,
        window=window,
        bins_per_octave=bins_per_octave,
        cqt_mode=cqt_mode,
    )
    return _cens(
        chroma=chroma, norm=norm, win_len_smooth=win_len_smooth, smoothing_window=smoothing_window
    )


@by_clip(chroma="bt")
def _cens(
    n: Length,
    *,
    chroma: Num[AnyArray, "*batch n_chroma frames"],
    norm: Number | None,
    win_len_smooth: int | None,
    smoothing_window: WindowSpec,
) -> tuple[Float[jax.Array, "*batch n_chroma frames"], Length]:
    chroma = normalize(as_spectrogram(chroma, "chroma"), norm=1, axis=-2)
    steps = np.array([0.4, 0.2, 0.1, 0.05], chroma.dtype)
    quantised = jnp.sum(chroma[..., None] > steps, axis=-1) * np.asarray(0.25, chroma.dtype)
    whole = jnp.all(jnp.isfinite(chroma), axis=0)
    quantised = jnp.where(whole, quantised, jnp.nan)
    if win_len_smooth is not None:
        taps = get_window(smoothing_window, win_len_smooth + 2, fftbins=False)
        taps = taps / taps.sum()
        start = (len(taps) - 1) - len(taps) // 2
        inside = jnp.arange(quantised.shape[1]) < n
        rows = jnp.pad(jnp.where(inside, quantised, 0), [(0, 0), (len(taps), len(taps))])
        full = frames_first(rows, len(taps), 1, chroma.shape[1] + len(taps))
        smooth = jnp.dot(full, jnp.asarray(taps[::-1].copy(), chroma.dtype), precision=HIGHEST)
        quantised = lax.dynamic_slice_in_dim(smooth, start + 1, chroma.shape[1], axis=1)
    return normalize(quantised, norm=norm, axis=-2), n


def tonnetz(
    *,
    y: Shaped[AnyArray, "*batch samples"] | None = None,
    sr: Number = 22050,
    chroma: Num[AnyArray, "*batch n_chroma frames"] | None = None,
    **kwargs: Any,
) -> Float[jax.Array, "*batch 6 frames"]:
    """Return chroma as points on the circles of fifths, minor thirds and major thirds.

    Args:
        y, sr, kwargs: as in `chroma_cqt`.
        chroma: in place of y.
    Returns:
        Sine and cosine of each circle.
    Raises:
        ParameterError: neither y nor chroma, or as `chroma_cqt`.
    Source: librosa 0.11 `feature.tonnetz`; Harte, Sandler and Gasser 2006.

    Example:
        >>> chroma = np.eye(12, dtype=np.float32)
        >>> kit.dsp.tonnetz(chroma=chroma).shape
        (6, 12)
    """
    if chroma is None:
        if y is None and kwargs.get("C") is None:
            raise ParameterError("y and chroma: give one of them")
        chroma = chroma_cqt(y=y, sr=sr, **kwargs)
    return _tonnetz(chroma=chroma)


@by_clip(chroma="bt")
def _tonnetz(
    n: Length, *, chroma: Num[AnyArray, "*batch n_chroma frames"]
) -> tuple[Float[jax.Array, "*batch 6 frames"], Length]:
    chroma = as_spectrogram(chroma, "chroma")
    place = np.linspace(0, 12, num=chroma.shape[0], endpoint=False)
    turns = np.array([7 / 6, 7 / 6, 3 / 2, 3 / 2, 2 / 3, 2 / 3])[:, None] * place
    # Even rows are sines, cosines of half a unit less (in units of pi).
    turns[::2] -= 0.5
    radius = np.array([1, 1, 1, 1, 0.5, 0.5])[:, None]
    weights = radius * np.cos(np.pi * turns)
    shares = normalize(chroma, norm=1, axis=-2)
    return jnp.dot(jnp.asarray(weights, shares.dtype), shares, precision=HIGHEST), n
