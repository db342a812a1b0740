import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.catalogue.folds import (
    fold_names,
    folds_in_words,
    folds_of,
    require_no_leak,
    split_of_fold,
)
from kit.config import SplitConfig
from kit.errors import ConfigError, UsageError


def table(artists, labels=None, **columns):
    """Tracks of these artists; each artist has one label, techno or edm in turn, if not given."""
    known = list(dict.fromkeys(artists))
    turn = [("techno", "edm")[known.index(artist) % 2] for artist in artists]
    return pd.DataFrame(
        {
            "track_id": [f"t{i}" for i in range(len(artists))],
            "label": turn if labels is None else labels,
            "artists": artists,
            **columns,
        }
    )


def at_least(n):
    """Numbers of tracks of each artist: at least n artists of each of the two labels."""
    return st.lists(st.integers(1, 5), min_size=2 * n, max_size=2 * n + 12)


@st.composite
def tables_and_folds(draw):
    n = draw(st.integers(2, 5))
    sizes = draw(at_least(n))
    artists = [f"artist {i}" for i, size in enumerate(sizes) for _ in range(size)]
    order = draw(st.permutations(range(len(artists))))
    return table([artists[i] for i in order]), n


@settings(max_examples=30)
@given(tables_and_folds(), st.integers(0, 2**32 - 1))
def test_every_track_is_in_one_fold_with_its_artist_and_every_label_in_each(drawn, seed):
    tracks, n = drawn
    folds = folds_of(tracks, SplitConfig(folds=n, seed=seed))
    assert folds["track_id"].tolist() == tracks["track_id"].tolist()
    assert fold_names(folds) == [str(i) for i in range(n)]
    assert (folds.groupby("group")["fold"].nunique() == 1).all()
    assert (folds.groupby("fold")["label"].nunique() == 2).all()
    # Dealt largest first to the emptiest: no fold is ahead of another by more than one artist.
    for label, of_label in folds.groupby("label"):
        sizes = of_label.groupby("fold").size()
        largest = of_label.groupby("group").size().max()
        assert sizes.max() - sizes.min() <= largest, label


@settings(max_examples=30)
@given(tables_and_folds(), st.integers(0, 100))
def test_the_order_of_the_rows_changes_nothing(drawn, seed):
    tracks, n = drawn
    mixed = tracks.sample(frac=1, random_state=seed)
    one, two = (folds_of(rows, SplitConfig(folds=n)) for rows in (tracks, mixed))
    pd.testing.assert_frame_equal(
        one.sort_values("track_id", ignore_index=True),
        two.sort_values("track_id", ignore_index=True),
    )


def test_single_tracks_are_dealt_evenly():
    tracks = table([f"a{i}" for i in range(44)])
    sizes = folds_of(tracks, SplitConfig(folds=5)).groupby(["label", "fold"]).size()
    assert sorted(sizes["edm"]) == sorted(sizes["techno"]) == [4, 4, 4, 5, 5]


def test_another_seed_draws_other_folds():
    tracks = table([f"a{i}" for i in range(40)])
    one, same, other = (folds_of(tracks, SplitConfig(folds=4, seed=s)) for s in (1, 1, 2))
    assert one.equals(same)
    assert not one.equals(other)


@settings(max_examples=30)
@given(tables_and_folds(), st.integers(0, 100))
def test_the_split_of_a_fold_tests_it_and_holds_artists_apart(drawn, seed):
    tracks, n = drawn
    config = SplitConfig(folds=n, seed=seed, validation_fraction=0.0)
    folds = folds_of(tracks, config)
    for name in fold_names(folds):
        parts = split_of_fold(folds, name, config)
        assert list(parts.columns) == ["track_id", "label", "group", "part"]
        assert ((parts["part"] == "test") == (folds["fold"] == name)).all()
        assert set(parts["part"]) == {"train", "test"}


def test_validation_is_a_share_of_all_tracks_by_artist_and_differs_by_fold():
    artists = [f"a{i // 2}" for i in range(120)]
    config = SplitConfig(folds=3, validation_fraction=0.1)
    folds = folds_of(table(artists), config)
    held = []
    for name in fold_names(folds):
        parts = split_of_fold(folds, name, config)
        assert (parts.groupby("group")["part"].nunique() == 1).all()
        validation = parts[parts["part"] == "validation"]
        assert validation["label"].value_counts().to_dict() == {"edm": 6, "techno": 6}
        assert parts[parts["part"] == "train"]["label"].nunique() == 2
        held.append(set(validation["track_id"]))
    assert not (held[0] == held[1] == held[2])


def test_labels_are_shuffled_as_in_a_split():
    tracks = table([f"a{i}" for i in range(40)])
    folds = folds_of(tracks, SplitConfig(folds=4, shuffle_labels=True))
    assert folds["label"].value_counts().to_dict() == {"edm": 20, "techno": 20}
    assert folds["label"].tolist() != tracks["label"].tolist()
    assert set(folds.groupby(["label", "fold"]).size()) == {5}


@pytest.mark.parametrize(
    ("by", "words"),
    [
        (
            "artist",
            "label 'edm' has only 3 artists (9 tracks), and each of the 5 folds needs one; use "
            "--split.folds 3 or --split.by track, or add audio of another artist with this label",
        ),
        ("random", None),
        ("track", None),
    ],
)
def test_fewer_artists_than_folds_are_refused(by, words):
    tracks = table([f"a{i % 6}" for i in range(18)])
    config = SplitConfig(by=by, folds=5)
    if words is None:
        assert len(fold_names(folds_of(tracks, config))) == 5
        return
    with pytest.raises(UsageError) as error:
        folds_of(tracks, config)
    assert str(error.value) == words


def test_one_artist_of_a_label_has_no_folds():
    tracks = table(["a", "a", "b", "c"], ["edm", "edm", "techno", "techno"])
    with pytest.raises(UsageError, match=r"only 1 artist .2 tracks., and each of the 2 folds"):
        folds_of(tracks, SplitConfig(folds=2))


def test_artists_of_several_labels_can_make_folds_impossible():
    labels = ["edm", "techno", "techno", "house", "house", "edm"]
    tracks = table(["a", "a", "b", "b", "c", "c"], labels)
    with pytest.raises(UsageError, match=r"--split.by track"):
        folds_of(tracks, SplitConfig(folds=2))


def test_nothing_left_for_validation_is_refused():
    config = SplitConfig(folds=2)
    folds = folds_of(table(["a", "b", "c", "d"]), config)
    with pytest.raises(UsageError, match=r"with fold 1.*--split.validation-fraction 0"):
        split_of_fold(folds, "1", config)


def official(fold, artists=None, labels=None):
    artists = [f"a{i}" for i in range(len(fold))] if artists is None else artists
    return table(artists, labels, fold=fold)


def test_official_folds_are_taken_as_they_are():
    tracks = official(["10", "10", "9", "9", "b", "b", "a", "a"])
    config = SplitConfig(fold_column="fold", validation_fraction=0.0)
    folds = folds_of(tracks, config)
    assert folds["fold"].tolist() == tracks["fold"].tolist()
    assert fold_names(folds) == ["9", "10", "a", "b"]
    parts = split_of_fold(folds, "b", config)["part"]
    assert parts.tolist() == ["train"] * 4 + ["test"] * 2 + ["train"] * 2


def test_official_folds_may_cut_artists_and_say_so():
    config = SplitConfig(fold_column="fold", validation_fraction=0.2)
    artists = [f"a{i // 2}" for i in range(40)]
    apart = official([str(i // 20) for i in range(40)], artists)
    assert "none of the 20 groups by artist" in folds_in_words(
        apart, folds_of(apart, config), config
    )
    cut = official([str(i % 2) for i in range(40)], artists)
    folds = folds_of(cut, config)
    assert "20 of the 20 groups by artist have tracks in several" in folds_in_words(
        cut, folds, config
    )
    with pytest.raises(UsageError, match=r"tracks of 20 groups by artist in several folds .'a0', "):
        require_no_leak(folds, config)
    require_no_leak(folds, dataclasses.replace(config, allow_leaks=True))
    require_no_leak(folds_of(apart, config), config)
    # Even so, no artist lies in both training and validation.
    parts = split_of_fold(folds, "0", config)
    rest = parts[parts["part"] != "test"]
    assert (rest.groupby("group")["part"].nunique() == 1).all()
    assert (rest["part"] == "validation").sum() == 8
    alone = official(["0", "0", "1", "1"])
    assert "are not known" in folds_in_words(alone, folds_of(alone, config), config)


@pytest.mark.parametrize(
    ("tracks", "words"),
    [
        (table(["a", "b"]), "no such column"),
        (official(["1", "", "2", " "]), "2 tracks of 4 have no fold"),
        (official(["1", "../2"] * 2), "'../2'"),
        (official(["a", "A"] * 2), "upper and lower case"),
        (official(["1"] * 4), "only one fold .1."),
        (
            official(["1", "2", "2", "2"], labels=["a", "b", "b", "c"]),
            "label 'a' is only in fold 1",
        ),
    ],
)
def test_columns_that_name_no_usable_folds_are_refused(tracks, words):
    with pytest.raises(UsageError, match=words):
        folds_of(tracks, SplitConfig(fold_column="fold"))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"folds": 1}, "SplitConfig.folds is 1; it must be at least 2"),
        ({"folds": 5, "fold_column": "fold"}, "SplitConfig.fold_column"),
        ({"fold_column": ""}, "name a column"),
    ],
)
def test_configurations_of_folds_are_checked(fields, words):
    with pytest.raises(ConfigError, match=words):
        SplitConfig(**fields)


def test_words_of_drawn_folds_count_what_is_kept_apart():
    tracks = table([f"a{i}" for i in range(10)])
    config = SplitConfig(folds=2)
    assert folds_in_words(tracks, folds_of(tracks, config), config) == (
        "Folds by artist: 10 artists, none in two folds"
    )


def test_a_large_table_is_dealt_well():
    rng = np.random.default_rng(0)
    artists = [f"a{n}" for n in rng.zipf(1.6, 4000) % 900]
    labels = [("edm", "house", "techno")[int(a[1:]) % 3] for a in artists]
    folds = folds_of(table(artists, labels), SplitConfig(folds=5))
    counts = folds.groupby(["label", "fold"]).size().unstack()
    largest = folds.groupby(["label", "group"]).size().groupby("label").max()
    spread = counts.max(axis=1) - counts.min(axis=1)
    assert (spread <= largest).all()
