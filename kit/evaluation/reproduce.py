"""How to reproduce a run: versions, commands, and the number of uses of its test part."""

import platform
import shlex
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax

from kit import __version__
from kit.config import Experiment, MusicnnConfig, identity, to_dict
from kit.defaults import for_weights
from kit.errors import KitError
from kit.evaluation.parts import Part
from kit.evaluation.words import flat
from kit.files import read_json
from kit.shallow.recipe import SmallSetConfig, small_set
from kit.training import Restored, Run

LIBRARIES = ("jax", "jaxlib", "flax", "optax", "numpy", "scipy", "scikit-learn")
_NAME = "train"
"""The default of `kit train --name`."""
_BY_RECIPE = ("features.keep", "features.dtype", "features.n_frames", "split.validation_fraction")


def reproduction(
    run: Run,
    restored: Restored,
    part: Part,
    catalogue: Path | None,
    labels_map: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return `made_with` of evaluation.json."""
    command = ["kit", "evaluate", str(run.folder)]
    if catalogue is not None:
        command += ["--catalogue", str(catalogue)]
    if part != "test":
        command += ["--part", part]
    for theirs, ours in (labels_map or {}).items():
        command += ["--labels-map", f"{theirs}={ours}"]
    if restored.which != "best":
        command += ["--checkpoint", restored.which]
    experiment = restored.experiment
    from_arrays = restored.from_arrays or not experiment.catalogue
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": jax.devices()[0].device_kind,
        "versions": {"kit": __version__, **{name: version(name) for name in LIBRARIES}},
        "train": None if from_arrays else train_command(experiment),
        "evaluate": None if from_arrays else shlex.join(command),
    }


def train_command(experiment: Experiment) -> str:
    """Return the `kit train` command of an experiment, with the flags that differ from defaults."""
    command = ["kit", "train", experiment.catalogue]
    if experiment.name != _NAME:
        command += ["--name", experiment.name]
    model = to_dict(experiment)["model"]
    if isinstance(experiment.model, SmallSetConfig):
        command += ["--recipe", "small"]
        usual = small_set(experiment.catalogue)
    else:
        name = model["name"]
        if file := model.get("file"):
            name = f"{file}:{name.rpartition(':')[2]}"
        command += [] if name == "conv1d" else ["--model.name", name]
        usual = _usual(experiment)
    before = {} if usual is None else flat(to_dict(usual))
    # Published weights change defaults, but are not a default themselves.
    before["model.transfer"] = "none"
    for key, value in flat(to_dict(experiment)).items():
        stated = key in ("name", "catalogue", "model.name", "model.file")
        if not stated and not _derived(key, experiment) and before.get(key, ...) != value:
            command += _flag(key, value)
    return shlex.join(command)


def configurations_tried(run: Run, tracks: Sequence[Mapping[str, Any]]) -> int:
    """Return the number of configurations that were scored on the same test tracks.

    It counts this run, and the other runs in the same folder of runs.
    """
    own = _scored(tracks)
    found = {_configuration(run)}
    for path in sorted(run.folder.resolve().parent.parent.glob("*/*/evaluation.json")):
        try:
            if _scored(read_json(path)["tracks"]) == own:
                found.add(_configuration(Run(path.parent)))
        except (KitError, KeyError, TypeError):
            continue  # a damaged file, or a file of another program
    return len(found)


def _scored(tracks: Sequence[Mapping[str, Any]]) -> set[tuple[str, str]]:
    return {(track["track_id"], track["label"]) for track in tracks}


def _configuration(run: Run) -> str:
    about = identity(run.experiment())
    return repr({key: value for key, value in about.items() if key not in ("name", "catalogue")})


def _usual(experiment: Experiment) -> Experiment | None:
    """Return the defaults of `kit train` for a network; None if its options have none."""
    if isinstance(experiment.model, MusicnnConfig):
        model = MusicnnConfig(transfer=experiment.model.transfer)
        return Experiment(model=model, **for_weights(model))
    try:
        return Experiment(model=type(experiment.model)())
    except TypeError:
        return None


def _derived(key: str, experiment: Experiment) -> bool:
    """Return whether the recipe for small sets sets a field, for which there is no flag."""
    if not isinstance(experiment.model, SmallSetConfig):
        return False
    given = key.startswith(("features.", "split.", "model.")) or key == "train.seed"
    return not given or key in _BY_RECIPE


def _flag(key: str, value: Any) -> list[str]:
    stage, _, name = key.replace("_", "-").rpartition(".")
    if isinstance(value, bool):
        return [f"--{stage}.{name}" if value else f"--{stage}.no-{name}"]
    if isinstance(value, list):
        return [f"--{stage}.{name}", *map(str, value)]
    return [f"--{stage}.{name}", str(value)]
