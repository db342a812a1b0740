"""`kit train`."""

import dataclasses
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from kit.cli.arguments import (
    CatalogueFolder,
    Flag,
    ModelName,
    Rights,
    Runs,
    require_catalogue,
)
from kit.config import (
    Conv1DConfig,
    DistributedConfig,
    Experiment,
    FeatureConfig,
    SegmentConfig,
    SplitConfig,
    TrainConfig,
)
from kit.errors import UsageError


def train(
    catalogue: CatalogueFolder,
    name: str = "train",
    recipe: Literal["small"] | None = None,
    runs: Runs = Path("runs"),
    fresh: Flag = False,
    memory_gib: float = 4.0,
    i_have_the_rights_to_this_audio: Rights = False,
    train: TrainConfig = TrainConfig(),
    split: SplitConfig = SplitConfig(),
    model_name: ModelName = "conv1d",
    model: Any = Conv1DConfig(),
    segments: SegmentConfig = SegmentConfig(),
    features: FeatureConfig = FeatureConfig(),
    distributed: Annotated[DistributedConfig, tyro.conf.FlagCreatePairsOff] = DistributedConfig(),
) -> int:
    """Train a network on a catalogue.

    Missing features are computed first. If the command is stopped, run it again to resume. The
    run's folder is printed.

    Your own network is a frozen dataclass of options with a method build. Its fields become flags:
    kit train data/mine --model.name my_models.py:Mine --help

    Example: kit train data/mine --split.by track --train.epochs 40

    Example: kit train data/mine --split.folds 5 --train.members 4

    Example: kit train data/mine --recipe small

    Example: kit train data/mine --recipe small --model.networks short_chunk musicnn

    Args:
        name: Name of the folder under RUNS.
        recipe: small, for 30 to 150 tracks per label: instead of a network, train simple
            classifiers on statistics and on frozen musicnn layers. Cross-validation inside each of
            five folds chooses the best one or their average, without any test track.
            --model.networks adds networks. Excerpts, --split, --train.seed and the --model flags
            that --recipe small --help shows apply; other training flags have no effect.
        fresh: Start a new run even if one with the same configuration exists.
        memory_gib: Keep features up to this size, GiB, and up to half of the device's memory, on
            the device (in main memory on a CPU). Larger ones are read batch by batch. The result is
            the same.
        train: Options of the training.
        split: How tracks are split into training, validation and test.
        model: Options of the network.
        segments: Length and draw of the network's input.
        features: Excerpts and front end.
        distributed: Train one network in several processes, on one or several machines: start the
            same command once for each process.
    """
    require_catalogue(catalogue)
    if recipe is None:
        experiment = Experiment(name, str(catalogue), features, split, segments, model, train)
    elif train.several:
        raise UsageError(
            "--recipe small needs one label per track; leave out --train.labels several"
        )
    else:
        about = {"name": name, "features": features, "split": split, "seed": train.seed}
        experiment = by_recipe(catalogue, model, **about)
    from kit.catalogue import load
    from kit.cli.stages.training import say_next
    from kit.cli.stages.training import train as stage
    from kit.training.processes import is_first, joined

    # Connect the processes before anything is computed.
    with joined(distributed):
        run = stage(
            experiment,
            load(catalogue),
            runs=runs,
            fresh=fresh,
            memory_gib=memory_gib,
            rights=i_have_the_rights_to_this_audio,
        )
        if is_first():
            say_next(run)
            sys.stdout.write(f"{run.folder}\n")
    return 0


def by_recipe(catalogue: Path, model: Any = None, **options: Any) -> Experiment:
    """Call `kit.small_set`, without musicnn if its weights are missing."""
    from kit import terminal
    from kit.shallow.recipe import WITHOUT, SmallSetConfig, small_set
    from kit.weights.musicnn import weights_file

    chosen = model if isinstance(model, SmallSetConfig) else SmallSetConfig()
    if chosen.weights and not weights_file(chosen.weights).is_file():
        terminal.warn(WITHOUT)
        chosen = dataclasses.replace(chosen, weights=None)
    return small_set(catalogue, model=chosen, **options)
