"""Small folders of real audio files with tags."""

import os
from collections.abc import Callable
from pathlib import Path

import mutagen
import numpy as np
import pytest
import soundfile


@pytest.fixture
def track(tmp_path: Path) -> Callable[..., Path]:
    """Write a short file below `tmp_path`; another seed, other bytes."""

    def write(name: str, seed: int = 0, **tags: str | list[str]) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(seed)
        soundfile.write(path, 0.1 * rng.standard_normal((6000, 2)), 22050)
        if tags:
            file = mutagen.File(path, easy=True)
            if file.tags is None:
                file.add_tags()
            for name_, value in tags.items():
                file[name_] = value
            file.save()
        return path

    return write


@pytest.fixture
def csv(tmp_path: Path) -> Callable[..., Path]:
    """Write a CSV file."""

    def write(text: str | bytes, name: str = "edm.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real music, speech and tables."""
    if "KIT_SHARED_DATA" not in os.environ:
        pytest.skip("KIT_SHARED_DATA is not set: real music and tables are not there")
    return Path(os.environ["KIT_SHARED_DATA"])
