"""Lock a store, so that one run writes it at a time."""

import contextlib
from pathlib import Path

from kit import lock
from kit.features.storage import is_url


def only_one(path: Path | str) -> contextlib.AbstractContextManager[None]:
    """Return `kit.lock.only_one` of a store in a folder, and no lock of one in a bucket.

    Two runs on a bucket do the work twice, without harm: they write the same bytes.
    """
    return contextlib.nullcontext() if is_url(path) else lock.only_one(path)
