"""`kit lr-find`."""

import sys
from typing import Any

from kit.cli.arguments import (
    CatalogueFolder,
    ModelName,
    PathOrNot,
    Rights,
    opened,
)
from kit.config import (
    Conv1DConfig,
    Experiment,
    FeatureConfig,
    SegmentConfig,
    SplitConfig,
    TrainConfig,
)


def lr_find(
    catalogue: CatalogueFolder,
    steps: int = 150,
    lowest: float = 1e-6,
    highest: float = 1.0,
    out: PathOrNot = None,
    i_have_the_rights_to_this_audio: Rights = False,
    train: TrainConfig = TrainConfig(),
    split: SplitConfig = SplitConfig(),
    model_name: ModelName = "conv1d",
    model: Any = Conv1DConfig(),
    segments: SegmentConfig = SegmentConfig(),
    features: FeatureConfig = FeatureConfig(),
) -> int:
    """Suggest a learning rate by a range test.

    The learning rate grows exponentially from step to step until the loss diverges. The suggestion,
    which is printed, is a tenth of the rate with the lowest smoothed loss. It depends on optimiser,
    batch size and network, so pass the flags of your training. Missing features are computed first.
    No run is written.

    Example: kit lr-find data/mine --train.optimiser.name adamw

    Args:
        steps: Steps from the lowest rate to the highest.
        lowest: First learning rate.
        highest: Last learning rate; the test ends earlier if the loss diverges.
        out: Folder of lr_find.svg and lr_find.csv; CATALOGUE/lr_find if not given.
        train: Options of the training.
        split: How tracks are split into training, validation and test.
        model: Options of the network.
        segments: Length and draw of the network's input.
        features: Excerpts and front end.
    """
    tracks = opened(catalogue)
    experiment = Experiment("lr_find", str(catalogue), features, split, segments, model, train)
    rights = i_have_the_rights_to_this_audio
    import pandas as pd

    from kit import terminal
    from kit.catalogue.rights import require_audio_rights
    from kit.cli.stages.features import compute
    from kit.evaluation import figures
    from kit.files import atomic_write
    from kit.plots.style import save
    from kit.training.lr_find import lr_find as range_test

    # Fail before hours of work; `range_test` checks the tracks that it trains on again.
    require_audio_rights(tracks, stated=rights)
    compute(tracks, features, segments=segments, brief=True)
    with terminal.bar("lr-find") as update:
        found = range_test(
            experiment,
            tracks,
            rights=rights,
            progress=update,
            steps=steps,
            lowest=lowest,
            highest=highest,
        )
    table = {"learning_rate": found.rates, "loss": found.losses, "smoothed_loss": found.smoothed}
    out = out or catalogue / "lr_find"
    with atomic_write(out / "lr_find.csv") as stream:
        pd.DataFrame(table).to_csv(stream, index=False, lineterminator="\n")
    picture = save(figures.range_test(found), out / "lr_find.svg")
    end = "the loss diverged" if found.diverged else "the highest rate was reached"
    terminal.say(f"{len(found.rates)} steps up to {found.rates[-1]:.2g}, where {end}: {picture}")
    if found.suggestion is None:
        terminal.say("no suggestion: the loss does not fall; try more --steps or other rates")
        return 0
    terminal.say(
        f"the smoothed loss is lowest at {10 * found.suggestion:.2g}; a tenth of it: "
        f"try --train.learning-rate {found.suggestion:.2g}"
    )
    sys.stdout.write(f"{found.suggestion:.2g}\n")
    return 0
