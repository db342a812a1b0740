"""All descriptors of a batch of clips, as one program that is compiled once."""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float

from kit.compilation import ONE_CORE
from kit.descriptors import rhythm, room, timbre, tonal, voice
from kit.descriptors.energy import energy
from kit.descriptors.spectra import SAMPLES, spectra
from kit.descriptors.valence import valence
from kit.dsp.checks import AnyArray


class Described(NamedTuple):
    """The descriptors of each clip that its samples tell, by the names of their columns, and what
    those of several clips of a track are put together by."""

    danceability: Float[jax.Array, "batch"]
    energy: Float[jax.Array, "batch"]
    speechiness: Float[jax.Array, "batch"]
    acousticness: Float[jax.Array, "batch"]
    instrumentalness: Float[jax.Array, "batch"]
    liveness: Float[jax.Array, "batch"]
    valence: Float[jax.Array, "batch"]
    tempo: Float[jax.Array, "batch"]
    correlation: Float[jax.Array, "batch 2 12"]
    """Of mode (minor, major) and tonic with the clip's chroma: the greatest is the key."""


def describe_clips(
    y: Float[AnyArray, "batch samples"], loudness: Float[AnyArray, "batch"]
) -> Described:
    """All descriptors of a batch of clips; pure, to be jitted.

    Args:
        y: mono at 22,050 Hz, full scale 1.
        loudness: of the tracks, LUFS.
    """
    heard = spectra(y)
    frames, mel = heard.frames, heard.mel
    key = tonal.key_of(y)
    tempo = rhythm.tempo(heard.onsets)
    onset_rate = rhythm.onset_rate(heard.onsets)
    return Described(
        danceability=rhythm.danceability(rhythm.scaling_exponent(y), onset_rate),
        energy=energy(loudness, onset_rate),
        speechiness=voice.speechiness(voice.modulation(mel)),
        acousticness=timbre.acousticness(frames),
        instrumentalness=voice.instrumentalness(voice.modulation(mel, 200, 3400), frames),
        liveness=room.liveness(mel, frames),
        valence=valence(tonal.mode_margin(key.correlation), timbre.brightness(frames), tempo),
        tempo=tempo,
        correlation=key.correlation,
    )


@lru_cache
def compiled(batch: int = 1) -> Callable[[AnyArray, AnyArray], Described]:
    """Compile `describe_clips` ahead of time for `batch` clips of 30 s.

    Another shape is an error, not another compilation. Threads may run the program side by side.
    """
    y = jax.ShapeDtypeStruct((batch, SAMPLES), jnp.float32)
    loudness = jax.ShapeDtypeStruct((batch,), jnp.float32)
    return jax.jit(describe_clips).lower(y, loudness).compile(compiler_options=ONE_CORE)
