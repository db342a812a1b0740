"""`kit predict`."""

import contextlib
import math
import sys
from pathlib import Path
from typing import Annotated, Literal

import tyro

from kit.cli.arguments import Flag, PathOrNot, RunName, Runs
from kit.errors import UsageError

Sources = Annotated[
    tuple[Path, ...],
    tyro.conf.Positional,
    tyro.conf.arg(metavar="SOURCE ...", help_behavior_hint="(required)"),
]
Format = Annotated[
    Literal["table", "json", "csv"] | None,
    tyro.conf.arg(metavar="{table,json,csv}", help_behavior_hint=""),
]


def predict(
    run: RunName,
    sources: Sources,
    format: Format = None,
    out: PathOrNot = None,
    fresh: Flag = False,
    no_music: Flag = False,
    timeout_s: float = 120.0,
    risk: float = 0.1,
    runs: Runs = Path("runs"),
) -> int:
    """Predict the label of tracks, in files, folders, playlists or a catalogue.

    Each file gives one row: label, probability, tempo and key, or the reason why it cannot be used.
    Once `kit evaluate` has calibrated the run, the row also has the calibrated probability, whether
    the answer is uncertain, and a prediction set, which contains the right label with a
    probability of 90%. Exit code 1 if some files could not be used. For a DJ mix: kit timeline.

    Example: kit predict train track.mp3

    Example: kit predict train ~/Music/new --out genres.csv

    Args:
        sources: Audio files; folders, of which all audio below is used; playlists (M3U, PLS, XSPF)
            and collections of DJ programs; and catalogues.
        format: Of standard output: a table, one JSON object a line, or CSV. Default: a table on a
            terminal, else JSON.
        out: Write the rows to this file, CSV or JSON lines by its ending (.csv, .json, .jsonl). If
            it exists, only files that are not in it, or that have changed since, are predicted.
        fresh: Replace OUT in place of going on with it.
        no_music: Leave out tempo and key, which take as long as the features.
        timeout_s: Time limit for decoding a file, seconds.
        risk: Share of wrong answers that you accept among those that are not uncertain, such as
            0.05. The threshold for it comes from the artists that `kit evaluate` held
            out.
    """
    if not sources:
        raise UsageError("no audio file given; add one or more after the run's folder")
    if not 0 < timeout_s < math.inf:
        raise UsageError(f"--timeout-s is {timeout_s:g}; it must be a number of seconds above 0")
    if not 0 < risk < 1:
        raise UsageError(f"--risk is {risk:g}; it must be between 0 and 1, such as 0.1")
    if out is not None and (format or out.suffix.lower() not in (".csv", ".json", ".jsonl")):
        raise UsageError(
            f"--out is {out}; its ending, .csv, .json or .jsonl, says the format, so leave out "
            "--format"
        )
    if fresh and out is None:
        raise UsageError("--fresh replaces the file of --out; add --out FILE")
    from kit import terminal
    from kit.catalogue import Failure
    from kit.cli.answers import LINES, Answers, header, in_words, row_of, stamp_of
    from kit.compilation import use_cache
    from kit.evaluation.certainty import thresholds_of
    from kit.features.left_out import left_out_in_words
    from kit.predict import Model
    from kit.predict.inputs import inputs_of
    from kit.predict.many import predictions
    from kit.training.folders import locate
    from kit.training.restore import restore

    use_cache()
    found = locate(run, runs)
    inputs = inputs_of(sources)
    restored = restore(found.folder)
    thresholds, missing = thresholds_of(found.folder, restored, risk)
    if missing:
        terminal.warn(missing)
    model = Model(restored, thresholds)
    name = model.identity(found.folder, music=not no_music)
    chosen = format or ("table" if sys.stdout.isatty() else "json")
    failures: list[Failure] = []
    with contextlib.ExitStack() as stack:
        todo, bad_before, append = inputs, 0, None
        if out is not None:
            answers = Answers(
                out, "csv" if out.suffix.lower() == ".csv" else "json", model.labels, name
            )
            row_in_file, append = stack.enter_context(answers.open(fresh=fresh))
            before = [row_in_file(one) for one in inputs]
            todo = [one for one, row in zip(inputs, before, strict=True) if row is None]
            bad_before = sum(bool(row["reason"]) for row in before if row)
        else:
            sys.stdout.write(header(chosen, model.labels))
        stamps = [stamp_of(one) for one in todo]
        each = predictions(model, todo, music=not no_music, timeout_s=timeout_s)
        several = len(todo) > 1
        bar = terminal.bar("predict") if several else contextlib.nullcontext(lambda *_: None)
        progress = stack.enter_context(bar)
        progress(0, len(todo), "")
        stack.enter_context(contextlib.closing(each))
        for at, (one, stamp) in enumerate(zip(each, stamps, strict=True), start=1):
            row = row_of(one, stamp, name)
            if append:
                append(row)
            else:
                table = chosen == "table"
                line = in_words(one, model.labels) if table else LINES[chosen](row, model.labels)
                # On a terminal, the bar replaces standard output, so that rows go above it.
                sys.stdout.write(line)
                sys.stdout.flush()
            if isinstance(one, Failure):
                failures.append(one)
                if append or chosen != "table":
                    terminal.warn(one.message)
            progress(at, len(todo), Path(one.path).name)
    experiment = model.experiment
    said = left_out_in_words(failures, experiment.features, experiment.segments, "run")
    if said:
        terminal.warn(said)
    bad = bad_before + len(failures)
    if out is not None:
        known = len(inputs) - len(todo)
        there = f" ({known} in an earlier run)" if known else ""
        what = f"{len(inputs)} files{there}, {bad} of them without an answer"
        terminal.say(f"{what}, in {out}")
    return int(bool(bad))
