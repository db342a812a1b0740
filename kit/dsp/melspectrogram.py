"""The mel spectrogram."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Num, Shaped

from kit.dsp.checks import AnyArray, Number, ParameterError, require
from kit.dsp.compiled import compiled
from kit.dsp.dft import Method
from kit.dsp.mel import banded_product, mel
from kit.dsp.stft import PadMode, magnitude, stft
from kit.dsp.windows import WindowSpec


@compiled("y", "S")
def melspectrogram(
    *,
    y: Shaped[AnyArray, "*batch samples"] | None = None,
    sr: Number = 22050,
    S: Num[AnyArray, "*batch bins frames"] | None = None,
    n_fft: int = 2048,
    hop_length: int = 512,
    win_length: int | None = None,
    window: WindowSpec = "hann",
    center: bool = True,
    pad_mode: PadMode = "constant",
    power: Number = 2.0,
    n_mels: int = 128,
    fmin: Number = 0.0,
    fmax: Number | None = None,
    htk: bool = False,
    norm: str | Number | None = "slaney",
    dtype: Any = np.float32,
    method: Method = "auto",
) -> Float[jax.Array, "*batch n_mels frames"]:
    """Mel spectrogram of a waveform, or of a spectrogram that is at hand.

    Args:
        y: waveforms (…, samples); see `stft`.
        sr: sample rate, Hz.
        S: magnitude to the power `power`, (…, bins, frames), in place of `y`; `n_fft` is then
            2 * (bins - 1).
        n_fft, hop_length, win_length, window, center, pad_mode, method: see `stft`.
        power: exponent of the magnitude: 2 for power, 1 for amplitude.
        n_mels, fmin, fmax, htk, norm, dtype: see `mel`.
    Returns:
        Float of the precision of `y` or `S`.
    Raises:
        ParameterError: neither or both of `y` and `S`, or as `stft` and `mel`.
    Source: librosa 0.11 `feature.melspectrogram`.
    """
    if (y is None) == (S is None):
        raise ParameterError("y and S: give exactly one of them")
    if S is None:
        assert y is not None
        spectrum = stft(
            y,
            n_fft=n_fft,
            hop_length=hop_length,
            win_length=win_length,
            window=window,
            center=center,
            pad_mode=pad_mode,
            method=method,
        )
        S = magnitude(spectrum, power)
    else:
        S = jnp.asarray(S)
        require(S.ndim >= 2, "S.shape", S.shape, "its last two axes must be bins and frames")
        S = S.astype(jnp.result_type(S, jnp.float32))
        if n_fft // 2 + 1 != S.shape[-2]:
            n_fft = 2 * (S.shape[-2] - 1)
    basis = mel(
        sr=sr, n_fft=n_fft, n_mels=n_mels, fmin=fmin, fmax=fmax, htk=htk, norm=norm, dtype=dtype
    )
    return jnp.swapaxes(banded_product(jnp.swapaxes(S, -1, -2), basis), -1, -2)
