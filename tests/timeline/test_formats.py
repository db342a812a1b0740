"""Sections of answers, and what programs read of them."""

import csv
import io
import json
import re

import numpy as np
import pytest

from kit.timeline import formats
from kit.timeline.joins import Fade
from kit.timeline.listen import Answers
from kit.timeline.tempo import Tempo
from kit.timeline.timeline import Join, assembled

LABELS = ("edm", 'te"ch\nno')


@pytest.fixture
def mix():
    """Three minutes of each label and of the first again, with an uncertain passage in between."""
    start = np.arange(0, 540, 1.5)
    first = (start < 180) | (start >= 360)
    logit = np.where(first, 3.0, -3.0)
    logit[(start > 60) & (start < 110)] = 0.1
    logs = np.stack([-np.logaddexp(0, -logit), -np.logaddexp(0, logit)], axis=1).astype(np.float32)
    answers = Answers(541.0, start, start + 3.0, logs)
    tempo = tuple(Tempo(t, 120.0 + (t > 180)) for t in np.arange(8.0, 530, 5))
    # One of the two changes of the label is a join that was found by sound.
    return assembled("some/mix.mp3", LABELS, answers, fades=[Fade(175.0, 20.0)], tempo=tempo)


def test_sections_cover_the_file(mix):
    assert [one.label for one in mix.sections] == [LABELS[0], LABELS[1], LABELS[0]]
    assert mix.sections[0].start_s == 0
    assert mix.sections[-1].end_s == 541.0
    assert [one.end_s for one in mix.sections[:-1]] == [one.start_s for one in mix.sections[1:]]
    assert [one.start_s for one in mix.sections[1:]] == pytest.approx([175, 360], abs=3)
    assert mix.sections[1].start_s == 175.0  # the join, and not the change of the label beside it
    assert mix.joins == (Join(175.0, 20.0, *LABELS),)
    assert min(one.confidence for one in mix.sections) > 0.9
    assert mix.bpm_of(mix.sections[0]) == 120.0
    assert mix.bpm_of(mix.sections[1]) == 121.0
    # 50 s of 180, seen in 30 s at a time.
    assert 0.1 < mix.sections[0].uncertain < 0.4
    assert mix.sections[1].uncertain < 0.1


def test_a_given_duration_joins_short_sections():
    start = np.arange(0, 300, 1.5)
    logit = np.where((start > 100) & (start < 130), -2.0, 2.0)
    logs = np.stack([-np.logaddexp(0, -logit), -np.logaddexp(0, logit)], axis=1).astype(np.float32)
    answers = Answers(301.5, start, start + 3.0, logs)
    assert len(assembled("a", LABELS, answers, stay_s=36000.0).sections) == 1
    assert len(assembled("a", LABELS, answers, stay_s=10.0).sections) == 3


def test_a_join_divides_two_tracks_of_one_label():
    start = np.arange(0, 300, 1.5)
    logs = np.log(np.array([[0.9, 0.1]] * len(start), np.float32))
    answers = Answers(301.5, start, start + 3.0, logs)
    found = assembled("a", LABELS, answers, fades=[Fade(120.0, 16.0)])
    assert [(s.start_s, s.end_s) for s in found.sections] == [(0.0, 120.0), (120.0, 301.5)]
    assert found.joins == (Join(120.0, 16.0, LABELS[0], LABELS[0]),)


def test_json_has_everything(mix):
    value = json.loads(formats.to_json(mix))
    assert value["labels"] == list(LABELS)
    assert len(value["sections"]) == 3
    assert value["sections"][0]["label"] == LABELS[0]
    assert value["joins"] == [
        {"time_s": 175.0, "fade_s": 20.0, "before": LABELS[0], "after": LABELS[1]}
    ]
    assert (
        len(value["times_s"]) == len(value["uncertain"]) == len(value["probabilities"][LABELS[1]])
    )
    assert value["tempo"][0] == {"time_s": 8.0, "bpm": 120.0, "second_bpm": None}


def test_csv_has_a_row_a_section(mix):
    rows = list(csv.DictReader(io.StringIO(formats.to_csv(mix))))
    assert [row["label"] for row in rows] == [LABELS[0], LABELS[1], LABELS[0]]
    assert float(rows[1]["start_s"]) == 175.0
    assert rows[1]["bpm"] == "121.0"


def test_audacity_has_three_fields_a_line(mix):
    lines = formats.to_audacity(mix).splitlines()
    assert len(lines) == 3
    for line, one in zip(lines, mix.sections, strict=True):
        start, end, text = line.split("\t")
        assert float(start) == pytest.approx(one.start_s, abs=1e-5)
        assert float(end) == pytest.approx(one.end_s, abs=1e-5)
        assert text.startswith(" ".join(one.label.split()))


def test_a_cue_sheet_counts_frames(mix):
    text = formats.to_cue(mix)
    assert text.startswith('FILE "mix.mp3" MP3\n')
    times = re.findall(r"INDEX 01 (\d\d+):(\d\d):(\d\d)\n", text)
    seconds = [60 * int(m) + int(s) + int(f) / 75 for m, s, f in times]
    assert seconds == pytest.approx([one.start_s for one in mix.sections], abs=1 / 75)
    titles = re.findall(r'TITLE "([^"]*)"\n', text)
    assert titles[1].startswith("te'ch no")
    assert re.findall(r"TRACK (\d\d) AUDIO", text) == ["01", "02", "03"]


def test_subtitles_are_numbered_and_timed(mix):
    blocks = formats.to_srt(mix).strip().split("\n\n")
    assert [block.split("\n")[0] for block in blocks] == ["1", "2", "3"]
    assert blocks[2].split("\n")[1].endswith("--> 00:09:01,000")
    assert all(len(block.split("\n")) == 3 for block in blocks)


def test_a_table_to_read(mix):
    text = formats.to_table(mix)
    assert len(text.splitlines()) == 3
    assert "120.0 bpm" in text
    assert "uncertain" in text


@pytest.mark.parametrize(("seconds", "said"), [(0.0, "0:00"), (61.9, "1:01"), (5400.0, "1:30:00")])
def test_clock(seconds, said):
    assert formats.clock(seconds) == said
