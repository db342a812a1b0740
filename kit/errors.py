"""The root of kit's exceptions and its warnings: what is wrong, where, and what to do."""


class KitError(Exception):
    """A failure that a person can act on. The command line prints it as one line, exit code 1."""

    exit_code = 1


class UsageError(KitError):
    """The request itself is wrong: nothing was read or written. Exit code 2."""

    exit_code = 2


class ConfigError(UsageError):
    """A configuration field has a bad value or an unknown name."""


class KitWarning(UserWarning):
    """A result that may mislead, such as tracks that were left out."""
