"""Fingerprints of a catalogue: stored once, gone on with, and copies by name."""

import shutil

import numpy as np
import pandas as pd
import pytest
import soundfile

from kit.catalogue import from_csv, from_folder, load, save
from kit.config import ExtractConfig
from kit.duplicates.stored import fingerprints
from kit.errors import KitError
from tests.duplicates.music import RATE, faster, piece, through_mp3

THREADS = ExtractConfig(workers=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three pieces of 12 s, a copy of one's bytes, a faster excerpt of it, and a broken file."""
    folder = tmp_path_factory.mktemp("music")
    for label in ("house", "techno"):
        (folder / label).mkdir()
    for number in range(3):
        soundfile.write(folder / "house" / f"{number}.flac", piece(number, 12), RATE)
    shutil.copy(folder / "house" / "0.flac", folder / "techno" / "same bytes.flac")
    excerpt = through_mp3(faster(piece(0, 12)[2 * RATE :], 1.02), 0.6)
    soundfile.write(folder / "techno" / "excerpt.flac", excerpt, RATE)
    return folder


@pytest.fixture
def catalogue(folder, tmp_path):
    save(from_folder(folder), tmp_path / "catalogue")
    return load(tmp_path / "catalogue")


def test_copies_are_named_and_nothing_is_computed_twice(catalogue):
    seen = []
    first = fingerprints(catalogue, THREADS, progress=lambda *done: seen.append(done))
    assert (first.computed, len(first.sources), first.failures) == (4, 5, [])
    assert seen[-1] == (4, 4)
    paths = catalogue.table.set_index("track_id")["path"]
    found = {(paths[a], paths[b]): match for a, b, match in first.duplicates()}
    # Equal bytes are another kind of copy, and both of them have the excerpt as theirs.
    assert {frozenset(pair) for pair in found} == {
        frozenset((name, "techno/excerpt.flac"))
        for name in ("house/0.flac", "techno/same bytes.flac")
    }
    place = list(paths).index
    for (one, other), match in found.items():
        assert place(one) < place(other)
        of_excerpt = match if other == "techno/excerpt.flac" else match.seen_from_the_second()
        assert of_excerpt.speed == pytest.approx(1.02, abs=0.001)
        assert of_excerpt.offset_s == pytest.approx(-2 / 1.02, abs=0.05)
    again = fingerprints(catalogue, THREADS)
    assert again.computed == 0
    assert again.duplicates() == first.duplicates()


def test_a_stopped_run_is_gone_on_with(catalogue):
    done = []
    half = fingerprints(
        catalogue, THREADS, progress=lambda n, _: done.append(n), stop=lambda: bool(done[1:])
    )
    assert half.stopped
    assert 0 < half.computed < 4
    rest = fingerprints(catalogue, THREADS)
    assert half.computed + rest.computed == 4
    assert len(rest.duplicates()) == 2


def test_a_damaged_part_is_named(catalogue):
    found = fingerprints(catalogue, THREADS)
    (part,) = {part for part, _ in found.rows.values()}
    part.write_bytes(part.read_bytes()[:1000])
    with pytest.raises(KitError, match=r"000000\.npz is damaged"):
        found.duplicates()


def test_a_file_that_cannot_be_used_is_listed(tmp_path):
    (tmp_path / "x").mkdir()
    for name, seconds in (("changed", 1), ("silent", 2)):
        soundfile.write(tmp_path / "x" / f"{name}.wav", np.zeros(seconds * RATE), RATE)
    save(from_folder(tmp_path), tmp_path / "catalogue")
    soundfile.write(tmp_path / "x" / "changed.wav", np.ones(RATE), RATE)
    found = fingerprints(load(tmp_path / "catalogue"), THREADS)
    assert [failure.reason for failure in found.failures] == ["changed_file"]
    assert len(found.sources) == len(found.audio()) == 1
    assert found.duplicates() == []


def test_real_collections_have_the_copies_that_their_waveforms_prove(shared, tmp_path):
    """ESC-10 has two pairs of clips of other sources that are one recording.

    Their waveforms say so by themselves: windows of 0.25 s correlate by more than 0.95.
    """
    table = pd.read_csv(shared / "esc10" / "labels.csv")
    table = table[table["label"].isin(["baby_cry", "fire_crackling"])]
    table.to_csv(tmp_path / "two labels.csv", index=False)
    scanned = from_csv(tmp_path / "two labels.csv", audio_root=shared / "esc10")
    save(scanned, tmp_path / "catalogue")
    catalogue = load(tmp_path / "catalogue")
    paths = catalogue.table.set_index("track_id")["path"]
    pairs = {(paths[a], paths[b]) for a, b, _ in fingerprints(catalogue).duplicates()}
    assert {frozenset(pair) for pair in pairs} == {
        frozenset(("fire_crackling/2-28314-A.ogg", "fire_crackling/2-30322-A.ogg")),
        frozenset(("baby_cry/3-151080-A.ogg", "baby_cry/5-151085-A.ogg")),
    }
    for one, other in pairs:
        a, b = (soundfile.read(shared / "esc10" / name)[0] for name in (one, other))
        window = 44100 // 4
        best = [most_alike(a[at : at + window], b) for at in range(44100, 4 * 44100, window)]
        assert np.median(best) > 0.95


def most_alike(part, whole):
    """Return the greatest correlation of a window with any place of a recording."""
    from scipy.signal import correlate

    sums = np.cumsum(np.concatenate([[0], whole**2]))
    energy = sums[len(part) :] - sums[: -len(part)]
    products = correlate(whole, part, mode="valid", method="fft")
    return np.max(np.abs(products) / np.sqrt((part**2).sum() * np.maximum(energy, 1e-6)))
