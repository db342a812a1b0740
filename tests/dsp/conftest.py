"""Signals that every function of `kit.dsp` is compared with its reference on."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jaxtyping
import numpy as np
import pytest
import soundfile
import soxr

RATE = 22050


def signals(seconds: float = 1.0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(20)
    t = np.arange(int(seconds * RATE)) / RATE
    made = {
        "noise": 0.3 * rng.standard_normal(len(t)),
        "tone": np.sin(2 * np.pi * 440 * t),
        "chirp": np.sin(2 * np.pi * (50 + 4000 * t / seconds) * t),
        "impulse": (np.arange(len(t)) == len(t) // 3) * 1.0,
        "silence": np.zeros(len(t)),
        "dc": np.ones(len(t)),
        "square": np.where(np.sin(2 * np.pi * 100 * t + 0.1) > 0, 1.0, -1.0),
        "denormals": 1e-40 * rng.standard_normal(len(t)),
    }
    return {name: y.astype(np.float32) for name, y in made.items()}


SIGNALS = signals()


@pytest.fixture(params=sorted(SIGNALS))
def signal(request: pytest.FixtureRequest) -> np.ndarray:
    """One second at 22,050 Hz, float32."""
    return SIGNALS[request.param]


@pytest.fixture(scope="session")
def music() -> np.ndarray:
    """Ten seconds of three real tracks, (3, samples) at 22,050 Hz, float32."""
    root = os.environ.get("KIT_SHARED_DATA")
    if not root:
        pytest.skip("KIT_SHARED_DATA is not set: the folder with real music")
    folders = sorted(p for p in (Path(root) / "music").iterdir() if p.is_dir())
    clips = []
    for folder in folders:
        y, rate = soundfile.read(sorted(folder.glob("*.mp3"))[0], dtype="float32", always_2d=True)
        clips.append(soxr.resample(y.mean(axis=1), rate, RATE, "HQ")[: 10 * RATE])
    return np.stack(clips).astype(np.float32)


@pytest.fixture(scope="session")
def relative() -> Callable[[Any, np.ndarray], float]:
    """Measures the largest difference over the largest value of the reference."""

    def measure(ours: Any, theirs: np.ndarray) -> float:
        ours = np.asarray(ours)
        assert ours.shape == theirs.shape
        if ours.dtype == bool:
            return float((ours != theirs).any())
        difference = np.abs(ours - theirs).max(initial=0)
        # XLA takes denormals for zero, so values next to them have no relative precision.
        least = np.finfo(np.float32).tiny / np.finfo(np.float32).eps
        return float(difference / max(np.abs(theirs).max(initial=0), least))

    return measure


@pytest.fixture
def untyped() -> Iterator[None]:
    """Call functions as users do, without the checks of types that these tests are run with."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
