"""Key and mode."""

import jax
import jax.numpy as jnp
from jaxtyping import Float

from kit.dsp import Key, chroma_stft, key
from kit.ingest.descriptors.spectra import RATE

_N_FFT = 8192
_HOP = 4096


def key_of(y: Float[jax.Array, "batch samples"]) -> Key:
    """Tonic and mode of each clip."""
    chroma = chroma_stft(y=y, sr=RATE, n_fft=_N_FFT, hop_length=_HOP, tuning=0.0, norm=None)
    return key(chroma=jnp.log1p(chroma))


def mode_margin(correlation: Float[jax.Array, "batch 2 12"]) -> Float[jax.Array, "batch"]:
    """By how much the best major key fits better than the best minor key."""
    minor, major = jnp.max(correlation, axis=-1).T
    return major - minor
