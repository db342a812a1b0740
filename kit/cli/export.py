"""`kit export`."""

from pathlib import Path
from typing import Literal

from kit.cli.arguments import PathOrNot, RunName, Runs


def export(
    run: RunName,
    to: Literal["stablehlo", "onnx", "npz", "web"],
    out: PathOrNot = None,
    onnxruntime_web: PathOrNot = None,
    runs: Runs = Path("runs"),
) -> int:
    """Write a run to one file, from waveform to probabilities, for use without kit.

    The front end is part of the function, so it takes samples: mono, at the run's sample rate, one
    excerpt in each row. labels.json beside it has the labels, the sample rate, and the least and
    most samples; the model card is copied from the run. A run of folds or members becomes one
    function, the mean of its networks. All but npz need pip install "genre-kit[export]".

    web is one page for any browser: it answers for files that are dropped on it, and sends nothing.
    npm downloads onnxruntime-web for it, once; kit checks its SHA-512.

    Example: kit export train --to onnx --out for-the-browser

    Args:
        to: onnx for onnxruntime, in any language; stablehlo for JAX on CPU, CUDA and TPU; web for a
            page that opens in a browser; npz for the arrays and their configuration alone.
        out: Folder of the files; `export` in the run's folder if not given.
        onnxruntime_web: File that `npm pack` downloaded, for a machine without npm or network.
    """
    from kit import terminal
    from kit.compilation import use_cache
    from kit.export import export as write
    from kit.export.files import MODEL_CARD
    from kit.training.folders import locate

    use_cache()
    folder = locate(run, runs).folder
    paths = write(
        folder,
        to,
        folder / "export" if out is None else out,
        onnxruntime_web=onnxruntime_web,
    )
    size = paths[0].stat().st_size
    terminal.say(f"wrote {paths[0]} ({size / 1e6:.1f} MB), {', '.join(p.name for p in paths[1:])}")
    if paths[-1].name != MODEL_CARD:
        terminal.warn(f"{folder} has no model card; `kit evaluate {folder}` writes one")
    return 0
