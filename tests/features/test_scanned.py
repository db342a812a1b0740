"""Features are those of the file that was scanned, whatever happens to it meanwhile."""

import hashlib

import pytest

from kit.audio import ChangedFileError, CorruptError, UnreadableError
from kit.features.scanned import read_if_unchanged
from kit.features.schedule import Track


@pytest.fixture
def track(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(b"scanned" * 1000)
    return Track(0, "a", hashlib.sha256(path.read_bytes()).hexdigest(), path)


def content(file) -> bytes:
    with file.reading() as stream:
        return stream.read()


def test_the_file_that_was_scanned_is_read(track):
    assert read_if_unchanged(track, content) == b"scanned" * 1000


@pytest.mark.parametrize("data", [b"", b"other" * 1000, b"scanneD" * 1000])
def test_another_file_is_not_read(track, data):
    track.path.write_bytes(data)
    with pytest.raises(ChangedFileError, match=r"a\.wav has changed .*; scan again"):
        read_if_unchanged(track, lambda file: pytest.fail("it was read"))


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("replace", [False, True])
def test_a_file_that_changes_while_it_is_read_is_refused(track, replace, fails):
    def read(file):
        if replace:
            track.path.with_suffix(".new").write_bytes(b"other")
            track.path.with_suffix(".new").replace(track.path)
        else:
            track.path.write_bytes(b"other")
        if fails:
            raise CorruptError("damaged")

    with pytest.raises(ChangedFileError):
        read_if_unchanged(track, read)


def test_a_file_that_is_written_anew_with_the_same_bytes_is_the_same(track):
    def read(file):
        track.path.write_bytes(b"scanned" * 1000)
        return content(file)

    assert read_if_unchanged(track, read) == b"scanned" * 1000


def test_an_error_of_the_scanned_file_is_its_own(track):
    def read(file):
        raise CorruptError("damaged")

    with pytest.raises(CorruptError, match="damaged"):
        read_if_unchanged(track, read)


def test_a_file_that_is_gone_is_unreadable(track):
    track.path.unlink()
    with pytest.raises(UnreadableError, match="No such file"):
        read_if_unchanged(track, content)
