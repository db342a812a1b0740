"""Early stopping, decided from metrics.jsonl alone."""

from collections.abc import Mapping, Sequence
from typing import Any

from kit.config import Experiment
from kit.errors import UsageError
from kit.training.scores import checkpoint_score

Rows = Sequence[Mapping[str, Any]]


def stopped_early(rows: Rows, patience: int | None) -> bool:
    """Return whether the score did not improve in the last `patience` epochs; None never stops."""
    return bool(rows) and patience is not None and len(rows) - _best(rows) >= patience


def early_stop_in_words(rows: Rows, experiment: Experiment) -> str | None:
    """Return a sentence about an early stop; None if the training did not stop early."""
    config = experiment.train
    if len(rows) == config.epochs or not stopped_early(rows, config.patience):
        return None
    return (
        f"stopped after epoch {len(rows)} of {config.epochs}: no better validation score for "
        f"{config.patience} epochs; epoch {_best(rows)} is the best"
    )


def require_validation(experiment: Experiment, parts: Sequence[str]) -> None:
    """Raise UsageError if a training has a patience and no track has the part "validation"."""
    if experiment.train.patience is not None and "validation" not in parts:
        raise UsageError(
            f"TrainConfig.patience is {experiment.train.patience}, and no track is in the "
            "validation part; raise SplitConfig.validation_fraction, or leave the patience out"
        )


def _best(rows: Rows) -> int:
    """Return the epoch of the best checkpoint, from 1; the first at a tie."""
    scores = [checkpoint_score(row) for row in rows]
    return 1 + scores.index(min(scores))
