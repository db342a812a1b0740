"""The Python that README shows, as it stands there, on small data."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from flax import nnx

import kit
from kit.catalogue import from_folder, save
from tests.conftest import tone

README = Path(__file__).parents[1] / "README.md"
RATE = 22050


@dataclass(frozen=True)
class Mine:
    """A network in a few lines."""

    width: int = 16

    def build(self, n_mels, n_classes, *, rngs):
        return Net(self, n_mels, n_classes, rngs)


class Net(nnx.Module):
    def __init__(self, options, n_mels, n_classes, rngs):
        self.hidden = nnx.Linear(n_mels, options.width, rngs=rngs)
        self.norm = nnx.BatchNorm(options.width, rngs=rngs)
        self.dropout = nnx.Dropout(0.2, rngs=rngs)
        self.head = nnx.Linear(options.width, n_classes, rngs=rngs)

    def __call__(self, x):
        x = nnx.relu(self.norm(self.hidden(x / 80))).mean(axis=1)
        return self.head(self.dropout(x))


@pytest.fixture
def here(tmp_path, monkeypatch, write_music):
    """A folder with data/mine, and track.mp3 in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "")
    save(from_folder(write_music(tmp_path / "music", 8, seconds=3.5)), tmp_path / "data/mine")
    (tmp_path / "music/high/00.flac").rename(tmp_path / "track.mp3")
    (tmp_path / "music/high/00.flac").write_bytes((tmp_path / "track.mp3").read_bytes())
    return tmp_path


# Coverage takes a third of the time; other tests run the same lines.
@pytest.mark.no_cover
def test_the_python_of_the_readme(here, capsys):
    (block,) = [b for b in blocks() if "kit.fit(" in b]
    assert len(block.splitlines()) <= 16
    # One point of the sweep, which is the run before: it is yielded at once.
    block = block.replace("[1e-3, 3e-4]", "[1e-3]").replace("range(3)", "range(1)")
    block = block.replace("epochs=20", "epochs=1")
    block = block.replace("Mine(width=64)", "Mine(width=64), train=kit.TrainConfig(epochs=1)")
    y = np.stack([tone(200.0 + 40 * i, 3.0, i, RATE) for i in range(24)])
    labels = ["low", "high"] * 12
    artists = [f"artist {i // 4}" for i in range(24)]
    names = {"y": y, "labels": labels, "artists": artists, "Mine": Mine}
    exec(compile(block, "README.md", "exec"), names)
    assert capsys.readouterr().err == ""
    assert sorted(path.name for path in Path("runs").iterdir()) == ["arrays", "mine"]
    assert len(list(Path("runs/mine").glob("2*"))) == 1
    assert type(names["run"].experiment().model).__name__ == "Mine"
    assert isinstance(names["run"], kit.training.Run)


def test_the_network_of_the_docs(here):
    """The network in docs/python.md trains, and is restored."""
    text = (README.parent / "docs/python.md").read_text(encoding="utf-8")
    (block,) = [b for b in blocks(text) if "nnx.Module" in b]
    Path("my_models.py").write_text(block)
    model = kit.config.model_class("my_models.py:Mine")()
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(24, 128, 32)).astype(np.float32), [0, 1] * 12
    run = kit.fit_arrays(x, y, model=model, train=kit.TrainConfig(epochs=1, batch_size=8))
    (found,) = kit.load(run.folder).predict_features(x[:1])
    assert sum(found.values()) == pytest.approx(1)


def blocks(text=None):
    """The blocks of Python in a page."""
    text = README.read_text(encoding="utf-8") if text is None else text
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)
