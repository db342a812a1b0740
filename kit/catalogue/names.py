"""Normalise names of artists and titles for comparison.

"Opera - Original Mix" and "Ópera (feat. X)" are the same track, "Opera - Somebody Remix" is
another one. So versions are separated from titles, and insignificant words are removed.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

_LETTERS = str.maketrans({"ø": "o", "đ": "d", "ł": "l", "æ": "ae", "œ": "oe", "ı": "i", "þ": "th"})
# Only the block of accents: combining marks of Japanese or Hindi distinguish letters.
_ACCENTS = re.compile("[\u0300-\u036f]")
_APOSTROPHES = re.compile("['’‘`´]")

_GUEST = r"(?:feat|ft|featuring)\b\.?"
_GUEST_IN_BRACKETS = re.compile(rf"\s*[(\[]\s*(?:{_GUEST}|with\s)[^)\]]*[)\]]", re.IGNORECASE)
_GUEST_TO_THE_END = re.compile(rf"\s{_GUEST}\s.*?(?=\s[-–—]\s|[(\[]|$)", re.IGNORECASE)
_BRACKETS = re.compile(r"\(([^()]*)\)|\[([^\[\]]*)\]")
_DASH = re.compile(r"\s+[-–—]\s+")
_BETWEEN_ARTISTS = re.compile(r"[;,/&+]|\s(?:and|x|vs\.?|versus)\s", re.IGNORECASE)

_VERSION_WORDS = {
    *("remix", "rmx", "mix", "mixed", "edit", "version", "live", "dub", "rework", "reworked"),
    *("bootleg", "vip", "instrumental", "acoustic", "demo", "acapella", "flip", "refix", "refit"),
    *("cover", "extended", "mashup", "unplugged", "session", "reprise", "remake", "remaster"),
    *("remastered", "original"),
}
# Versions that a name without a version means.
_NO_VERSION = re.compile(
    r"(?:original|album|main)(?: (?:mix|version|edit))?|(?:\d{4} )?(?:digital )?remaster(?:ed)?"
    r"(?: \d{4})?(?: version)?"
)
_AT_THE_END = re.compile(
    r"(?<=\S)\s+((?:original|extended|radio|club|vip|dub|instrumental|album)\s+"
    r"(?:mix|edit|version|remix|dub))\s*$",
    re.IGNORECASE,
)
_AND = frozenset(("and", "n", "und", "et", "y"))
_ROMAN = {"ii": "2", "iii": "3", "iv": "4", "vi": "6", "vii": "7", "viii": "8", "ix": "9"}


@dataclass(frozen=True)
class Name:
    """The components of a track's name.

    Attributes:
        artists: `plain` names; the first is the main artist.
        title: `plain`, without versions and featured artists.
        version: `plain`, such as "joris voorn remix"; "" for the original.
        numbers: sorted numbers in title and version; part 1 is not part 2.
    """

    artists: tuple[str, ...]
    title: str
    version: str
    numbers: tuple[str, ...]

    @property
    def key(self) -> tuple[tuple[str, ...], str, str]:
        """Key that is equal for equivalent names."""
        return tuple(sorted(self.artists)), self.title, self.version


def plain(text: str) -> str:
    """Return lower case without accents and punctuation, one space between words.

    Text that is only punctuation, such as the band !!!, keeps it.
    """
    folded = _APOSTROPHES.sub("", unaccented(text).casefold().translate(_LETTERS))
    words = "".join(c if c.isalnum() or unicodedata.category(c)[0] == "M" else " " for c in folded)
    return " ".join(words.split()) or " ".join(_decomposed(text).casefold().split())


def look_alike(names: Iterable[str]) -> list[list[str]]:
    """Return sets of names that differ only in punctuation, spaces, "and" or abbreviation.

    An example is D&B, DnB, d'n'b, Drum'n'Bass and drum and bass.
    """
    groups: list[_Alike] = []
    names = list(names)
    for name in names:
        # "Drum'n'Bass" becomes three words, and "Hip-Hop" equals "HipHop".
        words = plain(_APOSTROPHES.sub(" ", re.sub("[&+]", " n ", name))).split()
        words = ["n" if word in _AND else word for word in words]
        both = words, [word for word in words if word != "n"]
        spelt = {"".join(words) for words in both}
        short = {"".join(word[0] for word in words) for words in both if len(both[1]) > 1}
        found = _Alike([name], spelt, short)
        for other in [group for group in groups if group.spelt & spelt]:
            groups.remove(other)
            found = found.with_(other)
        groups.append(found)
    for group in [group for group in groups if len(min(group.spelt, key=len)) > 1]:
        matches = [len(group.spelt & other.short) * (other is not group) for other in groups]
        # "DT" may be Deep Techno or Dub Techno: an ambiguous abbreviation matches neither.
        if (most := max(matches)) and matches.count(most) == 1:
            other = groups[matches.index(most)]
            groups = [one for one in groups if one not in (group, other)] + [other.with_(group)]
    place = {name: at for at, name in enumerate(names)}
    found = [sorted(group.names, key=place.__getitem__) for group in groups]
    return sorted((one for one in found if len(one) > 1), key=lambda one: place[one[0]])


@dataclass(frozen=True)
class _Alike:
    """Equivalent names: their letters without spaces, and their initials."""

    names: list[str]
    spelt: set[str]
    short: set[str]

    def with_(self, other: "_Alike") -> "_Alike":
        return _Alike(self.names + other.names, self.spelt | other.spelt, self.short | other.short)


def unaccented(text: str) -> str:
    """Return compatible letters without accents, otherwise unchanged."""
    return _ACCENTS.sub("", _decomposed(text))


def _decomposed(text: str) -> str:
    return unicodedata.normalize("NFKD", text)


def parse(artists: str, title: str) -> Name:
    """Split a name into its components."""
    rest, versions = _versions(_without_guests(unaccented(title)))
    rest = rest or plain(title)
    numbers = re.findall(r"\d+", " ".join(_ROMAN.get(w, w) for w in f"{rest} {versions}".split()))
    return Name(
        artists=_artists(unaccented(artists)),
        title=rest,
        version=versions,
        numbers=tuple(sorted(n.lstrip("0") or "0" for n in numbers)),
    )


def _artists(text: str) -> tuple[str, ...]:
    # Featured artists count as artists: other tables list them after a semicolon.
    text = re.sub(rf"[(\[]?\s*\b{_GUEST}\s|[)\]]", ";", text, flags=re.IGNORECASE)
    names = (plain(part) for part in _BETWEEN_ARTISTS.split(text))
    return tuple(dict.fromkeys(name for name in names if name))


def _without_guests(title: str) -> str:
    title = _GUEST_IN_BRACKETS.sub("", title)
    return _GUEST_TO_THE_END.sub("", title)


def _versions(title: str) -> tuple[str, str]:
    """Return the title without versions, and the versions, both `plain`."""
    versions: list[str] = []

    def take(match: re.Match[str]) -> str:
        inner = match[1] or match[2] or ""
        if not _is_version(inner):
            return f" {inner} "
        versions.append(inner)
        return " "

    bare = _BRACKETS.sub(take, title)
    head, *tail = _DASH.split(bare)
    for part in tail:
        if _is_version(part):
            versions.append(part)
        else:
            head += f" {part}"
    if match := _AT_THE_END.search(head):
        versions.append(match[1])
        head = head[: match.start()]
    kept = (_version(part) for part in versions)
    return plain(head) or plain(title), " ".join(part for part in kept if part)


def _is_version(text: str) -> bool:
    return not _VERSION_WORDS.isdisjoint(plain(text).split())


def _version(text: str) -> str:
    words = ["remix" if word == "rmx" else word for word in plain(text).split()]
    if _NO_VERSION.fullmatch(" ".join(words)):
        return ""
    # "Extended" equals "Extended Mix"; the remixer identifies a remix.
    return " ".join(w for w in words if w not in ("mix", "version", "the")) or " ".join(words)
