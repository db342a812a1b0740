"""Argument types that several commands share."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from kit.config import DecodeConfig, ExtractConfig
from kit.errors import UsageError
from kit.weights import Model

if TYPE_CHECKING:
    from kit.catalogue import Catalogue

Flag = tyro.conf.FlagCreatePairsOff[bool]
Repeated = tyro.conf.UseAppendAction[tuple[str, ...]]
PathOrNot = Annotated[Path | None, tyro.conf.arg(metavar="PATH", help_behavior_hint="")]
TextOrNot = Annotated[str | None, tyro.conf.arg(metavar="TEXT", help_behavior_hint="")]
CatalogueFolder = Annotated[
    Path,
    tyro.conf.Positional,
    tyro.conf.arg(metavar="CATALOGUE", help="Folder that `kit scan` made."),
]
Format = Annotated[
    Literal["table", "csv", "json"],
    tyro.conf.arg(help="A text table, CSV with a header, or JSON; only a table has conclusions."),
]
Layer = Annotated[
    Literal["penultimate", "pooled"],
    tyro.conf.arg(help="The penultimate layer, or the pooling layer."),
]
ModelName = Annotated[
    str,
    tyro.conf.arg(
        name="model.name",
        help="The network: one that `kit models` lists, or your own class as path/to/file.py:Class "
        "or package.module:Class.",
    ),
]
Musicnn = Annotated[
    Model,
    tyro.conf.arg(
        help="Weights trained on the Million Song Dataset (MSD) or on MagnaTagATune (MTT)."
    ),
]
Decoding = Annotated[
    DecodeConfig,
    tyro.conf.arg(name="", help="Workers, time limits and retries; they do not change the result."),
    tyro.conf.FlagCreatePairsOff,
]
Options = Annotated[
    ExtractConfig,
    tyro.conf.arg(name="", help="Workers, time limits and retries; they do not change the result."),
    tyro.conf.FlagCreatePairsOff,
]
Quiet = Annotated[Flag, tyro.conf.arg(help="Print warnings and errors only.")]
_RUN = "Folder that `kit train` made, or name of an experiment for its newest run"
RunName = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN", help=f"{_RUN}.")]
RunOrNewest = Annotated[
    Path | None,
    tyro.conf.Positional,
    tyro.conf.arg(
        metavar="[RUN]",
        help_behavior_hint="",
        help=f"{_RUN}; the newest of all runs if not given.",
    ),
]
Runs = Annotated[Path, tyro.conf.arg(help="Folder that contains the run folders.")]
Rights = Annotated[
    Flag,
    tyro.conf.arg(
        help="State a right to train on audio that came from Spotify, whose Developer Policy, "
        "section III.14, forbids it; the statement is kept with the run."
    ),
]


def require_catalogue(folder: Path) -> None:
    """Check that a folder exists, before slow imports.

    Raises:
        UsageError: it does not exist.
    """
    if not folder.is_dir():
        raise UsageError(
            f"{folder} is not a catalogue: the folder does not exist; make one with `kit scan`"
        )


def opened(folder: Path) -> "Catalogue":
    """Return the catalogue in a folder; raise UsageError before slow imports."""
    require_catalogue(folder)
    from kit.catalogue import load

    return load(folder)
