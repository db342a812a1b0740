"""Read hash, length and tags of audio files in threads."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from kit.audio import AudioError, probe
from kit.audio.file import open_file
from kit.audio.payload import packets_hash
from kit.catalogue.tags import Tags, read_tags

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Facts:
    """Facts read from one file; the names are those of the columns.

    `audio_hash` is of the audio without tags, and "" for formats that would have to be decoded.
    """

    source_hash: str
    audio_hash: str
    duration_s: float
    sample_rate: int
    channels: int
    tags: Tags

    def row(self) -> dict[str, Any]:
        """Return the facts by column."""
        return {**self.measured(), **asdict(self.tags)}

    def measured(self) -> dict[str, Any]:
        """Return the columns that do not come from tags."""
        return {name: value for name, value in asdict(self).items() if name != "tags"}


def inspect(path: Path, *, hashed: bool = True) -> Facts:
    """Hash, probe and read the tags of one file.

    Raises:
        AudioError: the file cannot be used.
    """
    info = probe(path)
    source_hash = audio_hash = ""
    if hashed:
        with open_file(path) as file:
            source_hash, audio_hash = file.sha256(), packets_hash(file, info.format)
    return Facts(
        source_hash=source_hash,
        audio_hash=audio_hash,
        duration_s=info.duration_s,
        sample_rate=info.sample_rate,
        channels=info.channels,
        tags=read_tags(path),
    )


def inspect_all(
    paths: Sequence[Path], *, hashed: bool = True, progress: Progress | None = None
) -> Iterator[Facts | AudioError]:
    """Apply `inspect` to files in threads, in order; yield errors instead of raising them."""
    # Hashing and decoding release Python's lock; more threads than cores hide the latency
    # of disks and networks.
    attempt = partial(_attempt, hashed=hashed)
    pool = ThreadPoolExecutor(max_workers=min(16, (os.cpu_count() or 1) + 4))
    try:
        for done, result in enumerate(pool.map(attempt, paths), start=1):
            if progress is not None:
                progress(done, len(paths))
            yield result
    finally:
        # Cancel queued files, so that an interrupted program ends.
        pool.shutdown(wait=True, cancel_futures=True)


def _attempt(path: Path, *, hashed: bool) -> Facts | AudioError:
    try:
        return inspect(path, hashed=hashed)
    except AudioError as error:
        return error


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, hexadecimal.

    Raises:
        UnreadableError: the file cannot be read.
    """
    with open_file(path) as file:
        return file.sha256()
