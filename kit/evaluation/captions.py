"""Captions of the figures and tables of the report."""

from typing import Any

from kit.evaluation import words

Row = dict[str, Any]


def caption(evaluation: Row) -> str:
    """Return the caption of a table of numbers: the tracks that it covers."""
    n, learned = evaluation["track"]["n"], words.seen(evaluation, "train")
    if evaluation.get("folds"):
        of_fold = "classifiers" if words.by_recipe(evaluation) else "network"
        return f"On every track, by the {of_fold} trained without it"
    if learned == n:
        return "On training tracks"
    if learned:
        return f"On all {n} tracks, of which {learned} were used for training"
    return {
        "test": "On the test part, not used for training",
        "validation": "On the validation part, which chose the best checkpoint",
        "train": "On the training part",
        "all": "On every track of the catalogue",
    }[evaluation.get("part", "test")]


def lede(evaluation: Row) -> str:
    """Return the sentence below the headline."""
    unseen, several = evaluation.get("unseen"), evaluation.get("several")
    track = (unseen or evaluation)["track"]
    if several:
        return f"{'Unseen tracks alone: ' if unseen else ''}{words.precision(track)}"
    if unseen:
        return words.unseen_in_words(track)
    if words.seen(evaluation, "train"):
        return f"{track['correct']} of {track['n']} right. A test needs tracks outside training."
    return f"That is {words.accuracy(track)}"


def warnings(evaluation: Row, config: Row) -> list[str]:
    """Return reasons to trust the numbers less."""
    found = [words.caveat(evaluation), words.left_out(evaluation)]
    another = evaluation.get("another_collection")
    unknown = (evaluation.get("kept_apart") or {}).get("alone")
    if (unknown or config.get("split.allow_leaks")) and not another:
        found.append(words.apart(evaluation))
    if config.get("split.shuffle_labels"):
        found.append(
            "The labels were shuffled before training: this run is a control, which should do no "
            "better than guessing."
        )
    return [sentence for sentence in found if sentence]


def pooled(loss: str, several: bool) -> str:
    """Return how answers for segments are combined into the answer for a track."""
    if loss == "attention":
        return "the mean of its segments' probabilities, weighted by the network"
    if several:
        return "for each label the mean of its segments' log-odds"
    return "the mean of its segments' log-probabilities"


def learned(rows: list[Row], best: int | None, level: str) -> str:
    """Return the caption of the learning curves; `level` is "segment" or "track"."""
    if not rows:
        return "metrics.jsonl has no epoch."
    late = "Training values are means over an epoch, so they lag behind the validation values."
    if "networks" in rows[0]:
        return (
            f"Means over the {rows[0]['networks']} networks, or over those that reached the epoch. "
            f"Each network has its own best epoch. {late}"
        )
    if best is None:
        return "Without a validation part, the last epoch counts as the best."
    why = f"the highest accuracy by {level}"
    if rows[-1].get("validation_accuracy") is None:
        why = "the lowest loss"
    return f"The best epoch is {best} of {rows[-1]['epoch']}: {why} on the validation part. {late}"


def shown(evaluation: Row) -> Row:
    """Return the numbers of the unseen tracks if others were scored too, else of all tracks."""
    return evaluation.get("unseen") or evaluation


def measured(evaluation: Row) -> Row:
    """Return the evaluation with the numbers of `shown`."""
    unseen = evaluation.get("unseen")
    return {**evaluation, **unseen, "seen": {}} if unseen else evaluation
