"""One preview as a file that is whole, checked and under its own name, or not there at all."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from kit.audio import AudioError
from kit.audio.content import HEAD, is_text
from kit.audio.errors import UnreadableError
from kit.catalogue.inspect import Facts, inspect
from kit.errors import KitError
from kit.ingest.previews.errors import PreviewError

PART = ".part"


def save(target: Path, fetch: Callable[[Callable[[bytes], None]], None], mode: int) -> Facts:
    """Fill a temporary file beside `target`, see that it is audio, and give it that name.

    Args:
        target: the file to make; its folder is there.
        fetch: called with a function that takes the next bytes.
        mode: permissions of the file.
    Raises:
        PreviewError: what `fetch` raises, or what it brought is not audio.
        KitError: the disk is full, or may not be written.
    """
    if target.is_dir():
        raise PreviewError(
            "unwritable", f"a folder has the name of its file, {target}; rename the folder"
        )
    part = target.with_name(f".{target.name}{PART}")
    try:
        with _writing(target):
            stream = part.open("wb")
        with stream:
            fetch(lambda block: _write(stream, block, target))
            with _writing(target):
                stream.flush()
                os.fsync(stream.fileno())
        facts = _audio(part)
        with _writing(target):
            part.chmod(mode)
            part.replace(target)
        return facts
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


def remove_parts(folder: Path) -> None:
    """Remove what dead runs have left below the folder of downloads."""
    for part in folder.glob(f"*/.*.mp3{PART}"):
        with contextlib.suppress(OSError):
            part.unlink()


def _audio(part: Path) -> Facts:
    with part.open("rb") as stream:
        start = stream.read(HEAD)
    if is_text(start):
        # Playlists are text, and a decoder may open the addresses in them.
        raise PreviewError(
            "not_audio", "what came is text, not audio, whatever it says; remove its preview_url"
        )
    try:
        return inspect(part)
    except UnreadableError as error:
        raise KitError(f"{error}") from error
    except AudioError as error:
        message = f"what came cannot be used ({error.reason}); remove its preview_url"
        raise PreviewError(
            "not_audio", message, passing=error.reason in ("truncated", "empty")
        ) from error


def _write(stream: IO[bytes], block: bytes, target: Path) -> None:
    with _writing(target):
        stream.write(block)


@contextlib.contextmanager
def _writing(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise KitError(
            f"cannot write {target}: {error.strerror or error}; free some space, or make its "
            "folder one that you may write to"
        ) from error
