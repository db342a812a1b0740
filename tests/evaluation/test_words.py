"""The sentences that the terminal shows, word for word."""

import pytest

from kit.config import FeatureConfig, FrontendConfig
from kit.evaluation.words import evaluation_in_words, features_command


def level(correct, n, interval, baseline=0.5):
    return {
        "correct": correct,
        "n": n,
        "accuracy": correct / n,
        "interval": interval,
        "majority_label": "edm",
        "majority_accuracy": baseline,
    }


GUESS = "always guessing the most frequent training label, “edm”, gives 50.0%."


def test_too_few_tracks_are_said_with_interval_and_baseline():
    result = {"part": "test", "track": level(2, 6, [0.097, 0.7])}
    assert evaluation_in_words(result) == [
        f"2 of 6 test tracks right: 33.3% (95% interval 9.7–70.0%); {GUESS}",
        "Too few tracks to tell this from guessing.",
    ]


@pytest.mark.parametrize(
    ("interval", "said"),
    [
        ([0.51, 0.9], "The network is better than guessing."),
        ([0.1, 0.49], "The network is worse than guessing."),
        ([0.5, 0.9], "Too few tracks to tell this from guessing."),
        (None, "Too few tracks to tell this from guessing."),
    ],
)
def test_the_verdict_compares_the_interval_with_guessing(interval, said):
    assert said in evaluation_in_words({"part": "test", "track": level(6, 10, interval)})


def test_fewer_than_12_groups_make_no_claim():
    result = {"part": "test", "grouped_by": "artist", "track": level(6, 10, [0.51, 0.9])}
    result["track"]["groups"] = 6
    assert evaluation_in_words(result)[1] == (
        "6 groups of artists: too few for a claim, which needs 12; --split.folds 5 scores every "
        "track."
    )
    result["track"]["groups"] = 12
    assert evaluation_in_words(result)[1] == "The network is better than guessing."


def test_what_is_not_scored_and_what_was_kept_apart_is_said():
    result = {
        "part": "test",
        "track": level(6, 10, [0.51, 0.9]),
        "not_scored": {"no_features": 2, "not_in_catalogue": 0},
        "features_command": "kit features data/x",
        "kept_apart": {"alone": 36, "in_words": "36 of 36 tracks have no artist"},
    }
    assert evaluation_in_words(result)[2:] == [
        "2 of the 12 test tracks could not be scored: 2 without features (run `kit features "
        "data/x`; failures.csv names the rest).",
        "36 of 36 tracks have no artist.",
    ]


def test_another_collection_is_told_nothing_of_the_split():
    result = {
        "part": "all",
        "track": level(6, 10, [0.51, 0.9]),
        "another_collection": True,
        "kept_apart": {"alone": 36, "in_words": "36 of 36 tracks have no artist"},
    }
    assert evaluation_in_words(result)[1:] == [
        "The network is better than guessing.",
        "This is another collection: none of its tracks was used for training.",
    ]


def test_tracks_that_were_learned_from_are_no_success():
    seen = {"train": 27, "validation": 3, "unseen": 6}
    result = {"part": "all", "track": level(30, 36, [0.7, 0.9]), "seen": seen}
    assert evaluation_in_words(result | {"unseen": {"track": level(2, 6, [0.097, 0.7])}}) == [
        "27 of these 36 tracks were used for training: this does not measure accuracy.",
        f"Unseen tracks alone: 2 of 6 right, 33.3% (95% interval 9.7–70.0%); {GUESS}",
    ]
    seen = {"train": 27, "validation": 0, "unseen": 0}
    result = {"part": "train", "track": level(27, 27, [0.9, 1.0]), "seen": seen}
    assert evaluation_in_words(result) == [
        "All 27 tracks were used for training: this does not measure accuracy."
    ]


def test_the_command_has_the_flags_that_differ_from_the_defaults(tmp_path):
    assert features_command(tmp_path, FeatureConfig()) == f"kit features {tmp_path}"
    config = FeatureConfig(
        frontend=FrontendConfig(sample_rate=8000, fmax=3000.0, compression="pcen"),
        least_s=None,
        clip_s=90.0,
    )
    assert features_command(tmp_path / "my music", config) == (
        f"kit features '{tmp_path / 'my music'}' --features.frontend.sample-rate 8000 "
        "--features.frontend.fmax 3000.0 --features.frontend.compression pcen "
        "--features.clip-s 90.0 --features.least-s None"
    )
