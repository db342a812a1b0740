"""Musical key."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, Num, Shaped

from kit.dsp.checks import AnyArray, Number, ParameterError, require
from kit.dsp.tonal.chroma import chroma_cqt

NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
"""Tonics, by number."""

# Rows: minor, major; columns: degrees in semitones above the tonic.
PROFILES: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    # Krumhansl and Kessler 1982, probe tone ratings.
    "krumhansl": (
        (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17),
        (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88),
    ),
    # Faraldo, Gómez, Jordà and Herrera 2016, "Key estimation in electronic dance music" (ECIR):
    # medians of the pitch class profiles of a corpus of electronic dance music.
    "edma": (
        (
            *(0.17235348, 0.05336489, 0.0761009, 0.10043649, 0.05621498, 0.08527853),
            *(0.0497915, 0.13451001, 0.07458916, 0.05003023, 0.09187879, 0.05545106),
        ),
        (
            *(0.16519551, 0.04749026, 0.08293076, 0.06687112, 0.09994645, 0.09274123),
            *(0.05294487, 0.13159476, 0.05218986, 0.07443653, 0.06940723, 0.0642515),
        ),
    ),
    # Faraldo, Jordà and Herrera 2017, "A multi-profile method for key estimation in EDM" (AES
    # Semantic Audio): medians of another such corpus, the four least degrees of each set to 0.
    "bgate": (
        (1.00, 0.00, 0.36, 0.39, 0.00, 0.38, 0.00, 0.74, 0.27, 0.00, 0.42, 0.23),
        (1.00, 0.00, 0.42, 0.00, 0.53, 0.37, 0.00, 0.77, 0.00, 0.38, 0.21, 0.30),
    ),
}


class Key(NamedTuple):
    """The best key of each clip, and how well every key fits."""

    tonic: Int[jax.Array, "*batch"]
    """0 is C, 11 is B."""
    mode: Int[jax.Array, "*batch"]
    """1 is major, 0 is minor, as Spotify counts."""
    correlation: Float[jax.Array, "*batch 2 12"]
    """Pearson's, for mode and tonic."""


def key(
    *,
    y: Shaped[AnyArray, "*batch samples"] | None = None,
    sr: Number = 22050,
    chroma: Num[AnyArray, "*batch 12 frames"] | None = None,
    profile: str = "krumhansl",
    tuning: Number | None = 0.0,
    **kwargs: Any,
) -> Key:
    """The key whose profile correlates best with the mean chroma.

    Args:
        y, sr: waveforms and their rate.
        chroma: (…, 12, frames), class 0 is C, in place of y.
        profile: "krumhansl" (Krumhansl and Kessler 1982), "edma" or "bgate" (electronic dance
            music, Faraldo et al. 2016 and 2017).
        tuning: of y in steps of the transform (36 an octave); None estimates it, for which y must
            not be traced.
        kwargs: to `chroma_cqt`.
    Returns:
        Silence has C minor with correlations of 0.
    Raises:
        ParameterError: an unknown profile, neither y nor chroma, not 12 classes.
    """
    known = ", ".join(PROFILES)
    require(profile in PROFILES, "profile", profile, f"it must be one of {known}")
    if chroma is None:
        if y is None:
            raise ParameterError("y and chroma: give one of them")
        chroma = chroma_cqt(y=y, sr=sr, tuning=tuning, norm=None, **kwargs)
    chroma = jnp.asarray(chroma)
    require(chroma.shape[-2:-1] == (12,), "chroma.shape", chroma.shape, "it must have 12 classes")
    mean = jnp.mean(chroma.astype(jnp.result_type(chroma, jnp.float32)), axis=-1)
    centred = mean - jnp.mean(mean, axis=-1, keepdims=True)
    size = jnp.sqrt(jnp.sum(jnp.square(centred), axis=-1))
    some = size > jnp.finfo(mean.dtype).tiny
    correlation = jnp.einsum(
        "...c,mtc->...mt",
        centred,
        jnp.asarray(_unit_profiles(profile), mean.dtype),
        precision=jax.lax.Precision.HIGHEST,
    )
    safe = jnp.where(some, size, 1)[..., None, None]
    correlation = jnp.where(some[..., None, None], correlation / safe, 0)
    best = jnp.argmax(correlation.reshape(*mean.shape[:-1], 24), axis=-1)
    return Key(best % 12, best // 12, correlation)


def _unit_profiles(name: str) -> Float[np.ndarray, "2 12 12"]:
    rows = np.array(PROFILES[name])
    rows = rows - rows.mean(axis=1, keepdims=True)
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return np.stack([[np.roll(row, tonic) for tonic in range(12)] for row in rows])
