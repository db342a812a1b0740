"""Refuse to train on audio or features from Spotify without a stated right.

Spotify's Developer Policy, section III.14, forbids training a machine-learning model on its
content. The columns `audio_source` and `feature_source` mark such rows. Users who have the right
from another source state it with a flag.
"""

from pathlib import Path
from typing import Literal

import pandas as pd

from kit.catalogue.io import Catalogue
from kit.errors import UsageError

SPOTIFY, OWN = "spotify", "own"
"""Values of the column `audio_source`: a preview from Spotify, the user's own file."""

Column = Literal["audio_source", "feature_source"]
"""Column with the source of a row's audio or features."""

# For each column: its content, and the alternative.
_KINDS = {
    "audio_source": ("audio", "use your own audio"),
    "feature_source": ("audio features", "compute them from your own audio (kit describe)"),
}

FLAG = "--i-have-the-rights-to-this-audio"

NOTICE = (
    "Audio in this catalogue comes from Spotify. Its Developer Policy, section III.14, forbids "
    "training a machine-learning model on it."
)


def from_spotify(table: pd.DataFrame, column: Column = "audio_source") -> int:
    """Return the number of rows with audio or features from Spotify."""
    if column not in table:
        return 0
    return sum(str(cell).strip().casefold() == SPOTIFY for cell in table[column])


def require_rights(
    table: pd.DataFrame, place: Path, *, stated: bool, column: Column = "audio_source"
) -> str:
    """Raise UsageError if rows come from Spotify and no right to them is stated.

    Returns:
        The statement as a sentence to store with the run; "" if none was needed.
    """
    count = from_spotify(table, column)
    if not count:
        return ""
    what, remedy = _KINDS[column]
    if not stated:
        raise UsageError(
            f"{count} of the {len(table)} tracks in {place} have {what} from Spotify, whose "
            "Developer Policy, section III.14, forbids training a machine-learning model on its "
            f"content; {remedy}, or, if you have a right to it, state it with {FLAG}"
        )
    return (
        f"{count} of the {len(table)} tracks have {what} from Spotify (Developer Policy, section "
        f"III.14); the user has stated a right to train on it with {FLAG}"
    )


def require_audio_rights(catalogue: Catalogue, *, stated: bool) -> None:
    """Raise UsageError for a catalogue with audio from Spotify, unless a right is stated."""
    table = catalogue.table
    audible = table.loc[table["path"] != ""] if "path" in table else table.iloc[:0]
    require_rights(audible, catalogue.folder, stated=stated)
