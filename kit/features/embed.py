"""Embeddings: a fixed network's hidden layers for each track, a stored feature like any other.

    CATALOGUE/embeddings/<name>-<hash>/00000000.npz   the SHA-256 of files, and a row a file for
                                                      each layer; parts are never changed
    CATALOGUE/embeddings/<name>-<hash>/failed.json    the files that could not be used, and why

The hash names the weights, the front end and the part of a track that is heard. A run that is
stopped at any instant keeps every part that it has written.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
from jaxtyping import Float32

from kit.audio import AudioError
from kit.catalogue import Catalogue, Failure, read_failures, write_failures
from kit.config import ExtractConfig
from kit.dsp.frontend import log_mel
from kit.errors import KitError
from kit.features.decoders import Buffer, Decoded, Processes, Threads, TimedOutError, reader
from kit.features.engine_local import failure
from kit.features.excerpts import room, valid_frames
from kit.features.feeding import feed
from kit.features.manifest import Entry
from kit.features.plan import Plan, Track, make_plan
from kit.features.throughput import Meter, Progress
from kit.files import read_json, write_json
from kit.lock import only_one
from kit.weights.files import read_weights, write_weights
from kit.weights.trunk import Trunk, embed_patches, musicnn_trunk, patches_of

STAGE = "embeddings"  # in failures.csv
PART_TRACKS = 256
FLUSH_EVERY_S = 30.0  # the most work that a killed run loses
_FAILED = "failed.json"
_FIELDS = ("reason", "message", "path", "length_s")

Vectors = dict[str, Float32[np.ndarray, " width"]]


@dataclass(frozen=True)
class Embeddings:
    """The embeddings of a catalogue.

    Attributes:
        track_ids: the tracks that have them, in the order of the catalogue.
        layers: (tracks, width) float32 for each layer of the trunk.
        failures: tracks without embeddings, from this run and earlier ones.
        computed: files computed in this run.
        seconds: time that the run took.
        stopped: whether it was stopped before it was done.
    """

    track_ids: list[str]
    layers: dict[str, Float32[np.ndarray, "tracks _"]]
    failures: list[Failure]
    computed: int
    seconds: float
    stopped: bool


def embed(
    catalogue: Catalogue,
    trunk: Trunk | None = None,
    options: ExtractConfig = ExtractConfig(),
    *,
    progress: Callable[[Progress], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Embeddings:
    """Return the embeddings of a catalogue's tracks; compute those that are not stored yet.

    Tracks that cannot be used are listed in the catalogue's failures.csv, and tried again when
    their file has changed or with `options.retry_failed`. A run that is stopped in any way and
    called again gives the same values, with any number of workers.

    Args:
        catalogue: the tracks.
        trunk: the network; musicnn trained on the Million Song Dataset if None.
        options: how the work is done; none of them changes the result. `engine` ray and `verify`
            are for log-mel features only.
        progress: called after each track.
        stop: called regularly; once it returns True, the tracks in flight are finished and no
            other is begun.
    Raises:
        KitError: the weights are not there, the folder cannot be read or written, another run is
            writing it, or a track failed and `options.strict` is set.
    """
    trunk = musicnn_trunk() if trunk is None else trunk
    folder = catalogue.folder / "embeddings" / f"{trunk.name}-{trunk.hash}"
    with only_one(folder):
        store = _Store(folder)
        plan = make_plan(store.entries(catalogue), catalogue, retry_failed=options.retry_failed)
        if plan.tracks and (gone := catalogue.missing_audio()):
            raise KitError(gone)
        run = _Run(trunk, plan, store, options, progress)
        run.to_end(stop)
        failures = [*store.failures(catalogue), *map(_failure, plan.without_audio)]
        if failures != [f for f in read_failures(catalogue.folder) if f.stage == STAGE]:
            write_failures(catalogue.folder, STAGE, failures)
        track_ids, layers = store.read(catalogue)
    return Embeddings(
        track_ids, layers, failures, run.meter.computed, run.meter.seconds, stopped=bool(stop())
    )


def embed_clips(clips: Sequence[tuple[np.ndarray, int]], trunk: Trunk) -> Vectors:
    """Return the layers of a track, the mean over the patches of its excerpts.

    Args:
        clips: the samples of each excerpt at the rate of the trunk, and how many of them count.
        trunk: the network.
    """
    config = trunk.features
    patches = []
    for buffer, length in clips:
        levels = log_mel(buffer[None], np.array([length], np.int32), config.frontend)
        heard = np.asarray(levels)[0, : valid_frames(length, config)]
        patches.append(patches_of(heard, trunk.frames))
    return embed_patches(trunk, np.concatenate(patches))


def _read(track: Track, buffer: Buffer, *, trunk: Trunk) -> Vectors:
    lengths = reader(trunk.features)(track, buffer)
    return embed_clips(list(zip(buffer, lengths, strict=False)), trunk)


class _Run:
    """One loop takes the answers of the decoders, which compute the embeddings too."""

    def __init__(
        self,
        trunk: Trunk,
        plan: Plan,
        store: "_Store",
        options: ExtractConfig,
        progress: Callable[[Progress], None] | None,
    ) -> None:
        self._trunk = trunk
        self._store = store
        self._strict = options.strict
        self._progress = progress
        self._failed: Entry | None = None
        self._answers: SimpleQueue[Decoded] = SimpleQueue()
        # Tracks of the same file share an embedding.
        self._todo = list({track.source_hash: track for track in reversed(plan.tracks)}.values())
        self._isolate = options.isolate
        self._timeout_s = options.timeout_s
        self._workers = options.workers or os.cpu_count() or 1
        copies = len(plan.tracks) - len(self._todo)
        self.meter = Meter(
            plan.done + copies, plan.total, {"decode": self._workers, "device": 1, "write": 1}
        )

    def to_end(self, stop: Callable[[], bool]) -> None:
        """Compute all tracks, or those in flight once `stop` returns True, and write them."""
        if not self._todo:
            return
        self._warm_up()
        read = reader(self._trunk.features) if self._isolate else partial(_read, trunk=self._trunk)
        kind = Processes if self._isolate else Threads
        pool = kind(self._workers, read, self._timeout_s, self._answers.put)
        # One more than there are workers, so that none waits.
        buffers = [room(self._trunk.features) for _ in range(self._workers + 1)]
        feed(
            pool,
            self._answers,
            reversed(self._todo),
            buffers,
            self._take,
            self._store.flush,
            save_every_s=FLUSH_EVERY_S,
            stop=lambda: stop() or self._give_up,
            full=lambda: self._store.waiting >= PART_TRACKS,
        )
        if self._give_up and self._failed is not None:
            raise KitError(f"stopped at the first track that failed: {self._failed.message}")

    @property
    def _give_up(self) -> bool:
        return self._strict and self._failed is not None

    def _warm_up(self) -> None:
        # Compiled once, before threads would each compile the same program.
        config = self._trunk.features
        embed_clips([(room(config)[0], config.clip_samples)], self._trunk)

    def _take(self, answer: Decoded) -> Buffer:
        """Keep an answer, and return a buffer that is free."""
        self.meter.busy("decode", answer.seconds)
        found: Any = answer.result
        if isinstance(found, tuple):
            found = embed_clips(answer.clips, self._trunk)
        buffer = answer.buffer
        if isinstance(found, AudioError):
            self._failed = failure(answer.track, found)
            self._store.put_failed(self._failed)
            self.meter.track(None)
            if isinstance(found, TimedOutError):
                # A thread that was given up may still write into its buffer.
                buffer = room(self._trunk.features)
        else:
            self._store.put(answer.track.source_hash, found)
            self.meter.track(self._trunk.features.clip_s)
        if self._progress:
            self._progress(self.meter.progress())
        return buffer


class _Store:
    """The parts in a folder, and the files that failed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._paths = sorted(folder.glob("[0-9]*.npz"))
        self._known: set[str] = set()
        for path in self._paths:
            self._known.update(_part(path)[0])
        self._failed = _failed_of(folder / _FAILED)
        self._new: dict[str, Vectors] = {}
        self._failed_now = False

    @property
    def waiting(self) -> int:
        """Embeddings that are not written yet."""
        return len(self._new)

    def entries(self, catalogue: Catalogue) -> list[Entry]:
        """Return what is known of the catalogue's tracks, as a table of a feature store has it."""
        entries = []
        for offset, row in enumerate(catalogue.table.to_dict("records")):
            source = str(row.get("source_hash") or "")
            if source in self._known:
                entries.append(Entry(offset, str(row["track_id"]), source, 1))
            elif source in self._failed:
                failed = self._failed[source]
                entries.append(Entry(offset, str(row["track_id"]), source, 0, **failed))
        return entries

    def failures(self, catalogue: Catalogue) -> list[Failure]:
        """Return the tracks of the catalogue whose file could not be used."""
        return [_failure(entry) for entry in self.entries(catalogue) if entry.reason]

    def put(self, source: str, vectors: Vectors) -> None:
        """Take an embedding, which `flush` writes."""
        self._new[source] = vectors
        self._known.add(source)
        self._failed_now |= self._failed.pop(source, None) is not None

    def put_failed(self, entry: Entry) -> None:
        """Take a file that cannot be used."""
        self._failed[entry.source_hash] = {name: getattr(entry, name) for name in _FIELDS}
        self._failed_now = True

    def flush(self) -> None:
        """Write what is new.

        Raises:
            KitError: the folder cannot be written.
        """
        if self._new:
            number = 1 + int(self._paths[-1].stem) if self._paths else 0
            path = self._folder / f"{number:08d}.npz"
            layers = {
                f"layer/{name}": np.stack([vectors[name] for vectors in self._new.values()])
                for name in next(iter(self._new.values()))
            }
            write_weights(path, {"sources": np.array(list(self._new)), **layers})
            self._paths.append(path)
            self._new = {}
        if self._failed_now:
            write_json(self._folder / _FAILED, self._failed)
            self._failed_now = False

    def read(
        self, catalogue: Catalogue
    ) -> tuple[list[str], dict[str, Float32[np.ndarray, "tracks _"]]]:
        """Return the tracks of the catalogue that have embeddings, and their rows."""
        found = [(e.track_id, e.source_hash) for e in self.entries(catalogue) if e.frames]
        rows: dict[str, list[int]] = {}
        for at, (_, source) in enumerate(found):
            rows.setdefault(source, []).append(at)
        layers: dict[str, np.ndarray] = {}
        for path in self._paths:
            sources, values = _part(path)
            for number, source in enumerate(sources):
                for name, array in values.items():
                    if name not in layers:
                        layers[name] = np.zeros((len(found), array.shape[1]), np.float32)
                    layers[name][rows.get(source, [])] = array[number]
        return [track_id for track_id, _ in found], layers


def _part(path: Path) -> tuple[list[str], dict[str, np.ndarray]]:
    arrays = read_weights(path)
    sources = arrays.pop("sources", np.zeros((0, 0)))
    layers = {name.removeprefix("layer/"): array for name, array in arrays.items()}
    whole = sources.ndim == 1 and sources.dtype.kind == "U"
    if not whole or any(a.ndim != 2 or len(a) != len(sources) for a in layers.values()):
        raise KitError(f"{path} does not hold embeddings; delete it, and they are computed again")
    return sources.tolist(), layers


def _failed_of(path: Path) -> dict[str, dict[str, Any]]:
    if not path.is_file():
        return {}
    failed = read_json(path)
    whole = isinstance(failed, dict) and all(
        isinstance(one, dict) and sorted(one) == sorted(_FIELDS) for one in failed.values()
    )
    if not whole:
        raise KitError(f"{path} does not list failed files; delete it, and they are tried again")
    return failed


def _failure(entry: Entry) -> Failure:
    return Failure(entry.path, STAGE, entry.reason, entry.message, entry.track_id, entry.length_s)
