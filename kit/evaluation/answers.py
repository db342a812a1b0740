"""The network's answers for the tracks of one part. Features are read, never computed."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Int

from kit.catalogue import Catalogue, load
from kit.catalogue.schema import several_labels
from kit.config import FeatureConfig
from kit.errors import KitError, UsageError
from kit.evaluation.metrics import EvaluationError
from kit.evaluation.parts import Part
from kit.evaluation.words import features_command
from kit.features import FeatureStore, store_path
from kit.training import Restored, Run
from kit.training.scores import SegmentScores, joined

CHUNK = 64  # tracks read from the store at once
Progress = Callable[[int, int], None]
"""Called with (tracks scored, tracks in all)."""


@dataclass(frozen=True, eq=False)
class Scores:
    """The network's answers for the tracks of one part.

    Attributes:
        part: of the run's split.
        tracks: one row per track: `track_id`, `label`, `part` and `group` in the run's split (""
            if the split does not have the track), `artists`, `title`, `path` ("" if unknown), and
            `fold` in a run of folds.
        answers: for each track the log-probabilities of its segments, and their weights if the
            network has attention.
        not_scored: number of tracks of the part that could not be scored, by reason.
        notes: further entries of evaluation.json.
    """

    part: Part
    tracks: pd.DataFrame
    answers: SegmentScores
    not_scored: dict[str, int]
    notes: dict[str, Any] = dataclasses.field(default_factory=dict)


def groups_of(tracks: pd.DataFrame) -> np.ndarray:
    """Return each track's group in the split, or else its artist, or else its own id."""
    rows = zip(*(tracks[name] for name in ("group", "artists", "track_id")), strict=True)
    return np.array(
        [f"group {g}" if g else f"artist {a}" if a else f"track {t}" for g, a, t in rows]
    )


def open_catalogue(restored: Restored, given: Catalogue | Path | str | None) -> Catalogue:
    """Return the given catalogue, or the one that the run was trained on.

    Raises:
        UsageError: the run was trained from arrays, or the folder does not exist.
    """
    if isinstance(given, Catalogue):
        return given
    if given is None and not restored.experiment.catalogue:
        raise UsageError(
            "this run was trained from arrays, which it does not keep; use "
            "kit.evaluation.score_arrays(run, x, y), or give a catalogue with --catalogue"
        )
    where = Path(given or restored.experiment.catalogue)
    if not where.is_dir():
        raise UsageError(f"{where} is not a folder; say where the tracks are with --catalogue")
    return load(where)


def score_part(
    run: Run,
    restored: Restored,
    catalogue: Catalogue,
    part: Part,
    progress: Progress | None = None,
) -> Scores:
    """Return the network's answers for a part, or for every track ("all"). Nothing is written.

    Raises:
        KitError: the part has no track, no track has features, or the run does not know a label.
    """
    parts = run.split()
    chosen = _chosen(parts, catalogue, part, _copies(parts, catalogue, restored))
    is_own = _is_own(parts, catalogue, restored)
    if chosen.empty or (part == "all" and is_own and set(chosen["part"]) == {""}):
        raise KitError(_unknown(catalogue, part, is_own))
    _require_known(chosen["label"], restored)
    gone = 0 if part == "all" else list(parts["part"]).count(part) - len(chosen)
    command = features_command(catalogue.folder, restored.experiment.features)
    store = open_store(catalogue, restored.experiment.features)
    present = chosen.loc[chosen["track_id"].isin(list(store.sources))]
    if present.empty:
        raise KitError(
            f"none of the {len(chosen)} tracks to score in {catalogue.folder} has features; "
            f"compute them: {command}; failures.csv there names the tracks that cannot be used"
        )
    notes: dict[str, Any] = {"features_command": command}
    if part == "all" and not is_own and set(present["part"]) == {""}:
        notes["another_collection"] = True
    if part == "all" and is_own:
        lost = len(set(parts["track_id"]) - set(chosen["track_id"]))
        if may_be_learned := min(lost, list(present["part"]).count("")):
            notes["may_be_learned"] = may_be_learned
    answers, ids = [], present["track_id"].tolist()
    for start in range(0, len(ids), CHUNK):
        rows = ids[start : start + CHUNK]
        answers.append(restored.segment_scores(store.read(rows), store.frames(rows)))
        if progress:
            progress(start + len(rows), len(ids))
    not_scored = {"not_in_catalogue": gone, "no_features": len(chosen) - len(present)}
    return Scores(part, present, joined(answers), not_scored, notes)


def score_items(
    run: Run,
    restored: Restored,
    x: np.ndarray,
    y: Sequence[Any] | np.ndarray,
    frames: Int[np.ndarray, " items"] | None,
    part: Part,
) -> Scores:
    """Return the network's answers for a part of a run from arrays; arguments as `score_arrays`."""
    parts = run.split()
    if len(parts) != len(x) or len(parts) != len(y):
        raise UsageError(
            f"the run was trained with {len(parts)} items; x has {len(x)} and y has {len(y)}"
        )
    at = np.arange(len(parts)) if part == "all" else np.flatnonzero(parts["part"] == part)
    if len(at) == 0:
        raise EvaluationError(f"the run's split has no item in its {part} part")
    valid = np.full(len(x), x.shape[1]) if frames is None else np.asarray(frames)
    tracks = parts.iloc[at].loc[:, ["track_id", "label", "group", "part"]]
    _require_known(tracks["label"], restored)
    answers: list[SegmentScores] = []
    for start in range(0, len(at), CHUNK):
        rows = at[start : start + CHUNK]
        answers.append(
            restored.segment_scores(np.asarray(x[rows], np.float32), valid[rows].astype(np.int32))
        )
    return Scores(part, tracks.assign(artists="", title="", path=""), joined(answers), {})


def open_store(catalogue: Catalogue, config: FeatureConfig) -> FeatureStore:
    """Return the catalogue's features.

    Raises:
        KitError: the features were not computed; the message has the command that does.
    """
    path = store_path(catalogue, config)
    if not FeatureStore.exists(path):
        command = features_command(catalogue.folder, config)
        raise KitError(f"{catalogue.folder} has no features for this run; compute them: {command}")
    return FeatureStore.open(path)


def _chosen(
    parts: pd.DataFrame, catalogue: Catalogue, part: Part, copies: dict[str, str]
) -> pd.DataFrame:
    """Return the rows of `Scores.tracks` to score.

    Labels of a part come from the split, which may have shuffled them; labels of "all" come from
    the catalogue. `copies` has the part of each file of the run by its hash.
    """
    table = catalogue.table
    about = pd.DataFrame({"track_id": table["track_id"], "label": table["label"]})
    for name in ("artists", "title", "path"):
        about[name] = table[name].fillna("").astype(str) if name in table else ""
    for name in ("part", "group"):
        known = dict(zip(parts["track_id"], parts[name], strict=True))
        about[name] = [known.get(track_id, "") for track_id in table["track_id"]]
    if "source_hash" in table:
        pairs = zip(about["part"], table["source_hash"], strict=True)
        about["part"] = [known or copies.get(digest, "") for known, digest in pairs]
    if part == "all":
        return about
    wanted = parts.loc[parts["part"] == part, ["track_id", "label"]]
    return wanted.merge(about.drop(columns="label"), on="track_id")


def _is_own(parts: pd.DataFrame, catalogue: Catalogue, restored: Restored) -> bool:
    """Return whether a catalogue has the files that a run was trained on, with any bytes."""
    table = catalogue.table
    trained_on = Path(restored.experiment.catalogue)
    known = set(table["track_id"]) & set(parts["track_id"])
    if catalogue.folder.resolve() == trained_on.resolve() or 2 * len(known) >= len(table):
        return True
    with contextlib.suppress(KitError):
        own = _files(load(trained_on))
        return 2 * len(own & _files(catalogue)) > len(own)
    return False


def _files(catalogue: Catalogue) -> set[Path]:
    root = catalogue.audio_root.resolve()
    rows = catalogue.table.to_dict("records")
    return {root / row["path"] for row in rows if row.get("path")}


def _unknown(catalogue: Catalogue, part: Part, is_own: bool) -> str:
    """Return why a catalogue has no track to score, and what to do."""
    of = "of this run" if part == "all" else f"of this run's {part} part"
    if is_own:
        return (
            f"{catalogue.folder} has no track {of} any more: its files have other bytes now (new "
            "tags?), and so its tracks have other ids; restore its tracks.csv and its files from a "
            "backup, or train again"
        )
    return (
        f"{catalogue.folder} has no track {of}; for another collection than the one it was trained "
        "on use --part all"
    )


def _copies(parts: pd.DataFrame, catalogue: Catalogue, restored: Restored) -> dict[str, str]:
    """Return the part of each file of the run, by the file's hash."""
    tables = [catalogue.table]
    if not set(catalogue.table["track_id"]) <= set(parts["track_id"]):
        # Another collection may hold copies of training files under other ids.
        with contextlib.suppress(KitError):
            tables.append(load(restored.experiment.catalogue).table)
    part_of = dict(zip(parts["track_id"], parts["part"], strict=True))
    return {
        digest: part_of[track_id]
        for table in tables
        if "source_hash" in table
        for track_id, digest in zip(table["track_id"], table["source_hash"], strict=True)
        if isinstance(digest, str) and digest and track_id in part_of
    }


def _require_known(found: Iterable[str], restored: Restored) -> None:
    labels, several = restored.labels, restored.experiment.train.several
    names = [several_labels(text) if several else (text,) for text in found]
    unknown = [label for each in names for label in each if label not in labels]
    if unknown:
        raise KitError(
            f"{len(unknown)} tracks have a label that this run does not know, such as "
            f"{unknown[0]!r} (it knows {', '.join(labels)}); relabel them or leave them out"
        )
