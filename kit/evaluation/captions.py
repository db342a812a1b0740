"""Captions of the figures and tables of the report."""

from typing import Any

from kit.evaluation import words

Row = dict[str, Any]


def caption(evaluation: Row) -> str:
    """Return which tracks a table of numbers is about."""
    n, learned = evaluation["track"]["n"], learned_from(evaluation)
    if evaluation.get("folds"):
        of_fold = "classifiers" if words.by_recipe(evaluation) else "network"
        return f"On every track, by the {of_fold} that never learned from it"
    if learned == n:
        return "On tracks that were learned from"
    if learned:
        return f"On all {n} tracks, {learned} of them learned from"
    return {
        "test": "On the test part, never learned from",
        "validation": "On the validation part, which chose the best checkpoint",
        "train": "On the training part",
        "all": "On every track of the catalogue",
    }[part_of(evaluation)]


def lede(evaluation: Row) -> str:
    """Return the sentence below the headline."""
    unseen = evaluation.get("unseen")
    if unseen and evaluation.get("several"):
        return f"Unseen tracks alone: {words.precision(unseen['track'])}"
    if unseen:
        return words.unseen_in_words(unseen["track"])
    track = evaluation["track"]
    if evaluation.get("several"):
        return words.precision(track)
    if learned_from(evaluation):
        return f"{track['correct']} of {track['n']} right. A test needs tracks that are new to it."
    return f"That is {words.accuracy(track)}"


def warnings(evaluation: Row, config: Row) -> list[str]:
    """Return what makes the numbers less than they seem.

    Args:
        evaluation: the content of evaluation.json.
        config: each field of the experiment by its dotted name.
    """
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


def notes(evaluation: Row) -> list[str]:
    """Return what the numbers are based on."""
    of = measured(evaluation)
    return [words.intervals_in_words(of), words.chance(of)]


def pooled(loss: str, several: bool) -> str:
    """Return how the answer for a track is made of those for its segments."""
    if loss == "attention":
        return "the mean of its segments' probabilities, by weights that the network gives them"
    if several:
        return "for each label the mean of its segments' log-odds"
    return "the mean of its segments' log-probabilities"


def learned(rows: list[Row], best: int | None, level: str) -> str:
    """Return what the learning curves show.

    Args:
        rows: the rows of metrics.jsonl.
        best: the best epoch.
        level: of the validation accuracy, "segment" or "track".
    """
    if not rows:
        return "No epoch is recorded in metrics.jsonl."
    if "networks" in rows[0]:
        return (
            f"Means over the {rows[0]['networks']} networks, or over those that reached the epoch. "
            "Each network has a best epoch of its own. Training values are means over an epoch in "
            "which the network still learned, so they are behind those of validation."
        )
    if best is None:
        return "There was no validation part, so the last epoch counts as the best."
    if rows[-1].get("validation_accuracy") is None:
        return (
            f"The best epoch is {best} of {rows[-1]['epoch']}: it has the lowest loss on the "
            "validation part. Training values are means over an epoch in which the network still "
            "learned, so they are behind those of validation."
        )
    return (
        f"The best epoch is {best} of {rows[-1]['epoch']}: it has the highest accuracy on "
        f"the validation part, by {level}. Training values are means over an epoch in which the "
        "network still learned, so they are behind those of validation."
    )


def shown(evaluation: Row) -> Row:
    """Return the numbers of the unseen tracks if they are apart, else those of all tracks."""
    return evaluation.get("unseen") or evaluation


def measured(evaluation: Row) -> Row:
    """Return the evaluation of the unseen tracks alone, if there are others too."""
    unseen = evaluation.get("unseen")
    return {**evaluation, **unseen, "seen": {}} if unseen else evaluation


def learned_from(evaluation: Row) -> int:
    """Return the number of scored tracks that training has seen."""
    return (evaluation.get("seen") or {}).get("train", 0)


def part_of(evaluation: Row) -> str:
    """Return the part of the split that was scored."""
    return evaluation.get("part", "test")
