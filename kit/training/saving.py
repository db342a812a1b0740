"""Checkpoints and metrics of a training in progress; only process 0 reads and writes them."""

import contextlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from kit.training import processes
from kit.training.checkpoint import Checkpoints, Saved
from kit.training.run import Run
from kit.training.scores import checkpoint_score
from kit.training.state import TrainState


class Record:
    """Context manager that reads and writes the metrics and checkpoints of a training.

    All processes have the same attributes and must call the same methods.

    Attributes:
        step: step of the newest checkpoint; 0 before the first.
        state: state of that checkpoint as NumPy arrays; None before the first.
        meta: metadata of that checkpoint; empty before the first.
        rows: rows of metrics.jsonl up to that step.
    """

    def __init__(self, run: Run, template: TrainState) -> None:
        """Read the newest checkpoint and the metrics.

        Raises:
            KitError: a checkpoint has another format or network, or a file is damaged.
        Warns:
            KitWarning: a checkpoint is damaged, so the one before it is used.
        """
        self._run = run
        self._saved: Saved | None = None
        with contextlib.ExitStack() as held:
            found = processes.agreed(lambda: self._open(template, held))
            self.step: int = found["step"]
            self.meta: dict[str, Any] = found["meta"]
            self.rows: list[dict[str, Any]] = found["rows"]
            self.state: TrainState | None = None
            if self.step:
                shapes = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), template)
                self.state = processes.of_first(self._saved.state if self._saved else shapes)
            self._saved = None
            self._held = held.pop_all()

    def __enter__(self) -> "Record":
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def _open(self, template: TrainState, held: contextlib.ExitStack) -> dict[str, Any]:
        self._checkpoints = held.enter_context(Checkpoints(self._run.checkpoints))
        self._saved = saved = self._checkpoints.newest(template)
        step = saved.step if saved else 0
        rows = [row for row in self._run.metrics() if row["step"] <= step]
        return {"step": step, "meta": saved.meta if saved else {}, "rows": rows}

    def add(self, row: dict[str, Any], state: TrainState, meta: Mapping[str, Any]) -> None:
        """Write the row of an epoch, and start to save its state in the background.

        Raises:
            KitError: a file cannot be written.
        """
        self.rows.append(row)

        def write() -> None:
            self._run.write_metrics(self.rows)
            self._checkpoints.save(row["step"], state, dict(meta), checkpoint_score(row))

        processes.agreed(write)

    def wait(self) -> None:
        """Wait until everything is on disk.

        Raises:
            KitError: a save failed.
        """
        processes.agreed(lambda: self._checkpoints.wait())
