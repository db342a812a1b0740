"""`kit compare`."""

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from kit.cli.arguments import PathOrNot, Runs
from kit.errors import UsageError

Several = Annotated[
    tuple[str, ...],
    tyro.conf.Positional,
    tyro.conf.arg(metavar="RUN ...", help_behavior_hint=""),
]


def compare(
    run: Several,
    runs: Runs = Path("runs"),
    out: PathOrNot = None,
    format: Literal["table", "csv", "json"] = "table",
) -> int:
    """Compare runs track by track, and say what may be claimed.

    Each run is compared with the first, on the tracks that all of them have scored. Differences are
    paired by track, and their 95% intervals are over groups of tracks, such as artists; they are
    wider if several runs are compared with the first. Below the table are the options that differ,
    the spread of runs that differ in their seed alone, and a sentence for each run. Fewer than 12
    groups are too few for a claim.

    mcnemar_p is that of McNemar's exact test, which takes tracks as independent of one another.
    folds_p, for runs with the same folds, is that of Student's t over the folds, corrected for
    their overlap (Nadeau and Bengio). `kit evaluate` must have scored each run.

    Example: kit compare train small_set

    Example: kit compare runs/sweep/* --out comparison

    Args:
        run: Folders of runs, or names of experiments, which stand for their newest run.
        runs: Folder of the run folders.
        out: Folder for compare.json and compare.svg.
        format: How the table is printed; csv and json leave out the sentences.
    """
    if len(run) < 2:
        raise UsageError("name two runs or more: kit compare RUN RUN")
    from dataclasses import asdict

    from kit import terminal
    from kit.cli.output import write_rows
    from kit.evaluation.compare import compare as found_by
    from kit.evaluation.compare import scored
    from kit.training.folders import locate

    found = found_by([scored(locate(name, runs)) for name in run])
    write_rows(format, found.rows)
    if format == "table":
        said = [f"{found.tracks} tracks of {found.groups} groups."]
        said += [_field(name, values) for name, values in found.config.items()]
        sys.stdout.write("\n" + "\n".join([*said, *found.seeds, *found.claims]) + "\n")
    if out is not None:
        from kit.evaluation.figures import comparison
        from kit.files import write_json
        from kit.plots.style import save

        folder = Path(out)
        write_json(folder / "compare.json", asdict(found))
        save(comparison(found.rows), folder / "compare.svg")
        terminal.say(f"wrote {folder / 'compare.json'} and compare.svg")
    return 0


def _field(name: str, values: list[Any]) -> str:
    return f"{name}: {', '.join(map(str, values))}"
