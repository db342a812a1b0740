"""Which files are still to be described. Pure, but for the hash of a file that the table lacks."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from kit.audio import AudioError
from kit.audio.errors import shown
from kit.catalogue import Catalogue, Failure
from kit.catalogue.inspect import hash_file
from kit.descriptors.records import Extent, Record
from kit.errors import KitError
from kit.features.plan import NO_AUDIO, PASSING, Track

STAGE = "describe"  # in failures.csv


@dataclass(frozen=True)
class Plan:
    """What there is to do.

    Attributes:
        wanted: track, SHA-256 and shown path of all that have audio, in the table's order.
        tracks: one for each file that is to be described.
        without_audio: tracks that have no file, or none that can be read.
        done: files for which nothing is left to do.
        hashes: of all files of the catalogue, those of other sources' rows among them.
    """

    wanted: list[tuple[str, str, str]]
    tracks: list[Track]
    without_audio: list[Failure]
    done: int
    hashes: frozenset[str]


def extent_of(whole: bool) -> Extent:
    """How much of a file is looked at, as it stands in the records."""
    return "whole" if whole else "clip"


def make_plan(
    catalogue: Catalogue,
    wanted: pd.DataFrame,
    known: Mapping[str, Record],
    extent: Extent,
    *,
    retry_failed: bool,
) -> Plan:
    """Compare what is known with a catalogue.

    Args:
        catalogue: the tracks.
        wanted: the rows of its table that are to be described.
        known: records by the SHA-256 of the file.
        extent: how much of a file is to be looked at; what is known of another does not count.
        retry_failed: try those again that failed on a file that has not changed.
    """
    listed = catalogue.table.to_dict("records")
    plan = Plan([], [], [], 0, frozenset())
    seen: set[str] = set()
    done = 0
    for row in wanted.to_dict("records"):
        track_id = str(row["track_id"])
        try:
            path = catalogue.path_of(row)
            digest = str(row.get("source_hash") or "") or hash_file(path)
        except KitError as error:
            reason = error.reason if isinstance(error, AudioError) else NO_AUDIO
            message = shown(str(error))
            plan.without_audio.append(Failure("", STAGE, reason, message, track_id))
            continue
        plan.wanted.append((track_id, digest, shown(path)))
        if digest in seen:
            continue
        seen.add(digest)
        if _is_known(known.get(digest), extent, shown(path), retry_failed):
            done += 1
        else:
            plan.tracks.append(Track(len(plan.tracks), track_id, digest, path))
    hashes = frozenset(str(row.get("source_hash", "")) for row in listed) | seen
    return Plan(plan.wanted, plan.tracks, plan.without_audio, done, hashes)


def _is_known(record: Record | None, extent: Extent, path: str, retry_failed: bool) -> bool:
    if record is None or not record.is_of(extent):
        return False
    if record.descriptors is not None:
        return True
    # A message that names another place than the file's own would mislead.
    return record.reason not in PASSING and not retry_failed and record.path == path
