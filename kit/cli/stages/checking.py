"""Find copies in a catalogue, and leaks of a split."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from kit import terminal
from kit.catalogue import Catalogue
from kit.catalogue.folds import folds_of
from kit.catalogue.given import given_parts
from kit.catalogue.io import write_table
from kit.catalogue.leaks import Leak, leaks
from kit.catalogue.schema import several_labels
from kit.catalogue.split import split as draw
from kit.catalogue.ties import RECORDING, codes, components
from kit.cli.counts import say_failures
from kit.cli.interrupt import in_two_steps
from kit.compilation import use_cache
from kit.config import ExtractConfig, SplitConfig
from kit.duplicates.stored import Fingerprints, fingerprints
from kit.duplicates.verify import Match

Copies = list[tuple[str, str, Match]]


def parts_of(table: pd.DataFrame, given: str | None, config: SplitConfig) -> list[str]:
    """Return the part, or the fold, of each track; that of `kit train` if no split is given.

    Raises:
        UsageError: the split does not exist.
    """
    if given is not None:
        return given_parts(table, given)
    several = any(len(several_labels(str(label))) > 1 for label in table["label"])
    if config.is_folded:
        return folds_of(table, config, several)["fold"].tolist()
    return draw(table, config, several)["part"].tolist()


def copies_of(catalogue: Catalogue, options: ExtractConfig) -> tuple[Fingerprints, Copies]:
    """Compute missing fingerprints and find copies, with a progress bar for each.

    Raises:
        KitError: the store cannot be read or written.
        KeyboardInterrupt: stopped by Ctrl-C; the files in progress were finished.
    """
    use_cache()
    with in_two_steps() as stop, terminal.bar("fingerprints") as update:
        found = fingerprints(catalogue, options, progress=update, stop=stop)
    say_failures(found.failures, catalogue.folder)
    if found.stopped:
        raise KeyboardInterrupt
    with terminal.bar("compare") as update:
        return found, found.duplicates(update)


def check(
    table: pd.DataFrame, parts: Sequence[str], found: Fingerprints, copies: Copies
) -> list[Leak]:
    """Return the leaks of a split; see `leaks`."""
    acoustic = [(one, other, in_words(match)) for one, other, match in copies]
    return leaks(table, parts, found.audio(), acoustic)


def in_words(match: Match) -> str:
    """Describe how two copies match, such as "23 s alike, speeds 2.0% apart"."""
    words = [f"{match.overlap_s:.0f} s alike"]
    if abs(match.offset_s) >= 0.05:
        words.append(f"starts {abs(match.offset_s):.1f} s apart")
    if abs(match.speed - 1) >= 0.001:
        words.append(f"speeds {abs(match.speed - 1):.1%} apart")
    return ", ".join(words)


def keep_together(catalogue: Catalogue, found: Fingerprints, copies: Copies) -> int:
    """Write recordings with copies into the table, and return their number.

    Tracks of one recording get the same name in the column `recording`, so that every split keeps
    them in one part. Existing names stay, unless two of them are the same recording.

    Raises:
        KitError: the table cannot be written.
    """
    table = catalogue.table
    audio = found.audio()
    ids = [str(track) for track in table["track_id"]]
    pairs: dict[str, list[int]] = {track: [] for track in ids}
    for number, (one, other, _) in enumerate(copies):
        pairs[one].append(number)
        pairs[other].append(number)
    same = [[audio[track]] if track in audio else [] for track in ids]
    old = codes(table, RECORDING)
    ties = [codes(table, "source_hash"), same, [pairs[track] for track in ids], old]
    member = components(ties, len(table))
    names: dict[int, list[str]] = {}
    for number, track, name in zip(member.tolist(), ids, old, strict=True):
        names.setdefault(number, []).append(name[0] if name else f"~{track}")
    sizes = np.bincount(member)
    # Keep an existing name.
    named = [min(names[n]).removeprefix("~") if sizes[n] > 1 else "" for n in member.tolist()]
    kept = [new or (name[0] if name else "") for new, name in zip(named, old, strict=True)]
    write_table(table.assign(**{RECORDING: kept}), catalogue.folder)
    return len({name for name in named if name})
