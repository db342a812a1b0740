"""Pitch peaks of spectra, and how far they lie from concert pitch."""

import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Num, Shaped

from kit.dsp.checks import AnyArray, Number, require
from kit.dsp.jit import compiled
from kit.dsp.stft import fft_frequencies, spectrogram


def hz_to_octs(frequencies: Any, *, tuning: Number = 0.0, bins_per_octave: int = 12) -> Any:
    """Octaves above 27.5 Hz (A0) times 2, as NumPy (JAX of JAX); A440 shifted by `tuning` bins.

    Source: librosa 0.11 `hz_to_octs`.
    """
    xp = jnp if isinstance(frequencies, jax.Array) else np
    a440 = 440.0 * 2.0 ** (tuning / bins_per_octave)
    return xp.log2(xp.asarray(frequencies) / (a440 / 16))


@compiled("y", "S")
def piptrack(
    *,
    y: Shaped[AnyArray, "*batch samples"] | None = None,
    sr: Number = 22050,
    S: Num[AnyArray, "*batch bins frames"] | None = None,
    n_fft: int | None = 2048,
    hop_length: int | None = None,
    fmin: Number = 150.0,
    fmax: Number = 4000.0,
    threshold: Number = 0.1,
    ref: Number | Callable[..., Any] | None = None,
    **stft_arguments: Any,
) -> tuple[Float[jax.Array, "*batch bins frames"], Float[jax.Array, "*batch bins frames"]]:
    """Peaks of each frame between the bins: frequency in Hz and magnitude, 0 where there is none.

    Args:
        y, sr: waveforms and their rate.
        S: magnitudes in place of y.
        n_fft, hop_length, stft_arguments: see `stft`.
        fmin, fmax: peaks are looked for between, Hz.
        threshold: of the frame's greatest magnitude, below which there is no peak.
        ref: in place of that: a magnitude, or a function of S and `axis`.
    Source: librosa 0.11 `piptrack`; Smith, "Sinusoidal Peak Interpolation".
    """
    S, n_fft = spectrogram(y=y, S=S, n_fft=n_fft, hop_length=hop_length, **stft_arguments)
    S = jnp.abs(S)
    low, high = max(fmin, 0), min(fmax, sr / 2)
    centres = fft_frequencies(sr=sr, n_fft=n_fft)
    ahead = jnp.concatenate([S[..., 1:, :], S[..., -1:, :]], axis=-2)
    behind = jnp.concatenate([S[..., :1, :], S[..., :-1, :]], axis=-2)
    slope = (ahead - behind) / 2
    bend = ahead + behind - 2 * S
    inner = np.zeros((S.shape[-2], 1), bool)
    inner[1:-1] = True
    steep = jnp.abs(slope) >= jnp.abs(bend)
    shift = jnp.where(inner & ~steep, -slope / jnp.where(steep, 1, bend), 0)
    if ref is None:
        limit = threshold * jnp.max(S, axis=-2, keepdims=True)
    elif callable(ref):
        limit = threshold * jnp.expand_dims(jnp.asarray(ref(S, axis=-2)), -2)
    else:
        limit = abs(ref)
    loud = S * (limit < S)
    up = loud > jnp.concatenate([loud[..., :1, :], loud[..., :-1, :]], axis=-2)
    down = loud >= jnp.concatenate([loud[..., 1:, :], loud[..., -1:, :]], axis=-2)
    # As in librosa the last bin is a peak if it is above the one before.
    inside = ((low <= centres) & (centres < high))[:, None]
    peak = inside & up & down
    bins = jnp.arange(S.shape[-2], dtype=S.dtype)[:, None]
    pitches = jnp.where(peak, (bins + shift) * (sr / n_fft), 0)
    magnitudes = jnp.where(peak, S + 0.5 * slope * shift, 0)
    return pitches, magnitudes


def pitch_tuning(
    frequencies: Any, *, resolution: Number = 0.01, bins_per_octave: int = 12
) -> float:
    """The commonest deviation of frequencies from equal temperament at A440, in bins.

    Args:
        frequencies: Hz, any shape; those not above 0 are left out. Not for tracing.
        resolution: of the histogram, bins.
        bins_per_octave: of the temperament.
    Returns:
        Between -0.5 and 0.5.
    Warns:
        UserWarning: no frequency is above 0; the result is 0.
    Source: librosa 0.11 `pitch_tuning`.
    """
    require(0 < resolution < 1, "resolution", resolution, "it must lie between 0 and 1")
    values = np.atleast_1d(np.asarray(frequencies, np.float64))
    values = values[values > 0]
    if not len(values):
        warnings.warn("Trying to estimate tuning from empty frequency set: it is 0", stacklevel=2)
        return 0.0
    away = np.mod(bins_per_octave * hz_to_octs(values), 1.0)
    away[away >= 0.5] -= 1.0
    edges = np.linspace(-0.5, 0.5, int(np.ceil(1.0 / resolution)) + 1)
    counts, edges = np.histogram(away, edges)
    return float(edges[np.argmax(counts)])


def estimate_tuning(
    *,
    y: Shaped[AnyArray, "*batch samples"] | None = None,
    sr: Number = 22050,
    S: Num[AnyArray, "*batch bins frames"] | None = None,
    n_fft: int | None = 2048,
    resolution: Number = 0.01,
    bins_per_octave: int = 12,
    **kwargs: Any,
) -> float:
    """Tuning of a sound in bins, from its louder peaks; arguments as in `piptrack` and
    `pitch_tuning`. Not for tracing: the answer picks the filters that come after.

    Source: librosa 0.11 `estimate_tuning`.
    """
    pitch, mag = (np.asarray(v) for v in piptrack(y=y, sr=sr, S=S, n_fft=n_fft, **kwargs))
    found = pitch > 0
    least = np.median(mag[found]) if found.any() else 0.0
    return pitch_tuning(
        pitch[(mag >= least) & found], resolution=resolution, bins_per_octave=bins_per_octave
    )
