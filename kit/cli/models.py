"""`kit models`."""

import dataclasses
from typing import Annotated

import tyro

from kit.cli.model import defaults, model_name
from kit.config import MODELS, model_class
from kit.errors import UsageError

Names = Annotated[
    tuple[str, ...],
    tyro.conf.Positional,
    tyro.conf.arg(metavar="[NAME ...]", help_behavior_hint=""),
]


def models(names: Names = (), n_mels: int = 128, labels: int = 2) -> int:
    """List the networks, their parameters and their receptive fields.

    The receptive field is the number of input frames that affect one output of the last pooling.

    Example: kit models my_models.py:Mine

    Args:
        names: kit's networks by name, or your own classes as path/to/file.py:Class or
            package.module:Class; all of kit's if not given.
        n_mels: Mel bands of the input.
        labels: Labels of the output.
    """
    for name, value in {"n-mels": n_mels, "labels": labels}.items():
        if value < 1:
            raise UsageError(f"--{name} is {value}; it must be at least 1")
    classes = [model_class(name) for name in names or MODELS]
    from kit.cli.output import write_rows
    from kit.models import build, size

    rows = []
    for cls in classes:
        options = defaults(cls)
        if options is None:
            raise UsageError(
                f"{cls.__name__} has fields without a default; give each one a default"
            )
        field = getattr(options, "receptive_field", None)
        rows.append(
            {
                "name": model_name(cls),
                "parameters": size(build(options, n_mels=n_mels, n_classes=labels).shapes()[0]),
                "receptive_field": "not stated" if field is None else f"{field} frames",
                "options": ", ".join(f.name for f in dataclasses.fields(options)),
            }
        )
    write_rows("table", rows)
    return 0
