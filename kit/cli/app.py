"""Find the typed command, build its parser, and exit with its exit code."""

import atexit
import difflib
import gc
import importlib
import importlib.metadata
import inspect
import platform
import sys
from collections.abc import Callable, Sequence

from kit import __version__
from kit.cli.flags import ROOTS, typed_flags
from kit.cli.model import named_model, with_model
from kit.errors import UsageError
from kit.in_words import in_words

COMMANDS = {
    "demo": "See the whole job on synthetic techno and EDM, without an account or a network.",
    "scan": "Make a catalogue of a folder of audio, of playlists, or of a CSV file.",
    "ingest spotify": "Make a catalogue of a Spotify playlist, or add one to a catalogue.",
    "ingest match": "Find the audio files of rows without audio in a folder of your music.",
    "ingest previews": "Download the previews of tracks that have no audio yet.",
    "describe": "Measure tempo, key, loudness and nine other descriptors.",
    "explore": "Plot the differences between labels, and write one page of figures.",
    "split": "Show which part each track is in, or check the split for leaks.",
    "features": "Compute the missing log-mel features of a catalogue.",
    "baselines": "Score simple classifiers as baselines for a network.",
    "weights musicnn": "Download musicnn's published weights, trained on up to 200,000 songs.",
    "embed": "Compute the missing musicnn embeddings of a catalogue.",
    "similar": "List the tracks of a catalogue that are most similar to given ones.",
    "map": "Draw a map on which similar tracks lie close together, with players.",
    "lr-find": "Suggest a learning rate by a range test.",
    "train": "Train a network on a catalogue.",
    "watch": "Follow a training run epoch by epoch until it ends.",
    "models": "List the networks, their parameters and their receptive fields.",
    "runs": "List the runs, newest first, with their scores.",
    "evaluate": "Score runs on their held-out tracks, and write reports.",
    "confounds": "Change the sound of held-out tracks, and measure how predictions change.",
    "compare": "Compare runs track by track, with confidence intervals.",
    "predict": "Predict the label of tracks, in files, folders, playlists or a catalogue.",
    "timeline": "Show what plays when in a DJ mix: sections of one label, joins and tempo.",
    "serve": "Open a page on this machine: drop an audio file, get its label and its timeline.",
    "export": "Write a run to one file, from waveform to probabilities, for use without kit.",
    "write": "Write labels to genre tags, M3U playlists or Rekordbox, after a dry run.",
}
"""The commands in the order of the work, each with the first line of its help."""

_USAGE = "usage: kit COMMAND [OPTIONS]"
_HEAD = "Tell dance-music genres apart by ear. Start with: kit demo"
_FOOT = """options:
  -h, --help     show this help, or the help of a command: kit train --help
  --version      show the versions of kit, JAX and Python
  --debug        with any command: show tracebacks of errors"""


def main() -> None:
    """Run the command line and exit: 0 success, 1 failure or files left out, 2 usage."""
    # JAX's modules have many objects: garbage collection among the imports took 0.5 s, and as much
    # at the end of the process.
    gc.set_threshold(100_000, 20, 20)
    atexit.register(gc.freeze)
    arguments = [a for a in sys.argv[1:] if a != "--debug"]
    roots = dict(ROOTS)
    with in_words(debug="--debug" in sys.argv[1:]), typed_flags(roots):
        code = _run(arguments, roots)
    sys.exit(code)


def _run(arguments: Sequence[str], roots: dict[type, str]) -> int:
    if arguments[:1] == ["--version"]:
        sys.stdout.write(_versions() + "\n")
        return 0
    name, rest = _command(arguments)
    if name not in COMMANDS:
        asked = bool(rest) and rest[0] in ("-h", "--help")
        (sys.stdout if asked else sys.stderr).write(_overview(name) + "\n")
        return 0 if asked else UsageError.exit_code
    word = name.split()[-1].replace("-", "_")
    command: Callable[..., int] = getattr(importlib.import_module(f"kit.cli.{word}"), word)
    if "model" in inspect.signature(command).parameters and (cls := named_model(rest)):
        command = with_model(command, cls, rest)
        roots[cls] = "model."
    import tyro  # a tenth of a second, which `kit --help` does not need

    return tyro.cli(command, prog=f"kit {name}", args=rest)


def _command(arguments: Sequence[str]) -> tuple[str, Sequence[str]]:
    """Return a command's name and its arguments.

    If no complete command was typed, the name is that of a group, or "" for all commands.

    Raises:
        UsageError: there is no such command.
    """
    name, rest = "", arguments
    while name not in COMMANDS:
        if not rest or rest[0].startswith("-"):
            break
        words = {known.removeprefix(name).split()[0] for known in COMMANDS if _within(name, known)}
        if rest[0] not in words:
            close = difflib.get_close_matches(rest[0], sorted(words), n=1)
            meant = f"kit {name} {close[0]}".replace("  ", " ") if close else ""
            hint = f"did you mean {meant}?" if close else f"kit {name} --help lists the commands"
            typed = f"kit {name} {rest[0]}".replace("  ", " ")
            raise UsageError(f"there is no command {typed!r}; {hint}".replace("  ", " "))
        name, rest = f"{name} {rest[0]}".lstrip(), rest[1:]
    return name, rest


def _within(group: str, command: str) -> bool:
    return not group or command.startswith(f"{group} ")


def _overview(group: str) -> str:
    chosen = {k: v for k, v in COMMANDS.items() if _within(group, k)}
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {line}" for name, line in chosen.items()]
    return "\n".join([_USAGE, "", _HEAD, "", "commands:", *lines, "", _FOOT])


def _versions() -> str:
    jax = importlib.metadata.version("jax")
    return f"kit {__version__} (genre-kit; JAX {jax}, Python {platform.python_version()})"
