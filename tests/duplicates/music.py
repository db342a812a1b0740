"""Invented pieces of music, and what may happen to a recording."""

import io

import numpy as np
import soundfile
import soxr

from kit.duplicates import Fingerprint, fingerprint
from kit.duplicates.fingerprint import SAMPLE_RATE

RATE = 22050


def drums(seconds: float, seed: int) -> np.ndarray:
    """Return a loop of one bar of two seconds: a kick on each beat, noise between."""
    rng = np.random.default_rng(seed)
    bar = np.zeros(2 * RATE, np.float32)
    t = np.arange(RATE // 4) / RATE
    for beat in range(4):
        at = beat * RATE // 2
        bar[at : at + len(t)] += 0.5 * np.sin(400 * np.exp(-9 * t) * t * 6) * np.exp(-12 * t)
        hat = rng.normal(size=len(t)) * np.exp(-60 * t)
        bar[at + RATE // 4 : at + RATE // 4 + len(t)] += 0.2 * hat
    return np.tile(bar, int(np.ceil(seconds / 2)))[: int(seconds * RATE)]


def piece(seed: int, seconds: float = 20.0, drum_seed: int | None = None) -> np.ndarray:
    """Return a melody of six notes a second over drums; other seeds are other melodies."""
    rng = np.random.default_rng(seed)
    y = 0.6 * drums(seconds, seed if drum_seed is None else drum_seed)
    t = np.arange(RATE // 2) / RATE
    for at in np.arange(0, seconds - 0.5, 1 / 6):
        begin = int(at * RATE)
        pitch = 220 * 2 ** (rng.integers(0, 36) / 12)
        for harmonic in range(1, 5):
            note = np.sin(2 * np.pi * pitch * harmonic * t) * np.exp(-6 * t)
            y[begin : begin + len(t)] += (0.15 / harmonic * note).astype(np.float32)
    return y.astype(np.float32)


def faster(y: np.ndarray, speed: float) -> np.ndarray:
    """Return a recording as a player that runs faster would give it."""
    return soxr.resample(y, RATE * speed, RATE)


def through_mp3(y: np.ndarray, level: float) -> np.ndarray:
    """Return a recording that was MP3; level 0 is 160 kb/s and 0.6 is 64 kb/s."""
    stream = io.BytesIO()
    soundfile.write(stream, y, RATE, format="MP3", bitrate_mode="CONSTANT", compression_level=level)
    stream.seek(0)
    return soundfile.read(stream, dtype="float32")[0]


def print_of(y: np.ndarray, rate: int = RATE) -> Fingerprint:
    return fingerprint(soxr.resample(y, rate, SAMPLE_RATE).astype(np.float32))
