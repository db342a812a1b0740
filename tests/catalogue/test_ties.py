"""Tracks that are tied, if only through others, are never in two parts."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.catalogue.folds import folds_of
from kit.catalogue.split import split
from kit.catalogue.ties import albums, artists_of, components, groups_by
from kit.config import SplitConfig
from kit.errors import UsageError

ISRC = "GBAYE000035{}"


def table_of(rows):
    names = ("artists", "album", "isrc", "source_hash", "recording")
    columns = {name: [row[at] for row in rows] for at, name in enumerate(names)}
    ids = [f"t{i:03d}" for i in range(len(rows))]
    labels = [("x", "y")[i % 2] for i in range(len(rows))]
    return pd.DataFrame({"track_id": ids, "label": labels, **columns})


def some(letters, empty=6):
    """One of a few values, and mostly none."""
    return st.sampled_from([*letters, *[""] * empty])


row = st.tuples(
    some(["Ann", "Bob", "Cy; Ann", "Dee", "Bob feat. Cy", "eve", "Évé", "F  G", "Dee & Eve"], 3),
    some(["One", "Two", "Various"]),
    some([ISRC.format(1), ISRC.format(2)], 8),
    some(["a" * 64, "b" * 64], 8),
    some(["r1", "r2"], 8),
)


def tied(table):
    """Return the pairs of rows that share something, looked at one pair at a time."""
    rows = table.to_dict("records")
    inside = albums(table)
    listed = [artists_of(one["artists"].replace("É", "e").replace("é", "e")) for one in rows]
    alone = {name for names in listed for name in names if not re.search("feat|&", name)}
    parts = [[re.split(r" feat\. | & ", name) for name in names] for names in listed]
    main = [
        {part for name in names for part in name if part == name[0] or part in alone}
        for names in parts
    ]

    def share(i, j):
        codes = ("isrc", "source_hash", "recording")
        return (
            any(rows[i][name] and rows[i][name] == rows[j][name] for name in codes)
            or bool(main[i] & main[j])
            or bool(inside[i] and inside[i] == inside[j])
        )

    return [(i, j) for i in range(len(rows)) for j in range(i) if share(i, j)]


@settings(max_examples=30, deadline=None)
@given(st.lists(row, min_size=6, max_size=24), st.integers(0, 3))
def test_no_two_tied_tracks_lie_in_two_parts_or_folds(rows, seed):
    table = table_of(rows)
    pairs = tied(table)
    for drawn, column, config in (
        (split, "part", SplitConfig(seed=seed)),
        (folds_of, "fold", SplitConfig(seed=seed, folds=2)),
    ):
        try:
            part = drawn(table, config)[column].tolist()
        except UsageError:
            continue  # too few groups, which the message says
        assert all(part[i] == part[j] for i, j in pairs)


@settings(max_examples=30, deadline=None)
@given(st.lists(row, min_size=1, max_size=24), st.randoms())
def test_groups_are_those_of_pairs_and_do_not_depend_on_the_order(rows, random):
    table = table_of(rows)
    groups = groups_by(table, "artist")
    # The components of the pairs, by spreading the least number until nothing changes.
    number = np.arange(len(table))
    pairs = tied(table)
    for _ in range(len(table)):
        for i, j in pairs:
            number[i] = number[j] = min(number[i], number[j])
    same = groups[:, None] == groups[None]
    np.testing.assert_array_equal(same, number[:, None] == number[None])
    order = random.sample(range(len(table)), len(table))
    assert list(groups_by(table.iloc[order], "artist")) == list(groups[order])


def test_an_album_ties_and_a_compilation_does_not():
    few = pd.DataFrame({"artists": ["a", "b", "c"], "album": "Both Sides", "path": "x/1.mp3"})
    assert albums(few) == [[("both sides", "x")]] * 3
    many = pd.DataFrame({"artists": list("abcd"), "album": "The Best of 1999", "path": "x/1.mp3"})
    assert albums(many) == [[]] * 4
    for name in ("Various", "unknown  album", ""):
        assert albums(few.assign(album=name)) == [[]] * 3
    # The same name in another folder is another album.
    assert len({key for (key,) in albums(few.assign(path=["x/1", "y/2", "z/3"]))}) == 3
    assert albums(few.drop(columns="album")) == [[]] * 3


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("GB-AYE-00-00351", "gbaye0000351", True),
        ("GBAYE0000351", "GBAYE0000352", False),
        ("none", "none", False),
        ("0", "0", False),
        ("", "", False),
    ],
)
def test_an_isrc_ties_in_any_spelling_and_nothing_else_does(one, other, same):
    table = pd.DataFrame(
        {"track_id": ["a", "b"], "label": ["x", "y"], "isrc": [one, other], "artists": ["", ""]}
    )
    for by, tied_by_it in (("artist", same), ("track", same), ("random", False)):
        assert len(set(groups_by(table, by))) == (1 if tied_by_it else 2)


def test_names_of_one_artist_in_other_forms_are_one():
    table = pd.DataFrame(
        {
            "track_id": list("abcd"),
            "artists": ["Sigur Rós", "SIGUR RO\u0301S", " sigur  rós ", "Sigur Ros"],
        }
    )
    assert len(set(groups_by(table, "artist"))) == 1


def test_components_of_nothing():
    assert components([], 3).tolist() == [0, 1, 2]
    assert components([[]], 0).tolist() == []
    assert components([[["a"], ["b"], ["a"]], [[], [1], [1]]], 3).tolist() == [0, 0, 0]
