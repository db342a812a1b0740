"""Parts of a run to score, and the names of their result files."""

import re
from typing import Any, Literal

Part = Literal["test", "validation", "train", "all"]
"""A part of the run's split, or every track of a catalogue."""


def file_name(stem: str, part: str, suffix: str) -> str:
    """Return `evaluation.json` for the test part, `evaluation-PART.json` for another."""
    return f"{stem}{suffix}" if part == "test" else f"{stem}-{part}{suffix}"


def place(evaluation: dict[str, Any]) -> str:
    """Return the part, and the name of another collection, for the file names of an evaluation."""
    part, collection = evaluation.get("part", "test"), evaluation.get("collection")
    if not collection:
        return part
    name = re.sub(r"[^\w.-]+", "-", collection["name"]).strip("-.")
    return f"{part}-{name or 'other'}"
