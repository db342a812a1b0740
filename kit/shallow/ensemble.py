"""Classifiers of a track's vectors, and the weighted mean of their probabilities."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from jaxtyping import Float

from kit.shallow.classifiers import Classifier
from kit.shallow.dictionary import Dictionary
from kit.shallow.vectors import Vectors

DICTIONARY = "dictionary"
"""Name of the vector of a track's codes, which depend on a learned dictionary."""


@dataclass(frozen=True, eq=False)
class Part:
    """A classifier and its vector.

    Attributes:
        vector: one of `kit.shallow.vectors.KINDS`, `DICTIONARY`, or a layer of a network as
            "network/layer".
        classifier: classifier of that vector.
        dictionary: dictionary of the vector `DICTIONARY`.
        weight: weight in the mean; the weights of all parts add up to 1.
    """

    vector: str
    classifier: Classifier
    dictionary: Dictionary | None = None
    weight: float = 1.0

    def probabilities(
        self, vectors: Vectors, layers: Mapping[str, Float[np.ndarray, " _"]]
    ) -> Float[np.ndarray, " classes"]:
        """Return a track's probability of each label; `layers` have the names of `Part.vector`."""
        if self.dictionary is not None:
            x = self.dictionary.code(vectors.mel)
        elif self.vector in layers:
            x = layers[self.vector]
        else:
            x = getattr(vectors, self.vector)
        return self.classifier.probabilities(x[None])[0]


def mean(
    parts: Sequence[Part], vectors: Vectors, layers: Mapping[str, Float[np.ndarray, " _"]]
) -> Float[np.ndarray, " classes"]:
    """Return the weighted mean of the parts' probabilities; see `Part.probabilities`."""
    each = [part.weight * part.probabilities(vectors, layers) for part in parts]
    return np.sum(each, axis=0)


def saved(parts: Sequence[Part]) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
    """Return parts as JSON and arrays by path, for a checkpoint."""
    about = [
        {
            "vector": part.vector,
            "kind": part.classifier.kind,
            "classes": part.classifier.classes,
            "weight": part.weight,
        }
        for part in parts
    ]
    arrays: dict[str, np.ndarray] = {}
    for number, part in enumerate(parts):
        arrays |= {f"{number}/{name}": x for name, x in part.classifier.arrays.items()}
        if part.dictionary is not None:
            for field in fields(part.dictionary):
                arrays[f"{number}/dictionary/{field.name}"] = getattr(part.dictionary, field.name)
    return about, arrays


def below(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """Return the arrays whose paths begin with a prefix, by the rest of their paths."""
    return {
        path.removeprefix(prefix): np.asarray(array)
        for path, array in arrays.items()
        if path.startswith(prefix)
    }


def restored(
    about: Sequence[Mapping[str, Any]], arrays: Mapping[str, np.ndarray]
) -> tuple[Part, ...]:
    """Return the parts from the result of `saved`."""
    parts = []
    for number, one in enumerate(about):
        learned = below(arrays, f"{number}/dictionary/")
        own = {n: x for n, x in below(arrays, f"{number}/").items() if "/" not in n}
        parts.append(
            Part(
                one["vector"],
                Classifier(one["kind"], one["classes"], own),
                Dictionary(**learned) if learned else None,
                one["weight"],
            )
        )
    return tuple(parts)
