"""`kit write`, from predictions to tags, playlists and XML, and back."""

import json

import numpy as np
import pytest
import soundfile

from kit.write.tags import genre_of


@pytest.fixture
def answers(tmp_path):
    """Predictions of three files: techno, an uncertain house, and one that is gone."""
    rows = []
    for seed, (name, label, doubt) in enumerate(
        [("a.flac", "techno", False), ("b.flac", "house", True), ("gone.flac", "house", False)]
    ):
        path = tmp_path / name
        if "gone" not in name:
            soundfile.write(path, 0.1 * np.random.default_rng(seed).standard_normal(3000), 8000)
        rows.append({"path": str(path), "start_s": 0.0, "label": label, "uncertain": doubt})
    (tmp_path / "new.json").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path / "new.json"


def test_tags(answers, command):
    folder = answers.parent
    before = (folder / "a.flac").read_bytes()
    code, out, err = command("write", answers, "--to", "tags")
    assert code == 1
    assert out.split("\n")[1].split() == ["–", "techno", str(folder / "a.flac")]
    assert "gone.flac does not exist" in err
    assert "1 uncertain predictions left out" in err
    assert "1 changes, none written yet; add --apply" in err
    assert (folder / "a.flac").read_bytes() == before

    code, _, err = command("write", answers, "--to", "tags", "--apply", "--uncertain")
    assert code == 1
    assert f"wrote 2 genres; {answers}.genres-before.json has the old genres" in err
    assert [genre_of(folder / name) for name in ("a.flac", "b.flac")] == [("techno",), ("house",)]

    code, out, _ = command("write", answers, "--to", "tags", "--undo")
    assert (code, len(out.splitlines())) == (0, 3)
    assert genre_of(folder / "a.flac") == ("techno",)
    code, _, err = command("write", answers, "--to", "tags", "--undo", "--apply")
    assert (code, "wrote 2 genres" in err) == (0, True)
    assert [genre_of(folder / name) for name in ("a.flac", "b.flac")] == [(), ()]
    code, _, err = command("write", answers, "--to", "tags", "--undo", "--apply")
    assert (code, f"there is no backup {answers}.genres-before.json" in err) == (2, True)


@pytest.mark.parametrize(("to", "out"), [("m3u", "lists"), ("rekordbox", "lists/kit.xml")])
def test_playlists(answers, command, to, out):
    folder = answers.parent
    arguments = ("write", answers, "--to", to, "--out", folder / out)
    code, table, err = command(*arguments)
    assert (code, "none written yet" in err) == (1, True)
    assert table.splitlines()[1].split()[:2] == ["techno", "1"]
    assert not (folder / "lists").exists()
    code, _, _ = command(*arguments, "--apply")
    assert code == 1
    (file,) = (folder / "lists").iterdir()
    code, _, err = command("scan", file, "--out", folder / "again")
    assert (code, "1 track (1 techno)" in err) == (0, True)
    assert command(*arguments, "--apply", "--uncertain")[0] == 1  # replaces its own
    file.write_text("a collection of somebody")
    for more in ((), ("--apply",)):
        code, _, err = command(*arguments, *more)
        assert (code, f"{file} was not written by kit write; give another --out" in err) == (
            2,
            True,
        )
    assert file.read_text() == "a collection of somebody"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ("--to", "tags", "--out", "x"),
            "--out is x, but tags are written to the files; leave it out",
        ),
        (("--to", "m3u"), "--to m3u needs --out, the folder"),
        (("--to", "rekordbox"), "--to rekordbox needs --out, the XML file"),
        (("--to", "m3u", "--out", "x", "--undo"), "--undo is for --to tags; leave it out"),
        (("--to", "m3u", "--out", "x", "--keep-time"), "--keep-time is for --to tags"),
    ],
)
def test_a_request_that_cannot_be_met(command, tmp_path, arguments, says):
    code, _, err = command("write", tmp_path / "new.json", *arguments)
    assert (code, says in err) == (2, True)
