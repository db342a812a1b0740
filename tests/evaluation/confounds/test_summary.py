"""The numbers and the words of probes, against counts made by hand."""

import numpy as np
import pytest

from kit.evaluation.confounds.summary import summary

GROUPS = 20
TRACKS = [
    {"label": "ab"[group % 2], "group": f"artist {group}", "track_id": f"{group}-{number}"}
    for group in range(GROUPS)
    for number in range(2)
]
TRUE = [track["label"] for track in TRACKS]


def wrong(answers, at):
    """The answers with those at some places turned round."""
    return [{"a": "b", "b": "a"}[x] if i in at else x for i, x in enumerate(answers)]


def row(found, name):
    return next(row for row in found["probes"] if row["probe"] == name)


def test_flips_are_counted_both_ways_and_the_change_is_their_difference():
    before = wrong(TRUE, {0, 1, 10})
    after = wrong(TRUE, {1, 20, 21, 22})
    found = summary(TRACKS, {"unchanged": before, "level +6 dB": after})
    one = row(found, "level +6 dB")
    assert found["unchanged"]["correct"] == 37
    assert (one["right_to_wrong"], one["wrong_to_right"], one["other_answers"]) == (3, 2, 5)
    assert one["correct"] == 36
    assert one["change"] == pytest.approx(-1 / 40)
    low, high = one["change_interval"]
    assert low < -1 / 40 < high
    assert not one["moves"]
    assert found["said"].startswith("None of these 1 changes moves the accuracy of 92.5%")


def test_what_moves_beyond_its_interval_is_what_the_network_leans_on():
    found = summary(
        TRACKS,
        {
            "unchanged": wrong(TRUE, {3}),
            "low-pass 4 kHz": wrong(TRUE, set(range(0, 40, 2))),
            "level +6 dB": wrong(TRUE, {3, 7}),
        },
    )
    assert row(found, "low-pass 4 kHz")["moves"]
    assert not row(found, "level +6 dB")["moves"]
    assert "1 of 2 changes moves the accuracy of 97.5%" in found["said"]
    assert found["said"].endswith("The network relies on sound above 4 kHz.")
    assert "low-pass 4 kHz (−47.5 points)" in found["said"]
    # Two probes: each at half of 5%.
    assert found["confidence"] == pytest.approx(0.975)


def test_where_the_control_moves_no_tempo_and_no_pitch_is_named():
    half = wrong(TRUE, set(range(0, 40, 2)))
    names = ("tempo +6%", "pitch −1 semitone")
    alone = {"unchanged": TRUE, **dict.fromkeys(names, half)}
    assert summary(TRACKS, alone)["said"].endswith("relies on the tempo and the pitch.")
    found = summary(TRACKS, {**alone, "tempo there and back": half})
    assert found["said"].endswith("relies on sharp attacks (a phase vocoder blurs them).")
    faster = summary(TRACKS, {**alone, "tempo there and back": half, "speed +6%": half})
    assert "sharp attacks (a phase vocoder blurs them) and tempo and pitch" in faster["said"]


def test_a_change_that_all_groups_share_needs_no_interval():
    found = summary(TRACKS, {"unchanged": TRUE, "pitch +1 semitone": wrong(TRUE, range(40))})
    one = row(found, "pitch +1 semitone")
    assert one["change"] == -1
    assert one["change_interval"] is None
    assert one["moves"]
    assert "relies on the pitch" in found["said"]
    better = summary(TRACKS, {"unchanged": wrong(TRUE, range(40)), "pitch +1 semitone": TRUE})
    assert "is more accurate with pitch +1 semitone" in better["said"]


def test_few_groups_claim_nothing():
    few = TRACKS[:22]
    found = summary(few, {"unchanged": TRUE[:22], "level −6 dB": wrong(TRUE[:22], range(22))})
    assert not row(found, "level −6 dB")["moves"]
    assert found["said"].startswith("11 groups of tracks are too few")
    assert "level −6 dB: −100.0 points" in found["said"]


def test_tracks_without_an_answer_are_in_no_pair():
    silent: list[str | None] = [None, *TRUE[1:]]
    after = [*TRUE[:-1], None]
    found = summary(TRACKS, {"unchanged": silent, "start 5 s later": after})
    assert found["n"] == 39
    assert row(found, "start 5 s later")["n"] == 38
    none: list[str | None] = [None] * 40
    without = summary(TRACKS, {"unchanged": TRUE, "start 5 s later": none})
    assert without["probes"] == []
    assert without["said"] == "No change of the sound was tested."


def test_under_no_effect_seldom_a_probe_moves():
    rng = np.random.default_rng(0)
    moved = 0
    for _ in range(20):
        before, after = (wrong(TRUE, set(rng.choice(40, 6, replace=False))) for _ in range(2))
        found = summary(TRACKS, {"unchanged": before, "level +6 dB": after})
        moved += any(one["moves"] for one in found["probes"])
    assert moved <= 3
