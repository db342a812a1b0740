"""Statistics by value: against scipy, against the formula, against numbers from a book."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from kit.errors import UsageError
from kit.explore.statistics import (
    FEATURES,
    REST,
    UNNAMED,
    compare,
    dates,
    describe,
    holm,
    select,
    values,
)

NAMES = [feature.name for feature in FEATURES]


def one(column, data, labels):
    """The comparison and the difference of one feature."""
    (comparison,) = compare(values(pd.DataFrame({column: data})), labels)
    return comparison, {d.feature: d for d in comparison.differences}.get(column)


def test_values_are_numbers_and_what_is_none_is_missing():
    table = pd.DataFrame(
        {
            "tempo": ["120.5", "", "x", "inf"],
            "key": pd.array([-1, 11, 12, None], "Int64"),
            "mode": [0, 1, 2, np.nan],
            "duration_s": [200.0, 100.0, 50.0, np.nan],
        }
    )
    v = values(table)
    assert list(v) == NAMES
    assert set(v.dtypes) == {np.dtype("float64")}
    np.testing.assert_array_equal(v["tempo"], [120.5, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(v["key"], [np.nan, 11, np.nan, np.nan])
    np.testing.assert_array_equal(v["mode"], [0, 1, np.nan, np.nan])
    np.testing.assert_array_equal(v["duration"], [200, 100, 50, np.nan])
    assert v["energy"].isna().all()


def test_a_duration_is_a_tracks_or_a_files_but_never_some_of_each():
    table = pd.DataFrame({"duration_ms": [1000.0, 2000, np.nan], "duration_s": [30.0, np.nan, 30]})
    np.testing.assert_array_equal(values(table)["duration"], [1, 2, np.nan])
    table["duration_s"] = 30.0
    np.testing.assert_array_equal(values(table)["duration"], [30, 30, 30])


def test_dates_in_years():
    cells = ["2016", "2016-01-01", "2016-07", "1887", "12 May", "", None, "20161", "2016-13-40"]
    found = dates(pd.DataFrame({"release_date": cells}))
    np.testing.assert_allclose(found[:3], [2016.5, 2016, 2016.54], atol=0.01)
    assert np.isnan(found[3:8]).all()
    assert found[8] == 2016.5
    assert np.isnan(dates(pd.DataFrame({"x": [1]}))).all()


def test_sources_are_not_mixed():
    table = pd.DataFrame(
        {
            "tempo": [120.0, 121, 122, np.nan, 124, 125],
            "feature_source": ["spotify", "spotify", "kit", "kit", "", "spotify"],
        }
    )
    chosen = select(table)
    assert (chosen.source, chosen.left_out) == ("spotify", {"kit": 1, UNNAMED: 1})
    # The row without a feature is of no source: it is missing, not left out.
    assert chosen.table["tempo"].isna().sum() == 1
    assert chosen.table["tempo"].dropna().tolist() == [120, 121, 125]
    assert select(table, "kit").table["tempo"].dropna().tolist() == [122]
    with pytest.raises(UsageError, match=r"'librosa'; the table has kit \(1 rows\), spotify"):
        select(table, "librosa")
    assert select(pd.DataFrame({"duration_s": [3.0]})).source is None
    assert select(pd.DataFrame({"tempo": [3.0]})).source == UNNAMED


def test_what_is_missing_is_counted(two_labels):
    two_labels.loc[[0, 1, 70], "tempo"] = np.nan
    found = {
        (s.label, s.feature): s for s in describe(values(two_labels), two_labels["label"].tolist())
    }
    assert len(found) == 2 * len(FEATURES)
    techno = two_labels[two_labels["label"] == "techno"]
    tempo = found["techno", "tempo"]
    assert (tempo.count, tempo.missing) == (58, 2)
    assert (found["edm", "tempo"].count, found["edm", "tempo"].missing) == (39, 1)
    assert tempo.mean == pytest.approx(techno["tempo"].mean())
    expected = techno["tempo"].quantile([0.25, 0.5, 0.75]).tolist()
    assert [tempo.lower, tempo.median, tempo.upper] == pytest.approx(expected)
    mode, key = found["edm", "mode"], found["edm", "key"]
    edm = two_labels[two_labels["label"] == "edm"]
    assert mode.mean == pytest.approx((edm["mode"] == 1).mean())
    assert (mode.median, key.mean, key.median) == (None, None, None)
    assert key.commonest[1] == pytest.approx(edm["key"].value_counts(normalize=True).iloc[0])


def test_cohens_d_and_kolmogorov_smirnov(two_labels):
    (comparison,) = compare(values(two_labels), two_labels["label"].tolist())
    assert (comparison.first, comparison.second) == ("techno", "edm")
    sizes = [abs(d.d) for d in comparison.differences]
    assert sizes == sorted(sizes, reverse=True)
    assert {d.feature for d in comparison.differences[:2]} == {"instrumentalness", "tempo"}
    a, b = (two_labels.loc[two_labels["label"] == n, "tempo"].to_numpy() for n in ("techno", "edm"))
    tempo = next(d for d in comparison.differences if d.feature == "tempo")
    pooled = np.sqrt((59 * a.var(ddof=1) + 39 * b.var(ddof=1)) / 98)
    assert tempo.d == pytest.approx((a.mean() - b.mean()) / pooled)
    every = np.concatenate([a, b])
    steps = [abs((a <= x).mean() - (b <= x).mean()) for x in every]
    assert tempo.statistic == pytest.approx(max(steps))
    assert tempo.p == pytest.approx(stats.ks_2samp(a, b).pvalue)
    assert tempo.directed
    assert tempo.counts == (60, 40)


def test_key_and_mode_are_compared_as_what_they_are():
    rng = np.random.default_rng(0)
    labels = ["a"] * 300 + ["b"] * 200
    key = np.concatenate([rng.integers(0, 12, 300), rng.integers(0, 6, 200)])
    _, difference = one("key", key, labels)
    observed = pd.crosstab(pd.Series(labels), key).to_numpy()
    result = stats.chi2_contingency(observed, correction=False)
    assert difference.p == pytest.approx(result.pvalue)
    assert not difference.directed
    phi2 = stats.contingency.association(observed, "cramer") ** 2
    n, k = 500, 12
    corrected = max(0, phi2 - (k - 1) / (n - 1)) / (2 - 1 / (n - 1) - 1)
    assert difference.statistic == pytest.approx(np.sqrt(corrected))
    assert difference.d == pytest.approx(2 * np.sqrt(corrected / (1 - corrected)))
    # B is beside C, so means that differ by much may be of keys that differ by little.
    _, same = one("mode", [0, 1] * 100, ["a", "a", "b", "b"] * 50)
    assert (same.statistic, same.d) == (0, 0)
    assert same.p == pytest.approx(1)
    _, apart = one("mode", [0] * 50 + [1] * 50, ["a"] * 50 + ["b"] * 50)
    assert apart.statistic == pytest.approx(1)
    assert apart.d > 10


def test_the_correction_keeps_chance_from_looking_like_a_difference():
    rng = np.random.default_rng(1)
    labels = ["a", "b"] * 50
    found = [one("key", rng.integers(0, 12, 100), labels)[1].statistic for _ in range(200)]
    plain = np.sqrt(11 / 99)
    assert np.mean(found) < plain / 3


def test_values_without_spread():
    labels = ["a"] * 3 + ["b"] * 3
    _, same = one("tempo", [0.1] * 6, labels)
    assert (same.d, same.p) == (0, 1)
    _, apart = one("tempo", [0.3] * 3 + [0.1] * 3, labels)
    assert apart.d == np.inf
    _, one_key = one("key", [4] * 6, labels)
    assert (one_key.d, one_key.p) == (0, 1)


def test_too_few_values_are_skipped_with_a_reason():
    comparison, difference = one("tempo", [1.0, 2, 3, np.nan], ["a", "a", "b", "b"])
    assert difference is None
    assert comparison.skipped["tempo"] == "1 value in b"
    assert comparison.skipped["energy"] == "no values in a"


def test_more_than_two_labels_are_compared_with_the_rest(two_labels):
    three = pd.concat([two_labels, two_labels.head(30).assign(label="house")], ignore_index=True)
    found = compare(values(three), three["label"].tolist())
    assert [(c.first, c.second) for c in found] == [(n, REST) for n in ("techno", "edm", "house")]
    counts = next(d.counts for d in found[2].differences if d.feature == "tempo")
    assert counts == (30, 100)
    assert compare(values(two_labels), ["one"] * 100) == []


def test_holm_by_a_known_example():
    # Holm 1979's rule on four tests: 0.005 * 4, 0.01 * 3, 0.03 * 2, and no less than that.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_corrects_upwards_and_keeps_the_order(p):
    corrected = holm(p)
    assert all(before <= after <= 1 for before, after in zip(p, corrected, strict=True))
    order = np.argsort(p, kind="stable")
    assert (np.diff(np.asarray(corrected)[order]) >= 0).all()


def test_a_real_table_says_what_its_playlists_sound_like(shared):
    from kit.catalogue import read_table

    table, repeats = read_table(shared / "tables" / "techno_vs_edm_features.csv")
    assert len(repeats) == 5
    (comparison,) = compare(values(table), table["label"].tolist())
    assert [d.feature for d in comparison.differences[:2]] == ["instrumentalness", "tempo"]
    assert comparison.differences[0].d == pytest.approx(2.05, abs=0.01)
    assert list(comparison.skipped) == ["duration"]
