"""The data card of a run: the tracks of its training and its test.

The headings follow Gebru et al. (2021), Datasheets for Datasets, as far as kit knows the answers.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

import pandas as pd

from kit import __version__
from kit.catalogue import Catalogue
from kit.catalogue.inspect import hash_file
from kit.catalogue.schema import several_labels
from kit.catalogue.tags import first_genre
from kit.evaluation import words
from kit.evaluation.words import Evaluation
from kit.training import Run

NAME = "data-card.md"
_SPECIAL = re.compile(r"([\\`*_\[\]<>|#~&])")


def data_card(run: Run, evaluation: Evaluation, catalogue: Catalogue | None) -> str:
    """Return the data card of a run in Markdown, without lines for unknown facts."""
    split = run.folds() if run.is_folded else run.split()
    several = bool(evaluation.get("several"))
    what, known, notices = "items", None, ()
    if catalogue is not None:
        every, what, notices = catalogue.table, "tracks", catalogue.notices
        known = every.loc[every["track_id"].isin(split["track_id"])]
    return document(
        f"Data of {plain(run.folder.name)}",
        f"{len(split)} {what} of {len(evaluation['labels'])} labels. Written by kit {__version__}.",
        [
            ("Labels", [_labels(split, several), "" if known is None else _origin(known, several)]),
            ("Audio", ["" if known is None else items(_audio(known))]),
            ("Split", [items(_split(run, evaluation))]),
            ("Rights", [items(map(plain, (*notices, *run.statements)))]),
            ("Left out", [words.left_out(evaluation)]),
        ],
    )


def _labels(split: pd.DataFrame, several: bool) -> str:
    """Return the number of tracks and groups of each label in each part or fold."""
    side = "fold" if "fold" in split else "part"
    rows = split.assign(
        label=[several_labels(text) if several else (text,) for text in split["label"]]
    ).explode("label")
    order = ("train", "validation", "test")
    names = sorted(split[side].unique(), key=lambda n: (order.index(n) if n in order else -1, n))
    titles = [f"fold {plain(name)}" if side == "fold" else name for name in names]

    def cells(of: pd.DataFrame) -> list[str]:
        by_side = [of.loc[of[side] == name] for name in names]
        return [_count(part) for part in [*by_side, of]]

    body = [[plain(str(label)), *cells(of)] for label, of in rows.groupby("label")]
    # A track with several labels counts in several rows, and once in the last one.
    body.append(["all", *cells(split)])
    note = "Number of tracks; in brackets the number of groups that the split keeps whole."
    return "\n\n".join([table(["Label", *titles, "all"], body), note])


def _count(part: pd.DataFrame) -> str:
    return f"{len(part)} ({part['group'].nunique()})" if len(part) else "0"


def _origin(tracks: pd.DataFrame, several: bool) -> str:
    """Return the source of the labels; empty if the table does not show it."""
    if several or tracks.empty:
        return ""
    if "path" in tracks and all(
        label in PurePosixPath(path).parts[:-1]
        for path, label in zip(tracks["path"], tracks["label"], strict=True)
    ):
        return "The label of each track is the name of a folder that its file lies in."
    if "genre" in tracks and all(
        first_genre(genre) == label
        for genre, label in zip(tracks["genre"], tracks["label"], strict=True)
    ):
        return "The label of each track is its genre tag."
    return ""


def _audio(tracks: pd.DataFrame) -> list[str]:
    found = []
    if "duration_s" in tracks and (length := tracks["duration_s"].dropna()).size:
        found.append(
            f"Length: {length.sum() / 3600:.1f} hours in all; {length.min():.1f} to "
            f"{length.max():.1f} s a file, median {length.median():.1f} s."
        )
    if "path" in tracks:
        ends = Counter(PurePosixPath(path).suffix.lower().lstrip(".") for path in tracks["path"])
        found.append(_counted("Formats", {end.upper(): n for end, n in ends.items() if end}))
    columns = (("sample_rate", "Sample rates", " Hz"), ("channels", "Channels", ""))
    for column, title, unit in columns:
        if column in tracks:
            each = Counter(int(value) for value in tracks[column].dropna())
            found.append(_counted(title, {f"{value}{unit}": n for value, n in each.items()}))
    return found


def _counted(title: str, counts: dict[str, int]) -> str:
    each = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    said = ", ".join(f"{plain(name)} ({n} files)" for name, n in each)
    return f"{title}: {said}." if said else ""


def _split(run: Run, evaluation: Evaluation) -> list[str]:
    config = run.experiment().split
    name = "folds.csv" if run.is_folded else "split.csv"
    how = f"By {plain(config.by)}"
    if config.fold_column:
        how = f"The folds of the column {plain(config.fold_column)}"
    return [
        f"{how}, seed {config.seed}.",
        words.apart(evaluation),
        words.by_sound(evaluation),
        f"`{name}` has the part of each track; SHA-256 {hash_file(run.folder / name)}.",
        "The labels were shuffled: the run is a control." if config.shuffle_labels else "",
    ]


def plain(text: str) -> str:
    """Return text, such as a label, as one line with Markdown's special characters escaped."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table in Markdown; all columns after the first are right-aligned."""
    lines = [columns, ["---", *["---:"] * (len(columns) - 1)], *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)


def items(found: Iterable[str]) -> str:
    """Return a list in Markdown of the sentences that are not empty."""
    return "\n".join(f"- {text}" for text in found if text)


def document(title: str, lede: str, sections: Iterable[tuple[str, Sequence[str]]]) -> str:
    """Return a document in Markdown, without empty sections."""
    parts = [f"# {title}", lede]
    for heading, blocks in sections:
        if known := [block for block in blocks if block]:
            parts += [f"## {heading}", *known]
    return "\n\n".join(parts) + "\n"
