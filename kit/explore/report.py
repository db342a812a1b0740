"""The page of an exploration: `explore.html`, one file that needs no network."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kit import __version__
from kit.catalogue import Failure
from kit.explore.page import Plate, policy, render
from kit.explore.table import FEATURES, UNNAMED, Comparison, Summary
from kit.explore.tabular import TableReport
from kit.explore.words import SURE_BELOW, chance, effect, size, value
from kit.files import write_text

# Tracks that could not be read are all in the table of failures; the page lists the first.
_FAILURES = 20

_FEATURES = {feature.name: feature for feature in FEATURES}


def write_page(
    path: Path,
    *,
    counts: Mapping[str, int],
    report: TableReport | None,
    audio: Sequence[Plate],
    notes: Sequence[str],
    notices: Sequence[str],
    failures: Sequence[Failure],
) -> Path:
    """Write the page.

    Args:
        path: the file.
        counts: tracks of each label.
        report: what there is to show of the table; None without features.
        audio: walls and tracks.
        notes: what was left out, and why.
        notices: those of the catalogues, such as the terms of their audio.
        failures: tracks that could not be drawn.
    Raises:
        KitError: it cannot be written.
    """
    labels = list(counts)
    total = sum(counts.values())
    shown = {
        "title": _list(labels),
        "over": ", ".join(f"{n} {label}" for label, n in counts.items()),
        "score": _headline(report) or f"{total} {'track' if total == 1 else 'tracks'}",
        "said": report.said if report else (),
        "source": _source(report),
        "notes": notes,
        "notices": notices,
        "comparisons": [_comparison(c) for c in report.comparisons] if report else [],
        "features": _features(report) if report else [],
        "table_plates": report.plates if report else (),
        "audio_plates": audio,
        "failures": failures[:_FAILURES],
        "more_failures": max(0, len(failures) - _FAILURES),
        "kit": __version__,
        "policy": policy(),
    }
    write_text(path, render("kit.explore", "explore.html.j2", shown))
    return path


def _headline(report: TableReport | None) -> str:
    """Return the feature that differs most beyond chance, if one does."""
    comparisons = report.comparisons if report else ()
    sure = [d for c in comparisons for d in c.differences if d.p_holm < SURE_BELOW]
    most = max(sure, key=lambda d: abs(d.d), default=None)
    return f"{most.feature.capitalize()} differs most" if most else ""


def _source(report: TableReport | None) -> str:
    if report is None:
        return ""
    tracks = sum(report.counts.values())
    if report.source == UNNAMED:
        return f"Features of {tracks} tracks; the table does not name their source."
    return f"Features of {tracks} tracks; their source is {report.source}."


def _comparison(comparison: Comparison) -> dict[str, Any]:
    rows = [
        {
            "feature": d.feature,
            "counts": f"{d.counts[0]}, {d.counts[1]}",
            "effect": effect(d),
            "size": size(d.d),
            "statistic": f"{'D' if d.directed else 'V'} {d.statistic:.2f}",
            "p": chance(d.p),
            "p_holm": chance(d.p_holm),
        }
        for d in comparison.differences
    ]
    skipped = "; ".join(f"{name} ({why})" for name, why in comparison.skipped.items())
    return {
        "first": comparison.first,
        "second": comparison.second,
        "rows": rows,
        "skipped": skipped,
    }


def _features(report: TableReport) -> list[dict[str, Any]]:
    """Return a block for each feature, with a row for each label."""
    return [
        {
            "name": feature.name,
            "unit": feature.unit,
            "rows": [_row(s) for s in report.summaries if s.feature == feature.name],
        }
        for feature in FEATURES
    ]


def _row(summary: Summary) -> dict[str, Any]:
    feature = _FEATURES[summary.feature]
    numbers = (summary.mean, summary.lower, summary.median, summary.upper)
    commonest = ""
    if summary.commonest is not None:
        commonest = f"{summary.commonest[0]} {summary.commonest[1]:.0%}"
    return {
        "label": summary.label,
        "count": summary.count,
        "missing": summary.missing,
        "numbers": [value(feature, number) for number in numbers],
        "commonest": commonest,
    }


def _list(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
