"""Compiled programs that a process keeps."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Each program keeps 3 to 800 memory maps, 70 on average, and 4 MB. A process may have 65,530 maps.
MOST_PROGRAMS = 192
_MOST_MAPS = 8000
# Programs that are kept whatever the number of maps, which may be another library's.
_FEWEST_PROGRAMS = 32


class _Programs:
    """Compiled programs by key. The least recently used are dropped, which frees them."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[Any, ...], Any] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[Any, ...], make: Callable[[], Any]) -> Any:
        """Return the program of a key; if it is not kept, make it and drop others for it."""
        with self._lock:
            if key not in self._kept:
                while len(self._kept) >= MOST_PROGRAMS:
                    self._kept.popitem(last=False)
                while len(self._kept) > _FEWEST_PROGRAMS and _memory_maps() > _MOST_MAPS:
                    for _ in range(len(self._kept) // 8):
                        self._kept.popitem(last=False)
                self._kept[key] = make()
            self._kept.move_to_end(key)
            return self._kept[key]


PROGRAMS = _Programs()


def _memory_maps() -> int:
    """Return the number of memory maps of this process; 0 where the system does not tell."""
    try:
        return Path("/proc/self/maps").read_bytes().count(b"\n")
    except OSError:
        return 0
