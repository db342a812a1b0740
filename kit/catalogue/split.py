"""Split tracks into train, validation and test; a pure function of a table and a seed.

Tracks that must stay together (of one artist, or identical files) form a group, and each group is
in one part. A seeded search over assignments of groups chooses the one whose shares of each label
are closest to the requested shares.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from kit.catalogue.schema import several_labels
from kit.catalogue.ties import RECORDING, groups_by, keys_by, names_by, without_guests
from kit.config import SplitConfig
from kit.errors import UsageError

PARTS = ("train", "validation", "test")

# Random orders of the groups to try; the best result is used.
TRIALS = 64

_NO_VALIDATION = "--split.validation-fraction 0"


@dataclass(frozen=True)
class KeptApart:
    """Counts of the groups that a split keeps in one part; `dataclasses.asdict` gives JSON types.

    Attributes:
        by: `SplitConfig.by`.
        tracks: number of tracks.
        groups: number of groups, each in one part.
        values: number of different known artists (or speakers, …).
        alone: number of tracks without a value; each is its own group.
        guests: number of tracks by an artist whom the split does not keep in one part, such as B of
            "A feat. B" if B has no track alone.
        by_sound: whether copies were searched (the table has the column `recording`).
    """

    by: str
    tracks: int
    groups: int
    values: int
    alone: int
    guests: int = 0
    by_sound: bool = False

    def in_words(self) -> str:
        """Return a sentence that says which groups are in one part, and which may be in several."""
        if self.by == "random":
            return (
                f"Split at random: {count(self.tracks, 'track')}, each by itself; tracks of one "
                "artist may lie on both sides"
            )
        if self.by == "track" and self.values == self.tracks:
            return (
                f"Split by track: {count(self.tracks, 'track')}; tracks of one artist may lie on "
                "both sides"
            )
        kinds = "artist" if self.by == "artist" else "group"
        kinds = f"main {kinds}" if self.guests else kinds
        apart = f"{count(self.values, kinds)}, none on both sides"
        if not self.alone:
            return f"Split by {self.by}: {apart}"
        others = self.tracks - self.alone
        known = f"; the other {others} {_verb(others)} {apart}" if self.values else ""
        remedy = (
            "give artists with --artist-from filename, in the tags, or in the column artists"
            if self.by == "artist"
            else f"fill in the column {self.by}"
        )
        return (
            f"{self.alone:,} of {count(self.tracks, 'track')} {_verb(self.alone)} no {self.by}: "
            f"each stands for itself, so tracks of one {self.by} may lie on both sides{known}; "
            f"{remedy}"
        )


def kept_apart(table: pd.DataFrame, config: SplitConfig) -> KeptApart:
    """Count the groups that a split of a table by `config.by` keeps in one part.

    Raises:
        UsageError: the table lacks the column.
    """
    keys = keys_by(table, config.by)
    return KeptApart(
        by=config.by,
        tracks=len(table),
        groups=len(set(groups_by(table, config.by))),
        values=len({value for values in keys for value in values}),
        alone=sum(not values for values in names_by(table, config.by)),
        guests=without_guests(table, keys) if config.by == "artist" else 0,
        by_sound=RECORDING in table,
    )


def count(number: int, noun: str) -> str:
    """Return a number and its noun, such as "1 track" or "1,200 tracks"."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _verb(number: int) -> str:
    return "has" if number == 1 else "have"


def split(table: pd.DataFrame, config: SplitConfig, several: bool = False) -> pd.DataFrame:
    """Assign tracks to train, validation and test.

    Args:
        table: one row per track: `track_id`, `label`, and the columns that `config.by` needs.
        config: shares, seed, the column of the groups, and whether labels are shuffled.
        several: a track may have several labels, separated by ";"; each is stratified.
    Returns:
        `track_id`, `label` (the one to train on), `group` and `part`, in the order of the table.
        The split does not depend on the order of the rows, except with `by="random"`.
    Raises:
        UsageError: fewer than two labels, a missing column, or no split with every label in train
            and test.
    """
    labels, groups = labels_and_groups(table, config, several)
    if config.by == "random" and not several:
        parts = _at_random(labels, groups, config)
    else:
        parts = _by_group(labels, groups, config, several)
    return pd.DataFrame(
        {
            "track_id": table["track_id"].to_numpy(),
            "label": labels.astype(str),
            "group": groups.astype(str),
            "part": parts.astype(str),
        }
    )


def memberships(labels: np.ndarray, several: bool) -> tuple[list[str], np.ndarray]:
    """Return the sorted labels, and which tracks have them, (tracks, labels) of 0 and 1."""
    if not several:
        values, code = np.unique(labels.astype(str), return_inverse=True)
        return values.tolist(), np.eye(len(values), dtype=int)[code]
    each = [several_labels(str(text)) for text in labels]
    values = sorted({name for names in each for name in names})
    return values, np.array([[name in names for name in values] for names in each], int)


def strata(
    labels: np.ndarray, groups: np.ndarray, several: bool, least: int = 3
) -> tuple[list[str], np.ndarray]:
    """Return `memberships`, with tracks without a label as an additional label.

    If fewer than `least` groups have such tracks, they stay in the training part.
    """
    values, has = memberships(labels, several)
    none = has.sum(axis=1) == 0
    if len(np.unique(groups[none].astype(str))) < least:
        return values, has
    return [*values, ""], np.column_stack([has, none.astype(int)])


def labels_and_groups(
    table: pd.DataFrame, config: SplitConfig, several: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Return the label to train on and the group of each track, (tracks,) of `str` each.

    Raises:
        UsageError: fewer than two labels, or the column `config.by` is missing.
    """
    labels = np.array([str(label) for label in table["label"]], dtype=object)
    if len(values := memberships(labels, several)[0]) < 2:
        raise UsageError(
            f"the catalogue has {len(values)} label, training needs at least 2; "
            "add audio of another label"
        )
    groups = groups_by(table, config.by)
    return (_shuffled(labels, groups, config.seed) if config.shuffle_labels else labels), groups


def _shuffled(labels: np.ndarray, groups: np.ndarray, seed: int) -> np.ndarray:
    """Shuffle the most common labels of groups; all tracks of a group get one label."""
    names, member = np.unique(groups, return_inverse=True)
    old: list[str] = []
    for group in range(len(names)):
        values, counts = np.unique(labels[member == group], return_counts=True)
        # Groups with equally many tracks of each label take the labels in turn: if all took the
        # same one, there would be nothing to shuffle.
        old.append(min(values[counts == counts.max()], key=old.count))
    # A different random stream from that of the split, which has the same seed.
    shuffled = np.random.default_rng([seed, 1]).permutation(np.array(old, dtype=object))
    return shuffled[member]


def _at_random(labels: np.ndarray, groups: np.ndarray, config: SplitConfig) -> np.ndarray:
    """Return the original project's stratified draw of tracks; copies follow their first track."""
    # The import takes a second, and other splits do not need it.
    from sklearn.model_selection import train_test_split

    _, first, member = np.unique(groups, return_index=True, return_inverse=True)
    tracks = np.sort(first)
    parts = np.full(len(labels), "train", dtype=object)
    rest = tracks
    fraction = config.test_fraction
    for part, share in (("test", fraction), ("validation", config.validation_fraction)):
        if share == 0:
            continue
        if part == "validation":
            share /= 1 - fraction
        try:
            rest, held = train_test_split(
                rest, test_size=share, random_state=config.seed, stratify=labels[rest]
            )
        except ValueError as error:
            raise UsageError(
                f"{len(rest)} tracks cannot be split at random with a share of {share:.2f} for "
                f"{part}: {error}; add tracks, or change --split.{part}-fraction"
            ) from error
        parts[held] = part
    return parts[first][member]


def _by_group(
    labels: np.ndarray, groups: np.ndarray, config: SplitConfig, several: bool
) -> np.ndarray:
    values, has = strata(labels, groups, several)
    # Everything below is about these counts alone.
    counts, member = counts_of(has, groups)
    for number, value in enumerate(values):
        if (counts[:, number] > 0).sum() < 2:
            needs = "train and test need one each"
            raise too_few(value, counts[:, number], 2, config.by, needs, _NO_VALIDATION)
    total = counts.sum(axis=0)
    rng = np.random.default_rng([config.seed, 0])
    test = _draw(counts, np.ones(len(counts), bool), total * config.test_fraction, True, rng)
    if test is None:
        raise UsageError(
            f"no split by {config.by} has every label in train and test, because too many "
            f"groups have tracks of several labels; use --split.by track, or add audio of "
            f"{_another(config.by)} with one label"
        )
    parts = np.where(test, "test", "train").astype(object)
    if config.validation_fraction > 0:
        target = total * config.validation_fraction
        held = validation_groups(counts, ~test, target, rng)
        if held is None:
            in_groups = (counts > 0).sum(axis=0)
            fewest = int(np.argmin(in_groups))
            if in_groups[fewest] < 3:
                needs, few = "train, validation and test need one each", counts[:, fewest]
                raise too_few(values[fewest], few, 3, config.by, needs, _NO_VALIDATION)
            raise UsageError(
                f"no split by {config.by} leaves tracks for validation: too many groups have "
                "tracks of several labels; use --split.validation-fraction 0 or --split.by track"
            )
        parts[held] = "validation"
    return parts[member]


def validation_groups(
    counts: np.ndarray, free: np.ndarray, target: np.ndarray, rng: np.random.Generator
) -> np.ndarray | None:
    """Return which groups are held out for validation, (groups,); None if none can be.

    Args:
        counts: tracks, (groups, labels).
        free: which groups are not in the test part, (groups,).
        target: tracks wanted of each label, (labels,).
        rng: draws the orders in which the groups are tried.
    """
    held = _draw(counts, free, target, True, rng)
    if held is None:
        # Some labels have too few groups: validate on the other labels.
        held = _draw(counts, free, target, False, rng)
    return held if held is not None and held.any() else None


def counts_of(has: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the number of tracks, (groups, labels), and the group of each track.

    Args:
        has: labels of each track, (tracks, labels) of 0 and 1.
        groups: group of each track.
    """
    names, member = np.unique(groups, return_inverse=True)
    counts = np.zeros((len(names), has.shape[1]), int)
    np.add.at(counts, member, has)
    return counts, member


def too_few(
    label: str, counts: np.ndarray, needed: int, by: str, needs: str, remedy: str
) -> UsageError:
    """Return the error for a label with too few groups."""
    tracks, groups = int(counts.sum()), int((counts > 0).sum())
    remedies = [remedy] if groups > 1 else []
    # Copies of a track are one group in every split.
    if by != "track" and tracks >= needed:
        remedies.append("--split.by track")
    use = f"use {' or '.join(remedies)}, or add" if remedies else "add"
    noun = by if by in ("artist", "track") else "group"
    of = "" if noun == "track" and groups == tracks else f" ({count(tracks, 'track')})"
    return UsageError(
        f"label {label!r} has only {count(groups, noun)}{of}, and {needs}; "
        f"{use} audio of {_another(by)} with this label"
    )


def _another(by: str) -> str:
    """Return the words for an additional group of the column `by`, such as "another artist"."""
    return f"another {by}" if by in ("artist", "track") else f"another group by {by}"


def _draw(
    counts: np.ndarray, free: np.ndarray, target: np.ndarray, every: bool, rng: np.random.Generator
) -> np.ndarray | None:
    """Return the best choice of held-out groups that the search finds; None if it finds none.

    Args:
        counts: tracks, (groups, labels).
        free: groups that may be held out, (groups,).
        target: wanted tracks of each label, (labels,).
        every: the held-out groups must have every label. The other groups always have every label.
        rng: draws the orders of the groups.
    Returns:
        Whether each group is held out, (groups,).
    """
    groups = np.flatnonzero(free)
    orders = rng.permuted(np.tile(groups, (TRIALS, 1)), axis=1)
    taken = np.zeros((TRIALS, len(counts)), bool)
    trials = np.arange(TRIALS)
    have = np.zeros((TRIALS, counts.shape[1]))
    left = np.tile(counts[groups].sum(axis=0), (TRIALS, 1))
    scale = np.maximum(target, 1)
    for group in orders.T:
        row = counts[group]
        empties = ((left == row) & (row > 0)).any(axis=1)
        gain = ((np.abs(have - target) - np.abs(have + row - target)) / scale).sum(axis=1)
        lacks = ((row > 0) & (have == 0)).any(axis=1) & every
        take = ~empties & ((gain > 0) | lacks)
        taken[trials, group] = take
        have += row * take[:, None]
        left -= row * take[:, None]
        # Within half a track of every target: no other group can improve it.
        if (have >= np.maximum(target - 0.5, 1)).all():
            break
    score = (np.abs(have - target) / scale).sum(axis=1)
    if every:
        score[(have == 0).any(axis=1)] = np.inf
    best = int(np.argmin(score))
    return taken[best] if np.isfinite(score[best]) else None
