"""The parts of a run that can be scored, and the names of the files that hold the results."""

from typing import Literal

Part = Literal["test", "validation", "train", "all"]
"""A part of the run's split, or every track of a catalogue."""


def file_name(stem: str, part: str, suffix: str) -> str:
    """Return `evaluation.json` for the test part, `evaluation-train.json` for another one.

    Args:
        stem: such as "evaluation" or "report".
        part: a `Part`.
        suffix: such as ".json".
    """
    return f"{stem}{suffix}" if part == "test" else f"{stem}-{part}{suffix}"
