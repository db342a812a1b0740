"""The probes of a run: the property that each network relies on, with no answer computed twice."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from kit.catalogue import load
from kit.cli.confounds import confounds as command
from kit.config import FeatureConfig, FrontendConfig, SegmentConfig
from kit.errors import KitError, UsageError
from kit.evaluation import evaluate
from kit.evaluation.confounds.answers import answers
from kit.evaluation.confounds.measure import confounds
from kit.evaluation.confounds.probes import UNCHANGED, probes_of
from kit.evaluation.confounds.section import section_of
from kit.training import Run, restore

RATE = 16_000
FRONTEND = FrontendConfig(sample_rate=RATE, n_fft=512, hop_length=256, n_mels=32)


def log_p(first: np.ndarray) -> np.ndarray:
    """Log-probabilities of the labels "high" and "low", of whether it is the first."""
    p = np.where(first[:, None], [0.9, 0.1], [0.1, 0.9])
    return np.log(p).astype(np.float32)


@pytest.fixture
def network(job):
    """A function: frames in dB to whether the label is "high" -> a network that answers so."""
    restored = restore(job.run)

    def made(rule, frontend, seconds=0.5):
        frames = int(seconds * RATE / 256)
        features = FeatureConfig(frontend=frontend, n_frames=frames, clip_s=seconds, least_s=0.2)
        experiment = dataclasses.replace(
            restored.experiment, features=features, segments=SegmentConfig(frames=8)
        )
        return dataclasses.replace(
            restored, experiment=experiment, _predict=lambda x: log_p(rule(x)), n_mels=32
        )

    return made


def written(folder: Path, sounds) -> list[Path | None]:
    paths: list[Path | None] = []
    for number, y in enumerate(sounds):
        paths.append(folder / f"{number}.wav")
        soundfile.write(folder / f"{number}.wav", y, RATE, subtype="FLOAT")
    return paths


def labels(network, paths, family):
    """The answers as they are, and after each probe of a family, by its name."""
    probes = (UNCHANGED, *probes_of((family,)))
    return {one.name: [label for label, _ in answers(network, paths, one)] for one in probes}


def noise(seconds=0.8, seed=0, level=0.1):
    y = np.random.default_rng(seed).standard_normal(round(seconds * RATE))
    return (level * y).astype(np.float32)


def test_a_network_that_answers_by_loudness_is_caught_by_the_level(network, tmp_path):
    # 4 dB apart, with the threshold between them.
    paths = written(tmp_path, [noise(level=0.1), noise(level=0.1 * 10 ** (-4 / 20))])
    absolute = dataclasses.replace(FRONTEND, ref=1.0, top_db=None)
    heard: list[float] = []
    plain = network(lambda x: heard.append(x.mean()) or np.ones(len(x), bool), absolute)
    for path in paths:
        answers(plain, [path], UNCHANGED)
    assert heard[0] - heard[1] == pytest.approx(4.0, abs=0.01)
    rule = network(lambda x: x.mean((1, 2)) > np.mean(heard), absolute)
    found = labels(rule, paths, "level")
    assert found["unchanged"] == ["high", "low"]
    assert found["level +6 dB"] == ["high", "high"]
    assert found["level −6 dB"] == ["low", "low"]
    # A front end whose 0 dB is the peak of the clip hears no level.
    seen = []
    deaf = network(lambda x: seen.append(x) or x.mean((1, 2)) > -20, FRONTEND)
    found = labels(deaf, paths, "level")
    assert found["level +6 dB"] == found["level −6 dB"] == found["unchanged"]
    for changed in seen[1:]:
        np.testing.assert_allclose(changed, seen[0], atol=0.01)


def test_a_network_that_hears_only_hi_hats_is_caught_by_the_low_pass(network, tmp_path):
    bass = 0.2 * np.sin(2 * np.pi * 110 * np.arange(round(0.8 * RATE)) / RATE)
    hats = noise(level=0.05)
    hats = hats - np.convolve(hats, np.ones(4) / 4, "same")
    paths = written(tmp_path, [bass + hats, bass])
    # The upper bands within 60 dB of the peak.
    rule = network(lambda x: x[:, :, -4:].mean((1, 2)) > -50, FRONTEND)
    found = labels(rule, paths, "band")
    assert found["unchanged"] == found["high-pass 200 Hz"] == ["high", "low"]
    assert found["low-pass 4 kHz"] == ["low", "low"]


def test_later_excerpts_are_as_long_as_before_where_the_file_goes_on(network, tmp_path):
    lengths: list[int] = []
    rule = network(lambda x: lengths.append(len(x)) or np.ones(len(x), bool), FRONTEND)
    # The middle half second of 3 s, and of 1 s: a second later there is enough, or nothing.
    paths = written(tmp_path, [noise(3.0), noise(1.0)])
    assert labels(rule, paths[:1], "start")["start 1 s later"] == ["high"]
    assert lengths[0] == lengths[1] > 1
    later = probes_of(("start",))[0]
    assert answers(rule, paths[1:], later) == [(None, "too_short")]
    fast, slow, _ = probes_of(("tempo",))
    lengths.clear()
    assert answers(rule, paths[:1], fast) == answers(rule, paths[:1], slow) == [("high", "")]
    assert lengths[0] == lengths[1]


def test_files_that_cannot_be_heard_have_a_reason(network, tmp_path):
    (tmp_path / "text.wav").write_text("no sound")
    rule = network(lambda x: np.ones(len(x), bool), FRONTEND)
    paths = [None, tmp_path / "gone.wav", tmp_path / "text.wav", *written(tmp_path, [noise()])]
    found = answers(rule, paths, UNCHANGED)
    assert [label for label, _ in found] == [None, None, None, "high"]
    assert found[0][1] == "no_file"
    assert all(why for _, why in found[:3])


@pytest.fixture(scope="module")
def probed(job, tmp_path_factory):
    """A copy of the small job's run, evaluated, and its probes of level and band."""
    run = Run(Path(shutil.copytree(job.run, tmp_path_factory.mktemp("probed") / "run")))
    calls = []
    evaluation = evaluate(run, report=False)
    found = confounds(run, families=("level", "band"), progress=lambda *at: calls.append(at))
    return run, evaluation, found, calls


def test_the_unchanged_answers_are_those_of_the_evaluation(probed):
    run, evaluation, found, calls = probed
    assert found == json.loads((run.folder / "confounds.json").read_text())
    assert [t["track_id"] for t in found["tracks"]] == [t["track_id"] for t in evaluation["tracks"]]
    predicted = {t["track_id"]: t["predicted"] for t in evaluation["tracks"]}
    assert found["answers"]["unchanged"] == predicted
    assert found["unchanged"]["accuracy"] == pytest.approx(evaluation["track"]["accuracy"])
    assert found["checkpoint"] == evaluation["checkpoint"]
    # The front end ends at 4 kHz.
    assert set(found["not_heard"]) == {"low-pass 4 kHz", "low-pass 10 kHz"}
    names = ["level +6 dB", "level −6 dB", "high-pass 200 Hz"]
    assert [row["probe"] for row in found["probes"]] == names
    assert calls[-1] == (16, 16, "high-pass 200 Hz")
    assert "2 groups" in found["said"]


def test_answered_probes_are_not_answered_again(probed, monkeypatch):
    run, _, found, _ = probed
    calls = []
    again = confounds(run, families=("level", "start"), progress=lambda *at: calls.append(at))
    assert {name for *_, name in calls} == {"start 1 s later", "start 5 s later"}
    assert again["answers"].items() >= found["answers"].items()
    # Of some of the tracks, nothing is new.
    calls.clear()
    few = confounds(
        run, tracks=1, seed=1, families=("band",), progress=lambda *at: calls.append(at)
    )
    assert calls == []
    assert len(few["tracks"]) == few["n"] == 2
    assert len({track["group"] for track in few["tracks"]}) == 1
    assert few["answers"] == again["answers"]
    # One track alone is new.
    path = run.folder / "confounds.json"
    content = json.loads(path.read_text())
    gone = content["tracks"][0]["track_id"]
    del content["answers"]["level +6 dB"][gone]
    path.write_text(json.dumps(content))
    rest = confounds(run, families=("start",), tracks=100)
    assert "level +6 dB" not in [row["probe"] for row in rest["probes"]]
    last = confounds(run, families=("level",), progress=lambda *at: calls.append(at))
    assert calls == [(1, 1, "level +6 dB")]
    assert last["answers"] == again["answers"]


def test_a_report_of_the_same_checkpoint_shows_them(probed):
    run, evaluation, *_ = probed
    found = confounds(run, families=("level",))
    evaluate(run)
    page = (run.folder / "report.html").read_text(encoding="utf-8")
    assert '<h2 id="confounds">' in page
    section = section_of(run.folder, evaluation)
    assert section.said == found["said"]
    (table,) = section.tables
    assert [row[0] for row in table.rows] == ["unchanged", *(r["probe"] for r in found["probes"])]
    assert all(len(row) == len(table.columns) for row in table.rows)
    assert "the front end ends at 4000 Hz" in section.note
    other = evaluation | {"checkpoint": {"step": 1, "which": "best"}}
    assert section_of(run.folder, other) is None
    assert section_of(run.folder, evaluation | {"part": "train"}) is None
    assert section_of(run.folder / "gone", evaluation) is None


def test_the_command_prints_a_table_and_draws_a_figure(probed, capsys):
    run, *_ = probed
    assert command(run.folder, probes=("level",)) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0].split()[:3] == ["probe", "tracks", "accuracy"]
    assert [line[:11].strip() for line in lines[1:4]] == ["unchanged", "level +6 dB", "level −6 dB"]
    assert "2 groups of tracks are too few" in lines[-1]
    assert "`kit evaluate` shows it" in err
    assert (run.folder / "confounds.png").read_bytes()[1:4] == b"PNG"
    drawn = (run.folder / "confounds.svg").read_text()
    assert drawn.count("<image") == 0


def test_what_cannot_be_probed_is_refused(job, probed, tmp_path):
    run, *_ = probed
    with pytest.raises(UsageError, match="there is no probe 'echo'; the probes: tilt, level"):
        confounds(run, families=("echo",))
    with pytest.raises(UsageError, match="is not a folder"):
        confounds(run, catalogue=tmp_path / "gone")
    data = Path(shutil.copytree(job.catalogue, tmp_path / "data"))
    moved = dataclasses.replace(load(data), audio_root=tmp_path)
    copy = Run(Path(shutil.copytree(job.run, tmp_path / "run")))
    with pytest.raises(KitError, match=r"none of the 4 tracks .* can be decoded \(4 unreadable\)"):
        confounds(copy, catalogue=moved, families=("level",))


def test_a_file_that_is_back_is_answered(job, tmp_path):
    music = Path(shutil.copytree(job.music, tmp_path / "music"))
    moved = dataclasses.replace(load(job.catalogue), audio_root=music)
    copy = Run(Path(shutil.copytree(job.run, tmp_path / "run")))
    split = copy.split().query("part == 'test'")
    row = moved.table.set_index("track_id").loc[split["track_id"].iloc[0]]
    away = (music / row["path"]).rename(tmp_path / "away.flac")
    found = confounds(copy, catalogue=moved, families=("level",))
    assert found["left_out"] == {"unreadable": 1}
    assert found["n"] == found["probes"][0]["n"] == 3
    away.rename(music / row["path"])
    calls = []
    found = confounds(
        copy, catalogue=moved, families=("level",), progress=lambda *at: calls.append(at)
    )
    assert found["left_out"] == {}
    assert found["n"] == 4
    assert calls[-1][:2] == (3, 3)
