import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.catalogue.names import Name, look_alike, parse, plain


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("XYLØ", "xylo"),
        ("Röyksopp", "royksopp"),
        ("Don’t  Stop!", "dont stop"),
        ("Straße", "strasse"),
        ("ＡＢＣ ①", "abc 1"),
        ("!!!", "!!!"),
        ("が", "か\u3099"),
        ("", ""),
    ],
)
def test_plain(text, same):
    assert plain(text) == same


@given(st.text())
def test_plain_once_is_enough(text):
    assert plain(plain(text)) == plain(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("XYLØ", "America - Young Bombs Remix"), ("Xylo", "America (Young Bombs Remix)")),
        (("A", "Opera - Original Mix"), ("A", "Opera")),
        (("A", "Opera (Original Version)"), ("a", "OPERA")),
        (("A", "Opera - 2011 Remaster"), ("A", "Opera [Remastered 2011]")),
        (("A", "Opera - Extended"), ("A", "Opera (Extended Mix)")),
        (("A", "Opera Radio Edit"), ("A", "Opera - Radio Edit")),
        (("A", "Opera (feat. B & C)"), ("A", "Opera")),
        (("A", "Opera feat. B - D Remix"), ("A", "Opera (D Rmx)")),
        (("A & B", "Opera"), ("B; A", "Opera")),
        (("A feat. B", "Opera"), ("A, B", "Opera")),
        (("A vs. B", "Opera"), ("A x B", "Opera")),
        (("A", "Part II"), ("A", "Part II")),
    ],
)
def test_the_same_track(one, other):
    assert parse(*one).key == parse(*other).key


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("A", "Opera - X Remix"), ("A", "Opera - Y Remix")),
        (("A", "Opera - Extended Mix"), ("A", "Opera")),
        (("A", "Opera (Live)"), ("A", "Opera")),
        (("A", "Opera - Radio Edit"), ("A", "Opera - Extended Mix")),
        (("A", "Opera"), ("B", "Opera")),
        (("A", "Opera 1"), ("A", "Opera 2")),
        (("A", "Opera - Dub"), ("A", "Opera")),
    ],
)
def test_other_tracks(one, other):
    assert parse(*one).key != parse(*other).key


def test_taken_apart():
    name = parse("Ä, B & C feat. D", "Öpera Pt. III (Night) - Somebody’s 05 Remix")
    assert name == Name(
        ("a", "b", "c", "d"), "opera pt iii night", "somebodys 05 remix", ("3", "5")
    )
    assert parse("A", "Live - Forever").title == "live forever"
    assert parse("A", "(Live)").title == "live"
    assert parse("", "") == Name((), "", "", ())


@given(st.text(), st.text())
def test_any_text_has_a_name(artists, title):
    name = parse(artists, title)
    assert bool(name.title) == bool(title.strip())


@pytest.mark.parametrize(
    "same",
    [
        [
            "D&B",
            "Drum & Bass",
            "Drum n Bass",
            "DnB",
            "Drum'n'Bass",
            "drum + bass",
            "D'n'B",
            "Drumnbass",
        ],
        ["D&B", "DnB"],
        ["DnB", "Drum and Bass"],
        ["R&B", "Rhythm and Blues", "RnB", "R'n'B"],
        ["Tech-House", "Tech House", "TechHouse", "Tech_House"],
        ["EDM", "Electronic Dance Music"],
        ["Rock 'n' Roll", "Rock & Roll", "Rock und Roll"],
        ["Nu Disco", "Nu-Disco", "Nü Disco"],
    ],
)
def test_names_that_may_be_one(same):
    others = ["Techno", "Trance", "House", "Tech Trance", "Drum", "Bass", "Blues"]
    assert look_alike([*others, *same]) == [same]
    assert look_alike([*reversed(same), *others]) == [same[::-1]]


@pytest.mark.parametrize(
    "different",
    [
        ["Techno", "Tech House", "House", "Deep House", "Electro", "Electronica"],
        ["DT", "Deep Techno", "Dub Techno"],
        ["UK Garage", "Garage", "U"],
        ["A", "Acid"],
        ["Drum", "Bass"],
        [],
    ],
)
def test_names_that_are_different(different):
    assert look_alike(different) == []


@given(st.lists(st.text(max_size=6), unique=True, max_size=8))
def test_each_name_looks_like_the_others_of_one_group_at_most(names):
    found = [name for group in look_alike(names) for name in group]
    assert len(found) == len(set(found))
    assert set(found) <= set(names)
