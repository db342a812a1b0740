"""Predictions as lines on standard output."""

import csv
import dataclasses
import json
import sys
from collections.abc import Callable

from kit.predict import Prediction


def write_json(row: Prediction) -> None:
    """One object a line, seen at once by whoever reads."""
    sys.stdout.write(json.dumps(dataclasses.asdict(row), ensure_ascii=False) + "\n")
    sys.stdout.flush()


def csv_writer(labels: tuple[str, ...]) -> Callable[[Prediction], None]:
    """The header is written now; what is returned writes a row."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["path", "start_s", "end_s", "label", "probability", *labels])

    def write(row: Prediction) -> None:
        fixed = [row.path, row.start_s, row.end_s, row.label, row.probability]
        writer.writerow([*fixed, *(row.probabilities[name] for name in labels)])

    return write
