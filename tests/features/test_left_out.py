"""Tracks without features are counted by reason, with the flags that would take them."""

import dataclasses
import re

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from kit.catalogue import Failure, from_folder, load, read_failures, save
from kit.config import Experiment, FeatureConfig, SegmentConfig, frames_of
from kit.defaults import ORIGINAL_FEATURES
from kit.features import extract, left_out_in_words

CONFIG = FeatureConfig()


def short(*lengths_s):
    return [Failure("x.wav", "features", "too_short", "x", "t", length) for length in lengths_s]


def failed(reason, count):
    return [Failure("x.wav", "features", reason, "x", "t")] * count


def test_nothing_to_say():
    assert left_out_in_words([], CONFIG) is None


@pytest.mark.parametrize(
    ("failures", "config", "says"),
    [
        (
            short(9.7, 9.9, 10.1),
            ORIGINAL_FEATURES,
            "3 shorter than 29.7 s: 9.7 to 10.1 s; --features.least-s 9 takes them",
        ),
        (
            short(10.0, 10.0),
            ORIGINAL_FEATURES,
            "2 shorter than 29.7 s: 10 s; --features.least-s 10 takes them",
        ),
        # A segment takes 2.95 s.
        (
            short(2.96, 0.5, 29.0),
            ORIGINAL_FEATURES,
            "0.5 to 29 s; --features.least-s 2.95 takes 2 of them",
        ),
        (
            short(1.25, 2.0),
            CONFIG,
            "1.25 to 2 s; --features.least-s 1.2 --segments.frames 32 takes them",
        ),
        (
            short(12.0, 9.0),
            dataclasses.replace(CONFIG, offset_s=10.0),
            "9 to 12 s with the 10 s of --features.offset-s; "
            "--features.least-s 2 --segments.frames 64 takes 1 of them",
        ),
        (short(0.0), CONFIG, "1 shorter than 3 s: 0 s; a segment of 128 frames needs 2.95 s"),
        (
            failed("silent", 8),
            dataclasses.replace(CONFIG, position="start"),
            "8 silent in the excerpt (peak below -70 dBFS); "
            "--features.position middle takes other parts",
        ),
        (
            failed("silent", 1),
            CONFIG,
            "; --features.position spread --features.excerpts 3 takes other parts",
        ),
        (
            failed("cancelled", 2),
            dataclasses.replace(CONFIG, position="spread", excerpts=3),
            "2 cancelled when their channels are mixed; --features.excerpts 5 takes other parts",
        ),
        (
            failed("truncated", 2) + failed("no_audio", 1),
            CONFIG,
            "features: 3 left out (2 truncated, 1 without audio)",
        ),
    ],
)
def test_reasons_lengths_and_flags(failures, config, says):
    sentence = left_out_in_words(failures, config)
    assert sentence is not None
    assert says in sentence


def test_the_flags_do_what_the_sentence_says(tmp_path):
    (tmp_path / "music/a").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i, seconds in enumerate((1.25, 1.7)):
        y = rng.uniform(-0.5, 0.5, round(22050 * seconds))
        soundfile.write(tmp_path / f"music/a/{i}.wav", y, 22050)
    save(from_folder(tmp_path / "music"), tmp_path / "data")
    catalogue = load(tmp_path / "data")
    failures = extract(catalogue, CONFIG).failures
    assert [f.length_s for f in failures] == [1.25, 1.7]
    assert read_failures(tmp_path / "data") == failures
    says = left_out_in_words(failures, CONFIG)
    assert says == (
        "features: 2 left out (2 shorter than 3 s: 1.25 to 1.7 s; "
        "--features.least-s 1.2 --segments.frames 32 takes them)"
    )
    config = dataclasses.replace(CONFIG, least_s=1.2)
    result = extract(catalogue, config)
    assert result.failures == []
    assert result.store.frames(list(result.store.sources)).min() >= SegmentConfig(frames=32).frames


@given(lengths=st.lists(st.floats(0.1, 29.9), min_size=1, max_size=5), frames=st.integers(1, 1280))
def test_the_flags_give_an_experiment_that_takes_tracks(lengths, frames):
    segments = SegmentConfig(frames=frames)
    says = left_out_in_words(short(*lengths), ORIGINAL_FEATURES, segments)
    assert says is not None
    flags = dict(re.findall(r"--(\S+) (\S+)", says))
    least_s = float(flags["features.least-s"])
    features = dataclasses.replace(ORIGINAL_FEATURES, least_s=least_s)
    frames = int(flags.get("segments.frames", frames))
    experiment = Experiment(features=features, segments=SegmentConfig(frames=frames))
    taken = [
        s
        for s in lengths
        if frames_of(int(s * 22050), features.frontend) >= experiment.features.least_frames
    ]
    assert taken
    if "takes them" in says:
        assert taken == lengths
    else:
        assert f"takes {len(taken)} of them" in says
