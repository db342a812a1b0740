"""How often `kit ingest match` is right, on names that are spoilt on purpose, and how fast it is.

    python benchmarks/match.py ../shared/data/tables/techno_vs_edm_features.csv

Rows are the tracks of the table. Seven in ten have a file, whose name is spoilt in one of the ways
below; three in ten have none. Beside them lie traps, which are the right file of no row: another
remix, a live version, another part, the same title by another artist, another title by the same
artist, for rows with a file and for rows without. The table has no lengths: each track draws one,
its file differs by up to 2 s, and one trap in four has the length of its row as well.

The thresholds in kit/ingest/match.py were set on draw 0 (`--tune`); what is reported are others.
"""

import argparse
import math
import random
import resource
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from kit.catalogue import from_csv
from kit.ingest.match import Item, match

LETTERS = "abcdefghijklmnopqrstuvwxyz"
NAMES = ["Mara Holt", "Die Nacht", "Oskar B", "K-Tronik", "Lena Vey", "Système 9", "R. Adeyemi"]
HAS_FILE = 0.7
HAS_TRAP = 0.5
TRAP_OF_SAME_LENGTH = 0.25


def typo(text: str, rng: random.Random) -> str:
    """A letter left out, put in, replaced, or two exchanged."""
    if not text:
        return text
    at = rng.randrange(len(text))
    letter = rng.choice(LETTERS)
    return rng.choice(
        [
            text[:at] + text[at + 1 :] or letter,
            text[:at] + letter + text[at:],
            text[:at] + letter + text[at + 1 :],
            text[:at] + text[at : at + 2][::-1] + text[at + 2 :],
        ]
    )


def typos(text: str, rng: random.Random) -> str:
    """One, or in longer texts two."""
    return typo(typo(text, rng), rng) if len(text) > 7 else typo(text, rng)


def bracketed(title: str) -> str:
    """The version in brackets, where it stands behind a dash."""
    head, dash, tail = title.partition(" - ")
    return f"{head} ({tail})" if dash else title


def original(title: str) -> str:
    """Where no version is named, the one that is meant."""
    return bracketed(title) if " - " in title or "(" in title else f"{title} (Original Mix)"


WAYS: dict[str, Callable[[str, str, random.Random], tuple[str, str]]] = {
    "as it is": lambda a, t, r: (a, t),
    "case": lambda a, t, r: (a.upper(), t.lower()),
    "guest": lambda a, t, r: (a, f"{t} (feat. {r.choice(NAMES)})"),
    "guest among artists": lambda a, t, r: (f"{a} feat. {r.choice(NAMES)}", t),
    "second artist": lambda a, t, r: (f"{a}; {r.choice(NAMES)}", t),
    "original mix": lambda a, t, r: (a, original(t)),
    "typo in title": lambda a, t, r: (a, typo(t, r)),
    "typo in artist": lambda a, t, r: (typo(a, r), t),
    "typos in both": lambda a, t, r: (typos(a, r), typos(t, r)),
    "swapped": lambda a, t, r: (t, a),
    "accents": lambda a, t, r: (a.replace("o", "ö").replace("e", "é"), t.replace("a", "å")),
    "brackets": lambda a, t, r: (a, bracketed(t)),
    "signs": lambda a, t, r: (a.replace(" ", "_"), t.replace("'", "’").replace(" ", "  ")),
}


def spoilt(artists: str, title: str, rng: random.Random) -> tuple[str, tuple[str, str]]:
    """The name of the right file, and in which way it is spoilt."""
    way = rng.choice(list(WAYS))
    return way, WAYS[way](artists, title, rng)


def trap(artists: str, title: str, other: str, rng: random.Random) -> tuple[str, tuple[str, str]]:
    """The name of a wrong file, and of which kind it is."""
    head = title.split(" - ")[0].split(" (")[0]
    traps = {
        "remix": (artists, f"{head} ({rng.choice(NAMES)} Remix)"),
        "live": (artists, f"{head} (Live)"),
        "part": (artists, f"{head} {rng.choice(['2', '3', 'II', 'Part 2'])}"),
        "extended": (artists, f"{head} (Extended Mix)"),
        "other artist": (rng.choice(NAMES), title),
        "other title": (artists, other),
    }
    if "extended" in title.lower():
        del traps["extended"]
    way = rng.choice(list(traps))
    return way, traps[way]


def build(
    table: pd.DataFrame, seed: int, with_length: bool
) -> tuple[list[Item], list[Item], dict[int, int], list[str]]:
    """Rows, files in any order, the right file of each row that has one, how each file was made."""
    rng = random.Random(seed)
    names = list(zip(table["artists"], table["title"], strict=True))
    there = {(a.casefold(), t.casefold()) for a, t in names}
    rows, files = [], []
    for row, (artists, title) in enumerate(names):
        length = rng.gauss(330, 80)
        rows.append(Item(artists, title, "", length if with_length else math.nan))
        if rng.random() < HAS_FILE:
            way, name = spoilt(artists, title, rng)
            files.append((row, way, Item(*name, "", length + rng.uniform(-2, 2))))
        if rng.random() < HAS_TRAP:
            way, (a, t) = trap(artists, title, rng.choice(names)[1], rng)
            if (a.casefold(), t.casefold()) not in there:
                near = rng.random() < TRAP_OF_SAME_LENGTH
                off = rng.uniform(-2, 2) if near else rng.choice([-1, 1]) * rng.uniform(5, 120)
                files.append((None, f"trap: {way}", Item(a, t, "", length + off)))
    rng.shuffle(files)
    right = {row: at for at, (row, _, _) in enumerate(files) if row is not None}
    return rows, [item for _, _, item in files], right, [way for _, way, _ in files]


def measure(table: pd.DataFrame, seeds: Sequence[int], with_length: bool, show: bool) -> None:
    """Print precision and recall over some draws, and what became of each way of spoiling."""
    total: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    ways: dict[str, Counter[str]] = defaultdict(Counter)
    for seed in seeds:
        rows, files, right, how = build(table, seed, with_length)
        decision = match(rows, files)
        sure = {m.row: m.file for m in decision.sure}
        offered = {(m.row, m.file) for m in decision.doubtful}
        total["rows"] += len(rows)
        total["files"] += len(files)
        total["sure"] += len(sure)
        total["right"] += len(right)
        total["asked"] += len({row for row, _ in offered})
        for row, file in sure.items():
            if right.get(row) != file:
                wrong[how[file]] += 1
                if show:
                    print("wrong", rows[row], files[file], how[file])
        for row, file in right.items():
            lost = "doubtful" if (row, file) in offered else "lost"
            ways[how[file]]["sure" if sure.get(row) == file else lost] += 1
            if show and sure.get(row) != file and lost == "lost":
                print("lost", rows[row], files[file], how[file])
    good = sum(counts["sure"] for counts in ways.values())
    answered = good + sum(counts["doubtful"] for counts in ways.values())
    print(
        f"lengths {'known' if with_length else 'unknown'}, {len(seeds)} draws of "
        f"{total['rows'] // len(seeds)} rows and about {total['files'] // len(seeds)} files: "
        f"precision {good / total['sure']:.4f}, recall {good / total['right']:.4f}, with the "
        f"doubtful answered {answered / total['right']:.4f}; asked about "
        f"{total['asked'] / total['rows']:.4f} of the rows; wrong: {dict(wrong)}"
    )
    for way, counts in sorted(ways.items()):
        shares = (f"{kind} {counts[kind] / counts.total():.3f}" for kind in ("sure", "doubtful"))
        print(f"  {way:20} {', '.join(shares)}, lost {counts['lost'] / counts.total():.3f}")


def strangers(table: pd.DataFrame, seed: int) -> tuple[int, int]:
    """Half of the tracks as rows, the others as files, all of the same length: none belongs.

    Returns:
        How many rows got a file for sure that is called otherwise, and how many are asked about.
    """
    names = list(zip(table["artists"], table["title"], strict=True))
    random.Random(seed).shuffle(names)
    items = [Item(*name, "", 200.0) for name in names]
    half = len(items) // 2
    rows, files = items[:half], items[half:]
    decision = match(rows, files)
    wrong = sum(
        (rows[m.row].artists + rows[m.row].title).casefold()
        != (files[m.file].artists + files[m.file].title).casefold()
        for m in decision.sure
    )
    return wrong, len({m.row for m in decision.doubtful})


def speed(table: pd.DataFrame, count: int) -> None:
    """Print time and memory of many rows against as many files, names made up of the table's."""
    rng = random.Random(0)
    table = table[(table["artists"] != "") & (table["title"] != "")]
    artists, titles = list(table["artists"]), list(table["title"])
    rows, files = [], []
    for _ in range(count):
        artist = rng.choice(artists)
        title = f"{rng.choice(titles).split(' - ')[0]} {rng.choice(titles).split()[0]}"
        length = rng.gauss(330, 80)
        rows.append(Item(artist, title, "", length))
        files.append(Item(*spoilt(artist, title, rng)[1], "", length))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    decision = match(rows, files)
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"{count} rows, {count} files: {seconds:.1f} s, {len(decision.sure)} sure; at most "
        f"{after >> 10} MiB, {(after - before) >> 10} more than before"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("--tune", action="store_true", help="the draw for setting thresholds")
    parser.add_argument("--show", action="store_true", help="print what is wrong or lost")
    arguments = parser.parse_args()
    table = from_csv(arguments.table).table
    for with_length in (True, False):
        measure(table, [0] if arguments.tune else range(1, 6), with_length, arguments.show)
    if not arguments.tune:
        wrong, asked = map(sum, zip(*(strangers(table, seed) for seed in range(5)), strict=True))
        rows = 5 * (len(table) // 2)
        print(f"strangers of the same length: {wrong} of {rows} rows wrong, {asked} asked about")
        speed(table, 10_000)


if __name__ == "__main__":
    main()
