"""Attempts, pauses, and the limit on what a server may ask for."""

import pytest

from kit.ingest.retry import AttemptError, Patience, seconds_of, with_retries


class FailedError(AttemptError):
    def __init__(self, *, passing=True, retry_after=""):
        super().__init__("failed", passing=passing, retry_after=retry_after)


def attempts(faults, patience=Patience()):
    """The pauses between attempts, and how they ended."""
    left, paused = list(faults), []

    def attempt():
        if left:
            raise left.pop(0)
        return "there"

    try:
        end = with_retries(attempt, patience, lambda seconds, why: paused.append((seconds, why)))
    except AttemptError as error:
        end = error
    return paused, end


def test_pauses_grow_and_end():
    paused, end = attempts([FailedError() for _ in range(5)], Patience(6, 0.5))
    assert end == "there"
    seconds = [s for s, _ in paused]
    # The first pause is chance alone; the others double, with up to 0.25 s of chance.
    for got, least in zip(seconds[-4:], (1, 2, 4, 8), strict=True):
        assert least <= got <= least + 0.25
    faults = [FailedError() for _ in range(9)]
    assert attempts(faults, Patience(4, 0.0)) == ([], faults[3])


def test_what_does_not_pass_is_not_tried_again():
    fault = FailedError(passing=False)
    assert attempts([fault]) == ([], fault)
    assert attempts([last := FailedError()], Patience(1)) == ([], last)


def test_a_server_is_waited_for_up_to_the_limit():
    patience = Patience(6, 0.0, 120.0)
    paused, end = attempts([FailedError(retry_after="7"), FailedError(retry_after="120")], patience)
    assert (paused, end) == ([(7, "asked to wait"), (120, "asked to wait")], "there")
    long = FailedError(retry_after="121")
    assert attempts([long], patience) == ([], long)
    # urllib3 by itself would cut this at six hours.
    assert FailedError(retry_after="82800").asked_s == 82800


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("12", 12), (" 0 ", 0), ("9" * 40, 1e9), ("9" * 9000, 0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0), ("Wed, 21 Oct 2099 07:28:00 GMT", 1e9),
        *((text, 0) for text in ("", "soon", "-1", "1e9", "²", "Wed, 99 Oct 2015")),
    ],
)  # fmt: skip
def test_the_header(header, seconds):
    assert seconds_of(header) == seconds
