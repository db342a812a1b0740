"""`kit demo`."""

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import tyro

from kit.cli.arguments import Flag, PathOrNot, Runs
from kit.config import DemoConfig, MixConfig, TrainConfig, replaced
from kit.defaults import DEMO, SMALL_DEMO, for_length
from kit.errors import KitError, UsageError


def demo(
    demo: DemoConfig = DemoConfig(),
    train: TrainConfig = DEMO.train,
    data: PathOrNot = None,
    runs: Runs = Path("runs"),
    small: Flag = False,
    fresh: Flag = False,
    render_mix: Annotated[Flag, tyro.conf.arg(name="mix")] = False,
    mix: MixConfig = MixConfig(),
) -> int:
    """See the whole job on synthetic techno and EDM, without an account or a network.

    Render MP3 files, scan them, compute features, train a network for each quarter of the artists
    on the others, restore the checkpoints in a new process, evaluate them and write a report. Steps
    that are done already are skipped.

    Example: kit demo --mix, then kit timeline demo data/demo/mix-90min-1000.mp3

    Args:
        demo: The tracks that are rendered.
        train: How the network is trained.
        data: Folder of the rendered tracks and their features: data/demo, or data/demo-small.
        small: Render 72 tracks of 15 s instead and train one network, in a third of the time, to
            try an installation. It is tested on six artists, too few for a claim.
        fresh: Start over: render, scan and train anew.
        render_mix: Render a DJ mix of further tracks instead, and its truth as CSV: which track
            plays when. The demo has not been trained on them.
        mix: The mix.
    """
    if render_mix:
        return _mix(mix, data or Path(DEMO.catalogue), fresh)
    preset = DEMO
    if small:
        preset = SMALL_DEMO
        if demo != DemoConfig():
            raise UsageError("--small chooses the tracks; leave out the flags --demo.…")
        demo = DemoConfig(tracks=72, artists=24, duration_s=15.0)
    data = data or Path(preset.catalogue)
    experiment = dataclasses.replace(preset, catalogue=str(data), train=train)
    experiment = for_length(experiment, demo.duration_s)
    if demo.artists < 6:
        raise UsageError(
            f"DemoConfig.artists is {demo.artists}; to have one of each genre in every part of a "
            "split by artist it must be at least 6"
        )
    if preset.split.folds:
        folds = min(preset.split.folds, demo.artists // 2)
        experiment = replaced(experiment, "split.folds", folds)
    from kit import terminal
    from kit.catalogue import load
    from kit.cli.scan import scan
    from kit.cli.stages.training import train as stage
    from kit.demo import render
    from kit.features import FeatureStore, store_path

    with terminal.bar("render") as progress:
        audio = render(demo, data, fresh=fresh, progress=progress)
    scan((audio,), data)
    catalogue = load(data)
    if fresh:
        FeatureStore.delete(store_path(catalogue, experiment.features))
    run = stage(experiment, catalogue, runs=runs, fresh=fresh)
    # A new process has the files of the run and nothing else.
    command = [sys.executable, "-m", "kit", "evaluate", str(run.folder)]
    if subprocess.run(command, check=False, stderr=_stderr()).returncode:
        raise KitError(f"the evaluation failed; try it alone: kit evaluate {run.folder}")
    return 0


def _mix(config: MixConfig, data: Path, fresh: bool) -> int:
    from kit import terminal
    from kit.demo.dj import render_mix

    with terminal.bar("render") as progress:
        audio, truth = render_mix(config, data, fresh=fresh, progress=progress)
    terminal.say(f"wrote {audio}, and its truth {truth}")
    sys.stdout.write(f"{audio}\n")
    return 0


def _stderr() -> int | None:
    """Return the file descriptor of Python's stderr, which is not always 2; None in a notebook."""
    try:
        return sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):
        return None
