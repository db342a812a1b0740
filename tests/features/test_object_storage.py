"""A bucket holds what a folder holds, object by object; moto is the server, on this machine."""

import contextlib
import logging

import boto3
import numpy as np
import pytest
import soundfile
from moto.server import ThreadedMotoServer

from kit.catalogue import from_folder, load, read_failures, save
from kit.config import (
    Conv1DConfig,
    Experiment,
    ExtractConfig,
    FeatureConfig,
    FrontendConfig,
    SegmentConfig,
    SplitConfig,
    TrainConfig,
)
from kit.errors import KitError, UsageError
from kit.features import FeatureStore, extract, set_place, store_path
from kit.features.layout import SHARD_TRACKS
from kit.features.storage import Storage
from kit.training import fit

CONFIG = FeatureConfig(
    frontend=FrontendConfig(sample_rate=8000, n_fft=256, hop_length=128, n_mels=4),
    n_frames=6,
    clip_s=1.0,
)
N = SHARD_TRACKS + 3
IDS = [f"track-{i}" for i in range(N)]
HASHES = [f"{i:064x}" for i in range(N)]


def values(seed=0):
    return np.random.default_rng(seed).normal(-40, 10, (N, 6, 4)).astype(np.float32)


@pytest.fixture(scope="module")
def server():
    """The address of a server that speaks S3, for as long as the module runs."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


class Bucket:
    """A bucket of the test's own, looked at by boto3."""

    def __init__(self, client, name):
        self.client, self.name = client, name
        client.create_bucket(Bucket=name)
        # So that each write can be counted.
        client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})

    def names(self, prefix=""):
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket=self.name, Prefix=prefix
        )
        return [item["Key"] for page in pages for item in page.get("Contents", ())]

    def get(self, key):
        return self.client.get_object(Bucket=self.name, Key=key)["Body"].read()

    def put(self, key, data):
        self.client.put_object(Bucket=self.name, Key=key, Body=data)

    def contents(self, prefix):
        return {key.removeprefix(prefix): self.get(key) for key in self.names(prefix)}

    def versions(self):
        """Every write and every deletion there was."""
        pages = self.client.get_paginator("list_object_versions").paginate(Bucket=self.name)
        return {
            (item["Key"], item["VersionId"])
            for page in pages
            for item in (*page.get("Versions", ()), *page.get("DeleteMarkers", ()))
        }


@pytest.fixture
def bucket(server, monkeypatch, request, tmp_path):
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    # A user's machine and a cloud's are not to be asked.
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    client = boto3.client("s3", region_name="us-east-1")
    with contextlib.closing(client):
        yield Bucket(client, f"bucket-{abs(hash(request.node.nodeid))}")


def contents(folder):
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


@pytest.fixture
def store(bucket):
    """A store in the bucket, of more tracks than a shard holds."""
    store = FeatureStore.create(f"s3://{bucket.name}/a/x.zarr", CONFIG, ("b", "a"))
    store.write(IDS, HASHES, values())
    return store


def test_bytes_under_names(bucket):
    place = Storage(f"s3://{bucket.name}/deep/down")
    assert place.read("a") is None
    assert place.names("index/") == []
    data = bytes(range(256)) * 1000
    for name in ("index/2", "index/1", "indexes/3", "index.csv"):
        place.write(name, name.encode())
    place.write("a", data)
    assert bucket.get("deep/down/a") == place.read("a") == data
    assert place.names("index/") == ["index/1", "index/2"]
    assert place.read_all(["index/2", "no", "index/1"]) == [b"index/2", None, b"index/1"]
    place.delete("index/1")
    place.delete("never was there")
    assert place.read("index/1") is None
    assert bucket.names("deep/down/index/") == ["deep/down/index/2"]


def test_more_names_than_a_page_holds(bucket, monkeypatch):
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "5")
    for i in range(12):
        bucket.put(f"x/index/{i:08d}.csv", b"")
    page = bucket.client.list_objects_v2(Bucket=bucket.name)
    assert (page["KeyCount"], page["IsTruncated"]) == (5, True)
    place = Storage(f"s3://{bucket.name}/x")
    assert place.names("index/") == [f"index/{i:08d}.csv" for i in range(12)]


@pytest.mark.parametrize("prefix", ["", "/", "/a", "/a/b/"])
def test_any_prefix(bucket, prefix):
    place = Storage(f"s3://{bucket.name}{prefix}")
    place.write("index/x", b"1")
    inside = f"{prefix.strip('/')}/index/x".lstrip("/")
    assert bucket.names() == [inside]
    assert place.names("index/") == ["index/x"]


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_a_store_there_is_a_store_here(bucket, tmp_path, dtype):
    config = FeatureConfig(CONFIG.frontend, n_frames=6, clip_s=1.0, dtype=dtype)
    url = f"s3://{bucket.name}/a/x.zarr"
    assert not FeatureStore.exists(url)
    for path in (url, tmp_path / "x.zarr"):
        store = FeatureStore.create(path, config, ("b", "a"))
        store.write(IDS, HASHES, values())
        store.write(["new", "track-5"], ["a" * 64] * 2, values(1)[:2])
    assert FeatureStore.exists(url)
    assert bucket.contents("a/x.zarr/") == contents(tmp_path / "x.zarr")
    there, here = FeatureStore.open(url), FeatureStore.open(tmp_path / "x.zarr")
    assert there.entries == here.entries
    assert (there.config, there.labels) == (config, ("b", "a"))
    np.testing.assert_array_equal(there.read([*IDS, "new"]), here.read([*IDS, "new"]))
    assert there.damaged() == []


def test_a_store_is_deleted_and_no_other(bucket, store):
    FeatureStore.create(f"s3://{bucket.name}/a/x.zarr2", CONFIG)
    bucket.put("a/y", b"not ours")
    before = set(bucket.names())
    FeatureStore.delete(store.path)
    assert before - set(bucket.names()) == {k for k in before if k.startswith("a/x.zarr/")}
    assert not FeatureStore.exists(store.path)
    with pytest.raises(KitError, match="is not a feature store; run"):
        FeatureStore.open(store.path)
    FeatureStore.delete(store.path)


def test_an_attempt_that_came_to_nothing_is_made_anew(bucket, store):
    bucket.client.delete_object(Bucket=bucket.name, Key="a/x.zarr/zarr.json")
    again = FeatureStore.create(store.path, CONFIG)
    assert again.entries == FeatureStore.open(store.path).entries == []
    assert bucket.names("a/") == ["a/x.zarr/log_mel/zarr.json", "a/x.zarr/zarr.json"]


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty", "gone"])
def test_a_damaged_shard_is_found(bucket, store, damage):
    before = bucket.contents("a/x.zarr/")
    key = "a/x.zarr/log_mel/c/1/0/0"
    data = bytearray(bucket.get(key))
    if damage == "flipped":
        data[10] ^= 0x55
    elif damage in ("cut", "empty"):
        data = data[: 100 if damage == "cut" else 0]
    bucket.client.delete_object(Bucket=bucket.name, Key=key)
    if damage != "gone":
        bucket.put(key, bytes(data))
    opened = FeatureStore.open(store.path)
    assert opened.damaged() == [1]
    with pytest.raises(KitError, match=r"s3://.* is damaged .*--verify"):
        opened.read(IDS)
    opened.forget(1)
    assert opened.damaged() == []
    opened.write(IDS[SHARD_TRACKS:], HASHES[SHARD_TRACKS:], values()[SHARD_TRACKS:])
    assert bucket.contents("a/x.zarr/") == before


def test_a_damaged_part_of_the_table_is_found(bucket, store):
    bucket.put("a/x.zarr/index/00000000.csv", b"this is no table")
    with pytest.raises(KitError, match=r"s3://.*/index/00000000\.csv is damaged; run"):
        FeatureStore.open(store.path)
    assert FeatureStore.open(store.path, broken_too=True).damaged() == [0]


def test_a_bucket_that_is_not_there(bucket):
    assert not FeatureStore.exists("s3://no-such-bucket/x.zarr")
    with pytest.raises(KitError, match=r"cannot .* s3://no-such-bucket/x\.zarr.*NoSuchBucket"):
        FeatureStore.create("s3://no-such-bucket/x.zarr", CONFIG)
    with pytest.raises(KitError, match=r"cannot write s3://no-such-bucket/a: .*NoSuchBucket"):
        Storage("s3://no-such-bucket").write("a", b"1")


@pytest.fixture
def music(write_music, tmp_path):
    """Eight tracks, and one that is too short."""
    music = write_music(tmp_path / "music", 4)
    soundfile.write(music / "low/short.wav", np.full(800, 0.1), 8000)
    return music


def scanned(music, folder):
    save(from_folder(music), folder)
    return load(folder)


def test_features_of_a_catalogue_there_are_those_here(bucket, music, tiny_features, tmp_path):
    here = scanned(music, tmp_path / "here")
    there = scanned(music, tmp_path / "there")
    set_place(there, f"s3://{bucket.name}/sets/one/")
    url = f"s3://{bucket.name}/sets/one/{tiny_features.hash}.zarr"
    assert store_path(there, tiny_features) == url

    local = extract(here, tiny_features)
    result = extract(there, tiny_features, ExtractConfig(workers=2))
    assert result.computed == local.computed == len(result.store) == 8
    assert result.failures == local.failures == read_failures(tmp_path / "there")
    assert [f.reason for f in result.failures] == ["too_short"]
    assert bucket.contents(f"sets/one/{tiny_features.hash}.zarr/") == contents(local.store.path)
    # Nothing of the features lies here, and nothing else lies there.
    assert sorted(contents(tmp_path / "there")) == [
        "catalogue.json", "failures.csv", "features/place.json", "tracks.csv"
    ]  # fmt: skip
    assert all(key.startswith("sets/one/") for key in bucket.names())

    # Nothing is computed twice, and nothing written.
    before = bucket.versions()
    again = extract(load(tmp_path / "there"), tiny_features)
    assert (again.computed, again.failures) == (0, result.failures)
    assert bucket.versions() == before
    opened = FeatureStore.open(store_path(there, tiny_features))
    ids = list(local.store.sources)
    assert opened.sources == local.store.sources
    np.testing.assert_array_equal(opened.read(ids), local.store.read(ids))


def test_what_is_damaged_there_is_mended(bucket, music, tiny_features, tmp_path):
    catalogue = scanned(music, tmp_path / "data")
    set_place(catalogue, f"s3://{bucket.name}/x")
    extract(catalogue, tiny_features)
    whole = bucket.contents("x/")
    (key,) = [key for key in whole if "/c/" in key]
    bad = bytearray(whole[key])
    bad[len(bad) // 4] ^= 1
    bucket.put(f"x/{key}", bytes(bad))
    result = extract(catalogue, tiny_features, ExtractConfig(verify=True))
    assert (result.mended, result.computed) == (1, 8)
    assert bucket.contents("x/") == whole
    assert extract(catalogue, tiny_features, ExtractConfig(verify=True)).mended == 0


def test_a_place_that_is_none_is_not_noted(music, tmp_path):
    catalogue = scanned(music, tmp_path / "data")
    with pytest.raises(UsageError, match=r"ftp://x cannot hold features"):
        set_place(catalogue, "ftp://x")
    assert not (tmp_path / "data/features/place.json").exists()


class StopError(Exception):
    pass


def test_interrupted_and_resumed_there_gives_the_same_bytes(bucket, music, tiny_features, tmp_path):
    catalogue = scanned(music, tmp_path / "data")
    whole = contents(extract(catalogue, tiny_features).store.path)
    set_place(catalogue, f"s3://{bucket.name}/x")

    def stop(progress):
        if progress.done >= 4:
            raise StopError

    with pytest.raises(StopError):
        extract(catalogue, tiny_features, progress=stop)
    assert extract(catalogue, tiny_features, stop=lambda: True).stopped
    extract(catalogue, tiny_features)
    assert bucket.contents(f"x/{tiny_features.hash}.zarr/") == whole


def test_a_network_is_trained_on_what_lies_there(bucket, write_music, tiny_features, tmp_path):
    music = write_music(tmp_path / "music")
    experiment = Experiment(
        name="tiny",
        catalogue=str(tmp_path / "data"),
        features=tiny_features,
        split=SplitConfig(test_fraction=0.25, validation_fraction=0.2),
        segments=SegmentConfig(frames=8),
        model=Conv1DConfig(channels=(4,), kernel_size=3, dense=4),
        train=TrainConfig(epochs=1, batch_size=8),
    )
    catalogue = scanned(music, tmp_path / "data")
    set_place(catalogue, f"s3://{bucket.name}/x")
    extract(catalogue, tiny_features)
    assert fit(experiment, runs=tmp_path / "runs").folder.is_dir()
    assert not list((tmp_path / "data/features").glob("*.zarr"))
