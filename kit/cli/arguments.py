"""Argument types that several commands share."""

from pathlib import Path
from typing import Annotated

import tyro

from kit.config import ExtractConfig
from kit.errors import UsageError

Flag = tyro.conf.FlagCreatePairsOff[bool]
Repeated = tyro.conf.UseAppendAction[tuple[str, ...]]
PathOrNot = Annotated[Path | None, tyro.conf.arg(metavar="PATH", help_behavior_hint="")]
TextOrNot = Annotated[str | None, tyro.conf.arg(metavar="TEXT", help_behavior_hint="")]
CatalogueFolder = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="CATALOGUE")]
Options = Annotated[ExtractConfig, tyro.conf.arg(name=""), tyro.conf.FlagCreatePairsOff]
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
