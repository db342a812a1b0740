"""Messages about the number of tracks, by label or by reason for leaving them out."""

from collections import Counter
from pathlib import Path

import pandas as pd

from kit import terminal
from kit.catalogue import Failure


def counts(table: pd.DataFrame) -> str:
    """Return the number of tracks in all and by label, such as "10 tracks (8 low, 2 high)"."""
    tracks = "track" if len(table) == 1 else "tracks"
    each = ", ".join(f"{n} {label}" for label, n in table["label"].value_counts().items())
    return f"{len(table)} {tracks} ({each})"


def say_failures(failures: list[Failure], folder: Path) -> None:
    """Warn about tracks of a catalogue that were left out, if any."""
    if failures:
        reasons = Counter(f.reason for f in failures)
        text = ", ".join(f"{n} {reason}" for reason, n in reasons.most_common())
        terminal.warn(f"{len(failures)} left out ({text}); see {folder / 'failures.csv'}")
