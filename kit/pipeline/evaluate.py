"""A trained run to its scores and report."""

from pathlib import Path
from typing import Any

from kit import terminal
from kit.compilation import use_cache
from kit.evaluation import evaluate as score
from kit.evaluation.evaluate import Part
from kit.evaluation.report import left_out_in_words
from kit.training.checkpoint import Which


def evaluate(
    run: Path, *, catalogue: Path | None = None, part: Part = "test", which: Which = "best"
) -> dict[str, Any]:
    """Evaluation with a bar, and its result in words."""
    use_cache()
    with terminal.bar("evaluate") as progress:
        result = score(run, catalogue=catalogue, part=part, which=which, progress=progress)
    for level in ("track", "segment"):
        r = result[level]
        terminal.say(
            f"by {level}: {r['accuracy']:.1%} of {r['n']} right, macro-F1 {r['macro_f1']:.3f} "
            f"(the most frequent label alone: {r['majority_accuracy']:.1%})"
        )
    if left_out := left_out_in_words(result):
        terminal.warn(left_out)
    terminal.say(f"report: {run / 'report.html'}")
    return result
