"""`kit compare`."""

import sys
from pathlib import Path
from typing import Annotated

import tyro

from kit.cli.arguments import Format, PathOrNot, Runs
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
    format: Format = "table",
) -> int:
    """Compare runs track by track, with confidence intervals.

    Each run is compared with the first, on the tracks that all runs have scored. Differences are
    paired by track. Their 95% intervals resample groups of tracks, such as artists, and are
    corrected for the number of comparisons. The table is followed by the options that differ, the
    spread of runs that differ only in their seed, and a conclusion for each run. A conclusion needs
    at least 12 groups.

    mcnemar_p is the p-value of McNemar's exact test, which treats tracks as independent. folds_p,
    for runs with the same folds, is the p-value of Student's t-test over the folds, corrected for
    their overlap (Nadeau and Bengio). Score each run with `kit evaluate` first.

    Example: kit compare train small_set

    Example: kit compare runs/sweep/* --out comparison

    Args:
        run: Folders of runs, or names of experiments for their newest run.
        out: Folder for compare.json and compare.svg.
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
        said += [f"{name}: {', '.join(map(str, values))}" for name, values in found.config.items()]
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
