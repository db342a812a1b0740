"""Energy."""

import jax
from jaxtyping import Float

from kit.descriptors.scale import unit
from kit.dsp.checks import AnyArray


def energy(
    loudness: Float[AnyArray, "batch"], onset_rate: Float[AnyArray, "batch"]
) -> Float[jax.Array, "batch"]:
    """How loud and how busy.

    Args:
        loudness: integrated, LUFS.
        onset_rate: onsets a second.
    Returns:
        0.6 of `unit` of the loudness from -30 to -8 LUFS, and 0.4 of `unit` of the onsets from 0.5
        to 8 a second.
    Source: level and onset rate are two of the five things that Spotify names as those that its
    "energy" goes by; the weights are kit's own.
    """
    return 0.6 * unit(loudness, -30, -8) + 0.4 * unit(onset_rate, 0.5, 8)
