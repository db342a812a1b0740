"""A trained run to its scores and report."""

from pathlib import Path
from typing import Any

from kit import terminal
from kit.compilation import use_cache
from kit.evaluation import evaluate as score
from kit.evaluation.parts import Part
from kit.evaluation.words import evaluation_in_words
from kit.training.checkpoint import Which


def evaluate(
    run: Path, *, catalogue: Path | None = None, part: Part = "test", which: Which = "best"
) -> dict[str, Any]:
    """Evaluation with a bar, and its result in words."""
    use_cache()
    with terminal.bar("evaluate") as progress:
        result = score(run, catalogue=catalogue, part=part, which=which, progress=progress)
    for sentence in evaluation_in_words(result):
        terminal.say(sentence)
    terminal.say(f"report: {run / 'report.html'}")
    return result
