"""Measure the confound probes of a run, and keep the answers, so that none is computed twice."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kit import __version__
from kit.catalogue import Catalogue, load
from kit.errors import KitError, UsageError
from kit.evaluation.answers import step_in_json
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
from kit.files import read_json, write_json
from kit.training import Restored, Run, restore
from kit.training.checkpoint import Which

FILE = "confounds.json"
Labels = dict[str, str | None]
"""The predicted label by the track's id; None where there is no answer."""
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

    In a run of folds every track is answered, by the network that never learned from it. The file
    is written after each probe. Answers that are in it are not computed again, and a probe that has
    been answered for all of these tracks is reported too.

    Args:
        run: a run on audio, or its folder.
        catalogue: the tracks, if they are not in the folder that the run's configuration names.
        which: the best checkpoint, or the last one.
        families: of `FAMILIES`; all if empty.
        tracks: draw whole groups until they have this many tracks; all if None.
        seed: of the draw.
        progress: see `Told`.
    Returns:
        The content of confounds.json, see `docs/evaluation.md`.
    Raises:
        UsageError: an unknown probe, a run from arrays, or with several labels a track.
        KitError: no run, checkpoint or test part, or no file that can be heard.
    """
    run = run if isinstance(run, Run) else Run(Path(run))
    if unknown := [name for name in families if name not in FAMILIES]:
        raise UsageError(f"there is no probe {unknown[0]!r}; the probes: {', '.join(FAMILIES)}")
    restored = restore(run.folder, which)
    _require_audio(run, restored)
    table = _drawn(_held_out(run), tracks, seed)
    catalogue = _catalogue(restored, catalogue)
    networks = _Networks(run, restored, which)
    asked = [one for one in probes_of(families) if not unheard(one, restored.experiment.features)]
    about = {"version": VERSION, "checkpoint": {"step": step_in_json(restored), "which": which}}
    path = run.folder / FILE
    stored = _stored(path, about)
    silent: dict[str, str] = {}
    todo = [(one, _missing(table, stored.get(one.name, {}))) for one in (UNCHANGED, *asked)]
    done, total = 0, sum(len(rows) for _, rows in todo)
    for probe, rows in todo:
        if rows.empty:
            continue
        said = progress and _told(progress, done, total, probe.name)
        found = _answers(networks, rows, _paths(rows, catalogue), probe, said)
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
    features, tracks, ids = (
        restored.experiment.features,
        table.to_dict("records"),
        table["track_id"],
    )
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


class _Networks:
    """The network that answers for each track, restored when it is first needed."""

    def __init__(self, run: Run, restored: Restored, which: Which) -> None:
        self._folds = {one.fold: one for one in run.inside} if run.is_folded else {}
        self._which: Which = which
        self._made: dict[str, Restored] = {} if self._folds else {"": restored}

    def of(self, fold: str) -> Restored:
        if fold not in self._made:
            self._made[fold] = restore(self._folds[fold].folder, self._which)
        return self._made[fold]


def _answers(
    networks: _Networks,
    table: pd.DataFrame,
    paths: Sequence[Path | None],
    probe: Probe,
    said: Callable[[int], None] | None,
) -> list[Answer]:
    found: list[Answer] = [(None, "")] * len(table)
    done = 0
    for fold in dict.fromkeys(table["fold"]):
        at = np.flatnonzero(table["fold"] == fold).tolist()
        tell = said and (lambda n, before=done: said(before + n))
        each = answers(networks.of(fold), [paths[i] for i in at], probe, tell)
        for number, answer in zip(at, each, strict=True):
            found[number] = answer
        done += len(at)
    return found


def _told(progress: Told, done: int, total: int, name: str) -> Callable[[int], None]:
    return lambda n: progress(done + n, total, name)


def _require_audio(run: Run, restored: Restored) -> None:
    if restored.from_arrays or not restored.experiment.catalogue:
        raise UsageError(
            f"{run.folder} was trained from arrays, and kit does not know the sound that they were "
            "made of; the probes need a run of `kit train`"
        )
    if restored.experiment.train.several:
        raise UsageError(
            f"{run.folder} has several labels a track, and the probes count right answers; they "
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
    """Return the tracks of whole groups, drawn until there are enough of them."""
    own = table["group"].where(table["group"] != "", "track " + table["track_id"])
    table = table.assign(group=own)
    if tracks is None or tracks >= len(table):
        return table
    sizes = own.value_counts().sort_index()
    order = np.random.default_rng(seed).permutation(len(sizes))
    before = np.cumsum(sizes.to_numpy()[order]) - sizes.to_numpy()[order]
    chosen = sizes.index.to_numpy()[order[before < tracks]]
    return table.loc[own.isin(list(chosen))].reset_index(drop=True)


def _catalogue(restored: Restored, given: Catalogue | Path | str | None) -> Catalogue:
    if isinstance(given, Catalogue):
        return given
    where = Path(given or restored.experiment.catalogue)
    if not where.is_dir():
        raise UsageError(f"{where} is not a folder; say where the tracks are with --catalogue")
    return load(where)


def _paths(table: pd.DataFrame, catalogue: Catalogue) -> list[Path | None]:
    rows = {row["track_id"]: row for row in catalogue.table.to_dict("records")}
    return [_path(catalogue, rows.get(track_id)) for track_id in table["track_id"]]


def _path(catalogue: Catalogue, row: dict[Any, Any] | None) -> Path | None:
    try:
        return None if row is None else catalogue.path_of(row)
    except KitError:
        return None  # Counted as a track without a file.


def _stored(path: Path, about: dict[str, Any]) -> dict[str, Labels]:
    """Return the answers of earlier calls for the same checkpoint.

    Tracks without sound are none of them: their files may be back.
    """
    content = read_json(path) if path.is_file() else None
    if not isinstance(content, dict) or any(content.get(k) != v for k, v in about.items()):
        return {}
    silent = content["silent"]
    return {
        name: {k: label for k, label in of.items() if k not in silent}
        for name, of in content["answers"].items()
    }


def _missing(table: pd.DataFrame, known: Labels) -> pd.DataFrame:
    return table.loc[~table["track_id"].isin(list(known))]


def _counted(table: pd.DataFrame, silent: dict[str, str]) -> dict[str, int]:
    return dict(Counter(silent[i] for i in table["track_id"] if i in silent))


def _require_sound(table: pd.DataFrame, silent: dict[str, str], run: Run) -> None:
    counted = _counted(table, silent)
    if sum(counted.values()) == len(table):
        told = ", ".join(f"{n} {why}" for why, n in counted.items())
        raise KitError(
            f"none of the {len(table)} tracks to answer can be heard ({told}); put the audio files "
            f"back, or say where they are: kit confounds {run.folder} --catalogue FOLDER"
        )
