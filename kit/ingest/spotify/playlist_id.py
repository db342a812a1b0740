"""A playlist as people write it down to its id."""

import re
from urllib.parse import urlsplit

from kit.errors import UsageError

_ID = re.compile(r"[0-9A-Za-z]{22}")
_HOSTS = ("open.spotify.com", "play.spotify.com")


def is_id(text: object) -> bool:
    """Whether this is an id of Spotify's: 22 digits and letters, for playlists and tracks alike."""
    return isinstance(text, str) and _ID.fullmatch(text) is not None


def playlist_id(text: str) -> str:
    """The id in a playlist's URL, URI or id.

    Args:
        text: "https://open.spotify.com/playlist/ID?si=...", with "/intl-de", "/embed" or
            "/user/NAME" before it or not, "spotify:playlist:ID", "spotify:user:NAME:playlist:ID",
            or the id alone.
    Raises:
        UsageError: it is none of these.
    """
    text = text.strip()
    if is_id(text):
        return text
    parts = _parts(text)
    if len(parts) >= 2 and parts[-2] == "playlist" and is_id(parts[-1]):
        return parts[-1]
    shown = text if len(text) <= 80 else text[:77] + "..."
    if len(parts) >= 2 and parts[-2] in ("album", "artist", "track", "episode", "show"):
        raise UsageError(f"{shown!r} is not a playlist (its kind: {parts[-2]}); give a playlist")
    if re.match(r"(https?://)?(spotify\.link|spoti\.fi)/", text):
        raise UsageError(
            f"{shown!r} is a short link; open it in a browser, and give the address it leads to"
        )
    raise UsageError(
        f"{shown!r} is no playlist of Spotify; give its address "
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
