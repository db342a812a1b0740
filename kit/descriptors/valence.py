"""Valence."""

import jax
import jax.numpy as jnp
from jaxtyping import Float

from kit.descriptors.scale import unit
from kit.dsp.checks import AnyArray


def valence(
    mode_margin: Float[AnyArray, "batch"],
    brightness: Float[AnyArray, "batch"],
    tempo: Float[AnyArray, "batch"],
) -> Float[jax.Array, "batch"]:
    """Major, bright and fast: half `unit` of the mode's margin from -0.2 to 0.2, a quarter each
    `unit` of the centroid from 1000 to 4000 Hz and of the tempo from 100 to 160 bpm.

    Source: mode, tempo and timbre lead the list of what listeners go by in Gabrielsson and
    Lindström 2010, "The role of structure in the musical expression of emotions"; the weights are
    kit's own.
    """
    bright = unit(jnp.log(jnp.maximum(brightness, 1.0)), 6.907755, 8.294050)
    return 0.5 * unit(mode_margin, -0.2, 0.2) + 0.25 * bright + 0.25 * unit(tempo, 100, 160)
