"""A whole experiment on a catalogue that is there."""

from pathlib import Path
from typing import Annotated

from kit.config import Experiment
from kit.in_words import in_words
from kit.pipeline.evaluate import evaluate
from kit.pipeline.train import train
from kit.training import Run


def run(
    experiment: Experiment, *, runs: Path = Path("runs"), fresh: bool = False, rights: bool = False
) -> Run:
    """A whole experiment: features, training, evaluation and its report.

    `rights` states a right to train on the catalogue's audio, as in `kit.pipeline.train`.
    """
    trained = train(experiment, runs=runs, fresh=fresh, rights=rights)
    evaluate(trained.folder)
    return trained


def run_script(experiment: Experiment) -> Run:
    """`run` for a file of experiments/: each field of the configuration is a flag of the script,
    and so is --i-have-the-rights-to-this-audio.

    Raises:
        SystemExit: an error, which has been told in words.
    """
    import tyro

    def script(
        experiment: Annotated[Experiment, tyro.conf.arg(name="")] = experiment,
        i_have_the_rights_to_this_audio: tyro.conf.FlagCreatePairsOff[bool] = False,
    ) -> Run:
        """Run the experiment.

        Args:
            experiment: The configuration.
            i_have_the_rights_to_this_audio: State a right to train on audio that came from
                Spotify, whose Developer Policy, section III.14, forbids it; kept with the run.
        """
        return run(experiment, rights=i_have_the_rights_to_this_audio)

    with in_words():
        return tyro.cli(script)
