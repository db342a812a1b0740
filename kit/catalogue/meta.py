"""`catalogue.json`: what holds for a catalogue as a whole, in step with its `tracks.csv`.

It names the folder that the paths in the table start from. Where another folder is to be named, two
files change, and a run may die between the two: so what comes is announced first, and whoever reads
next knows by the table itself which of the two folders it is meant for.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from kit.catalogue.inspect import hash_file
from kit.errors import KitError
from kit.files import read_json, write_json

META = "catalogue.json"
TRACKS = "tracks.csv"

_COMING = "coming"


def read_meta(folder: Path) -> Any:
    """Return the content of the file, with the folder that the present table refers to.

    Raises:
        KitError: it cannot be read, or is not JSON.
    """
    meta = read_json(folder / META)
    coming = meta.pop(_COMING, None) if isinstance(meta, dict) else None
    if isinstance(coming, dict) and coming.get("tracks") == hash_file(folder / TRACKS):
        meta["audio_root"] = coming.get("audio_root")
    return meta


def write_meta(folder: Path, meta: dict[str, Any]) -> None:
    """Replace the file atomically, and clear the announced root."""
    write_json(folder / META, meta)


def announce(folder: Path, audio_root: str, tracks: Callable[[], str]) -> None:
    """Announce, atomically, the root of the paths of the table that is written next.

    Args:
        folder: the catalogue's.
        audio_root: as the file will name it.
        tracks: gives the SHA-256 of the table that comes, hexadecimal.
    """
    try:
        settle(folder)
        meta = read_meta(folder)
    except KitError:
        # There is no catalogue that could be taken for the new one.
        return
    if isinstance(meta, dict) and meta.get("audio_root") != audio_root:
        write_meta(folder, meta | {_COMING: {"audio_root": audio_root, "tracks": tracks()}})


def settle(folder: Path) -> None:
    """Resolve an announced root before the table alone changes."""
    meta = read_json(folder / META) if (folder / META).is_file() else None
    if isinstance(meta, dict) and _COMING in meta:
        write_meta(folder, read_meta(folder))
