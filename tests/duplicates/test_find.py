"""Copies are found whatever has happened to them, and tracks that share loops are no copies."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.duplicates import find
from kit.duplicates.candidates import candidates
from kit.duplicates.fingerprint import BANDS_PER_OCTAVE, SAMPLE_RATE, fingerprint
from kit.duplicates.hashes import SPEEDS, triples
from tests.duplicates.music import RATE, drums, faster, piece, print_of, through_mp3

COPIES = {
    "MP3 at 64 kb/s": lambda y: through_mp3(y, 0.6),
    "MP3 at 160 kb/s": lambda y: through_mp3(y, 0.0),
    "6 dB louder": lambda y: np.clip(2 * y, -1, 1),
    "6 dB softer": lambda y: y / 2,
    "without its start": lambda y: y[int(3.7 * RATE) :],
    "without its end": lambda y: y[: -int(5.3 * RATE)],
    "overlap of 10 s": lambda y: y[10 * RATE :],
    "2% faster": lambda y: faster(y, 1.02),
    "1.5% slower": lambda y: faster(y, 0.985),
    "3% slower": lambda y: faster(y, 0.97),
    "all at once": lambda y: through_mp3(faster(y[int(9.7 * RATE) :], 1.02) / 2, 0.6),
}


def pairs(prints, **options):
    return find(len(prints), lambda numbers: [prints[i] for i in numbers], **options)


@pytest.fixture(scope="module")
def collection():
    """Five pieces of 20 s, of which two share their drums."""
    seeds = {0: 0, 1: 1, 2: 2, 3: 3, 4: 3}
    return [piece(seed, drum_seed=drums_of) for seed, drums_of in seeds.items()]


@pytest.fixture(scope="module")
def prints(collection):
    return [print_of(y) for y in collection]


@pytest.mark.parametrize("copy", COPIES)
def test_each_copy_is_found_and_nothing_else(collection, prints, copy):
    copies = [print_of(COPIES[copy](y)) for y in collection[:2]]
    found = pairs([*prints, *copies])
    assert [(one, other) for one, other, _ in found] == [(0, 5), (1, 6)]


def test_a_match_says_how_the_two_fit_together(collection, prints):
    later = print_of(faster(collection[0][int(6 * RATE) :], 1.02))
    (found,) = pairs([prints[0], later])
    _, _, match = found
    assert match.speed == pytest.approx(1.02, abs=0.001)
    assert match.offset_s == pytest.approx(-6 / 1.02, abs=0.03)
    assert match.overlap_s == pytest.approx(14, abs=1)
    (back,) = pairs([later, prints[0]])
    turned = back[2].seen_from_the_second()
    assert turned.speed == pytest.approx(match.speed, abs=0.001)
    assert turned.offset_s == pytest.approx(match.offset_s, abs=0.03)


def test_tracks_that_share_a_loop_are_no_copies(prints):
    assert pairs(prints) == []


def test_the_same_loop_for_a_while_does_not_make_two_tracks_one():
    intro = drums(8, 0)
    one, other = (np.concatenate([intro, piece(seed, 20, 0)]) for seed in (11, 12))
    assert pairs([print_of(one), print_of(other)]) == []


def test_a_recording_of_a_loop_alone_is_found_in_its_copy():
    loop = drums(16, 0)
    assert len(pairs([print_of(loop), print_of(through_mp3(loop, 0.6))])) == 1


def test_another_excerpt_without_overlap_is_no_copy():
    whole = piece(3, 40)
    halves = [whole[: 20 * RATE], whole[20 * RATE :]]
    assert pairs([print_of(y) for y in halves]) == []


@pytest.mark.parametrize("samples", [0, 1023, 8000])
def test_silence_has_no_peaks_and_no_copy(samples):
    silent = fingerprint(np.zeros(samples, np.float32))
    assert silent.peaks.shape == (0, 2)
    assert len(triples(silent.peaks).time) == 0
    assert pairs([silent, silent]) == []


@pytest.mark.parametrize("block", [1, 3, 6])
def test_neither_blocks_nor_order_change_the_pairs(prints, block):
    some = [*prints[:3], *prints[:3]]
    order = np.random.default_rng(block).permutation(6).tolist()
    found = pairs([some[i] for i in order], block=block)
    assert {frozenset((order[a], order[b])) for a, b, _ in found} == {
        frozenset((i, i + 3)) for i in range(3)
    }
    assert all(a < b for a, b, _ in found)


def test_candidates_come_with_the_speed_at_which_most_hashes_are_equal(collection, prints):
    fast = print_of(faster(collection[1], 1.03))
    both = [triples(one.peaks) for one in (prints[1], fast)]
    (found,) = candidates(2, lambda numbers: [both[i] for i in numbers])
    assert (found.first, found.second) == (0, 1)
    assert found.lines[0][0] == 1.03


peaks_of = st.lists(
    st.tuples(st.floats(0, 30, width=32), st.floats(1, 126, width=32)), min_size=3, max_size=60
).map(lambda rows: np.array(sorted(rows), np.float32))


@given(peaks_of, st.sampled_from(SPEEDS))
def test_hashes_at_a_speed_are_those_of_the_peaks_at_that_speed(peaks, speed):
    # Places in the middle of a step, so that rounding decides nothing.
    peaks = np.round(peaks / [0.5, 2.0]) * [0.5, 2.0]
    shift = BANDS_PER_OCTAVE * np.log2(speed)
    played = np.column_stack([peaks[:, 0] / speed, peaks[:, 1] + shift]).astype(np.float32)
    one, other = triples(peaks.astype(np.float32)), triples(played)
    inside = (np.abs(one.delays - 1.5) > 0.1).all(axis=0)
    if inside.all() and len(one.time) == len(other.time):
        steps = (one.delays / speed / 0.05) % 1
        clear = (np.abs(steps - 0.5) > 0.01).all(axis=0)
        band = ((one.band + shift) / 2) % 1
        clear &= np.abs(band - 0.5) > 0.01
        equal = one.hashes(speed) == other.hashes(1.0)
        assert equal[clear].all()


def test_a_tone_makes_peaks_at_its_band():
    time = np.arange(3 * SAMPLE_RATE) / SAMPLE_RATE
    beeps = np.sin(2 * np.pi * 1200 * time) * (time % 0.5 < 0.1)
    peaks = fingerprint(beeps.astype(np.float32)).peaks
    # Two octaves above the lowest band, and a beep every half second.
    assert np.median(peaks[:, 1]) == pytest.approx(72, abs=0.2)
    loud = peaks[np.abs(peaks[:, 1] - 72) < 1, 0]
    assert np.abs((loud - 0.05 + 0.25) % 0.5 - 0.25).max() < 0.05


def test_the_fingerprint_does_not_depend_on_the_level(collection):
    one, other = (print_of(g * collection[0]) for g in (1.0, 0.25))
    np.testing.assert_allclose(one.peaks, other.peaks, atol=0.05)
    # Below, the quieter one meets the level of silence.
    heard = one.levels > 30
    assert np.abs(one.levels.astype(int) - other.levels.astype(int))[heard].max() <= 1
