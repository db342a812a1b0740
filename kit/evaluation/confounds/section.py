"""Figure and section of the report on the confound probes."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from kit.evaluation.confounds.measure import FILE
from kit.evaluation.figures import framed
from kit.evaluation.section import Section, Table
from kit.evaluation.words import interval, percent, points
from kit.files import read_json
from kit.plots.html import stackable
from kit.plots.style import LIGHT, new_figure, text_style

_NOTE = (
    "{n} tracks of {groups} groups. Each change applies to the samples, before the front end; the "
    "answer is compared with the answer for the unchanged sound, track by track. The intervals of "
    "changes are over groups, at {confidence:.1%} each, so that all together hold in 95% of cases. "
    "A change that moves the accuracy shows what the network relies on, not that this is a fault."
)


def section_of(run_dir: Path, evaluation: Mapping[str, Any]) -> Section | None:
    """Return the section of the report; None without probes of this checkpoint."""
    path = run_dir / FILE
    if evaluation["part"] != "test" or not path.is_file():
        return None
    found = read_json(path)
    if found["checkpoint"] != evaluation["checkpoint"] or not found["probes"]:
        return None
    changes = ", ".join(f"{row['probe']} {points(row['change'])}" for row in found["probes"])
    alt = f"Change of the accuracy in points: {changes}"
    return Section(
        name="confounds",
        title="Confound probes",
        said=found["said"],
        pictures=(stackable(partial(figure, found), alt),),
        tables=(_table(found),),
        note=_NOTE.format(**found) + _left_out(found),
    )


def figure(found: Mapping[str, Any], *, stacked: bool = False) -> Figure:
    """Draw each probe's change of the accuracy, with its interval."""
    rows = found["probes"]
    drawn = new_figure(4.6 if stacked else 8.4, 1.3 + 0.27 * len(rows))
    axes = drawn.subplots()
    for place, row in enumerate(rows):
        colour = LIGHT.second if row["moves"] else LIGHT.first
        if row["change_interval"] is not None:
            ends = [100 * side for side in row["change_interval"]]
            axes.plot(ends, [place, place], lw=2, color=colour)
        mark = "D" if row["moves"] else "o"
        axes.plot(100 * row["change"], place, mark, ms=5, color=colour, zorder=3)
    axes.axvline(0, color=LIGHT.quiet, linewidth=0.9)
    axes.set_yticks(np.arange(len(rows)), [row["probe"] for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    # Show at least 2 points, so that changes of almost 0 look small.
    reach = max(2.0, *(abs(x) for x in axes.get_xlim()))
    axes.set_xlim(-reach, reach)
    title = "Change of the accuracy" if stacked else "Change of the accuracy by change of the sound"
    framed(axes, LIGHT, title, f"points, with {percent(found['confidence'])} interval")
    places = (1.03, 1.26, 1.42) if stacked else (1.02, 1.15, 1.25)
    columns = (
        ("accuracy", [percent(row["accuracy"]) for row in rows]),
        ("lost", [str(row["right_to_wrong"]) for row in rows]),
        ("won", [str(row["wrong_to_right"]) for row in rows]),
    )
    for at, (head, cells) in zip(places, columns, strict=True):
        axes.text(at, 1.01, head, transform=axes.transAxes, **text_style(size=8, quiet=True))
        beside = {"transform": axes.get_yaxis_transform(), "va": "center"}
        for place, cell in enumerate(cells):
            axes.text(at, place, cell, **beside, **text_style(size=8))
    return drawn


def _table(found: Mapping[str, Any]) -> Table:
    was = found["unchanged"]
    right = f"{was['correct']} of {found['n']}"
    first = ("unchanged", right, percent(was["accuracy"]), interval(was["interval"]))
    rows = [(*first, *["–"] * 4)]
    rows += [
        (
            row["probe"],
            f"{row['correct']} of {row['n']}",
            percent(row["accuracy"]),
            interval(row["interval"]),
            points(row["change"]),
            " to ".join(map(points, row["change_interval"] or ())) or "–",
            str(row["right_to_wrong"]),
            str(row["wrong_to_right"]),
        )
        for row in found["probes"]
    ]
    heads = ("Sound", "right", "accuracy", "95% interval", "change", "interval of the change")
    columns = (*heads, "right to wrong", "wrong to right")
    return Table("The same tracks after each change; changes in points", columns, tuple(rows))


def _left_out(found: Mapping[str, Any]) -> str:
    said = [
        f"{n} tracks were left out ({why.replace('_', ' ')})"
        for why, n in found["left_out"].items()
    ]
    said += [f"{name} was left out: {why}" for name, why in found["not_heard"].items()]
    return "".join(f" {sentence[0].upper()}{sentence[1:]}." for sentence in said)
