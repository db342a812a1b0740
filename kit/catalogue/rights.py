"""Audio that one may have and may not train on.

Spotify's Developer Policy, section III.14, forbids to train a machine-learning model on its
content. Rows with such audio say so in the column `audio_source`; whoever holds a right to them
from elsewhere has to say so.
"""

from pathlib import Path

import pandas as pd

from kit.errors import UsageError

SPOTIFY, OWN = "spotify", "own"
"""In the column `audio_source`: a preview of Spotify's, a file of one's own music."""

FLAG = "--i-have-the-rights-to-this-audio"

NOTICE = (
    "Audio in this catalogue comes from Spotify. Its Developer Policy, section III.14, forbids to "
    "train a machine-learning model on it."
)


def from_spotify(table: pd.DataFrame) -> int:
    """How many rows have audio from Spotify."""
    if "audio_source" not in table:
        return 0
    return sum(str(cell).strip().casefold() == SPOTIFY for cell in table["audio_source"])


def require_rights(table: pd.DataFrame, folder: Path, *, stated: bool) -> str:
    """Let training go on, or not.

    Args:
        table: the rows that are to be trained on.
        folder: the catalogue's, for the message.
        stated: the user says to hold a right to them.
    Returns:
        What was stated, as a sentence to be kept with the run; "" if nothing had to be.
    Raises:
        UsageError: some rows have audio from Spotify, and nothing was stated.
    """
    count = from_spotify(table)
    if not count:
        return ""
    if not stated:
        raise UsageError(
            f"{count} of the {len(table)} tracks in {folder} have audio from Spotify, whose "
            "Developer Policy, section III.14, forbids to train a machine-learning model on it; "
            f"take audio of your own, or, if you hold a right to this audio, say so with {FLAG}"
        )
    return (
        f"{count} of the {len(table)} tracks have audio from Spotify (Developer Policy, section "
        f"III.14); the user has stated a right to train on it, by {FLAG}"
    )
