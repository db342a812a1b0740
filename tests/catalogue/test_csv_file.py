"""CSV files as spreadsheets and other programs write them."""

import re
from pathlib import Path

import pytest

from kit.catalogue import from_csv
from kit.catalogue.csv_file import read_csv, read_rows
from kit.errors import UsageError


@pytest.mark.parametrize(
    "text",
    [
        "path,label\na.wav,x\n",
        "path;label\na.wav;x\n",
        "path\tlabel\na.wav\tx\n",
        "path|label\na.wav|x\n",
        "sep=;\npath;label\na.wav;x\n",
        '"sep=,"\r\npath,label\r\na.wav,x\r\n',
        "Path,Label\na.wav,x",
        " PATH , LABEL \r\na.wav,x\r\n",
        "\n\npath,label\n\na.wav,x\n,\n ,\t\n\n",
        "path,label,,\na.wav,x,,\n,,,\n",
        "path,label\na.wav,x,,,\n",
        "path,label\ra.wav,x\r",
        '"path";"label"\n"a.wav";"x"\n',
        ",path,label\n0,a.wav,x\n",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_one_table_in_many_forms(csv, text, encoding):
    found = read_rows(csv(text.encode(encoding)))
    assert found.table.to_dict("records") == [{"path": "a.wav", "label": "x"}]
    assert (found.bad, found.warnings) == ([], ())


def test_windows_1252_is_read_with_a_warning(csv):
    path = csv("title;label\n\u201eÉté\u201c;x\n".encode("cp1252"))
    found = read_rows(path)
    assert found.table["title"].tolist() == ["\u201eÉté\u201c"]
    assert "read as Windows-1252" in found.warnings[0]
    assert from_csv(path).warnings[0] == found.warnings[0]
    with pytest.raises(UsageError, match="is not UTF-8; save it as UTF-8"):
        read_csv(path)


def test_decimal_commas_where_commas_do_not_separate(csv):
    text = "title;label;tempo;loudness;note\nA;x;128,5;-7,25;1,5\nB;x;1.5;;\n"
    found = from_csv(csv(text))
    assert found.failures == []
    assert found.table["tempo"].tolist() == [128.5, 1.5]
    assert found.table["loudness"][0] == -7.25
    assert found.table["note"][0] == "1,5"


def test_commas_in_cells_do_not_make_them_separators(csv):
    table = read_rows(csv('title;label\n"a, b, c";x\nd, e;y\n')).table
    assert table["title"].tolist() == ["a, b, c", "d, e"]
    table = read_rows(csv('title,label\n"a;b;c",x\n')).table
    assert table["title"].tolist() == ["a;b;c"]


def test_a_quote_that_is_not_closed_costs_one_row(csv):
    rows = "".join(f"a{n}.wav,x\n" for n in range(5))
    found = read_rows(csv(f'path,label\n{rows}"b.wav,x\n{rows}c.wav,"y\n{rows}'))
    assert found.table["path"].tolist() == [f"a{n}.wav" for n in range(5)] * 3
    assert [failure.path for failure in found.bad] == ["edm.csv:7", "edm.csv:13"]


@pytest.mark.parametrize(
    ("header", "columns"),
    [
        (
            "Track URI,Track Name,Artist Name(s),Album Name",
            ["track_id", "title", "artists", "album"],
        ),
        ("Track Duration (ms),ISRC,Genres,x", ["duration_ms", "isrc", "genre", "x"]),
        ("Duration (ms),Key,Tempo,Explicit", ["duration_ms", "Key", "Tempo", "Explicit"]),
        ("Track_ID,TITLE,Release Date,LABEL", ["track_id", "title", "release_date", "label"]),
        ("track_length,Track Length,Artist,artists", None),
    ],
)
def test_names_of_columns(csv, header, columns):
    columns = columns or ["duration_ms", "Track Length", "Artist", "artists"]
    found = read_rows(csv(f"{header}\nspotify:track:abc,b,c,d\n"))
    assert list(found.table) == columns
    if columns[0] == "track_id":
        assert found.table["track_id"].tolist() == ["abc"]


@pytest.mark.parametrize(
    ("name", "meant"),
    [("lable", "label"), ("Labels", "label"), ("filename", "path"), ("artsts", "artists")]
    + [("name", "title"), ("pth", "path"), ("Class", "label")],
)
def test_a_column_that_is_nearly_known_is_said(csv, name, meant):
    (warning,) = read_rows(csv(f"track_id,{name}\na,b\n")).warnings
    assert warning == f"the column {name!r} is not used; if it is the {meant}, rename it to {meant}"
    known = read_rows(csv(f"track_id,{name},{meant}\na,b,c\n"))
    assert known.warnings == ()


@pytest.mark.parametrize("name", ["speaker", "index", "split", "tempo", "note", "Key", "recording"])
def test_other_columns_are_kept_without_a_word(csv, name):
    found = read_rows(csv(f"track_id,label,{name}\na,b,c\n"))
    assert (list(found.table), found.warnings) == (["track_id", "label", name], ())


def test_names_make_ids_that_do_not_depend_on_the_order(csv):
    rows = ["A,One,x", "A,Two,x", "B,One,y", " a ,ONE,x", ",,y", "C,,y"]
    scan = from_csv(csv("Artist,Title,Label\n" + "\n".join(rows)))
    ids = scan.table.set_index(["artists", "title"])["track_id"].to_dict()
    assert len(set(ids.values())) == len(ids) == 3
    assert [f.reason for f in scan.failures] == ["duplicate_id", "bad_row", "bad_row"]
    lines = [re.findall(r"line (\d)", failure.message) for failure in scan.failures]
    assert lines == [["5"], ["6"], ["7"]]
    again = from_csv(csv("Artist,Title,Label\n" + "\n".join(rows[2::-1]))).table
    assert again.set_index(["artists", "title"])["track_id"].to_dict() == ids


def test_no_table(tmp_path: Path):
    with pytest.raises(UsageError, match="cannot be read"):
        read_rows(tmp_path)
