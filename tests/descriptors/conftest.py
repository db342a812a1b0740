"""Clips of 30 s whose descriptors are known, or that differ in one property only."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
import pandas as pd
import pytest
import soundfile

from kit.catalogue import Catalogue, Scan, load, save
from kit.descriptors import proxies, rhythm
from kit.descriptors.spectra import RATE, SAMPLES, spectra

T = np.arange(SAMPLES) / RATE


class Sounds:
    """Makers of clips, (samples,) float32 at 22,050 Hz."""

    samples = SAMPLES
    rate = RATE

    @staticmethod
    def noise(level: float = 0.1, seed: int = 0) -> np.ndarray:
        rng = np.random.default_rng(seed)
        return (level * rng.standard_normal(SAMPLES)).astype(np.float32)

    @staticmethod
    def hits(times: np.ndarray, level: float = 0.5, decay_s: float = 0.03) -> np.ndarray:
        """Short bursts of noise that begin at `times`, seconds."""
        rng = np.random.default_rng(1)
        n = round(5 * decay_s * RATE)
        burst = np.exp(-np.arange(n) / (decay_s * RATE)) * rng.standard_normal(n)
        y = np.zeros(SAMPLES)
        y[[round(t * RATE) for t in times if 0 <= t < 29.9]] = level
        return np.convolve(y, burst)[:SAMPLES].astype(np.float32)

    @classmethod
    def beat(cls, bpm: float, level: float = 0.5) -> np.ndarray:
        return cls.hits(np.arange(0, 30, 60 / bpm), level)

    @staticmethod
    def tones(midi: list[float], harmonics: int = 1, level: float = 0.1) -> np.ndarray:
        """Sustained tones whose partials fall as 1 / n."""
        y = np.zeros(SAMPLES)
        for note in midi:
            hz = 440 * 2 ** ((note - 69) / 12)
            for n in range(1, harmonics + 1):
                if n * hz < 0.45 * RATE:
                    y += np.sin(2 * np.pi * n * hz * T) / n
        return (level * y).astype(np.float32)

    @staticmethod
    def wavering(hz: float, depth: float, seed: int | None = None) -> np.ndarray:
        """A gain that falls and rises `hz` times a second, irregularly with a seed."""
        phase = 2 * np.pi * hz * T
        if seed is not None:
            rng = np.random.default_rng(seed)
            slow = np.interp(T, np.arange(0, 31, 0.2), rng.standard_normal(155))
            phase = 2 * np.pi * np.cumsum(hz * np.exp(0.6 * slow)) / RATE
        return (1 - depth * (0.5 + 0.5 * np.cos(phase))).astype(np.float32)


@pytest.fixture(scope="session")
def sounds() -> type[Sounds]:
    """Makers of clips."""
    return Sounds


@pytest.fixture(scope="session")
def measurements() -> Callable[[np.ndarray], dict[str, jax.Array]]:
    """A function that maps a clip to its measurements and proxies, compiled once."""

    @jax.jit
    def measured(y):
        frames, mel, onsets = spectra(y[None])
        found = proxies.modulation(mel)
        voice = proxies.modulation(mel, 200, 3400)
        exponent, onset_rate = rhythm.scaling_exponent(y[None]), rhythm.onset_rate(onsets)
        return {
            "exponent": exponent[0],
            "danceability": proxies.danceability(exponent, onset_rate)[0],
            "onsets": onset_rate[0],
            "tempo": rhythm.tempo(onsets)[0],
            "depth": found.depth[0],
            "spread": found.spread[0],
            "speechiness": proxies.speechiness(found)[0],
            "instrumentalness": proxies.instrumentalness(voice, frames)[0],
            "acousticness": proxies.acousticness(frames)[0],
            "brightness": proxies.brightness(frames)[0],
            "flatness": frames.gap_flatness.mean(),
            "liveness": proxies.liveness(mel, frames)[0],
            "floor": proxies.floor_db(mel)[0],
        }

    return measured


def _catalogue(folder: Path, clips: dict[str, tuple[np.ndarray, int]]) -> Catalogue:
    rows = []
    for name, (y, rate) in clips.items():
        path = folder / "music" / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, y, rate)
        rows.append(
            {
                "track_id": name,
                "label": "ab"[len(rows) % 2],
                "path": path.name,
                "source_hash": hashlib.sha256(path.read_bytes()).hexdigest(),
            }
        )
    save(Scan(pd.DataFrame(rows), [], folder / "music"), folder / "data")
    return load(folder / "data")


@pytest.fixture
def catalogue_of(tmp_path) -> Callable[..., Catalogue]:
    """A function: names to (samples, rate) -> a catalogue of such WAV files."""
    return lambda clips: _catalogue(tmp_path, clips)
