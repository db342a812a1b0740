"""Read CSV files of spreadsheets and other programs as text."""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import pandas as pd

from kit.audio.errors import shown
from kit.catalogue.failures import Failure
from kit.catalogue.other_files import refuse_other_files
from kit.catalogue.scan import STAGE
from kit.catalogue.schema import COLUMNS
from kit.catalogue.sources.plain import ANSI, decode, encoding_of
from kit.errors import UsageError

# Other names of columns: those of the original project and of Exportify. Case, spaces and
# punctuation do not matter. A table that also has the column itself keeps both.
_ALIASES = {
    "artist": "artists",
    "artist_name": "artists",
    "artist_names": "artists",
    "artist_name_s": "artists",
    "mp3": "preview_url",
    "artist_id": "artist_ids",
    "track_name": "title",
    "album_name": "album",
    "album_date": "release_date",
    "track_pop": "popularity",
    "track_length": "duration_ms",
    "track_duration_ms": "duration_ms",
    "track_uri": "track_id",
    "spotify_id": "track_id",
    "genres": "genre",
}
# Case does not matter for these. Numbers are excluded: a column Key may contain "8A", which is not
# a valid `key`.
_ANY_CASE = frozenset(
    (
        *("path", "label", "artists", "title", "album", "genre", "isrc"),
        *("track_id", "release_date"),
    )
)
_LENGTHS = frozenset(("duration_ms", "track_duration_ms"))
# Columns that a similar name may mean, and synonyms.
_TEXTS = ("path", "label", "artists", "title", "genre", "isrc", "track_id")
_MEANT = {
    **dict.fromkeys(("file", "filename", "file_name", "filepath", "location", "pfad"), "path"),
    **dict.fromkeys(("class", "category", "target"), "label"),
    **dict.fromkeys(("name", "track", "song", "titel"), "title"),
}
_EXCEL = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
_SPOTIFY_URI = re.compile(r"spotify:track:(?=[A-Za-z0-9]+$)")
_COMMA_NUMBER = re.compile(r"\s*-?[0-9]+,[0-9]+\s*")


@dataclass(frozen=True, eq=False)
class CsvFile:
    """The rows of a CSV file as text with kit's column names, their lines, and the bad rows."""

    table: pd.DataFrame
    lines: list[int]
    bad: list[Failure]
    warnings: tuple[str, ...] = ()


def read_csv(path: Path) -> tuple[pd.DataFrame, list[int]]:
    """Return a CSV file as text with kit's column names, and the line of each row.

    Raises:
        UsageError: as for `read_rows`; or a row cannot be read, or the file is not Unicode.
    """
    found = read_rows(path, unicode_only=True)
    if found.bad:
        raise UsageError(found.bad[0].message)
    return found.table, found.lines


def read_rows(path: Path, *, unicode_only: bool = False, least: int = 1) -> CsvFile:
    """Read a CSV file whose cells are separated by commas, semicolons or tabs.

    The encoding is UTF-8, UTF-16 or Windows-1252. Empty rows and a first line `sep=;` are skipped.

    Raises:
        UsageError: the file is missing, is not CSV, has too few rows, or has a column twice.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"{shown(path)} cannot be read: {error.strerror or error}; give a CSV file"
        ) from error
    refuse_other_files(path, data[:1000])
    encoding = encoding_of(data)
    warnings: list[str] = []
    if encoding == ANSI:
        if unicode_only:
            raise UsageError(f"{shown(path)} is not UTF-8; save it as UTF-8")
        warnings.append(
            f"{shown(path)} is not UTF-8 and was read as Windows-1252; if names look wrong, save "
            "it as UTF-8"
        )
    lines = list(io.StringIO(decode(data), newline=""))
    at, comma = _separator(lines)
    count, header = _record(lines, at, comma)
    if isinstance(header, str):
        raise UsageError(f"{shown(path)}, line {at + 1}: {header}; correct the header")
    good, bad = _rows(path, lines, at + count, comma, len(header))
    if len(good) < least:
        raise UsageError(
            f"{shown(path)} has no tracks; it needs a header and at least one row"
            + (f"; {bad[0].message}" if bad else list_hint(path))
        )
    columns = _columns(path, [name.strip() for name in header], good)
    if comma != ",":
        _decimal_points(columns)
    warnings += _meant(columns)
    return CsvFile(pd.DataFrame(columns), [line for line, _ in good], bad, tuple(warnings))


def list_hint(path: Path) -> str:
    """Return advice for a list of paths; "" if the file is named CSV."""
    return (
        "" if path.suffix.lower() == ".csv" else "; if it is a list of files, rename it to LIST.m3u"
    )


def bad_row(path: Path, line: int, why: str, *, track_id: str = "", file: str = "") -> Failure:
    """Return the failure of a row that cannot be used."""
    message = f"{shown(path)}, line {line} {why}"
    return Failure(file or f"{shown(path.name)}:{line}", STAGE, "bad_row", message, track_id)


def _separator(lines: list[str]) -> tuple[int, str]:
    """Return the index of the header's line and the separator of the cells."""
    first = next((at for at, line in enumerate(lines) if line.strip()), 0)
    if first < len(lines) and (match := _EXCEL.fullmatch(lines[first])):
        return first + 1, match[1]

    def fits(comma: str) -> tuple[int, int]:
        _, cells = _record(lines, first, comma)
        names = [] if isinstance(cells, str) else [_known(cell.strip()) for cell in cells]
        return sum(name in COLUMNS for name in names), len(names)

    return first, max(",;\t|", key=fits)


def _record(lines: list[str], at: int, comma: str) -> tuple[int, list[str] | str]:
    """Return the number of lines of a record, and its cells or the reason why it has none."""
    reader = csv.reader((lines[n] for n in range(at, len(lines))), delimiter=comma, strict=True)
    try:
        cells = next(reader, [])
    except csv.Error as error:
        return 1, f"is not valid CSV ({error}); correct its quotes"
    return reader.line_num, cells


def _rows(
    path: Path, lines: list[str], at: int, comma: str, width: int
) -> tuple[list[tuple[int, list[str]]], list[Failure]]:
    """Return the rows with their lines, and a failure for each bad row."""
    good: list[tuple[int, list[str]]] = []
    bad: list[Failure] = []
    while at < len(lines):
        count, cells = _record(lines, at, comma)
        if isinstance(cells, str):
            bad.append(bad_row(path, at + 1, cells))
        elif any(cell.strip() for cell in cells):
            while len(cells) > width and not cells[-1].strip():
                cells.pop()
            if len(cells) == width:
                good.append((at + 1, cells))
            else:
                # An unclosed quote joins several rows: continue at the next line.
                count = 1
                why = (
                    f"has {len(cells)} cells, the header has {width}; add the missing cells, or "
                    f"quote cells that contain {comma!r}"
                )
                bad.append(bad_row(path, at + 1, why))
        at += count
    return good, bad


def _known(name: str) -> str:
    """Return kit's name of a column, or the unchanged name."""
    loose = re.sub(r"[^a-z0-9]+", "_", name.casefold()).strip("_")
    known = _ALIASES.get(loose, loose)
    return known if name in _ALIASES or known in _ANY_CASE or loose in _LENGTHS else name


def _columns(
    path: Path, header: list[str], rows: list[tuple[int, list[str]]]
) -> dict[str, list[str]]:
    columns: dict[str, list[str]] = {}
    for at, name in enumerate(header):
        cells = [row[at] for _, row in rows]
        # pandas writes its index without a name, and reads it as Unnamed.
        if not name or name.startswith("Unnamed: "):
            continue
        if name == "track_id.1" and "track_id" in columns:
            name = "track_id"
        if name not in columns:
            columns[name] = cells
        elif name != "track_id":
            raise UsageError(f"{shown(path)} has the column {name!r} twice; rename one")
        elif columns[name] != cells:
            differs = next(i for i, v in enumerate(cells) if v != columns[name][i])
            raise UsageError(
                f"{shown(path)}, line {rows[differs][0]}: the two columns track_id are "
                f"{columns[name][differs]!r} and {cells[differs]!r}; they must agree"
            )
    renamed: dict[str, list[str]] = {}
    for name, cells in columns.items():
        known = _known(name)
        renamed[name if known in columns or known in renamed else known] = cells
    if "track_id" in renamed:
        renamed["track_id"] = [_SPOTIFY_URI.sub("", cell) for cell in renamed["track_id"]]
    return renamed


def _decimal_points(columns: dict[str, list[str]]) -> None:
    """Replace decimal commas, which programs write if another sign separates cells."""
    for name, cells in columns.items():
        if name in COLUMNS and COLUMNS[name].kind != "text":
            columns[name] = [
                cell.replace(",", ".") if _COMMA_NUMBER.fullmatch(cell) else cell for cell in cells
            ]


def _meant(columns: dict[str, list[str]]) -> Iterator[str]:
    """Yield a warning for each unused column whose name resembles one of kit's."""
    for name in columns:
        if name in COLUMNS:
            continue
        loose = name.casefold()
        near = _MEANT.get(loose) or next(iter(get_close_matches(loose, _TEXTS, 1, 0.8)), "")
        if near and near not in columns:
            yield f"the column {name!r} is not used; if it is the {near}, rename it to {near}"
