"""Train what an experiment asks for: one network, or one for each fold and member."""

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
from kit.training.loop import Progress, train_run
from kit.training.placement import room_gib
from kit.training.plan import place_in_words, planned
from kit.training.run import Run
from kit.training.stopping import require_validation
from kit.training.transfer import Start, cached, published

Learn = Callable[[Experiment, Collection, Run, Callable[[Progress], None] | None], None]
"""From an experiment, a collection in its split and an empty run to a run with a checkpoint."""


def fit(
    experiment: Experiment,
    *,
    catalogue: Catalogue | None = None,
    runs: Path | str = "runs",
    fresh: bool = False,
    rights: bool = False,
    memory_gib: float = 4.0,
    progress: Callable[[Progress], None] | None = None,
) -> Run:
    """Train a network, resume a training that was interrupted, or find the finished run.

    The same experiment on the same files has one folder under `runs`. Stopped at any instant and
    called again, it ends in the same parameters, bit for bit, as if it had never been stopped.
    With folds or members it trains one network after another, each into a folder of its own inside
    the run's; those that are finished are not trained again.

    Args:
        experiment: the configuration; the features must have been extracted.
        catalogue: the tracks; loaded from `experiment.catalogue` if not given.
        runs: where run folders are made.
        fresh: start a new run even if there is one.
        rights: state a right to train on all of the catalogue's audio; config.json keeps the
            statement where there is audio that needs one.
        memory_gib: features up to this size, GiB, and up to half of the device's memory, are held
            on the device, or in memory if the device is the CPU; larger ones are read batch by
            batch. The result is the same.
        progress: called after each step; on GPU and TPU, after each block of steps.
    Raises:
        UsageError: audio from Spotify, and no right to it stated (`kit.catalogue.rights`); or a
            split that cannot be made.
        ConfigError: a network that cannot be built, or does not take the segments.
        KitError: no features, another process at work on this run, a loss that is not finite, or
            a folder that cannot be written.
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
    progress: Callable[[Progress], None] | None = None,
    learn: Learn | None = None,
) -> Run:
    """Train on a collection; `fit` and `fit_arrays` describe the other arguments and errors.

    Args:
        experiment: as for `fit`.
        collection: tracks, labels and features.
        runs: as for `fit`.
        fresh: as for `fit`.
        statements: statements of rights that the run keeps.
        memory_gib: as for `fit`.
        scan: run many steps in one program; None to do so on GPU and TPU (`kit.training.epoch`).
        progress: as for `fit`.
        learn: what makes the checkpoint of one training, in place of steps of a network.
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
            """Find or make the run, and return its folder and the networks to train."""
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
    progress: Callable[[Progress], None] | None, trained: int, networks: int, place: str
) -> Callable[[Progress], None] | None:
    """Return `progress` for one network of several."""
    if progress is None or networks == 1:
        return progress
    return lambda p: progress(
        dataclasses.replace(p, trained=trained, networks=networks, place=place)
    )


def _said_frozen(
    progress: Callable[[Progress], None] | None, reason: str, networks: int
) -> Callable[[int, int], None] | None:
    """Return a callback for the segments whose frozen layers are computed."""
    if progress is None:
        return None
    return lambda done, total: progress(
        Progress(0, 1, 0, {}, reason, networks=networks, place=f"frozen layers {done}/{total}")
    )


def _code(model: Any, network: Network) -> str:
    """Return the source of a model that is not kit's own: edited, it is another experiment."""
    if type(model) in MODELS.values():
        return ""
    sources = []
    for cls in (type(model), network.module):
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
        except (OSError, TypeError, SyntaxError):
            continue  # defined in a shell, or in a compiled module
        sources.append(ast.unparse(tree))
    return "\n".join(sources)
