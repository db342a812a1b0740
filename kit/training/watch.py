"""Stop a training at numbers that are not finite, and name the tracks of the first bad batch."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from kit.errors import KitError
from kit.files import atomic_write
from kit.training.run import Run

_NAMED = 5


def require_finite_steps(
    run: Run,
    epoch: int,
    first_step: int,
    numbers: Mapping[str, Float[np.ndarray, " steps"]],
    tracks: Callable[[int], Sequence[str]],
    paths: Mapping[str, str],
) -> None:
    """Check the metrics of all steps of an epoch together, so that no step waits for the device.

    Args:
        epoch: from 1.
        first_step: number of the epoch's first step, from 1.
        tracks: function from a step of the epoch, from 0, to the track_ids of its batch.
        The others: run, metrics by name, and known files of tracks.
    Raises:
        KitError: a number is not finite; not_finite.csv lists the tracks of the first bad batch.
    """
    bad = {name: np.flatnonzero(~np.isfinite(values)) for name, values in numbers.items()}
    first = min((int(steps[0]) for steps in bad.values() if len(steps)), default=None)
    if first is None:
        return
    name = next(name for name, steps in bad.items() if first in steps)
    ids = list(dict.fromkeys(tracks(first)))
    table = pd.DataFrame({"track_id": ids, "path": [paths.get(track, "") for track in ids]})
    place = run.folder / "not_finite.csv"
    with atomic_write(place) as stream:
        table.to_csv(stream, index=False, lineterminator="\n")
    shown = ", ".join(ids[:_NAMED]) + (f" and {len(ids) - _NAMED} more" if ids[_NAMED:] else "")
    raise KitError(
        f"{name} is {numbers[name][first]} at step {first_step + first}, in epoch {epoch}, in a "
        f"batch of the tracks {shown}; {place} lists them: look at their features, or lower "
        f"TrainConfig.learning_rate (the last good checkpoint is kept in {run.checkpoints})"
    )


def require_finite_row(row: Mapping[str, Any], run: Run) -> None:
    """Raise KitError if a number in the row of an epoch is not finite."""
    for name, value in row.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise KitError(
                f"{name} is {value} after epoch {row['epoch']}; lower TrainConfig.learning_rate "
                f"(the last good checkpoint is kept in {run.checkpoints})"
            )
