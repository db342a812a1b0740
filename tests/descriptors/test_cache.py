"""Writing and reading `descriptors.csv` loses nothing."""

import dataclasses

import pytest

from kit.descriptors import SOURCE, Descriptors
from kit.descriptors.cache import NAME, Record, read_records, write_records
from kit.errors import KitError

OURS = Descriptors(0.5, 0.6, 9, -12.3, 0, 0.1, 0.2, 0.9, 0.3, 0.4, 128.0, 30000)


def test_records_come_back(tmp_path):
    odd = dataclasses.replace(OURS, tempo=127.37, energy=0.0001, loudness=-70.0)
    records = [
        Record("b" * 64, SOURCE, "clip", odd),
        Record("a" * 64, SOURCE, "whole", None, "silent", 'b/"x", y.mp3', "it is\nsilent"),
    ]
    write_records(tmp_path, records)
    again = read_records(tmp_path)
    assert again == [dataclasses.replace(records[1], message="it is silent"), records[0]]
    before = (tmp_path / NAME).read_bytes()
    write_records(tmp_path, again)
    assert (tmp_path / NAME).read_bytes() == before
    assert read_records(tmp_path / "none") == []


@pytest.mark.parametrize("damage", ["", "a,b\n1,2\n", "header only cut", "clip"])
def test_a_damaged_file_is_said_to_be_one(tmp_path, damage):
    write_records(tmp_path, [Record("a" * 64, SOURCE, "clip", OURS)])
    text = (tmp_path / NAME).read_text()
    if damage == "header only cut":
        damage = text[:-9]
    if damage == "clip":
        damage = text.replace(",clip,", ",some,")
    (tmp_path / NAME).write_text(damage)
    with pytest.raises(KitError, match=r"cannot read .*descriptors\.csv .*; delete it"):
        read_records(tmp_path)
