"""What the figures of a table show, by value."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from kit.explore import charts
from kit.explore.distributions import distributions
from kit.explore.projection import project
from kit.explore.statistics import FEATURES, compare, describe, values
from kit.plots.style import DARK, LIGHT, MOST_SERIES, png, series, svg

COLOURS = {"techno": LIGHT.series[2], "edm": LIGHT.series[0]}


@pytest.fixture
def groups(two_labels):
    v = values(two_labels)
    labels = two_labels["label"].to_numpy()
    return {n: {f: v[f].to_numpy()[labels == n] for f in v} for n in ("techno", "edm")}


def panel(figure, name):
    return next(a for a in figure.axes if a.get_title("left") == name)


def test_the_histogram_wall_has_twelve_panels_and_counts_every_track(groups):
    columns = groups["techno"]
    columns["tempo"][:3] = np.nan
    figure = distributions({"techno $x$": columns}, {})
    assert len(figure.axes) == len(FEATURES) == 12
    tempo = panel(figure, "Tempo")
    filled, outline = tempo.patches
    assert filled.get_data() == outline.get_data()
    counts, edges, _ = outline.get_data()
    assert counts.sum() == 57
    np.testing.assert_allclose(
        edges[[0, -1]], [np.nanmin(columns["tempo"]), np.nanmax(columns["tempo"])]
    )
    assert "3 missing" in tempo.texts[0].get_text()
    assert tempo.get_xlabel() == "BPM"
    assert tempo.lines[0].get_xdata()[0] == pytest.approx(np.nanmedian(columns["tempo"]))
    key = panel(figure, "Key")
    assert [p.get_height() for p in key.patches] == np.bincount(
        columns["key"].astype(int), minlength=12
    ).tolist()
    assert [t.get_text() for t in key.get_xticklabels()][:2] == ["C", "C♯"]


def test_a_feature_that_is_nowhere_has_an_empty_panel(groups):
    groups["edm"]["duration"][:] = np.nan
    axes = panel(distributions({"edm": groups["edm"]}, COLOURS), "Duration")
    assert [t.get_text() for t in axes.texts] == ["40 missing", "no values"]
    assert not axes.patches


def test_overlaid_histograms_share_bins_and_have_an_area_of_one(groups):
    figure = distributions(groups, COLOURS)
    tempo = panel(figure, "Tempo")
    data = [patch.get_data() for patch in tempo.patches]
    edges = data[0].edges
    for one in data:
        np.testing.assert_array_equal(one.edges, edges)
        assert (one.values * np.diff(edges)).sum() == pytest.approx(1)
    key = panel(figure, "Key")
    assert sum(p.get_height() for p in key.patches) == pytest.approx(2)
    lefts = [p.get_x() for p in key.patches]
    assert len(set(np.round(lefts, 6))) == 24
    texts = [t.get_text() for t in figure.legends[0].get_texts()]
    assert texts == ["techno (60)", "edm (40)"]


def test_the_ranking_is_in_the_order_of_d_and_hollow_where_chance_explains_it(two_labels):
    v, labels = values(two_labels), two_labels["label"].tolist()
    comparisons, summaries = compare(v, labels), describe(v, labels)
    axes = charts.ranking(comparisons, summaries, COLOURS).axes[0]
    bars = axes.patches
    expected = [abs(d.d) for d in comparisons[0].differences]
    np.testing.assert_allclose([b.get_width() for b in bars], expected)
    for bar, difference in zip(bars, comparisons[0].differences, strict=True):
        assert (bar.get_facecolor()[3] > 0) == (difference.p_holm < 0.05)
        if difference.directed:
            side = COLOURS["techno" if difference.d >= 0 else "edm"]
            assert to_hex(bar.get_edgecolor()) == side
    assert [t.get_text() for t in axes.get_yticklabels()] == [
        d.feature for d in comparisons[0].differences
    ]
    assert "median" in axes.texts[0].get_text()


def test_of_many_labels_each_has_its_panel_in_the_ranking(two_labels):
    three = pd.concat([two_labels, two_labels.head(30).assign(label="house")], ignore_index=True)
    v, labels = values(three), three["label"].tolist()
    figure = charts.ranking(compare(v, labels), describe(v, labels), COLOURS)
    shown = [axes.get_title("left") for axes in figure.axes if axes.get_visible()]
    assert shown == [f"{name} against the rest" for name in ("techno", "edm", "house")]
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend[:2] == ["higher in the label", "higher in the rest"]


def test_tempo_by_year_draws_medians_of_full_years_only():
    years = np.array([2010.2] * 5 + [2011.5] * 4 + [2012.1] * 6)
    tempi = np.arange(15.0) + 120
    figure = charts.tempo_by_year({"techno": (years, tempi)}, COLOURS)
    axes = figure.axes[0]
    np.testing.assert_allclose(axes.collections[0].get_offsets(), np.stack([years, tempi], 1))
    line = axes.lines[1]
    assert list(line.get_xdata()) == [2010.5, 2012.5]
    assert list(line.get_ydata()) == [122, 131.5]
    assert axes.get_ylabel() == "Tempo (BPM)"


def test_the_map_has_every_point_in_the_colour_of_its_label(two_labels):
    found = project(values(two_labels))
    labels = two_labels["label"].tolist()
    figure = charts.track_map(found, labels, {"techno": LIGHT.first})
    grey, techno = figure.axes[0].collections
    assert len(techno.get_offsets()) == 60
    assert len(grey.get_offsets()) == 40
    assert to_hex(techno.get_facecolor()[0]) == LIGHT.first
    assert figure.axes[0].get_xlabel() == found.axes[0]


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_colours_of_series_differ_from_each_other_and_from_the_paper(theme):
    colours = series(MOST_SERIES, theme)
    assert len({*colours, theme.paper}) == MOST_SERIES + 1
    assert series(MOST_SERIES + 1, theme)[-1] == colours[0]


def test_odd_tables_can_be_drawn():
    one = {feature.name: np.array([np.nan]) for feature in FEATURES} | {"tempo": np.array([120.0])}
    assert png(distributions({"電子 $x^$": one}, {})).startswith(b"\x89PNG")
    many = {f"label {i} $" + "x" * 60: one for i in range(MOST_SERIES)}
    assert png(distributions(many, {})).startswith(b"\x89PNG")
    dates = (np.array([2020.5]), np.array([120.0]))
    assert png(charts.tempo_by_year({"a": dates}, {}, stacked=True)).startswith(b"\x89PNG")


def test_an_infinite_difference_can_be_drawn(two_labels):
    two_labels["tempo"] = np.where(two_labels["label"] == "edm", 120.0, 130.0)
    v, labels = values(two_labels), two_labels["label"].tolist()
    axes = charts.ranking(compare(v, labels), describe(v, labels), COLOURS).axes[0]
    assert axes.texts[0].get_text().startswith("+∞")


def test_the_same_figure_gives_the_same_svg_that_needs_no_font(groups):
    first, second = (svg(distributions({"edm": groups["edm"]}, COLOURS)) for _ in range(2))
    assert first == second
    assert b"font-family" not in first
    assert b"<text" not in first
