"""Store the fingerprints of a catalogue's tracks, keyed by the SHA-256 of each file.

    features/1.fingerprints/000000.npz      up to 64 files: their peaks and levels, one after the
                                            other, how many of them each file has, and a hash of
                                            its audio without tags
    features/1.fingerprints/failures.json   files that cannot be used

The number is the version of the fingerprints.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import product
from pathlib import Path

import numpy as np

from kit.audio.decode import decode_part
from kit.audio.file import File
from kit.audio.open import open_source
from kit.audio.payload import payload_hash
from kit.catalogue import Catalogue, Failure
from kit.config import ExtractConfig
from kit.duplicates.find import find
from kit.duplicates.fingerprint import SAMPLE_RATE, VERSION, Fingerprint, fingerprint
from kit.duplicates.verify import Match
from kit.features import npz_parts
from kit.features.by_file import Store, compute
from kit.features.scanned import read_if_unchanged
from kit.features.schedule import Track

STAGE = "fingerprints"  # in failures.csv

LONGEST_S = 600.0
"""Seconds to decode from the beginning of a file; bounds the memory for a long mix."""

PART_TRACKS = 64

# Parts in memory: 1 MB each for clips of 30 s.
_CACHED = 8


@dataclass(frozen=True)
class Fingerprints:
    """The fingerprints of a catalogue.

    Attributes:
        rows: part and row of each file, by SHA-256.
        sources: SHA-256 of the file of each track with a fingerprint, by track_id, in the order of
            the catalogue.
        failures: the other tracks, from this run and earlier ones.
        computed: number of files computed in this run.
        seconds: duration of the run.
        stopped: whether the run was stopped early.
    """

    rows: npz_parts.Rows = field(repr=False)
    sources: dict[str, str]
    failures: list[Failure]
    computed: int
    seconds: float
    stopped: bool

    def audio(self) -> dict[str, str]:
        """Return the hash of each track's audio without its tags, by track_id.

        Raises:
            KitError: a part is damaged.
        """
        hashes = {
            source: str(audio)
            for part in sorted({part for part, _ in self.rows.values()})
            for source, audio in zip(
                npz_parts.member(part, "source").tolist(),
                npz_parts.member(part, "audio"),
                strict=True,
            )
        }
        return {track_id: hashes[source] for track_id, source in self.sources.items()}

    def duplicates(
        self, progress: Callable[[int, int], None] | None = None
    ) -> list[tuple[str, str, Match]]:
        """Return all pairs of tracks with different files of the same recording.

        Args:
            progress: called with (comparisons done, number of comparisons).
        Returns:
            The track_ids of each pair, in the order of the catalogue, and their match.
        Raises:
            KitError: a part is damaged.
        """
        # In the order of the parts, so that reading is sequential.
        files = sorted(set(self.sources.values()), key=lambda source: self.rows[source])
        tracks: dict[str, list[str]] = {}
        for track_id, source in self.sources.items():
            tracks.setdefault(source, []).append(track_id)
        place = {track_id: at for at, track_id in enumerate(self.sources)}
        part_of = lru_cache(maxsize=_CACHED)(_fingerprints_of)

        def read(numbers: Sequence[int]) -> list[Fingerprint]:
            return [part_of(part)[row] for part, row in (self.rows[files[n]] for n in numbers)]

        pairs = []
        for first, second, match in find(len(files), read, progress=progress):
            for one, other in product(tracks[files[first]], tracks[files[second]]):
                if place[one] < place[other]:
                    pairs.append((one, other, match))
                else:
                    pairs.append((other, one, match.seen_from_the_second()))
        return sorted(pairs, key=lambda pair: (place[pair[0]], place[pair[1]]))


def fingerprints(
    catalogue: Catalogue,
    options: ExtractConfig = ExtractConfig(),
    *,
    progress: Callable[[int, int], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Fingerprints:
    """Return the fingerprints of a catalogue's tracks; compute missing ones.

    Args:
        catalogue: the tracks.
        The others: as for `kit.features.by_file.compute`.
    Raises:
        KitError: the store cannot be read or written, another run is writing it, or a track failed
            and `options.strict` is set.
    """
    folder = catalogue.folder / "features" / f"{VERSION}.fingerprints"
    store = Store(folder, partial(npz_parts.rows_of, folder), partial(_add, folder), PART_TRACKS)
    found = compute(catalogue, store, _read, STAGE, options, progress=progress, stop=stop)
    return Fingerprints(
        npz_parts.rows_of(folder),
        found.sources,
        found.failures,
        found.computed,
        found.seconds,
        stopped=found.stopped,
    )


@dataclass(frozen=True, eq=False)
class _Audio:
    fingerprint: Fingerprint
    audio: str


def _read(track: Track, _buffer: np.ndarray) -> _Audio:
    def read(file: File) -> _Audio:
        with open_source(file) as source:
            count = int(LONGEST_S * source.sample_rate)
            made = fingerprint(decode_part(source, SAMPLE_RATE, 0, count))
            return _Audio(made, payload_hash(file, source))

    return read_if_unchanged(track, read)


def _add(folder: Path, found: Mapping[str, _Audio]) -> None:
    values = [one.fingerprint for one in found.values()]
    arrays = {
        "peaks": np.concatenate([one.peaks for one in values]),
        "levels": np.concatenate([one.levels for one in values]),
        "n_peaks": np.array([len(one.peaks) for one in values]),
        "n_levels": np.array([len(one.levels) for one in values]),
        "duration_s": np.array([one.duration_s for one in values]),
        "audio": np.array([one.audio for one in found.values()]),
    }
    npz_parts.add_part(folder, list(found), arrays)


def _fingerprints_of(part: Path) -> list[Fingerprint]:
    peaks, levels = (
        np.split(npz_parts.member(part, name), np.cumsum(npz_parts.member(part, f"n_{name}"))[:-1])
        for name in ("peaks", "levels")
    )
    durations = npz_parts.member(part, "duration_s").tolist()
    return [Fingerprint(*one) for one in zip(peaks, levels, durations, strict=True)]
