"""A playlist of Spotify's to a table of tracks."""

import dataclasses
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from kit.catalogue import Failure, Scan, validate
from kit.errors import KitError, UsageError
from kit.ingest.spotify.client import Client, connect
from kit.ingest.spotify.features import features_of
from kit.ingest.spotify.kept import Kept
from kit.ingest.spotify.merge import STAGE
from kit.ingest.spotify.pages import rows_of
from kit.ingest.spotify.playlist_id import playlist_id
from kit.ingest.spotify.retry import Waiting
from kit.ingest.spotify.rows import FEATURES, LeftOut, is_locked, row
from kit.ingest.spotify.terms import NOTICE

Progress = Callable[[int, int, str], None]
"""Called with the number done, the number in all, and of what."""

_COLUMNS = (
    *("track_id", "label", "artists", "title", "album", "release_date", "preview_url"),
    *("artist_ids", "isrc", "explicit", "added_at", "feature_source", "popularity"),
    *(*FEATURES, "duration_ms"),
)


def playlist(
    source: str,
    label: str,
    folder: Path | str,
    *,
    client: Client | None = None,
    market: str | None = None,
    progress: Progress | None = None,
    waiting: Waiting | None = None,
) -> Scan:
    """The tracks of a playlist, with their audio features where the app may have them.

    Stopped at any instant and called again, it asks for nothing that it has: the answers lie in
    `folder`/.ingest until `forget` is called.

    Args:
        source: the playlist's address, URI or id.
        label: that of all its tracks.
        folder: of the catalogue that will be made; its `audio` is where the audio will be.
        client: who asks; by default an app with the credentials of the environment.
        market: two letters of the country whose licences count.
        progress: called after each answer.
        waiting: called about once a second while kit waits for Spotify.
    Returns:
        A row a track, in the playlist's order, and a failure for each row that is none. Nothing
        is saved.
    Raises:
        UsageError: the playlist's name, the label or the market is wrong.
        RefusedError: Spotify does not give the playlist; the message says why.
        KitError: what it gives is not as documented, or no row of it is a track.
    """
    id_ = check(source, label, market)
    own = client is None
    client = connect() if client is None else client
    if waiting is not None:
        client = dataclasses.replace(client, waiting=waiting)
    try:
        return _scan(client, id_, label, Path(folder), market, progress or _nothing)
    finally:
        if own:
            client.close()


def forget(source: str, folder: Path | str, *, market: str | None = None) -> None:
    """Drop the kept answers of a playlist, once its table is saved."""
    _kept(playlist_id(source), Path(folder), market).clear()


def name_of(source: str) -> str:
    """What a playlist is called in `failures.csv`: its URI."""
    return f"spotify:playlist:{playlist_id(source)}"


def _kept(id_: str, folder: Path, market: str | None) -> Kept:
    return Kept(folder, f"spotify-{id_}" + (f"-{market}" if market else ""))


def check(source: str, label: str, market: str | None) -> str:
    """The playlist's id; nothing is asked for.

    Raises:
        UsageError: the playlist's name, the label or the market is wrong.
    """
    id_ = playlist_id(source)
    # It names a folder of audio.
    bad = not label.strip() or not label.isprintable() or label.startswith(".")
    if bad or "/" in label or "\\" in label or len(label) > 64:
        raise UsageError(
            f"--label is {label!r}; it must be the name of a genre, without / and \\, of 1 to 64 "
            "printable characters, such as techno"
        )
    if market is not None and not re.fullmatch("[A-Z]{2}", market):
        raise UsageError(f"--market is {market!r}; it must be a country in two letters, such as DE")
    return id_


def _scan(
    client: Client, id_: str, label: str, folder: Path, market: str | None, progress: Progress
) -> Scan:
    kept = _kept(id_, folder, market)
    items = rows_of(
        client, id_, kept, market=market, progress=lambda n, of: progress(n, of, "rows")
    )
    rows, failures, locked = _sorted(items, id_)
    if not rows:
        kept.clear()
        raise KitError(
            f"none of the {len(items)} rows of playlist {id_} is a track that Spotify has; "
            f"the first: {failures[0].message}"
            if items
            else f"playlist {id_} is empty; give one with tracks in it"
        )
    features = features_of(
        client, list(rows), kept, progress=lambda n, of: progress(n, of, "audio features")
    )
    table = pd.DataFrame(
        [{"label": label, **columns, **features.of.get(i, {})} for i, columns in rows.items()],
        columns=list(_COLUMNS),
    )
    return Scan(
        table=validate(table, source=f"playlist {id_}"),
        failures=failures,
        audio_root=folder / "audio",
        warnings=tuple(_warnings(features.refused, len(rows) - len(features.of), locked, market)),
        notices=(NOTICE,),
    )


def _sorted(items: Sequence[Any], id_: str) -> tuple[dict[str, dict[str, Any]], list[Failure], int]:
    """The tracks by id, what is none, and the number of tracks that may not be played."""
    rows: dict[str, dict[str, Any]] = {}
    failures: list[Failure] = []
    locked = 0

    def leave_out(number: int, reason: str, message: str, track: str = "") -> None:
        text = f"row {number} of playlist {id_} {message}"
        failures.append(Failure(f"spotify:playlist:{id_}", STAGE, reason, text, track))

    for number, item in enumerate(items, start=1):
        found = row(item)
        if isinstance(found, LeftOut):
            leave_out(number, found.reason, found.message)
        elif found["track_id"] in rows:
            track = found["track_id"]
            leave_out(number, "duplicate", f"is track {track} again; the first is kept", track)
        else:
            rows[found["track_id"]] = found
            locked += is_locked(item)
    return rows, failures, locked


def _warnings(refused: str, without: int, locked: int, market: str | None) -> list[str]:
    found = []
    if refused:
        found.append(refused)
    elif without:
        found.append(f"{without} tracks have no audio features at Spotify; theirs stay empty")
    if locked:
        where = market or "where the account is, or anywhere"
        found.append(
            f"{locked} tracks may not be played ({where}); they are kept, without a preview"
        )
    return found


def _nothing(_done: int, _total: int, _what: str) -> None:
    """Nobody watches."""
