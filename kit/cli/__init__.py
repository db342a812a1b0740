"""The command line: arguments in, one function called, bars and sentences out.

Each command is a module of its own name. A module imports what its command needs when the command
runs, so that help is instant.
"""

from kit.cli.app import main

__all__ = ["main"]
