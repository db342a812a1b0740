"""Predictions as lines of text."""

import csv
import dataclasses
import json
from collections.abc import Callable, Sequence
from typing import IO, Any

from kit.predict import Prediction

_DIGITS = 6


def prediction_writer(
    format: str, labels: Sequence[str], stream: IO[str]
) -> Callable[[Prediction], None]:
    """Return a function that writes a prediction; a header is written now.

    Args:
        format: "json" for one object a line, "csv", or "table".
        labels: the labels, in the order of their columns.
        stream: an open text file. Each line is written at once.
    """
    if format == "json":

        def write(row: Prediction) -> None:
            stream.write(json.dumps(_rounded(dataclasses.asdict(row)), ensure_ascii=False) + "\n")
            stream.flush()

        return write
    if format == "csv":
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["path", "start_s", "end_s", "label", "probability", *labels])

        def write_cells(row: Prediction) -> None:
            shares = [round(row.probabilities[name], _DIGITS) for name in labels]
            stretch = [round(row.start_s, _DIGITS), round(row.end_s, _DIGITS)]
            writer.writerow(
                [row.path, *stretch, row.label, round(row.probability, _DIGITS), *shares]
            )
            stream.flush()

        return write_cells
    width = max(map(len, labels))

    def write_words(row: Prediction) -> None:
        stretch = f"{_clock(row.start_s)}–{_clock(row.end_s)}"
        stream.write(f"{row.label:<{width}}  {row.probability:6.1%}  {stretch}  {row.path}\n")
        stream.flush()

    return write_words


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return round(value, _DIGITS) if isinstance(value, float) else value
