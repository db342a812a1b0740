"""The audio files in files, folders, playlists and catalogues."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from kit.audio.errors import shown
from kit.catalogue import Failure, load
from kit.catalogue.io import TRACKS
from kit.catalogue.scan import bad_name, walk
from kit.catalogue.schema import is_plain
from kit.catalogue.sources import files_of, is_playlist
from kit.errors import KitError, UsageError

STAGE = "predict"

Input: TypeAlias = Path | Failure
"""An audio file, or why an entry of a folder, a playlist or a catalogue is none."""


def inputs_of(sources: Sequence[Path]) -> list[Input]:
    """Return the audio files of the sources in order, each once.

    Args:
        sources: audio files; folders, of which all audio below is used; playlists and collections
            of DJ programs; and folders of kit's catalogues. Of two names of one file, the first
            counts.
    Raises:
        UsageError: a folder has no audio, or a playlist cannot be read.
        KitError: a catalogue cannot be read, or all its audio has moved.

    Example:
        >>> from pathlib import Path
        >>> len(kit.predict.inputs_of([Path("music/high"), Path("music/high/00.flac")]))
        8
    """
    found: dict[object, Input] = {}
    for one in (one for source in sources for one in _inputs(source)):
        found.setdefault(_identity(one), one)
    return list(found.values())


def _inputs(source: Path) -> Iterator[Input]:
    if (source / TRACKS).is_file():
        yield from _of_catalogue(source)
    elif source.is_dir():
        yield from _of_folder(source)
    elif is_playlist(source):
        yield from files_of(source)
    elif is_plain(str(source)):
        yield source
    else:
        yield Failure(shown(source), STAGE, "bad_name", bad_name(source))


def _of_catalogue(folder: Path) -> Iterator[Input]:
    catalogue = load(folder)
    if gone := catalogue.missing_audio():
        raise KitError(gone)
    for row in catalogue.table.to_dict("records"):
        try:
            yield catalogue.path_of(row)
        except KitError as error:
            yield Failure("", STAGE, "no_audio", shown(str(error)), str(row["track_id"]))


def _of_folder(folder: Path) -> Iterator[Input]:
    found = walk(folder)
    if not found.files and not found.failures:
        raise UsageError(f"no audio below {shown(folder)}; give a folder of audio, or audio files")
    yield from (folder / path for path in sorted(found.files, key=os.fsencode))
    for failure in found.failures:
        yield replace(
            failure,
            path=shown(folder / failure.path),
            message=f"{shown(folder)}: {failure.message}",
        )


def _identity(one: Input) -> object:
    """Return what two names of one file have in common."""
    if isinstance(one, Failure):
        return one
    try:
        status = one.stat()
    except OSError:
        return os.path.normpath(one.absolute())
    return status.st_dev, status.st_ino
