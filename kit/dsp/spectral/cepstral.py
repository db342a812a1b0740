"""Cepstral coefficients of mel spectrograms."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.fft
from jaxtyping import Float, Num, Shaped

from kit.dsp.checks import AnyArray, Number, positive_int, require
from kit.dsp.decibel import power_to_db
from kit.dsp.jit import Length, by_clip
from kit.dsp.mel import melspectrogram
from kit.dsp.stft import as_spectrogram, check_framing, needs_length


@by_clip(y="t", S="bt", check=check_framing, exact=needs_length, passes=(melspectrogram,))
def mfcc(
    n: Length,
    *,
    y: Shaped[AnyArray, "*batch samples"] | None = None,
    sr: Number = 22050,
    S: Num[AnyArray, "*batch bands frames"] | None = None,
    n_mfcc: int = 20,
    dct_type: int = 2,
    norm: str | None = "ortho",
    lifter: Number = 0,
    mel_norm: str | Number | None = "slaney",
    **kwargs: Any,
) -> tuple[Float[jax.Array, "*batch n_mfcc frames"], Length]:
    """Return the mel-frequency cepstral coefficients.

    Args:
        y, sr: waveforms and their rate, Hz; converted to a log-power mel spectrogram.
        S: log-power mel spectrogram in place of y.
        n_mfcc: number of coefficients; cut to the number of bands.
        dct_type: 1, 2, 3 or 4 (librosa has 1 to 3).
        norm: "ortho" for an orthonormal transform, or None.
        lifter: above 0, coefficient n is multiplied by 1 + (lifter / 2) sin(pi (n + 1) / lifter).
        mel_norm: norm of the mel filters.
        kwargs: to `melspectrogram`.
    Raises:
        ParameterError: a negative `lifter`, an unknown `dct_type` or `norm`.
    Source: librosa 0.11 `feature.mfcc`.

    Example:
        >>> y = np.random.default_rng(0).standard_normal(22050).astype(np.float32)
        >>> kit.dsp.mfcc(y=y, n_mfcc=13).shape  # coefficients, frames
        (13, 44)
    """
    n_mfcc = positive_int("n_mfcc", n_mfcc)
    check_lifter(lifter)
    if S is None:
        power, n = melspectrogram.of_clip(n, y=y, sr=sr, norm=mel_norm, **kwargs)
        # Frames past the clip's end must not raise its peak.
        S = power_to_db(jnp.where(jnp.arange(power.shape[-1]) < n, power, 0))
    S = as_spectrogram(S)
    matrix = dct_matrix(S.shape[-2], dct_type, norm)[:n_mfcc]
    M = jnp.einsum(
        "cb,...bt->...ct",
        jnp.asarray(matrix, S.dtype),
        S,
        precision=jax.lax.Precision.HIGHEST,
    )
    if lifter > 0:
        M = M * jnp.asarray(lifter_gain(n_mfcc, lifter)[: M.shape[-2], None], S.dtype)
    return M, n


def check_lifter(lifter: Number) -> None:
    """Refuse a negative lifter."""
    require(lifter >= 0, "lifter", lifter, "it must not be negative")


def lifter_gain(count: int, lifter: Number) -> Float[np.ndarray, "count"]:
    """Return the factors by which `mfcc` raises the middle coefficients."""
    return 1 + lifter / 2 * np.sin(np.pi * np.arange(1, count + 1) / lifter)


def dct_matrix(
    size: int, dct_type: int = 2, norm: str | None = "ortho"
) -> Float[np.ndarray, "size size"]:
    """Return the discrete cosine transform as a matrix, in float64.

    Source: `scipy.fft.dct` of the unit vectors.
    """
    _check_dct(size, dct_type, norm)
    return np.asarray(scipy.fft.dct(np.eye(size), type=dct_type, norm=norm, axis=0))


def idct_matrix(
    rows: int, columns: int, dct_type: int = 2, norm: str | None = "ortho"
) -> Float[np.ndarray, "rows columns"]:
    """Return the inverse transform of `columns` coefficients, zero-padded or cut, to `rows`."""
    _check_dct(rows, dct_type, norm)
    return np.asarray(scipy.fft.idct(np.eye(columns), type=dct_type, norm=norm, axis=0, n=rows))


def _check_dct(size: int, dct_type: int, norm: str | None) -> None:
    least = 2 if dct_type == 1 else 1
    require(dct_type in (1, 2, 3, 4) and size >= least, "dct_type", dct_type, "it must be 1 to 4")
    require(norm in ("ortho", None), "norm", norm, 'it must be "ortho" or None')
