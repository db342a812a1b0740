"""All rows of a playlist, page by page; a page that was got once is not asked for again."""

from collections.abc import Callable
from typing import Any

from kit.errors import KitError
from kit.ingest.spotify.client import Client
from kit.ingest.spotify.kept import Kept
from kit.ingest.spotify.refusals import RefusedError

SIZE = 50
"""Rows of a page: the most that /playlists/{id}/items gives."""

MAX_ROWS = 20_000
"""A playlist holds 10,000 rows; what claims to have many more is none."""

_RESTARTS = 2

Progress = Callable[[int, int], None]


class _ChangedError(Exception):
    """The playlist has another number of rows than it had."""


def rows_of(
    client: Client, playlist: str, kept: Kept, *, market: str | None, progress: Progress
) -> list[Any]:
    """The rows of a playlist, as Spotify gives them, in its order.

    The addresses of the pages are made here: the links in the answers are not followed, so that
    none leads the token to another host, or round in a circle.

    Args:
        client: asks.
        playlist: its id.
        kept: the pages that are there already.
        market: the country whose licences count; else the user's, or none.
        progress: called with (rows read, rows in all).
    Raises:
        RefusedError: Spotify does not give them.
        KitError: they do not come to an end, or change while they are read.
    """
    for _ in range(_RESTARTS + 1):
        try:
            return _read(client, playlist, kept, market, progress)
        except _ChangedError:
            kept.clear()
    raise KitError(
        f"playlist {playlist} changes while it is read; run the same command when nobody edits it"
    )


def _read(
    client: Client, playlist: str, kept: Kept, market: str | None, progress: Progress
) -> list[Any]:
    rows: list[Any] = []
    total = None
    while total is None or len(rows) < total:
        name = f"page-{len(rows):06d}"
        page = kept.get(name)
        if not _good(page):
            page = _page(client, playlist, kept, len(rows), market)
            if not _good(page):
                raise KitError(
                    f"{client.addresses.host} gives a page of playlist {playlist} that is not as "
                    "documented; update kit and spotipy, or try again later"
                )
            page = {"total": page["total"], "items": page["items"]}
            kept.put(name, page)
        if total not in (None, page["total"]):
            raise _ChangedError
        total = page["total"]
        if total > MAX_ROWS:
            kept.clear()
            raise KitError(
                f"playlist {playlist} is said to have {total} rows, and none can have more than "
                f"10,000 (kit reads up to {MAX_ROWS}); check its address"
            )
        if not page["items"] and len(rows) < total:
            kept.clear()
            raise KitError(
                f"playlist {playlist} is said to have {total} rows, and after {len(rows)} there "
                "come none; run the same command again"
            )
        rows += page["items"]
        progress(min(len(rows), total), total)
    return rows[:total]


def _good(page: Any) -> bool:
    if not isinstance(page, dict):
        return False
    total, items = page.get("total"), page.get("items")
    whole = isinstance(total, int) and not isinstance(total, bool) and total >= 0
    return whole and isinstance(items, list) and len(items) <= SIZE


def _page(
    client: Client, playlist: str, kept: Kept, offset: int, market: str | None
) -> dict[str, Any]:
    """One page, from the address that this app gets it from.

    Since 2026 it is /playlists/{id}/items, and /playlists/{id}/tracks for whoever does not have
    that yet.
    """

    def ask(word: str) -> dict[str, Any]:
        return client.get(
            f"playlists/{playlist}/{word}",
            f"/playlists/{{id}}/{word}",
            f"playlist {playlist}",
            limit=SIZE,
            offset=offset,
            market=market,
            additional_types="track,episode",
        )

    word = kept.get("endpoint")
    if word in ("items", "tracks"):
        return ask(word)
    try:
        page, word = ask("items"), "items"
    except RefusedError as refused:
        if refused.status not in (403, 404):
            raise
        try:
            page, word = ask("tracks"), "tracks"
        except RefusedError as error:
            # What the newer address said is the reason, unless the older one knows a better one.
            raise (refused if error.status in (403, 404) else error) from None
    kept.put("endpoint", word)
    return page
