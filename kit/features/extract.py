"""A catalogue's audio to log-mel features: decoders in threads, fixed batches on the device."""

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from kit.audio import AudioError, ChangedFileError, TooShortError, UnreadableError, decode
from kit.audio.errors import shown
from kit.catalogue import Catalogue, Failure, write_failures
from kit.config import FeatureConfig, frames_of
from kit.dsp.frontend import log_mel
from kit.errors import KitError
from kit.features.store import SHARD_TRACKS, FeatureStore

Progress = Callable[[int, int], None]

STAGE = "features"  # in failures.csv
BATCH = 8  # one compiled shape; larger batches are no faster on a CPU and page more


@dataclass(frozen=True)
class _Track:
    track_id: str
    source_hash: str
    path: Path


@dataclass(frozen=True)
class Extraction:
    """What `extract` did: the store, and the tracks that it could not take."""

    store: FeatureStore
    failures: list[Failure]
    computed: int
    """Tracks computed now; the others were there already."""


def store_path(catalogue: Catalogue, config: FeatureConfig) -> Path:
    """Where the features of a catalogue under a configuration lie."""
    return catalogue.folder / "features" / f"{config.hash}.zarr"


def extract(
    catalogue: Catalogue,
    config: FeatureConfig,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Extraction:
    """Compute what the store does not have yet, and keep what it has.

    Args:
        catalogue: the tracks. Those without a file, and those too short for
            `config.n_frames`, are left out and listed in the catalogue's failures.csv.
        config: clip and front end; it names the store.
        workers: decoder threads; one for each core if not given.
        progress: called with (done, total) after each track.
    Raises:
        KitError: the store cannot be read or written.
    """
    path = store_path(catalogue, config)
    store = (
        FeatureStore.open(path)
        if (path / "zarr.json").is_file()
        else FeatureStore.create(path, config)
    )
    if store.config != config:
        raise KitError(
            f"{path} holds features of configuration {store.config.hash}, not of {config.hash}; "
            "give the folder its own name back, or delete it"
        )
    sources = store.sources
    tracks, failures = _playable(catalogue)
    todo = [t for t in tracks if sources.get(t.track_id) != t.source_hash]
    done = len(tracks) - len(todo)
    pending: list[tuple[_Track, Float32[np.ndarray, "n_frames n_mels"]]] = []

    def flush() -> None:
        if pending:
            store.write(
                [t.track_id for t, _ in pending],
                [t.source_hash for t, _ in pending],
                np.stack([f for _, f in pending]),
            )
            pending.clear()

    computed = 0
    if progress:
        progress(done, len(tracks))
    for group in _batches(_decoded(todo, config, workers or os.cpu_count() or 1)):
        taken = [(t, y) for t, y in group if not isinstance(y, AudioError)]
        failures += [_failure(t, y) for t, y in group if isinstance(y, AudioError)]
        if taken:
            features = compute([y for _, y in taken], config)
            pending += zip((t for t, _ in taken), features, strict=True)
            computed += len(taken)
        # Rows are added in order, so a flush at this count fills whole shards.
        room = SHARD_TRACKS - len(store) % SHARD_TRACKS
        if len(pending) >= room:
            rest = pending[room:]
            del pending[room:]
            flush()
            pending += rest
        done += len(group)
        if progress:
            progress(done, len(tracks))
    flush()
    write_failures(catalogue.folder, STAGE, failures)
    return Extraction(store, failures, computed)


def clip(path: Path, config: FeatureConfig) -> Float32[np.ndarray, " samples"]:
    """The decoded clip of one file: mono, float32, at the front end's rate.

    Raises:
        AudioError: unreadable, or too short for `config.n_frames`.
    """
    rate = config.frontend.sample_rate
    y, _ = decode(path, sample_rate=rate, offset_s=config.offset_s, duration_s=config.clip_s)
    y = y[: config.clip_samples]
    if frames_of(len(y), config.frontend) < config.n_frames:
        # The least number of samples that gives n_frames.
        frontend = config.frontend
        lead = 0 if frontend.center else frontend.n_fft
        needed = max((config.n_frames - 1) * frontend.hop_length + lead, 1)
        raise TooShortError(path, len(y) / rate, needed / rate)
    return y


def compute(
    clips: list[Float32[np.ndarray, " _"]], config: FeatureConfig
) -> Float32[np.ndarray, "clips n_frames n_mels"]:
    """The features of up to `BATCH` decoded clips, equal to those in a store.

    Args:
        clips: mono waveforms at the front end's rate, each long enough for `config.n_frames`.
        config: clip and front end.
    """
    # Always the same shape: nothing compiles twice, and a clip's bits do not depend on its batch.
    batch = np.zeros((BATCH, config.clip_samples), np.float32)
    lengths = np.full(BATCH, config.clip_samples, np.int32)
    for i, y in enumerate(clips):
        batch[i, : len(y)] = y
        lengths[i] = len(y)
    frames = log_mel(batch, lengths, config.frontend)
    return np.asarray(frames[: len(clips), : config.n_frames])


def _playable(catalogue: Catalogue) -> tuple[list[_Track], list[Failure]]:
    tracks, failures = [], []
    for row in catalogue.table.to_dict("records"):
        track_id = str(row["track_id"])
        try:
            tracks.append(_Track(track_id, str(row.get("source_hash")), catalogue.path_of(row)))
        except KitError as error:
            failures.append(Failure("", STAGE, "no_audio", str(error), track_id))
    return tracks, failures


def _failure(track: _Track, error: AudioError) -> Failure:
    return Failure(shown(track.path), STAGE, error.reason, str(error), track.track_id)


def _decoded(
    tracks: list[_Track], config: FeatureConfig, workers: int
) -> Iterator[tuple[_Track, Float32[np.ndarray, " samples"] | AudioError]]:
    """The clips in the order of `tracks`, decoded ahead by a bounded number."""

    def work(track: _Track) -> Float32[np.ndarray, " samples"] | AudioError:
        try:
            y = clip(track.path, config)
            _unchanged(track)
            return y
        except AudioError as error:
            return error

    with ThreadPoolExecutor(workers, thread_name_prefix="decode") as pool:
        waiting: deque[tuple[_Track, Future[np.ndarray | AudioError]]] = deque()
        for track in tracks:
            waiting.append((track, pool.submit(work, track)))
            if len(waiting) > workers + BATCH:
                first, future = waiting.popleft()
                yield first, future.result()
        for track, future in waiting:
            yield track, future.result()


def _unchanged(track: _Track) -> None:
    try:
        with track.path.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise UnreadableError(f"{shown(track.path)}: {error.strerror}; scan again") from error
    if found != track.source_hash:
        raise ChangedFileError(f"{shown(track.path)} has changed since it was scanned; scan again")


def _batches(items: Iterator) -> Iterator[list]:
    while group := list(islice(items, BATCH)):
        yield group
