"""Any answer is followed, or said in a sentence."""

import os

from hypothesis import given, settings
from hypothesis import strategies as st

from kit.ingest.review import Question, accepted, restored
from kit.ingest.spreadsheet import may_be

IDS = ("0003", "003", "12e45", "1-2", "MAR1", "0a1B", "1234567890123456")
ROWS = [{"track_id": track, "artists": "A", "title": track} for track in IDS]
FILES = ("/m/a.flac", "/m/é.flac", "/m/b.flac")
CELLS = st.one_of(
    st.sampled_from((*IDS, "3", "1.2E+46", "02. Jan", "01-Mar", "#NAME?", "")), st.text(max_size=6)
)
QUESTIONS = st.builds(
    lambda track, file, word: Question(track, "", "", "", file, *[""] * 5, accept=word),
    CELLS,
    st.one_of(st.sampled_from((*FILES, "/m/?.flac", "/m/É.flac")), st.text(max_size=6)),
    st.one_of(st.sampled_from(("yes", "no", "TRUE", "Nein", "", " ", "?")), st.text(max_size=4)),
)


@settings(max_examples=50, deadline=None)
@given(st.lists(QUESTIONS, max_size=5))
def test_no_answer_is_lost(asked):
    failures = []
    questions = restored(asked, ROWS, FILES, failures)
    given_files = accepted(ROWS, questions, {}, failures)
    said = {(failure.track_id, failure.message) for failure in failures}
    assert all(message for _, message in said)
    for question in asked:
        if not question.accept.strip():
            continue
        kept = [q for q in questions if q.accept == question.accept]
        if question.answer is None:
            assert any(repr(question.accept) in message for _, message in said)
        elif question.track_id in IDS:
            assert any(q.track_id == question.track_id for q in kept)
        else:
            known = [q for q in kept if q.track_id in IDS and may_be(q.track_id, question.track_id)]
            assert known or any(track == question.track_id for track, _ in said)
    for track, file in given_files.items():
        yes = [q for q in questions if q.answer and os.path.normpath(q.file) == file]
        assert track in {q.track_id for q in yes}
    assert len(set(given_files.values())) == len(given_files)


@given(st.sampled_from(IDS), st.text(max_size=8))
def test_any_cell_has_an_answer(track, cell):
    assert may_be(track, cell) in (True, False)
    assert may_be(track, track)
    assert may_be(track, f" {track.lower()} ")
