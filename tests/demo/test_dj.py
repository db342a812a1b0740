"""The DJ mix: its plan, its samples, and the truth beside it."""

import csv
import itertools

import numpy as np
import pytest
import soundfile

from kit.config import MixConfig
from kit.demo.clock import SAMPLE_RATE
from kit.demo.dj import _gain, plan_mix, render_mix
from kit.demo.render import synthesise

SHORT = MixConfig(
    minutes=0.6, seed=7, shortest_s=8.0, longest_s=14.0, shortest_fade_s=2.0, longest_fade_s=4.0
)


@pytest.mark.parametrize("seed", [0, 1, 1000])
def test_a_mix_of_ninety_minutes(seed):
    cuts = plan_mix(MixConfig(seed=seed))
    assert cuts == plan_mix(MixConfig(seed=seed))
    assert len({cut.track.tempo_bpm for cut in cuts}) == 1
    assert {cut.track.label for cut in cuts} == {"techno", "edm"}
    assert len({cut.track.index for cut in cuts}) == len(cuts)
    end = cuts[-1].start + cuts[-1].samples
    assert 90 * 60 <= end / SAMPLE_RATE < 92 * 60
    bar = 16 * 15 * SAMPLE_RATE / cuts[0].track.tempo_bpm
    for one, other in itertools.pairwise(cuts):
        # They overlap for exactly the cross-fade, which begins with a bar of both.
        overlap = one.start + one.samples - other.start
        assert overlap == one.fade_out == other.fade_in
        assert 7.9 <= overlap / SAMPLE_RATE <= 60.1
        assert (other.start / bar) % 1 == pytest.approx(0, abs=1e-4) or (
            other.start / bar
        ) % 1 == pytest.approx(1, abs=1e-4)
        assert other == cuts[-1] or 119 <= other.samples / SAMPLE_RATE <= 331
    assert cuts[0].fade_in == cuts[-1].fade_out == 0


def test_another_seed_has_other_artists():
    names = [
        {cut.track.artists[0].drum_seed for cut in plan_mix(MixConfig(seed=s))} for s in (1, 2)
    ]
    assert not names[0] & names[1]


def test_the_rendered_mix_is_its_tracks_and_its_truth_tells_when(tmp_path):
    audio, truth = render_mix(SHORT, tmp_path, workers=1)
    cuts = plan_mix(SHORT)
    with truth.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == [cut.track.label for cut in cuts]
    assert [float(row["start_s"]) for row in rows] == pytest.approx(
        [cut.start / SAMPLE_RATE for cut in cuts], abs=1e-3
    )
    for one, other in itertools.pairwise(rows):
        overlap = float(one["end_s"]) - float(other["start_s"])
        assert overlap == pytest.approx(float(one["fade_out_s"]), abs=2e-3)
        assert overlap == pytest.approx(float(other["fade_in_s"]), abs=2e-3)

    want = np.zeros((2, cuts[-1].start + cuts[-1].samples), np.float32)
    for cut in cuts:
        part = synthesise(cut.track)[:, : cut.samples] * _gain(cut)
        want[:, cut.start : cut.start + cut.samples] += part
    got, rate = soundfile.read(audio, dtype="float32", always_2d=True)
    assert rate == SAMPLE_RATE
    assert len(got) == want.shape[1]
    for channel in range(2):
        assert np.corrcoef(got[:, channel], want[channel])[0, 1] > 0.98

    before = audio.stat().st_mtime_ns
    seen = []
    render_mix(SHORT, tmp_path, progress=lambda done, total: seen.append((done, total)))
    assert audio.stat().st_mtime_ns == before
    assert seen == [(len(cuts), len(cuts))]


def test_a_cross_fade_has_equal_power():
    one, other = plan_mix(SHORT)[:2]
    out, into = _gain(one)[-one.fade_out :], _gain(other)[: other.fade_in]
    np.testing.assert_allclose(out**2 + into**2, 1, atol=1e-3)
    middle = len(out) // 2
    assert out[middle] == pytest.approx(into[middle], abs=1e-3)
