"""Bytes of a plain playlist to text; what such a file says beside the places of its files."""

import codecs
import math
import re
from typing import Any

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
ANSI = "cp1252"
_DASH = re.compile(r"\s[-\u2013\u2014]\s")


def encoding_of(data: bytes) -> str:
    """Return the encoding that a text's mark names, else UTF-8, else Windows-1252.

    Text of UTF-16 without a mark is known by the zero byte of its first character.
    """
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return encoding
    if 0 in data[:2] and any(data[:2]):
        return "utf-16-le" if data[0] else "utf-16-be"
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return ANSI
    return "utf-8"


def decode(data: bytes) -> str:
    """Return bytes as text, see `encoding_of`; bytes without a meaning become U+FFFD."""
    return data.decode(encoding_of(data), "replace").removeprefix("\ufeff")


def described(text: str, seconds: str = "") -> dict[str, Any]:
    """Return the columns in "Artist - Title" and a length."""
    parts = [part.strip() for part in _DASH.split(text, maxsplit=1)]
    columns: dict[str, Any] = dict(zip(("artists", "title")[-len(parts) :], parts, strict=True))
    try:
        length = float(seconds)
    except ValueError:
        length = math.nan
    if 0 < length < math.inf:
        columns["duration_s"] = length
    return {name: value for name, value in columns.items() if value != ""}
