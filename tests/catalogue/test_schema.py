import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.catalogue import validate
from kit.catalogue.schema import is_plain, one_line
from kit.errors import UsageError


def table(**columns):
    return pd.DataFrame({"track_id": ["a", "b"], "label": ["x", "y"], **columns})


def test_types():
    got = validate(
        table(
            other=["1", "02"],
            release_date=["2000", "1999-05-01"],
            duration_s=["1.5e1", ""],
            sample_rate=["44100", ""],
            tempo=[128, None],
            artists=["NA", "None"],
        ),
        source="t.csv",
    )
    assert list(got.columns[:4]) == ["track_id", "label", "artists", "release_date"]
    assert list(got["release_date"]) == ["2000", "1999-05-01"]
    assert list(got["artists"]) == ["NA", "None"]
    assert got["duration_s"][0] == 15
    assert np.isnan(got["duration_s"][1])
    assert got["sample_rate"].dtype == "Int64"
    assert got["sample_rate"][0] == 44100
    assert pd.isna(got["sample_rate"][1])
    assert got["tempo"].dtype == "float64"
    assert list(got["other"]) == ["1", "02"]


def test_labels_have_one_form():
    got = validate(table(label=[" Drum  &\xa0Bass ", "Cafe\u0301"]), source="t.csv")
    assert list(got["label"]) == ["Drum & Bass", "Caf\xe9"]


def test_it_takes_its_own_result():
    once = validate(table(duration_s=[1.5, 2], channels=[2, None]), source="t")
    pd.testing.assert_frame_equal(validate(once, source="t"), once)


@pytest.mark.parametrize(
    ("column", "values", "said"),
    [
        ("track_id", ["a", "b c"], "line 3, column track_id is 'b c'; it must be 1 to 64 letters"),
        ("track_id", ["", "b"], "line 2, column track_id is empty"),
        ("track_id", ["a" * 65, "b"], "line 2, column track_id"),
        ("track_id", ["a", "a"], "line 3, column track_id is 'a'.*unique"),
        ("label", ["x", " "], "line 3, column label is empty"),
        ("label", ["x", None], "line 3, column label is empty"),
        ("label", ["x\ny", "y"], r"line 2, column label is 'x\\ny'; it must be one line"),
        ("duration_s", ["1", "long"], "line 3, column duration_s is 'long'; it must be a number"),
        ("duration_s", ["-1", "-2"], r"line 2, .* at least 0 \(1 more lines like this\)"),
        ("duration_s", ["inf", "1"], "line 2, column duration_s is 'inf'"),
        ("duration_s", ["nan", "1"], "line 2, column duration_s is 'nan'"),
        ("sample_rate", ["44100.5", "1"], "line 2, column sample_rate is '44100.5'.*whole"),
        ("sample_rate", ["1", "0"], "line 3, column sample_rate is '0'"),
        ("key", ["1e300", "0"], "line 2, column key is '1e300'; it must be a whole number"),
        ("source_hash", ["a" * 64, "A" * 64], "line 3, column source_hash.*64 hexadecimal"),
        ("path", ["a.mp3", "b\x00.mp3"], "line 3, column path"),
        ("tempo", ["fast", "1"], "line 2, column tempo is 'fast'"),
    ],
)
def test_errors_have_line_column_value_and_rule(column, values, said):
    with pytest.raises(UsageError, match=said) as caught:
        validate(table(**{column: values}), source="t.csv")
    assert str(caught.value).startswith("t.csv, line ")


def test_lines_of_the_file_are_named():
    with pytest.raises(UsageError, match=r"t\.csv, line 40, column key"):
        validate(table(key=["1", "x"]), source="t.csv", lines=[30, 40])


@pytest.mark.parametrize("missing", ["track_id", "label"])
def test_missing_columns(missing):
    with pytest.raises(UsageError, match=f"no column {missing}; it has "):
        validate(table().drop(columns=missing), source="t.csv")


def test_a_column_twice():
    twice = pd.concat([table(), table()[["label"]]], axis=1)
    with pytest.raises(UsageError, match="column label twice"):
        validate(twice, source="t.csv")


def test_long_values_are_cut_in_the_message():
    with pytest.raises(UsageError) as caught:
        validate(table(tempo=["x" * 5000, "1"]), source="t.csv")
    assert len(str(caught.value)) < 200


@given(st.text())
def test_one_line_is_one(text):
    assert is_plain(one_line(text))
    assert one_line(one_line(text)) == one_line(text)
    assert text.isprintable() <= is_plain(text)


@pytest.mark.parametrize("sign", ["\u3000", "\xa0", "\u200d", "\u200c", "\xad", "\u200f", "\ue000"])
def test_signs_that_names_may_have(sign):
    assert is_plain(f"a{sign}b")


@pytest.mark.parametrize("sign", ["\0", "\n", "\r", "\t", "\x7f", "\x85", "\u2028", "\udcff"])
def test_signs_that_names_may_not_have(sign):
    assert not is_plain(f"a{sign}b")
