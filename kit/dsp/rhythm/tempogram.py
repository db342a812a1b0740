"""Periodicity of the onset strength, frame by frame."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.fft
from jaxtyping import Complex, Float, Num, Shaped

from kit.dsp.checks import AnyArray, Number, ParameterError, positive_int
from kit.dsp.framing import frames_first
from kit.dsp.jit import compiled
from kit.dsp.rhythm.onset import onset_strength
from kit.dsp.spectral.normalize import normalize
from kit.dsp.stft import stft
from kit.dsp.windows import WindowSpec, get_window

Envelope = Num[AnyArray, "*batch frames"] | None


@compiled("y")
def autocorrelate(
    y: Num[AnyArray, "..."], *, max_size: int | None = None, axis: int = -1
) -> Num[jax.Array, "..."]:
    """Autocorrelation for lags 0 to `max_size` - 1, by FFT.

    Source: librosa 0.11 `autocorrelate`.
    """
    y = jnp.asarray(y)
    y = y.astype(jnp.result_type(y, jnp.float32))
    size = y.shape[axis]
    keep = size if max_size is None else min(int(max_size), size)
    real = not jnp.iscomplexobj(y)
    n = scipy.fft.next_fast_len(2 * size - 1, real=real)
    moved = jnp.moveaxis(y, axis, -1)
    if real:
        F = jnp.fft.rfft(moved, n=n)
        out = jnp.fft.irfft(jnp.square(F.real) + jnp.square(F.imag), n=n)
    else:
        F = jnp.fft.fft(moved, n=n)
        out = jnp.fft.ifft(jnp.square(F.real) + jnp.square(F.imag), n=n)
    return jnp.moveaxis(out[..., :keep], -1, axis)


@compiled("y", "onset_envelope")
def tempogram(
    *,
    y: Shaped[AnyArray, "*batch samples"] | None = None,
    sr: Number = 22050,
    onset_envelope: Envelope = None,
    hop_length: int = 512,
    win_length: int = 384,
    center: bool = True,
    window: WindowSpec = "hann",
    norm: Number | None = np.inf,
) -> Float[jax.Array, "*batch lags times"]:
    """Local autocorrelation of the onset strength; lags = win_length, in frames.

    Args:
        y, sr, hop_length: waveforms, their rate, and the hop of the onset strength.
        onset_envelope: (…, frames), in place of y.
        win_length: frames of the local window.
        center: windows are centred on their frame.
        window: see `get_window`.
        norm: of each frame's lags; None for none.
    Raises:
        ParameterError: `win_length` below 1, neither y nor an envelope.
    Source: librosa 0.11 `feature.tempogram`; Grosche, Müller and Kurth 2010.
    """
    win_length = positive_int("win_length", win_length)
    values = get_window(window, win_length)
    envelope = envelope_of(y, sr, onset_envelope, hop_length)
    frames = envelope.shape[-1]
    if center:
        half = win_length // 2
        envelope = jnp.pad(
            envelope,
            [(0, 0)] * (envelope.ndim - 1) + [(half, half)],
            mode="linear_ramp",
            end_values=0,
        )
    else:
        frames = 1 + frames - win_length
    rows = frames_first(envelope, win_length, 1, frames) * jnp.asarray(values, envelope.dtype)
    lags = normalize(autocorrelate(rows), norm=norm, axis=-1)
    return jnp.swapaxes(lags, -1, -2)


@compiled("y", "onset_envelope")
def fourier_tempogram(
    *,
    y: Shaped[AnyArray, "*batch samples"] | None = None,
    sr: Number = 22050,
    onset_envelope: Envelope = None,
    hop_length: int = 512,
    win_length: int = 384,
    center: bool = True,
    window: WindowSpec = "hann",
) -> Complex[jax.Array, "*batch tempi times"]:
    """STFT of the onset strength; arguments as in `tempogram`.

    Source: librosa 0.11 `feature.fourier_tempogram`.
    """
    win_length = positive_int("win_length", win_length)
    envelope = envelope_of(y, sr, onset_envelope, hop_length)
    return stft(envelope, n_fft=win_length, hop_length=1, center=center, window=window)


def envelope_of(
    y: Any, sr: Number, onset_envelope: Any, hop_length: int, **arguments: Any
) -> Float[jax.Array, "*batch frames"]:
    """`onset_envelope`, or that of y."""
    if onset_envelope is not None:
        envelope = jnp.asarray(onset_envelope)
        return envelope.astype(jnp.result_type(envelope, jnp.float32))
    if y is None:
        raise ParameterError("y and onset_envelope: give one of them")
    return onset_strength(y=y, sr=sr, hop_length=hop_length, **arguments)


def tempo_frequencies(
    n_bins: int, *, hop_length: int = 512, sr: Number = 22050
) -> Float[np.ndarray, "n_bins"]:
    """Beats a minute of each lag of a tempogram; infinite for lag 0.

    Source: librosa 0.11 `tempo_frequencies`.
    """
    bpm = np.full(positive_int("n_bins", n_bins), np.inf)
    bpm[1:] = 60.0 * sr / (hop_length * np.arange(1.0, n_bins))
    return bpm
