"""Evaluation on another collection: mapped labels, and the score beside the own test part's.

Only tracks outside training and validation count, and the two samples are independent.
"""

import dataclasses
import difflib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kit.catalogue import Catalogue
from kit.catalogue.io import read_csv
from kit.catalogue.schema import SEPARATOR, label_form, several_labels
from kit.errors import KitError, UsageError
from kit.evaluation.intervals import FEW_GROUPS
from kit.evaluation.parts import Part, file_name
from kit.evaluation.words import measured
from kit.files import read_json
from kit.training import Restored, Run


def parse_map(texts: Iterable[str]) -> dict[str, str]:
    """Return a map from the collection's labels to the run's labels.

    Args:
        texts: each `THEIRS=OURS`, or the name of a CSV file with the columns `from` and `to`.
    Raises:
        UsageError: a text is neither, the file lacks a column, or a label is mapped twice.
    """
    pairs: list[tuple[str, str]] = []
    for text in texts:
        before, is_pair, after = text.partition("=")
        if is_pair:
            pairs.append((before, after))
            continue
        if not Path(text).is_file():
            raise UsageError(
                f"--labels-map {text} is neither a file nor a pair; write THEIRS=OURS, such as "
                '"Tech House=house", or name a CSV file with the columns from and to'
            )
        table, _ = read_csv(Path(text))
        if not {"from", "to"} <= {*table}:
            raise UsageError(
                f"{text} needs the columns from and to; it has {', '.join(map(repr, table))}"
            )
        pairs += zip(table["from"], table["to"], strict=True)
    found: dict[str, str] = {}
    for before, after in pairs:
        theirs, ours = label_form(before), label_form(after)
        if not theirs or not ours:
            raise UsageError(f"--labels-map has {before!r} to {after!r}; write both labels")
        if found.setdefault(theirs, ours) != ours:
            raise UsageError(
                f"--labels-map maps {theirs!r} to {found[theirs]!r} and to {ours!r}; keep one"
            )
    return found


def prepared(
    catalogue: Catalogue,
    run: Run,
    restored: Restored,
    part: Part,
    labels_map: Mapping[str, str] | None,
) -> tuple[Catalogue, dict[str, Any]]:
    """Return a catalogue with the run's labels, and an entry of evaluation.json.

    A catalogue is another collection if its folder is not the training's and the run knows less
    than half of its tracks.

    Returns:
        The catalogue, and `collection` with `name`, `labels` (the map), `left_out` (tracks by
        label) and `unused` (mapped labels without a track). No entry for the run's own catalogue.
    Raises:
        UsageError: a map for the own catalogue, or to a label that the run does not know.
        KitError: no label is left.
    """
    ids = set(catalogue.table["track_id"])
    elsewhere = catalogue.folder.resolve() != Path(restored.experiment.catalogue).resolve()
    known = len(ids & set(run.split()["track_id"]))
    if part != "all" or not elsewhere or 2 * known >= len(ids):
        if labels_map:
            raise UsageError(
                "--labels-map is for another collection; add --catalogue OTHER --part all"
            )
        return catalogue, {}
    map_of = _onto(labels_map or {}, restored.labels)
    several = restored.experiment.train.several
    labels: list[str] = []
    left_out: Counter[str] = Counter()
    there: set[str] = set()
    for text in catalogue.table["label"]:
        names = several_labels(text) if several else (text,)
        there.update(map(_key, names))
        ours = dict.fromkeys(map_of[_key(name)] for name in names if _key(name) in map_of)
        labels.append(SEPARATOR.join(ours))
        if not ours:
            left_out[text] += 1
    if left_out and not labels_map:
        first = next(iter(left_out))
        raise KitError(
            f"{sum(left_out.values())} tracks have a label that this run does not know, such as "
            f"{first!r} (it knows {', '.join(restored.labels)}); map labels by --labels-map "
            f'"{first}={restored.labels[0]}"; tracks with other labels are left out'
        )
    unused = [name for name in labels_map or {} if _key(name) not in there]
    table = catalogue.table.assign(label=labels)
    table = table.loc[table["label"] != ""].reset_index(drop=True)
    if table.empty:
        raise KitError(
            f"no label of {catalogue.folder} is mapped to one of the run's "
            f"({', '.join(restored.labels)}): it has {', '.join(left_out)}, and --labels-map "
            f"maps {', '.join(labels_map or {})}"
        )
    about = {
        "name": catalogue.folder.resolve().name,
        "labels": dict(labels_map or {}),
        "left_out": dict(sorted(left_out.items())),
        "unused": unused,
    }
    return dataclasses.replace(catalogue, table=table), {"collection": about}


def _onto(labels_map: Mapping[str, str], known: Sequence[str]) -> dict[str, str]:
    """Return the run's label for each label's `_key`; the run's own labels map to themselves."""
    found = {_key(name): name for name in known}
    ours = dict(found)
    for before, after in labels_map.items():
        if _key(after) not in ours:
            close = difflib.get_close_matches(_key(after), ours, 1)
            meant = f"; did you mean {ours[close[0]]!r}?" if close else ""
            raise UsageError(
                f"--labels-map maps {before!r} to {after!r}, which this run does not know (it "
                f"knows {', '.join(known)}){meant}"
            )
        found[_key(before)] = ours[_key(after)]
    return found


def _key(label: str) -> str:
    return label_form(label).casefold()


def beside_own_test(evaluation: dict[str, Any], run: Run) -> dict[str, Any]:
    """Return the score on another collection beside that on the run's own test part.

    Returns:
        `measure`, `own`, `here` and `difference` of `collection`. `own` and `difference` are None
        if the same checkpoint was not evaluated on the test part, `here` if training has seen
        every track.
    Raises:
        KitError: evaluation.json is damaged.
    """
    measure = "mean_average_precision" if evaluation.get("several") else "accuracy"
    path = run.folder / file_name("evaluation", "test", ".json")
    own = read_json(path) if path.is_file() else None
    if own and own["checkpoint"] != evaluation["checkpoint"]:
        own = None
    seen = evaluation["seen"]
    learned = seen["train"] + seen["validation"] == evaluation["track"]["n"]
    found: dict[str, Any] = {
        "measure": measure,
        "own": own and _score(own["track"], measure),
        "here": None if learned else _score(measured(evaluation)["track"], measure),
        "difference": None,
    }
    if found["own"] and found["here"]:
        found["difference"] = difference(found["here"], found["own"])
    return found


def _score(track: dict[str, Any], measure: str) -> dict[str, Any]:
    names = ("interval", "n", "groups")
    return {"value": track[measure], **{name: track.get(name) for name in names}}


def difference(here: dict[str, Any], own: dict[str, Any]) -> dict[str, Any] | None:
    """Return the difference of two scores of independent tracks with its 95% interval.

    Args:
        here: `value`, `interval` and `groups` of one score.
        own: the same of the other.
    Returns:
        None if a score has no interval.

    Source: Newcombe (1998), Interval estimation for the difference between independent
        proportions, method 10.
    """
    if not here["interval"] or not own["interval"]:
        return None
    value = here["value"] - own["value"]
    (low, high), (least, most) = here["interval"], own["interval"]
    down = ((here["value"] - low) ** 2 + (most - own["value"]) ** 2) ** 0.5
    up = ((high - here["value"]) ** 2 + (own["value"] - least) ** 2) ** 0.5
    few = min(here["groups"], own["groups"]) < FEW_GROUPS
    interval = [value - down, value + up]
    differs = None if few else not interval[0] <= 0 <= interval[1]
    return {"value": value, "interval": interval, "differs": differs}
