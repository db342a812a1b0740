"""Refuse to train on audio or features from Spotify without a stated right.

Spotify's Developer Policy, section III.14, forbids training a machine-learning model on its
content. The columns `audio_source` and `feature_source` mark such rows. Users who hold a right from
elsewhere state it with a flag.
"""

from pathlib import Path
from typing import Literal

import pandas as pd

from kit.catalogue.io import Catalogue
from kit.errors import UsageError

SPOTIFY, OWN = "spotify", "own"
"""Values of the column `audio_source`: a preview from Spotify, a file of the user's own."""

Column = Literal["audio_source", "feature_source"]
"""Column with the source of the audio, or of the features, of a row."""

# For each column: its content, and the alternative.
_KINDS = {
    "audio_source": ("audio", "take audio of your own"),
    "feature_source": ("audio features", "measure your own audio's (kit describe)"),
}

FLAG = "--i-have-the-rights-to-this-audio"

NOTICE = (
    "Audio in this catalogue comes from Spotify. Its Developer Policy, section III.14, forbids to "
    "train a machine-learning model on it."
)


def from_spotify(table: pd.DataFrame, column: Column = "audio_source") -> int:
    """Return the number of rows that have audio, or features, from Spotify."""
    if column not in table:
        return 0
    return sum(str(cell).strip().casefold() == SPOTIFY for cell in table[column])


def require_rights(
    table: pd.DataFrame, place: Path, *, stated: bool, column: Column = "audio_source"
) -> str:
    """Raise UsageError if rows come from Spotify and no right to them is stated.

    Args:
        table: the rows to train on.
        place: their folder, for the message.
        stated: the user states a right to them.
        column: `audio_source` or `feature_source`.
    Returns:
        The statement as a sentence to keep with the run; "" if none was needed.
    Raises:
        UsageError: some rows are from Spotify, and no right was stated.
    """
    count = from_spotify(table, column)
    if not count:
        return ""
    what, remedy = _KINDS[column]
    if not stated:
        raise UsageError(
            f"{count} of the {len(table)} tracks in {place} have {what} from Spotify, whose "
            "Developer Policy, section III.14, forbids to train a machine-learning model on its "
            f"content; {remedy}, or, if you hold a right to it, say so with {FLAG}"
        )
    return (
        f"{count} of the {len(table)} tracks have {what} from Spotify (Developer Policy, section "
        f"III.14); the user has stated a right to train on it, by {FLAG}"
    )


def require_audio_rights(catalogue: Catalogue, *, stated: bool) -> None:
    """Raise UsageError for audio from Spotify before its features are computed.

    Args:
        catalogue: the tracks; only those with audio count.
        stated: the user states a right to train on it.
    Raises:
        UsageError: some audio is from Spotify, and no right was stated.
    """
    table = catalogue.table
    audible = table.loc[table["path"] != ""] if "path" in table else table.iloc[:0]
    require_rights(audible, catalogue.folder, stated=stated)
