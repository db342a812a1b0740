"""Base classes of kit's exceptions and warnings, whose messages say how to fix the problem."""


class KitError(Exception):
    """A failure that the user can fix. The command line prints it as one line, with exit code 1.

    Example:
        >>> try:
        ...     kit.catalogue.load("nowhere")
        ... except kit.KitError as error:
        ...     print(error)
        nowhere is not a catalogue (no tracks.csv and catalogue.json); make one with: kit scan ...
    """

    exit_code = 1


class UsageError(KitError):
    """The request is invalid; nothing was read or written. Exit code 2."""

    exit_code = 2


class ConfigError(UsageError):
    """A configuration field has an invalid value or an unknown name."""


class KitWarning(UserWarning):
    """A result that may mislead, such as tracks that were left out.

    Example:
        >>> import warnings
        >>> warnings.simplefilter("error", kit.KitWarning)  # stop at results that may mislead
    """
