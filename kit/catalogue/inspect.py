"""What one audio file tells of its track: hash, length, tags. Many at once, in threads."""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mutagen

from kit.audio import AudioError, probe
from kit.audio.errors import UnreadableError, shown
from kit.catalogue.schema import SEPARATOR

Progress = Callable[[int, int], None]

# Names of a tag in mutagen's simple view, and of the ID3 frame where that has no such view.
_TAGS = {
    "artists": ("artist", "TPE1"),
    "title": ("title", "TIT2"),
    "album": ("album", "TALB"),
    "release_date": ("date", "TDRC"),
}


@dataclass(frozen=True)
class Facts:
    """What was read from one file; the names are those of the columns."""

    source_hash: str
    duration_s: float
    sample_rate: int
    channels: int
    artists: str
    title: str
    album: str
    release_date: str


def inspect(path: Path) -> Facts:
    """Hash, probe and read the tags of one file.

    Raises:
        AudioError: the file cannot be used.
    """
    info = probe(path)
    return Facts(
        source_hash=hash_file(path),
        duration_s=info.duration_s,
        sample_rate=info.sample_rate,
        channels=info.channels,
        **_tags(path),
    )


def inspect_all(
    paths: Sequence[Path], *, progress: Progress | None = None
) -> Iterator[Facts | AudioError]:
    """`inspect` over many files in threads; in the order given, an error in place of its facts."""
    # Hashing and decoding release the lock of the interpreter; a few more threads than cores hide
    # the waiting for a disk or a network.
    pool = ThreadPoolExecutor(max_workers=min(16, (os.cpu_count() or 1) + 4))
    try:
        for done, result in enumerate(pool.map(_attempt, paths), start=1):
            if progress is not None:
                progress(done, len(paths))
            yield result
    finally:
        # Also when the one who asked has gone: what waits must not keep the program alive.
        pool.shutdown(wait=True, cancel_futures=True)


def _attempt(path: Path) -> Facts | AudioError:
    try:
        return inspect(path)
    except AudioError as error:
        return error


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal.

    Raises:
        UnreadableError: it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise UnreadableError(
            f"{shown(path)} cannot be read: {error.strerror or error}; check the disk"
        ) from error


def _tags(path: Path) -> dict[str, str]:
    try:
        file: Any = mutagen.File(path, easy=True)  # pyright: ignore[reportPrivateImportUsage]
        tags = {} if file is None or file.tags is None else file.tags
        return {column: _tag(tags, names) for column, names in _TAGS.items()}
    except Exception:
        # Broken tags of a file that plays are no reason to leave it out, and mutagen, fed with
        # hostile bytes, raises more than its own errors.
        return dict.fromkeys(_TAGS, "")


def _tag(tags: Any, names: tuple[str, str]) -> str:
    for name in names:
        try:
            values = tags[name]
        except (KeyError, ValueError):
            continue
        values = [values] if isinstance(values, str) else list(getattr(values, "text", values))
        lines = [one_line(str(value)) for value in values]
        return SEPARATOR.join(line for line in lines if line)
    return ""


def one_line(text: str) -> str:
    """Text from outside as one line: runs of white space and control characters become a space."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
