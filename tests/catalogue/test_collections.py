"""The situations with real collections that have gone wrong, each with its tests.

Run them all: python tests/catalogue/test_collections.py | xargs python -m pytest
"""

import ast
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kit.catalogue import from_folder, load
from kit.catalogue.edits import SCANNED, save_with_edits

TESTS = Path(__file__).parents[1]

# Number, situation, room and tests. Those of other rooms are written beside their code.
ROWS = (
    (1, "genre tags of all kinds", "catalogue", "test_id3 test_numbers_of_genres_in_any_format"),
    (
        2,
        "genres of Beatport",
        "catalogue",
        "test_first_genre test_first_genre_of_shops_and_players",
    ),
    (3, "labels in another spelling", "catalogue", "test_labels_that_look_the_same_are_one"),
    (3, "D&B and Drum & Bass", "catalogue", "test_names_that_may_be_one"),
    (4, "placeholders", "catalogue", "test_a_placeholder_is_no_label_and_said"),
    (4, "several genres in one tag", "catalogue", "test_tags_of_several_genres"),
    (5, "names with any sign", "catalogue", "test_names_with_any_sign_are_taken"),
    (5, "a bad folder", "catalogue", "test_every_track_of_a_folder_with_a_bad_name_is_a_failure"),
    (7, "folders in another spelling", "catalogue", "test_labels_that_look_the_same_are_one"),
    (8, "bins and snapshots", "catalogue", "test_folders_of_the_system_are_left_alone"),
    (
        9,
        "hidden files, links",
        "catalogue",
        "test_hidden_files_are_left_alone test_bad_files_are_rows",
    ),
    (10, "percent-encoded M3U", "catalogue", "test_lines_as_players_write_them"),
    (11, "#1 in M3U", "catalogue", "test_comments_and_directives_are_no_entries"),
    (13, "M3U in another case", "catalogue", "test_lines_as_players_write_them"),
    (14, "M3U in any encoding", "catalogue", "test_m3u_encodings test_paths_from_another_system"),
    (15, "PLS and XSPF", "catalogue", "test_pls test_xspf"),
    (16, "files that are no playlist", "catalogue", "test_other_kinds_of_files"),
    (17, "Rekordbox", "catalogue", "test_rekordbox test_a_collection"),
    (18, "playlists with =", "catalogue", "test_names_of_playlists"),
    (19, "playlists of one name", "catalogue", "test_a_name_that_may_be_two_playlists"),
    (20, "absolute paths", "catalogue", "test_paths_as_other_programs_write_them"),
    (21, "paths in another Unicode form", "catalogue", "test_paths_as_other_programs_write_them"),
    (22, "labels of a table", "catalogue", "test_labels_of_a_table_that_look_the_same_are_one"),
    (23, "semicolons and tabs", "catalogue", "test_one_table_in_many_forms test_names_of_columns"),
    (24, "other encodings of a table", "catalogue", "test_windows_1252_is_read_with_a_warning"),
    (25, "one bad row", "catalogue", "test_a_bad_row_costs_that_row_only"),
    (26, "values against a rule", "catalogue", "test_errors_have_line_column_value_and_rule"),
    (
        27,
        "a table without ids",
        "catalogue",
        "test_a_row_without_an_id_gets_one_of_its_file_or_names",
    ),
    (28, "artist, and nearly known columns", "catalogue", "test_other_names_of_the_column_artists"),
    (28, "a column nearly known", "catalogue", "test_a_column_that_is_nearly_known_is_said"),
    (29, "a file twice", "catalogue", "test_a_file_twice_in_a_table"),
    (30, "paths of other systems", "catalogue", "test_paths_as_other_programs_write_them"),
    (
        31,
        "ids a spreadsheet changed",
        "ingest",
        "test_an_answer_that_fits_no_track_or_several_is_said",
    ),
    (
        31,
        "the same, followed",
        "ingest",
        "test_an_answer_is_followed_where_a_spreadsheet_changed_its_id",
    ),
    (32, "tracks.csv with semicolons", "catalogue", "test_one_table_in_many_forms"),
    (33, "a scan over corrections", "catalogue", "test_all_that_a_person_changes_survives"),
    (33, "a scan over matches", "catalogue", "test_files_of_a_match_are_not_thrown_away"),
    (34, "a tag behind FLAC", "audio", "test_a_tag_behind_the_last_frame_does_not_count"),
    (35, "titles of ffmpeg's words", "audio", "test_tags_do_not_count"),
    (36, "comments of ffmpeg's words", "audio", "test_tags_do_not_count"),
    (38, "joined MP3", "audio", "test_the_frames_are_those_of_one_header_after_another"),
    (40, "lengths without an index", "audio", "test_mp3_without_a_length_is_counted"),
    (41, "a WAV of 0 bytes", "audio", "test_no_samples_is_empty"),
    (42, "formats", "audio", "test_every_container_is_decoded test_odd_files_against_ffmpeg"),
    (
        43,
        "tags in WAV, APE",
        "catalogue",
        "test_riff_info test_an_ape_tag_fills_in_what_an_id3_tag_lacks",
    ),
    (44, "several artists in one name", "catalogue", "test_the_main_artist_ties_tracks"),
    (44, "artists on one side", "catalogue", "test_no_main_artist_lies_on_both_sides"),
    (
        45,
        "unknown artists",
        "catalogue",
        "test_a_scan_says_how_many_artists_are_unknown_and_what_helps",
    ),
    (47, "renamed files", "catalogue", "test_what_nobody_changed_follows_the_files"),
    (48, "moved and deleted files", "catalogue", "test_what_nobody_changed_follows_the_files"),
    (49, "new tags without a scan", "evaluation", "test_evaluation_only_reads_the_catalogue"),
    (50, "new tags, scanned", "catalogue", "test_a_track_keeps_its_id_where_only_its_tags_are_new"),
    (50, "new tags, evaluated", "evaluation", "test_files_with_new_tags"),
    (
        50,
        "never --part all",
        "evaluation",
        "test_the_own_collection_under_new_tags_is_no_other_collection",
    ),
    (
        51,
        "edits during kit describe",
        "descriptors",
        "test_what_another_command_changes_meanwhile_stays",
    ),
    (52, "killed at any instant", "features", "test_interrupted_and_resumed_gives_the_same_bytes"),
    (53, "two scans at once", "catalogue", "test_of_two_scans_at_once_one_is_there_whole"),
    (54, "Spotify's rows", "ingest", "test_every_kind_of_row_is_counted"),
    (55, "a track in two playlists", "catalogue", "test_a_track_under_two_labels"),
    (56, "short clips", "features", "test_the_flags_do_what_the_sentence_says"),
    (57, "silence", "features", "test_sound_that_is_not_there_is_left_out_with_the_reason"),
)


def found(room: str, name: str) -> list[str]:
    """Return the places of a test in a room."""
    return [
        f"{path.relative_to(TESTS.parent)}::{name}"
        for path in sorted((TESTS / room).rglob("test_*.py"))
        if any(
            isinstance(node, ast.FunctionDef) and node.name == name
            for node in ast.parse(path.read_text(encoding="utf-8")).body
        )
    ]


@pytest.mark.parametrize(("number", "room", "tests"), [(row[0], *row[2:]) for row in ROWS])
def test_each_situation_has_its_tests(number, room, tests):
    for name in tests.split():
        assert found(room, name), f"row {number}: there is no {name} in tests/{room}"


def test_of_two_scans_at_once_one_is_there_whole(track, tmp_path):
    for seed in range(6):
        track(f"{'one' if seed < 3 else 'two'}/x/{seed}.flac", seed)
    scans = [from_folder(tmp_path / name) for name in ("one", "two")]
    expected = [set(scan.table["track_id"]) for scan in scans]
    for _ in range(3):
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda scan: save_with_edits(scan, tmp_path / "c"), scans))
        catalogue = load(tmp_path / "c")
        assert set(catalogue.table["track_id"]) in expected
        assert all(catalogue.path_of(row).is_file() for _, row in catalogue.table.iterrows())
        assert (tmp_path / "c" / SCANNED).read_bytes() == (tmp_path / "c/tracks.csv").read_bytes()


if __name__ == "__main__":
    places = {
        place for _, _, room, tests in ROWS for t in tests.split() for place in found(room, t)
    }
    print(*sorted(places), sep="\n")
