"""One run at a time on a store, and nobody locked out by one that is dead."""

import contextlib
import signal
import subprocess
import sys
import threading

import pytest

from kit.errors import KitError
from kit.features.storage import only_one

HOLDER = """
import sys
from kit.features.storage import only_one

with only_one(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def held_by_another(path):
    """Another process that has the lock; killed at the end."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def test_a_second_process_is_told(tmp_path):
    path = tmp_path / "features/x.zarr"
    with held_by_another(path):
        for _ in range(2):
            with (
                pytest.raises(KitError, match=r"another run is at work on .*x\.zarr; wait until"),
                only_one(path),
            ):
                pytest.fail("it was let in")
        # Another store is another's business.
        with only_one(tmp_path / "features/y.zarr"):
            pass


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_holder_that_was_killed_holds_nothing(tmp_path, how):
    path = tmp_path / "x.zarr"
    with held_by_another(path) as process:
        process.send_signal(how)
        process.wait(30)
        with only_one(path):
            pass


def test_a_holder_that_ended_holds_nothing(tmp_path):
    path = tmp_path / "x.zarr"
    with held_by_another(path) as process:
        process.communicate("", timeout=30)
        assert process.returncode == 0
        with only_one(path):
            pass


def test_an_error_lets_go(tmp_path):
    path = tmp_path / "x.zarr"
    with pytest.raises(ZeroDivisionError), only_one(path):
        raise ZeroDivisionError
    with only_one(path):
        pass


def test_a_second_thread_and_a_second_turn_are_told(tmp_path):
    path = tmp_path / "x.zarr"
    found = []

    def enter():
        try:
            with only_one(path):
                found.append("let in")
        except KitError as error:
            found.append(str(error))

    with only_one(path):
        enter()
        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
    assert ["another run is at work on" in said for said in found] == [True, True]
    enter()
    assert found[2:] == ["let in"]


def test_a_bucket_has_no_lock(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with only_one("s3://bucket/x.zarr"), only_one("s3://bucket/x.zarr"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_may_not_be_written(tmp_path, unprivileged):
    tmp_path.chmod(0o555)
    try:
        with (
            unprivileged(),
            pytest.raises(KitError, match=r"cannot write .*: Permission denied; choose a place"),
            only_one(tmp_path / "new/x.zarr"),
        ):
            pytest.fail("it was let in")
        with (
            unprivileged(),
            pytest.raises(KitError, match=r"cannot write .*\.lock: Permission denied; choose"),
            only_one(tmp_path / "x.zarr"),
        ):
            pytest.fail("it was let in")
    finally:
        tmp_path.chmod(0o755)
