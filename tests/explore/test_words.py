"""What a person reads."""

import pytest

from kit.explore.statistics import FEATURES, REST, Comparison, Difference, Summary
from kit.explore.words import chance, effect, in_words, size, value

BY_NAME = {feature.name: feature for feature in FEATURES}


def difference(feature, d, p=0.0, directed=True):
    return Difference(feature, (10, 10), directed, d, 0.3, p, p)


SUMMARIES = [
    Summary("techno", "tempo", 10, 0, 124.0, 122.0, 124.0, 126.0),
    Summary("edm", "tempo", 10, 0, 127.0, 125.0, 127.04, 129.0),
    Summary("techno", "key", 10, 0, commonest=("C♯", 0.3)),
    Summary("edm", "key", 10, 0, commonest=("A", 0.25)),
]


def test_medians_of_both_sides_and_the_size():
    comparison = Comparison("techno", "edm", (difference("tempo", -0.62),), {})
    assert in_words(comparison, SUMMARIES) == [
        "tempo: median 124 BPM in techno against 127 BPM in edm; Cohen's d −0.62, medium"
    ]


def test_a_key_has_no_median():
    comparison = Comparison("techno", "edm", (difference("key", 0.63, directed=False),), {})
    assert in_words(comparison, SUMMARIES) == [
        "key: the commonest is C♯ in techno (30%), A in edm (25%); Cramér's V 0.30"
    ]


def test_against_the_rest():
    comparison = Comparison("techno", REST, (difference("tempo", -0.3),), {})
    assert in_words(comparison, SUMMARIES) == [
        "tempo: median 124 BPM in techno, lower than in the rest; Cohen's d −0.30, small"
    ]


def test_chance_is_no_difference():
    comparison = Comparison("techno", "edm", (difference("tempo", 0.3, p=0.05),), {})
    assert in_words(comparison, SUMMARIES) == [
        "techno and edm: no feature differs beyond chance, after Holm's correction."
    ]


@pytest.mark.parametrize(
    ("name", "number", "text"),
    [
        ("energy", 0.0049, "<0.01"),
        ("energy", 0.0, "0.00"),
        ("energy", 1.0, "1.00"),
        ("tempo", 127.96, "128"),
        ("tempo", 127.4, "127.4"),
        ("loudness", -6.66, "−6.7"),
        ("duration", 245.4, "245"),
        ("energy", None, "–"),
    ],
)
def test_numbers(name, number, text):
    assert value(BY_NAME[name], number) == text


def test_sizes_and_chances():
    assert [size(d) for d in (0.1, -0.2, 0.5, -0.8)] == ["negligible", "small", "medium", "large"]
    assert (chance(0.00099), chance(0.05)) == ("<0.001", "0.050")
    assert effect(difference("tempo", float("-inf"))) == "−∞"
    assert effect(difference("key", 0.5, directed=False)) == "0.50"
