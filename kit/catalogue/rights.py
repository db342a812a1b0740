"""Audio, and features of it, that one may have and may not train on.

Spotify's Developer Policy, section III.14, forbids to train a machine-learning model on its
content. Rows with such audio say so in the column `audio_source`, rows with such features in
`feature_source`; whoever holds a right to them from elsewhere has to say so.
"""

from pathlib import Path
from typing import Literal

import pandas as pd

from kit.catalogue.io import Catalogue
from kit.errors import UsageError

SPOTIFY, OWN = "spotify", "own"
"""In the column `audio_source`: a preview of Spotify's, a file of one's own music."""

Column = Literal["audio_source", "feature_source"]
"""Says of a row where what is trained on comes from."""

# What that is, and what to do without.
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
    """Let training go on, or not.

    Args:
        table: the rows that are to be trained on.
        place: where they lie, for the message.
        stated: the user says to hold a right to them.
        column: says where what is trained on comes from.
    Returns:
        What was stated, as a sentence to be kept with the run; "" if nothing had to be.
    Raises:
        UsageError: some of it is from Spotify, and nothing was stated.
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
    """Refuse a catalogue with audio from Spotify, before features of it are computed.

    Args:
        catalogue: the tracks; only those with audio count.
        stated: the user states a right to train on it.
    Raises:
        UsageError: some audio is from Spotify, and no right was stated.
    """
    table = catalogue.table
    audible = table.loc[table["path"] != ""] if "path" in table else table.iloc[:0]
    require_rights(audible, catalogue.folder, stated=stated)
