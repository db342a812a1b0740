"""`kit predict`."""

import contextlib
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import tyro

from kit.cli.arguments import Flag, PathOrNot, Runs
from kit.errors import UsageError

Name = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
Files = Annotated[
    tuple[Path, ...],
    tyro.conf.Positional,
    tyro.conf.arg(metavar="FILE ...", help_behavior_hint="(required)"),
]


def predict(
    run: Name,
    files: Files,
    timeline: Flag = False,
    hop_s: float = 15.0,
    format: Annotated[
        Literal["json", "csv", "table"] | None,
        tyro.conf.arg(metavar="{json,csv,table}", help_behavior_hint=""),
    ] = None,
    out: PathOrNot = None,
    plot: PathOrNot = None,
    risk: float = 0.1,
    runs: Runs = Path("runs"),
) -> int:
    """Predict the label of tracks, or of each stretch of a long mix.

    The answers go to standard output, or to a file. Exit code 1 if some files could not be read.
    Once `kit evaluate` has calibrated the run, the answer for a track also has its calibrated
    probability, whether it is uncertain, and a prediction set, which contains the right label with
    a probability of 90%.

    Example: kit predict train track.mp3

    Example: kit predict train ~/Music/new --out genres.csv

    Args:
        run: Folder that `kit train` made, or the name of an experiment, which stands for its
            newest run.
        files: Audio files, and folders: all audio below a folder is used.
        timeline: One answer for each window of a file, for a DJ mix.
        hop_s: Seconds from the start of one window to the next in a timeline.
        format: One JSON object a line, CSV with a header, or a table to read; json if not given,
            or csv where OUT ends in .csv.
        out: File that the answers go to.
        plot: Also draw the timeline to this PNG or SVG file.
        risk: Share of wrong answers that you accept among those that are not uncertain, such as
            0.05. The threshold for it comes from the artists that `kit evaluate` held
            out.
        runs: Folder of the run folders.
    """
    if not files:
        raise UsageError("no audio file given; add one or more after the run's folder")
    if plot and not timeline:
        raise UsageError("--plot draws a timeline; add --timeline")
    if not 0 < hop_s < math.inf:
        raise UsageError(f"--hop-s is {hop_s:g}; it must be a number of seconds above 0")
    if not 0 < risk < 1:
        raise UsageError(f"--risk is {risk:g}; it must be between 0 and 1, such as 0.1")
    from kit import terminal
    from kit.audio import AudioError
    from kit.catalogue import Failure
    from kit.cli.answers import prediction_writer
    from kit.compilation import use_cache
    from kit.evaluation.certainty import Verdict, thresholds_of
    from kit.features import left_out_in_words
    from kit.files import atomic_write
    from kit.predict import load, track
    from kit.training.folders import locate

    use_cache()
    found = locate(run, runs)
    paths, refused = _audio(files)
    model = load(found.folder)
    thresholds = None
    if not timeline:
        thresholds, missing = thresholds_of(found.folder, model.restored, risk)
        if missing:
            terminal.warn(missing)
    chosen = format or ("csv" if out is not None and out.suffix.lower() == ".csv" else "json")
    for message in refused:
        terminal.warn(message)
    failures: list[Failure] = []
    # A bar on a terminal would be torn apart by answers on the same terminal.
    silent = out is None and (sys.stdout.isatty() or len(paths) == 1)
    bar = contextlib.nullcontext(_nothing) if silent else terminal.bar("predict")
    stream = contextlib.nullcontext(sys.stdout) if out is None else atomic_write(out)
    with bar as progress, stream as lines:
        write = prediction_writer(chosen, model.labels, lines, judged=not timeline)
        for at, file in enumerate(paths):
            progress(at, len(paths), file.name)
            rows = []
            try:
                answers = model.timeline(file, hop_s) if timeline else [track(model.restored, file)]
                for row in answers:
                    write(row, thresholds.verdict(row.probabilities) if thresholds else Verdict())
                    rows.append(row)
            except AudioError as error:
                terminal.warn(str(error))
                length_s = getattr(error, "length_s", None)
                failures.append(
                    Failure(str(file), "predict", error.reason, str(error), length_s=length_s)
                )
            if plot and rows:
                # Most predictions are not drawn, and need no matplotlib.
                from kit.plots.style import save as save_figure
                from kit.plots.timeline import timeline as draw

                windows = [(r.start_s, r.end_s, r.probabilities) for r in rows]
                save_figure(draw(windows, model.labels, file.name), plot)
                terminal.say(f"wrote {plot}")
        progress(len(paths), len(paths), "")
    experiment = model.experiment
    said = left_out_in_words(failures, experiment.features, experiment.segments, "run")
    if said:
        terminal.warn(said)
    failed = len(refused) + len(failures)
    if out is not None:
        whole = len(paths) + len(refused)
        terminal.say(f"{whole - failed} of {whole} files predicted, in {out}")
    return int(failed > 0)


def _audio(files: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """Return the files, with all audio below a folder in its place, and what cannot be read.

    Raises:
        UsageError: there is no audio below a folder.
    """
    from kit.catalogue.scan import walk

    paths: list[Path] = []
    refused: list[str] = []
    for file in files:
        if not file.is_dir():
            paths.append(file)
            continue
        found = walk(file)
        if not found.files and not found.failures:
            raise UsageError(f"no audio below {file}; give a folder of audio, or audio files")
        paths += [file / path for path in sorted(found.files)]
        refused += [f"{file}: {failure.message}" for failure in found.failures]
    return paths, refused


def _nothing(done: int, total: int, note: str = "") -> None:
    """Show no bar."""
