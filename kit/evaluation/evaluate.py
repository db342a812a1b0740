"""A run scored on tracks that it has not learned from."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from kit import __version__
from kit.catalogue import Catalogue, load
from kit.errors import KitError
from kit.evaluation.metrics import summarise, track_log_probabilities
from kit.evaluation.report import write_figures, write_report
from kit.features import FeatureStore, Progress, extract
from kit.files import write_json
from kit.training import Restored, Run, restore
from kit.training.checkpoint import Which
from kit.training.segments import cut

Part = Literal["test", "validation", "train", "all"]
CHUNK = 64  # tracks read from the store at once


def evaluate(
    run_folder: Path | str,
    *,
    catalogue: Path | str | None = None,
    part: Part = "test",
    which: Which = "best",
    progress: Callable[..., None] | None = None,
) -> dict[str, Any]:
    """Restore a run, score it, and write evaluation.json, the figures and report.html beside it.

    Args:
        run_folder: what `kit.training.fit` made, moved from another machine or not.
        catalogue: where the tracks are, if not where the run's configuration says.
        part: of the run's split; "all" scores every track of the catalogue, for another collection.
        which: the best checkpoint or the last.
        progress: called with (done, total) tracks, and with (done, total, note) while features are
            computed that are missing.
    Returns:
        What evaluation.json holds; `not_scored` counts the part's tracks that could not be.
    Raises:
        KitError: no run or checkpoint, no such part, a label that the run does not know, or a
            folder that cannot be written.
    """
    run = Run(Path(run_folder))
    restored = restore(run.folder, which)
    tracks = _catalogue(restored, catalogue)
    parts, metrics = run.split(), run.metrics()
    chosen = _chosen(parts, tracks, part)
    _require_known(chosen, restored.labels)

    def of_features(p: Progress) -> None:
        if progress and p.computed:
            progress(p.done, p.total, "computing features")

    store = extract(tracks, restored.experiment.features, progress=of_features).store
    gone = 0 if part == "all" else list(parts["part"]).count(part) - len(chosen)
    asked = len(chosen)
    chosen = chosen.loc[chosen["track_id"].isin(list(store.sources))]
    if chosen.empty:
        raise KitError(
            f"none of the {part} tracks in {tracks.folder} has features; see failures.csv there"
        )
    scores = _score(chosen["track_id"].tolist(), store, restored, progress)
    targets = np.array([restored.labels.index(label) for label in chosen["label"]], np.int32)
    counts = np.array(restored.train_counts, np.int32)
    evaluation = {
        "kit": __version__,
        "run": run.folder.name,
        "checkpoint": {"step": restored.step, "which": which},
        "part": part,
        "labels": list(restored.labels),
        "not_scored": {"not_in_catalogue": gone, "no_features": asked - len(chosen)},
        "split": _counts(parts),
        **summarise(scores, targets, restored.labels, counts),
        "tracks": _rows(chosen, scores, restored.labels, tracks),
    }
    write_json(run.folder / "evaluation.json", evaluation)
    write_figures(run.folder, evaluation, metrics)
    write_report(
        run.folder,
        evaluation,
        metrics,
        audio_of=lambda row: tracks.audio_root / row["path"] if row["path"] else None,
        spectrogram_of=lambda track_id: store.read([track_id])[0],
    )
    return evaluation


def _catalogue(restored: Restored, folder: Path | str | None) -> Catalogue:
    where = Path(folder or restored.experiment.catalogue)
    if not where.is_dir():
        raise KitError(f"{where} is not a folder; say where the tracks are with --catalogue")
    return load(where)


def _chosen(parts: pd.DataFrame, catalogue: Catalogue, part: Part) -> pd.DataFrame:
    """track_id and label of the tracks to score; a split's labels may be shuffled ones."""
    if part == "all":
        return catalogue.table.loc[:, ["track_id", "label"]]
    present = parts.loc[parts["track_id"].isin(catalogue.table["track_id"])]
    chosen = present.loc[present["part"] == part]
    if chosen.empty:
        raise KitError(
            f"{catalogue.folder} has no track of this run's {part} part; for another collection "
            "than the one it was trained on use --part all"
        )
    return chosen.loc[:, ["track_id", "label"]]


def _require_known(chosen: pd.DataFrame, labels: tuple[str, ...]) -> None:
    unknown = chosen.loc[~chosen["label"].isin(labels)]
    if not unknown.empty:
        track_id, label = unknown.iloc[0][["track_id", "label"]]
        raise KitError(
            f"track {track_id} has the label {label!r}, which this run does not know "
            f"(it knows {', '.join(labels)}); relabel it or leave it out"
        )


def _score(
    track_ids: list[str],
    store: FeatureStore,
    restored: Restored,
    progress: Callable[[int, int], None] | None,
) -> np.ndarray:
    scores = []
    for start in range(0, len(track_ids), CHUNK):
        features = store.read(track_ids[start : start + CHUNK])
        segments = cut(features, restored.experiment.segments.frames)
        flat = restored.log_probabilities(segments.reshape(-1, *segments.shape[2:]))
        scores.append(flat.reshape(*segments.shape[:2], -1))
        if progress:
            progress(min(start + CHUNK, len(track_ids)), len(track_ids))
    return np.concatenate(scores)


def _counts(parts: pd.DataFrame) -> dict[str, dict[str, int]]:
    counts: dict[str, Counter[str]] = {}
    for part, label in zip(parts["part"], parts["label"], strict=True):
        counts.setdefault(part, Counter())[label] += 1
    return {part: dict(sorted(counter.items())) for part, counter in sorted(counts.items())}


def _rows(
    chosen: pd.DataFrame, scores: np.ndarray, labels: tuple[str, ...], catalogue: Catalogue
) -> list[dict[str, Any]]:
    about = catalogue.table.set_index("track_id").to_dict("index")
    probabilities = np.exp(track_log_probabilities(scores))
    rows = []
    for (track_id, label), p in zip(chosen.itertuples(index=False), probabilities, strict=True):
        known = about[track_id]
        best = int(p.argmax())
        rows.append(
            {
                "track_id": track_id,
                "label": label,
                "predicted": labels[best],
                "probability": float(p[best]),
                "probabilities": {name: float(v) for name, v in zip(labels, p, strict=True)},
                **{name: _text(known.get(name)) for name in ("artists", "title", "path")},
            }
        )
    return rows


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
