"""Read and write `catalogue.json`, the facts about a catalogue as a whole.

It names the root, the folder that paths in `tracks.csv` are relative to. A new root changes both
files, and a process may be killed between the two writes. So `announce` first records the new root
with the hash of the new table, and a reader uses the root whose hash matches the table.
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
    """Return the content of the file, with the root that matches the present table.

    Raises:
        KitError: the file cannot be read, or is not JSON.
    """
    meta = read_json(folder / META)
    coming = meta.pop(_COMING, None) if isinstance(meta, dict) else None
    if isinstance(coming, dict) and coming.get("tracks") == hash_file(folder / TRACKS):
        meta["audio_root"] = coming.get("audio_root")
    return meta


def write_meta(folder: Path, meta: dict[str, Any]) -> None:
    """Replace the file atomically, and clear the pending root."""
    write_json(folder / META, meta)


def announce(folder: Path, audio_root: str, tracks: Callable[[], str]) -> None:
    """Record atomically a pending root, for the table that is written next.

    Args:
        folder: the catalogue's folder.
        audio_root: the new root, as text for the file.
        tracks: returns the SHA-256 of the new table, hexadecimal.
    """
    try:
        settle(folder)
        meta = read_meta(folder)
    except KitError:
        # In a new catalogue there is no old table to confuse it with.
        return
    if isinstance(meta, dict) and meta.get("audio_root") != audio_root:
        write_meta(folder, meta | {_COMING: {"audio_root": audio_root, "tracks": tracks()}})


def settle(folder: Path) -> None:
    """Resolve a pending root before only the table changes."""
    meta = read_json(folder / META) if (folder / META).is_file() else None
    if isinstance(meta, dict) and _COMING in meta:
        write_meta(folder, read_meta(folder))
