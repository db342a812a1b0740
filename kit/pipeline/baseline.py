"""A table of features to the scores of simple models."""

import csv
import dataclasses
from pathlib import Path

import pandas as pd

from kit import terminal
from kit.catalogue import read_table
from kit.catalogue.rights import require_rights
from kit.explore.baseline import Baseline, BaselineConfig, Doubt
from kit.explore.baseline import baseline as score
from kit.explore.table import UNNAMED, has_features, select
from kit.files import atomic_write, write_json
from kit.ingest.spotify.playlist_id import is_id

_SHOWN = 10
_DOUBT = [field.name for field in dataclasses.fields(Doubt)]


def baseline(
    table: Path,
    config: BaselineConfig = BaselineConfig(),
    *,
    out: Path,
    label: str | None = None,
    source: str | None = None,
    rights: bool = False,
) -> Baseline:
    """Score a CSV's features, say how, and write `baseline.json` and `doubtful.csv`.

    Args:
        table: the CSV, or a catalogue's `tracks.csv`.
        config: how the models are scored.
        out: the folder of the two files.
        label: the label of all rows of a CSV without one.
        source: as of `kit.explore.baseline.baseline`.
        rights: the user states a right to train on the table's features.
    Raises:
        UsageError: features from Spotify, or of audio from there, and no right to them stated.
    """
    rows, repeats = read_table(table, label=label)
    statements = _stated(rows, table, source, rights)
    with terminal.bar("baseline") as progress:
        result = score(rows, config, source=source, progress=progress)
    repeated = _repeated(rows, repeats)
    facts = dataclasses.asdict(result) | {"repeated": repeated, "config": vars(config)}
    facts["statements"] = statements
    write_json(out / "baseline.json", facts)
    with atomic_write(out / "doubtful.csv") as stream:
        writer = csv.DictWriter(stream, _DOUBT, lineterminator="\n")
        writer.writeheader()
        writer.writerows(dataclasses.asdict(doubt) for doubt in result.doubts)
    _say(result, config, repeated, out)
    return result


def _stated(rows: pd.DataFrame, table: Path, source: str | None, rights: bool) -> list[str]:
    """What is stated of the features that are trained on, and of the audio that they were measured
    on; of those that may need it, a note."""
    selection = select(rows, source)
    used = selection.table.loc[has_features(selection.table)]
    if selection.source == UNNAMED and any(map(is_id, used["track_id"])):
        terminal.say(
            "note: the tracks have ids of Spotify's, and their features name no source; if those "
            "are Spotify's too, its Developer Policy, section III.14, forbids to train a "
            "machine-learning model on them"
        )
    said = [
        require_rights(used, table, stated=rights, column=column)
        for column in ("feature_source", "audio_source")
    ]
    return [statement for statement in said if statement]


def _repeated(rows: pd.DataFrame, repeats: pd.DataFrame) -> list[dict[str, str | list[str]]]:
    """Ids that several rows have, with the label of each."""
    first = dict(zip(rows["track_id"], rows["label"], strict=True))
    labels: dict[str, list[str]] = {}
    for track_id, label in zip(repeats["track_id"], repeats["label"], strict=True):
        labels.setdefault(str(track_id), [str(first[track_id])]).append(str(label))
    return [{"track_id": track_id, "labels": of} for track_id, of in labels.items()]


def _say(
    result: Baseline,
    config: BaselineConfig,
    repeated: list[dict[str, str | list[str]]],
    out: Path,
) -> None:
    counts = ", ".join(f"{n} {label}" for label, n in result.tracks.items())
    source = "no named source" if result.source == UNNAMED else result.source
    terminal.say(f"{counts}; {result.artists} first artists; features of {source}")
    for name, n in result.left_out.items():
        terminal.say(f"left out: {n} rows with features of {name}; --source chooses")
    terminal.say(
        f"{config.folds} folds by artist; {result.set_aside:.0%} of the other folds' tracks set "
        "aside, which share an artist with the fold; 95% intervals by drawing artists again"
    )
    for s in result.scores:
        recall = ", ".join(f"{share:.2f} of {label}" for label, share in s.recall.items())
        low, high = s.interval
        terminal.say(f"{s.model:<20} {s.accuracy:.3f} ({low:.3f} to {high:.3f}); {recall}")
    if repeated:
        terminal.say(f"{len(repeated)} ids come more than once; the first row of each counts:")
    for entry in repeated:
        terminal.say(f"  {entry['track_id']}: {', '.join(entry['labels'])}")
    terminal.say(
        f"{len(result.doubts)} labels are in doubt: another has a probability above "
        f"{config.doubt_above:g}"
    )
    for doubt in result.doubts[:_SHOWN]:
        terminal.say(
            f"  {doubt.label}, or {doubt.other} ({doubt.probability:.3f})? "
            f"{doubt.artists} – {doubt.title}"
        )
    terminal.say(f"all of them: {out / 'doubtful.csv'}; the numbers: {out / 'baseline.json'}")
