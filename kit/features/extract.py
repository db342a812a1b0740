"""A catalogue's audio to a store of features: what is there is kept, what is missing is made."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from kit.catalogue import Catalogue, Failure, read_failures, write_failures
from kit.config import ExtractConfig, FeatureConfig
from kit.errors import KitError, UsageError
from kit.features.index import Entry
from kit.features.lock import only_one
from kit.features.meter import Progress
from kit.features.place import Place, is_url
from kit.features.plan import Plan, make_plan
from kit.features.store import FeatureStore
from kit.files import read_json, write_json

STAGE = "features"  # in failures.csv
_PLACE = Path("features/place.json")


@dataclass(frozen=True)
class Extraction:
    """What `extract` did.

    Attributes:
        store: with all features that could be made.
        failures: tracks of the catalogue that it could not take, now or before.
        computed: tracks computed now; the others were there already.
        audio_s: seconds of audio computed now.
        seconds: that it took.
        stopped: it was asked to stop before it was done.
        mended: shards that were damaged, and that were made anew.
    """

    store: FeatureStore
    failures: list[Failure]
    computed: int
    audio_s: float = 0.0
    seconds: float = 0.0
    stopped: bool = False
    mended: int = 0


def store_path(catalogue: Catalogue, config: FeatureConfig) -> Path | str:
    """Where the features of a catalogue under a configuration lie: a folder, or a URL where
    `set_place` named one."""
    name = f"{config.hash}.zarr"
    file = catalogue.folder / _PLACE
    if not file.is_file():
        return catalogue.folder / "features" / name
    meta = read_json(file)
    if not isinstance(meta, dict) or not isinstance(meta.get("place"), str):
        raise KitError(f"{file} does not name a place; delete it, or give --store once more")
    return f"{meta['place'].rstrip('/')}/{name}"


def set_place(catalogue: Catalogue, url: str) -> None:
    """Keep the features of a catalogue in a bucket from now on, `s3://…` or `gs://…`.

    Raises:
        UsageError: it is no such address.
        KitError: the catalogue's folder cannot be written.
    """
    if not is_url(url):
        raise UsageError(f"{url} is no bucket; give s3://BUCKET/PREFIX or gs://BUCKET/PREFIX")
    Place(url)  # raises for a bucket of another kind
    write_json(catalogue.folder / _PLACE, {"place": url})


def extract(
    catalogue: Catalogue,
    config: FeatureConfig,
    options: ExtractConfig = ExtractConfig(),
    *,
    progress: Callable[[Progress], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Extraction:
    """Compute what the store does not have yet, and keep what it has.

    Tracks that cannot be taken are rows of the store's table and of the catalogue's failures.csv;
    they are tried again when their file has changed, or when `options` says so. Stopped in any
    way and called again, it ends in the same bytes, with any number of workers and either engine.

    Args:
        catalogue: the tracks.
        config: clip and front end; it names the store.
        options: how the work is done; none of it changes the result.
        progress: called after each track.
        stop: asked now and then; once true, what is in flight is finished and no more.
    Raises:
        KitError: the store cannot be read or written, another run is at work on it, or a track
            failed and `options.strict` is set.
    """
    path = store_path(catalogue, config)
    labels = sorted(set(catalogue.table["label"]))
    if not options.verify and FeatureStore.exists(path):
        store = _open(path, config)
        plan = make_plan(store.entries, catalogue, retry_failed=options.retry_failed)
        if plan.nothing_to_do and store.labels == tuple(labels):
            return _finished(catalogue, store, plan)
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
            return _finished(catalogue, store, plan, mended=mended)
        # With Ray, the machines that decode may see folders that this one does not.
        if plan.tracks and options.engine != "ray" and (gone := catalogue.missing_audio()):
            raise KitError(gone)
        store.reserve(plan.rows)
        engine = _engine(options)
        try:
            meter = engine(store, plan, options, progress=progress, stop=stop)
        finally:
            # Whatever ended the run: what it found out about files is worth telling.
            store = FeatureStore.open(path)
            failures = _write_failures(catalogue, store.entries)
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
    # Either brings JAX or Ray along, and a store that is finished needs neither.
    if options.engine == "ray":
        from kit.features.cluster import run
    else:
        from kit.features.local import run
    return run


def _open(path: Path | str, config: FeatureConfig, *, broken_too: bool = False) -> FeatureStore:
    store = FeatureStore.open(path, broken_too=broken_too)
    if store.config != config:
        raise KitError(
            f"{path} holds features of configuration {store.config.hash}, not of {config.hash}; "
            "give the folder its own name back, or delete it"
        )
    return store


def _forget_damaged(store: FeatureStore) -> int:
    damaged = store.damaged()
    for number in damaged:
        store.forget(number)
    return len(damaged)


def _finished(
    catalogue: Catalogue, store: FeatureStore, plan: Plan, *, mended: int = 0
) -> Extraction:
    return Extraction(store, _write_failures(catalogue, plan.kept_failures), 0, mended=mended)


def _write_failures(catalogue: Catalogue, entries: Iterable[Entry]) -> list[Failure]:
    """What could not be taken of the catalogue, in its failures.csv and returned."""
    wanted = set(catalogue.table["track_id"])
    found = [
        Failure(e.path, STAGE, e.reason, e.message, e.track_id)
        for e in entries
        if not e.frames and e.track_id in wanted
    ]
    if found != [f for f in read_failures(catalogue.folder) if f.stage == STAGE]:
        write_failures(catalogue.folder, STAGE, found)
    return found
