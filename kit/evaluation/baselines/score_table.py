"""Score the audio features of a table file by simple models, and write what was found."""

import csv
import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from kit.catalogue import read_table
from kit.catalogue.rights import require_rights
from kit.evaluation.baselines.features import Baseline, BaselineConfig, Doubt, baseline
from kit.explore.statistics import UNNAMED, has_features, select
from kit.files import atomic_write, write_json
from kit.ingest.spotify.rows import is_id

_SHOWN = 10
_DOUBT = [field.name for field in dataclasses.fields(Doubt)]


@dataclass(frozen=True)
class ScoredTable:
    """The scores of a table, and sentences about them.

    Attributes:
        baseline: the scores.
        notes: sentences about rights to the features.
        sentences: the scores in words, the notes first.
    """

    baseline: Baseline
    notes: tuple[str, ...]
    sentences: tuple[str, ...]


def score_table(
    table: Path,
    config: BaselineConfig = BaselineConfig(),
    *,
    out: Path,
    label: str | None = None,
    source: str | None = None,
    rights: bool = False,
    progress: Callable[[int, int, str], None] | None = None,
) -> ScoredTable:
    """Score the audio features of a CSV file, and write `baseline.json` and `doubtful.csv`.

    Args:
        table: the CSV file, or the `tracks.csv` of a catalogue.
        config: how the models are scored.
        out: the folder of the two files.
        label: the label of all rows of a CSV without a column label.
        source: source of the features, as for `kit.evaluation.baselines.features.baseline`.
        rights: the user states a right to train on the table's features.
        progress: called with (steps done, steps in all, model).
    Raises:
        UsageError: features from Spotify, or of audio from there, without a stated right to them.
    """
    rows, repeats = read_table(table, label=label)
    notes = _notes(rows, source)
    statements = _stated(rows, table, source, rights)
    result = baseline(rows, config, source=source, progress=progress)
    repeated = _repeated(rows, repeats)
    facts = dataclasses.asdict(result) | {"repeated": repeated, "config": vars(config)}
    facts["statements"] = statements
    write_json(out / "baseline.json", facts)
    with atomic_write(out / "doubtful.csv") as stream:
        writer = csv.DictWriter(stream, _DOUBT, lineterminator="\n")
        writer.writeheader()
        writer.writerows(dataclasses.asdict(doubt) for doubt in result.doubts)
    sentences = (*notes, *_sentences(result, config, repeated, out))
    return ScoredTable(result, notes, sentences)


def _used(rows: pd.DataFrame, source: str | None) -> tuple[pd.DataFrame, str | None]:
    selection = select(rows, source)
    return selection.table.loc[has_features(selection.table)], selection.source


def _notes(rows: pd.DataFrame, source: str | None) -> tuple[str, ...]:
    used, name = _used(rows, source)
    if name != UNNAMED or not any(map(is_id, used["track_id"])):
        return ()
    return (
        "note: the tracks have Spotify ids, and the source of their features is not named; if they "
        "are Spotify's too, its Developer Policy, section III.14, forbids training a "
        "machine-learning model on them",
    )


def _stated(rows: pd.DataFrame, table: Path, source: str | None, rights: bool) -> list[str]:
    """Return the statements about the features that are used, and about their audio."""
    used, _ = _used(rows, source)
    said = [
        require_rights(used, table, stated=rights, column=column)
        for column in ("feature_source", "audio_source")
    ]
    return [statement for statement in said if statement]


def _repeated(rows: pd.DataFrame, repeats: pd.DataFrame) -> list[dict[str, str | list[str]]]:
    """Return the ids that several rows have, with the label of each row."""
    first = dict(zip(rows["track_id"], rows["label"], strict=True))
    labels: dict[str, list[str]] = {}
    for track_id, label in zip(repeats["track_id"], repeats["label"], strict=True):
        labels.setdefault(str(track_id), [str(first[track_id])]).append(str(label))
    return [{"track_id": track_id, "labels": of} for track_id, of in labels.items()]


def _sentences(
    result: Baseline,
    config: BaselineConfig,
    repeated: list[dict[str, str | list[str]]],
    out: Path,
) -> list[str]:
    counts = ", ".join(f"{n} {label}" for label, n in result.tracks.items())
    source = "no named source" if result.source == UNNAMED else result.source
    lines = [f"{counts}; {result.artists} first artists; features of {source}"]
    for name, n in result.left_out.items():
        lines.append(f"left out: {n} rows with features of {name}; --source chooses")
    lines.append(
        f"{config.folds} folds by artist; {result.set_aside:.0%} of the other folds' tracks set "
        "aside, which share an artist with the fold; 95% intervals by drawing artists again"
    )
    for s in result.scores:
        recall = ", ".join(f"{share:.2f} of {label}" for label, share in s.recall.items())
        low, high = s.interval
        lines.append(f"{s.model:<20} {s.accuracy:.3f} ({low:.3f} to {high:.3f}); {recall}")
    if repeated:
        lines.append(f"{len(repeated)} ids come more than once; the first row of each counts:")
    for entry in repeated:
        lines.append(f"  {entry['track_id']}: {', '.join(entry['labels'])}")
    lines.append(
        f"{len(result.doubts)} labels are in doubt: another has a probability above "
        f"{config.doubt_above:g}"
    )
    for doubt in result.doubts[:_SHOWN]:
        lines.append(
            f"  {doubt.label}, or {doubt.suggested} ({doubt.probability:.3f})? "
            f"{doubt.artists} – {doubt.title}"
        )
    lines.append(f"all of them: {out / 'doubtful.csv'}; the numbers: {out / 'baseline.json'}")
    return lines
