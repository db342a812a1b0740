"""A store on disk: what is written is read back, by zarr-python too; damage is told, not read."""

import json
import shutil

import numpy as np
import pytest
import zarr

from kit.config import FeatureConfig, FrontendConfig
from kit.errors import KitError
from kit.features import FeatureStore
from kit.features.store import SHARD_TRACKS

CONFIG = FeatureConfig(
    frontend=FrontendConfig(sample_rate=8000, n_fft=256, hop_length=128, n_mels=4),
    n_frames=6,
    clip_s=1.0,
)
N = SHARD_TRACKS + 3


def values(count=N, seed=0):
    return np.random.default_rng(seed).normal(-40, 10, (count, 6, 4)).astype(np.float32)


def ids(count=N):
    return [f"track-{i}" for i in range(count)]


def hashes(count=N):
    return [f"{i:064x}" for i in range(count)]


@pytest.fixture
def store(tmp_path):
    """A store of more tracks than a shard holds."""
    store = FeatureStore.create(tmp_path / "x.zarr", CONFIG)
    store.write(ids(), hashes(), values())
    return store


def shards(store):
    return sorted(p for p in (store.path / "log_mel/c").rglob("*") if p.is_file())


def test_it_opens_as_it_was_written(store):
    opened = FeatureStore.open(store.path)
    assert opened.config == CONFIG
    assert len(opened) == N
    assert opened.sources == dict(zip(ids(), hashes(), strict=True))
    np.testing.assert_array_equal(opened.read(ids()), values())


def test_tracks_come_in_the_order_asked_for(store):
    order = [65, 0, 64, 0, 3]
    got = store.read([f"track-{i}" for i in order])
    np.testing.assert_array_equal(got, values()[order])
    assert store.read([]).shape == (0, 6, 4)


def test_a_known_track_keeps_its_row(store):
    new = values(3, seed=1)
    store.write(["track-5", "new", "track-66"], ["a" * 64] * 3, new)
    opened = FeatureStore.open(store.path)
    assert len(opened) == N + 1
    want = np.concatenate([values(), new[1:2]])
    want[5], want[66] = new[0], new[2]
    np.testing.assert_array_equal(opened.read([*ids(), "new"]), want)
    assert list(opened.index["row"]) == list(range(N + 1))
    assert opened.sources["track-5"] == opened.sources["new"] == "a" * 64
    assert opened.sources["track-6"] == hashes()[6]


def test_ids_that_look_like_numbers_stay_text(tmp_path):
    store = FeatureStore.create(tmp_path / "x.zarr", CONFIG)
    names = ["007", "1e5", "nan", "NA", "null", "-", "0" * 64]
    store.write(names, ["0" * 64, "1" * 64, "e" * 64, *hashes(4)], values(7))
    opened = FeatureStore.open(store.path)
    assert opened.sources == dict(zip(names, store.index["source_hash"], strict=True))
    np.testing.assert_array_equal(opened.read(names), values(7))


def test_zarr_reads_it(store):
    group = zarr.open_group(store.path, mode="r")
    assert group.attrs["config_hash"] == CONFIG.hash
    assert group.attrs["sample_rate"] == 8000
    array = group["log_mel"]
    assert array.dtype == np.float32
    assert array.chunks == (1, 6, 4)
    assert array.shards == (SHARD_TRACKS, 6, 4)
    np.testing.assert_array_equal(array[:], values())


def test_a_track_that_is_not_there(store):
    with pytest.raises(KitError, match=r"no features of track 'x' \(2 missing\); run `kit feat"):
        store.read(["track-0", "x", "y"])


def test_no_store_there(tmp_path):
    with pytest.raises(KitError, match="is not a feature store"):
        FeatureStore.open(tmp_path)


@pytest.mark.parametrize("at", [0.3, 0.6, 0.9])
def test_a_flipped_byte_is_found(store, at):
    path = shards(store)[0]
    data = bytearray(path.read_bytes())
    data[int(len(data) * at)] ^= 0x55
    path.write_bytes(data)
    opened = FeatureStore.open(store.path)
    with pytest.raises(KitError, match=r"is damaged .*delete the folder and run `kit features`"):
        opened.read(ids(SHARD_TRACKS))
    # The other shard is whole.
    np.testing.assert_array_equal(opened.read(ids()[SHARD_TRACKS:]), values()[SHARD_TRACKS:])


@pytest.mark.parametrize("damage", ["cut", "empty", "gone"])
def test_a_shard_that_is_not_whole_is_found(store, damage):
    path = shards(store)[1]
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:100] if damage == "cut" else b"")
    with pytest.raises(KitError, match="is damaged"):
        FeatureStore.open(store.path).read(ids())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda group: group["attributes"].update(format=2), "store format 2, this kit reads 1"),
        (lambda group: group.pop("attributes"), "store format None, this kit reads 1"),
        (lambda group: group["attributes"].pop("config"), "FeatureConfig is None"),
        (lambda group: group["attributes"]["config"].update(n_frames="x"), "n_frames"),
        (lambda group: group["attributes"]["config"].update(later=1), "later"),
    ],
)
def test_a_store_of_another_format(store, change, says):
    group = json.loads((store.path / "zarr.json").read_text())
    change(group)
    (store.path / "zarr.json").write_text(json.dumps(group))
    with pytest.raises(KitError, match=says):
        FeatureStore.open(store.path)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "\xff\xfe",
        "track_id,source_hash\na,b\n",
        "row,track_id,source_hash\nx,a,b\n",
        "row,track_id,source_hash\n0,a,b\n0,b,b\n",
        "row,track_id,source_hash\n0,a,b\n1,a,b\n",
        "row,track_id,source_hash\n0,a,b\n9999,b,b\n",
        "row,track_id,source_hash\n0,a,b\n-1,b,b\n",
    ],
)
def test_an_index_that_is_not_one(store, text):
    path = store.path / "index.csv"
    path.unlink()
    if text is not None:
        path.write_text(text, encoding="latin-1")
    with pytest.raises(KitError, match=r"index\.csv"):
        FeatureStore.open(store.path)


@pytest.mark.parametrize("name", ["zarr.json", "log_mel/zarr.json"])
@pytest.mark.parametrize("text", ["[]", "{", "{}", "\x00"])
def test_metadata_that_is_not_one(store, name, text):
    (store.path / name).write_text(text)
    with pytest.raises(KitError, match=r"x\.zarr"):
        FeatureStore.open(store.path)


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(KitError, match="cannot"):
        FeatureStore.create(tmp_path / "file/x.zarr", CONFIG)


def test_an_attempt_that_came_to_nothing_is_made_anew(store):
    (store.path / "zarr.json").unlink()
    again = FeatureStore.create(store.path, CONFIG)
    assert len(again) == 0
    assert shards(again) == []
    again.write(ids(2), hashes(2), values(2))
    np.testing.assert_array_equal(FeatureStore.open(store.path).read(ids(2)), values(2))


def test_a_full_disk_leaves_what_was_there(store, full_disk, tmp_path):
    before = shutil.copytree(store.path, tmp_path / "before")
    with full_disk(2000), pytest.raises(KitError, match=r"cannot write .*free some space"):
        store.write([f"new-{i}" for i in range(200)], ["0" * 64] * 200, values(200, seed=2))
    opened = FeatureStore.open(store.path)
    assert opened.sources == store.sources == FeatureStore.open(before).sources
    np.testing.assert_array_equal(opened.read(ids()), values())
    names = [f"new-{i}" for i in range(200)]
    opened.write(names, ["0" * 64] * 200, values(200, seed=2))
    np.testing.assert_array_equal(opened.read(names), values(200, seed=2))
    # TensorStore's half-written files have become the shards.
    assert not [p for p in store.path.rglob("*") if p.is_file() and "lock" in p.name]
