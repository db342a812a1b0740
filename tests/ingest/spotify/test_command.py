"""`kit ingest spotify`, as a person types it."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading

import pytest

from kit.catalogue import Failure, load, read_failures, write_failures
from kit.catalogue.io import write_table
from kit.cli import main
from kit.ingest.spotify.playlist import NOTICE
from tests.ingest.spotify.server import entry, episode, error, features, id_of, local

TECHNO, EDM = "37i9dQZF1DX6J5NfMJS675", "37i9dQZF1DX8tZsk68tuDw"
ROWS = {
    TECHNO: [*(entry(n) for n in range(60)), local(), entry(3)],
    EDM: [*(entry(n) for n in range(58, 100)), episode()],
}
FEATURES = {id_of(n): features(n) for n in range(100)}


@pytest.fixture
def kit(monkeypatch, capfd, tmp_path):
    """Run a command line in this process against a server; exit code, stdout and stderr lines."""

    def run(server, *arguments):
        for key, value in server.environment.items():
            monkeypatch.setenv(key, value)
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
        monkeypatch.setattr(sys, "argv", ["kit", "ingest", "spotify", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as caught:
            main()
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        assert out == ""
        return int(caught.value.code or 0), err.splitlines()

    return run


def test_two_playlists_make_one_catalogue(kit, serve, tmp_path):
    playlists = {name: list(rows) for name, rows in ROWS.items()}
    server, out = serve(playlists, features=FEATURES), tmp_path / "data/two"
    code, lines = kit(server, TECHNO, "--label", "techno", "--out", out)
    assert code == 1
    assert lines == [
        f"note: {NOTICE}",
        f"60 tracks (60 techno) in {out / 'tracks.csv'}",
        "the catalogue has one label; add a playlist with another one and the same --out",
        f"warning: 2 left out (1 local, 1 duplicate); see {out / 'failures.csv'}",
    ]
    files = [".ingest.lock", "catalogue.json", "failures.csv", "tracks.csv"]
    assert sorted(p.name for p in out.iterdir()) == files

    code, lines = kit(server, f"spotify:playlist:{EDM}", "--label", "edm", "--out", out)
    assert code == 1
    # The notice was shown, and stays with the catalogue.
    assert lines == [
        f"100 tracks (60 techno, 40 edm) in {out / 'tracks.csv'}",
        f"warning: 3 left out (2 two_labels, 1 episode); see {out / 'failures.csv'}",
    ]
    catalogue = load(out)
    assert catalogue.notices == (NOTICE,)
    assert catalogue.audio_root.resolve() == out.resolve() / "audio"
    assert catalogue.table["track_id"].tolist() == [id_of(n) for n in range(100)]
    assert catalogue.table["label"].tolist() == ["techno"] * 60 + ["edm"] * 40
    assert catalogue.table["tempo"].tolist() == [120.0 + n % 30 for n in range(100)]
    reasons = [(f.stage, f.reason) for f in read_failures(out)]
    assert reasons == [
        ("ingest", r) for r in ("local", "duplicate", "episode", *["two_labels"] * 2)
    ]

    # Once more, nothing changes but what the playlist has become.
    before = (out / "tracks.csv").read_bytes()
    del playlists[TECHNO][-2:]
    code, lines = kit(server, TECHNO, "--label", "techno", "--out", out)
    assert (code, lines) == (0, [f"100 tracks (60 techno, 40 edm) in {out / 'tracks.csv'}"])
    assert (out / "tracks.csv").read_bytes() == before
    assert [f.reason for f in read_failures(out)] == ["episode", "two_labels", "two_labels"]


def test_a_catalogue_of_ones_own_music_is_added_to(kit, serve, tmp_path, write_music):
    from kit.catalogue import from_folder, save

    music = write_music(tmp_path / "music", per_label=2)
    (music / "high/no.mp3").write_text("no audio")
    shutil.copy(music / "low/00.flac", music / "low/copy.flac")
    out = tmp_path / "d"
    save(from_folder(music), out)
    write_failures(out, "features", [Failure("a", "features", "too_short", "m")])
    before = load(out)
    server = serve({TECHNO: [entry(1)]}, features=None)
    assert kit(server, TECHNO, "--label", "techno", "--out", out)[0] == 0
    after = load(out)
    assert after.table["label"].tolist() == ["high", "high", "low", "low", "low", "techno"]
    assert after.table["path"][:5].tolist() == before.table["path"].tolist()
    assert after.path_of(after.table.iloc[0]).exists()
    assert [f.stage for f in read_failures(out)] == ["scan", "features"]
    twins = [after.table["track_id"][at] for at in (2, 4)]
    assert json.loads((out / "catalogue.json").read_text())["duplicates"] == [twins]


def test_a_new_app(kit, serve, tmp_path):
    code, lines = kit(serve(ROWS), EDM, "--label", "edm", "--out", tmp_path / "d")
    assert code == 1
    assert sum("refuses audio features to this app" in line for line in lines) == 1
    assert load(tmp_path / "d").table["feature_source"].tolist() == [""] * 42


def test_a_refusal_is_one_line_and_leaves_no_catalogue(kit, serve, tmp_path):
    code, lines = kit(serve({}), EDM, "--label", "edm", "--out", tmp_path / "d")
    assert code == 1
    assert len(lines) == 2
    assert lines[1].startswith("kit: Spotify knows no playlist")
    assert [p.name for p in (tmp_path / "d").iterdir()] == [".ingest.lock"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("no playlist", "--label", "x"),
        (TECHNO, "--label", "a/b"),
        (TECHNO, "--label", "x", "--market", "Germany"),
    ],
)
def test_usage(kit, serve, tmp_path, arguments):
    server = serve(ROWS)
    code, lines = kit(server, *arguments, "--out", tmp_path / "d")
    assert code == 2
    assert lines[-1].startswith("kit: ")
    assert server.requests == []
    assert not (tmp_path / "d").exists()


def test_a_folder_that_is_broken_is_said_before_anything_is_asked(kit, serve, tmp_path):
    (tmp_path / "catalogue.json").write_text("{}")
    server = serve(ROWS)
    code, lines = kit(server, TECHNO, "--label", "x", "--out", tmp_path)
    assert (code, len(lines)) == (2, 1)
    assert server.requests == []


def command_line(server, tmp_path, *arguments):
    """The same in a process of its own: its command and its environment."""
    environment = os.environ | server.environment | {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    return [sys.executable, "-m", "kit", "ingest", "spotify", *map(str, arguments)], environment


def test_a_second_at_once_is_refused(kit, serve, tmp_path):
    out = tmp_path / "d"
    edm = (EDM, "--label", "edm", "--out", out)
    first, second = serve(ROWS, features=FEATURES), serve(ROWS, features=FEATURES)
    told = []

    def fault(request, number):
        if number == 2:
            command, environment = command_line(second, tmp_path, *edm)
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, timeout=60
            )
            told.append((done.returncode, done.stderr))

    first.fault = fault
    kit(first, TECHNO, "--label", "techno", "--out", out)
    sentence = f"kit: another run adds a playlist to {out / '.ingest'}; wait until it has ended"
    assert told == [(1, f"{sentence}, or stop it\n")]
    assert second.requests == []
    assert load(out).table["label"].value_counts().to_dict() == {"techno": 60}
    kit(second, *edm)
    assert load(out).table["label"].value_counts().to_dict() == {"techno": 60, "edm": 40}


def test_one_that_was_killed_keeps_nobody_out(kit, serve, tmp_path):
    server, heard, killed = serve(ROWS, features=FEATURES), threading.Event(), threading.Event()

    def fault(request, number):
        if number == 3:
            heard.set()
            killed.wait(60)

    server.fault = fault
    arguments = (TECHNO, "--label", "techno", "--out", tmp_path / "d")
    command, environment = command_line(server, tmp_path, *arguments)
    with subprocess.Popen(command, env=environment) as process:
        try:
            assert heard.wait(60)
            code, lines = kit(server, *arguments)
            assert (code, "another run" in lines[-1]) == (1, True)
        finally:
            process.kill()
            process.wait()
            killed.set()
    assert kit(server, *arguments)[1][1].startswith("60 tracks")


def test_what_another_command_changes_meanwhile_stays(kit, serve, tmp_path):
    """The catalogue is read when it is written, not when the pages begin to come."""
    out, server = tmp_path / "d", serve(ROWS, features=FEATURES)
    kit(server, TECHNO, "--label", "techno", "--out", out)

    def fault(request, number):
        if "/v1/" in request.path:
            write_table(load(out).table.assign(mine="x"), out)

    server.fault = fault
    kit(server, EDM, "--label", "edm", "--out", out)
    table = load(out).table
    assert table["mine"].tolist()[:60] == ["x"] * 60
    assert len(table) == 100


def test_the_stage_imports_nothing_that_it_does_not_need():
    needless = {"jax", "flax", "scipy", "sklearn", "matplotlib", "tensorstore"}
    code = "import sys, kit.ingest.spotify.playlist, kit.cli.counts; "
    code += f"print(*{needless} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"


def test_help_is_instant():
    code = """if True:
        import sys
        from kit.cli import main
        for arguments in (["ingest"], ["ingest", "spotify"]):
            sys.argv = ["kit", *arguments, "--help"]
            try:
                main()
            except SystemExit as stop:
                assert not stop.code
        assert not {"pandas", "numpy", "requests", "spotipy", "jax"} & set(sys.modules)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr == ""
    assert "PLAYLIST" in done.stdout.upper()


def test_stopped_by_ctrl_c_it_starts_again(serve, tmp_path):
    """A real process, interrupted while it waits for a rate limit, shows why it waits."""
    import pty
    import select
    import signal

    def fault(request, number):
        if "offset=50" in request.query_string.decode():
            return error(429, "limit", **{"Retry-After": "600"})
        return None

    server = serve(ROWS, features=FEATURES, fault=fault)
    environment = os.environ | server.environment | {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    # Whoever runs the tests in the background has it ignored, and children inherit that.
    heeding = "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    heeding += "runpy.run_module('kit', run_name='__main__', alter_sys=True)"
    command = [sys.executable, "-c", heeding, "ingest", "spotify", TECHNO]
    command += ["--label", "techno", "--out", str(tmp_path / "d")]
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        command,
        env=environment | {"TERM": "xterm", "COLUMNS": "200"},
        stderr=theirs,
    ) as process:
        try:
            os.close(theirs)
            shown = b""
            # The seconds go down while one looks at them.
            while len(set(re.findall(rb"asked to wait: (\d+) s", shown))) < 2:
                assert select.select([ours], [], [], 30)[0], shown
                shown += os.read(ours, 4096)
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 130
        finally:
            process.kill()
            os.close(ours)
    server.fault = None
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "60 tracks" in done.stderr
    notes = json.loads((tmp_path / "d/catalogue.json").read_text())["notices"]
    assert notes == [NOTICE]
