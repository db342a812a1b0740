"""Compute the descriptors of a track from its audio, with one compiled program."""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from kit.compilation import ONE_CORE
from kit.descriptors import proxies, rhythm, tonal
from kit.descriptors.read import TrackAudio
from kit.descriptors.spectra import SAMPLES, spectra
from kit.dsp import loudness_of_steps
from kit.dsp.checks import AnyArray

SOURCE = "kit-proxy-1"
"""Version of the definitions in docs/descriptors.md."""

SILENCE_LUFS = -70.0
_STEPS = 300  # of 30 s; longer tracks are padded to this times a power of two


@dataclass(frozen=True)
class Descriptors:
    """The rounded descriptors of one track, by column."""

    danceability: float
    energy: float
    key: int
    loudness: float
    mode: int
    speechiness: float
    acousticness: float
    instrumentalness: float
    liveness: float
    valence: float
    tempo: float
    duration_ms: int


COLUMNS = tuple(field.name for field in fields(Descriptors))
"""Names of the descriptors, as columns of a table."""

# Decimal places; the other columns are integers.
DIGITS = {
    name: 2 if name in ("loudness", "tempo") else 4
    for name in COLUMNS
    if name not in ("key", "mode", "duration_ms")
}


class ClipDescriptors(NamedTuple):
    """The descriptors of each clip of a batch, by column."""

    danceability: Float[jax.Array, "batch"]
    energy: Float[jax.Array, "batch"]
    speechiness: Float[jax.Array, "batch"]
    acousticness: Float[jax.Array, "batch"]
    instrumentalness: Float[jax.Array, "batch"]
    liveness: Float[jax.Array, "batch"]
    valence: Float[jax.Array, "batch"]
    tempo: Float[jax.Array, "batch"]
    correlation: Float[jax.Array, "batch 2 12"]
    """Correlation of the chroma with the profile of each mode (minor, major) and tonic; the
    maximum is the key."""


def measure(audio: TrackAudio) -> Descriptors:
    """Return the descriptors of a track.

    For several clips: the mean, the median of the tempo, and the key with the highest mean
    correlation.
    """
    level = integrated_loudness(audio.powers)
    parts = [_of_clip(clip, level) for clip in audio.clips]
    together = np.mean([part.correlation for part in parts], axis=0)
    best = int(np.argmax(together))
    means = {
        name: round(float(np.mean([getattr(part, name) for part in parts])), digits)
        for name, digits in DIGITS.items()
        if name not in ("loudness", "tempo")
    }
    return Descriptors(
        **means,
        loudness=round(level, DIGITS["loudness"]),
        tempo=round(float(np.median([part.tempo for part in parts])), DIGITS["tempo"]),
        key=best % 12,
        mode=best // 12,
        duration_ms=round(1000 * audio.duration_s),
    )


def warm_up() -> None:
    """Compile now, so that the time limit of the first track does not include it."""
    compiled()
    integrated_loudness(np.zeros(_STEPS))


def integrated_loudness(powers: Float[np.ndarray, "steps"]) -> float:
    """Return the integrated loudness, LUFS; -70, the gate, if all lies below it."""
    size = _STEPS * 2 ** max(0, math.ceil(math.log2(max(len(powers), 1) / _STEPS)))
    padded = np.zeros((1, size), np.float32)
    padded[0, : len(powers)] = powers
    level = float(loudness_of_steps(padded, np.array([len(powers)], np.int32))[0])
    return max(level, SILENCE_LUFS)


def _of_clip(clip: Float[np.ndarray, "samples"], level: float) -> ClipDescriptors:
    # One clip at a time: the last bits would depend on the batch size, and threads keep the
    # cores busy.
    found = compiled()(clip[None], np.array([level], np.float32))
    return ClipDescriptors(*(np.asarray(value)[0] for value in found))


@lru_cache
def compiled(batch: int = 1) -> Callable[[AnyArray, AnyArray], ClipDescriptors]:
    """Compile `describe_clips` ahead of time for `batch` clips of 30 s.

    Another shape raises an error instead of compiling. Threads may run the program concurrently.
    """
    y = jax.ShapeDtypeStruct((batch, SAMPLES), jnp.float32)
    loudness = jax.ShapeDtypeStruct((batch,), jnp.float32)
    return jax.jit(describe_clips).lower(y, loudness).compile(compiler_options=ONE_CORE)


def describe_clips(
    y: Float[AnyArray, "batch samples"], loudness: Float[AnyArray, "batch"]
) -> ClipDescriptors:
    """Return the descriptors of a batch of clips; pure, to be jitted."""
    frames, mel, onsets = spectra(y)
    key = tonal.key_of(y)
    tempo = rhythm.tempo(onsets)
    onset_rate = rhythm.onset_rate(onsets)
    margin = tonal.mode_margin(key.correlation)
    voice = proxies.modulation(mel, 200, 3400)
    return ClipDescriptors(
        danceability=proxies.danceability(rhythm.scaling_exponent(y), onset_rate),
        energy=proxies.energy(loudness, onset_rate),
        speechiness=proxies.speechiness(proxies.modulation(mel)),
        acousticness=proxies.acousticness(frames),
        instrumentalness=proxies.instrumentalness(voice, frames),
        liveness=proxies.liveness(mel, frames),
        valence=proxies.valence(margin, proxies.brightness(frames), tempo),
        tempo=tempo,
        correlation=key.correlation,
    )
