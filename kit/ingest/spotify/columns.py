"""Convert Spotify's ids, rows and audio features to a catalogue's columns. Pure functions."""

import re
from dataclasses import dataclass
from typing import Any

from kit.catalogue.schema import SEPARATOR, one_line
from kit.catalogue.tags import isrc
from kit.errors import UsageError

_ID = re.compile(r"[0-9A-Za-z]{22}")
_ADDRESS = re.compile(
    r"(?:spotify:(?:user:[^:]+:)?|(?i:(?:https?://)?(?:open|play)\.spotify\.com/)(?:[^?#]*/)?)"
    rf"(album|artist|episode|playlist|show|track)[:/]({_ID.pattern})/?(?:[?#].*)?"
)
_DATE = re.compile(r"\d{4}(-\d\d(-\d\d)?)?", re.ASCII)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)
_PREVIEW = re.compile(r"https://[!-~]{1,2000}")
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
    found = _ADDRESS.fullmatch(text)
    if found and found[1] == "playlist":
        return found[2]
    shown = text if len(text) <= 80 else text[:77] + "..."
    if found:
        raise UsageError(f"{shown!r} is not a playlist (its kind: {found[1]}); give a playlist")
    if re.match(r"(https?://)?(spotify\.link|spoti\.fi)/", text):
        raise UsageError(
            f"{shown!r} is a short link; open it in a browser, and give the resulting address"
        )
    raise UsageError(
        f"{shown!r} is not a playlist on Spotify; give its address "
        "(https://open.spotify.com/playlist/...), its URI (spotify:playlist:...) or its id, "
        "22 letters and digits"
    )


def row(item: Any) -> dict[str, Any] | LeftOut:
    """Return the columns of one row, without its label and features.

    Args:
        item: item of a page; the key of the track is `item` in /items, and `track` in the older
            /tracks.
    """
    if not isinstance(item, dict):
        return LeftOut("malformed", "is not as documented")
    track = _track(item)
    title = text(track.get("name"))
    at_home = str(track.get("uri")).startswith("spotify:local:")
    if at_home or item.get("is_local") is True or track.get("is_local") is True:
        return LeftOut(
            "local",
            f"is a local file of the playlist's owner ({title!r}), which is not on Spotify; "
            "add it with kit scan",
        )
    if not track:
        return LeftOut("removed", "was removed from Spotify; take it from the playlist")
    if track.get("type") == "episode" or track.get("episode") is True:
        return LeftOut("episode", f"is an episode of a podcast ({title!r}), not a track")
    if not is_id(track.get("id")) or track.get("type", "track") != "track":
        return LeftOut("malformed", f"has no id of a track ({title!r})")
    given = track.get("artists")
    artists = [one for one in given if isinstance(one, dict)] if isinstance(given, list) else []
    names = [text(artist.get("name")).replace(";", ",") for artist in artists]
    ids = [artist["id"] for artist in artists if is_id(artist.get("id"))]
    album, explicit = _dict(track.get("album")), track.get("explicit")
    return {
        "track_id": track["id"],
        "artists": SEPARATOR.join(name for name in names if name),
        "title": title,
        "album": text(album.get("name")),
        "release_date": _matching(_DATE, album.get("release_date")),
        "preview_url": _matching(_PREVIEW, track.get("preview_url")),
        "artist_ids": SEPARATOR.join(ids),
        "isrc": isrc(text(_dict(track.get("external_ids")).get("isrc"))),
        "explicit": int(explicit) if isinstance(explicit, bool) else None,
        "added_at": _matching(_TIME, item.get("added_at")),
        "popularity": _whole(track.get("popularity"), 0, 100),
        "duration_ms": _whole(track.get("duration_ms"), 0, 2**31),
    }


def is_locked(item: Any) -> bool:
    """Return whether a track is unplayable in the requested market, or anywhere."""
    track = _track(item)
    return (
        track.get("is_playable") is False
        or _dict(track.get("restrictions")).get("reason") == "market"
        or track.get("available_markets") == []
    )


def features(answer: Any) -> dict[str, Any] | None:
    """Return the audio features in an object of /audio-features by column; None if it is null."""
    given = _dict(answer)
    found: dict[str, Any] = {name: _number(given.get(name)) for name in FEATURES}
    found |= {"key": _whole(given.get("key"), -1, 11), "mode": _whole(given.get("mode"), 0, 1)}
    if all(value is None for value in found.values()):
        return None
    return {**found, "feature_source": "spotify"}


def text(value: Any) -> str:
    """Return external text as one line of valid UTF-8, at most 500 characters."""
    if not isinstance(value, str):
        return ""
    return one_line(value.encode("utf-8", "replace").decode("utf-8"))[:_LONGEST].strip()


def _track(item: Any) -> dict[str, Any]:
    return _dict(_dict(item).get("item")) or _dict(_dict(item).get("track"))


def _matching(pattern: re.Pattern[str], value: Any) -> str:
    return value if isinstance(value, str) and pattern.fullmatch(value) else ""


def _whole(value: Any, least: int, most: int) -> int | None:
    number = _number(value)
    if number is None or not number.is_integer() or not least <= number <= most:
        return None
    return int(number)


def _number(value: Any) -> float | None:
    good = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if good and abs(value) < 2**53 else None


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
