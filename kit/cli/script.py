"""Give a script in experiments/ its own command line."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import tyro

from kit.cli.arguments import Flag, Rights, Runs
from kit.cli.flags import ROOTS, typed_flags
from kit.config import Experiment
from kit.in_words import in_words


def run_script(experiment: Experiment) -> Any:
    """Run an experiment with the flags of the script: features, training, evaluation and report.

    Each field of the configuration is a flag, and so are --runs, --fresh, --debug and
    --i-have-the-rights-to-this-audio.

    Returns:
        The `kit.training.Run`.
    Raises:
        SystemExit: an error occurred; its message was printed.

    Example:
        >>> import sys
        >>> sys.argv = ["mine.py", "--train.epochs", "0"]
        >>> kit.run_script(kit.Experiment())
        Traceback (most recent call last):
            ...
        SystemExit: 2
    """

    def script(
        experiment: Annotated[Experiment, tyro.conf.arg(name="")] = experiment,
        runs: Runs = Path("runs"),
        fresh: Flag = False,
        i_have_the_rights_to_this_audio: Rights = False,
    ) -> Any:
        """Run the experiment.

        Args:
            experiment: The configuration.
            fresh: Start a new run even if one with the same configuration exists.
        """
        from kit.catalogue import load
        from kit.cli.stages.evaluation import evaluate
        from kit.cli.stages.training import train

        catalogue = load(Path(experiment.catalogue))
        rights = i_have_the_rights_to_this_audio
        run = train(experiment, catalogue, runs=runs, fresh=fresh, rights=rights)
        evaluate(run, catalogue=catalogue)
        return run

    return as_script(script, {type(experiment.model): "model."})


def as_script(function: Callable[..., Any], roots: dict[type, str]) -> Any:
    """Run a function with the script's flags as its arguments.

    Args:
        function: its parameters and docstring define the flags and their help.
        roots: other dataclasses among its parameters, with the prefix of their fields' flags.
    Raises:
        SystemExit: --help, or an error occurred; its message was printed.
    """
    arguments = sys.argv[1:]
    with in_words(debug="--debug" in arguments), typed_flags({**ROOTS, **roots}):
        return tyro.cli(function, args=[a for a in arguments if a != "--debug"])
