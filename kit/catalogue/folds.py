"""Folds of a collection: drawn by group and stratified by label, or read from a column.

Each fold is the test part of one split. Folds are pure functions of a table and a configuration.
"""

import re
from collections import Counter

import numpy as np
import pandas as pd

from kit.catalogue.split import (
    TRIALS,
    count,
    counts_of,
    kept_apart,
    labels_and_groups,
    memberships,
    strata,
    too_few,
)
from kit.catalogue.split import validation_groups as hold_out
from kit.config import SplitConfig
from kit.errors import UsageError

# Folder names contain the names of folds.
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,32}")


def folds_of(table: pd.DataFrame, config: SplitConfig, several: bool = False) -> pd.DataFrame:
    """Assign each track to a fold.

    Returns:
        `track_id`, `label` (the one to train on), `group` and `fold`, in the order of the table.
        Drawn folds are named "0", "1" … and do not depend on the order of the rows.
    Raises:
        UsageError: fewer than two labels, a missing column, a label with fewer groups than folds,
            or a column without usable folds.
    """
    labels, groups = labels_and_groups(table, config, several)
    if config.fold_column is None:
        folds = _drawn(labels, groups, config, several)
    else:
        folds = _official(table, labels, config.fold_column, several)
    columns = {"label": labels.astype(str), "group": groups.astype(str), "fold": folds}
    return pd.DataFrame({"track_id": table["track_id"].to_numpy(), **columns})


def fold_names(folds: pd.DataFrame) -> list[str]:
    """Return the names of the folds in order: numbers by value, then other names."""
    names = folds["fold"].unique().tolist()
    return sorted(names, key=lambda name: (0, int(name), name) if name.isdigit() else (1, 0, name))


def split_of_fold(
    folds: pd.DataFrame, name: str, config: SplitConfig, several: bool = False
) -> pd.DataFrame:
    """Return the split in which one fold is the test part, as `kit.catalogue.split.split` does.

    Args:
        folds: as `folds_of` returns them.
        name: name of the fold.
        config: `validation_fraction` is the share of all tracks that the other folds hold out for
            validation, by group and stratified by label.
        several: as for `kit.catalogue.split.split`.
    Raises:
        UsageError: no track can be held out for validation.
    """
    test = (folds["fold"] == name).to_numpy()
    parts = np.where(test, "test", "train").astype(object)
    if config.validation_fraction > 0:
        groups = folds["group"].to_numpy(str)
        _, has = strata(folds["label"].to_numpy(str), groups, several)
        counts, member = counts_of(has * ~test[:, None], groups)
        target = has.sum(axis=0) * config.validation_fraction
        number = fold_names(folds).index(name)
        # Not the random stream of splits or of shuffled labels, which have the same seed.
        rng = np.random.default_rng([config.seed, 3, number])
        held = hold_out(counts, counts.sum(axis=1) > 0, target, rng)
        if held is None:
            raise UsageError(
                f"no track can be held out for validation with fold {name}: each label has "
                f"only one group by {config.by} in the other folds; use "
                "--split.validation-fraction 0, or add audio"
            )
        parts[held[member] & ~test] = "validation"
    kept = folds.loc[:, ["track_id", "label", "group"]]
    return kept.assign(part=parts.astype(str))


def folds_in_words(table: pd.DataFrame, folds: pd.DataFrame, config: SplitConfig) -> str:
    """Return a sentence that says which groups are in one fold, and which in several."""
    if config.fold_column is None:
        words = kept_apart(table, config).in_words()
        return words.replace("Split ", "Folds ", 1).replace("on both sides", "in two folds")
    where = f"Folds of the column {config.fold_column}"
    sizes = Counter(folds["group"].tolist())
    across = len(cut_groups(folds))
    if max(sizes.values()) == 1:
        return f"{where}; tracks that belong together, such as those of an artist, are not known"
    kind = f"groups by {config.by}"
    if not across:
        return f"{where}: none of the {len(sizes):,} {kind} lies in two of them"
    return (
        f"{where}: {across:,} of the {len(sizes):,} {kind} have tracks in several of them, which "
        "makes the accuracy too high"
    )


def cut_groups(folds: pd.DataFrame) -> list[str]:
    """Return the sorted groups with tracks in several folds; drawn folds have none."""
    pairs = set(zip(folds["group"].tolist(), folds["fold"].tolist(), strict=True))
    return sorted(name for name, n in Counter(group for group, _ in pairs).items() if n > 1)


def require_no_leak(folds: pd.DataFrame, config: SplitConfig) -> None:
    """Raise UsageError if folds divide a group, unless `config.allow_leaks`."""
    cut = cut_groups(folds)
    if cut and not config.allow_leaks:
        some = ", ".join(repr(name) for name in cut[:3])
        raise UsageError(
            f"the column {config.fold_column} has tracks of {count(len(cut), 'group')} by "
            f"{config.by} in several folds ({some}), so a network would be tested on groups of "
            f"its training; `kit split CATALOGUE --check --given {config.fold_column}` lists them: "
            "use --split.folds 5 instead of the column, another --split.by, or "
            "--split.allow-leaks, which the report repeats"
        )


def _drawn(
    labels: np.ndarray, groups: np.ndarray, config: SplitConfig, several: bool
) -> np.ndarray:
    """Return the best of many assignments of the groups, largest first, to the emptiest fold."""
    n = config.folds or 0
    values, has = strata(labels, groups, several, n)
    counts, member = counts_of(has, groups.astype(str))
    for number, value in enumerate(values):
        if (found := (counts[:, number] > 0).sum()) < n:
            needs, remedy = f"each of the {n} folds needs one", f"--split.folds {found}"
            raise too_few(value, counts[:, number], n, config.by, needs, remedy)
    target = counts.sum(axis=0) / n
    rng = np.random.default_rng([config.seed, 2])
    orders = rng.permuted(np.tile(np.arange(len(counts)), (TRIALS, 1)), axis=1)
    sizes = counts.sum(axis=1)
    orders = np.take_along_axis(orders, np.argsort(-sizes[orders], axis=1, kind="stable"), axis=1)
    trials = np.arange(TRIALS)
    have = np.zeros((TRIALS, n, len(values)))
    fold = np.zeros((TRIALS, len(counts)), int)
    for group in orders.T:
        row = counts[group][:, None]
        # Increase of the sum of squared differences from the target.
        cost = (row * (2 * have + row - 2 * target) / np.square(target)).sum(axis=2)
        best = cost.argmin(axis=1)
        fold[trials, group] = best
        have[trials, best] += row[:, 0]
    score = (np.abs(have - target) / target).sum(axis=(1, 2))
    score[(have == 0).any(axis=(1, 2))] = np.inf
    best = int(np.argmin(score))
    if not np.isfinite(score[best]):
        raise UsageError(
            f"no {n} folds by {config.by} each have every label, because too many groups have "
            "tracks of several labels; lower --split.folds, or use --split.by track"
        )
    return fold[best][member].astype(str)


def _official(table: pd.DataFrame, labels: np.ndarray, column: str, several: bool) -> np.ndarray:
    if column not in table:
        raise UsageError(
            f"--split.fold-column is {column!r}, but the catalogue has no such column; add it, use "
            f"--split.folds 5, or another of its columns: {', '.join(map(str, table.columns))}"
        )
    cells = ["" if pd.isna(cell) else str(cell).strip() for cell in table[column]]
    if missing := cells.count(""):
        raise UsageError(
            f"{count(missing, 'track')} of {len(cells):,} have no fold in the column {column!r} of "
            "--split.fold-column; fill it in, or remove these tracks from the catalogue"
        )
    if odd := next((cell for cell in cells if not _NAME.fullmatch(cell)), None):
        raise UsageError(
            f"--split.fold-column is {column!r}, which has the fold {odd!r}; name folds by 1 to 32 "
            "letters of the English alphabet, digits, dots, - or _"
        )
    folds = np.array(cells)
    if len({cell.casefold() for cell in cells}) != len(set(cells)):
        raise UsageError(
            f"--split.fold-column is {column!r}, which has folds that differ only in upper and "
            "lower case; give them other names, since each names a folder"
        )
    if len(set(cells)) < 2:
        raise UsageError(
            f"--split.fold-column is {column!r}, which has only one fold ({cells[0]}); name a "
            "column with at least 2, or use --split.folds 5"
        )
    values, has = memberships(labels, several)
    for label, own in zip(values, has.T > 0, strict=True):
        if len(only := np.unique(folds[own])) == 1:
            raise UsageError(
                f"label {label!r} is only in fold {only[0]} of the column {column!r}, so no "
                "network can learn it when that fold is tested; remove its tracks, or use "
                "--split.folds 5"
            )
    return folds
