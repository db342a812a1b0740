"""Write a run's metrics for TensorBoard."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kit.errors import UsageError

PARTS = ("train", "validation")


class Board:
    """TensorBoard files of one run, with one scalar for each metric and epoch.

    `train_loss` becomes "loss/train", so that TensorBoard draws both parts in one chart.
    """

    def __init__(self, folder: Path) -> None:
        """Create the folder, and replace the files of an earlier call.

        Raises:
            UsageError: the extra `tensorboard` is not installed.
        """
        try:
            import tensorboardX
        except ImportError as error:
            raise UsageError(
                "TensorBoard's files need another package: pip install 'genre-kit[tensorboard]'"
            ) from error
        shutil.rmtree(folder, ignore_errors=True)
        self._writer = tensorboardX.SummaryWriter(str(folder))
        self._epochs = 0

    def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write the new epochs; `rows` are all rows of metrics.jsonl."""
        for row in rows[self._epochs :]:
            for name, value in row.items():
                if name != "step" and isinstance(value, int | float):
                    self._writer.add_scalar(_tag(name), value, row["step"])
        self._epochs = len(rows)
        self._writer.flush()


def _tag(name: str) -> str:
    part, _, what = name.partition("_")
    return f"{what}/{part}" if part in PARTS else name
