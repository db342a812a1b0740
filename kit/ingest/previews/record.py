"""Record downloads in the files of the catalogue, atomically."""

import os
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from kit.catalogue import Catalogue, load
from kit.catalogue.inspect import Facts
from kit.catalogue.io import add_facts, move_root, read_meta, write_meta, write_table
from kit.catalogue.rights import NOTICE, from_spotify
from kit.catalogue.scan import bad_name
from kit.catalogue.scan_warnings import duplicates
from kit.catalogue.schema import is_plain
from kit.errors import UsageError
from kit.ingest.previews.targets import AUDIO, Wanted


def settle(catalogue: Catalogue) -> tuple[Catalogue, str]:
    """Make sure that the column `path` can refer to downloads.

    If the root of the paths does not contain the downloads, it is changed to the deepest folder
    that contains both. No file moves.

    Returns:
        The catalogue, and the folder of downloads as in the column `path`.
    """
    root, base = catalogue.audio_root.resolve(), catalogue.folder.resolve()
    table, downloads = catalogue.table, base / AUDIO
    has_audio = "path" in table and bool((table["path"] != "").any())
    if downloads.is_relative_to(root) and (has_audio or root.is_relative_to(base)):
        top = root
    elif not has_audio:
        top = base
    elif "preview_url" in table and not table.query("path == '' and preview_url != ''").empty:
        top = Path(os.path.commonpath([root, downloads]))
    else:
        # No row needs a download.
        return catalogue, AUDIO
    prefix = downloads.relative_to(top).as_posix()
    if not is_plain(prefix):
        raise UsageError(bad_name(base))
    return catalogue if top == root else move_root(catalogue.folder, top), prefix


def record(folder: Path, found: Mapping[str, tuple[Wanted, Facts]]) -> None:
    """Fill in `tracks.csv` and `catalogue.json`.

    Both are read again, because another command may have changed them.
    """
    if found:
        rows = load(folder).table.to_dict("records")
        for row in rows:
            if (one := found.get(str(row["track_id"]))) is not None:
                wanted, facts = one
                add_facts(row, facts)
                row |= {"path": wanted.path, "audio_source": wanted.source}
        write_table(pd.DataFrame(rows), folder)
    catalogue, meta = load(folder), read_meta(folder)
    new = meta | {"duplicates": [list(ids) for ids in duplicates(catalogue.table)]}
    if from_spotify(catalogue.table) and not any("III.14" in text for text in catalogue.notices):
        new["notices"] = [*catalogue.notices, NOTICE]
    if new != meta:
        write_meta(folder, new)
