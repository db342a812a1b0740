"""`kit ingest previews` as a person runs it."""

import signal
import subprocess
import sys

import pytest

from kit.catalogue import load, read_failures
from kit.cli.match import match
from kit.cli.previews import previews
from kit.config import PreviewConfig, to_json
from kit.errors import ConfigError

CHILD = """
import sys
from pathlib import Path
from kit.cli import main
from kit.config import PreviewConfig, from_json
from kit.cli.previews import previews
folder, config = sys.argv[1:3]
print("ready", flush=True)
previews(Path(folder), from_json(PreviewConfig, config))
"""


def test_only_allowed_hosts_are_contacted(command, server, catalogue):
    made = catalogue({"a": f"{server.url}/ok/1", "b": "", "c": "file:///etc/passwd"})
    code, out, err = command("ingest", "previews", made.folder)
    assert (code, out) == (1, "")
    assert "0 previews downloaded" in err
    assert "warning: 3 left out (" in err
    failures = read_failures(made.folder)
    assert [f.reason for f in failures] == ["refused_host", "no_preview", "not_https"]
    assert "if you trust it, add --hosts 127.0.0.1" in failures[0].message
    assert not server.connections
    assert command("ingest", "previews", made.folder, "--hosts", "127.0.0.1", "x.example")[0] == 1
    assert server.asked == {"/ok/1": 1}


def test_a_bundle_of_certificates_that_does_not_exist(command, catalogue, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem")
    code, _, err = command("ingest", "previews", catalogue({"a": ""}).folder)
    assert (code, "REQUESTS_CA_BUNDLE is /nowhere/ca.pem" in err) == (2, True)


def test_what_is_asked_for_wrongly(command, catalogue, tmp_path):
    code, _, err = command("ingest", "previews", tmp_path)
    assert code == 2
    assert "is not a catalogue" in err
    made = catalogue({"a": ""})
    code, _, err = command("ingest", "previews", made.folder, "--connections", "100")
    assert code == 2
    assert "--connections is 100; it must lie between 1 and 8" in err
    assert command("ingest")[0] == 2
    assert command("ingest", "previews", "--help")[0] == 0


@pytest.mark.parametrize(
    "bad",
    [
        {"connections": 0}, {"tries": 0}, {"max_mb": 0.0}, {"total_s": float("inf")},
        {"backoff_s": -1.0}, {"longest_wait_s": float("inf")}, {"read_s": 0.0},
        {"hosts": ("https://a.example",)}, {"hosts": ("",)},
    ],
)  # fmt: skip
def test_limits_are_checked(bad):
    with pytest.raises(ConfigError, match=f"PreviewConfig.{next(iter(bad))} is"):
        PreviewConfig(**bad)


def test_all_is_well(server, catalogue, quick, capfd):
    made = catalogue({"a": f"{server.url}/ok/1"}, feature_source="spotify")
    assert previews(made.folder, quick) == 0
    err = capfd.readouterr().err
    assert "1 previews downloaded" in err
    assert "section III.14" in err
    assert "--i-have-the-rights-to-this-audio" in err
    assert previews(made.folder, quick) == 0


def test_previews_of_what_one_does_not_own(server, catalogue, quick, tmp_path, capfd):
    """A table is matched to one's own music, the rest is downloaded, and both commands go on."""
    music = tmp_path / "music"
    music.mkdir()
    (music / "A - One.mp3").write_bytes(server.audio)
    urls = {name: f"{server.url}/ok/{name}" for name in "abc"}
    made = catalogue(urls, artists=["A", "B", "C"], title=["One", "Two", "Three"])
    assert match(made.folder, music, made.folder) == 0
    assert load(made.folder).audio_root == music
    assert previews(made.folder, quick) == 0
    assert set(server.asked) == {"/ok/b", "/ok/c"}
    assert [p.name for p in music.iterdir()] == ["A - One.mp3"]

    before = (made.folder / "tracks.csv").read_bytes()
    # The file is its row's, under its new path as well.
    assert match(made.folder, music, made.folder) == 0
    assert "0 of 0 tracks without audio" in capfd.readouterr().err
    assert previews(made.folder, quick) == 0
    assert (made.folder / "tracks.csv").read_bytes() == before
    got = load(made.folder)
    assert [got.path_of(row).is_file() for _, row in got.table.iterrows()] == [True] * 3
    assert list(got.table["audio_source"]) == ["own", "127.0.0.1", "127.0.0.1"]


def test_ctrl_c_finishes_what_is_in_flight(server, catalogue, quick):
    server.delay_s = 0.05
    made = catalogue({f"t{n:03}": f"{server.url}/ok/{n}" for n in range(200)})
    command = [sys.executable, "-c", CHILD, str(made.folder), to_json(quick)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while sum(server.served.values()) < 5:
            assert process.poll() is None
            server.closing.wait(0.02)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert "finishing the files in progress" in err
    assert process.returncode != 0
    served = sum(server.served.values())
    assert 5 <= served < 200
    assert (load(made.folder).table["path"] != "").sum() == served


def test_nothing_heavy_for_a_download():
    code = (
        "import sys, kit.ingest.previews.download, kit.cli.counts, kit.cli.interrupt; "
        "print(*{'jax', 'scipy', 'sklearn', 'matplotlib', 'tensorstore'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", code]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "\n"
