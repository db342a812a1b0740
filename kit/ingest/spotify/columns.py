"""Convert Spotify's ids, rows and audio features to a catalogue's columns. Pure functions."""

import math
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from kit.catalogue.schema import SEPARATOR, one_line
from kit.catalogue.tags import isrc
from kit.errors import UsageError

_ID = re.compile(r"[0-9A-Za-z]{22}")
_HOSTS = ("open.spotify.com", "play.spotify.com")
_DATE = re.compile(r"\d{4}(-\d\d(-\d\d)?)?")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_LONGEST = 500

FEATURES = (
    *("danceability", "energy", "key", "loudness", "mode", "speechiness", "acousticness"),
    *("instrumentalness", "liveness", "valence", "tempo"),
)
"""The audio features; with the duration, they are the twelve of the original project."""


@dataclass(frozen=True)
class LeftOut:
    """A row that is not a track on Spotify.

    Attributes:
        reason: "local", "episode", "removed" or "malformed".
        message: description that follows "row 12 of playlist ...".
    """

    reason: str
    message: str


def is_id(text: object) -> bool:
    """Return whether text is an id of a playlist or track: 22 digits and letters."""
    return isinstance(text, str) and _ID.fullmatch(text) is not None


def playlist_id(text: str) -> str:
    """Return the id in the URL, URI or id of a playlist.

    Args:
        text: "https://open.spotify.com/playlist/ID?si=...", with "/intl-de", "/embed" or
            "/user/NAME" before it or not, "spotify:playlist:ID", "spotify:user:NAME:playlist:ID",
            or the id alone.
    Raises:
        UsageError: the text is none of these.
    """
    text = text.strip()
    if is_id(text):
        return text
    parts = _parts(text)
    kind, last = parts[-2:] if len(parts) >= 2 else ("", "")
    if kind == "playlist" and is_id(last):
        return last
    shown = text if len(text) <= 80 else text[:77] + "..."
    if kind in ("album", "artist", "track", "episode", "show"):
        raise UsageError(f"{shown!r} is not a playlist (its kind: {kind}); give a playlist")
    if re.match(r"(https?://)?(spotify\.link|spoti\.fi)/", text):
        raise UsageError(
            f"{shown!r} is a short link; open it in a browser, and give the resulting address"
        )
    raise UsageError(
        f"{shown!r} is not a playlist on Spotify; give its address "
        "(https://open.spotify.com/playlist/...), its URI (spotify:playlist:...) or its id, "
        "22 letters and digits"
    )


def _parts(text: str) -> list[str]:
    if text.startswith("spotify:"):
        return text.split(":")[1:]
    try:
        url = urlsplit(text if "://" in text else f"https://{text}")
    except ValueError:
        return []
    if url.scheme not in ("http", "https") or url.hostname not in _HOSTS:
        return []
    return [part for part in url.path.split("/") if part]


def row(item: Any) -> dict[str, Any] | LeftOut:
    """Return the columns of one row, without its label and features.

    Args:
        item: item of a page; the key of the track is `item` in /items, and `track` in the older
            /tracks.
    """
    if not isinstance(item, dict):
        return LeftOut("malformed", "is not as documented")
    track = item.get("item") if isinstance(item.get("item"), dict) else item.get("track")
    local = item.get("is_local") is True
    if not isinstance(track, dict):
        if local:
            return _local("")
        return LeftOut("removed", "was removed from Spotify; take it from the playlist")
    title = text(track.get("name"))
    at_home = str(track.get("uri")).startswith("spotify:local:")
    if local or at_home or track.get("is_local") is True:
        return _local(title)
    if track.get("type") == "episode" or track.get("episode") is True:
        return LeftOut("episode", f"is an episode of a podcast ({title!r}), not a track")
    if not is_id(track.get("id")) or track.get("type", "track") != "track":
        return LeftOut("malformed", f"has no id of a track ({title!r})")
    artists = [a for a in _list(track.get("artists")) if isinstance(a, dict)]
    names = [text(artist.get("name")).replace(";", ",") for artist in artists]
    ids = [artist["id"] for artist in artists if is_id(artist.get("id"))]
    album = _dict(track.get("album"))
    return {
        "track_id": track["id"],
        "artists": SEPARATOR.join(name for name in names if name),
        "title": title,
        "album": text(album.get("name")),
        "release_date": _matching(_DATE, album.get("release_date")),
        "preview_url": _url(track.get("preview_url")),
        "artist_ids": SEPARATOR.join(ids),
        "isrc": _isrc(track),
        "explicit": _flag(track.get("explicit")),
        "added_at": _matching(_TIME, item.get("added_at")),
        "popularity": _whole(track.get("popularity"), 100),
        "duration_ms": _whole(track.get("duration_ms"), 2**31),
    }


def is_locked(item: Any) -> bool:
    """Return whether a track is unplayable in the requested market, or anywhere."""
    track = _dict(_dict(item).get("item")) or _dict(_dict(item).get("track"))
    return (
        track.get("is_playable") is False
        or _dict(track.get("restrictions")).get("reason") == "market"
        or track.get("available_markets") == []
    )


def features(answer: Any) -> dict[str, Any] | None:
    """Return the audio features in an object of /audio-features by column; None if it is null."""
    found = {name: _number(_dict(answer).get(name)) for name in FEATURES}
    for name in ("key", "mode"):
        value = found[name]
        found[name] = int(value) if value is not None and value.is_integer() else None
    if all(value is None for value in found.values()):
        return None
    return {**found, "feature_source": "spotify"}


def text(value: Any) -> str:
    """Return external text as one line of valid UTF-8, at most 500 characters."""
    if not isinstance(value, str):
        return ""
    return one_line(value.encode("utf-8", "replace").decode("utf-8"))[:_LONGEST].strip()


def _local(title: str) -> LeftOut:
    return LeftOut(
        "local",
        f"is a local file of the playlist's owner ({title!r}), which is not on Spotify; "
        "add it with kit scan",
    )


def _isrc(track: dict[str, Any]) -> str:
    value = _dict(track.get("external_ids")).get("isrc")
    return isrc(value) if isinstance(value, str) else ""


def _url(value: Any) -> str:
    good = isinstance(value, str) and value.startswith("https://") and len(value) <= 2000
    return value if good and value.isascii() and value.isprintable() and " " not in value else ""


def _matching(pattern: re.Pattern[str], value: Any) -> str:
    return value if isinstance(value, str) and pattern.fullmatch(value) and value.isascii() else ""


def _flag(value: Any) -> int | None:
    return int(value) if isinstance(value, bool) else None


def _whole(value: Any, most: int) -> int | None:
    number = _number(value)
    good = number is not None and number.is_integer() and 0 <= number <= most
    return int(number) if good and number is not None else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) and abs(number) < 2**53 else None


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
