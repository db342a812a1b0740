"""A playlist added to what a catalogue holds already; pure."""

import dataclasses
from collections.abc import Iterable
from typing import Any

import pandas as pd

from kit.catalogue import Catalogue, Failure, Scan, validate
from kit.catalogue.schema import is_absent
from kit.ingest.spotify.rows import FEATURES

STAGE = "ingest"


def merged(before: Catalogue | None, failures: Iterable[Failure], found: Scan, source: str) -> Scan:
    """The tracks of both, each once; what came before stays first, and keeps its label.

    Args:
        before: the catalogue on disk, if there is one.
        failures: those of it that stage "ingest" found.
        found: what `playlist` gave.
        source: the name of the playlist, as its failures have it: they take the place of its
            earlier ones.
    Returns:
        The whole, with a failure for each track that has another label already. Columns that only
        one side has stay; where both have a value, the newer one counts, but a track's own
        features are not replaced by nothing.
    """
    if before is None:
        return found
    rows: dict[str, dict[str, Any]] = {
        str(row["track_id"]): row for row in before.table.to_dict("records")
    }
    refused: list[Failure] = []
    for new in found.table.to_dict("records"):
        id_ = str(new["track_id"])
        old = rows.get(id_)
        if old is None:
            rows[id_] = new
        elif old["label"] != new["label"]:
            refused.append(
                Failure(
                    path=source,
                    stage=STAGE,
                    reason="two_labels",
                    message=f"track {id_} is here as {old['label']!r} and is in a playlist of "
                    f"{new['label']!r} as well; the first is kept: take it from one of the two",
                    track_id=id_,
                )
            )
        else:
            rows[id_] = old | {k: v for k, v in new.items() if not is_absent(v)}
            if new.get("feature_source"):
                # All of them are one source's, also those that it does not have.
                rows[id_] |= {name: new[name] for name in FEATURES}
    return dataclasses.replace(
        found,
        table=validate(pd.DataFrame(list(rows.values())), source="the catalogue"),
        failures=[f for f in failures if f.path != source] + found.failures + refused,
        audio_root=before.audio_root,
        notices=tuple(dict.fromkeys((*before.notices, *found.notices))),
    )
