"""Train an experiment: one network, or one for each fold and member."""

import ast
import contextlib
import dataclasses
import inspect
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax

from kit.catalogue import Catalogue, load
from kit.config import MODELS, Experiment, replaced
from kit.lock import only_one
from kit.models import Network, check
from kit.training import folders, processes
from kit.training.collection import Collection, open_collection
from kit.training.epoch import choose
from kit.training.loop import TrainingProgress, train_run
from kit.training.members import place_in_words, planned
from kit.training.placement import room_gib
from kit.training.run import Run
from kit.training.stopping import require_validation
from kit.training.transfer import Start, cached, published

Learn = Callable[[Experiment, Collection, Run, Callable[[TrainingProgress], None] | None], None]
"""Function of an experiment, a collection in its split, a run and `progress` that writes the run's
checkpoint."""


def fit(
    experiment: Experiment,
    *,
    catalogue: Catalogue | None = None,
    runs: Path | str = "runs",
    fresh: bool = False,
    rights: bool = False,
    memory_gib: float = 4.0,
    progress: Callable[[TrainingProgress], None] | None = None,
) -> Run:
    """Train a network, resume an interrupted training, or return the finished run.

    The same experiment on the same files has one folder under `runs`. A resumed training ends with
    the same parameters as an uninterrupted one, bit for bit. With folds or members, each network
    has a folder of its own inside the run's; finished networks are not trained again.

    Args:
        experiment: the configuration; the features must have been extracted.
        catalogue: tracks; loaded from `experiment.catalogue` if None.
        runs: folder of the run folders.
        fresh: start a new run even if one exists.
        rights: state a right to train on the catalogue's audio from Spotify; config.json keeps the
            statement.
        memory_gib: largest features, GiB, that are held on the device (at most half its memory) or
            in the memory of a CPU; larger ones are read batch by batch, with the same result.
        progress: called after each step; on GPU and TPU, after each block of steps.
    Raises:
        UsageError: audio from Spotify has no stated right, or the split is impossible.
        ConfigError: the network cannot be built or refuses the segments.
        KitError: features are missing, another process trains this run, a loss is not finite, or a
            folder cannot be written.
    """
    if catalogue is None:
        catalogue = load(Path(experiment.catalogue))
    experiment = replaced(experiment, "catalogue", str(catalogue.folder.resolve()))
    collection, statement = open_collection(experiment, catalogue, rights=rights)
    return train(
        experiment,
        collection,
        runs=Path(runs),
        fresh=fresh,
        statements=[statement] if statement else [],
        memory_gib=memory_gib,
        progress=progress,
    )


@processes.together()
def train(
    experiment: Experiment,
    collection: Collection,
    *,
    runs: Path,
    fresh: bool = False,
    statements: Sequence[str] = (),
    memory_gib: float = 4.0,
    scan: bool | None = None,
    progress: Callable[[TrainingProgress], None] | None = None,
    learn: Learn | None = None,
) -> Run:
    """Train on a collection.

    Args:
        collection: tracks, labels and features.
        statements: statements of rights that the run keeps.
        scan: run many steps in one program; None does so on GPU and TPU (`kit.training.epoch`).
        learn: function that trains in place of a network's steps.
        The others: as for `fit`.
    """
    found = published(experiment.model)
    if found:
        facts = {**collection.facts, "weights": found[1]}
        collection = dataclasses.replace(collection, facts=facts)
    plan = planned(experiment, collection)
    for _, one in plan.trainings():
        require_validation(one.experiment, one.table["part"].tolist())
    outputs = experiment.train.outputs(len(collection.labels))
    network, code = None, ""
    if learn is None:
        network = check(experiment.model, experiment.segments.frames, collection.n_mels, outputs)
        code = found[1]["sha256"] if found else _code(experiment.model, network)
    key = folders.identity(experiment, collection.sources, plan.table, code)
    place = runs / experiment.name
    lock = only_one(place / f".{key}", "trains", name=f"this experiment in {place}")
    with contextlib.ExitStack() as held:

        def begin() -> tuple[str, list[int]]:
            """Find or make the run; return its folder and the numbers of unfinished networks."""
            run = None if fresh else folders.find(experiment, key, runs)
            if run is None or not run.finished():
                held.enter_context(lock)
                run = None if fresh else folders.find(experiment, key, runs)
                run = run or folders.create(plan, key, runs, statements=statements)
            run.add_statements(statements)
            todo = [n for n, (at, _) in enumerate(networks) if not Run(run.folder / at).finished()]
            return str(run.folder), todo

        networks = list(plan.trainings())
        memory_gib = room_gib(memory_gib)
        folder, todo = processes.agreed(begin)
        run = Run(Path(folder))
        path = choose(collection.nbytes, memory_gib, jax.default_backend(), scan)
        if todo and network and path.resident:
            # Read once for all networks.
            collection = collection.held()
        start = None
        if found and todo and network:
            said = _said_frozen(progress, path.reason, len(networks))
            cache = cached(experiment, collection, network, found[0], path, memory_gib, said)
            start = Start(found[0], cache)
        for number in todo:
            at, one = networks[number]
            said = _said(progress, number, len(networks), place_in_words(at, plan))
            here = dataclasses.replace(collection, parts=one.table)
            inner = Run(run.folder / at)
            if learn:
                learn(one.experiment, here, inner, said)
            elif network:
                train_run(one.experiment, here, network, inner, memory_gib, scan, said, start)
    return run


def _said(
    progress: Callable[[TrainingProgress], None] | None, trained: int, networks: int, place: str
) -> Callable[[TrainingProgress], None] | None:
    """Return `progress` for one network of several."""
    if progress is None or networks == 1:
        return progress
    return lambda p: progress(
        dataclasses.replace(p, trained=trained, networks=networks, place=place)
    )


def _said_frozen(
    progress: Callable[[TrainingProgress], None] | None, reason: str, networks: int
) -> Callable[[int, int], None] | None:
    """Return a callback that reports the segments whose frozen layers are computed."""
    if progress is None:
        return None
    state = TrainingProgress(0, 1, 0, {}, reason, networks=networks)
    return lambda done, total: progress(
        dataclasses.replace(state, place=f"frozen layers {done}/{total}")
    )


def _code(model: Any, network: Network) -> str:
    """Return the source of a user's model, since an edited model is another experiment."""
    if type(model) in MODELS.values():
        return ""
    sources = []
    for cls in (type(model), network.module):
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
        except (OSError, TypeError, SyntaxError):
            continue  # defined in a shell or a compiled module
        sources.append(ast.unparse(tree))
    return "\n".join(sources)
