"""Write a run's networks in one of three formats, with labels and model card beside them."""

import json
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import jax
import numpy as np
from jax import export as jax_export

from kit import __version__
from kit.config import to_dict
from kit.errors import UsageError
from kit.export.program import Program
from kit.files import atomic_write, write_json, write_text
from kit.training import restore

Format = Literal["stablehlo", "onnx", "npz", "web"]
MODEL_CARD = "model-card.md"
PLATFORMS = ("cpu", "cuda", "tpu")


def export(
    run_folder: Path | str, to: Format, out: Path | str, *, onnxruntime_web: Path | None = None
) -> list[Path]:
    """Write a run's networks as functions from waveforms to probabilities.

    Args:
        run_folder: the run; its best checkpoint is used.
        to: format of the file. "npz" holds the arrays, and no function; "web" is a page.
        out: folder of the files, made if missing.
        onnxruntime_web: file that a page takes onnxruntime-web from; npm downloads it if None.
    Returns:
        The files: `model.*`, `labels.json`, and the model card if the run has one.
    Raises:
        UsageError: the run cannot be exported, or a package of the extra `export` is missing.
        KitError: the run is damaged, onnxruntime-web is missing, or a file cannot be written.
    """
    run_folder, out = Path(run_folder), Path(out)
    program = Program.of(restore(run_folder))
    card = run_folder / MODEL_CARD
    text = card.read_text(encoding="utf-8") if card.is_file() else ""
    content: bytes | None = None
    if to == "stablehlo":
        content = stablehlo(program)
    elif to == "onnx":
        content = onnx(program)
    elif to == "web":
        content = web(program, text, onnxruntime_web)
    paths = [out / f"model.{'html' if to == 'web' else to}", out / "labels.json"]
    with atomic_write(paths[0], "wb") as stream:
        if content is None:
            np.savez(stream, allow_pickle=False, **arrays(program))
        else:
            stream.write(content)
    versions = {"kit": __version__} | {name: version(name) for name in ("jax", "flax", "numpy")}
    write_json(paths[1], program.about | {"versions": versions})
    if text:
        paths.append(out / MODEL_CARD)
        write_text(paths[-1], text)
    return paths


def stablehlo(program: Program) -> bytes:
    """Return a serialized `jax.export.Exported` for CPU, CUDA and TPU, of any batch and length.

    Raises:
        UsageError: the network needs the size of the batch, or a package is missing.
    """
    most = program.experiment.features.clip_samples
    limits = ["b >= 1", f"n >= {program.least_samples}", f"n <= {most}"]
    shape = jax_export.symbolic_shape("b, n", constraints=limits)
    function = jax.jit(program.probabilities)
    y = jax.ShapeDtypeStruct(shape, np.float32)
    exported = jax_export.export(function, platforms=PLATFORMS)(y)
    try:
        return bytes(exported.serialize())
    except ImportError as error:
        raise _missing("--to stablehlo", "flatbuffers") from error


def onnx(program: Program) -> bytes:
    """Return a serialized ONNX model, with the labels in its metadata.

    Raises:
        UsageError: the network has an operation that is not written, or a package is missing.
    """
    try:
        from kit.export.onnx_file import onnx_model
    except ImportError as error:
        raise _missing("an ONNX model", "onnx") from error
    about = {name: json.dumps(value) for name, value in program.about.items()}
    return onnx_model(program, about).SerializeToString()


def web(program: Program, card: str = "", onnxruntime_web: Path | None = None) -> bytes:
    """Return a page that answers for files in the browser, and needs no network.

    Raises:
        UsageError: as for `onnx`.
        KitError: onnxruntime-web is missing.
    """
    from kit.export.page import to_html
    from kit.export.runtime import runtime

    model = onnx(program)
    name, runs = program.experiment.name, runtime(onnxruntime_web)
    return to_html(model, program.about, name, card, runs).encode()


def arrays(program: Program) -> dict[str, np.ndarray]:
    """Return all arrays of the networks by name, and the configuration as JSON text.

    Names are `NUMBER/params/PATH` and `NUMBER/buffers/PATH` of each network, `NUMBER/mean` and
    `NUMBER/deviation` of its input (no mean: each segment's own), and `about`.
    """
    found: dict[str, np.ndarray] = {}
    for number, one in enumerate(program.networks):
        trees = {"params": one.params, "buffers": one.buffers}
        for kind, tree in trees.items():
            found |= {f"{number}/{kind}/{path}": np.asarray(x) for path, x in tree.items()}
        if one.scaling.mean is not None:
            found[f"{number}/mean"] = np.asarray(one.scaling.mean)
        found[f"{number}/deviation"] = np.asarray(one.scaling.deviation)
    experiment = to_dict(program.experiment)
    kept = {name: experiment[name] for name in ("features", "segments", "model")}
    about = program.about | kept | {"networks": len(program.networks)}
    return found | {"about": np.array(json.dumps(about))}


def _missing(what: str, package: str) -> UsageError:
    return UsageError(f"{what} needs the package {package}: pip install 'genre-kit[export]'")
