"""spotipy's log kept to itself: it has tokens in it."""

import contextlib
import logging
from collections.abc import Iterator

# The debug lines hold the headers with the token and the bodies of the sign-in, the errors what
# the server said; kit says what matters in its own words.
_LOGGERS = ("spotipy.client", "spotipy.oauth2", "spotipy.cache_handler", "spotipy.util")


class _Nothing(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return False


@contextlib.contextmanager
def no_log() -> Iterator[None]:
    """Nothing of spotipy's reaches any handler, whatever the level."""
    nothing = _Nothing()
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(nothing)
    try:
        yield
    finally:
        for name in _LOGGERS:
            logging.getLogger(name).removeFilter(nothing)
