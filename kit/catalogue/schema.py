"""The columns of `tracks.csv`: their names, types and rules."""

import math
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from kit.errors import UsageError

SEPARATOR = "; "
"""Separates names in `artists`, and ids in `artist_ids`."""

_DTYPES: dict[str, Any] = {"text": "str", "number": "float64", "whole": "Int64"}

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        kind: text (missing is ""), number (float64, missing is NaN) or whole (Int64).
        required: the column must exist and have a value in every row.
        rule: description of a valid value, to follow "it must be".
        ok: whether text is valid.
        form: converts valid text to its normal form.
        least: smallest valid number.
    """

    kind: Literal["text", "number", "whole"] = "text"
    required: bool = False
    rule: str = ""
    ok: Callable[[str], bool] | None = None
    form: Callable[[str], str] = str
    least: float = -math.inf


_CONTROL = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

# Soft hyphen, zero-width space, direction marks, word joiner, byte order mark. Not the joiners of
# Persian, Hindi and emoji, which change the visible text.
_UNSEEN = re.compile("[\xad\u200b\u200e\u200f\u2060\ufeff]")


def is_plain(text: str) -> bool:
    """Return whether a text is one line, without control characters and lone surrogates.

    Python reads bytes of a file's name that are not UTF-8 as surrogates. A name may contain any
    other character, such as ideographic and no-break spaces, joiners and direction marks.
    """
    return _CONTROL.search(text) is None


def one_line(text: str) -> str:
    """Return external text as one line: white space and control characters become a space."""
    return " ".join(_CONTROL.sub(" ", text).split())


def label_form(text: str) -> str:
    """Return a label in composed Unicode, stripped, with one space between words.

    Invisible characters, such as a zero-width space from a web page, are removed.
    """
    return one_line(unicodedata.normalize("NFC", _UNSEEN.sub("", text)))


def alike(text: str) -> str:
    """Return a form that is equal for texts that look the same.

    Unicode form, case and spaces do not matter.
    """
    return unicodedata.normalize("NFC", label_form(text).casefold())


def several_labels(text: str) -> tuple[str, ...]:
    """Return the labels of a track that has several, such as "house; vocal", each once."""
    names = (label_form(name) for name in text.split(SEPARATOR.strip()))
    return tuple(dict.fromkeys(name for name in names if name))


Several = Literal["first", "each", "drop"]
"""For a track with several labels: keep the first, keep each, or leave the track out."""


def labels_to_take(names: Sequence[str], several: Several) -> tuple[str, ...]:
    """Return the labels of a track; more than one if it must be left out.

    Args:
        names: all labels of the track.
        several: how to treat several labels; "each" joins them for `several_labels`.
    """
    if several == "each":
        return (SEPARATOR.join(names),) if names else ()
    return tuple(names[:1] if several == "first" else names)


_PLAIN = {"rule": "one line without control characters", "ok": is_plain}

COLUMNS: dict[str, Column] = {
    "track_id": Column(
        required=True,
        rule="1 to 64 letters, digits, _ or -",
        ok=lambda text: _ID.fullmatch(text) is not None,
    ),
    "label": Column(required=True, **_PLAIN, form=label_form),
    "path": Column(**_PLAIN),
    "artists": Column(),
    "title": Column(),
    "album": Column(),
    "release_date": Column(),
    "duration_s": Column("number", rule="a number of at least 0", least=0.0),
    "sample_rate": Column("whole", rule="a whole number of at least 1", least=1.0),
    "channels": Column("whole", rule="a whole number of at least 1", least=1.0),
    **{
        # Of the file, and of the audio without tags.
        name: Column(
            rule="64 hexadecimal digits (SHA-256)",
            ok=lambda text: re.fullmatch("[0-9a-f]{64}", text) is not None,
        )
        for name in ("source_hash", "audio_hash")
    },
    "preview_url": Column(),
    "artist_ids": Column(),
    "isrc": Column(),
    "genre": Column(),
    # From tags or DJ software; `tempo` and `key` are computed, by kit or by Spotify.
    "tag_bpm": Column("number", rule="a number of at least 1", least=1.0),
    "tag_key": Column(**_PLAIN),
    "explicit": Column("whole", rule="a whole number of at least 0", least=0.0),
    "added_at": Column(),
    "audio_source": Column(),
    "feature_source": Column(),
    "popularity": Column("whole", rule="a whole number of at least 0", least=0.0),
    **{
        name: Column("number", rule="a number")
        for name in (
            "danceability",
            "energy",
            "loudness",
            "speechiness",
            "acousticness",
            "instrumentalness",
            "liveness",
            "valence",
            "tempo",
        )
    },
    **{name: Column("whole", rule="a whole number") for name in ("key", "mode")},
    "duration_ms": Column("whole", rule="a whole number of at least 0", least=0.0),
}
"""The columns that kit uses; other columns are kept unchanged."""


def faults(
    table: pd.DataFrame, *, source: str, lines: Sequence[int] | None = None
) -> dict[int, str]:
    """Return the rows with an invalid value; see `validate`. Columns may be missing.

    Returns:
        Line, column, value and rule of the first invalid value, by the row's index.
    """
    at = _lines(table, lines)
    found: dict[int, str] = {}
    for name in table.columns:
        if (column := COLUMNS.get(name)) is not None:
            values = list(table[name])
            _, bad = _checked(values, column)
            for row in np.flatnonzero(bad):
                found.setdefault(int(row), _fault(source, at[row], name, values[row]))
    return dict(sorted(found.items()))


def validate(
    table: pd.DataFrame, *, source: str, lines: Sequence[int] | None = None
) -> pd.DataFrame:
    """Check a table of tracks and give its columns their types.

    Args:
        table: one row per track; text or typed.
        source: name of the table in errors, such as a file name.
        lines: line of each row in the file; by default the first row is line 2.
    Returns:
        A copy with the types of `COLUMNS`, the known columns first.
    Raises:
        UsageError: a column is missing, a value is invalid, or an id occurs twice; the message
            contains line, column, value and rule.

    Example:
        >>> import pandas as pd
        >>> table = pd.DataFrame({"track_id": ["1"], "label": ["techno"], "tempo": ["128"]})
        >>> kit.catalogue.validate(table, source="mine")["tempo"].tolist()
        [128.0]
    """
    at = _lines(table, lines)
    names = [str(name) for name in table.columns]
    if missing := [n for n, c in COLUMNS.items() if c.required and n not in names]:
        raise UsageError(
            f"{source} has no column {' and no column '.join(missing)}; "
            f"it has {', '.join(names) or 'none'}"
        )
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"{source} has the column {twice[0]} twice; rename or remove one")
    order = [n for n in COLUMNS if n in names] + [n for n in names if n not in COLUMNS]
    typed = {n: _typed(list(table[n]), n, COLUMNS.get(n), at, source) for n in order}
    result = pd.DataFrame(typed)
    again = result["track_id"].duplicated().to_numpy()
    if again.any():
        where = int(np.flatnonzero(again)[0])
        raise UsageError(
            f"{source}, line {at[where]}, column track_id is {result['track_id'][where]!r}, which "
            "an earlier line also has; it must be unique: remove one of the two"
        )
    return result


def _lines(table: pd.DataFrame, lines: Sequence[int] | None) -> list[int]:
    return list(range(2, len(table) + 2)) if lines is None else list(lines)


def _typed(
    values: list[Any], name: str, column: Column | None, at: list[int], source: str
) -> pd.Series:
    if column is None:
        return pd.Series(values)
    cells, bad = _checked(values, column)
    if any(bad):
        where = bad.index(True)
        more = sum(bad) - 1
        raise UsageError(
            _fault(source, at[where], name, values[where])
            + (f" ({more} more lines like this)" if more else "")
        )
    return pd.Series(cells, dtype=_DTYPES[column.kind])


def _checked(values: list[Any], column: Column) -> tuple[list[Any], list[bool]]:
    """Return cells with the type of their column, and whether each is invalid."""
    absent = [is_absent(value) for value in values]
    if column.kind == "text":
        cells = ["" if gone else str(value) for value, gone in zip(values, absent, strict=True)]
        good = [column.ok is None or column.ok(cell) for cell in cells]
        cells = [column.form(cell) for cell in cells]
    else:
        cells = [
            None if gone else _number(value) for value, gone in zip(values, absent, strict=True)
        ]
        good = [cell is not None and _allowed(cell, column) for cell in cells]
    bad = [column.required if gone else not fine for gone, fine in zip(absent, good, strict=True)]
    return cells, bad


def _fault(source: str, line: int, name: str, value: Any) -> str:
    rule = COLUMNS[name].rule
    return f"{source}, line {line}, column {name} is {_cell(value)}; it must be {rule}"


def is_absent(value: Any) -> bool:
    """Return whether a cell is empty: None, NaN, "" or white space."""
    return bool(pd.isna(value)) or (isinstance(value, str) and not value.strip())


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def _allowed(value: float, column: Column) -> bool:
    if not math.isfinite(value) or value < column.least:
        return False
    # Above 2 ** 53 a float cannot represent odd numbers, so the value is invalid.
    return column.kind == "number" or (value.is_integer() and abs(value) <= 2**53)


def _cell(value: Any) -> str:
    text = "empty" if is_absent(value) else repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
