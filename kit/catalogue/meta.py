"""Read and write `catalogue.json`, the facts about a catalogue as a whole.

It names the root, the folder that paths in `tracks.csv` start from. A new root changes both files,
and a run may be killed between the two writes. So `announce` first records the new root together
with the hash of the new table, and a reader takes the root that belongs to the table it finds.
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
    """Return the content of the file, with the root that belongs to the present table.

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
        audio_root: the new root, as the file will name it.
        tracks: returns the SHA-256 of the new table, hexadecimal.
    """
    try:
        settle(folder)
        meta = read_meta(folder)
    except KitError:
        # A new catalogue: no reader can mistake an old table for it.
        return
    if isinstance(meta, dict) and meta.get("audio_root") != audio_root:
        write_meta(folder, meta | {_COMING: {"audio_root": audio_root, "tracks": tracks()}})


def settle(folder: Path) -> None:
    """Resolve an announced root before the table alone changes."""
    meta = read_json(folder / META) if (folder / META).is_file() else None
    if isinstance(meta, dict) and _COMING in meta:
        write_meta(folder, read_meta(folder))
