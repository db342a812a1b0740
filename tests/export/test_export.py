"""Exported files answer as kit does, without kit."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import onnxruntime
import pytest
import soundfile

from kit.config import replaced
from kit.errors import UsageError
from kit.export.graph import Graph
from kit.export.program import Program
from kit.features.excerpts import excerpts
from kit.predict import load

from . import cases

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/export.md").read_text(encoding="utf-8")
LOADERS = dict(
    zip(
        ("onnx", "stablehlo", "npz"),
        re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL),
        strict=True,
    )
)


@pytest.fixture(scope="module")
def folders(job, tmp_path_factory):
    """The files of the small job's run, and those of the cases."""
    run = Path(shutil.copytree(job.run, tmp_path_factory.mktemp("runs") / "run"))
    (run / "model-card.md").write_text("the card")
    made = [tmp_path_factory.mktemp(name) for name in ("exported", "cases")]
    environment = os.environ | {"JAX_COMPILATION_CACHE_DIR": "", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, cases.__file__, *map(str, (run, *made))]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return made


@pytest.fixture(scope="module")
def exported(folders):
    return folders[0]


@pytest.fixture(scope="module")
def written(folders):
    return folders[1]


def answers(folder, to, y, monkeypatch):
    """What the page's code computes."""
    monkeypatch.chdir(folder)
    names = {"y": y}
    exec(LOADERS[to], names)
    return np.asarray(names["probabilities"])


def expected(model, ys):
    found = model.predict(list(ys), model.experiment.features.frontend.sample_rate)
    return np.array([list(p.values()) for p in found])


@pytest.mark.parametrize("to", LOADERS)
def test_the_page_s_code_answers_as_kit_does(exported, job, to, monkeypatch):
    model = load(job.run)
    files = sorted(job.music.glob("*/*.flac"))[::5]
    for samples in (8800, 7937):
        y = np.stack([soundfile.read(file, dtype="float32")[0][:samples] for file in files])
        p = expected(model, y)
        assert np.ptp(p[:, 0]) > 0.1
        np.testing.assert_allclose(answers(exported, to, y, monkeypatch), p, atol=1e-4)


@pytest.mark.parametrize("to", LOADERS)
def test_real_music(exported, job, to, shared, monkeypatch):
    model = load(job.run)
    files = sorted((shared / "music").glob("*/*.mp3"))[::12]
    heard = [excerpts(file, model.experiment.features)[0].y for file in files]
    p = [list(model.predict(file).values()) for file in files]
    found = answers(exported, to, np.stack(heard), monkeypatch)
    np.testing.assert_allclose(found, p, atol=1e-4)


def test_the_onnx_model_ignores_later_samples(exported):
    session = onnxruntime.InferenceSession(exported / "model.onnx")
    y = np.random.default_rng(0).standard_normal((2, 10000)).astype(np.float32)
    whole, cut = (session.run(None, {"waveform": x})[0] for x in (y, y[:, :8800]))
    np.testing.assert_allclose(whole, cut, atol=1e-6)


def test_what_lies_beside_the_file(exported, job):
    model = load(job.run)
    about = json.loads((exported / "labels.json").read_text())
    assert about["labels"] == list(model.labels)
    assert about["sample_rate"] == about["frontend"]["sample_rate"] == 8000
    # 32 frames of 256 samples, and 1.1 s.
    assert (about["least_samples"], about["most_samples"]) == (31 * 256, 8800)
    assert {"kit", "jax"} <= set(about["versions"])
    assert (exported / "model-card.md").read_text() == "the card"
    session = onnxruntime.InferenceSession(exported / "model.onnx")
    kept = session.get_modelmeta().custom_metadata_map
    assert json.loads(kept["labels"]) == about["labels"]


def test_the_program_runs_on_every_platform_and_refuses_other_lengths(exported):
    program = jax.export.deserialize(bytearray((exported / "model.stablehlo").read_bytes()))
    assert set(program.platforms) == {"cpu", "cuda", "tpu"}
    for samples in (31 * 256 - 1, 8801):
        with pytest.raises(ValueError, match="shape"):
            program.call(np.zeros((1, samples), np.float32))


@pytest.mark.parametrize("name", cases.CASES)
def test_networks_front_ends_and_stores(written, name):
    content = (written / f"{name}.onnx").read_bytes()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    program = jax.export.deserialize(bytearray((written / f"{name}.stablehlo").read_bytes()))
    with np.load(written / f"{name}.npz") as archive:
        arrays = dict(archive)
    lengths = [key[1:] for key in arrays if key.startswith("y")]
    assert len(lengths) == 2
    several = []
    for samples in lengths:
        y, p = arrays[f"y{samples}"], arrays[f"p{samples}"]
        np.testing.assert_allclose(program.call(y), p, atol=1e-4)
        np.testing.assert_allclose(session.run(None, {"waveform": y})[0], p, atol=1e-4)
        np.testing.assert_allclose(session.run(None, {"waveform": y[1:]})[0], p[1:], atol=1e-4)
        several.append(p)
    # The answers depend on the sound.
    assert np.ptp(np.concatenate(several), axis=0).max() > 1e-3


def test_the_command(job, tmp_path, command):
    code, _, err = command("export", job.run, "--to", "npz", "--out", tmp_path)
    assert code == 0
    assert "labels.json" in err
    assert "no model card" in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["labels.json", "model.npz"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"networks": ()}, "recipe"),
        ({"from_arrays": True}, "arrays"),
        ({"features.frontend.compression": "pcen"}, "PCEN"),
        ({"train.loss": "attention"}, "train.loss"),
    ],
)
def test_what_is_refused(job, changes, says):
    run = load(job.run).restored
    assert Program.of(run).labels == run.labels
    for name, value in changes.items():
        if "." in name:
            value = replaced(run.experiment, name, value)
        run = replace(run, **{"experiment" if "." in name else name: value})
    with pytest.raises(UsageError, match=says):
        Program.of(run)


def test_an_operation_that_is_not_written():
    graph = Graph()
    for function in (jnp.sort, lambda x: jnp.einsum("bij,bkj->bik", x, x)):
        with pytest.raises(UsageError, match="does not write to ONNX; use --to stablehlo"):
            graph.function(function, "x", (3, 4))


def test_the_package_is_named_if_it_is_missing(job, tmp_path, command, monkeypatch):
    monkeypatch.delitem(sys.modules, "kit.export.onnx_file", raising=False)
    monkeypatch.delitem(sys.modules, "kit.export.graph", raising=False)
    monkeypatch.setitem(sys.modules, "onnx", None)
    code, _, err = command("export", job.run, "--to", "onnx", "--out", tmp_path / "out")
    assert code == 2
    assert "pip install 'genre-kit[export]'" in err
    assert not (tmp_path / "out").exists()
