import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from kit.catalogue import from_csv
from kit.catalogue.split import KeptApart, kept_apart, split
from kit.config import SplitConfig
from kit.errors import UsageError

QUICK = settings(max_examples=60, deadline=None)


def tracks(artists, labels, **more):
    ids = [f"t{i:04d}" for i in range(len(labels))]
    return pd.DataFrame({"track_id": ids, "label": labels, "artists": artists, **more})


def even(artists=20, each=6):
    """Half of the artists make x, half make y."""
    names = [f"artist {a}" for a in range(artists) for _ in range(each)]
    labels = ["x" if a < artists / 2 else "y" for a in range(artists) for _ in range(each)]
    return tracks(names, labels)


def shares(result):
    return pd.crosstab(result["label"], result["part"], normalize="index")


def test_by_artist_keeps_artists_whole_and_shares_right():
    table = even()
    result = split(table, SplitConfig())
    assert list(result.columns) == ["track_id", "label", "group", "part"]
    assert list(result["track_id"]) == list(table["track_id"])
    assert list(result["label"]) == list(table["label"])
    assert list(result["group"]) == list(table["artists"])
    assert (result.groupby("group")["part"].nunique() == 1).all()
    np.testing.assert_allclose(
        shares(result)[["test", "train", "validation"]], [[0.2, 0.7, 0.1]] * 2
    )


def test_a_track_with_two_artists_joins_both():
    names = ["A", "B; a ", "b", "C", "", "", "D", "E", "F", "G", "H"]
    table = tracks(names, ["x", "x", "x", "x", "x", "y", "y", "y", "y", "x", "y"])
    group = dict(zip(table["track_id"], split(table, SplitConfig())["group"], strict=True))
    assert group["t0000"] == group["t0001"] == group["t0002"] == "a"
    # Unknown artists are not one artist.
    assert group["t0004"] != group["t0005"]
    assert len(set(group.values())) == 9


@pytest.mark.parametrize(
    "name",
    [
        *("Adam, Guest", "adam & Guest", "Adam + Guest", "Adam / Guest", "Adam/Guest"),
        *("Adam feat. Guest", "Adam ft Guest", "Adam (feat. Guest)", "Adam [Featuring Guest]"),
        *("Adam vs. Guest", "Adam vs Guest", "Adam x Guest", "Adam and Guest", "Adam, A & B"),
        *(
            "Adam b2b Guest",
            "Adam × Guest",
            "Adam w/ Guest",
            "Adam pres. Guest",
            "Adam meets Guest",
        ),
        *("Adam und Guest", "Adam et Guest", "Adam y Guest", "Adam、Guest", "Adam | Guest"),
        *("Adam Feat Guest", "Adam FT. Guest", "Adam VS Guest", "Adam presents Guest"),
        *("Guest; Adam & B", "Adam", " ADAM "),
    ],
)
def test_the_main_artist_ties_tracks(name):
    table = tracks(["Adam", name, "Eve", "Abel"], list("xyxy"))
    groups = list(split(table, SplitConfig(validation_fraction=0.0, test_fraction=0.5))["group"])
    assert groups[0] == groups[1] == "adam"
    assert groups[2:] == ["eve", "abel"]


@pytest.mark.parametrize(
    "name",
    [
        "Adamski",
        "Madam",
        "W&W",
        "Adamx",
        "Adam Feather",
        "Xavier",
        "Guest, Adamski",
        "Adam Withers",
    ],
)
def test_other_names_tie_nothing(name):
    table = tracks(["Adam", name, "Eve", "Abel"], list("xxyy"))
    assert kept_apart(table, SplitConfig()).groups == 4


@pytest.mark.parametrize(
    "name",
    [
        "Guest, Adam",
        ", Adam",
        "Guest feat. Adam",
        "Guest (ft. ADAM)",
        "Guest vs. Ádam & B",
        "Á-dam",
    ],
)
def test_another_artist_ties_if_he_has_a_track_alone(name):
    alone = tracks(["Adam", name, "Eve", "Abel"], list("xxyy"))
    kept = kept_apart(alone, SplitConfig())
    assert kept.groups == 3 if name != "Á-dam" else 4
    assert kept.guests == ("B" in name)
    never_alone = tracks(["Adam & Eve", name, "Eve", "Abel"], list("xxyy"))
    if name.startswith(("Guest", "X")):
        assert kept_apart(never_alone, SplitConfig()).groups == 3  # "Adam & Eve" and "Eve"


def test_no_main_artist_lies_on_both_sides():
    names = [f"{who} & Guest {i}" if i else who for who in "ABCDEF" for i in range(4)]
    table = tracks(names, ["x" if who in "ABC" else "y" for who in "ABCDEF" for _ in range(4)])
    for seed in range(3):
        result = split(table, SplitConfig(seed=seed))
        assert (result["part"].groupby(table["artists"].str[0]).nunique() == 1).all()
    kept = kept_apart(table, SplitConfig())
    assert (kept.groups, kept.values, kept.guests) == (6, 6, 18)
    assert kept.in_words() == "Split by artist: 6 main artists, none on both sides"


def test_the_same_bytes_stay_together():
    table = even()
    hashes = [f"{i:064x}" for i in range(len(table))]
    hashes[0] = hashes[-1] = "f" * 64
    table["source_hash"] = hashes
    for by in ("artist", "track", "random"):
        for seed in range(8):
            result = split(table, SplitConfig(by=by, seed=seed))
            assert result["part"].iloc[0] == result["part"].iloc[-1]
            assert result["group"].iloc[0] == result["group"].iloc[-1]


def test_by_track_uses_the_column_track_if_there_is_one():
    table = even()
    assert split(table, SplitConfig(by="track"))["group"].nunique() == len(table)
    table["track"] = [f"song {i // 2}" for i in range(len(table))]
    result = split(table, SplitConfig(by="track"))
    assert result["group"].nunique() == len(table) // 2
    assert (result.groupby("group")["part"].nunique() == 1).all()


def test_by_any_column():
    table = even()
    table["speaker"] = [f"s{i % 10}" for i in range(len(table))]
    result = split(table, SplitConfig(by="speaker"))
    assert (result.groupby("group")["part"].nunique() == 1).all()
    assert result["group"].nunique() == 10
    with pytest.raises(UsageError, match=r"--split\.by is .studio.* columns: track_id, label, ar"):
        split(table, SplitConfig(by="studio"))
    with pytest.raises(UsageError, match=r"no column 'artists'.*--split\.by track"):
        split(table.drop(columns="artists"), SplitConfig())


@pytest.mark.parametrize("seed", [0, 42])
@pytest.mark.parametrize(("test", "validation"), [(0.1, 0.0), (0.1, 0.1), (0.25, 0.2)])
def test_random_is_sklearns_draw(seed, test, validation):
    table = even().sample(frac=1, random_state=3).reset_index(drop=True)
    config = SplitConfig(by="random", seed=seed, test_fraction=test, validation_fraction=validation)
    result = split(table, config)
    every = np.arange(len(table))
    rest, held = train_test_split(every, test_size=test, random_state=seed, stratify=table["label"])
    assert set(np.flatnonzero(result["part"] == "test")) == set(held)
    if validation:
        rest, chosen = train_test_split(
            rest,
            test_size=validation / (1 - test),
            random_state=seed,
            stratify=table["label"][rest],
        )
        assert set(np.flatnonzero(result["part"] == "validation")) == set(chosen)
    assert set(np.flatnonzero(result["part"] == "train")) == set(rest)


def test_random_with_copies_draws_over_the_first_of_each():
    table = even()
    plain = split(table, SplitConfig(by="random"))
    copies = table.head(10).assign(track_id=[f"copy{i}" for i in range(10)])
    hashes = [f"{i:064x}" for i in range(len(table))]
    both = pd.concat(
        [table.assign(source_hash=hashes), copies.assign(source_hash=hashes[:10])],
        ignore_index=True,
    )
    result = split(both, SplitConfig(by="random"))
    assert list(result["part"][: len(table)]) == list(plain["part"])
    assert list(result["part"][len(table) :]) == list(plain["part"][:10])


@pytest.mark.parametrize("by", ["artist", "track", "random"])
def test_seeds(by):
    table = even()
    one, again, other = (split(table, SplitConfig(by=by, seed=s)) for s in (1, 1, 2))
    pd.testing.assert_frame_equal(one, again)
    assert list(one["part"]) != list(other["part"])


def test_no_validation():
    result = split(even(), SplitConfig(validation_fraction=0.0))
    assert set(result["part"]) == {"train", "test"}


@pytest.mark.parametrize(
    ("table", "config", "said"),
    [
        (tracks(["a", "b"], ["x", "x"]), {}, "has 1 label, training needs at least 2"),
        (tracks([], []), {}, "has 0 label"),
        (
            tracks(["a", "a", "b", "c"], ["x", "x", "y", "y"]),
            {},
            r"label 'x' has only 1 artist \(2 tracks\), and train and test need one each; "
            r"use --split\.by track, or add audio of another artist with this label",
        ),
        (
            tracks(["a", "b", "c"], ["x", "y", "y"]),
            {"by": "track"},
            "'x' has only 1 track, and train and test need one each; add audio of another track",
        ),
        (
            tracks(["a", "a", "b", "b"], ["x", "y", "x", "y"]),
            {},
            r"label 'x' has only 2 artists \(2 tracks\), and train, validation and test need one "
            r"each; use --split\.validation-fraction 0, or add audio of another artist",
        ),
        (
            tracks(["a", "a", "b", "c", "c", "d"], list("xxxyyy")),
            {},
            r"label 'x' has only 2 artists \(3 tracks\).*use --split\.validation-fraction 0 or "
            r"--split\.by track, or add",
        ),
        (
            tracks(list("abcd"), list("xxyy")),
            {"by": "track"},
            "label 'x' has only 2 tracks, and train, val.* use --split.validation-fraction 0, or",
        ),
        (
            tracks(list("aabbcc"), list("xyxyxy"), room=list("112233")),
            {"by": "room", "test_fraction": 0.6},
            "no split by room leaves tracks for validation",
        ),
        (
            tracks(["a", "a", "b", "b", "c"], ["x", "y", "y", "z", "z"]),
            {"validation_fraction": 0.0},
            "'x' has only 1 artist",
        ),
        (
            tracks(list("aabbcc"), ["x", "y", "y", "z", "z", "x"]),
            {"validation_fraction": 0.0},
            "no split by artist has every label in train and test.*--split.by track",
        ),
        (
            tracks(list("abcde"), list("xxxxy")),
            {"by": "random"},
            "5 tracks cannot be split at random .*change --split.test-fraction",
        ),
    ],
)
def test_what_cannot_be_split(table, config, said):
    with pytest.raises(UsageError, match=said):
        split(table, SplitConfig(**config))


def test_two_artists_a_label_are_enough_without_validation():
    table = tracks(["a", "a", "b", "c", "c", "d"], ["x", "x", "x", "y", "y", "y"])
    result = split(table, SplitConfig(validation_fraction=0.0))
    parts = dict(zip(result["group"], result["part"], strict=True))
    # The smaller artist of each is nearer to a fifth.
    assert parts == {"a": "train", "b": "test", "c": "train", "d": "test"}


@pytest.mark.parametrize("by", ["artist", "track"])
@pytest.mark.parametrize("each", [3, 4, 5])
def test_a_few_tracks_are_in_all_three_parts(by, each):
    table = tracks([f"a{i}" for i in range(2 * each)], ["x"] * each + ["y"] * each)
    for seed in range(5):
        result = split(table, SplitConfig(by=by, seed=seed))
        counts = pd.crosstab(result["label"], result["part"])
        assert counts.values.tolist() == [[1, each - 2, 1]] * 2


@pytest.mark.parametrize("by", ["artist", "track", "random"])
def test_shuffled_labels(by):
    table = even()
    config = SplitConfig(by=by, shuffle_labels=True)
    result = split(table, config)
    assert (result.groupby("group")["label"].nunique() == 1).all()
    firsts = result.drop_duplicates("group")["label"].value_counts()
    assert firsts["x"] == firsts["y"]
    agree = (result["label"] == table["label"]).mean()
    assert 0.2 < agree < 0.8
    pd.testing.assert_frame_equal(result, split(table, config))
    # Over many seeds a label tells nothing of what it was.
    means = [
        (
            split(table, SplitConfig(by=by, shuffle_labels=True, seed=s))["label"] == table["label"]
        ).mean()
        for s in range(30)
    ]
    assert abs(np.mean(means) - 0.5) < 0.1


def test_shuffled_labels_of_a_group_with_several_labels():
    table = tracks(["a", "a", "a", "b", "c", "d", "e"], list("xxyxyxy"))
    result = split(table, SplitConfig(shuffle_labels=True, validation_fraction=0.0))
    assert (result.groupby("group")["label"].nunique() == 1).all()
    # a (by its majority), b and d were x, c and e were y.
    assert sorted(result.drop_duplicates("group")["label"]) == list("xxxyy")


def test_shuffled_labels_of_groups_that_have_both_labels_alike():
    table = tracks([f"a{i // 2}" for i in range(16)], list("xy") * 8)
    results = [split(table, SplitConfig(shuffle_labels=True, seed=seed)) for seed in range(8)]
    for result in results:
        assert (result.groupby("group")["label"].nunique() == 1).all()
        assert sorted(result.drop_duplicates("group")["label"]) == list("xxxxyyyy")
    assert len({tuple(result["label"]) for result in results}) > 4


@pytest.mark.parametrize(
    ("by", "artists", "counts", "said"),
    [
        ("artist", ["A", "B", "a", "C"], (4, 3, 3, 0), "Split by artist: 3 artists, none on both"),
        ("artist", ["A", "A; B", "B", "C"], (4, 2, 3, 0), "Split by artist: 3 artists, none on"),
        ("artist", ["A"] * 4, (4, 1, 1, 0), "Split by artist: 1 artist, none on both sides"),
        (
            "artist",
            ["", " ", "", ""],
            (4, 4, 0, 4),
            "4 of 4 tracks have no artist: each stands for itself, so tracks of one artist may lie "
            "on both sides; give artists with --artist-from filename, in the tags, or in the "
            "column artists",
        ),
        (
            "artist",
            ["", "A", "B", "B"],
            (4, 3, 2, 1),
            "1 of 4 tracks has no artist: each stands for itself, so tracks of one artist may lie "
            "on both sides; the other 3 have 2 artists, none on both sides; give artists",
        ),
        ("track", ["A"] * 4, (4, 4, 4, 0), "Split by track: 4 tracks; tracks of one artist may"),
        ("random", ["A"] * 4, (4, 4, 0, 4), "Split at random: 4 tracks, each by itself; tracks"),
        ("room", ["A"] * 4, (4, 2, 2, 0), "Split by room: 2 groups, none on both sides"),
        (
            "speaker",
            ["A"] * 4,
            (4, 4, 1, 3),
            "3 of 4 tracks have no speaker: each stands for itself, so tracks of one speaker may "
            "lie on both sides; the other 1 has 1 group, none on both sides; fill in the column",
        ),
    ],
)
def test_what_a_split_keeps_apart(by, artists, counts, said):
    table = tracks(artists, list("xxyy"), room=list("1122"), speaker=["s", "", "", ""])
    kept = kept_apart(table, SplitConfig(by=by))
    assert dataclasses.astuple(kept) == (by, *counts, 0, False)
    assert kept_apart(table.assign(recording=""), SplitConfig(by=by)).by_sound
    assert kept.in_words().startswith(said)
    assert KeptApart(**json.loads(json.dumps(dataclasses.asdict(kept)))) == kept


def test_copies_are_one_group_of_what_is_kept_apart():
    table = tracks([""] * 3, list("xyy"), source_hash=["a" * 64, "a" * 64, ""])
    kept = kept_apart(table, SplitConfig())
    assert (kept.groups, kept.alone) == (2, 3)
    with pytest.raises(UsageError, match="no column 'studio'"):
        kept_apart(table, SplitConfig(by="studio"))


@st.composite
def tables(draw):
    count = draw(st.integers(4, 60))
    names = st.lists(
        st.sampled_from([f"a{i}" for i in range(draw(st.integers(2, 30)))]), max_size=2
    )
    artists = ["; ".join(draw(names)) for _ in range(count)]
    labels = [draw(st.sampled_from("xyz"[: draw(st.integers(2, 3))])) for _ in range(count)]
    hashes = [draw(st.sampled_from(["", *(f"{i:064x}" for i in range(40))])) for _ in range(count)]
    return tracks(artists, labels, source_hash=hashes)


@QUICK
@given(
    table=tables(),
    by=st.sampled_from(["artist", "track", "random"]),
    seed=st.integers(0, 2**32 - 1),
    test=st.floats(0.05, 0.5),
    validation=st.sampled_from([0.0, 0.1, 0.3]),
    shuffle=st.booleans(),
    order=st.randoms(use_true_random=False),
)
def test_every_split_keeps_its_promises(table, by, seed, test, validation, shuffle, order):
    config = SplitConfig(
        by=by,
        seed=seed,
        test_fraction=test,
        validation_fraction=validation,
        shuffle_labels=shuffle,
    )
    try:
        result = split(table, config)
    except UsageError:
        assume(False)
    assert list(result["track_id"]) == list(table["track_id"])
    assert set(result["part"]) <= {"train", "validation", "test"}
    assert ("validation" in set(result["part"])) == (validation > 0)
    part = dict(zip(result["track_id"], result["part"], strict=True))
    assert (result.groupby("group")["part"].nunique() == 1).all()
    assert kept_apart(table, config).groups == result["group"].nunique()
    for digest, rows in table.groupby("source_hash"):
        assert not digest or len({part[t] for t in rows["track_id"]}) == 1
    if by == "artist":
        split_names = table.assign(name=table["artists"].str.split("; ")).explode("name")
        for name, rows in split_names.groupby("name"):
            assert not name or len({part[t] for t in rows["track_id"]}) == 1
    if by != "random":
        by_label = pd.crosstab(result["label"], result["part"])
        assert (by_label[["train", "test"]] > 0).all(axis=None)
        rows = list(range(len(table)))
        order.shuffle(rows)
        moved = split(table.iloc[rows].reset_index(drop=True), config)
        assert dict(zip(moved["track_id"], moved["part"], strict=True)) == part


@pytest.mark.parametrize("by", ["artist", "track"])
def test_a_real_table_is_dealt_evenly(shared, by):
    result = split(from_csv(shared / "tables/techno_vs_edm_features.csv").table, SplitConfig(by=by))
    np.testing.assert_allclose(
        shares(result)[["test", "train", "validation"]], [[0.2, 0.7, 0.1]] * 2, atol=0.005
    )
