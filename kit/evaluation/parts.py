"""The parts of a run that can be scored, and the names of the files that hold the results."""

import re
from typing import Any, Literal

Part = Literal["test", "validation", "train", "all"]
"""A part of the run's split, or every track of a catalogue."""


def file_name(stem: str, part: str, suffix: str) -> str:
    """Return `evaluation.json` for the test part, `evaluation-train.json` for another one.

    Args:
        stem: such as "evaluation" or "report".
        part: a `Part`, or what `place` gives.
        suffix: such as ".json".
    """
    return f"{stem}{suffix}" if part == "test" else f"{stem}-{part}{suffix}"


def place(evaluation: dict[str, Any]) -> str:
    """Return what the files of an evaluation are named after: its part, and another collection.

    Args:
        evaluation: the content of evaluation.json.
    """
    part, collection = evaluation.get("part", "test"), evaluation.get("collection")
    if not collection:
        return part
    name = re.sub(r"[^\w.-]+", "-", collection["name"]).strip("-.")
    return f"{part}-{name or 'other'}"
