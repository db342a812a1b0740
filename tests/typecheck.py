"""The checker of the types of arguments while tests run."""

import threading
from collections.abc import Callable
from typing import Any

from beartype import beartype


def in_main_thread(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function with its types checked, or as it is if another thread defines it.

    beartype records warnings while it decorates, and `warnings.catch_warnings` is not safe where
    another thread warns at that time: the warning was lost, or those of the whole test.
    """
    if threading.current_thread() is not threading.main_thread():
        return function
    return beartype(function)
