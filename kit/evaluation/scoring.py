"""Score a run on tracks, and write what was found. Features are read, never computed."""

import contextlib
import dataclasses
import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Int
from scipy.special import log_softmax

from kit import __version__
from kit.catalogue import Catalogue, load
from kit.catalogue.schema import several_labels
from kit.config import FeatureConfig
from kit.errors import KitError, UsageError
from kit.evaluation import calibration
from kit.evaluation.baselines.beside import NETWORK, RECIPE, find, in_their_midst
from kit.evaluation.explain.tracks import Explained, explained, require_network
from kit.evaluation.folds import (
    fold_counts,
    mean_metrics,
    numbers,
    out_of_fold,
    predictions_in_csv,
    require_one_split,
)
from kit.evaluation.metrics import EvaluationError
from kit.evaluation.parts import Part, file_name
from kit.evaluation.scores import Progress, Scores, step_in_json
from kit.evaluation.words import features_command
from kit.features import FeatureStore, store_path
from kit.files import write_json, write_text
from kit.shallow.recipe import SmallSetConfig
from kit.training import Restored, Run, restore
from kit.training.checkpoint import Which
from kit.training.collection import targets
from kit.training.scores import SegmentScores, joined

CHUNK = 64  # tracks read from the store at once
LEAST_TRACKS = 10
"""Fewer give no temperature."""


def evaluate(
    run: Run | Path | str,
    *,
    catalogue: Catalogue | Path | str | None = None,
    part: Part = "test",
    which: Which = "best",
    report: bool = True,
    explain: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Restore a run, score one part of its tracks, and write evaluation.json and a report.

    The features must have been computed. In a run of folds the test part is every track, scored by
    the network of its fold; out_of_fold.csv has the predictions. The files of another part than
    the test part have its name: `evaluation-train.json`, `report-train.html`,
    `confusion-train.png`.

    Args:
        run: a run, or its folder, on the machine that made it or on another one.
        catalogue: the tracks, if they are not in the folder that the run's configuration names.
        part: of the run's split; "all" scores every track of the catalogue, such as another
            collection.
        which: the best checkpoint, or the last one.
        report: also write the figures and the page. Without them no plotting library is imported.
        explain: also show in the report what the network listened to in a few tracks.
        progress: called with (tracks scored, tracks in all).
    Returns:
        The content of evaluation.json; `not_scored` counts the tracks of the part that have no
        features or are not in the catalogue, and `seen` those that training has seen. For the
        test part, `baselines` has the network among the baselines of its split if `kit baselines`
        has computed them, and else the command that does.
    Raises:
        UsageError: the catalogue is not a folder, or there is no network to explain.
        KitError: no run or checkpoint, no such part, no features, a label that the run does not
            know, or a folder that cannot be written.
    """
    run = run if isinstance(run, Run) else Run(Path(run))
    require_one_split(run, part)
    restored = restore(run.folder, which)
    if explain:
        require_network(restored)
    tracks = _catalogue(restored, catalogue)
    if run.is_folded and part == "test":
        store = _store(tracks, restored.experiment.features)
        evaluation = _evaluated_by_fold(
            run,
            restored,
            which,
            lambda fold, network, said: score_part(fold, network, tracks, "test", said)[1],
            progress,
        )
    else:
        store, scores = score_part(run, restored, tracks, part, progress)
        evaluation = summary(run, restored, scores) | _calibration(
            run, restored, scores, lambda: score_part(run, restored, tracks, "validation")[1]
        )
    if part == "test" and not restored.experiment.train.several:
        evaluation["baselines"] = _baselines(run, evaluation, tracks)
    write_json(run.folder / file_name("evaluation", part, ".json"), evaluation)
    if report:
        _write_report(
            run,
            evaluation,
            audio_of=lambda row: _audio(tracks, row),
            spectrogram_of=lambda track_id: _valid(store, track_id),
            explained=explained(run, which, evaluation["tracks"], store, progress)
            if explain
            else (),
        )
    return evaluation


def score_arrays(
    run: Run | Path | str,
    x: np.ndarray,
    y: Sequence[Any] | np.ndarray,
    *,
    frames: Int[np.ndarray, " items"] | None = None,
    parts: Sequence[Part] = ("test",),
    which: Which = "best",
    report: bool = True,
) -> dict[str, Any]:
    """Score a run that was trained from arrays, and write evaluation.json and a report.

    Args:
        run: what `kit.training.fit_arrays` returned, or its folder.
        x: the items that it was trained with, (items, frames, n_mels), in the same order.
        y: the label of each item.
        frames: number of valid frames of each item; all if None.
        parts: of the run's split.
        which: the best checkpoint, or the last one.
        report: also write the figures and the page, which has no sound.
    Returns:
        The evaluation of the first part.
    Raises:
        KitError: no run or checkpoint, or not the arrays that it was trained with.
    """
    run = run if isinstance(run, Run) else Run(Path(run))
    restored = restore(run.folder, which)
    x = x if isinstance(x, np.ndarray) else np.asarray(x)
    row_of = {str(track_id): i for i, track_id in enumerate(run.split()["track_id"])}
    evaluations = []
    for part in parts:
        require_one_split(run, part)
        if run.is_folded and part == "test":
            evaluation = _evaluated_by_fold(
                run,
                restored,
                which,
                lambda fold, network, _: score_items(fold, network, x, y, frames, "test"),
            )
        else:
            scores = score_items(run, restored, x, y, frames, part)
            evaluation = summary(run, restored, scores) | _calibration(
                run,
                restored,
                scores,
                lambda: score_items(run, restored, x, y, frames, "validation"),
            )
        write_json(run.folder / file_name("evaluation", part, ".json"), evaluation)
        if report:
            _write_report(
                run,
                evaluation,
                audio_of=None,
                spectrogram_of=lambda item: _of_item(x, frames, row_of[item]),
            )
        evaluations.append(evaluation)
    return evaluations[0]


def score_part(
    run: Run,
    restored: Restored,
    catalogue: Catalogue,
    part: Part,
    progress: Progress | None = None,
) -> tuple[FeatureStore, Scores]:
    """Return the store of features and the network's answers for a part. Nothing is written.

    Args:
        run: the run.
        restored: its network.
        catalogue: the tracks.
        part: of the run's split, or "all".
        progress: called with (tracks scored, tracks in all).
    Raises:
        KitError: no track of that part, no features of it, or a label that the run does not know.
    """
    parts = run.split()
    chosen = _chosen(parts, catalogue, part, _copies(parts, catalogue, restored))
    _require_known(list(chosen["label"]), restored)
    gone = 0 if part == "all" else list(parts["part"]).count(part) - len(chosen)
    config = restored.experiment.features
    command = features_command(catalogue.folder, config)
    store = _store(catalogue, config)
    known = store.sources
    present = chosen.loc[chosen["track_id"].isin(list(known))]
    if present.empty:
        raise KitError(
            f"none of the {len(chosen)} tracks to score in {catalogue.folder} has features; "
            f"compute them: {command}; failures.csv there names the tracks that cannot be used"
        )
    notes: dict[str, Any] = {"features_command": command}
    if part == "all" and set(present["part"]) == {""}:
        notes["another_collection"] = True
    return store, Scores(
        part,
        present,
        _segments(present["track_id"].tolist(), store, restored, progress),
        {"not_in_catalogue": gone, "no_features": len(chosen) - len(present)},
        notes,
    )


def score_items(
    run: Run,
    restored: Restored,
    x: np.ndarray,
    y: Sequence[Any] | np.ndarray,
    frames: Int[np.ndarray, " items"] | None,
    part: Part,
) -> Scores:
    """Return the network's answers for a part of a run from arrays. Nothing is written.

    Args: as in `score_arrays`.
    """
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
    _require_known(list(tracks["label"]), restored)
    answers: list[SegmentScores] = []
    for start in range(0, len(at), CHUNK):
        rows = at[start : start + CHUNK]
        answers.append(
            restored.segment_scores(np.asarray(x[rows], np.float32), valid[rows].astype(np.int32))
        )
    return Scores(part, tracks.assign(artists="", title="", path=""), joined(answers), {})


def summary(run: Run, restored: Restored, scores: Scores) -> dict[str, Any]:
    """Return the content of evaluation.json.

    Args:
        run: the run.
        restored: its network.
        scores: the network's answers.
    Returns:
        Beside the numbers of `metrics.summarise`, or of `several.summarise_several` where `several`
        is true: `seen`, the number of scored tracks that were learned from ("train"), that chose
        the checkpoint ("validation") or neither ("unseen");
        `unseen`, the numbers of the last of them alone, if there are others too; `kept_apart`;
        and `tracks`, a row each.
    """
    several = restored.experiment.train.several
    answers, part_of = scores.answers, list(scores.tracks["part"])
    unseen = [at for at, part in enumerate(part_of) if part not in ("train", "validation")]
    evaluation: dict[str, Any] = {
        "kit": __version__,
        "run": run.folder.name,
        "checkpoint": {"step": step_in_json(restored), "which": restored.which},
        "part": scores.part,
        "labels": list(restored.labels),
        "not_scored": scores.not_scored,
        "seen": {
            "train": part_of.count("train"),
            "validation": part_of.count("validation"),
            "unseen": len(unseen),
        },
        "grouped_by": None if restored.from_arrays else restored.experiment.split.by,
        "split": _counts(run.split(), several),
        "kept_apart": run.facts().get("kept_apart"),
        **scores.notes,
        **({"several": True} if several else {}),
        **numbers(scores, restored),
        "unseen": None,
        "tracks": _rows(scores, restored.labels),
    }
    if 0 < len(unseen) < len(part_of):
        evaluation["unseen"] = numbers(
            dataclasses.replace(
                scores, tracks=scores.tracks.iloc[unseen], answers=answers.chosen(unseen)
            ),
            restored,
        )
    return evaluation


def _baselines(run: Run, evaluation: dict[str, Any], catalogue: Catalogue) -> dict[str, Any]:
    """Return the network among the baselines of its split, or the command that computes them."""
    table = run.folds() if run.is_folded else run.split()
    found = find(table, (run.folder, catalogue.folder))
    name = RECIPE if isinstance(run.experiment().model, SmallSetConfig) else NETWORK
    beside = in_their_midst(evaluation["tracks"], table, found, name) if found else None
    command = ["kit", "baselines", str(catalogue.folder), "--run", str(run.folder)]
    return beside or {"command": shlex.join(command)}


def _store(catalogue: Catalogue, config: FeatureConfig) -> FeatureStore:
    path = store_path(catalogue, config)
    if not FeatureStore.exists(path):
        command = features_command(catalogue.folder, config)
        raise KitError(f"{catalogue.folder} has no features for this run; compute them: {command}")
    return FeatureStore.open(path)


def _evaluated_by_fold(
    run: Run,
    restored: Restored,
    which: Which,
    score: Callable[[Run, Restored, Progress | None], Scores],
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Return evaluation.json of the out-of-fold predictions, and write these as CSV."""
    scores, folds = out_of_fold(run, which, score, progress)
    evaluation = summary(run, restored, scores)
    several = restored.experiment.train.several
    evaluation |= {"split": fold_counts(run, several), "folds": folds}
    evaluation |= _calibration(run, restored, scores)
    write_text(run.folder / "out_of_fold.csv", predictions_in_csv(evaluation))
    return evaluation


def _calibration(
    run: Run,
    restored: Restored,
    scores: Scores,
    validation: Callable[[], Scores] | None = None,
) -> dict[str, Any]:
    """Return `calibration` of evaluation.json; nothing if too few tracks could give a temperature.

    The temperature of a track comes from the other folds, or from the validation part.

    Args:
        run: the run.
        restored: its network.
        scores: of the test part, or of all folds.
        validation: gives the answers for the validation part.
    """
    if restored.experiment.train.several or scores.part != "test":
        return {}
    log_p, y = _answered(scores, restored)
    if validation is None:
        if len(y) < LEAST_TRACKS:
            return {}
        scaled = calibration.of_others(log_p, y, scores.tracks["fold"].tolist())
        factor, source = calibration.temperature(log_p, y), "the other folds"
    else:
        if list(run.split()["part"]).count("validation") < LEAST_TRACKS:
            return {}
        factor = calibration.temperature(*_answered(validation(), restored))
        scaled, source = log_softmax(factor * log_p, axis=1), "the validation part"
    return {"calibration": calibration.calibration(log_p, scaled, y, factor, source)}


def _answered(scores: Scores, restored: Restored) -> tuple[np.ndarray, np.ndarray]:
    labels = scores.tracks["label"].tolist()
    return scores.answers.of_tracks(), targets(labels, restored.labels, False)


def _write_report(
    run: Run,
    evaluation: dict[str, Any],
    *,
    audio_of: Callable[[dict[str, Any]], Path | None] | None,
    spectrogram_of: Callable[[str], np.ndarray],
    explained: Sequence[Explained] = (),
) -> None:
    # Matplotlib and Pillow take longer to import than a small run takes to score.
    from kit.evaluation.report import write_figures, write_report
    from kit.evaluation.sections import sections_of

    rows = mean_metrics(run)
    write_figures(run.folder, evaluation, rows)
    write_report(
        run.folder,
        evaluation,
        rows,
        audio_of=audio_of,
        spectrogram_of=spectrogram_of,
        sections=sections_of(run.folder, evaluation, explained),
    )


def _valid(store: FeatureStore, track_id: str) -> np.ndarray:
    """Return the features of a track without padding, (frames, n_mels) dB."""
    return store.read_log_mel([track_id])[0][: int(store.frames([track_id])[0])]


def _audio(catalogue: Catalogue, row: dict[str, Any]) -> Path | None:
    try:
        return catalogue.path_of(row)
    except KitError:
        return None  # The page says that there is no file.


def _of_item(x: np.ndarray, frames: np.ndarray | None, at: int) -> np.ndarray:
    return np.asarray(x[at] if frames is None else x[at][: int(frames[at])])


def _catalogue(restored: Restored, given: Catalogue | Path | str | None) -> Catalogue:
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


def _chosen(
    parts: pd.DataFrame, catalogue: Catalogue, part: Part, copies: dict[str, str]
) -> pd.DataFrame:
    """Return the rows of `Scores.tracks` that are to be scored.

    The labels of a part are those of the split, which may be shuffled; for "all" they are those of
    the catalogue.

    Args:
        parts: the run's split.
        catalogue: the tracks.
        part: of the split, or "all".
        copies: the part of each file that the run knows under another id, by its hash.
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
    chosen = wanted.merge(about.drop(columns="label"), on="track_id")
    if chosen.empty:
        raise KitError(
            f"{catalogue.folder} has no track of this run's {part} part; for another collection "
            "than the one it was trained on use --part all"
        )
    return chosen


def _copies(parts: pd.DataFrame, catalogue: Catalogue, restored: Restored) -> dict[str, str]:
    """Return the part of each file of the run by its hash, from the tables that know it."""
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


def _segments(
    track_ids: list[str], store: FeatureStore, restored: Restored, progress: Progress | None
) -> SegmentScores:
    answers: list[SegmentScores] = []
    for start in range(0, len(track_ids), CHUNK):
        ids = track_ids[start : start + CHUNK]
        answers.append(restored.segment_scores(store.read(ids), store.frames(ids)))
        if progress:
            progress(start + len(ids), len(track_ids))
    return joined(answers)


def _counts(parts: pd.DataFrame, several: bool) -> dict[str, dict[str, int]]:
    counts: dict[str, Counter[str]] = {}
    for part, label in zip(parts["part"], parts["label"], strict=True):
        names = several_labels(label) if several else (label,)
        counts.setdefault(part, Counter()).update(names)
    return {part: dict(sorted(counter.items())) for part, counter in sorted(counts.items())}


def _rows(scores: Scores, labels: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return a row for each track; of several labels the most probable one is the predicted."""
    probabilities = np.exp(scores.answers.of_tracks())
    about = scores.tracks.to_dict("records")
    rows = []
    for known, segments, p in zip(about, scores.answers.segments, probabilities, strict=True):
        best = int(p.argmax())
        rows.append(
            {
                "track_id": known["track_id"],
                "label": known["label"],
                "part": known["part"],
                "predicted": labels[best],
                "probability": float(p[best]),
                "probabilities": {name: float(v) for name, v in zip(labels, p, strict=True)},
                "segments": len(segments),
                **{
                    name: known[name]
                    for name in ("artists", "title", "path", "fold")
                    if name in known
                },
            }
        )
    return rows
