"""Where a playlist's words say that a file is: URLs and paths to paths."""

import os
import re
from urllib.parse import unquote_to_bytes

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")
_DRIVE = re.compile(r"/[A-Za-z]:[/\\]")


def from_url(url: str) -> tuple[str, bool]:
    """A URL, or a relative one, to a path.

    Args:
        url: percent-encoded. A `#` or `?` is taken as part of the file's name: some programs do
            not encode them, and a file has neither fragment nor query.
    Returns:
        The path, and True; or the URL itself and False if it is of no file on this machine.
    """
    match = _SCHEME.match(url)
    if match is None:
        return _decoded(url), True
    if match[1].lower() != "file":
        return url, False
    rest = url[match.end() :]
    if rest.startswith("//"):
        host, slash, path = rest[2:].partition("/")
        if host.lower() not in ("", "localhost", "127.0.0.1"):
            return url, False
        rest = slash + path
    path = _decoded(rest)
    if os.name == "nt" and _DRIVE.match(path):
        path = path[1:]
    return path, True


def from_text(text: str) -> tuple[str, bool]:
    """An entry of a plain playlist, which is a path as it is, or a URL.

    Returns:
        As `from_url`.
    """
    match = _SCHEME.match(text)
    if match is None:
        return text, True
    if match[1].lower() == "file" and text[match.end() :].startswith("/"):
        return from_url(text)
    # A file may be called "Artist: Title.mp3".
    return text, not text[match.end() :].startswith("//")


def _decoded(url: str) -> str:
    # Bytes that are no UTF-8 stay the ones that the file's name has.
    return os.fsdecode(unquote_to_bytes(url.encode("utf-8", "surrogateescape")))
