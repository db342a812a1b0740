"""Plan the networks that a command trains: one, or one for each fold and member."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import pandas as pd

from kit.catalogue.folds import fold_names, split_of_fold
from kit.config import Experiment, replaced
from kit.training.collection import Collection

SEEDS = 2**32


@dataclass(frozen=True)
class Plan:
    """A planned run and the runs inside it.

    Attributes:
        experiment: the configuration; a member's has its own seed, and `members` is 1.
        table: the split, or the folds of a run of folds.
        facts: facts for `Run.facts`.
        inside: inner runs by name of their folder; empty for a single network.
    """

    experiment: Experiment
    table: pd.DataFrame
    facts: Mapping[str, Any]
    inside: Mapping[str, "Plan"] = field(default_factory=dict)

    def trainings(
        self, at: PurePosixPath = PurePosixPath()
    ) -> Iterator[tuple[PurePosixPath, "Plan"]]:
        """Yield each network to train, with the path of its folder inside the run."""
        if not self.inside:
            yield at, self
        for name, inner in self.inside.items():
            yield from inner.trainings(at / name)


def planned(experiment: Experiment, collection: Collection) -> Plan:
    """Return the plan of an experiment on a collection.

    Raises:
        UsageError: a fold leaves no tracks for validation.
    """
    facts = {"labels": list(collection.labels), **collection.facts}
    folds = collection.folds
    if folds is None:
        return _members(experiment, collection.parts, facts)
    inside = {
        f"fold-{name}": _members(
            experiment,
            split_of_fold(folds, name, experiment.split, experiment.train.several),
            facts | {"fold": name},
        )
        for name in fold_names(folds)
    }
    return Plan(experiment, folds, facts, inside)


def _members(experiment: Experiment, parts: pd.DataFrame, facts: Mapping[str, Any]) -> Plan:
    count, seed = experiment.train.members, experiment.train.seed
    if count == 1:
        return Plan(experiment, parts, facts)
    alone = replaced(experiment, "train.members", 1)
    inside: dict[str, Plan] = {}
    for number in range(count):
        member = replaced(alone, "train.seed", (seed + number) % SEEDS)
        inside[f"member-{number}"] = Plan(member, parts, {**facts, "member": number})
    return Plan(experiment, parts, facts, inside)


def place_in_words(path: PurePosixPath, plan: Plan) -> str:
    """Return the place of a network, such as "fold 2/5, member 1/4"; empty for a single network."""
    said = []
    for name in path.parts:
        names = list(plan.inside)
        said.append(f"{name.partition('-')[0]} {names.index(name) + 1}/{len(names)}")
        plan = plan.inside[name]
    return ", ".join(said)
