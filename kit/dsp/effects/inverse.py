"""Inverses of mel spectrograms and cepstra: spectra and sound."""

import warnings
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float, Num

from kit.dsp.checks import AnyArray, Number, positive_int, require
from kit.dsp.decibel import at_least, db_to_power, safe_power
from kit.dsp.effects.griffinlim import griffinlim
from kit.dsp.framing import fit
from kit.dsp.jit import Length, by_clip
from kit.dsp.mel import mel
from kit.dsp.spectral.cepstral import check_lifter, idct_matrix, lifter_gain
from kit.dsp.stft import as_spectrogram

_ROUNDS = 300
# Frames that are solved together. Products of one shape give a frame the same result in clips of
# any length; otherwise 300 rounds would differ by 1e-5 of the peak.
_FRAMES = 64
_HIGHEST = lax.Precision.HIGHEST


def _check_inverse(given: dict[str, Any]) -> None:
    require(given["power"] > 0, "power", given["power"], "it must be above 0")


@by_clip(M="bt", check=_check_inverse, passes=(mel,))
def mel_to_stft(
    n: Length,
    M: Num[AnyArray, "*batch bands frames"],
    *,
    sr: Number = 22050,
    n_fft: int = 2048,
    power: Number = 2.0,
    **kwargs: Any,
) -> tuple[Float[jax.Array, "*batch bins frames"], Length]:
    """Return the nonnegative magnitudes whose mel spectrogram is nearest to M.

    Args:
        M: mel spectrogram of magnitudes to the power `power`.
        sr, n_fft, kwargs: arguments of `mel`.
        power: exponent in M.
    Returns:
        float32, or float64 for float64. A frame that is not finite becomes NaN.
    Raises:
        ParameterError: `power` not above 0, or as `mel`.
    Source: librosa 0.11 `feature.inverse.mel_to_stft`, but with 300 rounds of accelerated projected
    gradients (Beck and Teboulle 2009) in place of L-BFGS-B.

    Example:
        >>> S = np.zeros((129, 2), np.float32)
        >>> S[30] = 1  # a tone
        >>> M = kit.dsp.melspectrogram(S=S, sr=8000, n_mels=40)
        >>> int(kit.dsp.mel_to_stft(M, sr=8000, n_fft=256, power=1.0)[:, 0].argmax())
        30
    """
    M = as_spectrogram(M, "M")
    basis = mel(sr=sr, n_fft=n_fft, n_mels=M.shape[-2], dtype=np.float64, **kwargs)
    return safe_power(nonnegative_least_squares(basis, M), 1 / power), n


def nonnegative_least_squares(
    A: Float[np.ndarray, "rows columns"], B: Float[jax.Array, "rows frames"]
) -> Float[jax.Array, "columns frames"]:
    """Return the X of at least 0 with A X nearest to B; A is a constant."""
    # Rows of unit length converge faster.
    length = np.linalg.norm(A, axis=1)
    scale = np.where(length > 0, 1 / np.where(length > 0, length, 1), 0)
    scaled = A * scale[:, None]
    size = np.linalg.norm(scaled, ord=2) ** 2
    require(size > 0, "M.shape", B.shape, "all its mel filters are empty")
    solve = partial(
        _projected,
        jnp.asarray(scaled, B.dtype),
        jnp.asarray(np.linalg.pinv(scaled), B.dtype),
        step=float(1 / size),
    )
    rows, frames = B.shape
    blocks = -(-frames // _FRAMES)
    whole = fit(B * jnp.asarray(scale, B.dtype)[:, None], blocks * _FRAMES)
    parts = jnp.moveaxis(whole.reshape(rows, blocks, _FRAMES), 1, 0)
    made = jnp.moveaxis(lax.map(solve, parts), 0, 1)
    return made.reshape(A.shape[1], blocks * _FRAMES)[:, :frames]


def _projected(A: jax.Array, inverse: jax.Array, B: jax.Array, step: float) -> jax.Array:
    product = partial(jnp.einsum, precision=_HIGHEST)
    start = at_least(product("fm,...mt->...ft", inverse, B), 0.0)

    def one_round(state: Any, _: None) -> Any:
        x, ahead, t = state
        error = product("mf,...ft->...mt", A, ahead) - B
        moved = at_least(ahead - step * product("mf,...mt->...ft", A, error), 0.0)
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
    rng: Any = None,
    random_state: Any = None,
    **kwargs: Any,
) -> Float[jax.Array, "*batch samples"]:
    """Return the sound of a mel spectrogram: `mel_to_stft`, then `griffinlim`; arguments as there.

    Source: librosa 0.11 `feature.inverse.mel_to_audio`.

    Example:
        >>> M = np.ones((16, 10), np.float32)
        >>> kit.dsp.mel_to_audio(M, sr=8000, n_fft=256, n_iter=2).shape  # 9 hops of 64 samples
        (576,)
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
        rng=rng,
        random_state=random_state,
    )


def _check_cepstra(given: dict[str, Any]) -> None:
    lifter, mfcc = given["lifter"], given["mfcc"]
    check_lifter(lifter)
    if lifter > 0 and mfcc.ndim >= 2:
        gain = lifter_gain(mfcc.shape[-2], lifter)
        if np.any(np.abs(gain) < np.finfo(np.float32).eps):
            warnings.warn(
                f"lifter={lifter} includes critical values that may invoke underflow", stacklevel=4
            )


@by_clip(mfcc="bt", check=_check_cepstra)
def mfcc_to_mel(
    n: Length,
    mfcc: Num[AnyArray, "*batch coefficients frames"],
    *,
    n_mels: int = 128,
    dct_type: int = 2,
    norm: str | None = "ortho",
    ref: Number = 1.0,
    lifter: Number = 0,
) -> tuple[Float[jax.Array, "*batch n_mels frames"], Length]:
    """Return the mel power spectrogram of cepstra; arguments as in `mfcc`.

    Raises:
        ParameterError: a negative lifter, an unknown `dct_type` or `norm`.
    Warns:
        UserWarning: a lifter that set a coefficient to 0.
    Source: librosa 0.11 `feature.inverse.mfcc_to_mel`.

    Example:
        >>> M = np.random.default_rng(0).uniform(1, 2, (40, 3)).astype(np.float32)
        >>> mfcc = kit.dsp.mfcc(S=kit.dsp.power_to_db(M), n_mfcc=40)
        >>> bool(np.allclose(kit.dsp.mfcc_to_mel(mfcc, n_mels=40), M, rtol=1e-3))
        True
    """
    n_mels = positive_int("n_mels", n_mels)
    mfcc = as_spectrogram(mfcc, "mfcc")
    count = mfcc.shape[-2]
    if lifter > 0:
        gain = lifter_gain(count, lifter) + np.finfo(mfcc.dtype).tiny
        mfcc = mfcc / jnp.asarray(gain, mfcc.dtype)[:, None]
    matrix = jnp.asarray(idct_matrix(n_mels, count, dct_type, norm), mfcc.dtype)
    log_mel = jnp.einsum("bc,...ct->...bt", matrix, mfcc, precision=_HIGHEST)
    return db_to_power(log_mel, ref=ref), n


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
    """Return the sound of cepstra: `mfcc_to_mel`, then `mel_to_audio`; arguments as there.

    Source: librosa 0.11 `feature.inverse.mfcc_to_audio`.

    Example:
        >>> mfcc = np.ones((13, 10), np.float32)
        >>> kit.dsp.mfcc_to_audio(mfcc, n_mels=16, sr=8000, n_fft=256, n_iter=2).shape
        (576,)
    """
    bands = mfcc_to_mel(mfcc, n_mels=n_mels, dct_type=dct_type, norm=norm, ref=ref, lifter=lifter)
    return mel_to_audio(bands, **kwargs)
