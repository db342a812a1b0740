"""From mel spectrograms and cepstra back to spectra and sound."""

import warnings
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float, Num

from kit.dsp.checks import AnyArray, Number, positive_int, require
from kit.dsp.decibel import db_to_power
from kit.dsp.effects.griffinlim import griffinlim
from kit.dsp.jit import compiled
from kit.dsp.mel import mel
from kit.dsp.spectral.cepstral import check_lifter, idct_matrix, lifter_gain

_ROUNDS = 300
_HIGHEST = lax.Precision.HIGHEST


@compiled("M")
def mel_to_stft(
    M: Num[AnyArray, "*batch bands frames"],
    *,
    sr: Number = 22050,
    n_fft: int = 2048,
    power: Number = 2.0,
    **kwargs: Any,
) -> Float[jax.Array, "*batch bins frames"]:
    """The magnitudes, at least 0, whose mel spectrogram is nearest to M.

    Args:
        M: mel spectrogram of magnitudes to the power `power`.
        sr, n_fft, kwargs: of the filter bank; see `mel`.
        power: exponent in M.
    Source: librosa 0.11 `feature.inverse.mel_to_stft`; the least squares by accelerated projected
    gradients (Beck and Teboulle 2009), 300 rounds, where librosa has L-BFGS-B.
    """
    require(power > 0, "power", power, "it must be above 0")
    M = jnp.asarray(M)
    M = M.astype(jnp.result_type(M, jnp.float32))
    basis = mel(sr=sr, n_fft=n_fft, n_mels=M.shape[-2], dtype=np.float64, **kwargs)
    solution = nonnegative_least_squares(basis, M)
    return solution ** (1 / power)


def nonnegative_least_squares(
    A: Float[np.ndarray, "rows columns"], B: Float[jax.Array, "*batch rows frames"]
) -> Float[jax.Array, "*batch columns frames"]:
    """The X of at least 0 with A X nearest to B; A is a constant."""
    # Rows of very different size make slow going: each is scaled to unit length.
    length = np.linalg.norm(A, axis=1)
    scale = np.where(length > 0, 1 / np.where(length > 0, length, 1), 0)
    scaled = A * scale[:, None]
    step = 1 / np.linalg.norm(scaled, ord=2) ** 2
    return _projected(
        jnp.asarray(scaled, B.dtype),
        jnp.asarray(np.linalg.pinv(scaled), B.dtype),
        B * jnp.asarray(scale, B.dtype)[:, None],
        float(step),
    )


@partial(jax.jit, static_argnums=3)
def _projected(A: jax.Array, inverse: jax.Array, B: jax.Array, step: float) -> jax.Array:
    product = partial(jnp.einsum, precision=_HIGHEST)
    start = jnp.maximum(product("fm,...mt->...ft", inverse, B), 0)

    def one_round(state: Any, _: None) -> Any:
        x, ahead, t = state
        error = product("mf,...ft->...mt", A, ahead) - B
        moved = jnp.maximum(ahead - step * product("mf,...mt->...ft", A, error), 0)
        t_next = (1 + jnp.sqrt(1 + 4 * t * t)) / 2
        return (moved, moved + (t - 1) / t_next * (moved - x), t_next), None

    (x, _, _), _ = lax.scan(one_round, (start, start, jnp.ones((), B.dtype)), None, length=_ROUNDS)
    return x


def mel_to_audio(
    M: Num[AnyArray, "*batch bands frames"],
    *,
    sr: Number = 22050,
    n_fft: int = 2048,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Any = "hann",
    center: bool = True,
    pad_mode: Any = "constant",
    power: Number = 2.0,
    n_iter: int = 32,
    length: int | None = None,
    dtype: Any = np.float32,
    random_state: Any = None,
    **kwargs: Any,
) -> Float[jax.Array, "*batch samples"]:
    """Sound of a mel spectrogram: `mel_to_stft`, then `griffinlim`; arguments as there.

    Source: librosa 0.11 `feature.inverse.mel_to_audio`.
    """
    magnitudes = mel_to_stft(M, sr=sr, n_fft=n_fft, power=power, **kwargs)
    return griffinlim(
        magnitudes,
        n_iter=n_iter,
        hop_length=hop_length,
        win_length=win_length,
        n_fft=n_fft,
        window=window,
        center=center,
        dtype=dtype,
        length=length,
        pad_mode=pad_mode,
        random_state=random_state,
    )


@compiled("mfcc")
def mfcc_to_mel(
    mfcc: Num[AnyArray, "*batch coefficients frames"],
    *,
    n_mels: int = 128,
    dct_type: int = 2,
    norm: str | None = "ortho",
    ref: Number = 1.0,
    lifter: Number = 0,
) -> Float[jax.Array, "*batch n_mels frames"]:
    """The mel power spectrogram that has these cepstral coefficients; arguments as in `mfcc`.

    Raises:
        ParameterError: a negative lifter, an unknown `dct_type` or `norm`.
    Warns:
        UserWarning: a lifter that took a coefficient away.
    Source: librosa 0.11 `feature.inverse.mfcc_to_mel`.
    """
    n_mels = positive_int("n_mels", n_mels)
    check_lifter(lifter)
    mfcc = jnp.asarray(mfcc)
    mfcc = mfcc.astype(jnp.result_type(mfcc, jnp.float32))
    count = mfcc.shape[-2]
    if lifter > 0:
        gain = lifter_gain(count, lifter)
        if np.any(np.abs(gain) < np.finfo(mfcc.dtype).eps):
            warnings.warn(
                f"lifter={lifter} includes critical values that may invoke underflow",
                stacklevel=2,
            )
        mfcc = mfcc / jnp.asarray(gain + np.finfo(mfcc.dtype).tiny, mfcc.dtype)[:, None]
    matrix = jnp.asarray(idct_matrix(n_mels, count, dct_type, norm), mfcc.dtype)
    log_mel = jnp.einsum("bc,...ct->...bt", matrix, mfcc, precision=_HIGHEST)
    return db_to_power(log_mel, ref=ref)


def mfcc_to_audio(
    mfcc: Num[AnyArray, "*batch coefficients frames"],
    *,
    n_mels: int = 128,
    dct_type: int = 2,
    norm: str | None = "ortho",
    ref: Number = 1.0,
    lifter: Number = 0,
    **kwargs: Any,
) -> Float[jax.Array, "*batch samples"]:
    """Sound of cepstral coefficients: `mfcc_to_mel`, then `mel_to_audio`; arguments as there.

    Source: librosa 0.11 `feature.inverse.mfcc_to_audio`.
    """
    bands = mfcc_to_mel(mfcc, n_mels=n_mels, dct_type=dct_type, norm=norm, ref=ref, lifter=lifter)
    return mel_to_audio(bands, **kwargs)
