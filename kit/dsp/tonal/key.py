"""Musical key."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float, Int, Num, Shaped

from kit.dsp.checks import AnyArray, Number, ParameterError, one_of, positive_int, require
from kit.dsp.jit import Length, by_clip
from kit.dsp.stft import as_spectrogram
from kit.dsp.tonal.chroma import chroma_cqt
from kit.dsp.tonal.octaves import HIGHEST
from kit.dsp.tonal.wavelet import C1_HZ, finite

# Upper edge of a filter at 12 bins an octave, over its frequency; more bins have lower edges.
_EDGE = 1.05

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
    """The best key of each clip, and how well every key fits.

    Example:
        >>> found = kit.dsp.key(chroma=np.ones((12, 1), np.float32))  # every class alike
        >>> found.correlation.shape, float(found.correlation.max())  # modes and tonics
        ((2, 12), 0.0)
    """

    tonic: Int[jax.Array, "*batch"]
    """0 is C, 11 is B, -1 is unknown."""
    mode: Int[jax.Array, "*batch"]
    """1 is major, 0 is minor, as at Spotify; -1 is unknown."""
    correlation: Float[jax.Array, "*batch 2 12"]
    """Pearson's correlation for each mode and tonic."""


def key(
    *,
    y: Shaped[AnyArray, "*batch samples"] | None = None,
    sr: Number = 22050,
    chroma: Num[AnyArray, "*batch 12 frames"] | None = None,
    profile: str = "krumhansl",
    tuning: Number | None = 0.0,
    **kwargs: Any,
) -> Key:
    """Return the key whose profile correlates best with the mean chroma.

    Args:
        y, sr: waveforms and their rate.
        chroma: (…, 12, frames), class 0 is C, in place of y.
        profile: "krumhansl" (Krumhansl and Kessler 1982), "edma" or "bgate" (electronic dance
            music, Faraldo et al. 2016 and 2017).
        tuning: offset of y in steps of the transform (36 an octave); None estimates it, which needs
            a known y.
        kwargs: arguments of `chroma_cqt`. `n_octaves` is 7, or as many as fit below `sr / 2`.
    Returns:
        Silence gives C minor with correlations of 0. A clip with NaN or infinity gives tonic and
        mode -1 with correlations of NaN.
    Raises:
        ParameterError: an unknown profile, neither y nor chroma, not 12 classes, no frame, a rate
            too low for one octave; or as `chroma_cqt`.

    Example:
        >>> chroma = np.zeros((12, 1), np.float32)
        >>> chroma[[9, 0, 4]] = 1  # A, C and E
        >>> found = kit.dsp.key(chroma=chroma)
        >>> int(found.tonic), int(found.mode)  # 9 is A, 0 is minor
        (9, 0)
    """
    one_of("profile", profile, PROFILES)
    if chroma is None:
        if y is None and kwargs.get("C") is None:
            raise ParameterError("y and chroma: give one of them")
        if kwargs.get("C") is None and "n_octaves" not in kwargs:
            kwargs["n_octaves"] = _octaves(sr, kwargs.get("fmin"), kwargs.get("bins_per_octave"))
        chroma = chroma_cqt(y=y, sr=sr, tuning=tuning, norm=None, **kwargs)
    chroma = chroma if isinstance(chroma, jax.Array) else np.asarray(chroma)
    valid = chroma.shape[-2:-1] == (12,) and chroma.shape[-1] > 0
    require(valid, "chroma.shape", chroma.shape, "it must have 12 classes and at least one frame")
    return Key(*_key(chroma=chroma, profile=profile))


def _octaves(sr: Number, fmin: Number | None, bins_per_octave: int | None) -> int:
    """Return the number of octaves, at most 7, that fit below `sr / 2` at any tuning."""
    for name, value in {"sr": sr, "fmin": C1_HZ if fmin is None else fmin}.items():
        require(finite(value) and value > 0, name, value, "it must be a number above 0 Hz")
    lowest = float(C1_HZ if fmin is None else fmin)
    count = positive_int("bins_per_octave", 12 if bins_per_octave is None else bins_per_octave)
    octaves = 7
    while octaves and lowest * 2.0 ** (octaves - 0.5 / count) * _EDGE > sr / 2:
        octaves -= 1
    require(octaves, "sr", sr, f"no octave above fmin = {lowest:g} Hz fits below sr / 2")
    return octaves


@by_clip(chroma="bt")
def _key(
    n: Length, *, chroma: Num[AnyArray, "*batch 12 frames"], profile: str
) -> tuple[
    tuple[Int[jax.Array, "*batch"], Int[jax.Array, "*batch"], Float[jax.Array, "*batch 2 12"]],
    None,
]:
    chroma = as_spectrogram(chroma, "chroma")
    chroma = jnp.where(jnp.arange(chroma.shape[1]) < n, chroma, 0)
    # Scale the chroma, so that squares neither overflow nor vanish; correlations do not change.
    peak = lax.stop_gradient(jnp.max(jnp.abs(chroma)))
    some = peak > 0
    chroma = jnp.where(some, chroma / jnp.where(some, peak, 1), chroma)
    mean = jnp.sum(chroma, axis=1) / n
    centred = mean - jnp.mean(mean)
    squared = jnp.sum(jnp.square(centred))
    correlation = jnp.einsum(
        "c,mtc->mt", centred, jnp.asarray(unit_profiles(profile), mean.dtype), precision=HIGHEST
    )
    # The root has no finite slope at zero. Rounding gives constant chroma a small variance.
    flat = squared <= 12 * jnp.square(jnp.finfo(mean.dtype).eps * jnp.max(jnp.abs(mean)))
    size = jnp.sqrt(jnp.where(flat, 1, squared))
    correlation = jnp.where(flat, 0, correlation / size)
    best = jnp.argmax(correlation.reshape(-1))
    none = ~jnp.all(jnp.isfinite(correlation))
    return (
        jnp.where(none, -1, best % 12),
        jnp.where(none, -1, best // 12),
        correlation,
    ), None


def unit_profiles(name: str) -> Float[np.ndarray, "2 12 12"]:
    """Return the centred profiles of each mode and tonic, of norm 1."""
    rows = np.array(PROFILES[name])
    rows = rows - rows.mean(axis=1, keepdims=True)
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return np.stack([[np.roll(row, tonic) for tonic in range(12)] for row in rows])
