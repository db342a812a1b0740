"""Sentences about an evaluation, for the terminal and the report.

An evaluation is the content of evaluation.json, as `kit.evaluation.evaluate` returns it.
"""

import shlex
import statistics
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
    """Return the sentences that the terminal shows, the most important one first.

    They give the accuracy by track with its interval and its baseline, whether it differs from
    guessing, whether a simple baseline is better, what was not scored, and what the split kept
    apart.
    """
    track, unseen = evaluation["track"], evaluation.get("unseen")
    if evaluation.get("several"):
        return _several_in_words(evaluation)
    first = headline(evaluation)
    learned = _seen(evaluation, "train")
    sentences = [f"{first}." if learned else f"{first}: {accuracy(track)}"]
    sentences += [unseen_in_words(unseen["track"])] if unseen else []
    sentences += [
        by_fold(evaluation),
        verdict(evaluation),
        beside_baselines(evaluation),
        caveat(evaluation),
        left_out(evaluation),
    ]
    if not evaluation.get("another_collection"):
        sentences.append(apart(evaluation))
    return [sentence for sentence in sentences if sentence]


def _several_in_words(evaluation: Evaluation) -> list[str]:
    unseen = evaluation.get("unseen")
    sentences = [headline(evaluation), precision(evaluation["track"])]
    if unseen:
        sentences.append(f"Unseen tracks alone: {precision(unseen['track'])}")
    sentences += [
        by_fold(evaluation),
        verdict(evaluation),
        caveat(evaluation),
        left_out(evaluation),
        "" if evaluation.get("another_collection") else apart(evaluation),
    ]
    return [sentence for sentence in sentences if sentence]


def precision(track: dict[str, Any]) -> str:
    """Return the mean average precision by track with its interval, and that of guessing."""
    if track["mean_average_precision"] is None:
        return "No label is on some of these tracks and not on others: there is nothing to score."
    between = f" (95% interval {interval(track['interval'])})" if track["interval"] else ""
    return (
        f"The mean average precision over labels is {percent(track['mean_average_precision'])}"
        f"{between}; a random order gives {percent(track['guessing'])}."
    )


def noun(evaluation: Evaluation) -> str:
    """Return the name of the tracks that were scored, such as "test tracks"."""
    if evaluation.get("folds"):
        return "tracks"
    return _NOUNS[evaluation.get("part", "test")]


def headline(evaluation: Evaluation) -> str:
    """Return the number of right answers, or that training tracks are no measure of accuracy."""
    track, learned = evaluation["track"], _seen(evaluation, "train")
    if not learned and evaluation.get("several"):
        return f"{len(track['per_label'])} labels, {track['n']} {noun(evaluation)}"
    if not learned:
        return f"{track['correct']} of {track['n']} {noun(evaluation)} right"
    everything = learned == track["n"]
    which = f"All {learned}" if everything else f"{learned} of these {track['n']}"
    return f"{which} tracks were learned from: this is no measure of accuracy"


def accuracy(track: dict[str, Any]) -> str:
    """Return the accuracy by track with its interval, and the baseline."""
    between = f" (95% interval {interval(track['interval'])})" if track["interval"] else ""
    return (
        f"{percent(track['accuracy'])}{between}; always guessing the most frequent training label, "
        f"“{track['majority_label']}”, gives {percent(track['majority_accuracy'])}."
    )


def unseen_in_words(track: dict[str, Any]) -> str:
    """Return the result of the tracks that neither training nor validation has seen."""
    return f"Unseen tracks alone: {track['correct']} of {track['n']} right, {accuracy(track)}"


def by_fold(evaluation: Evaluation) -> str:
    """Return the accuracies of the folds, by track; empty for a run without folds."""
    name = "mean_average_precision" if evaluation.get("several") else "accuracy"
    each = [fold[name] for fold in evaluation.get("folds") or ()]
    if not each or None in each:
        return ""
    scorer = "the classifiers" if by_recipe(evaluation) else "the network"
    learned = "have" if by_recipe(evaluation) else "has"
    return (
        f"Each track is scored by {scorer} of its fold, which {learned} not learned from it; "
        f"{len(each)} folds: {percent(min(each))} to {percent(max(each))}, mean "
        f"{percent(statistics.mean(each))}, standard deviation {percent(statistics.stdev(each))}."
    )


def by_recipe(evaluation: Evaluation) -> bool:
    """Return whether the recipe for small sets made the run, and no network was trained."""
    return any("chosen" in fold for fold in evaluation.get("folds") or ())


def held_out(evaluation: Evaluation) -> bool:
    """Return whether neither training nor validation has seen any of the scored tracks."""
    return not _seen(evaluation, "train") and not _seen(evaluation, "validation")


def caveat(evaluation: Evaluation) -> str:
    """Return what makes an accuracy too high, or what tracks it is of; empty if neither."""
    if _seen(evaluation, "validation") and not _seen(evaluation, "train"):
        return "Validation tracks chose the best checkpoint, so this accuracy is somewhat too high."
    if evaluation.get("another_collection"):
        return "This is another collection: none of its tracks was learned from."
    return ""


def verdict(evaluation: Evaluation) -> str:
    """Return whether the accuracy differs from guessing; empty if the tracks are not held out."""
    if not held_out(evaluation):
        return ""
    track, several = evaluation["track"], evaluation.get("several")
    between, baseline = track["interval"], track["guessing" if several else "majority_accuracy"]
    if track.get("groups", FEW_GROUPS) < FEW_GROUPS:
        more = "" if evaluation.get("folds") else "; --split.folds 5 scores every track"
        return f"{groups(evaluation)}: too few for a claim, which takes {FEW_GROUPS}{more}."
    if between is None or between[0] <= baseline <= between[1]:
        return "Too few tracks to tell this from guessing."
    if between[0] > baseline:
        return f"The {'recipe' if by_recipe(evaluation) else 'network'} hears a difference."
    return "This is worse than guessing."


def groups(evaluation: Evaluation) -> str:
    """Return the number of groups that the intervals are over, such as "6 groups of artists".

    Artists of one track are one group.
    """
    count, by = evaluation["track"]["groups"], evaluation.get("grouped_by")
    if evaluation.get("another_collection"):
        by = "artist"
    noun = "track" if by in ("track", "random") else "group"
    of = {None: "", "artist": " of artists", "track": "", "random": ""}
    return f"{count:,} {noun}{'' if count == 1 else 's'}{of.get(by, f' of the column “{by}”')}"


def intervals_in_words(evaluation: Evaluation) -> str:
    """Return what the intervals are over; empty if there is none to show."""
    track = evaluation["track"]
    if not held_out(evaluation) or track["interval"] is None:
        return ""
    few = "" if track["groups"] >= FEW_GROUPS else f", and fewer than {FEW_GROUPS} are too few"
    return f"Intervals are over {groups(evaluation)}{few}."


def chance(evaluation: Evaluation) -> str:
    """Return how good the answers are if labels are permuted; empty if tracks are not held out."""
    found = evaluation["track"].get("chance")
    if not found or not held_out(evaluation):
        return ""
    return (
        f"With the labels permuted over the groups, the same answers are "
        f"{percent(found['accuracy'])} right in the mean; {found['as_good']:,} of "
        f"{found['draws']:,} permutations do as well (p = {found['p']:.3f})."
    )


def merges(evaluation: Evaluation) -> str:
    """Return which labels would be told apart better as one; empty if there are none."""
    found = evaluation["track"].get("merges")
    if not found or not held_out(evaluation):
        return ""
    pairs = [
        f"“{one['labels'][0]}” and “{one['labels'][1]}” ({percent(one['accuracy'])}, 95% interval "
        f"{interval(one['interval'])})"
        for one in found
    ]
    return f"Accuracy if two labels were one: {'; '.join(pairs)}."


def calibrated(evaluation: Evaluation) -> str:
    """Return whether the probabilities can be believed; empty if nothing is known of it."""
    found = evaluation.get("calibration")
    if not found:
        return ""
    before, after, half = found["before"], found["after"], found["surest"][-1]
    sure = "surer" if found["factor"] < 1 else "less sure"
    return (
        f"The answers are {sure} than right: their probability and the share that is right are "
        f"{percent(before['ece'])} apart in the mean, and {percent(after['ece'])} with logits "
        f"times {found['factor']:.2f}, which {found['learned_on']} give. Of the surest half, "
        f"{percent(half['right'])} are right."
    )


def beside_baselines(evaluation: Evaluation) -> str:
    """Return which of the network and the simple baselines is best; empty if nothing is known."""
    found = evaluation.get("baselines") or {}
    if "best_in_words" in found:
        return found["best_in_words"]
    if "command" in found:
        return f"To see whether a simple baseline is better: {found['command']}"
    return ""


def left_out(evaluation: Evaluation) -> str:
    """Return how many tracks of the part could not be scored and why; empty if there is none."""
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
    """Return how many configurations were scored on these tracks; empty if it is not known."""
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
    """Return what the split kept apart; empty if the run does not know."""
    sentence = (evaluation.get("kept_apart") or {}).get("in_words", "")
    return f"{sentence.rstrip('.')}." if sentence else ""


def by_sound(evaluation: Evaluation) -> str:
    """Return that copies of a recording were not looked for; empty if they were."""
    found = evaluation.get("kept_apart") or {}
    if found.get("by_sound", True) or found.get("by") == "random":
        return ""
    return (
        "Copies of a recording under other names were not looked for; "
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
    """Return the command that computes the features of a catalogue under a configuration."""
    defaults = flat(to_dict(FeatureConfig()))
    arguments = ["kit", "features", str(folder)]
    for name, value in flat(to_dict(config)).items():
        if value != defaults[name]:
            arguments += [f"--features.{name.replace('_', '-')}", str(value)]
    return shlex.join(arguments)


def flat(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return each value of nested dictionaries by its names joined by dots."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        nested = isinstance(value, dict)
        found |= flat(value, f"{prefix}{key}.") if nested else {prefix + key: value}
    return found


def _seen(evaluation: Evaluation, part: str) -> int:
    return (evaluation.get("seen") or {}).get(part, 0)
