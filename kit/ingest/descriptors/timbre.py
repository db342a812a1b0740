"""Acousticness, and brightness."""

import jax
import jax.numpy as jnp
from jaxtyping import Float

from kit.dsp import spectral_centroid, spectral_rolloff
from kit.dsp.checks import AnyArray
from kit.ingest.descriptors.scale import unit
from kit.ingest.descriptors.spectra import RATE, tonality_db

Magnitude = Float[AnyArray, "batch bins frames"]


def _weighted(x: Float[AnyArray, "batch frames"], S: Magnitude) -> Float[jax.Array, "batch"]:
    """Mean over frames, each by its share of the amplitude: what is silent has no timbre."""
    weight = jnp.sum(S, axis=-2)
    return jnp.sum(x * weight, axis=-1) / jnp.maximum(jnp.sum(weight, axis=-1), 1e-9)


def brightness(S: Magnitude) -> Float[jax.Array, "batch"]:
    """Mean spectral centroid, Hz."""
    return _weighted(spectral_centroid(S=S, sr=RATE)[:, 0], S)


def acousticness(S: Magnitude) -> Float[jax.Array, "batch"]:
    """How dark and how tonal: half `unit` of the roll-off (85% of the magnitude) from 7000 down to
    2000 Hz, half `unit` of the flatness from -15 down to -35 dB, means over frames.

    Source: both are among the descriptors of Peeters 2004, "A large set of audio features"; that
    acoustic instruments are darker and more tonal than drum machines and synthesisers is a
    tendency, not a rule.
    """
    rolled = _weighted(spectral_rolloff(S=S, sr=RATE)[:, 0], S)
    flat = _weighted(tonality_db(S), S)
    return 0.5 * unit(rolled, 7000, 2000) + 0.5 * unit(flat, -15, -35)
