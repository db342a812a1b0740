"""Read a Spotify playlist into a table of tracks, and add it to a catalogue on disk."""

import contextlib
import dataclasses
import re
from collections.abc import Callable, Iterable, Sequence
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
from kit.errors import KitError, UsageError
from kit.ingest.retry import Wait
from kit.ingest.spotify.client import Client, connect
from kit.ingest.spotify.columns import FEATURES, LeftOut, features, is_locked, playlist_id, row
from kit.ingest.spotify.errors import RefusedError
from kit.lock import only_one

Progress = Callable[[int, int, str], None]
"""Function of the number done, the total, and the counted unit."""

STAGE = "ingest"  # in failures.csv

NOTICE = (
    "Spotify's Developer Policy, section III.14, and its Developer Terms, section IV.2.a, forbid "
    "the use of its content to train machine-learning models. Apps made since 2024-11-27, and "
    "older ones in development mode, get neither audio features nor previews; those made since "
    "2026-02-11 read only playlists that their user owns or works on. Train on audio that you have "
    "a right to: kit scan."
)
"""Spotify's terms, for the user and the catalogue."""

PAGE = 50  # rows, the limit of /playlists/{id}/items
BATCH = 100  # ids, the limit of /audio-features
MAX_ROWS = 20_000
"""Limit on rows. A playlist has at most 10,000; twice as many is an error of the server."""

# Refused to this app, or the endpoint no longer exists.
_CLOSED = (403, 404, 410)


def add(
    source: str,
    out: Path,
    *,
    label: str,
    private: bool,
    market: str | None,
    note: Callable[[str], None],
    show: Callable[[str], None],
    progress: Progress,
    wait: Wait,
) -> tuple[Scan, list[Failure]]:
    """Add the tracks of a playlist to the catalogue in `out`.

    Returns:
        The whole catalogue, with warnings about the playlist, and the playlist's failures.
    Raises:
        KitError: another run adds a playlist to `out`.
    """
    name = name_of(check(source, label, market))
    client = connect(private=private, wait=wait)
    with contextlib.closing(client), only_one(out / ".ingest", "adds a playlist to"):
        # Detect a damaged catalogue before hundreds of requests.
        before = _catalogue(out)
        if before is None or NOTICE not in before.notices:
            note(NOTICE)
        client.sign_in(show)
        found = playlist(source, label, out, client=client, market=market, progress=progress)
        # Read again, because another command may have changed it while the playlist was read.
        earlier = read_failures(out)
        ours = [failure for failure in earlier if failure.stage == STAGE]
        whole = merged(_catalogue(out), ours, found, name)
        scanned = [failure for failure in earlier if failure.stage == "scan"]
        save(dataclasses.replace(whole, failures=scanned), out)
        write_failures(out, STAGE, whole.failures)
    return whole, [failure for failure in whole.failures if failure.path == name]


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


def playlist(
    source: str,
    label: str,
    folder: Path | str,
    *,
    client: Client,
    market: str | None = None,
    progress: Progress = lambda *_: None,
) -> Scan:
    """Return the tracks of a playlist, with audio features if the app may read them.

    Returns:
        One row per track, in the playlist's order, and a failure for each row that is not a track.
        Nothing is saved.
    Raises:
        UsageError: the playlist's name, the label or the market is wrong.
        RefusedError: Spotify refuses the playlist.
        KitError: the response is not as documented, or no row is a track.
    """
    id_ = check(source, label, market)
    items = _rows(client, id_, market, progress)
    rows, failures, locked = _sorted(items, id_)
    if not rows:
        raise KitError(
            f"none of the {len(items)} rows of playlist {id_} is a track on Spotify; "
            f"the first: {failures[0].message}"
            if items
            else f"playlist {id_} is empty; give one with tracks"
        )
    of, refused = _features(client, list(rows), progress)
    warnings = [refused] if refused else []
    if not refused and (without := len(rows) - len(of)):
        warnings.append(
            f"{without} tracks have no audio features on Spotify; the columns stay empty"
        )
    if locked:
        where = market or "where the account is, or anywhere"
        warnings.append(
            f"{locked} tracks may not be played ({where}); they are kept, without a preview"
        )
    empty = dict.fromkeys((*FEATURES, "feature_source"))
    table = pd.DataFrame(
        [columns | {"label": label} | of.get(track, empty) for track, columns in rows.items()]
    )
    return Scan(
        table=validate(table, source=f"playlist {id_}"),
        failures=failures,
        audio_root=Path(folder) / "audio",
        warnings=tuple(warnings),
        notices=(NOTICE,),
    )


def name_of(id_: str) -> str:
    """Return the URI of a playlist, used as its name in `failures.csv`."""
    return f"spotify:playlist:{id_}"


def check(source: str, label: str, market: str | None) -> str:
    """Check the arguments without a request; return the id of the playlist.

    Raises:
        UsageError: the playlist's name, the label or the market is wrong.
    """
    id_ = playlist_id(source)
    # The label becomes the name of a folder.
    bad = not label.strip() or not label.isprintable() or label.startswith(".")
    if bad or "/" in label or "\\" in label or len(label) > 64:
        raise UsageError(
            f"--label is {label!r}; it must be the name of a genre, without / and \\, of 1 to 64 "
            "printable characters, such as techno"
        )
    if market is not None and not re.fullmatch("[A-Z]{2}", market):
        raise UsageError(
            f"--market is {market!r}; it must be a two-letter country code, such as DE"
        )
    return id_


def _rows(client: Client, id_: str, market: str | None, progress: Progress) -> list[Any]:
    # Links to next pages are not followed, so that the token is not sent to another host.
    word, page = _first_page(client, id_, market)
    rows: list[Any] = []
    total = page["total"]
    if total > MAX_ROWS:
        raise KitError(
            f"Spotify reports {total} rows for playlist {id_}, but the limit is 10,000 (kit "
            f"reads up to {MAX_ROWS}); check its address"
        )
    while True:
        rows += page["items"]
        progress(min(len(rows), total), total, "rows")
        if len(rows) >= total:
            return rows[:total]
        if not page["items"]:
            raise KitError(
                f"Spotify reports {total} rows for playlist {id_}, but the page after row "
                f"{len(rows)} is empty; run the same command again"
            )
        page = _page(client, id_, word, len(rows), market)
        if page["total"] != total:
            raise KitError(
                f"playlist {id_} changes while it is read; run the same command when nobody "
                "edits it"
            )


def _first_page(client: Client, id_: str, market: str | None) -> tuple[str, dict[str, Any]]:
    """Return the first page and the endpoint that gave it.

    Since 2026 the endpoint is /playlists/{id}/items; older apps still have /playlists/{id}/tracks.
    """
    try:
        return "items", _page(client, id_, "items", 0, market)
    except RefusedError as refused:
        if refused.status not in (403, 404):
            raise
        try:
            return "tracks", _page(client, id_, "tracks", 0, market)
        except RefusedError as error:
            # Report the newer endpoint's reason, unless the older one has a better one.
            raise (refused if error.status in (403, 404) else error) from None


def _page(client: Client, id_: str, word: str, offset: int, market: str | None) -> dict[str, Any]:
    page = client.get(
        f"/playlists/{{id}}/{word}",
        id_,
        limit=PAGE,
        offset=offset,
        market=market,
        additional_types="track,episode",
    )
    total, items = page.get("total"), page.get("items")
    whole = isinstance(total, int) and not isinstance(total, bool) and total >= 0
    if not (whole and isinstance(items, list) and len(items) <= PAGE):
        raise KitError(
            f"{client.host} returned a page of playlist {id_} that is not as documented; update "
            "kit and spotipy, or try again later"
        )
    return page


def _features(
    client: Client, ids: Sequence[str], progress: Progress
) -> tuple[dict[str, dict[str, Any]], str]:
    """Return audio features by track id, and the reason if Spotify refuses them."""
    found: dict[str, dict[str, Any]] = {}
    for start in range(0, len(ids), BATCH):
        batch = ids[start : start + BATCH]
        try:
            answer = client.get("/audio-features", ids=",".join(batch))
        except RefusedError as error:
            if error.status not in _CLOSED:
                raise
            return found, str(error)
        answers = answer.get("audio_features")
        # A list longer than the request is not as documented.
        for one in answers if isinstance(answers, list) and len(answers) <= BATCH else ():
            id_ = one.get("id") if isinstance(one, dict) else None
            if isinstance(id_, str) and id_ in batch and (columns := features(one)):
                found[id_] = columns
        progress(min(start + BATCH, len(ids)), len(ids), "audio features")
    return found, ""


def _sorted(items: Sequence[Any], id_: str) -> tuple[dict[str, dict[str, Any]], list[Failure], int]:
    """Return the tracks by id, the other rows, and the number of unplayable tracks."""
    rows: dict[str, dict[str, Any]] = {}
    failures: list[Failure] = []
    locked = 0
    for number, item in enumerate(items, start=1):
        found, track = row(item), ""
        if not isinstance(found, LeftOut):
            track = found["track_id"]
            if track not in rows:
                rows[track] = found
                locked += is_locked(item)
                continue
            found = LeftOut("duplicate", f"is track {track} again; the first is kept")
        message = f"row {number} of playlist {id_} {found.message}"
        failures.append(Failure(name_of(id_), STAGE, found.reason, message, track))
    return rows, failures, locked
