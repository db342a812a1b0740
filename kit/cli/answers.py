"""Write predictions as lines of text."""

import csv
import dataclasses
import json
from collections.abc import Callable, Sequence
from typing import IO, Any

from kit.catalogue.schema import SEPARATOR
from kit.evaluation.certainty import Verdict
from kit.predict import Prediction

_DIGITS = 6


def prediction_writer(
    format: str, labels: Sequence[str], stream: IO[str], judged: bool = False
) -> Callable[[Prediction, Verdict], None]:
    """Write a header if the format has one, and return a function that writes one prediction.

    Args:
        format: "json" for one object a line, "csv", or "table".
        labels: the labels, in the order of their columns.
        stream: an open text file, flushed after each line.
        judged: also write the verdict's `calibrated`, `uncertain` and `labels`; empty or null if
            unknown.
    """
    if format == "json":

        def write(row: Prediction, verdict: Verdict) -> None:
            more = dataclasses.asdict(verdict) if judged else {}
            whole = _rounded(dataclasses.asdict(row) | more)
            stream.write(json.dumps(whole, ensure_ascii=False) + "\n")
            stream.flush()

        return write
    if format == "csv":
        writer = csv.writer(stream, lineterminator="\n")
        more = [field.name for field in dataclasses.fields(Verdict)] if judged else []
        writer.writerow(["path", "start_s", "end_s", "label", "probability", *more, *labels])

        def write_cells(row: Prediction, verdict: Verdict) -> None:
            shares = [round(row.probabilities[name], _DIGITS) for name in labels]
            stretch = [round(row.start_s, _DIGITS), round(row.end_s, _DIGITS)]
            answer = [row.label, round(row.probability, _DIGITS)]
            writer.writerow(
                [row.path, *stretch, *answer, *(_cells(verdict) if judged else ()), *shares]
            )
            stream.flush()

        return write_cells
    width = max(map(len, labels))

    def write_words(row: Prediction, verdict: Verdict) -> None:
        stretch = f"{_clock(row.start_s)}–{_clock(row.end_s)}"
        sure = f"  {_doubt(verdict):<9}" if judged else ""
        others = [name for name in verdict.labels or () if name != row.label]
        or_else = f"  or {', '.join(others)}" if others else ""
        stream.write(
            f"{row.label:<{width}}  {row.probability:6.1%}{sure}  {stretch}  {row.path}{or_else}\n"
        )
        stream.flush()

    return write_words


def _cells(verdict: Verdict) -> list[str]:
    """Return the cells of a verdict, empty if unknown."""
    known = verdict.calibrated
    return [
        "" if known is None else str(round(known, _DIGITS)),
        "" if verdict.uncertain is None else str(verdict.uncertain).lower(),
        SEPARATOR.join(verdict.labels or ()),
    ]


def _doubt(verdict: Verdict) -> str:
    return {None: "", True: "uncertain", False: ""}[verdict.uncertain]


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return round(value, _DIGITS) if isinstance(value, float) else value
