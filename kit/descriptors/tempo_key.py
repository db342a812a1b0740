"""Tempo and key of decoded excerpts."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import soxr
from jaxtyping import Float, Float32, Float64

from kit.compilation import ONE_CORE
from kit.descriptors import rhythm, tonal
from kit.descriptors.spectra import RATE, SAMPLES, SHORTEST_S, onsets_of
from kit.dsp.checks import AnyArray
from kit.dsp.tonal.key import unit_profiles

PITCHES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


def tempo_and_key(
    waveforms: Sequence[Float32[np.ndarray, " _"]], sample_rate: int
) -> tuple[float | None, str | None]:
    """Return the tempo and the key of a track, as `kit.descriptors.measure` for these clips.

    Args:
        waveforms: mono excerpts.
        sample_rate: Hz.
    Returns:
        Beats per minute in [90, 180), and a key such as "F# minor"; None for less than 5 s of
        audio.
    """
    clips = [clip for y in waveforms for clip in _clips(y, sample_rate)]
    if sum(map(len, waveforms)) < SHORTEST_S * sample_rate:
        return None, None
    tempi, classes = zip(*(map(np.asarray, _compiled()(clip)) for clip in clips), strict=True)
    correlations = [_correlation(one.astype(np.float64)) for one in classes]
    mode, tonic = divmod(int(np.argmax(np.mean(correlations, axis=0))), 12)
    return round(float(np.median(tempi)), 2), f"{PITCHES[tonic]} {('minor', 'major')[mode]}"


def _clips(y: Float32[np.ndarray, " _"], rate: int) -> list[Float32[np.ndarray, " samples"]]:
    """Return consecutive clips of 30 s at 22,050 Hz; a short rest is left out."""
    at_rate = y if rate == RATE else soxr.resample(y, rate, RATE)
    whole = [at_rate[at : at + SAMPLES] for at in range(0, len(at_rate), SAMPLES)]
    # Repeated to fill a clip, a short rest would weigh as much as a whole clip.
    if len(whole) > 1 and len(whole[-1]) < SAMPLES // 2:
        whole.pop()
    return [np.resize(clip, SAMPLES) for clip in whole]


def _correlation(classes: Float64[np.ndarray, "12"]) -> Float64[np.ndarray, "2 12"]:
    """Return `kit.dsp.key`'s correlations without compiling a program for twelve numbers."""
    centred = classes - classes.mean()
    return unit_profiles(tonal.PROFILE) @ centred / max(float(np.linalg.norm(centred)), 1e-9)


@lru_cache
def _compiled() -> Any:
    shape = jax.ShapeDtypeStruct((SAMPLES,), jnp.float32)
    return jax.jit(_of_clip).lower(shape).compile(compiler_options=ONE_CORE)


def _of_clip(
    y: Float[AnyArray, " samples"],
) -> tuple[Float[jax.Array, ""], Float[jax.Array, "12"]]:
    # A batch of one would take half as long again to trace.
    return rhythm.tempo(onsets_of(y[None])[0]), tonal.pitch_classes(y[None])[0]
