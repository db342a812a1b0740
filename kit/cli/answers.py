"""Predictions as lines of text, and a file of them that a later run goes on with."""

import contextlib
import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kit.audio.errors import shown
from kit.catalogue import Failure
from kit.catalogue.schema import SEPARATOR
from kit.catalogue.sources.entry import absolute
from kit.errors import KitError, UsageError
from kit.features.schedule import PASSING
from kit.files import write_text
from kit.lock import only_one
from kit.predict.inputs import Input
from kit.predict.many import Prediction

Row = dict[str, Any]
"""The fields of an answer, None where they are unknown."""

RowOf = Callable[[Input], Row | None]
Append = Callable[[Row], None]

Stamp = tuple[int | None, str | None]
"""Size of a file in bytes, and its modification time; None if there is no file."""

_DIGITS = 6
_RETRIED = PASSING | {"timeout"}
_COLUMNS = (
    *("path", "start_s", "end_s", "label", "probability", "calibrated", "uncertain", "labels"),
    *("tempo", "key", "reason", "message", "size", "modified", "run"),
)


def row_of(found: Prediction | Failure, stamp: Stamp, run: str) -> Row:
    """Return the fields of an answer: those of a prediction, or the reason why there is none."""
    size, modified = stamp
    row: Row = dict.fromkeys(_COLUMNS) | {"path": str(found.path), "size": size}
    row |= {"modified": modified, "run": run, "probabilities": None}
    if isinstance(found, Failure):
        return row | {"reason": found.reason, "message": found.message}
    return row | {
        "start_s": found.start_s,
        "end_s": found.end_s,
        "label": found.label,
        "probability": found.probabilities[found.label],
        **vars(found.verdict),
        "tempo": found.tempo,
        "key": found.key,
        "probabilities": found.probabilities,
    }


def stamp_of(one: Input) -> Stamp:
    """Return the stamp of a file."""
    if isinstance(one, Failure):
        return None, None
    try:
        status = one.stat()
    except (OSError, ValueError):
        return None, None
    time = datetime.fromtimestamp(status.st_mtime_ns // 1000 / 1e6, UTC)
    return status.st_size, time.isoformat()


def in_json(row: Row, _labels: Sequence[str]) -> str:
    """Return a row as one line of JSON."""
    return json.dumps(_rounded(row), ensure_ascii=False) + "\n"


def in_csv(row: Row, labels: Sequence[str]) -> str:
    """Return a row as a line of CSV, with the probability of each label in the last columns."""
    shares = row["probabilities"] or {}
    cells = [row[name] for name in _COLUMNS] + [shares.get(label) for label in labels]
    return _csv_line([_cell(_rounded(cell)) for cell in cells])


def _csv_line(cells: Sequence[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()


LINES: dict[str, Callable[[Row, Sequence[str]], str]] = {"json": in_json, "csv": in_csv}
"""Formats by name."""


def header(format: str, labels: Sequence[str]) -> str:
    """Return the text before the first row."""
    return _csv_line([*_COLUMNS, *labels]) if format == "csv" else ""


def in_words(found: Prediction | Failure, labels: Sequence[str]) -> str:
    """Return an answer as a line to read."""
    width = max(map(len, labels))
    if isinstance(found, Failure):
        return f"{'–':<{width}}  {found.reason}: {found.message}\n"
    bpm = "" if found.tempo is None else f"{found.tempo:5.1f} bpm"
    others = [name for name in found.verdict.labels or () if name != found.label]
    cells = [
        f"{found.label:<{width}}",
        f"{found.probabilities[found.label]:6.1%}",
        f"{'uncertain' if found.verdict.uncertain else '':<9}",
        f"{bpm:<9}  {found.key or '':<8}",
        shown(found.path),
    ]
    if others:
        cells.append(f"or {', '.join(others)}")
    return "  ".join(cells) + "\n"


@dataclass(frozen=True)
class Answers:
    """A file of answers, CSV or JSON lines.

    Attributes:
        path: the file.
        format: "csv" or "json".
        labels: of the run.
        run: identifies the run and the options of its answers.
    """

    path: Path
    format: str
    labels: tuple[str, ...]
    run: str

    @contextlib.contextmanager
    def open(self, *, fresh: bool) -> Iterator[tuple[RowOf, Append]]:
        """Open the file to append to it; each row is in the file before the next one is computed.

        Rows of files that have changed, and of failures that may have passed, are removed, as is
        a row that a killed run has not finished.

        Yields:
            A function that returns the row of an input, None if there is none, and one that adds a
            row.
        Raises:
            UsageError: the file holds other content, or answers of another run.
            KitError: the file cannot be read or written, or another command writes it.
        """
        with only_one(self.path, "writes", remove=True):
            before, whole = ([], False) if fresh else self._rows()
            kept = [row for row in before if _stands(row)]
            line = LINES[self.format]
            if not whole or len(kept) < len(before):
                rows = "".join(line(row, self.labels) for row in kept)
                write_text(self.path, header(self.format, self.labels) + rows)
            known = {absolute(row["path"]): row for row in kept}

            def row_in_file(one: Input) -> Row | None:
                return None if isinstance(one, Failure) else known.get(absolute(one))

            try:
                with self.path.open("a", encoding="utf-8", newline="") as stream:

                    def append(row: Row) -> None:
                        stream.write(line(row, self.labels))
                        stream.flush()

                    yield row_in_file, append
            except OSError as error:  # also when what was not written is written at the end
                raise KitError(
                    f"cannot write {self.path}: {error.strerror or error}; free some space and "
                    "run the same command again to resume"
                ) from error

    def _rows(self) -> tuple[list[Row], bool]:
        """Return the rows of the file, and whether its last line is whole."""
        try:
            text = self.path.read_bytes().decode("utf-8")
        except FileNotFoundError:
            return [], False
        except (OSError, UnicodeDecodeError) as error:
            raise KitError(f"cannot read {self.path}: {error}; give another --out") from error
        if not text:
            return [], False
        whole, _, rest = text.rpartition("\n")
        try:
            rows = (self._of_csv if self.format == "csv" else _of_json)(whole + "\n")
            others = {row["run"] for row in rows} - {self.run}
        except (ValueError, KeyError, TypeError, csv.Error) as error:
            raise UsageError(
                f"{self.path} is not what kit predict --out writes for this run; give another "
                "--out, or add --fresh to replace it"
            ) from error
        if others:
            raise UsageError(
                f"{self.path} has answers of another run or other options ({min(others)}, this is "
                f"{self.run}); give another --out, or add --fresh to replace it"
            )
        return rows, not rest

    def _of_csv(self, text: str) -> list[Row]:
        head, *rows = csv.reader(io.StringIO(text, newline=""), strict=True)
        if head != [*_COLUMNS, *self.labels] or any(len(row) != len(head) for row in rows):
            raise ValueError("other columns")
        count = len(_COLUMNS)
        return [
            dict(zip(_COLUMNS, row[:count], strict=True))
            | {"probabilities": dict(zip(self.labels, row[count:], strict=True))}
            for row in rows
        ]


def _of_json(text: str) -> list[Row]:
    return [json.loads(line) for line in text.split("\n") if line]


def _stands(row: Mapping[str, Any]) -> bool:
    """Return whether the answer in a row is still valid."""
    same = row["modified"] and [str(row[name]) for name in ("size", "modified")] == [
        str(value) for value in stamp_of(Path(row["path"]))
    ]
    return bool(same) and row["reason"] not in _RETRIED


def _cell(value: Any) -> str:
    if isinstance(value, list | tuple):
        return SEPARATOR.join(value)
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return round(value, _DIGITS) if isinstance(value, float) else value
