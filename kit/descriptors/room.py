"""Liveness."""

import jax
import jax.numpy as jnp
from jaxtyping import Float

from kit.descriptors.scale import decibels, unit
from kit.descriptors.spectra import Frames
from kit.dsp.checks import AnyArray

_QUIET = 0.1


def floor_db(mel: Float[AnyArray, "batch 40 frames"]) -> Float[jax.Array, "batch"]:
    """How far below its mean the level of a band lies in its quietest tenth, dB, mean over bands.

    A crowd, tape hiss and a long reverberation fill the gaps; 0 is a sound that never changes.
    """
    frames = mel.shape[-1]
    quiet = -jax.lax.top_k(-mel, max(1, round(_QUIET * frames)))[0]
    gap = decibels(jnp.mean(quiet, axis=-1)) - decibels(jnp.mean(mel, axis=-1))
    return jnp.mean(jnp.maximum(gap, -80), axis=-1)


def quiet_flatness_db(frames: Frames) -> Float[jax.Array, "batch"]:
    """Flatness between 300 and 8000 Hz of the quietest tenth of the frames, dB: what fills the
    gaps is noise near 0, and tones far below."""
    level = frames.gap_power
    count = max(1, round(_QUIET * level.shape[-1]))
    edge = -jax.lax.top_k(-level, count)[0][:, -1:]
    quiet = (level <= edge).astype(level.dtype)
    return jnp.sum(frames.gap_flatness * quiet, axis=-1) / jnp.sum(quiet, axis=-1)


def liveness(mel: Float[AnyArray, "batch 40 frames"], frames: Frames) -> Float[jax.Array, "batch"]:
    """Noise between the sounds, as of a crowd or a room: `unit` of the floor from -30 to -8 dB,
    times `unit` of its flatness from -18 to -6 dB."""
    return unit(floor_db(mel), -30, -8) * unit(quiet_flatness_db(frames), -18, -6)
