"""Which file goes with which row: sure, doubtful, or none."""

import importlib.util
import math
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.catalogue import from_csv
from kit.ingest.match import Item, match, nearest

ISRC, ISRC2 = "GBAYE6900001", "GBAYE6900002"


def item(name="", length=math.nan, isrc=""):
    artists, _, title = name.partition(" - ")
    return Item(artists, title, isrc, float(length))


def sure(rows, files, **options):
    return {m.row: m.file for m in match(rows, files, **options).sure}


def doubtful(rows, files, **options):
    return [(m.row, m.file) for m in match(rows, files, **options).doubtful]


def test_isrc_comes_first():
    rows = [item("A - X", isrc=ISRC), item("A - Y")]
    files = [item("A - X"), item("Other - Name", isrc=ISRC), item("A - Y", isrc=ISRC2)]
    assert sure(rows, files) == {0: 1, 1: 2}
    assert [m.by for m in match(rows, files).sure] == ["isrc", "name"]


def test_an_isrc_with_another_length_is_doubtful():
    rows, files = [item("A - X", 200, ISRC)], [item("B - Y", 260, ISRC)]
    assert sure(rows, files) == {}
    (found,) = match(rows, files).doubtful
    assert found.why == "the same ISRC; the lengths differ by 60 s"


def test_names_break_a_tie_of_isrcs():
    rows = [item("A - X", isrc=ISRC)]
    files = [item("A - X (Y Remix)", isrc=ISRC), item("A - X", isrc=ISRC)]
    assert sure(rows, files) == {0: 1}


@pytest.mark.parametrize(
    ("row", "file"),
    [
        ("Plvs Vltra - Opera", "PLVS VLTRA - opera (Original Mix)"),
        ("XYLØ - America - Young Bombs Remix", "Xylo - America (Young Bombs Remix)"),
        ("Röyksopp - I Had This Thing", "Royksopp feat. Somebody - I Had This Thing"),
        ("Klangkuenstler - Jugend Ohne Gott", "Klangkuenstler - Jugend Ohen Gott"),
        ("Rodriguez Jr. - Lila", "Lila - Rodriguez Jr."),
        ("A, B - Long Enough Title", "B & A - Long Enough Title"),
        ("Main - Long Enough Title", "Main; Guest - Long Enough Title"),
    ],
)
def test_sure(row, file):
    assert sure([item(row, 200)], [item(file, 201.5), item("Some - Thing", 200)]) == {0: 0}


@pytest.mark.parametrize(
    ("row", "file"),
    [
        ("A - Strobe", "A - Strobe (Y Remix)"),
        ("A - Strobe - X Remix", "A - Strobe (Y Remix)"),
        ("A - Acid Track 1", "A - Acid Track 2"),
        ("A - Acid Track Part II", "A - Acid Track Part III"),
        ("Artist - Intro", "Somebody Else - Intro"),
        ("Artist - First Title", "Artist - Another One"),
        ("A - Strobe - Radio Edit", "A - Strobe - Extended Mix"),
        ("A - Strobe", "A - Strobe (Live)"),
    ],
)
@pytest.mark.parametrize("length", [200.0, math.nan])
def test_never_sure(row, file, length):
    assert sure([item(row, length)], [item(file, 200)]) == {}


@pytest.mark.parametrize(("apart", "is_sure"), [(0, True), (2.9, True), (3.1, False), (90, False)])
def test_lengths(apart, is_sure):
    rows, files = [item("A - Opera", 200)], [item("A - Opera", 200 + apart)]
    assert (sure(rows, files) == {0: 0}) is is_sure
    assert bool(doubtful(rows, files)) is not is_sure


def test_ties_are_doubtful():
    one, two = [item("A - Opera", 200)], [item("A - Opera", 200), item("A - Opera", 201)]
    assert sure(one, two) == {}
    assert doubtful(one, two) == [(0, 0), (0, 1)]
    assert doubtful(two, one) == [(0, 0), (1, 0)]
    assert "another file is as near" in match(one, two).doubtful[0].why
    assert "another row is as near" in match(two, one).doubtful[0].why
    assert sure(one, two, refused={(0, 0)}) == {0: 1}
    assert sure(one, two, refused={(0, 0), (0, 1)}) == {}
    assert doubtful(one, two, refused={(0, 0), (0, 1)}) == []


def test_the_best_goes_first():
    # The misspelt row would take the file of the row that is spelt well.
    rows = [item("Klangkuenstler - Jugend Ohen Gott"), item("Klangkuenstler - Jugend Ohne Gott")]
    files = [item("Klangkuenstler - Jugend Ohne Gott")]
    assert sure(rows, files) == {1: 0}
    assert doubtful(rows, files) == []


def test_without_a_length_more_has_to_agree():
    files = [item("Klangkunstler - Jugend Ohen Gott", 200)]
    assert sure([item("Klangkuenstler - Jugend Ohne Gott", 200)], files) == {0: 0}
    assert doubtful([item("Klangkuenstler - Jugend Ohne Gott")], files) == [(0, 0)]


def test_other_isrcs_put_likeness_in_doubt():
    rows, files = [item("Abc - Operas", 9, ISRC)], [item("Abc - Opera", 9, ISRC2)]
    assert "ISRCs differ" in match(rows, files).doubtful[0].why


def test_nothing_to_match():
    assert match([], []).sure == ()
    assert match([item("A - B")], []).doubtful == ()
    assert match([], [item("A - B")]).doubtful == ()
    assert match([Item()], [Item()]).sure == ()
    assert match([item("A - B")], [Item()]).doubtful == ()


ITEMS = st.lists(
    st.builds(
        Item,
        st.sampled_from(["A", "B", "A; B", ""]),
        st.sampled_from(["Opera", "Operas", "Opera (Live)", "Opera 2", "Lila", ""]),
        st.sampled_from(["", "", ISRC, ISRC2]),
        st.sampled_from([math.nan, 100.0, 102.0, 200.0]),
    ),
    max_size=8,
)


@given(ITEMS, ITEMS, st.randoms(use_true_random=False))
def test_one_to_one_and_the_order_does_not_matter(rows, files, rng):
    decision = match(rows, files)
    taken_rows = [m.row for m in decision.sure]
    taken_files = [m.file for m in decision.sure]
    assert len(set(taken_rows)) == len(taken_rows)
    assert len(set(taken_files)) == len(taken_files)
    assert not {(m.row, m.file) for m in decision.doubtful} & set(
        zip(taken_rows, taken_files, strict=True)
    )
    assert not {m.row for m in decision.doubtful} & set(taken_rows)
    assert not {m.file for m in decision.doubtful} & set(taken_files)
    order = list(range(len(files)))
    rng.shuffle(order)
    again = match(rows, [files[i] for i in order])
    assert {(m.row, order[m.file]) for m in again.sure} == {(m.row, m.file) for m in decision.sure}


def test_every_name_has_candidates():
    rng = random.Random(0)
    words = ["acid", "techno", "nacht", "opera", "strobe", "lila", "cycle", "machine"]
    rows = [" ".join(rng.sample(words, 3)) for _ in range(50)]
    others = [" ".join(rng.sample(words, 3)) for _ in range(40)]
    found = list(nearest(rows, others))
    assert [row for row, _ in found] == sorted(row for row, _ in found)
    assert {row for row, _ in found} == set(range(50))
    assert all(sum(row == at for row, _ in found) <= 8 for at in range(50))
    # Each shares two of three words with its candidates at least, or there are few of them.
    shared_words = [len(set(rows[a].split()) & set(others[b].split())) for a, b in found]
    assert min(shared_words) >= 1


def test_a_misspelt_name_is_a_candidate():
    others = ["klangkuenstler jugend ohne gott", "plvs vltra opera", "", "ya cycle"]
    assert (0, 0) in list(nearest(["klangkunstler jugnd ohn got"], others))
    assert list(nearest(["zzz"], others)) == []
    assert list(nearest([], others)) == []


@pytest.fixture
def benchmark():
    spec = importlib.util.spec_from_file_location(
        "match_benchmark", Path(__file__).parents[3] / "benchmarks" / "match.py"
    )
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    return benchmark


# Coverage takes a third of the time; other tests run the same lines.
@pytest.mark.no_cover
def test_precision_and_recall_on_spoilt_names(shared, benchmark):
    table = from_csv(shared / "tables/techno_vs_edm_features.csv").table[::3]
    for with_length, least in ((True, 0.90), (False, 0.84)):
        rows, files, right, _ = benchmark.build(table, 7, with_length)
        found = sure(rows, files)
        good = sum(found.get(row) == file for row, file in right.items())
        assert good / len(found) >= 0.998
        assert good / len(right) >= least


# Coverage takes a third of the time; other tests run the same lines.
@pytest.mark.no_cover
def test_strangers_of_the_same_length_do_not_match(shared, benchmark):
    table = from_csv(shared / "tables/techno_vs_edm_features.csv").table[::2]
    wrong, asked = benchmark.strangers(table, 11)
    assert wrong == 0
    assert asked <= 0.05 * len(table)
