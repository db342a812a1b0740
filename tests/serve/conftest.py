"""One server for all tests of the page."""

import shutil

import pytest

from tests.serve.server import Server


@pytest.fixture(scope="session")
def one_server(job, tmp_path_factory):
    folder = tmp_path_factory.mktemp("serve")
    for name in ("older", "tiny"):
        shutil.copytree(job.run, folder / "runs" / name / job.run.name)
    (folder / "runs/tiny" / job.run.name).rename(folder / "runs/tiny" / f"9{job.run.name}")
    (folder / "runs/unfinished/20260101-000000-00000000").mkdir(parents=True)
    one = Server(folder, folder / "runs", "--max-mib", "2", "--max-minutes", "60")
    yield one
    one.stop()


@pytest.fixture
def server(one_server):
    """The server, which answers."""
    one_server.start()
    return one_server
