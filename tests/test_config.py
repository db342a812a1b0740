import dataclasses
import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

from kit.config import (
    AugmentConfig,
    Conv1DConfig,
    DemoConfig,
    Experiment,
    FeatureConfig,
    FrontendConfig,
    SegmentConfig,
    SplitConfig,
    TrainConfig,
    frames_of,
    from_dict,
    from_json,
    identity,
    replaced,
    to_dict,
    to_json,
)
from kit.errors import ConfigError

frontends = st.builds(
    FrontendConfig,
    sample_rate=st.integers(8000, 192000),
    n_fft=st.integers(1, 8192),
    hop_length=st.integers(1, 4096),
    n_mels=st.integers(1, 512),
    fmin=st.floats(0, 1000),
    htk=st.booleans(),
    norm=st.sampled_from(["slaney", None]),
    ref=st.one_of(st.just("max"), st.floats(1e-6, 1e6)),
    top_db=st.one_of(st.none(), st.floats(1, 200)),
)
experiments = st.builds(
    Experiment,
    name=st.text("abc-_1", min_size=1, max_size=12),
    features=st.builds(
        FeatureConfig, frontend=frontends, n_frames=st.integers(1, 2), clip_s=st.just(9.0)
    ),
    segments=st.just(SegmentConfig(frames=1)),
    model=st.builds(Conv1DConfig, channels=st.lists(st.integers(1, 512), min_size=1).map(tuple)),
    train=st.builds(TrainConfig, epochs=st.integers(1, 99), learning_rate=st.floats(1e-9, 1)),
    split=st.builds(SplitConfig, by=st.sampled_from(["artist", "track", "random", "label x"])),
)


@given(experiments)
def test_json_round_trip(experiment):
    assert from_json(Experiment, to_json(experiment)) == experiment


def test_missing_fields_take_defaults():
    assert from_dict(Experiment, {}) == Experiment()
    changed = from_dict(Experiment, {"train": {"epochs": 3}})
    assert changed == dataclasses.replace(Experiment(), train=TrainConfig(epochs=3))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"epoch": 3}, ["Experiment has no field 'epoch'", "train"]),
        ({"train": {"epoch": 3}}, ["TrainConfig has no field 'epoch'", "Experiment.train"]),
        ({"train": {"epochs": "3"}}, ["Experiment.train.epochs", "'3'", "int"]),
        ({"train": {"epochs": True}}, ["Experiment.train.epochs", "True", "int"]),
        ({"train": {"epochs": 0}}, ["TrainConfig.epochs", "0", "at least 1"]),
        ({"train": []}, ["Experiment.train", "object"]),
        ({"model": {"channels": 3}}, ["Experiment.model.channels", "list"]),
        ({"model": {"channels": []}}, ["Conv1DConfig.channels"]),
        ({"features": {"frontend": {"norm": "l1"}}}, ["norm", "'l1'", "slaney"]),
        ({"features": {"frontend": {"fmax": 16000}}}, ["fmax", "16000", "11025", "lower fmax"]),
        ({"features": {"frontend": {"fmin": 11025}}}, ["fmin", "11025"]),
        ({"features": {"frontend": {"win_length": 4096}}}, ["win_length", "2048"]),
        ({"features": {"frontend": {"hop_length": 0}}}, ["hop_length", "0"]),
        ({"features": {"n_frames": 1300}}, ["clip_s", "1292", "1300"]),
        ({"split": {"test_fraction": 1.0}}, ["test_fraction"]),
        ({"split": {"validation_fraction": 0.9}}, ["validation_fraction", "0.8"]),
        ({"name": "../x"}, ["Experiment.name", "'../x'"]),
        ({"segments": {"frames": 1281}}, ["SegmentConfig.frames", "1280"]),
        ({"segments": {"frames": 200}}, ["SegmentConfig.frames", "least_s", "130", "4.63"]),
        ({"segments": {"hop": 129}}, ["SegmentConfig.hop", "129", "between 1 and frames (=128)"]),
        ({"features": {"least_s": 0.0}}, ["FeatureConfig.least_s", "0.0", "above 0"]),
        ({"features": {"excerpts": 0}}, ["FeatureConfig.excerpts", "0", "between 1 and 64"]),
        ({"model": {"name": "resnet"}}, ["'resnet'", "conv1d", "package.module:Class"]),
        ({"model": {"name": "nowhere.at_all:Class"}}, ["nowhere.at_all:Class", "not on this"]),
        ({"model": 3}, ["Experiment.model is 3", "frozen dataclass"]),
    ],
)
def test_bad_values_are_refused_with_their_name(value, words):
    with pytest.raises(ConfigError) as caught:
        from_dict(Experiment, value)
    for word in words:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "make",
    [
        lambda: TrainConfig(epochs=1.5),
        lambda: TrainConfig(learning_rate=float("nan")),
        lambda: FrontendConfig(window=3),
        lambda: DemoConfig(artists=30, tracks=20),
        lambda: Experiment(train=3),
    ],
)
def test_construction_checks_types_too(make):
    # Under the tests' import hook jaxtyping sees the wrong type first.
    with pytest.raises((ConfigError, TypeCheckError)):
        make()


def test_not_json():
    with pytest.raises(ConfigError, match="not valid JSON"):
        from_json(Experiment, "{")


def test_equal_configurations_have_equal_hashes_and_different_ones_do_not():
    assert FeatureConfig().hash == FeatureConfig().hash
    assert FeatureConfig(n_frames=1279).hash != FeatureConfig().hash
    other = FeatureConfig(frontend=FrontendConfig(n_mels=64))
    assert other.hash != FeatureConfig().hash


def test_features_that_are_stored_keep_their_hashes():
    """Fields that came later are no part of it at their defaults."""
    assert FeatureConfig().hash == "7a6856561ec0"
    small = FeatureConfig(dtype="int8", frontend=FrontendConfig(n_mels=64))
    assert small.hash == "66de138c9ba3"
    pcen = FeatureConfig(frontend=FrontendConfig(compression="pcen"))
    assert pcen.hash != FeatureConfig().hash
    assert from_json(FeatureConfig, to_json(pcen)) == pcen
    log1p = FeatureConfig(frontend=FrontendConfig(compression="log1p"))
    assert len({log1p.hash, pcen.hash, replaced(log1p, "frontend.gain", 100.0).hash}) == 3
    assert from_dict(FeatureConfig, identity(FeatureConfig())) == FeatureConfig()
    assert FeatureConfig(keep="waveform").hash != FeatureConfig().hash


def test_fields_that_came_later_change_no_identity():
    louder = Experiment(train=TrainConfig(augment=AugmentConfig(gain_db=1.0)))
    assert not {"augment", "members"} & set(identity(Experiment())["train"])
    assert not {"folds", "fold_column"} & set(identity(Experiment())["split"])
    of_samples = {"speed": 0.0, "snr_db": None}
    assert identity(louder)["train"]["augment"] | of_samples == to_dict(louder)["train"]["augment"]
    assert not set(of_samples) & set(identity(louder)["train"]["augment"])
    assert from_dict(Experiment, identity(Experiment())) == Experiment()


def test_to_dict_holds_json_types_only():
    value = to_dict(Experiment())
    assert json.loads(json.dumps(value)) == value
    assert value["model"]["channels"] == [64, 128, 256]


@pytest.mark.parametrize(
    ("samples", "center", "frames"),
    [(0, True, 0), (1, True, 1), (511, True, 1), (512, True, 2), (661500, True, 1292)]
    + [(2047, False, 0), (2048, False, 1), (2559, False, 1), (2560, False, 2)],
)
def test_frames_of(samples, center, frames):
    assert frames_of(samples, FrontendConfig(center=center)) == frames


REWRITTEN = """
import dataclasses
from kit import config
from kit.config import Experiment, to_json

seen = 0
for cls in vars(config).values():
    if not (isinstance(cls, type) and issubclass(cls, config.Checked)) or cls is config.Checked:
        continue
    made = cls()
    for field in dataclasses.fields(cls):
        value = getattr(made, field.name)
        if isinstance(value, float) and value.is_integer():
            written = int(value)
        elif isinstance(value, tuple):
            written = list(value)
        else:
            continue
        other = cls(**{field.name: written})
        assert other == made and hash(other) == hash(made), field.name
        assert to_json(other) == to_json(made), field.name
        assert type(getattr(other, field.name)) is type(value), field.name
        seen += 1
assert config.FeatureConfig(clip_s=30).hash == config.FeatureConfig().hash
print(seen)
"""


def test_equal_configurations_have_equal_text_and_hashes_however_they_were_written():
    """30 and 30.0, [64] and (64,). In a process without this suite's type checks of arguments."""
    child = subprocess.run([sys.executable, "-c", REWRITTEN], capture_output=True, text=True)
    assert child.returncode == 0, child.stderr
    assert int(child.stdout) > 10


@given(experiments)
def test_equal_configurations_are_equal_keys(experiment):
    other = from_json(Experiment, to_json(experiment))
    assert hash(other) == hash(experiment)
    assert other.features.hash == experiment.features.hash


def test_replaced_reaches_any_field():
    experiment = replaced(Experiment(), "train.learning_rate", 3e-4)
    assert experiment == Experiment(train=TrainConfig(learning_rate=3e-4))
    assert replaced(experiment, "model.channels", (8,)).model == Conv1DConfig(channels=(8,))
    assert replaced(experiment, "name", "x").name == "x"
    with pytest.raises(ConfigError, match="TrainConfig has no field 'epoch'; it has epochs"):
        replaced(experiment, "train.epoch", 3)
    with pytest.raises(ConfigError, match=r"TrainConfig.epochs is 0; it must be at least 1"):
        replaced(experiment, "train.epochs", 0)


@pytest.mark.parametrize(
    ("features", "clip_samples", "clip_frames", "least_frames", "row_frames"),
    [
        (FeatureConfig(), 661500, 1292, 130, 1280),
        (FeatureConfig(least_s=None), 661500, 1292, 1280, 1280),
        (FeatureConfig(excerpts=3, least_s=100.0), 661500, 1292, 1280, 3840),
    ],
)
def test_the_sizes_of_excerpts(features, clip_samples, clip_frames, least_frames, row_frames):
    assert features.clip_samples == clip_samples
    assert features.clip_frames == clip_frames
    assert features.least_frames == least_frames
    assert features.row_frames == row_frames
