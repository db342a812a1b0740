"""What a stage could not take, told in a line."""

from collections import Counter
from pathlib import Path

from kit import terminal
from kit.catalogue import Failure


def say_failures(failures: list[Failure], folder: Path) -> None:
    """How many were left out of a catalogue and why, if any."""
    if failures:
        reasons = Counter(f.reason for f in failures)
        text = ", ".join(f"{n} {reason}" for reason, n in reasons.most_common())
        terminal.warn(f"{len(failures)} left out ({text}); see {folder / 'failures.csv'}")
