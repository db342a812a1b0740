"""How often `kit ingest match` is right, on names that are spoilt on purpose, and how fast it is.

    python benchmarks/match.py ../shared/data/tables/techno_vs_edm_features.csv

Rows are the tracks of the table. Seven in ten have a file, whose name is spoilt in one of the ways
below; three in ten have none. Beside them lie traps, which are the right file of no row: another
remix, a live version, another part, the same title by another artist, another title by the same
artist, for rows with a file and for rows without. The table has no lengths; each track draws one,
its file differs by up to 2 s, and one trap in four has the length of its row as well.
"""

import random
import resource
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

from kit.catalogue import from_csv
from kit.ingest.match import Item, match

LETTERS = "abcdefghijklmnopqrstuvwxyz"
NAMES = ["Mara Holt", "Die Nacht", "Oskar B", "K-Tronik", "Lena Vey", "Système 9", "R. Adeyemi"]


def typo(text: str, rng: random.Random) -> str:
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


def has_version(title: str) -> bool:
    return " - " in title or "(" in title


def bracketed(title: str) -> str:
    head, dash, tail = title.partition(" - ")
    return f"{head} ({tail})" if dash else title


def spoilt(artists: str, title: str, rng: random.Random) -> tuple[str, tuple[str, str]]:
    def two(text: str) -> str:
        return typo(typo(text, rng), rng) if len(text) > 7 else typo(text, rng)

    ways = {
        "as it is": lambda: (artists, title),
        "case": lambda: (artists.upper(), title.lower()),
        "guest": lambda: (artists, f"{title} (feat. {rng.choice(NAMES)})"),
        "guest among artists": lambda: (f"{artists} feat. {rng.choice(NAMES)}", title),
        "second artist": lambda: (f"{artists}; {rng.choice(NAMES)}", title),
        "original mix": lambda: (
            (artists, bracketed(title))
            if has_version(title)
            else (artists, f"{title} (Original Mix)")
        ),
        "typo in title": lambda: (artists, typo(title, rng)),
        "typo in artist": lambda: (typo(artists, rng), title),
        "typos in both": lambda: (two(artists), two(title)),
        "swapped": lambda: (title, artists),
        "accents": lambda: (artists.replace("o", "ö").replace("e", "é"), title.replace("a", "å")),
        "brackets": lambda: (artists, bracketed(title)),
        "signs": lambda: (artists.replace(" ", "_"), title.replace("'", "’").replace(" ", "  ")),
    }
    way = rng.choice(list(ways))
    return way, ways[way]()


def trap(artists: str, title: str, other: str, rng: random.Random) -> tuple[str, tuple[str, str]]:
    head = title.split(" - ")[0].split(" (")[0]
    way = rng.choice(["remix", "live", "part", "extended", "other artist", "other title"])
    return way, {
        "remix": (artists, f"{head} ({rng.choice(NAMES)} Remix)"),
        "live": (artists, f"{head} (Live)"),
        "part": (artists, f"{head} {rng.choice(['2', '3', 'II', 'Part 2'])}"),
        "extended": (artists, f"{head} (Extended Mix)"),
        "other artist": (rng.choice(NAMES), title),
        "other title": (artists, other),
    }[way]


def build(table, seed: int, with_length: bool):
    """Rows, files, the right file of each row (or none), and how each file came about."""
    rng = random.Random(seed)
    rows, files, right, how = [], [], {}, []
    names = list(zip(table["artists"], table["title"], strict=True))
    there = {(a.casefold(), t.casefold()) for a, t in names}
    for row, (artists, title) in enumerate(names):
        length = rng.gauss(330, 80)
        rows.append(Item(artists, title, "", length if with_length else float("nan")))
        if rng.random() < 0.7:
            way, (a, t) = spoilt(artists, title, rng)
            right[row] = len(files)
            files.append(Item(a, t, "", length + rng.uniform(-2, 2)))
            how.append(way)
        if rng.random() < 0.5:
            way, (a, t) = trap(artists, title, rng.choice(names)[1], rng)
            again = way == "extended" and "extended" in title.lower()
            if not again and (a.casefold(), t.casefold()) not in there:
                off = (
                    rng.uniform(-2, 2)
                    if rng.random() < 0.25
                    else rng.choice([-1, 1]) * rng.uniform(5, 120)
                )
                files.append(Item(a, t, "", length + off))
                how.append(f"trap: {way}")
    order = list(range(len(files)))
    rng.shuffle(order)
    place = {old: new for new, old in enumerate(order)}
    return (
        rows,
        [files[i] for i in order],
        {r: place[f] for r, f in right.items()},
        [how[i] for i in order],
    )


def measure(table, seeds, with_length: bool, show: bool) -> None:
    totals, ways, wrong = Counter(), defaultdict(Counter), Counter()
    for seed in seeds:
        rows, files, right, how = build(table, seed, with_length)
        decision = match(rows, files)
        sure = {m.row: m.file for m in decision.sure}
        offered = defaultdict(set)
        for m in decision.doubtful:
            offered[m.row].add(m.file)
        for row in range(len(rows)):
            file = right.get(row)
            if row in sure and sure[row] != file:
                wrong[how[sure[row]]] += 1
                if show:
                    print("  WRONG", rows[row], files[sure[row]], how[sure[row]])
            if file is not None:
                found = (
                    "sure"
                    if sure.get(row) == file
                    else "doubtful"
                    if file in offered[row]
                    else "lost"
                )
                ways[how[file]][found] += 1
                if show and found == "lost":
                    print("  lost", rows[row], files[file], how[file])
        good = sum(sure.get(r) == f for r, f in right.items())
        totals += Counter(
            sure=len(sure),
            good=good,
            right=len(right),
            rows=len(rows),
            files=len(files),
            asked=len(offered),
            answerable=sum(f in offered[r] for r, f in right.items()),
        )
    t = totals
    print(
        f"lengths {'known' if with_length else 'unknown'}, {len(seeds)} draws of {t['rows'] // len(seeds)} "
        f"rows and {t['files'] // len(seeds)} files: precision {t['good'] / t['sure']:.4f}, recall "
        f"{t['good'] / t['right']:.4f}, with the answers to the doubtful "
        f"{(t['good'] + t['answerable']) / t['right']:.4f}; rows asked about {t['asked'] / t['rows']:.4f}"
    )
    for way, counts in sorted(ways.items()):
        n = counts.total()
        print(
            f"  {way:20} sure {counts['sure'] / n:.3f} doubtful {counts['doubtful'] / n:.3f} lost {counts['lost'] / n:.3f}"
        )
    print("  wrong:", dict(wrong))


def speed(table, count: int) -> None:
    rng = random.Random(0)
    table = table[(table["artists"] != "") & (table["title"] != "")]
    artists, titles = list(table["artists"]), list(table["title"])
    names = [
        (
            rng.choice(artists),
            f"{rng.choice(titles).split(' - ')[0]} {rng.choice(titles).split()[0]}",
        )
        for _ in range(count)
    ]
    rows = [Item(a, t, "", rng.gauss(330, 80)) for a, t in names]
    files = [Item(*spoilt(a, t, rng)[1], "", rows[i].duration_s) for i, (a, t) in enumerate(names)]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    decision = match(rows, files)
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"{count} rows, {count} files: {seconds:.1f} s, {len(decision.sure)} sure; at most "
        f"{after >> 10} MiB in all, {(after - before) >> 10} more than before"
    )


def main() -> None:
    table = from_csv(Path(sys.argv[1])).table
    show = "--show" in sys.argv
    seeds = [0] if "--tune" in sys.argv else [1, 2, 3, 4, 5]
    for with_length in (True, False):
        measure(table, seeds, with_length, show)
    if "--tune" not in sys.argv:
        speed(table, 10_000)


if __name__ == "__main__":
    main()
