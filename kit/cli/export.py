"""`kit export`."""

from pathlib import Path
from typing import Annotated, Literal

import tyro

from kit.cli.arguments import PathOrNot, Runs


def export(
    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")],
    to: Literal["stablehlo", "onnx", "npz"],
    out: PathOrNot = None,
    runs: Runs = Path("runs"),
) -> int:
    """Write a run to one file, from waveform to probabilities, for use without kit.

    The front end is part of the function, so it takes samples: mono, at the run's sample rate, one
    excerpt in each row. labels.json beside it has the labels, the sample rate, and the least and
    most samples; the model card is copied from the run. A run of folds or members becomes one
    function, the mean of its networks. Files of stablehlo and onnx need
    pip install "genre-kit[export]".

    Example: kit export train --to onnx --out for-the-browser

    Args:
        run: Folder that `kit train` made, or the name of an experiment, which stands for its
            newest run.
        to: onnx for onnxruntime, in any language; stablehlo for JAX on CPU, CUDA and TPU; npz for
            the arrays and their configuration alone.
        out: Folder of the files; `export` in the run's folder if not given.
        runs: Folder of the run folders.
    """
    from kit import terminal
    from kit.compilation import use_cache
    from kit.export import export as write
    from kit.export.files import MODEL_CARD
    from kit.training.folders import locate

    use_cache()
    folder = locate(run, runs).folder
    paths = write(folder, to, folder / "export" if out is None else out)
    size = paths[0].stat().st_size
    terminal.say(f"wrote {paths[0]} ({size / 1e6:.1f} MB), {', '.join(p.name for p in paths[1:])}")
    if paths[-1].name != MODEL_CARD:
        terminal.warn(f"{folder} has no model card; `kit evaluate {folder}` writes one")
    return 0
