"""Recognise a track id that a spreadsheet has changed: `000003` saved as `3`, `1-2` as `02-Jan`."""

import re
from collections import Counter
from decimal import ROUND_DOWN, ROUND_HALF_UP, Context, Decimal

from kit.catalogue.names import plain

_NUMBER = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]+)?(?:e[+-]?[0-9]{1,4})?", re.IGNORECASE)
# Significant digits of the formats "0.00E+00" and "General", and of all numbers.
_DIGITS = (3, 6, 15)
_LARGEST = 308  # exponent; a larger number stays text
# The first letters of the months in English, German, French, Spanish, Italian and Dutch.
_MONTHS = (
    *(("jan", "ene", "gen"), ("feb", "fev"), ("mar", "maa", "mrt"), ("apr", "avr", "abr")),
    *(("may", "mai", "mei", "mag"), ("jun", "juin", "giu"), ("jul", "juil", "lug")),
    *(("aug", "aou", "ago"), ("sep", "set"), ("oct", "okt", "ott"), ("nov",)),
    ("dec", "dez", "dic"),
)
_ERROR = re.compile(r"#{2,}|#[A-Z/0]+[?!]?|Err:[0-9]+", re.IGNORECASE)


def is_unreadable(cell: str) -> bool:
    """Return whether a spreadsheet has replaced a cell by an error, such as `#NAME?`."""
    return _ERROR.fullmatch(cell.strip()) is not None


def may_be(track_id: str, cell: str) -> bool:
    """Return whether a spreadsheet may show or save a track id as this cell.

    It drops leading zeros, rounds to 15 digits, writes long numbers as `1.23457E+15`, and reads
    `1-2` and `MAR1` as dates and `true` as a Boolean.
    """
    cell = cell.strip()
    if quoted := re.fullmatch(r"'(.*)|=?\"(.*)\"", cell):
        cell = quoted[1] or quoted[2] or ""
    if cell.casefold() == track_id.casefold():
        return True
    number, shown = _number(track_id), _number(cell)
    if number is not None and shown is not None:
        return any(
            Context(prec=digits, rounding=rounding).plus(number) == shown
            for digits in _DIGITS
            for rounding in (ROUND_HALF_UP, ROUND_DOWN)
        )
    date, day = _date(track_id), _date(cell)
    # The spreadsheet adds the year, or the first day of a month.
    return bool(date and day) and date <= day and day.total() <= date.total() + 1


def _number(text: str) -> Decimal | None:
    if not _NUMBER.fullmatch(text):
        return None
    number = Decimal(text.replace(",", "."))
    return number if abs(number.adjusted()) <= _LARGEST else None


def _date(text: str) -> Counter[int]:
    """Return day, month and year modulo 100, unordered; empty if the text is not a date."""
    found: Counter[int] = Counter()
    for word in re.findall(r"[0-9]+|[^\W\d_]+", text):
        months = [at for at, names in enumerate(_MONTHS, 1) if plain(word).startswith(names)]
        if word.isdecimal() and len(word) <= 4:
            found[int(word) % 100] += 1
        elif months:
            found[months[0]] += 1
        else:
            return Counter()
    return found if 2 <= found.total() <= 3 else Counter()
