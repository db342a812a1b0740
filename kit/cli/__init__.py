"""The command line: one module for each command, named after it.

Each command imports its dependencies when it runs, so that help is instant.
"""

from kit.cli.app import main

__all__ = ["main"]
