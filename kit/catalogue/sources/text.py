"""Bytes of a plain playlist to text; what such a file says beside the places of its files."""

import codecs
import math
from typing import Any

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def decode(data: bytes) -> str:
    """Text in the encoding that its mark names, else UTF-8, else Windows-1252.

    Bytes without a meaning become the replacement character.
    """
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return data.decode(encoding, "replace").removeprefix("\ufeff")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def described(text: str, seconds: str = "") -> dict[str, Any]:
    """The columns in "Artist - Title" and a length."""
    artist, dash, title = (part.strip() for part in text.partition(" - "))
    columns: dict[str, Any] = {"artists": artist, "title": title} if dash else {"title": artist}
    try:
        length = float(seconds)
    except ValueError:
        length = math.nan
    if 0 < length < math.inf:
        columns["duration_s"] = length
    return {name: value for name, value in columns.items() if value != ""}
