"""Networks as candidates of the recipe for small sets: trained in each fold and inner fold.

    RUN/fold-0/networks/NAME/0.1.json         answers for the test tracks of an inner fold
    RUN/fold-0/networks/NAME/0.json           answers for the test tracks of the fold
    RUN/fold-0/networks/NAME/0.1/member-0/    a training, deleted after its answers are written; the
                                              fold's own training, after the fold's checkpoint

A recipe that was stopped resumes from these files and trains no network twice.
"""

import dataclasses
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Float

from kit.catalogue import Catalogue
from kit.config import Experiment, FeatureConfig, replaced, to_dict
from kit.errors import KitError
from kit.evaluation.baselines.folds import Answered, Baseline, Fold, Task
from kit.features import FeatureStore, store_path
from kit.features.log_mel import log_mel_row
from kit.files import read_json, write_json
from kit.models import Network, check
from kit.shallow.networks import row_of
from kit.training import Run, TrainingProgress
from kit.training.collection import Collection
from kit.training.data import CHUNK, Held, aligned
from kit.training.epoch import choose
from kit.training.loop import train_run
from kit.training.members import SEEDS
from kit.training.placement import room_gib
from kit.training.restore import trained_member, trees_of
from kit.training.scaling import make_scaling
from kit.training.scores import SegmentScores
from kit.training.segments import grid
from kit.training.small import Ensemble
from kit.training.step import make_predict_step
from kit.training.transfer import SIZE, Start, cached, published

FOLDER = "networks"  # in the folder of a fold
MEMORY_GIB = 4.0

Say = Callable[[str, float], None]
"""Called with a note on the work for a fold's test tracks, and with the finished share."""


@dataclass(frozen=True, eq=False)
class Trainee:
    """A network to train, with its inputs of all tracks.

    Attributes:
        name: of the network.
        experiment: its configuration.
        collection: the tracks, in any split.
        network: its functions.
        start: published weights to start from, or None.
    """

    name: str
    experiment: Experiment
    collection: Collection
    network: Network
    start: Start | None

    @classmethod
    def of(
        cls,
        name: str,
        experiment: Experiment,
        collection: Collection,
        catalogue: Catalogue,
        stored: FeatureConfig,
        progress: Callable[[int, int], None],
    ) -> "Trainee":
        """Compute a network's input of each track, and the outputs of its frozen layers.

        Raises:
            KitError: the published weights are missing.
        """
        features, frames = experiment.features, experiment.segments.frames
        outputs, bands = experiment.train.outputs(len(collection.labels)), features.frontend.n_mels
        network = check(experiment.model, frames, bands, outputs)
        found = published(experiment.model)
        store, ids = FeatureStore.open(store_path(catalogue, stored)), list(collection.rows)
        shape = (len(ids), features.row_frames, bands)
        table, valid = aligned(shape, np.dtype(np.float32)), []
        for first in range(0, len(ids), CHUNK):
            chunk = ids[first : first + CHUNK]
            for row, count in zip(store.read(chunk), store.frames(chunk), strict=True):
                table[len(valid)], n = log_mel_row(row[:count], stored, features, frames)
                valid.append(n)
                progress(len(valid), len(ids))
        own = dataclasses.replace(
            collection,
            source=Held(table),
            rows={track: at for at, track in enumerate(ids)},
            frames=dict(zip(ids, valid, strict=True)),
            n_mels=bands,
            gain=1.0,
            offset=0.0,
            folds=None,
        )
        start = None
        if found:
            room = room_gib(MEMORY_GIB)
            path = choose(own.nbytes, room, jax.default_backend())
            about = (experiment, own, network, found[0], path, room, progress)
            start = Start(found[0], cached(*about))
        return cls(name, experiment, own, network, start)

    def candidate(self, table: pd.DataFrame, run: Run, outer: str, say: Say) -> Baseline:
        """Return the baseline that trains the network on the training tracks of a fold.

        `table` has the task's tracks in order. Folds named otherwise than `outer` are its inner
        folds.
        """
        folder = run.folder / FOLDER / self.name

        def answer(fold: Fold, task: Task) -> Answered:
            inner = fold.name != outer
            ids = table["track_id"].iloc[fold.test].tolist()
            where = f"inner fold {int(fold.name.rpartition('.')[2]) + 1}, " if inner else ""
            file = folder / f"{fold.name}.json"
            known = _read(file, ids, self.collection.labels)
            if known is not None and inner:
                say(f"{where}done before", 1.0)
                return Answered(known)
            began = time.process_time()
            place = folder / fold.name
            learned = table.iloc[fold.train][["track_id", "label", "group"]].assign(part="train")
            ensemble = self._trained(place, learned, lambda note, p: say(f"{where}{note}", p))
            rows = np.array([self.collection.rows[track] for track in ids])
            frames = np.array([self.collection.frames[track] for track in ids], np.int32)
            p = self._probabilities(ensemble, rows, frames)
            content = {"tracks": ids, "labels": list(self.collection.labels)}
            cpu_s = round(time.process_time() - began, 2)
            write_json(file, {**content, "probabilities": p.tolist(), "cpu_s": cpu_s})
            say(f"{where}done", 1.0)
            if inner:
                shutil.rmtree(place)
                return Answered(p)
            return Answered(p, {}, (ensemble,))

        return Baseline(row_of(self.name), answer)

    def _trained(self, place: Path, parts: pd.DataFrame, say: Say) -> Ensemble:
        """Train all members that are not trained yet on the tracks of `parts`."""
        config = self.experiment.train
        here = dataclasses.replace(self.collection, parts=parts)
        members = []
        for number in range(config.members):
            alone = replaced(self.experiment, "train.members", 1)
            alone = replaced(alone, "train.seed", (config.seed + number) % SEEDS)
            run = Run(place / f"member-{number}")
            if not run.is_run:
                run.folder.mkdir(parents=True, exist_ok=True)
                run.write(parts, {"experiment": to_dict(alone), "data": {}})
            if not run.finished():
                note = partial(self._note, number, say)
                train_run(alone, here, self.network, run, MEMORY_GIB, None, note, self.start)
            members.append(trained_member(run))
        return Ensemble(self.name, tuple(members))

    def _probabilities(
        self, ensemble: Ensemble, rows: np.ndarray, frames: np.ndarray
    ) -> Float[np.ndarray, "tracks classes"]:
        """Return the answers of trained networks for rows of the collection."""
        cache = self.start.cache if self.start else None
        if cache is None:
            return ensemble.probabilities(self.collection.source.rows(rows), frames)
        # Use the cached outputs of the frozen layers, which take most of the time.
        config = self.experiment
        starts = [grid(int(n), config.features.n_frames, config.segments) for n in frames]
        counts = [len(each) for each in starts]
        keys = np.repeat(rows, counts) * cache.span + np.concatenate(starts)
        places = np.searchsorted(cache.keys, keys)
        # Equal shapes in all folds avoid another compilation.
        batches = np.resize(places, (-(-len(places) // SIZE), SIZE))
        step, plain = make_predict_step(self.network.at("trained")), make_scaling()
        each = []
        for member in ensemble.members:
            trees = trees_of(member.arrays)
            found = [step(*trees, jnp.asarray(cache.outputs.rows(b)), plain) for b in batches]
            log_p = np.concatenate([np.asarray(one) for one in found])[: len(places)]
            scores = SegmentScores(np.split(log_p, np.cumsum(counts)[:-1]))
            each.append(np.exp(scores.of_tracks()))
        return np.mean(each, axis=0)

    def _note(self, number: int, say: Say, p: TrainingProgress) -> None:
        members = self.experiment.train.members
        member = f"member {number + 1}/{members}, " if members > 1 else ""
        epoch = f"epoch {p.epoch + 1}/{self.experiment.train.epochs}"
        # Report 1.0 only after the answers are on disk.
        share = 0.99 * (number + p.step / p.total_steps) / members
        say(f"{self.name}, {member}{epoch}", share)


def forget(run: Run) -> None:
    """Delete the trainings of a fold whose checkpoint is written; keep the answers."""
    for place in (run.folder / FOLDER).glob("*/*"):
        if place.is_dir():
            shutil.rmtree(place)


def kept(
    run: Run, ids: Sequence[str], labels: tuple[str, ...], task: Task, notes: list[str]
) -> list[Baseline]:
    """Return the networks of a run by the recipe, with stored answers; notes on the others."""
    found: list[Baseline] = []
    names = sorted({file.parent.name for file in run.folder.glob(f"fold-*/{FOLDER}/*/*.json")})
    for name in names:
        each = {}
        for fold in task.folds:
            file = run.folder / f"fold-{fold.name}" / FOLDER / name / f"{fold.name}.json"
            each[fold.name] = _read(file, [ids[int(at)] for at in fold.test], labels)
        if any(p is None for p in each.values()):
            notes.append(f"left out: {name}, which has not answered all tracks of the run")
            continue

        def answer(fold: Fold, _: Task, each: Mapping[str, Any] = each) -> Answered:
            return Answered(each[fold.name])

        found.append(Baseline(row_of(name), answer))
    return found


def _read(
    file: Path, ids: Sequence[str], labels: tuple[str, ...]
) -> Float[np.ndarray, "tracks classes"] | None:
    """Return the answers for these tracks; None if the file lacks one."""
    if not file.is_file():
        return None
    try:
        found = read_json(file)
        p = pd.DataFrame(found["probabilities"], found["tracks"], found["labels"], dtype=float)
        return p.loc[list(ids), list(labels)].to_numpy()
    except (KitError, KeyError, TypeError, ValueError):
        return None
