"""Acousticness, and brightness."""

import jax
import jax.numpy as jnp
from jaxtyping import Float

from kit.descriptors.scale import unit
from kit.descriptors.spectra import Frames
from kit.dsp.checks import AnyArray


def _weighted(x: Float[AnyArray, "batch frames"], frames: Frames) -> Float[jax.Array, "batch"]:
    """Mean over frames, each by its share of the amplitude: what is silent has no timbre."""
    weight = frames.amplitude
    return jnp.sum(x * weight, axis=-1) / jnp.maximum(jnp.sum(weight, axis=-1), 1e-9)


def brightness(frames: Frames) -> Float[jax.Array, "batch"]:
    """Mean spectral centroid, Hz."""
    return _weighted(frames.centroid, frames)


def acousticness(frames: Frames) -> Float[jax.Array, "batch"]:
    """How dark and how tonal: half `unit` of the roll-off (85% of the magnitude) from 7000 down to
    2000 Hz, half `unit` of the flatness from -15 down to -35 dB, means over frames.

    Source: both are among the descriptors of Peeters 2004, "A large set of audio features"; that
    acoustic instruments are darker and more tonal than drum machines and synthesisers is a
    tendency, not a rule.
    """
    rolled = _weighted(frames.rolloff, frames)
    flat = _weighted(frames.flatness, frames)
    return 0.5 * unit(rolled, 7000, 2000) + 0.5 * unit(flat, -15, -35)
