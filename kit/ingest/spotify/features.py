"""Spotify's audio features of many tracks, for the apps that may still have them."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from kit.ingest.spotify.client import Client
from kit.ingest.spotify.kept import Kept
from kit.ingest.spotify.refusals import RefusedError
from kit.ingest.spotify.rows import features

BATCH = 100
"""Ids of one request: the most that /audio-features takes."""

Progress = Callable[[int, int], None]

# Not for this app, no such address any more, or gone for good.
_CLOSED = (403, 404, 410)


@dataclass(frozen=True)
class Features:
    """What came.

    Attributes:
        of: the columns, by track id; a track without features is not in it.
        refused: why the app gets none; "" if it does.
    """

    of: dict[str, dict[str, Any]]
    refused: str = ""


def features_of(client: Client, ids: Sequence[str], kept: Kept, *, progress: Progress) -> Features:
    """Audio features by track id; a refusal ends the asking, and is no error.

    Args:
        client: asks.
        ids: of tracks, each once.
        kept: the answers that are there already.
        progress: called with (tracks asked for, tracks in all).
    Raises:
        RefusedError: for another reason than that the app may not.
    """
    found: dict[str, dict[str, Any]] = {}
    for start in range(0, len(ids), BATCH):
        batch = ids[start : start + BATCH]
        joined = ",".join(batch)
        name = f"features-{hashlib.sha256(joined.encode()).hexdigest()[:32]}"
        answers = kept.get(name)
        if not isinstance(answers, list):
            try:
                answer = client.get("audio-features", "/audio-features", ids=joined)
            except RefusedError as error:
                if error.status not in _CLOSED:
                    raise
                return Features(found, str(error))
            answers = answer.get("audio_features")
            # More than was asked for, or no list, is as good as nothing.
            answers = answers if isinstance(answers, list) and len(answers) <= BATCH else []
            kept.put(name, answers)
        wanted = set(batch)
        for one in answers:
            id_ = one.get("id") if isinstance(one, dict) else None
            if isinstance(id_, str) and id_ in wanted and (columns := features(one)):
                found[id_] = columns
        progress(min(start + BATCH, len(ids)), len(ids))
    return Features(found)
