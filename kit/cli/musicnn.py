"""`kit weights musicnn`."""

import sys
from pathlib import Path
from typing import Annotated

import tyro

from kit.cli.arguments import Musicnn

Wheel = Annotated[
    Path | None, tyro.conf.arg(name="from", metavar="FILE.whl", help_behavior_hint="")
]


def musicnn(model: Musicnn = "MSD_musicnn", wheel: Wheel = None) -> int:
    """Download musicnn's published weights, trained on up to 200,000 songs.

    pip downloads the authors' package musicnn 0.1.0. kit checks its SHA-256 and reads the weights;
    none of its code is installed or run. The weights are stored as NumPy arrays in the user's data
    folder, with a card about licence, training data and the effect on your results. The path is
    printed.

    Example: kit weights musicnn --from musicnn-0.1.0-py3-none-any.whl

    Args:
        wheel: File of the package, for a machine without network access.
    """
    from kit import terminal
    from kit.weights.musicnn import install, weights_file

    path = weights_file(model)
    if not path.is_file():
        path = install(model, wheel)
        terminal.say(path.with_suffix(".md").read_text(encoding="utf-8").rstrip())
    sys.stdout.write(f"{path}\n")
    return 0
