"""Numbers of a table in words."""

from collections.abc import Sequence

from kit.explore.statistics import FEATURES, Comparison, Difference, Feature, Summary

SURE_BELOW = 0.05
"""Corrected p below which a difference counts as one."""

_FEATURES = {feature.name: feature for feature in FEATURES}
# Source: J. Cohen, Statistical Power Analysis for the Behavioral Sciences, 1988.
_SIZES = ((0.8, "large"), (0.5, "medium"), (0.2, "small"))


def in_words(comparison: Comparison, summaries: Sequence[Summary], most: int = 3) -> list[str]:
    """Return a sentence for each of the largest differences, or one sentence if there are none.

    Args:
        comparison: two sides.
        summaries: of every label.
        most: largest number of sentences.
    """
    first, second = comparison.first, comparison.second
    of = {(s.label, s.feature): s for s in summaries}
    sure = [d for d in comparison.differences if d.p_holm < SURE_BELOW]
    sentences = [_sentence(d, first, second, of) for d in sure[:most]]
    return sentences or [
        f"{first} and {second}: no feature differs beyond chance, after Holm's correction."
    ]


def medians_in_words(summaries: Sequence[Summary], labels: Sequence[str]) -> str:
    """Return the medians of each feature in these labels, for the text of a figure."""
    lines = []
    for feature in FEATURES:
        found = {s.label: s.median for s in summaries if s.feature == feature.name}
        if any(found.get(label) is not None for label in labels):
            unit = f" {feature.unit}" if feature.unit else ""
            said = [f"{value(feature, found.get(label))}{unit} in {label}" for label in labels]
            lines.append(f"{feature.name} {', '.join(said)}")
    return "; ".join(lines)


def size(d: float) -> str:
    """Return a difference in Cohen's words."""
    return next((word for least, word in _SIZES if abs(d) >= least), "negligible")


def value(feature: Feature, number: float | None) -> str:
    """Return a value of a feature without its unit; "–" for None."""
    if number is None:
        return "–"
    if feature.unit:
        text = f"{number:.0f}" if feature.unit == "s" else f"{number:.1f}".removesuffix(".0")
        return text.replace("-", "−")
    return "<0.01" if 0 < number < 0.005 else f"{number:.2f}"


def chance(p: float) -> str:
    """Return a p-value as text."""
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def effect(difference: Difference) -> str:
    """Return Cohen's d as text, with its sign if the difference has a direction."""
    text = f"{difference.d:+.2f}" if difference.directed else f"{difference.d:.2f}"
    return text.replace("-", "−").replace("inf", "∞")


def _sentence(
    difference: Difference, first: str, second: str, of: dict[tuple[str, str], Summary]
) -> str:
    feature = _FEATURES[difference.feature]
    a, b = of[first, feature.name], of.get((second, feature.name))
    unit = f" {feature.unit}" if feature.unit else ""
    d = f"Cohen's d {effect(difference)}, {size(difference.d)}"
    if not difference.directed:
        commonest = ", ".join(
            f"{s.commonest[0]} in {s.label} ({s.commonest[1]:.0%})"
            for s in (a, b)
            if s is not None and s.commonest is not None
        )
        said = f"the commonest is {commonest}; Cramér's V {difference.statistic:.2f}"
    elif b is None:
        more = "higher" if difference.d > 0 else "lower"
        said = f"median {value(feature, a.median)}{unit} in {first}, {more} than in {second}; {d}"
    else:
        said = (
            f"median {value(feature, a.median)}{unit} in {first} against "
            f"{value(feature, b.median)}{unit} in {second}; {d}"
        )
    return f"{feature.name}: {said}"
