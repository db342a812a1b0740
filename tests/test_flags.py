"""Errors name the flag that was typed, and `--model.name` brings a network's own options."""

import dataclasses
import shutil
import sys
from pathlib import Path

import pytest

import kit
from kit.cli import main
from kit.cli.flags import flag_table, in_flags
from kit.cli.script import run_script
from kit.config import MODELS, AugmentConfig, Experiment

MODEL = '''
import dataclasses
from flax import nnx

@dataclasses.dataclass(frozen=True)
class Mine:
    """A network of one layer."""

    width: int = 4
    """Units."""

    def __post_init__(self):
        from kit.errors import ConfigError
        if self.width < 1:
            raise ConfigError(f"Mine.width is {self.width}; it must be at least 1")

    def build(self, n_mels, n_classes, *, rngs):
        return Net(self, n_mels, n_classes, rngs)

@dataclasses.dataclass(frozen=True)
class Demanding(Mine):
    depth: int = dataclasses.field(kw_only=True)

@dataclasses.dataclass
class Loose:
    width: int = 4

class Net(nnx.Module):
    def __init__(self, options, n_mels, n_classes, rngs):
        self.hidden = nnx.Linear(n_mels, options.width, rngs=rngs)
        self.head = nnx.Linear(options.width, n_classes, rngs=rngs)

    def __call__(self, x):
        return self.head(nnx.relu(self.hidden(x)).mean(axis=1))
'''


@pytest.fixture
def refused(command):
    """A function: arguments of `kit` to the only line of the refusal, after its "kit: "."""

    def run(*arguments):
        code, _, err = command(*arguments)
        assert code == 2
        (line,) = err.splitlines()
        return line.removeprefix("kit: ")

    return run


@pytest.fixture
def model_file(tmp_path):
    path = tmp_path / f"own_{tmp_path.name}.py"
    path.write_text(MODEL)
    return path


@pytest.mark.parametrize(
    ("words", "flag", "value", "says"),
    [
        ("train", "--features.n-frames", 0, "at least 1"),
        ("train", "--features.frontend.fmax", 9e9, "not above sample_rate / 2"),
        ("train", "--split.by", "", "name a column"),
        ("train", "--segments.frames", 0, "at least 1"),
        ("train", "--model.dense", 0, "at least 1"),
        ("train", "--train.epochs", 0, "at least 1"),
        ("train", "--name", "a/b", "it names a folder"),
        ("features", "--workers", 0, "at least 1"),
        ("ingest previews", "--tries", 0, "between 1 and 20"),
        ("demo", "--demo.tracks", 2, "at least"),
    ],
)
def test_each_configuration_is_named_by_its_flag(refused, tmp_path, words, flag, value, says):
    where = () if words == "demo" else (tmp_path,)
    line = refused(*words.split(), *where, flag, value)
    assert line.startswith(f"{flag} is ")
    assert says in line


def test_a_field_in_the_middle_of_a_sentence(refused, tmp_path):
    line = refused("train", tmp_path, "--segments.frames", 200, "--features.least-s", 2)
    assert line.startswith("--segments.frames is 200; the shortest track that --features.least-s")
    assert "raise --features.least-s to" in line


def test_every_field_of_an_experiment_has_a_flag_of_its_own():
    def fields(config, path=""):
        for field in dataclasses.fields(config):
            value = getattr(config, field.name)
            if dataclasses.is_dataclass(value):
                yield from fields(value, f"{path}{field.name}.")
            else:
                yield type(config).__name__, field.name, f"{path}{field.name}"

    table = flag_table()
    for cls, name, path in fields(Experiment()):
        flag = "--" + path.replace("_", "-")
        assert table[f"{cls}.{name}"] == flag
        assert in_flags(f"lower {cls}.{name}, or") == f"lower {flag}, or"
        if "." in path:
            assert in_flags(f"lower {path}.") == f"lower {flag}."


@pytest.mark.parametrize(
    "text",
    [
        "data/features.n_frames.csv is damaged",
        "/home/me/train.seed is not a folder",
        "FeatureConfig.nothing is 0",
        "see tracks.csv and train.py",
        "--train.learning-rate",
    ],
)
def test_other_names_stay(text):
    assert in_flags(text) == text


def test_scripts_name_flags_too(job, monkeypatch, capfd, tmp_path):
    monkeypatch.setattr(sys, "argv", ["script.py", "--train.epochs", "0"])
    with pytest.raises(SystemExit) as caught:
        run_script(job.experiment)
    assert caught.value.code == 2
    assert capfd.readouterr().err == "kit: --train.epochs is 0; it must be at least 1\n"


def test_a_network_of_ones_own_by_name(job, model_file, monkeypatch, capfd, tmp_path):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "")
    data = shutil.copytree(job.catalogue, tmp_path / "data")
    frontend = job.experiment.features.frontend
    command = [
        *("kit", "train", str(data), "--runs", str(tmp_path / "runs"), "--train.epochs", "1"),
        *("--features.frontend.sample-rate", str(frontend.sample_rate)),
        *("--features.frontend.n-fft", "512", "--features.frontend.hop-length", "256"),
        *("--features.frontend.n-mels", "16", "--features.n-frames", "32"),
        *("--features.clip-s", "1.1", "--segments.frames", "8"),
        *(f"--model.name={model_file}:Mine", "--model.width", "3"),
    ]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as caught:
        main()
    out, err = capfd.readouterr()
    assert not caught.value.code, err
    model = kit.training.Run(Path(out.strip())).experiment().model
    assert type(model).__name__ == "Mine"
    assert model.width == 3


def test_the_help_has_the_options_of_the_network_that_is_named(model_file, monkeypatch, capfd):
    for name, has, has_not in (
        (f"{model_file}:Mine", "--model.width", "--model.channels"),
        ("conv1d", "--model.channels", "--model.width"),
    ):
        monkeypatch.setattr(sys, "argv", ["kit", "train", "--model.name", name, "--help"])
        with pytest.raises(SystemExit) as caught:
            main()
        out = capfd.readouterr().out
        assert caught.value.code == 0
        assert has in out
        assert has_not not in out


def test_the_help_has_each_augmentation_and_its_reason(monkeypatch, capfd):
    monkeypatch.setattr(sys, "argv", ["kit", "train", "--help"])
    with pytest.raises(SystemExit):
        main()
    out = " ".join(capfd.readouterr().out.replace("│", " ").split())
    for field in dataclasses.fields(AugmentConfig):
        assert f"--train.augment.{field.name.replace('_', '-')} " in out
    for reason in (
        "depends on the mastering",
        "so that no single moment decides",
        "as sounds add up",
    ):
        assert reason in out


def test_networks_that_cannot_be_used(refused, model_file, tmp_path):
    def train(name, *more):
        return refused("train", tmp_path, "--model.name", name, *more)

    assert train("resnet") == (
        f"--model.name is 'resnet'; use {', '.join(MODELS)}, or your own class as "
        "package.module:Class or path/to/file.py:Class"
    )
    assert "no_such_module" in train("no_such_module:Mine")
    assert f"{model_file} has no class Other" in train(f"{model_file}:Other")
    assert "Loose is mutable; declare it with @dataclass(frozen=True)" in train(
        f"{model_file}:Loose"
    )
    assert train(f"{model_file}:Net").startswith("--model.name is <class")
    assert train(f"{model_file}:Mine", "--model.width", 0) == (
        "--model.width is 0; it must be at least 1"
    )


def test_models_are_listed(model_file, refused, monkeypatch, capfd):
    for names in ((), (f"{model_file}:Mine", "conv1d")):
        monkeypatch.setattr(sys, "argv", ["kit", "models", *names, "--n-mels", "16"])
        with pytest.raises(SystemExit) as caught:
            main()
        assert caught.value.code == 0
        head, *rows = capfd.readouterr().out.splitlines()
        assert head.split() == ["name", "parameters", "receptive", "field", "options"]
        assert len(rows) == len(names or MODELS)
        if names:
            # 16 bands to 4 units, 4 units to 2 labels, each with biases.
            assert rows[0].split() == ["Mine", "78", "not", "stated", "width"]
        assert any("29 frames" in row for row in rows)
    assert "Demanding has fields without a default" in refused("models", f"{model_file}:Demanding")
