"""The magnitude spectrogram that features start from, and its frequencies."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Num, Shaped

from kit.dsp.checks import AnyArray, Number, ParameterError, check_values, positive_int, require
from kit.dsp.stft import PadMode, magnitude, stft
from kit.dsp.windows import WindowSpec


def spectrogram(
    *,
    y: Shaped[AnyArray, "*batch samples"] | None = None,
    S: Num[AnyArray, "*batch bins frames"] | None = None,
    n_fft: int | None = 2048,
    hop_length: int | None = 512,
    power: Number = 1,
    win_length: int | None = None,
    window: WindowSpec = "hann",
    center: bool = True,
    pad_mode: PadMode = "constant",
) -> tuple[Num[jax.Array, "*batch bins frames"], int]:
    """|STFT|^power of `y`, or `S` as it is; and the `n_fft` that belongs to it.

    Raises:
        ParameterError: neither y nor S, or as `stft`.
    Source: librosa 0.11 `core.spectrum._spectrogram`.
    """
    if S is not None:
        S = jnp.asarray(S)
        require(S.ndim >= 2, "S.shape", S.shape, "its last two axes are bins and frames")
        if not jnp.issubdtype(S.dtype, jnp.inexact):
            S = S.astype(jnp.float32)
        if n_fft is None or n_fft // 2 + 1 != S.shape[-2]:
            n_fft = 2 * (S.shape[-2] - 1)
        return S, n_fft
    if y is None:
        raise ParameterError("y and S: give one of them")
    n_fft = positive_int("n_fft", n_fft)
    spectrum = stft(
        y,
        n_fft=n_fft,
        hop_length=hop_length,
        win_length=win_length,
        window=window,
        center=center,
        pad_mode=pad_mode,
    )
    return magnitude(spectrum, power), n_fft


def energies(what: str, S: jax.Array) -> None:
    """Refuses a spectrogram that is complex or (where that can be seen) negative."""
    require(not jnp.iscomplexobj(S), "S.dtype", S.dtype, f"{what} is of magnitudes: take jnp.abs")
    check_values(S >= 0, "S", f"{what} is defined for energies of at least 0")


def fft_frequencies(*, sr: Number = 22050, n_fft: int = 2048) -> Float[np.ndarray, "bins"]:
    """Centre of each bin of an STFT, Hz, in float64; bins = 1 + n_fft // 2.

    Source: librosa 0.11 `fft_frequencies`.
    """
    return np.arange(1 + n_fft // 2) * (sr / n_fft)


def bin_frequencies(freq: Any, sr: Number, n_fft: int, S: jax.Array) -> Float[jax.Array, "..."]:
    """`freq`, or those of the FFT, so shaped that they broadcast against S."""
    values = fft_frequencies(sr=sr, n_fft=n_fft) if freq is None else freq
    values = jnp.asarray(values, S.dtype)
    if values.ndim > 1:
        return values
    require(values.shape == (S.shape[-2],), "freq.shape", values.shape, f"S has {S.shape[-2]} bins")
    return values[:, None]
