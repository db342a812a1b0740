"""Add a Spotify playlist to a catalogue on disk."""

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from kit.catalogue import (
    Catalogue,
    Failure,
    Scan,
    load,
    read_failures,
    save,
    validate,
    write_failures,
)
from kit.catalogue.schema import is_absent
from kit.ingest.retry import Wait
from kit.ingest.spotify.client import connect
from kit.ingest.spotify.columns import FEATURES
from kit.ingest.spotify.playlist import NOTICE, STAGE, Progress, check, name_of, playlist
from kit.lock import only_one


@dataclass(frozen=True)
class Added:
    """The catalogue after adding a playlist."""

    warnings: tuple[str, ...]
    whole: Scan
    left_out: list[Failure]


def add(
    source: str,
    out: Path,
    *,
    label: str,
    private: bool = False,
    market: str | None = None,
    note: Callable[[str], None],
    show: Callable[[str], None],
    progress: Progress = lambda *_: None,
    wait: Wait,
) -> Added:
    """Add the tracks of a playlist to the catalogue in `out`.

    Raises:
        KitError: another run adds a playlist to `out`.
    """
    name = name_of(check(source, label, market))
    client = connect(private=private, wait=wait)
    try:
        with only_one(out / ".ingest", "adds a playlist to"):
            # Detect a damaged catalogue before hundreds of requests.
            before = _catalogue(out)
            if before is None or NOTICE not in before.notices:
                note(NOTICE)
            client.sign_in(show)
            found = playlist(source, label, out, client=client, market=market, progress=progress)
            whole = _save(found, out, name)
    finally:
        client.close()
    left_out = [failure for failure in whole.failures if failure.path == name]
    return Added(found.warnings, whole, left_out)


def merged(before: Catalogue | None, failures: Iterable[Failure], found: Scan, source: str) -> Scan:
    """Merge the tracks of both, each once; earlier tracks come first and keep their label.

    Args:
        before: the catalogue on disk, if it exists.
        failures: its failures of stage "ingest".
        found: from `playlist`.
        source: name of the playlist in its failures, which replace its earlier ones.
    Returns:
        The merged scan, with a failure for each track that already has another label. New values
        replace old ones, but empty cells do not replace features.
    """
    if before is None:
        return found
    rows: dict[str, dict[str, Any]] = {
        str(row["track_id"]): row for row in before.table.to_dict("records")
    }
    refused: list[Failure] = []
    for new in found.table.to_dict("records"):
        id_ = str(new["track_id"])
        old = rows.get(id_)
        if old is None:
            rows[id_] = new
        elif old["label"] != new["label"]:
            message = (
                f"track {id_} is in the catalogue as {old['label']!r} and in a playlist of "
                f"{new['label']!r}; the first label is kept: remove the track from one of them"
            )
            refused.append(Failure(source, STAGE, "two_labels", message, id_))
        else:
            rows[id_] = old | {k: v for k, v in new.items() if not is_absent(v)}
            if new.get("feature_source"):
                # Features of two sources are not mixed: empty cells also replace old ones.
                rows[id_] |= {name: new[name] for name in FEATURES}
    return dataclasses.replace(
        found,
        table=validate(pd.DataFrame(list(rows.values())), source="the catalogue"),
        failures=[f for f in failures if f.path != source] + found.failures + refused,
        audio_root=before.audio_root,
        notices=tuple(dict.fromkeys((*before.notices, *found.notices))),
    )


def _catalogue(out: Path) -> Catalogue | None:
    return load(out) if (out / "catalogue.json").exists() else None


def _save(found: Scan, out: Path, name: str) -> Scan:
    """Write the catalogue; failures of other stages stay listed."""
    # Read again, because another command may have changed it while the playlist was read.
    before = _catalogue(out)
    earlier = read_failures(out)
    ours = [failure for failure in earlier if failure.stage == STAGE]
    scanned = [failure for failure in earlier if failure.stage == "scan"]
    whole = merged(before, ours, found, name)
    save(dataclasses.replace(whole, failures=scanned), out)
    write_failures(out, STAGE, whole.failures)
    return whole
