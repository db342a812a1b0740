"""Answer a run's test part after each confound probe, and keep the answers in confounds.json."""

import contextlib
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kit import __version__
from kit.catalogue import Catalogue
from kit.errors import KitError, UsageError
from kit.evaluation.answers import open_catalogue
from kit.evaluation.certainty import step_in_json
from kit.evaluation.confounds.answers import Answer, answers
from kit.evaluation.confounds.probes import (
    FAMILIES,
    PROBES,
    UNCHANGED,
    VERSION,
    Probe,
    probes_of,
    unheard,
)
from kit.evaluation.confounds.summary import summary
from kit.evaluation.folds import networks_of
from kit.files import read_json, write_json
from kit.training import Restored, Run, restore
from kit.training.checkpoint import Which

FILE = "confounds.json"
Labels = dict[str, str | None]
"""The predicted label by track id; None without an answer."""
Told = Callable[[int, int, str], None]
"""Called with (tracks answered, tracks to answer, the name of the probe)."""


def confounds(
    run: Run | Path | str,
    *,
    catalogue: Catalogue | Path | str | None = None,
    which: Which = "best",
    families: Sequence[str] = (),
    tracks: int | None = None,
    seed: int = 0,
    progress: Told | None = None,
) -> dict[str, Any]:
    """Answer a run's test part after each change of the sound, and write confounds.json.

    In a run of folds the network trained without a track answers it. The file is written after
    each probe, and answers in it are not computed again.

    Args:
        run: a run on audio, or its folder.
        catalogue: the tracks, if they are not in the folder that the configuration names.
        which: the best checkpoint, or the last one.
        families: of `FAMILIES`; all if empty.
        tracks: draw whole groups up to this number of tracks; all if None.
        seed: of the draw.
        progress: see `Told`.
    Returns:
        The content of confounds.json, see `docs/evaluation.md`.
    Raises:
        UsageError: an unknown probe, or a run from arrays or with several labels per track.
        KitError: the run, its checkpoint or its test part is missing, or no file can be decoded.
    """
    run = run if isinstance(run, Run) else Run(Path(run))
    if unknown := [name for name in families if name not in FAMILIES]:
        raise UsageError(f"there is no probe {unknown[0]!r}; the probes: {', '.join(FAMILIES)}")
    restored = restore(run.folder, which)
    _require_audio(run, restored)
    table = _drawn(_held_out(run), tracks, seed)
    catalogue = open_catalogue(restored, catalogue)
    network_of = networks_of(run, restored)
    asked = [one for one in probes_of(families) if not unheard(one, restored.experiment.features)]
    about = {"version": VERSION, "checkpoint": {"step": step_in_json(restored), "which": which}}
    path = run.folder / FILE
    stored = _stored(path, about)
    silent: dict[str, str] = {}
    known = {one: list(stored.get(one.name, {})) for one in (UNCHANGED, *asked)}
    todo = [(one, table.loc[~table["track_id"].isin(ids)]) for one, ids in known.items()]
    done, total = 0, sum(len(rows) for _, rows in todo)
    for probe, rows in todo:
        if rows.empty:
            continue

        def said(n: int, before: int = done, name: str = probe.name) -> None:
            if progress:
                progress(before + n, total, name)

        found = _answers(network_of, rows, _paths(rows, catalogue), probe, said)
        of_track = dict(zip(rows["track_id"], found, strict=True))
        stored.setdefault(probe.name, {}).update({k: label for k, (label, _) in of_track.items()})
        done += len(rows)
        if probe is UNCHANGED:
            silent |= {k: why for k, (label, why) in of_track.items() if label is None}
        _require_sound(table, silent, run)
        write_json(path, _content(run, restored, table, about, stored, silent))
    content = _content(run, restored, table, about, stored, silent)
    write_json(path, content)
    return content


def _content(
    run: Run,
    restored: Restored,
    table: pd.DataFrame,
    about: dict[str, Any],
    stored: dict[str, Labels],
    silent: dict[str, str],
) -> dict[str, Any]:
    features, ids = restored.experiment.features, table["track_id"]
    tracks = table.to_dict("records")
    whole = {name: of for name, of in stored.items() if of.keys() >= set(ids)}
    return {
        "kit": __version__,
        "run": run.folder.name,
        "labels": list(restored.labels),
        **summary(tracks, {name: [of[i] for i in ids] for name, of in whole.items()}),
        "left_out": _counted(table, silent),
        "not_heard": {p.name: why for p in PROBES if (why := unheard(p, features))},
        **about,
        "tracks": tracks,
        "answers": stored,
        "silent": silent,
    }


def _answers(
    network_of: Callable[[str], Restored],
    table: pd.DataFrame,
    paths: Sequence[Path | None],
    probe: Probe,
    said: Callable[[int], None],
) -> list[Answer]:
    found: dict[int, Answer] = {}
    for fold in dict.fromkeys(table["fold"]):
        at = np.flatnonzero(table["fold"] == fold).tolist()
        told = partial(lambda before, n: said(before + n), len(found))
        each = answers(network_of(fold), [paths[i] for i in at], probe, told)
        found |= dict(zip(at, each, strict=True))
    return [found[number] for number in range(len(table))]


def _require_audio(run: Run, restored: Restored) -> None:
    if restored.from_arrays or not restored.experiment.catalogue:
        raise UsageError(
            f"{run.folder} was trained from arrays, without audio files; the probes need a run of "
            "`kit train`"
        )
    if restored.experiment.train.several:
        raise UsageError(
            f"{run.folder} has several labels a track; the probes count right answers, so they "
            "need a run with one label a track"
        )


def _held_out(run: Run) -> pd.DataFrame:
    """Return track_id, label, group and fold ("" without folds) of the tracks to answer."""
    if run.is_folded:
        return run.folds()
    split = run.split()
    chosen = split.loc[split["part"] == "test"].drop(columns="part").assign(fold="")
    if chosen.empty:
        raise KitError(f"{run.folder} has no test part; train with --split.test-fraction above 0")
    return chosen.reset_index(drop=True)


def _drawn(table: pd.DataFrame, tracks: int | None, seed: int) -> pd.DataFrame:
    """Return the tracks of whole groups, drawn up to `tracks` tracks."""
    own = table["group"].where(table["group"] != "", "track " + table["track_id"])
    table = table.assign(group=own)
    if tracks is None or tracks >= len(table):
        return table
    sizes = own.value_counts().sort_index()
    order = np.random.default_rng(seed).permutation(len(sizes))
    before = np.cumsum(sizes.to_numpy()[order]) - sizes.to_numpy()[order]
    chosen = sizes.index.to_numpy()[order[before < tracks]]
    return table.loc[own.isin(list(chosen))].reset_index(drop=True)


def _paths(table: pd.DataFrame, catalogue: Catalogue) -> list[Path | None]:
    """Return the file of each track; None if it is missing."""
    rows = {row["track_id"]: row for row in catalogue.table.to_dict("records")}
    found: list[Path | None] = [None] * len(table)
    for at, track_id in enumerate(table["track_id"]):
        with contextlib.suppress(KitError):
            found[at] = catalogue.path_of(rows[track_id]) if track_id in rows else None
    return found


def _stored(path: Path, about: dict[str, Any]) -> dict[str, Labels]:
    """Return the answers of earlier calls for the same checkpoint.

    Leave out tracks that could not be decoded, since their files may be back.
    """
    content = read_json(path) if path.is_file() else None
    if not isinstance(content, dict) or any(content.get(k) != v for k, v in about.items()):
        return {}
    silent = content["silent"]
    return {
        name: {k: label for k, label in of.items() if k not in silent}
        for name, of in content["answers"].items()
    }


def _counted(table: pd.DataFrame, silent: dict[str, str]) -> dict[str, int]:
    return dict(Counter(silent[i] for i in table["track_id"] if i in silent))


def _require_sound(table: pd.DataFrame, silent: dict[str, str], run: Run) -> None:
    counted = _counted(table, silent)
    if sum(counted.values()) == len(table):
        told = ", ".join(f"{n} {why}" for why, n in counted.items())
        raise KitError(
            f"none of the {len(table)} tracks to answer can be decoded ({told}); put the audio "
            f"files back, or say where they are: kit confounds {run.folder} --catalogue FOLDER"
        )
