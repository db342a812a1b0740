"""A trained run applied to audio files."""

from pathlib import Path

from kit import terminal
from kit.audio import AudioError
from kit.compilation import use_cache
from kit.pipeline.rows import csv_writer, write_json
from kit.predict import Prediction, timeline, track
from kit.training import restore


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
    write = write_json if format == "json" else csv_writer(restored.labels)
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
    # Most predictions are not drawn, and need no matplotlib.
    from kit.explore.canvas import save as save_figure
    from kit.explore.timeline import timeline as draw

    windows = [(row.start_s, row.end_s, row.probabilities) for row in rows]
    save_figure(draw(windows, labels, Path(rows[0].path).name), path)
