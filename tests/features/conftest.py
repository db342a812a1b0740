"""Catalogues of many tiny tracks, and decoders that hang or die: real files and real processes."""

import contextlib
import dataclasses
import hashlib
import os
import shutil
import signal
import struct
import sys
import time
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kit.catalogue import Catalogue, Scan, load, save
from kit.config import ExtractConfig, FeatureConfig, FrontendConfig
from kit.features import Extraction, extract
from kit.features.layout import SHARD_TRACKS

RATE = 8000
MANY = 9 * SHARD_TRACKS + 24
SHORT = (5, 300, 599)
BROKEN = (17, 256, 511)
GOOD = MANY - len(SHORT) - len(BROKEN)

# Stands for ffmpeg, which decodes the formats that libsndfile does not know. The file's name says
# how it behaves; each call adds a line, "name pid", to the file `calls`.
_FFMPEG = """#!/bin/sh
PYTHON=@PYTHON@
LONG='@LONG@'
while [ "$1" != -i ]; do shift; done
file=${2#file:}
name=${file##*/}
echo "$name $$" >> "${0%/*}/calls"
case $name in
    hangs*) exec sleep 1000 ;;
    kills*) kill -KILL $PPID ;;
    slow*) head -c 4800 "$file.pcm"; sleep 0.2; exec tail -c 1600 "$file.pcm" ;;
    long*) exec "$PYTHON" -c "$LONG" "$file.pcm" ;;
    *) exec cat "$file.pcm" ;;
esac
"""
_FFPROBE = """#!/bin/sh
echo '{"streams": [{"codec_type": "audio", "sample_rate": "8000", "channels": 1}],'
echo ' "format": {"duration": "0.2"}}'
"""
# As ffmpeg does, it comes to an early end where Ctrl-C reaches it.
_LONG = """
import signal, sys, time
signal.signal(signal.SIGINT, lambda *_: sys.exit(255))
data = open(sys.argv[1], "rb").read()
sys.stdout.buffer.write(data[:4800])
sys.stdout.flush()
open(sys.argv[1] + ".begun", "w").close()
time.sleep(1.5)
sys.stdout.buffer.write(data[4800:])
"""


@pytest.fixture(scope="session")
def small() -> FeatureConfig:
    """Features of the first fifth of a second: 10 frames of 8 bands."""
    frontend = FrontendConfig(sample_rate=RATE, n_fft=256, hop_length=128, n_mels=8)
    return FeatureConfig(frontend=frontend, position="start", n_frames=10, clip_s=0.2)


@pytest.fixture(scope="session")
def thirds(small) -> FeatureConfig:
    """Features of three excerpts of 0.064 s, 5 frames each; what is shorter gives fewer."""
    return dataclasses.replace(
        small, position="spread", excerpts=3, n_frames=5, clip_s=0.064, least_s=0.03
    )


def _noise(seed: int, seconds: float) -> bytes:
    rng = np.random.default_rng(seed)
    return rng.integers(-9000, 9000, round(RATE * seconds), "<i2").tobytes()


def _wav(data: bytes) -> bytes:
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, RATE, 2 * RATE, 2, 16)
    return (
        struct.pack("<4sI4s", b"RIFF", 36 + len(data), b"WAVE")
        + form
        + (struct.pack("<4sI", b"data", len(data)) + data)
    )


def _write(
    music: Path, count: int, short: Container[int] = (), broken: Container[int] = ()
) -> Path:
    for label in "ab":
        (music / label).mkdir(parents=True)
    for i in range(count):
        data = _wav(_noise(i, 0.05 if i in short else 0.2))
        if i in broken:
            data = f"number {i} is no audio".encode()
        (music / "ab"[i % 2] / f"{i:03d}.wav").write_bytes(data)
    return music


@pytest.fixture(scope="session")
def write_table() -> Callable[..., Path]:
    """A function: a folder and a number -> the folder, with so many WAV files of two labels, some
    of them too short, some broken."""
    return _write


def _list(music: Path, folder: Path) -> Catalogue:
    files = [p for p in sorted(music.rglob("*.w*")) if p.suffix in (".wav", ".wv")]
    rows = [
        {
            "track_id": p.stem,
            "label": p.parent.name,
            "path": p.relative_to(music).as_posix(),
            "source_hash": hashlib.sha256(p.read_bytes()).hexdigest(),
        }
        for p in sorted(files, key=lambda p: p.stem)
    ]
    save(Scan(pd.DataFrame(rows), [], music), folder)
    return load(folder)


@pytest.fixture(scope="session")
def list_tracks() -> Callable[[Path, Path], Catalogue]:
    """A function: a folder of music, the folder of a new catalogue -> the catalogue, by the names
    of the files. A scan would leave out what is broken."""
    return _list


@pytest.fixture(scope="session")
def contents() -> Callable[[Path], dict[str, bytes]]:
    """A function: a folder -> the bytes of all files in it, by name."""

    def read(folder: Path) -> dict[str, bytes]:
        files = [p for p in folder.rglob("*") if p.is_file()]
        return {p.relative_to(folder).as_posix(): p.read_bytes() for p in files}

    return read


@dataclass(frozen=True)
class Many:
    """A catalogue of several shards, with tracks that cannot be used.

    Attributes:
        folder: a catalogue without features; copy it.
        config: the features that were computed.
        whole: every byte of the folder after a run of one thread that nothing disturbed.
        result: the result of that run.
        good: number of tracks with features.
    """

    folder: Path
    config: FeatureConfig
    whole: dict[str, bytes]
    result: Extraction
    good: int

    def copy(self, folder: Path) -> Catalogue:
        """The catalogue, without features, in another folder."""
        shutil.copytree(self.folder, folder)
        return load(folder)


@pytest.fixture(scope="session")
def many(tmp_path_factory, small, contents) -> Many:
    """A catalogue of 600 tracks, 64 in a shard, of one excerpt each."""
    music = _write(tmp_path_factory.mktemp("many") / "music", MANY, SHORT, BROKEN)
    made = _extracted(music, small, contents)
    assert made.good == GOOD
    return made


@pytest.fixture(scope="session")
def some(tmp_path_factory, thirds, contents) -> Many:
    """A catalogue of 60 tracks, 21 in a shard, of three excerpts each; short ones are kept."""
    music = _write(tmp_path_factory.mktemp("some") / "music", 60, (5, 30, 59), (17, 25))
    made = _extracted(music, thirds, contents)
    assert made.good == 58
    store = made.result.store
    # 0.05 s are 4 frames, and 0.2 s three excerpts.
    assert store.frames(["005", "000", "059"]).tolist() == [4, 15, 4]
    return made


def _extracted(music: Path, config: FeatureConfig, contents: Callable) -> Many:
    root = music.parent
    _list(music, root / "data")
    shutil.copytree(root / "data", root / "whole")
    result = extract(load(root / "whole"), config, ExtractConfig(workers=1))
    return Many(root / "data", config, contents(root / "whole"), result, result.computed)


class Ffmpeg:
    """The stand-in for ffmpeg.

    Attributes:
        folder: where it lies, to be put in front of PATH.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        (folder / "ffmpeg").write_text(
            _FFMPEG.replace("@PYTHON@", sys.executable).replace("@LONG@", _LONG)
        )
        (folder / "ffprobe").write_text(_FFPROBE)
        for program in folder.iterdir():
            program.chmod(0o755)

    def file(self, path: Path, seed: int = 0) -> Path:
        """Write a file that only ffmpeg knows; its name says how the stand-in treats it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".wv").write_bytes(f"wvpk\0{path.name}".encode())
        samples = np.frombuffer(_noise(seed, 0.2), "<i2") / np.float32(32768)
        path.with_suffix(".wv.pcm").write_bytes(samples.astype("<f4").tobytes())
        return path.with_suffix(".wv")

    @property
    def calls(self) -> list[tuple[str, int]]:
        """Name of the file and process of each call so far."""
        path = self.folder / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        return [(line.split()[0], int(line.split()[1])) for line in lines]

    def count(self, name: str) -> int:
        """Calls for files whose name begins so."""
        return sum(called.startswith(name) for called, _ in self.calls)

    def wait_for(self, name: str) -> None:
        """Wait until such a file is being decoded."""
        until = time.monotonic() + 60
        while not self.count(name):
            assert time.monotonic() < until, f"nobody decodes {name}"
            time.sleep(0.01)

    def running(self) -> list[int]:
        """The processes of its that have not ended."""
        return [pid for name, pid in self.calls if name.startswith("hangs") and _is_sleep(pid)]

    def end(self) -> None:
        """End what hangs."""
        for pid in self.running():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _is_sleep(pid: int) -> bool:
    try:
        return b"sleep" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


@pytest.fixture
def ffmpeg(tmp_path, monkeypatch) -> Iterator[Ffmpeg]:
    """A stand-in for ffmpeg, first on PATH."""
    stand_in = Ffmpeg(tmp_path / "bin")
    monkeypatch.setenv("PATH", str(stand_in.folder), prepend=os.pathsep)
    yield stand_in
    stand_in.end()
