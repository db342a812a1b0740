"""What was downloaded into the catalogue's own files; each write is atomic."""

import os
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from kit.catalogue import Catalogue, load
from kit.catalogue.inspect import Facts
from kit.catalogue.io import add_facts, write_table
from kit.catalogue.rights import NOTICE, from_spotify
from kit.errors import UsageError
from kit.files import read_json, write_json
from kit.ingest.previews.plan import AUDIO, Wanted

_META = "catalogue.json"


def settle(catalogue: Catalogue) -> tuple[Catalogue, str]:
    """See to it that the column `path` can name downloads.

    Returns:
        The catalogue, and the folder of downloads as the column `path` has it.
    Raises:
        UsageError: the table has audio elsewhere already, and one root cannot serve both.
        KitError: the catalogue cannot be written.
    """
    root, base = catalogue.audio_root.resolve(), catalogue.folder.resolve()
    inside = (base / AUDIO).is_relative_to(root)
    table = catalogue.table
    has_audio = "path" in table and bool((table["path"] != "").any())
    if inside and (has_audio or root.is_relative_to(base)):
        return catalogue, (base / AUDIO).relative_to(root).as_posix()
    if has_audio:
        raise UsageError(
            f"{catalogue.folder} has tracks with audio below {root}, and previews would come into "
            f"{base / AUDIO}; make a catalogue of the rows without audio, and download into that"
        )
    meta = read_json(catalogue.folder / _META)
    write_json(catalogue.folder / _META, meta | {"audio_root": "."})
    return load(catalogue.folder), AUDIO


def record(folder: Path, found: Mapping[str, tuple[Wanted, Facts]]) -> None:
    """Fill in `tracks.csv`, as it is by now: another command may have added to it meanwhile.

    Args:
        folder: the catalogue's.
        found: what was wanted and what came of it, by track.
    Raises:
        KitError: the catalogue cannot be read or written.
    """
    if not found:
        return
    rows = load(folder).table.to_dict("records")
    for row in rows:
        if (one := found.get(str(row["track_id"]))) is not None:
            wanted, facts = one
            add_facts(row, facts)
            row |= {"path": wanted.path, "audio_source": wanted.source}
    write_table(pd.DataFrame(rows), folder)


def record_whole(folder: Path) -> None:
    """Bring `catalogue.json` up to date with the table: its sets of equal files, its notices."""
    catalogue = load(folder)
    table = catalogue.table
    meta = read_json(folder / _META)
    new = dict(meta)
    if "source_hash" in table:
        by_hash: dict[str, list[str]] = {}
        for digest, track_id in zip(table["source_hash"], table["track_id"], strict=True):
            by_hash.setdefault(digest, []).append(track_id)
        new["duplicates"] = [ids for digest, ids in by_hash.items() if digest and len(ids) > 1]
    if from_spotify(table) and not any("III.14" in notice for notice in catalogue.notices):
        new["notices"] = [*catalogue.notices, NOTICE]
    if new != meta:
        write_json(folder / _META, new)


def file_mode() -> int:
    """Permissions of a new file. Not to be asked for while other threads make files."""
    umask = os.umask(0)
    os.umask(umask)
    return 0o666 & ~umask
