"""Convert musicnn's published networks to the arrays of `MusicnnConfig()`.

The package needs an old NumPy and TensorFlow, so it cannot be installed beside kit. Its wheel is a
zip file: kit reads the two files of a checkpoint from it, and imports and runs nothing.

Source: Pons and Serra, "musicnn: pre-trained convolutional neural networks for music audio tagging"
(arXiv 1909.06654); the package musicnn 0.1.0.
"""

import dataclasses
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from kit.config import MusicnnConfig
from kit.errors import ConfigError, KitError
from kit.files import write_text
from kit.weights import Model
from kit.weights.files import Weights, data_folder, read_weights, write_weights
from kit.weights.package import Package
from kit.weights.tensorbundle import read_bundle

PACKAGE = "musicnn==0.1.0"
WHEEL = Package(
    PACKAGE,
    "musicnn-0.1.0-py3-none-any.whl",
    hash="SHA-256 f38a4890c648c1ddbb141c5d96d2b0a8cfcd36746002d896989f7b88beb65cfa",
    fetch=f"python -m pip download --no-deps {PACKAGE}",
    flag="--from",
)
BANDS, CLASSES = 96, 50

_LAYERS = (
    *("timbral/0", "timbral/1", "temporal/0", "temporal/1", "temporal/2"),
    *("middle/0", "middle/1", "middle/2"),
)
_NORMS = ("norm_input", *(f"{layer}/norm" for layer in _LAYERS), "norm_pooled", "norm_dense")
_OF_NORM = {"scale": "gamma", "bias": "beta", "mean": "moving_mean", "var": "moving_variance"}

_TRAINED = {
    "MSD_musicnn": """\
Trained on about 200,000 songs of the Million Song Dataset (MSD), with the 50 most frequent Last.fm
tags as labels: rock, pop, electronic, dance, chillout, electronica, ambient, electro and House
among them. The authors state a ROC AUC of 0.880 on its test part.

The MSD holds well-known songs, and many of its tags are genres. Recordings of a public test
collection such as GTZAN may be among the songs that these weights were trained on, under labels
much like those of the test. Accuracy on well-known music may therefore be too high. Music that the
MSD cannot hold, such as songs released after 2011, is the fair test.
""",
    "MTT_musicnn": """\
Trained on excerpts of 29 s of the MagnaTagATune collection (MTT, songs of the label Magnatune) with
its 50 most frequent tags, which players of a game gave: guitar, classical, techno, electronic,
ambient and dance among them. The authors state a ROC AUC of 0.907 on its test part.
""",
}
_CARD = """\
# {model}

musicnn, a convolutional network that tags music, with the 792,079 numbers that its authors
published in the Python package {package}. kit converted them from TensorFlow's format; no value
was changed.

SHA-256 of the package's wheel: {sha256}

Source: Jordi Pons and Xavier Serra, "musicnn: pre-trained convolutional neural networks for music
audio tagging", arXiv 1909.06654.

## Data

{trained}
## Input

16 kHz mono; 96 mel bands of windows of 512 samples, 256 apart; log10(1 + 10000 * power); patches of
187 frames (3 s): `kit.dsp.preset("musicnn")`.

## Licence

The package, weights included, is under the ISC licence below. Others hand out the same networks in
other formats under licences that forbid commercial use. This copy is the package's own.

{licence}
"""


def weights_file(model: Model) -> Path:
    """Return the path of a model's weights."""
    return data_folder() / f"{model}.npz"


def load(model: Model = "MSD_musicnn", config: MusicnnConfig = MusicnnConfig()) -> Weights:
    """Return the weights that `kit weights musicnn` wrote.

    Args:
        model: trained on the Million Song Dataset or on MagnaTagATune.
        config: sizes of the network; those of the published weights by default.
    Raises:
        KitError: the file is missing, damaged, or holds other arrays.
        ConfigError: the sizes differ from those of the weights.
    """
    path = weights_file(model)
    if not path.is_file():
        raise KitError(f"{path} is not there; run: kit weights musicnn --model {model}")
    weights = read_weights(path)
    shapes = {name: array.shape for name, array in weights.items()}
    if shapes != _shapes(config):
        if shapes == _shapes():
            raise ConfigError(
                f"the weights {model} fit only the default sizes of MusicnnConfig; leave out its "
                "options for filters, convolutions and the dense layer"
            )
        raise KitError(f"{path} does not hold the arrays of musicnn; delete it and fetch it again")
    return weights


def install(model: Model, wheel: Path | None = None) -> Path:
    """Write the weights of a model and its model card into the user's data folder.

    Args:
        model: trained on the Million Song Dataset or on MagnaTagATune.
        wheel: the package's file; downloaded with pip if None.
    Returns:
        Path of the `.npz`; the card has the same name with the suffix `.md`.
    Raises:
        KitError: the package cannot be downloaded, the wheel has another SHA-256, or the folder
            cannot be written.
    """
    with tempfile.TemporaryDirectory() as folder:
        weights, licence = read_wheel(wheel or download(Path(folder)), model)
    path = weights_file(model)
    card = _CARD.format(
        model=model,
        package=PACKAGE,
        sha256=WHEEL.hash.split()[1],
        trained=_TRAINED[model],
        licence=licence.strip(),
    )
    # The weights come last, so that weights on disk always have their card.
    write_text(path.with_suffix(".md"), card)
    write_weights(path, weights)
    return path


def download(folder: Path) -> Path:
    """Download the wheel with pip into a folder, without installing it; return its path.

    Raises:
        KitError: pip or the network is missing, or the index lacks the package.
    """
    pip = "-m pip download --no-deps --only-binary=:all: --no-input --disable-pip-version-check"
    quick = "--retries=1 --timeout=15 --quiet"
    return WHEEL.download("pip", [sys.executable, *pip.split(), *quick.split(), PACKAGE], folder)


def read_wheel(wheel: Path, model: Model) -> tuple[Weights, str]:
    """Return the weights of a model and the text of the licence from the package's wheel.

    Raises:
        KitError: the file cannot be read, or its SHA-256 is not the wheel's.
    """
    with zipfile.ZipFile(WHEEL.read(wheel)) as archive:
        index = archive.read(f"musicnn/{model}/.index")
        data = archive.read(f"musicnn/{model}/.data-00000-of-00001")
        licence = archive.read("musicnn-0.1.0.dist-info/LICENSE.md").decode()
    names = {published_name(path) for path in _shapes()}
    return from_published(read_bundle(index, data, names)), licence


def from_published(tensors: Mapping[str, np.ndarray]) -> Weights:
    """Return the package's tensors as arrays of `MusicnnConfig()`'s module.

    Raises:
        KitError: a tensor is missing or has another shape.
    """
    weights = {}
    for path, shape in _shapes().items():
        tensor = tensors.get(published_name(path))
        # The package's convolutions over all units have one more axis, of length 1.
        if tensor is None or [n for n in tensor.shape if n > 1] != [n for n in shape if n > 1]:
            raise KitError(f"musicnn's {published_name(path)} is missing, or not of shape {shape}")
        weights[path] = np.asarray(tensor, np.float32).reshape(shape)
    return weights


def published_name(path: str) -> str:
    """Return the package's name of an array of kit's module."""
    where, _, kind = path.rpartition("/")
    if path in ("scale_input", "shift_input"):
        return f"batch_normalization/{'gamma' if path == 'scale_input' else 'beta'}"
    if where in _NORMS:
        return f"{_numbered('batch_normalization', _NORMS.index(where))}/{_OF_NORM[kind]}"
    if where in ("dense", "head"):
        return f"{'dense' if where == 'dense' else 'dense_1'}/{kind}"
    return f"{_numbered('conv2d', _LAYERS.index(where.removesuffix('/conv')))}/{kind}"


def _numbered(name: str, number: int) -> str:
    return f"{name}_{number}" if number else name


def _shapes(config: MusicnnConfig = MusicnnConfig()) -> dict[str, tuple[int, ...]]:
    # kit.models imports JAX, which `--help` does not need.
    from kit.models import build

    whole = dataclasses.replace(config, transfer="none")
    params, buffers = build(whole, n_mels=BANDS, n_classes=CLASSES).shapes()
    return {path: tuple(value.shape) for path, value in (params | buffers).items()}
