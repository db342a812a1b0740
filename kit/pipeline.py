"""The stages one after another, as a person runs them: each skips what is done already."""

import csv
import dataclasses
import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from kit import terminal
from kit.audio import AudioError
from kit.catalogue import Failure, from_csv, from_folder, load, save
from kit.compilation import use_cache
from kit.config import DemoConfig, Experiment, FeatureConfig
from kit.defaults import for_length
from kit.errors import KitError, UsageError
from kit.features import Extraction, FeatureStore, export_npy, extract, store_path
from kit.models import check
from kit.predict import Prediction, timeline, track
from kit.training import Progress, Run, fit, restore
from kit.training.checkpoint import Which

Part = Literal["test", "validation", "train", "all"]


def scan(source: Path, out: Path, *, label: str | None, audio_root: Path | None) -> int:
    """A folder of audio or a CSV to a catalogue in `out`; the number of entries left out."""
    with terminal.bar(f"scan {source}") as progress:
        found = (
            from_folder(source, progress=progress)
            if source.is_dir()
            else from_csv(source, label=label, audio_root=audio_root, progress=progress)
        )
    save(found, out)
    for text in found.warnings:
        terminal.warn(text)
    counts = ", ".join(f"{n} {label}" for label, n in found.table["label"].value_counts().items())
    terminal.say(f"{len(found.table)} tracks ({counts}) in {out / 'tracks.csv'}")
    _say_failures(found.failures, out)
    return len(found.failures)


def features(folder: Path, config: FeatureConfig, *, workers: int | None = None) -> Extraction:
    """The features of a catalogue, with a bar and a summary."""
    use_cache()
    catalogue = load(folder)
    with terminal.bar("features") as progress:
        result = extract(catalogue, config, workers=workers, progress=progress)
    terminal.say(
        f"features of {len(result.store)} tracks, {result.computed} computed now, "
        f"in {result.store.path}"
    )
    _say_failures(result.failures, folder)
    return result


def train(experiment: Experiment, *, runs: Path, fresh: bool = False) -> Run:
    """Features, then training, with a bar."""
    check(experiment.model)  # before the work of hours
    features(Path(experiment.catalogue), experiment.features)
    with terminal.bar("train") as update:

        def progress(p: Progress) -> None:
            shown = ("train_loss", "validation_loss", "validation_accuracy")
            known = {k: p.metrics.get(k) for k in shown if p.metrics.get(k) is not None}
            update(p.step, p.total_steps, " ".join(f"{k} {v:.3f}" for k, v in known.items()))

        run = fit(experiment, runs=runs, fresh=fresh, progress=progress)
    rows = run.metrics()
    terminal.say(f"trained for {len(rows)} epochs, {rows[-1]['step']} steps: {run.folder}")
    return run


def evaluate(
    run: Path, *, catalogue: Path | None = None, part: Part = "test", which: Which = "best"
) -> dict[str, Any]:
    """Evaluation with a bar, and its result in words."""
    from kit.evaluation import evaluate as score

    use_cache()
    with terminal.bar("evaluate") as progress:
        result = score(run, catalogue=catalogue, part=part, which=which, progress=progress)
    for level in ("track", "segment"):
        r = result[level]
        terminal.say(
            f"by {level}: {r['accuracy']:.1%} of {r['n']} right, macro-F1 {r['macro_f1']:.3f} "
            f"(the most frequent label alone: {r['majority_accuracy']:.1%})"
        )
    terminal.say(f"report: {run / 'report.html'}")
    return result


def run(experiment: Experiment, *, runs: Path = Path("runs"), fresh: bool = False) -> Run:
    """A whole experiment: features, training, evaluation and its report."""
    trained = train(experiment, runs=runs, fresh=fresh)
    evaluate(trained.folder)
    return trained


def demo(config: DemoConfig, experiment: Experiment, *, runs: Path, fresh: bool = False) -> Run:
    """The main job on the embedded default; the evaluation is a new process's, from the files."""
    from kit.demo import render

    experiment = for_length(experiment, config.duration_s)
    if experiment.split.by == "artist" and config.artists < 6:
        raise UsageError(
            f"DemoConfig.artists is {config.artists}; to have one of each genre in every part of a "
            "split by artist it must be at least 6"
        )
    folder = Path(experiment.catalogue)
    with terminal.bar("render") as progress:
        audio = render(config, folder, fresh=fresh, progress=progress)
    scan(audio, folder, label=None, audio_root=None)
    if fresh:
        shutil.rmtree(store_path(load(folder), experiment.features), ignore_errors=True)
    trained = train(experiment, runs=runs, fresh=fresh)
    command = [sys.executable, "-m", "kit", "evaluate", str(trained.folder)]
    if subprocess.run(command, check=False, stderr=_stderr()).returncode:
        raise KitError(f"the evaluation failed; try it alone: kit evaluate {trained.folder}")
    return trained


def _stderr() -> int | None:
    """Python's stderr for a child, which need not be file 2; None, the default, in a notebook."""
    try:
        return sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):
        return None


def export(folder: Path, store: FeatureStore) -> None:
    """The features as the original project's NumPy files."""
    for path in export_npy(store, load(folder), folder):
        terminal.say(f"wrote {path}")


def predict(
    run: Path,
    files: tuple[Path, ...],
    *,
    hop_s: float | None,
    format: str,
    plot: Path | None,
) -> int:
    """Predictions of files on standard output; the number of files that could not be read.

    Args:
        run: what `train` made.
        files: audio.
        hop_s: one answer for each window of a file, so far apart; None for one a file.
        format: "json" for an object a line, or "csv".
        plot: a PNG of the last file's timeline.
    """
    use_cache()
    restored = restore(run)
    write = _write_json if format == "json" else _csv_writer(restored.labels)
    failed = 0
    for file in files:
        rows = []
        try:
            answers = [track(restored, file)] if hop_s is None else timeline(restored, file, hop_s)
            for row in answers:
                write(row)
                rows.append(row)
        except AudioError as error:
            terminal.warn(str(error))
            failed += 1
        if plot and rows:
            _plot(rows, restored.labels, plot)
            terminal.say(f"wrote {plot}")
    return failed


def _plot(rows: list[Prediction], labels: tuple[str, ...], path: Path) -> None:
    from kit.explore.canvas import save as save_figure
    from kit.explore.timeline import timeline as draw

    windows = [(row.start_s, row.end_s, row.probabilities) for row in rows]
    save_figure(draw(windows, labels, Path(rows[0].path).name), path)


def _write_json(row: Prediction) -> None:
    sys.stdout.write(json.dumps(dataclasses.asdict(row), ensure_ascii=False) + "\n")
    sys.stdout.flush()


def _csv_writer(labels: tuple[str, ...]) -> Callable[[Prediction], None]:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["path", "start_s", "end_s", "label", "probability", *labels])

    def write(row: Prediction) -> None:
        fixed = [row.path, row.start_s, row.end_s, row.label, row.probability]
        writer.writerow([*fixed, *(row.probabilities[name] for name in labels)])

    return write


def explore(folder: Path, out: Path, config: FeatureConfig, count: int) -> int:
    """The figures of a catalogue; the number of tracks that could not be drawn."""
    from kit.explore import explore as draw

    catalogue = load(folder)
    path = store_path(catalogue, config)
    store = FeatureStore.open(path) if (path / "zarr.json").is_file() else None
    with terminal.bar("explore") as progress:
        result = draw(catalogue, config, out, store=store, count=count, progress=progress)
    for figure in result.figures:
        terminal.say(f"wrote {figure}")
    for failure in result.failures:
        terminal.warn(failure.message)
    return len(result.failures)


def _say_failures(failures: list[Failure], folder: Path) -> None:
    if failures:
        reasons = Counter(f.reason for f in failures)
        text = ", ".join(f"{n} {reason}" for reason, n in reasons.most_common())
        terminal.warn(f"{len(failures)} left out ({text}); see {folder / 'failures.csv'}")
