"""The short-time Fourier transform, its magnitude and its frequencies."""

import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer
from jaxtyping import Complex, Float, Inexact, Num, Shaped

from kit.dsp.checks import (
    AnyArray,
    Number,
    ParameterError,
    as_waveform,
    check_values,
    one_of,
    positive_int,
    require,
)
from kit.dsp.dft import rfft
from kit.dsp.framing import map_frames, pad_ends
from kit.dsp.jit import Length, by_clip, elementwise
from kit.dsp.windows import WindowSpec, padded_window

PAD_MODES = ("constant", "edge", "reflect", "symmetric", "linear_ramp", "empty")
"""Pad modes that work on a padded buffer; NumPy's other modes need the whole signal."""

PadMode = str | Callable[..., Any]


def check_framing(given: dict[str, Any]) -> None:
    """Refuse a known signal shorter than a frame; warn of it if frames are centred."""
    y, n_fft = given.get("y"), given.get("n_fft", 2048)
    if y is None or given.get("S") is not None or np.ndim(y) == 0:
        return
    samples = y.shape[-1]
    if not isinstance(samples, int):
        return  # `jax.export` gives a symbol
    require(samples >= 1, "y.shape", y.shape, "its last axis must hold at least 1 sample")
    n_fft = positive_int("n_fft", n_fft)
    if not given.get("center", True):
        rule = f"it must not exceed the {samples} samples of y when center is False"
        require(n_fft <= samples, "n_fft", n_fft, rule)
    elif n_fft > samples:
        warnings.warn(
            f"n_fft={n_fft} is too large for input signal of length={samples}", stacklevel=4
        )


def needs_length(given: dict[str, Any]) -> bool:
    """Return whether `pad_mode` needs the exact length of the signal."""
    mode = given.get("pad_mode", "constant")
    return given.get("center", True) and (callable(mode) or mode not in PAD_MODES)


@by_clip(y="t", check=check_framing, exact=needs_length)
def stft(
    n: Length,
    y: Shaped[AnyArray, "*batch samples"],
    *,
    n_fft: int = 2048,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: WindowSpec = "hann",
    center: bool = True,
    pad_mode: PadMode = "constant",
    dtype: Any = None,
) -> tuple[Complex[jax.Array, "*batch bins frames"], Length]:
    """Return the short-time Fourier transform.

    Args:
        y: waveforms (…, samples); float32, float64 (where enabled), bfloat16 or float16 (computed
            in float32), int16 (full scale 32768).
        n_fft: length of the transform, samples; may be odd.
        hop_length: samples between frames; `win_length // 4` if not given.
        win_length: length of the window, zero-padded to `n_fft`; `n_fft` if not given.
        window: see `get_window`.
        center: centre frame t on sample `t * hop_length`, with `n_fft // 2` samples of padding at
            both ends; otherwise frame t begins there.
        pad_mode: one of `PAD_MODES`, or a function for `jax.numpy.pad`.
        dtype: complex dtype of the result.
    Returns:
        `dtype`, or complex64 (complex128 for float64; 64-bit JAX computes float32 in double
        precision too and rounds once), bins = 1 + n_fft // 2,
        frames = 1 + (samples + 2 * (n_fft // 2) - n_fft) // hop_length if centred.
        A sample that is NaN or infinite spoils only the frames that contain it.
    Raises:
        ParameterError: a length below 1, `win_length` above `n_fft`, an unknown window or pad mode,
            no samples, fewer than `n_fft` samples when not centred, a dtype that is not audio.
    Source: librosa 0.11 `stft`.

    Example:
        >>> y = np.sin(2 * np.pi * 1000 * np.arange(8000) / 8000)
        >>> D = kit.dsp.stft(y, n_fft=512)
        >>> D.shape  # bins, frames
        (257, 63)
        >>> int(abs(D[:, 30]).argmax()) * 8000 / 512  # Hz
        1000.0
    """
    wanted = jnp.result_type(as_waveform(y).dtype, jnp.complex64) if dtype is None else dtype
    return map_spectrum(
        lambda S: S.astype(wanted),
        n,
        y,
        n_fft=n_fft,
        hop_length=hop_length,
        win_length=win_length,
        window=window,
        center=center,
        pad_mode=pad_mode,
        time_last=True,
    )


def map_spectrum(
    function: Callable[[Complex[jax.Array, "rows bins"]], Any],
    n: Length,
    y: Shaped[AnyArray, "samples"],
    *,
    n_fft: int = 2048,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: WindowSpec = "hann",
    center: bool = True,
    pad_mode: PadMode = "constant",
    time_last: bool = False,
) -> tuple[Any, Length]:
    """Apply a function of spectra to the STFT of one clip, some frames at a time.

    Args:
        function: from spectra, one per row, to arrays with one row for each frame. It must treat
            frames independently.
        n: valid samples of `y`.
        time_last: give results as (values, frames) in place of (frames, values).
        The others: see `stft`.
    Returns:
        The results and the number of valid frames.
    """
    n_fft = positive_int("n_fft", n_fft)
    win_length = n_fft if win_length is None else positive_int("win_length", win_length)
    # Double precision if it is enabled, as librosa transforms every dtype.
    inner = jax.dtypes.canonicalize_dtype(np.float64)
    values = jnp.asarray(padded_window(window, win_length, n_fft), inner)
    hop_length = positive_int("hop_length", win_length // 4 if hop_length is None else hop_length)
    y = as_waveform(y)
    if center:
        check_pad_mode(pad_mode)
        y, n = pad_ends(y, n, n_fft // 2, pad_mode)
    # With an odd n_fft, a single frame may lack one sample.
    require(n_fft <= y.shape[-1], "n_fft", n_fft, f"it must not exceed {y.shape[-1]} samples")
    return map_frames(
        lambda frames: function(rfft(frames.astype(inner) * values)),
        y,
        n,
        frame_length=n_fft,
        hop_length=hop_length,
        time_last=time_last,
    )


def check_pad_mode(pad_mode: PadMode) -> None:
    """Refuse the modes of NumPy that a spectrogram cannot use, and unknown ones."""
    if not callable(pad_mode):
        one_of("pad_mode", pad_mode, PAD_MODES)


def magnitude(
    S: Inexact[AnyArray, "*shape"] | tuple[Float[jax.Array, "*shape"], Float[jax.Array, "*shape"]],
    power: Number = 1,
) -> Float[jax.Array, "*shape"]:
    """Return `|S|` to a power, with a gradient of zero where S is zero.

    Args:
        S: complex spectrum (or real), any shape; or its real and imaginary part.
        power: exponent above 0; 1 for amplitude, 2 for power.
    Raises:
        ParameterError: `power` not above 0.

    Example:
        >>> kit.dsp.magnitude(np.array([3 + 4j, 0]), power=2.0)
        Array([25.,  0.], dtype=float32)
    """
    require(power > 0, "power", power, "it must be above 0")
    return _of_parts(*S, power) if isinstance(S, tuple) else _of_elements(S=S, power=power)


@elementwise("S")
def _of_elements(*, S: Inexact[AnyArray, "*shape"], power: Number) -> Float[jax.Array, "*shape"]:
    return _of_parts(jnp.real(S), jnp.imag(S), power)


def _of_parts(
    real: Float[jax.Array, "*shape"], imag: Float[jax.Array, "*shape"], power: Number
) -> Float[jax.Array, "*shape"]:
    squared = jnp.square(real) + jnp.square(imag)
    if power == 2:
        return squared
    # Scale by a power of two where squares would vanish or overflow.
    largest = jnp.maximum(jnp.abs(real), jnp.abs(imag))
    scale = jnp.where(largest < 2.0**-60, 2.0**66, jnp.where(largest > 2.0**60, 2.0**-66, 1.0))
    scale = scale.astype(squared.dtype)
    squared = jnp.square(real * scale) + jnp.square(imag * scale)
    # The root's slope at zero is infinite, and infinity times zero is NaN.
    safe = jnp.where(squared > 0, squared, 1)
    rooted = jnp.sqrt(safe) / scale if power == 1 else safe ** (power / 2) / scale**power
    return jnp.where(squared > 0, rooted, squared)


def scale_of(x: Float[jax.Array, "..."]) -> Float[jax.Array, ""]:
    """Return the power of two that keeps the squares of an array in range: 1 for most arrays."""
    peak = lax.stop_gradient(jnp.max(jnp.abs(x), initial=0))
    small = (peak > np.finfo(np.float32).tiny) & (peak < 1e-10)
    far = small | ((peak > 1e10) & jnp.isfinite(peak))
    # A power of two changes no digit.
    _, exponent = jnp.frexp(jnp.where(far, peak, 1))
    return jnp.where(far, jnp.ldexp(jnp.ones_like(peak), -exponent), 1)


def map_magnitude(
    function: Callable[[Float[jax.Array, "rows bins"]], Any],
    n: Length,
    *,
    y: Shaped[AnyArray, "samples"] | None,
    S: Num[AnyArray, "bins frames"] | None,
    power: Number = 1,
    time_last: bool = False,
    **framing: Any,
) -> tuple[Any, Length]:
    """Apply a function of |STFT|^power to each frame of a clip; otherwise as `map_spectrum`.

    If the spectrogram `S` is given, apply the function to its frames instead.
    """
    if S is not None:
        made = function(jnp.swapaxes(as_spectrogram(S), -1, -2))
        return (jax.tree.map(jnp.transpose, made) if time_last else made), n
    if y is None:
        raise ParameterError("y and S: give one of them")
    dtype = as_waveform(y).dtype

    def of_spectrum(spectrum: Complex[jax.Array, "rows bins"]) -> Any:
        return function(magnitude(spectrum, power).astype(dtype))

    return map_spectrum(of_spectrum, n, y, time_last=time_last, **framing)


def as_spectrogram(S: Num[AnyArray, "..."], name: str = "S") -> Num[jax.Array, "..."]:
    """Return a spectrogram in floating point of at least single precision, complex or real."""
    S = jnp.asarray(S)
    require(S.ndim >= 2, f"{name}.shape", S.shape, "its last two axes are bins and frames")
    require(S.shape[-2] >= 1, f"{name}.shape", S.shape, "it must have at least one bin")
    return S.astype(jnp.result_type(S, jnp.float32))


def n_fft_of(S: Num[AnyArray, "*batch bins frames"] | None, n_fft: int) -> int:
    """Return `n_fft` if it fits the bins of `S`, otherwise the even length that does."""
    n_fft = positive_int("n_fft", n_fft)
    if S is None or n_fft // 2 + 1 == S.shape[-2]:
        return n_fft
    return 2 * (S.shape[-2] - 1)


def energies(what: str, S: Num[AnyArray, "..."], name: str = "S") -> None:
    """Refuse `S` if it is complex or, where its values are known, negative."""
    rule = f"it must be real: {what} is of magnitudes; take jnp.abs"
    require(not jnp.iscomplexobj(S), f"{name}.dtype", S.dtype, rule)
    if not isinstance(S, Tracer):
        rule = f"{what} is defined for energies of at least 0"
        # `fmin` ignores NaN and needs no array of booleans.
        least = np.fmin.reduce(np.asarray(S), axis=None, initial=0)
        check_values(not least < 0, name, rule)


def fft_frequencies(*, sr: Number = 22050, n_fft: int = 2048) -> Float[np.ndarray, "bins"]:
    """Return the centre of each bin of an STFT, Hz, in float64; bins = 1 + n_fft // 2.

    Source: librosa 0.11 `fft_frequencies`.

    Example:
        >>> kit.dsp.fft_frequencies(sr=8000, n_fft=8)
        array([   0., 1000., 2000., 3000., 4000.])
    """
    return np.arange(1 + positive_int("n_fft", n_fft) // 2) * (sr / n_fft)
