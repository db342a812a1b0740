"""Compute the missing features of a catalogue."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kit.catalogue import Catalogue, Failure, write_failures
from kit.config import ExtractConfig, FeatureConfig
from kit.errors import KitError, UsageError
from kit.features.left_out import STAGE, failures_of
from kit.features.schedule import make_plan
from kit.features.storage import Storage, is_url, only_one
from kit.features.store import FeatureStore
from kit.features.throughput import ExtractionProgress
from kit.files import atomic_write, read_json, write_json

_PLACE = Path("features/place.json")
_AT_ONCE = 64  # tracks that `export_npy` reads at once


@dataclass(frozen=True)
class Extraction:
    """The result of `extract`.

    Attributes:
        store: the store with all features.
        failures: tracks of the catalogue without features, from this run and earlier ones.
        computed: number of tracks computed in this run.
        audio_s: seconds of audio computed in this run.
        seconds: duration of the run.
        stopped: whether the run was stopped early.
        mended: number of damaged shards that were computed again.

    Example:
        >>> catalogue = kit.catalogue.load("data/tones")
        >>> found = kit.features.extract(catalogue, experiment.features)
        >>> found.computed, found.failures, found.stopped  # all are stored
        (0, [], False)
    """

    store: FeatureStore
    failures: list[Failure]
    computed: int
    audio_s: float = 0.0
    seconds: float = 0.0
    stopped: bool = False
    mended: int = 0


def store_path(catalogue: Catalogue, config: FeatureConfig) -> Path | str:
    """Return the place of a catalogue's features with a configuration.

    Returns:
        A folder in the catalogue's folder, or a URL if `set_place` named a bucket.
    Raises:
        KitError: the file that names the bucket is damaged.

    Example:
        >>> catalogue = kit.catalogue.load("data/tones")
        >>> kit.features.store_path(catalogue, experiment.features).suffix
        '.zarr'
    """
    name = f"{config.hash}.zarr"
    file = catalogue.folder / _PLACE
    if not file.is_file():
        return catalogue.folder / "features" / name
    meta = read_json(file)
    if not isinstance(meta, dict) or not isinstance(meta.get("place"), str):
        raise KitError(f"{file} does not contain a place; delete it, or give --store again")
    return f"{meta['place'].rstrip('/')}/{name}"


def set_place(catalogue: Catalogue, url: str) -> None:
    """Store the features of a catalogue in a bucket, `s3://…` or `gs://…`, in this and later runs.

    Raises:
        UsageError: `url` is not the address of a bucket.
        KitError: the catalogue's folder cannot be written.
    """
    if not is_url(url):
        raise UsageError(f"{url} is not a bucket; give s3://BUCKET/PREFIX or gs://BUCKET/PREFIX")
    Storage(url)  # raises for another kind of bucket
    write_json(catalogue.folder / _PLACE, {"place": url})


def extract(
    catalogue: Catalogue,
    config: FeatureConfig,
    options: ExtractConfig = ExtractConfig(),
    *,
    progress: Callable[[ExtractionProgress], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Extraction:
    """Compute the features that are missing in the store.

    Existing features stay unchanged unless their file has changed. Tracks that cannot be used are
    listed in the store's table and in the catalogue's failures.csv. They are retried when their
    file has changed, or with `options.retry_failed`. A run that is stopped and called again gives
    the same bytes, with any number of workers and either engine.

    Args:
        catalogue: the tracks.
        config: excerpts and front end; its hash names the store.
        options: workers, time limits and retries; they do not change the result.
        progress: called after each track.
        stop: called regularly; once it returns True, tracks in progress are finished and no others
            begin.
    Raises:
        KitError: the store cannot be read or written, another run is writing it, or a track failed
            and `options.strict` is set.

    Example:
        >>> catalogue = kit.catalogue.load("data/tones")
        >>> kit.features.extract(catalogue, experiment.features).computed  # all are stored
        0
    """
    path = store_path(catalogue, config)
    labels = sorted(set(catalogue.table["label"]))
    if not options.verify and FeatureStore.exists(path):
        store = _open(path, config)
        plan = make_plan(store.entries, catalogue, retry_failed=options.retry_failed)
        if plan.nothing_to_do and store.labels == tuple(labels):
            return _finished(catalogue, store)
    with only_one(path):
        mended = 0
        if FeatureStore.exists(path):
            store = _open(path, config, broken_too=options.verify)
            if options.verify:
                mended = _forget_damaged(store)
        else:
            store = FeatureStore.create(path, config, labels)
        store.set_labels(labels)
        plan = make_plan(store.entries, catalogue, retry_failed=options.retry_failed)
        if plan.nothing_to_do:
            return _finished(catalogue, store, mended=mended)
        # With Ray, the decoding machines may see other folders than this one.
        if plan.tracks and options.engine != "ray" and (gone := catalogue.missing_audio()):
            raise KitError(gone)
        store.reserve(plan.rows)
        engine = _engine(options)
        try:
            meter = engine(store, plan, options, progress=progress, stop=stop)
        finally:
            # Report the failures even if the run raised an error.
            store = FeatureStore.open(path)
            failures = _write_failures(catalogue, store)
    return Extraction(
        store,
        failures,
        meter.computed,
        meter.audio_s,
        meter.seconds,
        stopped=stop(),
        mended=mended,
    )


def _engine(options: ExtractConfig) -> Callable:
    # They import JAX or Ray; a complete store needs neither.
    if options.engine == "ray":
        from kit.features.engine_ray import run
    else:
        from kit.features.engine_local import run
    return run


def _open(path: Path | str, config: FeatureConfig, *, broken_too: bool = False) -> FeatureStore:
    store = FeatureStore.open(path, broken_too=broken_too)
    if store.config != config:
        raise KitError(
            f"{path} has features of configuration {store.config.hash}, not of {config.hash}; "
            f"rename it to {store.config.hash}.zarr, or delete it"
        )
    return store


def _forget_damaged(store: FeatureStore) -> int:
    damaged = store.damaged()
    for number in damaged:
        store.forget(number)
    return len(damaged)


def _finished(catalogue: Catalogue, store: FeatureStore, *, mended: int = 0) -> Extraction:
    return Extraction(store, _write_failures(catalogue, store), 0, mended=mended)


def _write_failures(catalogue: Catalogue, store: FeatureStore) -> list[Failure]:
    """Write the tracks without features to the catalogue's failures.csv, and return them."""
    found = failures_of(store, catalogue)
    write_failures(catalogue.folder, STAGE, found)
    return found


def export_npy(store: FeatureStore, catalogue: Catalogue, folder: Path) -> tuple[Path, Path]:
    """Write `song_specs.npy` (tracks, row_frames, n_mels) float32, and `genres.npy`, the labels.

    The labels are fixed-width text in the same order. `np.load(path)` reads both files without
    pickle. Frames after the end of a track are NaN, so that they are not taken for silence. The
    original project left out shorter tracks (`ORIGINAL_FEATURES`).

    Raises:
        KitError: the folder cannot be written.

    Example:
        >>> from pathlib import Path
        >>> catalogue = kit.catalogue.load("data/tones")
        >>> path = kit.features.store_path(catalogue, experiment.features)
        >>> store = kit.features.FeatureStore.open(path)
        >>> files = kit.features.export_npy(store, catalogue, Path("."))
        >>> [len(np.load(file)) for file in files]  # tracks
        [16, 16]
    """
    label_of = dict(zip(catalogue.table["track_id"], catalogue.table["label"], strict=True))
    track_ids = [t for t in store.index["track_id"] if t in label_of]
    shape = (len(track_ids), store.config.row_frames, store.config.frontend.n_mels)
    with atomic_write(folder / "song_specs.npy", "wb") as stream:
        # Writes the same file as `np.save`, without all tracks in memory.
        np.lib.format.write_array_header_1_0(
            stream, {"descr": "<f4", "fortran_order": False, "shape": shape}
        )
        for at in range(0, len(track_ids), _AT_ONCE):
            part = track_ids[at : at + _AT_ONCE]
            features = store.read_log_mel(part)
            for row, frames in zip(features, store.frames(part), strict=True):
                row[frames:] = np.nan
            stream.write(features.tobytes())
    with atomic_write(folder / "genres.npy", "wb") as stream:
        genres = np.array([label_of[t] for t in track_ids], dtype=np.str_)
        np.save(stream, genres, allow_pickle=False)
    return folder / "song_specs.npy", folder / "genres.npy"
