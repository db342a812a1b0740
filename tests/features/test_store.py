"""A store on disk: what is written is read back, by zarr-python too; damage is told, not read."""

import dataclasses
import itertools
import json
import shutil
import threading

import numpy as np
import pytest
import tensorstore as ts
import zarr

from kit.config import FeatureConfig, FrontendConfig
from kit.errors import KitError
from kit.features import FeatureStore, codec
from kit.features.layout import SHARD_TRACKS, empty_shard
from kit.features.manifest import Entry
from kit.features.storage import Storage
from kit.features.writer import ShardWriter

CONFIG = FeatureConfig(
    frontend=FrontendConfig(sample_rate=8000, n_fft=256, hop_length=128, n_mels=4),
    n_frames=6,
    clip_s=1.0,
)
N = SHARD_TRACKS + 3
# What a dtype may be off by, dB: nothing; half a step of 1/16 from -128 to -64; half of 80 / 254.
ERROR_DB = {"float32": 0.0, "float16": 1 / 32, "int8": 80 / 508 + 1e-5}


def config_of(dtype):
    return dataclasses.replace(CONFIG, dtype=dtype)


def values(count=N, seed=0):
    x = np.random.default_rng(seed).normal(-40, 10, (count, 6, 4)).astype(np.float32)
    return np.clip(x, -80, 0)


def ids(count=N):
    return [f"track-{i}" for i in range(count)]


def hashes(count=N):
    return [f"{i:064x}" for i in range(count)]


def contents(folder):
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


@pytest.fixture
def store(tmp_path):
    """A store of more tracks than a shard holds."""
    store = FeatureStore.create(tmp_path / "x.zarr", CONFIG)
    store.write(ids(), hashes(), values())
    return store


@pytest.fixture
def small(tmp_path):
    """A store of three tracks."""
    store = FeatureStore.create(tmp_path / "small.zarr", CONFIG)
    store.write(ids(3), hashes(3), values(3))
    return store


def shards(store):
    return sorted(p for p in (store.path / "log_mel/c").rglob("*") if p.is_file())


def part_of(store, number=0):
    return store.path / f"index/{number:08d}.csv"


def shard_of(count, first=0, seed=0):
    """The entries and the rows of a shard with so many tracks."""
    entries = [Entry(first + i, f"track-{first + i}", f"{i:064x}", 6) for i in range(count)]
    kept = empty_shard(CONFIG)
    kept[:count] = values(count, seed=seed)
    return entries, kept


def test_it_opens_as_it_was_written(store):
    opened = FeatureStore.open(store.path)
    assert opened.config == CONFIG
    assert opened.labels == ()
    assert len(opened) == N
    assert opened.sources == dict(zip(ids(), hashes(), strict=True))
    np.testing.assert_array_equal(opened.read(ids()), values())
    assert sorted(p for p in contents(store.path) if "/c/" not in p) == [
        "index/00000000.csv",
        "index/00000001.csv",
        "log_mel/zarr.json",
        "zarr.json",
    ]
    assert len(shards(store)) == 2


@pytest.mark.parametrize("dtype", ERROR_DB)
def test_every_dtype_gives_decibels_back(tmp_path, dtype):
    store = FeatureStore.create(tmp_path / "x.zarr", config_of(dtype))
    store.write(ids(), hashes(), values())
    opened = FeatureStore.open(store.path)
    got = opened.read(ids())
    assert got.dtype == np.float32
    off = np.abs(got - values()).max()
    assert off <= ERROR_DB[dtype]
    assert (off == 0) == (dtype == "float32")
    np.testing.assert_array_equal(
        got, codec.decode(codec.encode(values(), opened.config), opened.config)
    )


def test_valid_frames_are_kept(tmp_path):
    config = dataclasses.replace(CONFIG, excerpts=3)
    store = FeatureStore.create(tmp_path / "x.zarr", config)
    x = np.random.default_rng(0).normal(size=(40, 18, 4)).astype(np.float32)
    store.write(ids(30), hashes(30), x[:30])
    store.write(ids(40)[30:], hashes(40)[30:], x[30:], frames=range(1, 11))
    opened = FeatureStore.open(store.path)
    for known in (store, opened):
        assert known.frames(["track-39", "track-0", "track-30"]).tolist() == [10, 18, 1]
        np.testing.assert_array_equal(known.read(ids(40)), x)
        assert known.frames([]).shape == (0,)
    # 21 tracks of three excerpts take no more memory than 64 of one.
    assert len(shards(store)) == 2
    store.write(["track-0"], hashes(1), x[:1], frames=[7])
    assert store.frames(["track-0"]).tolist() == [7]
    for frames in (0, 19):
        with pytest.raises(KitError, match="give 1 to 18 for each track"):
            store.write(["track-0"], hashes(1), x[:1], frames=[frames])


@pytest.mark.parametrize("dtype", ERROR_DB)
def test_stored_values_and_their_scale_give_decibels(tmp_path, dtype):
    store = FeatureStore.create(tmp_path / "x.zarr", config_of(dtype))
    store.write(ids(), hashes(), values())
    stored, scale = store.read_stored(ids()), codec.scale(store.config)
    assert stored.dtype == dtype
    levels = stored.astype(np.float32) * np.float32(scale.get("scale_factor", 1))
    levels += np.float32(scale.get("add_offset", 0))
    np.testing.assert_array_equal(levels, store.read(ids()))


def test_no_more_is_read_than_the_chunks_of_the_tracks(tmp_path):
    count, frames = 200, 256
    config = dataclasses.replace(CONFIG, n_frames=frames, clip_s=5.0)
    x = np.random.default_rng(0).normal(size=(count, frames, 4)).astype(np.float32)
    FeatureStore.create(tmp_path / "x.zarr", config).write(ids(count), hashes(count), x)
    store = FeatureStore.open(tmp_path / "x.zarr")
    whole = sum(path.stat().st_size for path in shards(store))
    order = np.random.default_rng(1).permutation(count)
    for tracks in (1, 64):
        some = order[:tracks]
        before = bytes_read()
        got = store.read_stored([f"track-{i}" for i in some])
        np.testing.assert_array_equal(got, x[some])
        # The index of a shard takes 16 bytes a track.
        assert 0 < bytes_read() - before <= 1.1 * whole * tracks / count + 4 * (16 * 64 + 4)


def bytes_read():
    """Bytes that TensorStore has read from files so far."""
    metrics = ts.experimental_collect_matching_metrics("/tensorstore/kvstore/file/bytes_read")
    return sum(value["value"] for metric in metrics for value in metric["values"])


def test_labels_are_kept_in_their_order(tmp_path):
    path = tmp_path / "x.zarr"
    store = FeatureStore.create(path, CONFIG, ("techno", "edm", "Ä,\n"))
    assert store.labels == FeatureStore.open(path).labels == ("techno", "edm", "Ä,\n")
    before = contents(path)
    store.set_labels(["techno", "edm", "Ä,\n"])
    assert contents(path) == before
    store.set_labels(["edm", "techno"])
    assert FeatureStore.open(path).labels == ("edm", "techno")


def test_tracks_come_in_the_order_asked_for(store):
    order = [SHARD_TRACKS + 1, 0, SHARD_TRACKS, 0, SHARD_TRACKS + 2, 3]
    got = store.read([f"track-{i}" for i in order])
    np.testing.assert_array_equal(got, values()[order])
    assert store.read([]).shape == (0, 6, 4)


def test_a_known_track_keeps_its_row(store):
    new = values(3, seed=1)
    store.write(["track-5", "new", f"track-{SHARD_TRACKS + 1}"], ["a" * 64] * 3, new)
    opened = FeatureStore.open(store.path)
    assert len(opened) == N + 1
    want = np.concatenate([values(), new[1:2]])
    want[5], want[SHARD_TRACKS + 1] = new[0], new[2]
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


@pytest.mark.parametrize("dtype", ERROR_DB)
def test_zarr_reads_it(tmp_path, dtype):
    config = config_of(dtype)
    store = FeatureStore.create(tmp_path / "x.zarr", config, ("b", "a"))
    store.write(ids(), hashes(), values())
    group = zarr.open_group(store.path, mode="r")
    assert group.attrs["format"] == 3
    assert group.attrs["config_hash"] == config.hash
    assert group.attrs["sample_rate"] == 8000
    assert group.attrs["labels"] == ["b", "a"]
    array = group["log_mel"]
    assert array.dtype == dtype
    assert array.chunks == (1, 6, 4)
    assert array.shards == (SHARD_TRACKS, 6, 4)
    assert array.metadata.dimension_names == ("track", "frame", "mel")
    assert array.attrs["units"] == "dB"
    assert (set(array.attrs) == {"units"}) == (dtype != "int8")
    # As the CF conventions have it; xarray does the same.
    scale, offset = array.attrs.get("scale_factor", 1), array.attrs.get("add_offset", 0)
    got = array[:].astype(np.float64) * scale + offset
    assert np.abs(got - values()).max() <= ERROR_DB[dtype]
    np.testing.assert_allclose(got, store.read(ids()), atol=1e-5, rtol=0)


@pytest.mark.parametrize("dtype", ERROR_DB)
def test_a_failed_row_has_no_features_and_no_chunk(tmp_path, dtype):
    store = FeatureStore.create(tmp_path / "x.zarr", config_of(dtype))
    store.reserve(3)
    failed = Entry(1, "b", "1" * 64, 0, "too_short", "/m/b.wav", "is too short, and\nhow")
    entries = [Entry(0, "a", "0" * 64, 6), failed, Entry(2, "c", "2" * 64, 6)]
    kept = empty_shard(store.config)
    kept[[0, 2]] = codec.encode(values(2), store.config)
    store.write_shard(0, entries, kept)

    opened = FeatureStore.open(store.path)
    assert opened.entries == entries
    assert opened.sources == {"a": "0" * 64, "c": "2" * 64}
    assert opened.index["row"].tolist() == [0, 2]
    assert len(opened) == 2
    assert opened.damaged() == []
    with pytest.raises(KitError, match="no features of track 'b'"):
        opened.read(["a", "b"])
    got, kept_again = opened.load_shard(0)
    assert got == entries
    np.testing.assert_array_equal(kept_again, kept)

    # The shard's index, at its end: offset and length of each chunk, and a checksum.
    data = shards(store)[0].read_bytes()[-(SHARD_TRACKS * 16 + 4) : -4]
    offsets = np.frombuffer(data, "<u8").reshape(SHARD_TRACKS, 2)[:, 0]
    there = (offsets != np.iinfo(np.uint64).max).nonzero()[0]
    assert there.tolist() == [0, 2]
    row = zarr.open_group(store.path, mode="r")["log_mel"][1]
    assert (row == -128).all() if dtype == "int8" else np.isnan(row).all()


def test_a_shard_of_failures_alone_is_no_file(tmp_path):
    store = FeatureStore.create(tmp_path / "x.zarr", CONFIG)
    store.reserve(2)
    entries = [Entry(i, f"t{i}", "", 0, "no_audio", "", "has no audio") for i in range(2)]
    store.write_shard(0, entries, empty_shard(CONFIG))
    opened = FeatureStore.open(store.path)
    assert opened.entries == entries
    assert (len(opened), opened.sources, opened.damaged()) == (0, {}, [])
    assert "log_mel/c" not in " ".join(contents(store.path))


def test_a_track_that_is_not_there(store):
    with pytest.raises(KitError, match=r"no features of track 'x' \(2 missing\); run `kit feat"):
        store.read(["track-0", "x", "y"])


def test_no_store_there(tmp_path):
    assert not FeatureStore.exists(tmp_path)
    with pytest.raises(KitError, match="is not a feature store"):
        FeatureStore.open(tmp_path)
    FeatureStore.delete(tmp_path / "nowhere")
    FeatureStore.create(tmp_path / "x.zarr", CONFIG)
    assert FeatureStore.exists(tmp_path / "x.zarr")
    FeatureStore.delete(tmp_path / "x.zarr")
    assert not (tmp_path / "x.zarr").exists()


@pytest.mark.parametrize("at", [0.3, 0.6, 0.9])
def test_a_flipped_byte_is_found(store, at):
    path = shards(store)[0]
    data = bytearray(path.read_bytes())
    data[int(len(data) * at)] ^= 0x55
    path.write_bytes(data)
    opened = FeatureStore.open(store.path)
    with pytest.raises(KitError, match=r"is damaged .*run `kit features CATALOGUE --verify`"):
        opened.read(ids(SHARD_TRACKS))
    assert opened.damaged() == [0]
    # The other shard is whole.
    np.testing.assert_array_equal(opened.read(ids()[SHARD_TRACKS:]), values()[SHARD_TRACKS:])


def test_any_flipped_bit_of_a_shard_is_found(small):
    path = shards(small)[0]
    data = path.read_bytes()
    assert FeatureStore.open(small.path).damaged() == []
    rng = np.random.default_rng(0)
    for at in [0, len(data) - 1, *rng.integers(0, len(data), 100)]:
        bad = bytearray(data)
        bad[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(bad)
        assert FeatureStore.open(small.path).damaged() == [0], at


@pytest.mark.parametrize("damage", ["cut", "empty", "gone", "another"])
def test_a_shard_that_is_not_whole_is_found(store, damage):
    path = shards(store)[1]
    if damage == "gone":
        path.unlink()
    elif damage == "another":
        # The shard of a store of other tracks: row 258 is missing in it.
        store.write_shard(1, *shard_of(2, SHARD_TRACKS))
        store._write_part(1, shard_of(3, SHARD_TRACKS)[0])
    else:
        path.write_bytes(path.read_bytes()[:100] if damage == "cut" else b"")
    opened = FeatureStore.open(store.path)
    with pytest.raises(KitError, match="is damaged"):
        opened.read(ids())
    assert opened.damaged() == [1]
    np.testing.assert_array_equal(opened.read(ids(SHARD_TRACKS)), values()[:SHARD_TRACKS])


HEADER = '"offset","track_id","source_hash","frames","reason","path","message"\n'


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\xff\xfe",
        "row,track_id,source_hash\n0,a,b\n",
        HEADER + 'x,"a","b",6,"","",""\n',
        HEADER + '64,"a","b",6,"","",""\n64,"b","b",6,"","",""\n',
        HEADER + '64,"a","b",6,"","",""\n65,"a","b",6,"","",""\n',
        HEADER + '64,"track-0","b",6,"","",""\n',
        HEADER + '259,"a","b",6,"","",""\n',
        HEADER + '255,"a","b",6,"","",""\n',
    ],
    ids=["empty", "bytes", "columns", "number", "offset", "id", "elsewhere", "past", "before"],
)
def test_a_part_of_the_table_that_is_not_one(store, text):
    before = contents(store.path)
    part_of(store, 1).write_text(text, encoding="latin-1")
    with pytest.raises(KitError, match=r"index/00000001\.csv is damaged; run .*--verify"):
        FeatureStore.open(store.path)
    opened = FeatureStore.open(store.path, broken_too=True)
    assert opened.broken == opened.damaged() == [1]
    assert opened.sources == dict(zip(ids(SHARD_TRACKS), hashes(SHARD_TRACKS), strict=True))
    opened.forget(1)
    assert opened.broken == opened.damaged() == []
    opened.write(ids()[SHARD_TRACKS:], hashes()[SHARD_TRACKS:], values()[SHARD_TRACKS:])
    assert contents(store.path) == before


def test_a_whole_store_has_nothing_broken(store):
    (store.path / "index/notes.txt").write_text("not a part")
    opened = FeatureStore.open(store.path, broken_too=True)
    assert opened.broken == opened.damaged() == []
    assert len(opened) == N


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("damage", ["row", "index", "cut", "empty", "gone"])
def test_forgotten_and_written_again_gives_the_same_bytes(store, number, damage):
    """A shard that is full, and the last one, which is not."""
    before = contents(store.path)
    path = shards(store)[number]
    data = bytearray(path.read_bytes())
    if damage in ("row", "index"):
        data[10 if damage == "row" else -10] ^= 1
    path.write_bytes(data[: {"cut": 100, "empty": 0}.get(damage, len(data))])
    if damage == "gone":
        path.unlink()
    opened = FeatureStore.open(store.path)
    assert opened.damaged() == [number]
    opened.forget(number)
    assert {entry.offset // SHARD_TRACKS for entry in opened.entries} == {1 - number}
    assert FeatureStore.open(store.path).entries == opened.entries
    rows = slice(number * SHARD_TRACKS, (number + 1) * SHARD_TRACKS)
    entries, kept = store.entries[rows], empty_shard(CONFIG)
    kept[: len(entries)] = values()[rows]
    opened.write_shard(number, entries, kept)
    assert contents(store.path) == before


def test_a_row_that_fails_now_leaves_nothing_of_what_it_was(small, tmp_path):
    fresh = FeatureStore.create(tmp_path / "fresh.zarr", CONFIG)
    fresh.reserve(3)
    failed = Entry(1, "track-1", "f" * 64, 0, "too_short", "/x", "is too short")
    for store, offsets in ((small, [1]), (fresh, [0, 1, 2])):
        errors = []
        writer = ShardWriter(store, offsets, errors.append)
        for offset in offsets:
            good = Entry(offset, ids()[offset], hashes()[offset], 6)
            if offset == 1:
                writer.put(failed)
            else:
                writer.put(good, values(3)[offset])
        writer.close()
        assert [type(e) for e in errors] == [float]
    assert contents(small.path) == contents(fresh.path)


def test_stopped_at_any_instant_the_table_says_what_the_shards_hold(store, tmp_path, monkeypatch):
    """The files as they lie between any two writes: rows that are being replaced do not count."""
    real, states = Storage.write, itertools.count()

    def write(self, name, data):
        shutil.copytree(store.path, tmp_path / f"state-{next(states)}")
        real(self, name, data)
        shutil.copytree(store.path, tmp_path / f"state-{next(states)}")

    monkeypatch.setattr(Storage, "write", write)
    new = values(2, seed=1)
    store.write(["track-5", "new"], ["a" * 64, "b" * 64], new)
    monkeypatch.undo()

    old = dict(zip(ids(), values(), strict=True))
    had_5 = []
    for i in range(next(states)):
        opened = FeatureStore.open(tmp_path / f"state-{i}")
        sources = opened.sources
        had_5.append(sources.get("track-5"))
        assert set(ids()) - {"track-5"} <= set(sources)
        got = dict(zip(sources, opened.read(list(sources)), strict=True))
        for track_id, source in sources.items():
            want = {"a" * 64: new[0], "b" * 64: new[1]}.get(source, old.get(track_id))
            np.testing.assert_array_equal(got[track_id], want)
    assert had_5[0] == hashes()[5]
    assert had_5[-1] == "a" * 64
    assert None in had_5


def test_a_row_that_is_not_replaced_always_counts(store, monkeypatch):
    written = []
    real = Storage.write
    monkeypatch.setattr(Storage, "write", lambda s, n, d: (written.append(n), real(s, n, d))[1])
    store.write(["new"], ["b" * 64], values(1, seed=1))
    assert written == ["index/00000001.csv"]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_shards_in_any_order_give_the_same_bytes(tmp_path, order):
    made = [contents_of_three(tmp_path / name, by) for name, by in (("a", (0, 1, 2)), ("b", order))]
    assert made[0] == made[1]
    assert len([name for name in made[0] if "/c/" in name]) == 3


def three():
    counts = (SHARD_TRACKS, SHARD_TRACKS, 9)
    return [shard_of(n, i * SHARD_TRACKS, seed=i) for i, n in enumerate(counts)]


def contents_of_three(path, order):
    store = FeatureStore.create(path, CONFIG)
    store.reserve(2 * SHARD_TRACKS + 9)
    for number in order:
        store.write_shard(number, *three()[number])
    return contents(path)


def test_two_writers_side_by_side_give_the_same_bytes(tmp_path):
    want = contents_of_three(tmp_path / "a", (0, 1, 2))
    for attempt in range(5):
        path = tmp_path / f"b{attempt}"
        FeatureStore.create(path, CONFIG).reserve(2 * SHARD_TRACKS + 9)
        barrier, errors = threading.Barrier(3), []

        def write(number, path=path, barrier=barrier, errors=errors):
            try:
                store = FeatureStore.open(path)
                barrier.wait(30)
                store.write_shard(number, *three()[number])
            except BaseException as error:
                errors.append(error)
                barrier.abort()

        threads = [threading.Thread(target=write, args=(i,)) for i in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        assert contents(path) == want
        opened = FeatureStore.open(path)
        assert len(opened) == 2 * SHARD_TRACKS + 9
        assert opened.damaged() == []


def test_room_that_another_one_made_is_not_taken_away(tmp_path):
    path = tmp_path / "x.zarr"
    late = FeatureStore.create(path, CONFIG)
    store = FeatureStore.open(path)
    store.write(ids(), hashes(), values())
    late.reserve(3)
    np.testing.assert_array_equal(FeatureStore.open(path).read(ids()), values())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda group: group["attributes"].update(format=2), r"format 2, this one reads 3\); dele"),
        (lambda group: group["attributes"].update(format=4), r"format 4, this one reads 3\); dele"),
        (lambda group: group.pop("attributes"), "store format None, this one reads 3"),
        (lambda group: group["attributes"].pop("config"), "FeatureConfig is None"),
        (lambda group: group["attributes"]["config"].update(n_frames="x"), "n_frames"),
        (lambda group: group["attributes"]["config"].update(later=1), "later"),
        (lambda group: group["attributes"]["config"].update(dtype="int4"), "dtype"),
        (lambda group: group["attributes"].update(labels=5), "x.zarr"),
    ],
)
def test_a_store_of_another_format(store, change, says):
    group = json.loads((store.path / "zarr.json").read_text())
    change(group)
    (store.path / "zarr.json").write_text(json.dumps(group))
    with pytest.raises(KitError, match=says):
        FeatureStore.open(store.path)


@pytest.mark.parametrize("name", ["zarr.json", "log_mel/zarr.json"])
@pytest.mark.parametrize("text", ["[]", "{", "{}", "\x00", "5", '{"attributes": []}'])
def test_metadata_that_is_not_one(store, name, text):
    (store.path / name).write_text(text)
    with pytest.raises(KitError, match=r"x\.zarr"):
        FeatureStore.open(store.path)


def test_an_array_that_is_gone(store):
    shutil.rmtree(store.path / "log_mel")
    with pytest.raises(KitError, match=r"cannot open .*x\.zarr.*delete it and run"):
        FeatureStore.open(store.path)


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(KitError, match="cannot"):
        FeatureStore.create(tmp_path / "file/x.zarr", CONFIG)


def test_an_attempt_that_came_to_nothing_is_made_anew(store):
    (store.path / "zarr.json").unlink()
    again = FeatureStore.create(store.path, CONFIG)
    assert len(again) == 0
    assert again.entries == FeatureStore.open(store.path).entries == []
    assert shards(again) == []
    again.write(ids(2), hashes(2), values(2))
    np.testing.assert_array_equal(FeatureStore.open(store.path).read(ids(2)), values(2))


def test_a_full_disk_leaves_what_was_there(store, full_disk, tmp_path):
    before = shutil.copytree(store.path, tmp_path / "before")
    names = [f"new-{i}" for i in range(200)]
    with full_disk(2000), pytest.raises(KitError, match=r"cannot write .*free some space"):
        store.write(names, ["0" * 64] * 200, values(200, seed=2))
    opened = FeatureStore.open(store.path)
    assert opened.sources == store.sources == FeatureStore.open(before).sources
    assert opened.damaged() == []
    np.testing.assert_array_equal(opened.read(ids()), values())
    opened.write(names, ["0" * 64] * 200, values(200, seed=2))
    np.testing.assert_array_equal(opened.read(names), values(200, seed=2))
    # TensorStore's half-written files have become the shards.
    assert not [p for p in store.path.rglob("*") if p.is_file() and "lock" in p.name]


def test_a_full_disk_at_the_table_leaves_what_was_there(store, full_disk):
    """A shard of three rows fits, and its part of the table does not: the message is long."""
    long = Entry(SHARD_TRACKS + 3, "long", "0" * 64, 0, "too_short", "", "x" * 60_000)
    entries, kept = store.load_shard(1)
    store.reserve(N + 1)
    with full_disk(30_000), pytest.raises(KitError, match=r"cannot write .*00000001\.csv.*free"):
        store.write_shard(1, [*entries, long], kept)
    opened = FeatureStore.open(store.path)
    assert opened.entries == store.entries
    np.testing.assert_array_equal(opened.read(ids()), values())
    assert opened.damaged() == []
