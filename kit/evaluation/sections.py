"""Sections and sentences on certainty, doubtful labels and other collections.

An evaluation is the content of evaluation.json, as `kit.evaluation.evaluate` returns it.
"""

from typing import Any

from kit.evaluation import doubtful
from kit.evaluation.section import Section, Table
from kit.evaluation.words import interval, percent, points

Evaluation = dict[str, Any]
SHOWN = 10
"""Doubtful labels to show on the page."""


def sections(evaluation: Evaluation) -> tuple[Section, ...]:
    """Return the sections that an evaluation has."""
    made = (_another(evaluation), _certainty(evaluation), _doubtful(evaluation))
    return tuple(section for section in made if section)


def sentences(evaluation: Evaluation) -> list[str]:
    """Return the sentences that follow `kit.evaluation.evaluation_in_words` on the terminal."""
    said = [*another_in_words(evaluation), *certainty_in_words(evaluation)]
    rows = evaluation.get("doubtful")
    if rows and _above_guessing(evaluation):
        said.append(
            f"{_labels(len(rows))} doubtful, listed in {doubtful.NAME}; correct its column label "
            f"and run kit scan FOLDER --labels {doubtful.NAME}."
        )
    return said


def certainty_in_words(evaluation: Evaluation) -> list[str]:
    """Return the coverage of prediction sets, and the error of certain answers."""
    certain = evaluation.get("certain")
    if not certain:
        return []
    sets, source = evaluation["sets"][0], _source(evaluation)
    if "covered" not in sets:
        more = "" if evaluation.get("folds") else "; --split.folds 5 calibrates on every track"
        return [
            f"Too few artists for prediction sets and uncertain answers: {source} have "
            f"{sets['calibrated_on']} groups, and {sets['level']:.0%} needs {sets['needed']}{more}."
        ]
    said = [
        f"Prediction sets for {sets['level']:.0%} contain the right label of "
        f"{percent(sets['covered'])} of held-out tracks (95% interval "
        f"{interval(sets['interval'])}); they have {sets['size']:.1f} labels on average, and "
        f"{percent(sets['one'])} have a single label."
    ]
    if certain["certain"]:
        said.append(
            f"{certain['certain']} of {certain['n']} answers are certain at a risk of "
            f"{certain['risk']:.0%}; {certain['wrong']} of them are wrong: "
            f"{percent(certain['wrong'] / certain['certain'])} (95% interval "
            f"{interval(certain['interval'])})."
        )
    else:
        said.append(
            f"All answers are uncertain: no threshold keeps wrong answers below "
            f"{certain['risk']:.0%}."
        )
    return said


def another_in_words(evaluation: Evaluation) -> list[str]:
    """Return the score on another collection beside that on the own test part."""
    found = evaluation.get("collection")
    if not found:
        return []
    said, left, seen = [], found["left_out"], evaluation["seen"]
    if left:
        names = ", ".join(f"{n} “{label}”" for label, n in left.items())
        said.append(f"Left out, since neither the map nor the run knows the label: {names}.")
    if found["unused"]:
        names = ", ".join(f"“{label}”" for label in found["unused"])
        said.append(f"Labels of the map that no track here has: {names}.")
    if learned := seen["train"] + seen["validation"]:
        said.append(f"Copies of training or validation files, which do not count: {learned}.")
    own, here, name = found["own"], found["here"], found["measure"].replace("_", " ")
    if own is None:
        said.append("To compare with the run's own test part: kit evaluate RUN")
    if own is None or here is None or here["value"] is None or own["value"] is None:
        return said
    said.append(f"{name.capitalize()} here: {_score(here)}. On the own test part: {_score(own)}.")
    if gap := found["difference"]:
        verdict = {
            None: "too few artists for a claim",
            True: "the scores differ",
            False: "the tracks show no difference",
        }[gap["differs"]]
        low, high = map(points, gap["interval"])
        said.append(
            f"The difference is {points(gap['value'])} points (95% interval {low} to {high}): "
            f"{verdict}."
        )
    return said


def _another(evaluation: Evaluation) -> Section | None:
    found = evaluation.get("collection")
    said = another_in_words(evaluation)
    if not found or not said:
        return None
    rows = [
        (name, *_cells(found[key]))
        for name, key in ((found["name"], "here"), ("own test part", "own"))
        if found[key] and found[key]["value"] is not None
    ]
    columns = ("Tracks of", found["measure"].replace("_", " "), "95% interval", "tracks", "groups")
    tables = [Table("Scores on tracks outside training", columns, tuple(rows))] if rows else []
    if found["labels"]:
        pairs = tuple(found["labels"].items())
        tables.append(Table("Map of labels", ("Label here", "label of the run"), pairs))
    return Section("another", "Beside the own test part", " ".join(said), tables=tuple(tables))


def _certainty(evaluation: Evaluation) -> Section | None:
    said = certainty_in_words(evaluation)
    if not said:
        return None
    tables = []
    rows = [row for row in evaluation["sets"] if "covered" in row]
    if rows:
        columns = (
            *("Level", "lowest probability", "coverage by track", "95% interval"),
            *("by artist", "95% interval", "labels in a set", "sets of one label"),
        )
        cells = tuple(
            (
                *(f"{row['level']:.0%}", f"{row['least']:.3f}", percent(row["covered"])),
                *(interval(row["interval"]), percent(row["covered_by_group"])),
                *(interval(row["interval_by_group"]), f"{row['size']:.2f}", percent(row["one"])),
            )
            for row in rows
        )
        tables.append(Table("Prediction sets on held-out tracks", columns, cells))
    note = (
        f"Thresholds come from {_source(evaluation)} ({evaluation['certain']['calibrated_on']} "
        "groups). Each group has the same weight; the guarantee holds for new artists of the same "
        "kind. kit predict marks uncertain answers and gives each track's prediction set."
        if rows
        else ""
    )
    return Section("certainty", "Certainty of the answers", " ".join(said), (), tuple(tables), note)


def _doubtful(evaluation: Evaluation) -> Section | None:
    rows = evaluation.get("doubtful")
    if rows is None or not evaluation["tracks"]:
        return None
    if not rows or not _above_guessing(evaluation):
        said = "The network may not be better than guessing, so the labels that it contradicts "
        said += f"({len(rows)}, in {doubtful.NAME}) may well be right."
        return Section(
            "doubtful", "Doubtful labels", said if rows else "The network contradicts no label."
        )
    track_of = {track["track_id"]: track for track in evaluation["tracks"]}
    shown = tuple(
        track_of[row["track_id"]]
        | {"predicted": row["suggested"], "probability": row["probability"]}
        for row in rows[:SHOWN]
    )
    first = f"; the {SHOWN} most probable corrections are below" if len(rows) > SHOWN else ""
    return Section(
        "doubtful",
        "Doubtful labels",
        f"{_labels(len(rows))} doubtful{first}. The network gives each of these tracks another "
        "label, with at least the mean probability of the tracks that carry it. Listen before you "
        "change a label: the network makes mistakes too.",
        note=f"{doubtful.NAME} has all of them. Correct its column label, then scan the folder "
        f"again: kit scan FOLDER --labels {doubtful.NAME} --out CATALOGUE. Tracks that the file "
        "does not name keep the label of their folder.",
        tracks=shown,
    )


def _above_guessing(evaluation: Evaluation) -> bool:
    track = evaluation["track"]
    between = track["interval"]
    return between is not None and between[0] > track["majority_accuracy"]


def _labels(count: int) -> str:
    return f"{count} label is" if count == 1 else f"{count} labels are"


def _source(evaluation: Evaluation) -> str:
    return "the tracks of all folds" if evaluation.get("folds") else "the validation tracks"


def _score(score: dict[str, Any]) -> str:
    value, between, n, groups = _cells(score)
    return f"{value} (95% interval {between}; {n} tracks, {groups} groups)"


def _cells(score: dict[str, Any]) -> tuple[str, str, str, str]:
    value = percent(score["value"])
    return value, interval(score["interval"]), str(score["n"]), str(score["groups"])
