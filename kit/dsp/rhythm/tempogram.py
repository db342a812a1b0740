"""Periodicity of the onset strength at each frame."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer
from jaxtyping import Complex, Float, Num, Shaped

from kit.dsp.arrays import array_of, axis_moved, known, moved_back, placed
from kit.dsp.checks import (
    AnyArray,
    Number,
    ParameterError,
    as_waveform,
    check_size,
    positive_int,
    require,
)
from kit.dsp.dft import fast_length
from kit.dsp.framing import map_frames, pad_ends
from kit.dsp.jit import Length, by_clip
from kit.dsp.rhythm.onset import flux, onset_strength
from kit.dsp.spectral.normalize import to_unit_norm
from kit.dsp.stft import check_framing, scale_of, stft
from kit.dsp.windows import WindowSpec, get_window

Envelope = Num[AnyArray, "*batch frames"] | None

# Half a step of 16-bit audio. Onset strength treats power below -100 dB as silence, and clips with
# a lower peak would lose their beats.
_QUIETEST = 2.0**-16


def autocorrelate(
    y: Num[AnyArray, "..."], *, max_size: int | None = None, axis: int = -1
) -> Num[jax.Array, "..."]:
    """Return the autocorrelation for lags 0 to `max_size` - 1, by FFT.

    Args:
        y: real or complex, any shape.
        max_size: number of lags; all if not given.
        axis: axis of time.
    Raises:
        ParameterError: an unknown axis, no samples, or a negative `max_size`.
    Source: librosa 0.11 and 1.0 `autocorrelate`.

    Example:
        >>> kit.dsp.autocorrelate(np.array([1.0, 0.0, 1.0, 0.0]))
        Array([2., 0., 1., 0.], dtype=float32)
    """
    y = y if isinstance(y, jax.Array) else np.asarray(y)
    require(-y.ndim <= axis < y.ndim, "axis", axis, f"y has {y.ndim} axes")
    require(y.shape[axis] > 0, "y.shape", y.shape, "it must hold a sample")
    if max_size is not None:
        require(0 <= max_size < math.inf, "max_size", max_size, "it must not be negative")
        max_size = int(max_size)
    lags = _autocorrelated(axis_moved(y, axis, -1), max_size=max_size)
    return moved_back(lags, -1, axis)


@by_clip(y="t")
def _autocorrelated(
    n: Length, y: Any, *, max_size: int | None
) -> tuple[Num[jax.Array, "lags"], Length]:
    y = jnp.asarray(y)
    size = y.shape[-1]
    keep = size if max_size is None else min(max_size, size)
    lags = autocorrelation(y.astype(jnp.result_type(y, jnp.float32)))[:keep]
    return lags, min(keep, n) if isinstance(n, int) else jnp.minimum(keep, n)


def autocorrelation(rows: Num[jax.Array, "*batch samples"]) -> Num[jax.Array, "*batch samples"]:
    """Return the autocorrelation of each row; the number of lags is the number of samples."""
    size = rows.shape[-1]
    power, n_fft = power_of_rows(rows)
    if jnp.iscomplexobj(rows):
        return jnp.fft.ifft(power, n=n_fft)[..., :size]
    return jnp.fft.irfft(power, n=n_fft)[..., :size]


def power_of_rows(
    rows: Num[jax.Array, "*batch samples"],
) -> tuple[Float[jax.Array, "*batch bins"], int]:
    """Return the power spectrum of each row, padded to hold all lags, and the FFT's length."""
    real = not jnp.iscomplexobj(rows)
    n_fft = fast_length(2 * rows.shape[-1] - 1)
    F = jnp.fft.rfft(rows, n=n_fft) if real else jnp.fft.fft(rows, n=n_fft)
    return jnp.square(F.real) + jnp.square(F.imag), n_fft


def check_envelope(given: dict[str, Any]) -> None:
    """Refuse a bad waveform or onset strength of a function of rhythm, and a bad rate or hop."""
    sr = given["sr"]
    require(0 < sr < math.inf, "sr", sr, "it must be above 0 Hz and finite")
    positive_int("hop_length", given["hop_length"])
    if given.get("tg") is not None:
        return
    y, envelope = given["y"], given["onset_envelope"]
    if envelope is None:
        if y is None:
            raise ParameterError("y and onset_envelope: give one of them")
        check_framing({"y": y})
        return
    shape = envelope.shape
    require(shape and shape[-1], "onset_envelope.shape", shape, "it must hold a frame")
    require(not jnp.iscomplexobj(envelope), "onset_envelope.dtype", envelope.dtype, "make it real")


def frames_of(given: dict[str, Any]) -> int:
    """Return the number of frames of the onset strength."""
    if given["onset_envelope"] is not None:
        return given["onset_envelope"].shape[-1]
    return 1 + given["y"].shape[-1] // given["hop_length"]


def check_lags(name: str, lags: int, frames: int) -> None:
    """Refuse a window whose tempogram would have more than 2**28 numbers."""
    check_size(name, lags, lags * min(frames, lags), most=2**28)


def check_window(given: dict[str, Any]) -> None:
    """Refuse a bad envelope, or a window that does not fit it."""
    check_envelope(given)
    win_length = positive_int("win_length", given["win_length"])
    frames = frames_of(given)
    check_lags("win_length", win_length, frames)
    rule = f"it must not exceed the {frames} frames of the onset strength when center is False"
    require(given["center"] or win_length <= frames, "win_length", win_length, rule)


@by_clip(y="t", onset_envelope="t", check=check_window)
def tempogram(
    n: Length,
    *,
    y: Shaped[AnyArray, "*batch samples"] | None = None,
    sr: Number = 22050,
    onset_envelope: Envelope = None,
    hop_length: int = 512,
    win_length: int = 384,
    center: bool = True,
    window: WindowSpec = "hann",
    norm: Number | None = np.inf,
) -> tuple[Float[jax.Array, "*batch lags times"], Length]:
    """Return the local autocorrelation of the onset strength.

    Args:
        y: waveforms (…, samples).
        sr: sample rate, Hz.
        onset_envelope: (…, frames), in place of `y`.
        hop_length: samples between frames of the onset strength.
        win_length: length of the local window, frames.
        center: windows are centred on their frame.
        window: see `get_window`.
        norm: order of the norm of each frame's lags; None for no scaling.
    Returns:
        lags = win_length, in frames; times = frames, or frames - win_length + 1 if not centred.
        NaN for a time whose window contains a value that is not finite.
    Raises:
        ParameterError: `win_length` below 1, or above the frames if not centred; neither `y` nor
            an envelope.
    Source: librosa 0.11 and 1.0 `feature.tempogram`; Grosche, Müller and Kurth 2010.

    Example:
        >>> kit.dsp.tempogram(onset_envelope=np.ones(400, np.float32)).shape  # lags, frames
        (384, 400)
    """
    envelope, n = envelope_of_clip(n, y, sr, onset_envelope, hop_length)
    scale = 1.0 if norm is None else scale_of(envelope)

    def lags_of(rows: Float[jax.Array, "rows win"]) -> Float[jax.Array, "rows lags"]:
        return to_unit_norm(autocorrelation(rows), norm=norm, axis=-1)

    options: dict[str, Any] = {"win_length": win_length, "center": center, "window": window}
    lags, times = map_windows(lags_of, n, envelope * scale, **options)
    return lags.T, times


def map_windows(
    function: Any,
    n: Length,
    envelope: Float[jax.Array, "frames"],
    *,
    win_length: int,
    center: bool = True,
    window: WindowSpec = "hann",
) -> tuple[Any, Length]:
    """Apply a function to the windows of a tempogram, one per row; the results have time first."""
    values = jnp.asarray(get_window(window, win_length), envelope.dtype)
    frames = envelope.shape[-1]
    times = n if center else n - win_length + 1
    if center:
        envelope, n = pad_ends(envelope, n, win_length // 2, "linear_ramp")
    made, _ = map_frames(
        lambda rows: function(rows * values),
        envelope,
        n,
        frame_length=win_length,
        hop_length=1,
    )
    return (jax.tree.map(lambda a: a[:frames], made) if center else made), times


def _check_fourier(given: dict[str, Any]) -> None:
    check_window(given)
    frames = np.broadcast_to(0.0, (frames_of(given),))
    check_framing({"y": frames, "n_fft": given["win_length"], "center": given["center"]})


@by_clip(y="t", onset_envelope="t", check=_check_fourier)
def fourier_tempogram(
    n: Length,
    *,
    y: Shaped[AnyArray, "*batch samples"] | None = None,
    sr: Number = 22050,
    onset_envelope: Envelope = None,
    hop_length: int = 512,
    win_length: int = 384,
    center: bool = True,
    window: WindowSpec = "hann",
) -> tuple[Complex[jax.Array, "*batch tempi times"], Length]:
    """Return the STFT of the onset strength.

    Args:
        y, sr, onset_envelope, hop_length, win_length, center, window: see `tempogram`.
    Raises:
        ParameterError: as `tempogram`.
    Source: librosa 0.11 and 1.0 `feature.fourier_tempogram`.

    Example:
        >>> kit.dsp.fourier_tempogram(onset_envelope=np.ones(400, np.float32)).shape
        (193, 401)
    """
    envelope, n = envelope_of_clip(n, y, sr, onset_envelope, hop_length)
    return stft.of_clip(n, envelope, n_fft=win_length, hop_length=1, center=center, window=window)


def envelope_of_clip(
    n: Length, y: Any, sr: Number, onset_envelope: Any, hop_length: int, aggregate: Any = jnp.mean
) -> tuple[Float[jax.Array, "*rows frames"], Length]:
    """Return `onset_envelope`, or the onset strength of one clip, zero past its valid frames.

    There is one envelope for each row that `aggregate` returns.
    """
    if onset_envelope is not None:
        envelope = jnp.asarray(onset_envelope)
        return envelope.astype(jnp.result_type(envelope, jnp.float32)), n
    y = as_waveform(y)
    y = y * loudness_of_quiet(y)
    envelope, n = flux.of_clip(n, y=y, sr=sr, hop_length=hop_length, aggregate=aggregate)
    return jnp.where(jnp.arange(envelope.shape[-1]) < n, envelope, 0), n


def loudness_of_quiet(y: Float[jax.Array, "samples"]) -> Float[jax.Array, ""]:
    """Return the gain that scales the peak of a clip too quiet for 16 bits to 1; otherwise 1."""
    peak = lax.stop_gradient(jnp.max(jnp.abs(y), initial=0))
    quiet = (peak < _QUIETEST) & (peak > np.finfo(np.float32).tiny)
    return jnp.where(quiet, 1 / jnp.where(quiet, peak, 1), 1)


def envelope_of(
    y: Any, sr: Number, onset_envelope: Any, hop_length: int, **arguments: Any
) -> Float[jax.Array, "*batch frames"]:
    """Return `onset_envelope` in floating point, or the onset strength of `y`."""
    if onset_envelope is not None:
        envelope = array_of("onset_envelope", onset_envelope)
        wide = known(envelope).astype(jnp.result_type(envelope, jnp.float32))
        return wide if isinstance(wide, Tracer) else placed(wide)
    if y is None:
        raise ParameterError("y and onset_envelope: give one of them")
    return onset_strength(y=y, sr=sr, hop_length=hop_length, **arguments)


def tempo_frequencies(
    n_bins: int, *, hop_length: int = 512, sr: Number = 22050
) -> Float[np.ndarray, "n_bins"]:
    """Return the beats a minute of each lag of a tempogram; infinite for lag 0.

    Args:
        n_bins: number of lags.
        hop_length: samples between frames.
        sr: sample rate, Hz.
    Raises:
        ParameterError: `n_bins` or `hop_length` below 1.
    Source: librosa 0.11 and 1.0 `tempo_frequencies`.

    Example:
        >>> kit.dsp.tempo_frequencies(4, sr=22050, hop_length=512)[1:]  # beats a minute
        array([2583.984375 , 1291.9921875,  861.328125 ])
    """
    bpm = np.full(positive_int("n_bins", n_bins, most=2**26), np.inf)
    bpm[1:] = 60.0 * sr / (positive_int("hop_length", hop_length) * np.arange(1.0, n_bins))
    return bpm
