"""One run at a time on a store."""

import contextlib
from pathlib import Path

from kit import lock
from kit.features.place import is_url


def only_one(path: Path | str) -> contextlib.AbstractContextManager[None]:
    """`kit.lock.only_one` of a store on a disk.

    A store in a bucket has none. Two runs of one catalogue on it do the work twice, and no harm:
    they write the same bytes.
    """
    return contextlib.nullcontext() if is_url(path) else lock.only_one(path)
