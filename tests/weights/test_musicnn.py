"""musicnn's published weights: fetched, converted, and equal to the package's own graph."""

import os
import stat
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from filelock import FileLock

from kit.catalogue import from_folder, save
from kit.catalogue import load as load_catalogue
from kit.cli import main
from kit.config import MusicnnConfig
from kit.errors import KitError
from kit.features.embed import embed
from kit.models import build
from kit.weights.files import digest_of, read_weights, write_weights
from kit.weights.musicnn import (
    BANDS,
    CLASSES,
    WHEEL,
    download,
    from_published,
    install,
    load,
    published_name,
    read_wheel,
    weights_file,
)
from kit.weights.trunk import musicnn_trunk

# The logits of every seventh tag for both patches of `patches`. Made once with TensorFlow 2.21 in
# an environment of its own: the `.meta` graph of the wheel imported with
# `tf.compat.v1.train.import_meta_graph`, after the attributes `_output_shapes`, which TensorFlow 2
# refuses, were taken out of its nodes; the checkpoint restored; and `model/dense_1/BiasAdd` run
# with `is_training` false.
LOGITS = {
    "MSD_musicnn": [
        [-4.49464, -4.20593, -7.81386, -5.11629, -5.21835, -3.24941, -9.01185, -7.30283],
        [-4.4309, -4.2179, -7.75735, -4.99098, -5.27188, -3.24034, -9.00376, -7.23604],
    ],
    "MTT_musicnn": [
        [-6.20781, -5.68207, -1.33024, -2.67204, -3.13806, -12.12388, -10.38999, -11.94201],
        [-6.23056, -5.79024, -1.60478, -2.73976, -3.21174, -11.78918, -9.92055, -11.63964],
    ],
}


def patches():
    """Two patches of 187 frames, waves over time and bands, between 0 and 4 as log-mel is."""
    n, t, b = np.ogrid[:2, :187, :BANDS]
    return (2 * (1 + np.sin(0.1 * t + 0.3 * b + n) * np.cos(0.013 * t * b))).astype(np.float32)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    """The package's file, which the first worker downloads for all."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    failure = folder / "musicnn.failed"
    with FileLock(folder / "musicnn.lock"):
        if not (folder / WHEEL.file).exists() and not failure.exists():
            try:
                download(folder)
            except KitError as error:
                failure.write_text(str(error), encoding="utf-8")
    if failure.exists():
        pytest.skip(f"musicnn's weights could not be fetched: {failure.read_text('utf-8')}")
    return folder / WHEEL.file


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty data folder of the user's."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data" / "genre-kit" / "weights"


@pytest.mark.parametrize("model", sorted(LOGITS))
def test_logits_equal_those_of_the_packages_own_graph(wheel, home, model):
    weights, licence = read_wheel(wheel, model)
    assert "MUSIC TECHNOLOGY GROUP" in licence.upper()
    assert sum(array.size for array in weights.values()) == 792_079
    network = build(MusicnnConfig(), n_mels=BANDS, n_classes=CLASSES)
    trees = [{name: weights[name] for name in shapes} for shapes in network.shapes()]
    logits, _ = jax.jit(network.apply)(*trees, patches())
    np.testing.assert_allclose(logits[:, ::7], LOGITS[model], atol=1e-4)
    write_weights(weights_file(model), weights)
    hidden = musicnn_trunk(model).apply(jnp.asarray(patches()))
    tags = hidden["penultimate"] @ weights["head/kernel"] + weights["head/bias"]
    np.testing.assert_allclose(tags[:, ::7], LOGITS[model], atol=1e-4)
    assert hidden["pooled"].shape == (2, 1506)
    maximum, mean = hidden["pooled"][:, ::2], hidden["pooled"][:, 1::2]
    assert (maximum > mean - 1e-3).all()


def test_the_command_writes_weights_and_their_card_once(wheel, home, capfd, monkeypatch):
    command = ["kit", "weights", "musicnn", "--model", "MTT_musicnn", "--from", str(wheel)]
    monkeypatch.setattr("sys.argv", command)
    with pytest.raises(SystemExit, match=r"^0$"):
        main()
    first = capfd.readouterr()
    assert first.out.split() == [str(home / "MTT_musicnn.npz")]
    assert "MagnaTagATune" in first.err
    assert "Permission to use, copy, modify" in first.err
    assert sorted(path.name for path in home.iterdir()) == ["MTT_musicnn.md", "MTT_musicnn.npz"]
    expected, _ = read_wheel(wheel, "MTT_musicnn")
    assert digest_of(load("MTT_musicnn")) == digest_of(expected)
    with pytest.raises(SystemExit, match=r"^0$"):
        main()
    again = capfd.readouterr()
    assert (again.out, again.err) == (first.out, "")
    with pytest.raises(KitError, match="run: kit weights musicnn --model MSD_musicnn"):
        load("MSD_musicnn")


def test_without_a_network_one_sentence_says_what_to_do(home, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    words = (
        r"pip could not download musicnn==0\.1\.0 \(ERROR: .*\); on a machine with a network, .*"
    )
    with pytest.raises(KitError, match=f"^{words}--from {WHEEL.file}$"):
        install("MSD_musicnn")
    assert not home.exists()


def test_another_file_is_refused_by_its_hash(tmp_path, home):
    other = tmp_path / WHEEL.file
    other.write_bytes(b"PK\3\4")
    with pytest.raises(KitError, match=r"its SHA-256 is .*, not f38a4890"):
        install("MSD_musicnn", other)
    with pytest.raises(KitError, match=r"cannot read .*none\.whl: No such file"):
        install("MSD_musicnn", tmp_path / "none.whl")
    assert not home.exists()


def test_the_command_embeds_a_catalogue_and_keeps_what_is_there(
    home, write_music, tmp_path, capfd, monkeypatch
):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "")
    save(from_folder(write_music(tmp_path / "music", per_label=1, seconds=4)), tmp_path / "data")

    def run(*more):
        monkeypatch.setattr("sys.argv", ["kit", "embed", str(tmp_path / "data"), *more])
        with pytest.raises(SystemExit) as caught:
            main()
        return caught.value.code, *capfd.readouterr()

    assert run() == (
        *(1, ""),
        f"kit: {weights_file('MSD_musicnn')} is not there; run: kit weights musicnn --model "
        "MSD_musicnn\n",
    )
    assert run("--clip-s", "2")[0] == run("--engine", "ray")[0] == run("--verify")[0] == 2
    # Any numbers of the right shapes.
    numbers = {name: 0.1 * np.abs(array) for name, array in published().items()}
    write_weights(weights_file("MSD_musicnn"), from_published(numbers))
    code, out, err = run()
    assert (code, out) == (0, "")
    assert "embeddings of 2 tracks, 2 computed now in" in err
    assert "embeddings of 2 tracks, 0 computed now, in" in run("--workers", "1")[2]
    command = ["kit", "similar", str(tmp_path / "data"), "low/00.flac", "--format", "csv"]
    monkeypatch.setattr("sys.argv", command)
    with pytest.raises(SystemExit, match=r"^0$"):
        main()
    header, row = capfd.readouterr().out.splitlines()
    assert header == "track,similar,label,cosine"
    assert row.startswith("low/00.flac,high/00.flac,high,")
    found = embed(load_catalogue(tmp_path / "data"), musicnn_trunk())
    assert {name: rows.shape for name, rows in found.layers.items()} == {
        "penultimate": (2, 200),
        "pooled": (2, 1506),
    }
    # A map takes a third track.
    save(from_folder(write_music(tmp_path / "more", per_label=2, seconds=4)), tmp_path / "data")
    monkeypatch.setattr("sys.argv", ["kit", "map", str(tmp_path / "data"), "--projection", "pca"])
    with pytest.raises(SystemExit, match=r"^0$"):
        main()
    assert f"wrote {tmp_path / 'data' / 'map.html'}" in capfd.readouterr().err
    page = (tmp_path / "data" / "map.html").read_text(encoding="utf-8")
    assert page.count('data-title="') == 4


def published(seed=0):
    """Arrays of the published shapes, of the convolutions' extra axis too."""
    rng = np.random.default_rng(seed)
    params, buffers = build(MusicnnConfig(), n_mels=BANDS, n_classes=CLASSES).shapes()
    return {
        published_name(path): rng.normal(size=value.shape).astype(np.float32)
        for path, value in (params | buffers).items()
    }


def test_a_tensor_that_is_missing_or_of_another_size_is_named():
    tensors = published()
    kernel = tensors["conv2d_5/kernel"]
    tensors["conv2d_5/kernel"] = kernel[:, :, None]
    np.testing.assert_array_equal(from_published(tensors)["middle/0/conv/kernel"], kernel)
    with pytest.raises(KitError, match=r"conv2d_5/kernel is missing, or not of shape \(7, 561, 64"):
        from_published(tensors | {"conv2d_5/kernel": kernel[:-1]})
    del tensors["dense/bias"]
    with pytest.raises(KitError, match="musicnn's dense/bias is missing"):
        from_published(tensors)


def test_weights_on_disk_are_exact_readable_by_all_and_named_by_their_values(tmp_path):
    weights = {"a/kernel": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.ones((), np.int8)}
    path = tmp_path / "new" / "mine.npz"
    write_weights(path, weights)
    found = read_weights(path)
    for name, array in weights.items():
        np.testing.assert_array_equal(found[name], array, strict=True)
    assert path.stat().st_mode & stat.S_IRUSR
    assert digest_of(found) == digest_of(dict(reversed(weights.items())))
    assert digest_of(found) != digest_of(weights | {"b": np.zeros((), np.int8)})
    assert digest_of(found) != digest_of(weights | {"b": np.ones((), np.uint8)})


def test_a_damaged_file_of_weights_is_one_error(tmp_path, home):
    path = tmp_path / "it.npz"
    write_weights(path, {"a": np.zeros(1000, np.float32), "b": np.arange(5)})
    whole = path.read_bytes()
    bad = [whole[:n] for n in (0, 1, 30, len(whole) // 2, len(whole) - 1)]
    # A zip's own checksum notices a value that changed.
    bad += [whole[:300] + bytes([whole[300] ^ 1]) + whole[301:], b"\x80\x04N.", b"\x93NUMPY"]
    for data in bad:
        path.write_bytes(data)
        with pytest.raises(KitError, match=r"it\.npz does not hold arrays of NumPy"):
            read_weights(path)
    with pytest.raises(KitError, match="is missing; fetch it"):
        read_weights(Path(tmp_path / "none.npz"))
    write_weights(weights_file("MSD_musicnn"), {"a": np.zeros(3)})
    with pytest.raises(KitError, match="does not hold the arrays of musicnn"):
        load()
