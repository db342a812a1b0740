import hashlib
import os
import threading
from collections import Counter

import pytest

from kit.catalogue import from_folder, load, save
from kit.catalogue.scan_warnings import duplicates
from kit.errors import UsageError


def reasons(scan):
    return {failure.path: failure.reason for failure in scan.failures}


def test_a_folder_of_labels(track, tmp_path):
    tags = {"artist": ["Ä & B", "C"], "title": "Tïtle", "album": "Al, bum", "date": "2001-02-03"}
    track("b-edm/1.mp3", 1, **tags)
    track("a-techno/deep/er/2.flac", 2, artist="D", title="  two\n words ")
    track("a-techno/3.wav", 3)
    (tmp_path / "a-techno/notes.txt").write_text("no audio")
    seen = []
    scan = from_folder(tmp_path, progress=lambda done, total: seen.append((done, total)))
    assert scan.failures == []
    assert scan.ignored == 1
    assert duplicates(scan.table) == ()
    (warning,) = scan.warnings
    assert warning.startswith("1 of 3 tracks has no artist")
    assert seen == [(1, 3), (2, 3), (3, 3)]
    rows = scan.table.set_index("path")
    assert list(rows.index) == ["a-techno/3.wav", "a-techno/deep/er/2.flac", "b-edm/1.mp3"]
    assert list(rows["label"]) == ["a-techno", "a-techno", "b-edm"]
    first = rows.loc["b-edm/1.mp3"]
    digest = hashlib.sha256((tmp_path / "b-edm/1.mp3").read_bytes()).hexdigest()
    assert first["source_hash"] == digest
    assert first["track_id"] == digest[:16]
    assert first["artists"] == "Ä & B; C"
    assert (first["title"], first["album"]) == ("Tïtle", "Al, bum")
    assert first["release_date"] == "2001-02-03"
    assert (first["sample_rate"], first["channels"]) == (22050, 2)
    assert first["duration_s"] == pytest.approx(6000 / 22050)
    assert rows.loc["a-techno/deep/er/2.flac", "title"] == "two words"
    assert rows.loc["a-techno/3.wav", "artists"] == ""


@pytest.mark.parametrize("extension", ["mp3", "flac", "ogg"])
def test_tags_of_each_kind(track, tmp_path, extension):
    track(f"a/1.{extension}", 1, artist="X", title="Y", album="Z", date="1999")
    row = from_folder(tmp_path).table.iloc[0]
    assert [row[c] for c in ("artists", "title", "album", "release_date")] == [
        "X",
        "Y",
        "Z",
        "1999",
    ]


@pytest.mark.parametrize("extension", ["wav", "aiff"])
def test_id3_in_wav_and_aiff(track, tmp_path, extension):
    import mutagen
    from mutagen.id3 import TPE1

    file = mutagen.File(track(f"a/1.{extension}"))
    file.add_tags()
    file.tags.add(TPE1(text=["X", "Y"]))
    file.save()
    assert from_folder(tmp_path).table["artists"][0] == "X; Y"


def test_bad_files_are_rows(track, tmp_path):
    good = track("x/good.wav")
    (tmp_path / "x/text.mp3").write_text("hello")
    (tmp_path / "x/empty.mp3").touch()
    (tmp_path / "x/cut.wav").write_bytes(good.read_bytes()[:9000])
    (tmp_path / "x/gone.mp3").symlink_to(tmp_path / "nowhere.mp3")
    (tmp_path / "x/self.mp3").symlink_to(tmp_path / "x/self.mp3")
    track("direct.wav", 5)
    scan = from_folder(tmp_path)
    assert list(scan.table["path"]) == ["x/good.wav"]
    assert reasons(scan) == {
        "x/text.mp3": "not_audio",
        "x/empty.mp3": "empty",
        "x/cut.wav": "truncated",
        "x/gone.mp3": "unreadable",
        "x/self.mp3": "unreadable",
        "direct.wav": "no_label",
    }
    assert {failure.stage for failure in scan.failures} == {"scan"}
    assert all(failure.message.isprintable() for failure in scan.failures)


def test_the_same_bytes_twice(track, tmp_path):
    for name in ("a/1.wav", "a/2.wav", "b/3.wav"):
        track(name, 7)
    track("b/4.wav", 8)
    scan = from_folder(tmp_path)
    ids = dict(zip(scan.table["path"], scan.table["track_id"], strict=True))
    first = ids["a/1.wav"]
    assert ids["a/2.wav"] == f"{first}-2"
    assert ids["b/3.wav"] == f"{first}-3"
    assert scan.table["source_hash"].nunique() == 2
    assert duplicates(scan.table) == ((first, f"{first}-2", f"{first}-3"),)
    assert any("more than one label" in warning for warning in scan.warnings)


def test_links_are_followed_and_loops_end(track, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    track("elsewhere/1.wav", 1)
    root = tmp_path / "music"
    track("music/techno/2.wav", 2)
    track("music/techno/deep/3.wav", 3)
    (root / "techno/up").symlink_to(root)
    (root / "techno/deep/loop").symlink_to(root / "techno")
    (root / "ambient").symlink_to(elsewhere)
    (root / "again").symlink_to(root / "techno/deep")
    (root / "techno/link.wav").symlink_to(elsewhere / "1.wav")
    scan = from_folder(root)
    assert list(scan.table["path"]) == [
        *("ambient/1.wav", "techno/2.wav", "techno/deep/3.wav", "techno/link.wav")
    ]
    assert scan.failures == []


def test_hidden_files_are_left_alone(track, tmp_path):
    track("a/1.wav")
    track("a/._1.wav", 2)
    track(".trash/2.wav", 3)
    scan = from_folder(tmp_path)
    assert len(scan.table) == 1
    assert scan.failures == []
    assert scan.ignored == 0


def test_folders_of_the_system_are_left_alone(track, tmp_path):
    folders = (
        "$RECYCLE.BIN/S-1-5-21",
        "#recycle",
        "a/@eaDir",
        "System Volume Information",
        "a/__MACOSX",
    )
    more = (".Trash-1000", "a/.snapshot", "~snapshot", "a/@Recycle", "RECYCLER", "FOUND.000")
    folders = (*folders, *more, "lost+found", "#snapshot", "a/deep/$Recycle.Bin", "a/.AppleDouble")
    for seed, folder in enumerate(folders):
        track(f"{folder}/x.wav", seed)
    kept = {"a/1.wav", "b/lost+found/1.wav", "recycle/1.wav", "a/#recycle.wav"}
    for seed, name in enumerate(kept):
        track(name, seed + 20)
    scan = from_folder(tmp_path)
    assert set(scan.table["path"]) == kept
    assert (scan.failures, scan.ignored) == ([], 0)
    # One that is named is scanned.
    assert list(from_folder(tmp_path / "#recycle", label="x").table["path"]) == ["x.wav"]


def test_a_folder_without_permission_is_a_row(track, tmp_path, unprivileged):
    track("open/1.wav", 1)
    track("shut/2.wav", 2)
    track("open/3.wav", 3).chmod(0)
    (tmp_path / "shut").chmod(0)
    with unprivileged():
        scan = from_folder(tmp_path)
    (tmp_path / "shut").chmod(0o700)
    assert list(scan.table["path"]) == ["open/1.wav"]
    assert reasons(scan) == {"shut": "unreadable", "open/3.wav": "unreadable"}


def test_names_of_all_kinds(track, tmp_path):
    long = "ł" * 120 + ".wav"
    for seed, name in enumerate([long, "音楽 , \"q\" 'x'.WAV", ";|&$(x).wav"]):
        track(f"Ünï ∂/{name}", seed)
    track("Ünï ∂/plain.wav", 9).rename(tmp_path / "Ünï ∂" / os.fsdecode(b"\xff\xfe.wav"))
    track("Ünï ∂/plain.wav", 10).rename(tmp_path / "Ünï ∂" / "two\nlines.wav")
    track("bad/1.wav", 11)
    (tmp_path / "bad").rename(tmp_path / os.fsdecode(b"b\xe4d"))
    scan = from_folder(tmp_path)
    assert len(scan.table) == 3
    assert set(scan.table["label"]) == {"Ünï ∂"}
    assert sorted(reasons(scan).values()) == ["bad_name"] * 3
    assert "b\\xe4d/1.wav" in reasons(scan)
    assert all("rename it" in failure.message for failure in scan.failures)


def test_names_with_any_sign_are_taken(track, tmp_path):
    # Japanese, no-break and zero-width signs, a soft hyphen, a right-to-left mark, private use.
    names = [
        "h\u3000k/1.wav",
        "h\u3000k/2.wav",
        "edm/a\xa0b.wav",
        "edm/\U0001f468\u200d\U0001f469.wav",
    ]
    names += ["edm/می\u200cخواهم.wav", "edm/a\xadb.wav", "edm/\u200fا.wav", "edm/a\uf022b.wav"]
    for seed, name in enumerate(names):
        track(name, seed)
    scan = from_folder(tmp_path)
    assert scan.failures == []
    assert set(scan.table["path"]) == set(names)
    assert set(scan.table["label"]) == {"edm", "h k"}
    save(scan, tmp_path / "c")
    catalogue = load(tmp_path / "c")
    assert all(catalogue.path_of(row).is_file() for _, row in catalogue.table.iterrows())


def test_every_track_of_a_folder_with_a_bad_name_is_a_failure(track, tmp_path):
    track("edm/1.wav", 1)
    for name in ("bad/1.wav", "bad/deep/2.wav", "bad/cover.jpg.wav"):
        track(name, 2)
    (tmp_path / "bad").rename(tmp_path / os.fsdecode(b"b\xe4d"))
    scan = from_folder(tmp_path)
    assert sorted(reasons(scan).values()) == ["bad_name"] * 3
    assert "the name b\\xe4d has" in scan.failures[0].message


def test_labels_that_look_the_same_are_one(track, tmp_path):
    folders = (
        "Techno",
        "techno",
        "techno ",
        " techno",
        "TECHNO",
        "Cafe\u0301",
        "Caf\xe9",
        "d  &\xa0b",
    )
    for seed, folder in enumerate(folders):
        track(f"{folder}/1.flac", seed, artist=folder)
    track(" /1.flac", 20, artist="X")
    scan = from_folder(tmp_path)
    assert dict(Counter(scan.table["label"])) == {"techno": 5, "Caf\xe9": 2, "d & b": 1}
    assert scan.warnings == (
        "the labels 'techno' (3) and 'TECHNO' (1) and 'Techno' (1) differ only "
        "in case; all these tracks now have 'techno'",
    )
    assert reasons(scan) == {" /1.flac": "no_label"}
    save(scan, tmp_path / "c")
    catalogue = load(tmp_path / "c")
    assert all(catalogue.path_of(row).is_file() for _, row in catalogue.table.iterrows())


def test_signs_that_nobody_sees_make_no_label(track, tmp_path):
    folders = ("Techno", "Techno\u200b", "\ufeffTech\xadno", "Te\u2060chno\u200e")
    for seed, folder in enumerate(folders):
        track(f"{folder}/{seed}.flac", seed, artist=folder)
    scan = from_folder(tmp_path)
    assert list(scan.table["label"]) == ["Techno"] * 4
    assert scan.warnings == ("there is only one label, 'Techno'; training needs two",)


def test_a_semicolon_in_a_folder(track, tmp_path):
    for seed, folder in enumerate((";", "House;vocal", "house", "Vocal;HOUSE")):
        track(f"{folder}/{seed}.flac", seed, artist=folder)
    scan = from_folder(tmp_path)
    # Each of several labels has one spelling, that of most tracks.
    labels = dict(zip(scan.table["path"].str[-6], scan.table["label"], strict=True))
    assert labels["0"] == ";"
    assert [labels[n].casefold() for n in "123"] == ["house; vocal", "house", "vocal; house"]
    assert len({name for n in "123" for name in labels[n].split("; ")}) == 2


def test_labels_that_may_be_one_are_said(track, tmp_path):
    folders = ("Drum & Bass", "Drum'n'Bass", "drum and bass", "Hip-Hop", "HipHop", "Acid", "R&B")
    for seed, folder in enumerate(folders):
        track(f"{folder}/{seed}.flac", seed, artist=folder)
    scan = from_folder(tmp_path)
    assert sorted(scan.table["label"]) == sorted(folders)
    assert scan.warnings == (
        "the labels 'Drum & Bass' and \"Drum'n'Bass\" and 'drum and bass' may be the same; if so, "
        "give them one spelling",
        "the labels 'Hip-Hop' and 'HipHop' may be the same; if so, give them one spelling",
    )


def test_one_label_is_warned_of(track, tmp_path):
    track("a/1.flac", artist="X")
    assert from_folder(tmp_path).warnings == ("there is only one label, 'a'; training needs two",)


def test_order_and_ids_do_not_depend_on_the_machine(track, tmp_path):
    for seed, name in enumerate(["b/2.wav", "a/z.wav", "B/1.wav", "a/é.wav", "a/a/1.wav"]):
        track(name, seed)
    one, two = from_folder(tmp_path), from_folder(str(tmp_path))
    assert one.table.equals(two.table)
    assert list(one.table["path"]) == sorted(one.table["path"], key=os.fsencode)


def test_nothing_to_scan(track, tmp_path):
    with pytest.raises(UsageError, match="is not a folder"):
        from_folder(tmp_path / "none")
    with pytest.raises(UsageError, match="no audio in the subfolders"):
        from_folder(tmp_path)
    (tmp_path / "a").mkdir()
    (tmp_path / "a/x.txt").touch()
    with pytest.raises(UsageError, match=r"\(1 other files, 0 that cannot"):
        from_folder(tmp_path)
    with pytest.raises(UsageError, match="put it into FOLDER/LABEL/"):
        from_folder(tmp_path)
    (tmp_path / "a/x.mp3").write_text("text")
    (tmp_path / "a/y.mp3").touch()
    with pytest.raises(UsageError, match=r"none of the 2 audio files .*1 not_audio, 1 empty"):
        from_folder(tmp_path)


@pytest.mark.parametrize(
    ("name", "count", "said"),
    [
        ("electronic", 2, "its 2 audio files lie directly in it; add --label electronic, or"),
        ("drum & bass", 1, "its 1 audio file lies directly in it; add --label 'drum & bass'"),
    ],
)
def test_the_folder_of_one_label(track, tmp_path, name, count, said):
    for seed in range(count):
        track(f"{name}/{seed}.wav", seed)
    with pytest.raises(UsageError, match=said) as caught:
        from_folder(tmp_path / name)
    assert str(caught.value).endswith("or scan its parent folder")
    assert len(from_folder(tmp_path / name, label=name).table) == count
    assert len(from_folder(tmp_path).table) == count


def test_an_interrupted_scan_leaves_no_threads(track, tmp_path):
    for seed in range(6):
        track(f"a/{seed}.wav", seed)

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        from_folder(tmp_path, progress=stop)
    assert not [t for t in threading.enumerate() if "ThreadPoolExecutor" in t.name]


def test_real_music(shared):
    scan = from_folder(shared / "music")
    assert len(scan.table) == 105
    assert set(scan.table["label"]) == {"ambient", "orchestral", "electronic"}
    assert scan.failures == []


def test_odd_files(shared):
    scan = from_folder(shared / "odd")
    assert len(scan.table) + len(scan.failures) == 99
    assert len(scan.table) >= 61
