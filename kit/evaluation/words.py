"""Sentences about an evaluation, for the terminal and the report.

An evaluation is the content of evaluation.json, as `kit.evaluation.evaluate` returns it.
"""

import shlex
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kit.config import FeatureConfig, to_dict
from kit.evaluation.intervals import FEW_GROUPS

Evaluation = dict[str, Any]

_NOUNS = {
    "test": "test tracks",
    "validation": "validation tracks",
    "train": "training tracks",
    "all": "tracks",
}


def evaluation_in_words(evaluation: Evaluation) -> list[str]:
    """Return the sentences for the terminal, the most important one first.

    They give the score by track with its interval, its baseline, the tracks that were not scored
    and the groups that the split keeps apart.

    Example:
        >>> found = kit.evaluate(kit.training.locate("tiny"), report=False)
        >>> len(kit.evaluation.evaluation_in_words(found)) > 1
        True
    """
    track, unseen = evaluation["track"], evaluation.get("unseen")
    first = headline(evaluation)
    if evaluation.get("several"):
        sentences = [first, precision(track)]
        if unseen:
            sentences.append(f"Unseen tracks alone: {precision(unseen['track'])}")
    else:
        sentences = [
            f"{first}." if seen(evaluation, "train") else f"{first}: {accuracy(track)}",
            unseen_in_words(unseen["track"]) if unseen else "",
        ]
    sentences += [
        by_fold(evaluation),
        verdict(evaluation),
        "" if evaluation.get("several") else beside_baselines(evaluation),
        caveat(evaluation),
        left_out(evaluation),
        "" if evaluation.get("another_collection") else apart(evaluation),
    ]
    return [sentence for sentence in sentences if sentence]


def precision(track: dict[str, Any]) -> str:
    """Return the mean average precision by track with its interval and its baseline."""
    if track["mean_average_precision"] is None:
        return "No score: every label is on all of these tracks or on none."
    between = f" (95% interval {interval(track['interval'])})" if track["interval"] else ""
    return (
        f"The mean average precision over labels is {percent(track['mean_average_precision'])}"
        f"{between}; a random order gives {percent(track['guessing'])}."
    )


def noun(evaluation: Evaluation) -> str:
    """Return the name of the scored tracks, such as "test tracks"."""
    if evaluation.get("folds"):
        return "tracks"
    return _NOUNS[evaluation.get("part", "test")]


def headline(evaluation: Evaluation) -> str:
    """Return the number of right answers, or a warning that training tracks were scored."""
    track, learned = evaluation["track"], seen(evaluation, "train")
    if learned:
        which = f"All {learned}" if learned == track["n"] else f"{learned} of these {track['n']}"
        return f"{which} tracks were used for training: this does not measure accuracy"
    if evaluation.get("several"):
        return f"{len(track['per_label'])} labels, {track['n']} {noun(evaluation)}"
    return f"{track['correct']} of {track['n']} {noun(evaluation)} right"


def accuracy(track: dict[str, Any]) -> str:
    """Return the accuracy by track with its interval and its baseline."""
    between = f" (95% interval {interval(track['interval'])})" if track["interval"] else ""
    return (
        f"{percent(track['accuracy'])}{between}; always guessing the most frequent training label, "
        f"“{track['majority_label']}”, gives {percent(track['majority_accuracy'])}."
    )


def unseen_in_words(track: dict[str, Any]) -> str:
    """Return the result on the tracks that neither training nor validation has seen."""
    return f"Unseen tracks alone: {track['correct']} of {track['n']} right, {accuracy(track)}"


def by_fold(evaluation: Evaluation) -> str:
    """Return the score of each fold, by track; empty without folds."""
    name = "mean_average_precision" if evaluation.get("several") else "accuracy"
    each = [fold[name] for fold in evaluation.get("folds") or ()]
    if not each or None in each:
        return ""
    scorer = "classifiers that were" if by_recipe(evaluation) else "network that was"
    return (
        f"Each track is scored by the {scorer} trained without its fold. {len(each)} folds: "
        f"{percent(min(each))} to {percent(max(each))}, mean {percent(statistics.mean(each))}, "
        f"standard deviation {percent(statistics.stdev(each))}."
    )


def by_recipe(evaluation: Evaluation) -> bool:
    """Return whether the recipe for small sets made the run."""
    return any("chosen" in fold for fold in evaluation.get("folds") or ())


def held_out(evaluation: Evaluation) -> bool:
    """Return whether training and validation have seen none of the scored tracks."""
    return not seen(evaluation, "train") and not seen(evaluation, "validation")


def caveat(evaluation: Evaluation) -> str:
    """Return why the accuracy is too high, or that the tracks are of another collection."""
    if seen(evaluation, "validation") and not seen(evaluation, "train"):
        return "Validation tracks chose the checkpoint, so this accuracy is somewhat too high."
    if evaluation.get("another_collection"):
        return "This is another collection: none of its tracks was used for training."
    return ""


def verdict(evaluation: Evaluation) -> str:
    """Return how the score compares with guessing; empty if the tracks are not held out."""
    if not held_out(evaluation):
        return ""
    track, several = evaluation["track"], evaluation.get("several")
    between, baseline = track["interval"], track["guessing" if several else "majority_accuracy"]
    if track.get("groups", FEW_GROUPS) < FEW_GROUPS:
        more = "" if evaluation.get("folds") else "; --split.folds 5 scores every track"
        return f"{groups(evaluation)}: too few for a claim, which needs {FEW_GROUPS}{more}."
    if between is None or between[0] <= baseline <= between[1]:
        return "Too few tracks to tell this from guessing."
    scorer = "recipe" if by_recipe(evaluation) else "network"
    return f"The {scorer} is {'better' if between[0] > baseline else 'worse'} than guessing."


def groups(evaluation: Evaluation) -> str:
    """Return the number of groups of the intervals, such as "6 groups of artists".

    A group holds all artists of a shared track.
    """
    count, by = evaluation["track"]["groups"], evaluation.get("grouped_by")
    if evaluation.get("another_collection"):
        by = "artist"
    noun = "track" if by in ("track", "random") else "group"
    of = {None: "", "artist": " of artists", "track": "", "random": ""}
    return f"{count:,} {noun}{'' if count == 1 else 's'}{of.get(by, f' of the column “{by}”')}"


def intervals_in_words(evaluation: Evaluation) -> str:
    """Return the groups that the intervals are over; empty without intervals."""
    track = evaluation["track"]
    if not held_out(evaluation) or track["interval"] is None:
        return ""
    few = "" if track["groups"] >= FEW_GROUPS else f", and fewer than {FEW_GROUPS} are too few"
    return f"Intervals are over {groups(evaluation)}{few}."


def chance(evaluation: Evaluation) -> str:
    """Return the result of the permutation test; empty if the tracks are not held out."""
    found = evaluation["track"].get("chance")
    if not found or not held_out(evaluation):
        return ""
    return (
        f"With labels permuted over groups, the mean accuracy is {percent(found['accuracy'])}; "
        f"{found['as_good']:,} of {found['draws']:,} permutations are at least as accurate "
        f"(p = {found['p']:.3f})."
    )


def merges(evaluation: Evaluation) -> str:
    """Return the pairs of labels whose merging adds most to the accuracy; empty without any."""
    found = evaluation["track"].get("merges")
    if not found or not held_out(evaluation):
        return ""
    pairs = [
        f"“{one['labels'][0]}” and “{one['labels'][1]}” ({percent(one['accuracy'])}, 95% interval "
        f"{interval(one['interval'])})"
        for one in found
    ]
    return f"Accuracy with two labels merged: {'; '.join(pairs)}."


def calibrated(evaluation: Evaluation) -> str:
    """Return the calibration error before and after scaling; empty without a temperature."""
    found = evaluation.get("calibration")
    if not found:
        return ""
    before, after, half = found["before"], found["after"], found["surest"][-1]
    sure = "too high" if found["factor"] < 1 else "too low"
    return (
        f"Probabilities of the answers are {sure}: the expected calibration error is "
        f"{percent(before['ece'])}, and {percent(after['ece'])} with logits multiplied by "
        f"{found['factor']:.2f}, fitted on {found['learned_on']}. Of the most certain half, "
        f"{percent(half['right'])} are right."
    )


def beside_baselines(evaluation: Evaluation) -> str:
    """Return the best of network and baselines, or the command that computes the baselines."""
    found = evaluation.get("baselines") or {}
    if "best_in_words" in found:
        return found["best_in_words"]
    return f"To compare with simple baselines: {found['command']}" if "command" in found else ""


def left_out(evaluation: Evaluation) -> str:
    """Return how many tracks of the part were not scored, and why; empty without any."""
    counts = evaluation.get("not_scored") or {}
    command = evaluation.get("features_command", "kit features CATALOGUE")
    reasons = {
        "no_features": f"without features (run `{command}`; failures.csv names the rest)",
        "not_in_catalogue": "not in the catalogue",
    }
    said = [f"{counts[name]} {text}" for name, text in reasons.items() if counts.get(name)]
    sentences = []
    if said:
        missing = sum(counts.values())
        whole = missing + evaluation["track"]["n"]
        sentences.append(
            f"{missing} of the {whole} {noun(evaluation)} could not be scored: {', '.join(said)}."
        )
    if count := evaluation.get("may_be_learned"):
        sentences.append(
            f"{count} tracks of the run are not in the catalogue any more; up to as many of those "
            "counted as unseen may be the same files with other bytes (new tags?), learned from."
        )
    return " ".join(sentences)


def tried(evaluation: Evaluation) -> str:
    """Return how many configurations were scored on these tracks; empty if unknown."""
    count = evaluation.get("configurations_tried")
    if count is None:
        return ""
    if count == 1:
        return "No other configuration in this folder of runs was scored on these test tracks."
    return (
        f"{count} configurations in this folder of runs were scored on these test tracks; the best "
        "of many looks better than it is."
    )


def apart(evaluation: Evaluation) -> str:
    """Return the groups that the split keeps apart; empty if unknown."""
    sentence = (evaluation.get("kept_apart") or {}).get("in_words", "")
    return f"{sentence.rstrip('.')}." if sentence else ""


def by_sound(evaluation: Evaluation) -> str:
    """Return how to find copies of a recording; empty if the split looked for them."""
    found = evaluation.get("kept_apart") or {}
    if found.get("by_sound", True) or found.get("by") == "random":
        return ""
    return (
        "The split did not look for copies of a recording under other names; "
        "kit split CATALOGUE --check --keep-together finds them by their sound."
    )


def percent(value: float) -> str:
    """Return a share with one decimal, such as "33.3%"."""
    return f"{100 * value:.1f}%"


def number(value: float | None) -> str:
    """Return a number with three decimals, such as "0.702"."""
    return "–" if value is None else f"{value:.3f}"


def interval(value: list[float] | None) -> str:
    """Return an interval of shares, such as "9.7–70.0%"."""
    return "–" if value is None else f"{100 * value[0]:.1f}–{100 * value[1]:.1f}%"


def features_command(folder: Path, config: FeatureConfig) -> str:
    """Return the `kit features` command for a catalogue and a configuration."""
    defaults = flat(to_dict(FeatureConfig()))
    arguments = ["kit", "features", str(folder)]
    for name, value in flat(to_dict(config)).items():
        if value != defaults[name]:
            arguments += [f"--features.{name.replace('_', '-')}", str(value)]
    return shlex.join(arguments)


def flat(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the values of nested dictionaries by their names, joined by dots."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        nested = isinstance(value, dict)
        found |= flat(value, f"{prefix}{key}.") if nested else {prefix + key: value}
    return found


def seen(evaluation: Evaluation, part: str) -> int:
    """Return how many scored tracks belong to the run's train or validation part."""
    return (evaluation.get("seen") or {}).get(part, 0)


def measured(evaluation: Evaluation) -> Evaluation:
    """Return the evaluation with the numbers of the unseen tracks, if others were scored too."""
    unseen = evaluation.get("unseen")
    return {**evaluation, **unseen, "seen": {}} if unseen else evaluation


def points(change: float) -> str:
    """Return a difference of shares in points, such as "−3.1"."""
    return f"{100 * change:+.1f}".replace("-", "−")


def listed(names: Sequence[str]) -> str:
    """Return names as "a, b and c"."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
