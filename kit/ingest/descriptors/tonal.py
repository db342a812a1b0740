"""Key and mode."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from kit.dsp import Key, fft_frequencies, key, stft
from kit.dsp.checks import AnyArray
from kit.dsp.stft import magnitude
from kit.ingest.descriptors.spectra import RATE

_N_FFT = 8192
_HOP = 4096
# From the second octave's bass to where overtones outnumber fundamentals.
_LOW_HZ, _HIGH_HZ = 60.0, 2000.0
_TUNING_HZ = 100.0
# The fifth partial of a sawtooth, a fifth as loud as the first, is its major third.
_FIFTH_PARTIAL = 0.2

_HZ = np.asarray(fft_frequencies(sr=RATE, n_fft=_N_FFT))
_FIRST = int(np.searchsorted(_HZ, _LOW_HZ))
_LAST = int(np.searchsorted(_HZ, _HIGH_HZ))


def key_of(y: Float[AnyArray, "batch samples"]) -> Key:
    """Tonic and mode of each clip, by the profiles "bgate"."""
    return key(chroma=pitch_classes(y)[..., None], profile="bgate")


def pitch_classes(y: Float[AnyArray, "batch samples"]) -> Float[jax.Array, "batch 12"]:
    """How much of each pitch class a clip holds, class 0 is C.

    The peaks of each frame's spectrum between 60 and 2000 Hz, by a parabola between the bins, are
    set against the tuning that most of them agree on, and dealt to their nearest class, less the
    further they are off it; frames count alike. From each class a fifth of the one a major third
    below is taken off, which is that one's fifth partial and makes minor keys look major.

    Source: Gómez 2006, "Tonal description of polyphonic audio for music content processing", with
    the tuning of Gómez's thesis, and Faraldo, Jordà and Herrera 2017.
    """
    S = jnp.swapaxes(magnitude(stft(y, n_fft=_N_FFT, hop_length=_HOP)), -1, -2)
    left, middle, right = (S[..., _FIRST + d : _LAST + d] for d in (-1, 0, 1))
    peak = jnp.where((middle > left) & (middle >= right), middle, 0)
    a, b, c = (jnp.log(jnp.maximum(part, 1e-9)) for part in (left, middle, right))
    bend = a - 2 * b + c
    offset = jnp.where(bend < 0, 0.5 * (a - c) / jnp.where(bend < 0, bend, -1), 0)
    hz = jnp.asarray(_HZ[_FIRST:_LAST], S.dtype) + jnp.clip(offset, -0.5, 0.5) * (RATE / _N_FFT)
    pitch = 12 * jnp.log2(hz / 440) + 9
    peak = peak / jnp.maximum(jnp.max(peak, axis=-1, keepdims=True), 1e-9)
    turn = 2 * np.pi * pitch
    heard = jnp.where(hz >= _TUNING_HZ, peak, 0)
    sine, cosine = (jnp.sum(heard * f(turn), axis=(-2, -1)) for f in (jnp.sin, jnp.cos))
    tuned = pitch - (jnp.arctan2(sine, cosine) / (2 * np.pi))[:, None, None]
    nearest = jnp.round(tuned)
    weight = peak * jnp.square(jnp.cos(np.pi * (tuned - nearest)))
    number = jnp.mod(nearest, 12)
    of_class = [jnp.sum(jnp.where(number == i, weight, 0), axis=-1) for i in range(12)]
    chroma = jnp.stack(of_class, axis=-1)
    chroma = chroma / jnp.maximum(jnp.max(chroma, axis=-1, keepdims=True), 1e-9)
    mean = jnp.mean(chroma, axis=-2)
    return jnp.maximum(mean - _FIFTH_PARTIAL * jnp.roll(mean, 4, axis=-1), 0)


def mode_margin(correlation: Float[AnyArray, "batch 2 12"]) -> Float[jax.Array, "batch"]:
    """By how much the best major key fits better than the best minor key."""
    best = jnp.max(correlation, axis=-1)
    return best[..., 1] - best[..., 0]
