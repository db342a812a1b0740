"""A folder of the disk as a place: bytes under names; a word to act on where that fails."""

import os
import threading
from pathlib import Path

import pytest

from kit.errors import KitError, UsageError
from kit.features.storage import Storage, first_line, is_url

NAMES = ["index/00000000.csv", "index/00000001.csv", "index/a.csv"]


def test_what_is_written_is_read(tmp_path):
    place = Storage(tmp_path / "not/yet")
    assert place.read("a") is None
    assert place.names("index/") == []
    assert not (tmp_path / "not").exists()
    data = bytes(range(256)) * 300
    place.write("a", data)
    place.write("index/b", b"")
    assert place.read("a") == (tmp_path / "not/yet/a").read_bytes() == data
    assert place.read("index/b") == b""
    place.write("a", b"shorter")
    assert Storage(tmp_path / "not/yet").read("a") == b"shorter"


def test_names_are_those_below_a_folder(tmp_path):
    place = Storage(tmp_path)
    for name in [*reversed(NAMES), "index.csv", "indexes/x", "log_mel/zarr.json", "zarr.json"]:
        place.write(name, name.encode())
    assert place.names("index/") == NAMES
    assert place.read_all(["zarr.json", "none", *NAMES]) == [
        b"zarr.json",
        None,
        *(name.encode() for name in NAMES),
    ]
    assert place.read_all([]) == []
    # What a write that was killed leaves is no name.
    (tmp_path / "index/00000002.csv.__lock").write_bytes(b"half")
    assert place.names("index/") == NAMES


def test_what_is_deleted_is_gone(tmp_path):
    place = Storage(tmp_path)
    for name in NAMES:
        place.write(name, b"x")
    place.delete(NAMES[1])
    place.delete("never was there")
    assert place.names("index/") == [NAMES[0], NAMES[2]]
    assert place.read(NAMES[1]) is None
    assert not (tmp_path / NAMES[1]).exists()


def test_a_write_is_all_or_nothing(tmp_path, full_disk):
    place = Storage(tmp_path)
    place.write("a", b"before")
    with full_disk(1000), pytest.raises(KitError, match=r"cannot write .*/a: .*free some space"):
        place.write("a", b"x" * 5000)
    assert place.read("a") == b"before"
    place.write("a", b"x" * 5000)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a"]


def test_a_reader_never_sees_half_a_write(tmp_path):
    place = Storage(tmp_path)
    sides = [bytes([i]) * 200_000 for i in range(2)]
    place.write("a", sides[0])
    seen, ended = set(), threading.Event()

    def read():
        while not ended.is_set():
            seen.add(Storage(tmp_path).read("a"))

    reader = threading.Thread(target=read)
    reader.start()
    for i in range(60):
        place.write("a", sides[i % 2])
    ended.set()
    reader.join()
    assert seen <= set(sides)


def test_a_relative_folder_is_that_of_the_moment(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Storage("here").write("a", b"1")
    assert (tmp_path / "here/a").read_bytes() == b"1"


@pytest.mark.parametrize("name", ["a b", "ä", "100%", "a?b=c", "a#b", '"q"', "~"])
def test_folders_of_any_name(tmp_path, name):
    place = Storage(tmp_path / name)
    place.write("index/x", b"1")
    assert (tmp_path / name / "index/x").read_bytes() == b"1"
    assert place.names("index/") == ["index/x"]


@pytest.mark.parametrize(
    "url",
    ["s3://", "s3:///prefix", "gs://", "http://host/x", "https://x", "file:///tmp/x", "ftp://a/b",
     "S3://bucket/x", "memory://x", "://x"],
)  # fmt: skip
def test_an_address_of_another_kind(url):
    with pytest.raises(UsageError, match=r"cannot hold features; give a folder, s3://BUCKET"):
        Storage(url)


@pytest.mark.parametrize(
    ("url", "bucket", "path"),
    [
        ("s3://music", "music", "log_mel/"),
        ("s3://music/", "music", "log_mel/"),
        ("s3://music/a/b", "music", "a/b/log_mel/"),
        ("s3://music/a/b/", "music", "a/b/log_mel/"),
    ],
)
def test_the_parts_of_an_address(url, bucket, path, monkeypatch):
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3", raising=False)
    want = {"driver": "s3", "bucket": bucket, "path": path}
    assert Storage(url).spec("log_mel/").items() >= want.items()
    assert "endpoint" not in Storage(url).spec()
    google = Storage(url.replace("s3://", "gs://")).spec("log_mel/")
    assert google.items() >= {"driver": "gcs", "bucket": bucket, "path": path}.items()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://one")
    assert Storage(url).spec()["endpoint"] == "http://one"
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://two")
    assert Storage(url).spec()["endpoint"] == "http://two"
    assert "endpoint" not in Storage(url.replace("s3://", "gs://")).spec()


def test_what_is_a_url():
    assert is_url("s3://x")
    assert not is_url("/tmp/x")
    assert not is_url(Path("/tmp/x"))
    assert str(Storage(Path("/tmp/x"))) == "/tmp/x"


def test_a_folder_that_may_not_be_written(tmp_path, unprivileged):
    (tmp_path / "a").write_bytes(b"1")
    tmp_path.chmod(0o555)
    try:
        with unprivileged():
            place = Storage(tmp_path)
            assert place.read("a") == b"1"
            with pytest.raises(KitError, match=r"cannot write .*/b: .*that you may write to"):
                place.write("b", b"2")
            with pytest.raises(KitError, match=r"cannot write .*/new/b: "):
                Storage(tmp_path / "new").write("b", b"2")
            with pytest.raises(KitError, match=r"cannot write .*/a: "):
                place.delete("a")
    finally:
        tmp_path.chmod(0o755)
    assert os.listdir(tmp_path) == ["a"]


def test_a_file_that_may_not_be_read(tmp_path, unprivileged):
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "a").chmod(0)
    with unprivileged(), pytest.raises(KitError, match=r"cannot read .*/a: .*you may read it"):
        Storage(tmp_path).read("a")


def test_a_file_in_the_way(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(KitError, match=r"cannot write .*file/x/a: "):
        Storage(tmp_path / "file/x").write("a", b"1")


def test_one_line_of_an_error():
    assert first_line(ValueError("  one\ntwo")) == "one"
    assert first_line(ValueError("")) == "ValueError"
    assert len(first_line(ValueError("x" * 1000))) == 200
