"""Coordinate the processes that train one network together.

All processes run the same program with the same arguments. Process 0 reads and writes the run's
folder and sends the results to the others; if one process ends, all end. A single process skips
all of this.
"""

import atexit
import contextlib
import ctypes
import itertools
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, TypeVar

import jax
import numpy as np

# The key-value store and the barriers of jax.distributed have no public name.
from jax._src import distributed
from jax.experimental import multihost_utils

from kit.config import DistributedConfig
from kit.errors import KitError, UsageError

T = TypeVar("T")
_POLL_MS = 1000  # Python handles Ctrl-C between two waits
_LEAVE_MS = 5000
_LOST = (
    "another process of this training has ended or cannot be reached; read its messages, and "
    "start all processes again: the same commands resume from the last checkpoint"
)
_STOPPED = "process 0 was stopped; the same commands resume from the last checkpoint"
_calls = itertools.count()
_leaving: list[int] = []
"""Exit code of this process, once an error ends it."""
_handlers: list[Any] = []
"""References to signal handlers, so that Python does not free them."""


@contextlib.contextmanager
def joined(config: DistributedConfig) -> Iterator[None]:
    """Join the processes that train together; do nothing if `config` is empty.

    Call it before JAX computes anything.

    Raises:
        UsageError: an address or a number is missing.
        KitError: the other processes cannot be reached.
    """
    if config == DistributedConfig():
        yield
        return
    _say_if_aborted(
        "no process answers at --distributed.coordinator-address; start process 0 there"
    )
    try:
        jax.distributed.initialize(
            config.coordinator_address, config.num_processes, config.process_id
        )
    except ValueError as error:
        raise UsageError(
            f"{str(error).rstrip('.')}; give DistributedConfig.coordinator_address, "
            "DistributedConfig.num_processes and DistributedConfig.process_id: the environment "
            "does not name them"
        ) from error
    except RuntimeError as error:
        raise KitError(
            f"cannot join the other processes: {str(error).splitlines()[0]}; start them all, with "
            "the same DistributedConfig.coordinator_address"
        ) from error
    with together():
        yield


@contextlib.contextmanager
def together() -> Iterator[None]:
    """Context manager for work of all processes: if one ends, the others end with a message.

    This process then ends with exit code 1.
    """
    if _alone():
        yield
        return
    _say_if_aborted(_LOST)
    try:
        yield
    except KitError as error:
        _leave_at_exit(error.exit_code)
        raise
    except Exception as error:
        # CPU collectives raise an error; GPU collectives wait until JAX aborts the process.
        if "Gloo" in str(error):
            _end(_LOST)
        _leave_at_exit(1)
        raise
    except BaseException:
        _leave_at_exit(128 + signal.SIGINT)
        raise


def is_first() -> bool:
    """Return whether this is process 0, which writes the run."""
    return distributed.global_state.process_id == 0


def agreed(decide: Callable[[], T]) -> T:
    """Call a function in process 0, and return its result, a JSON value, in every process.

    All processes must make these calls in the same order.

    Raises:
        KitError: the error of process 0, in every process.
    """
    if _alone():
        return decide()
    key = f"kit/{next(_calls)}"
    if not is_first():
        return _answer(key)
    try:
        answer = decide()
    except BaseException as error:
        words = str(error) if isinstance(error, KitError) else _STOPPED
        _tell(key, {"error": words, "usage": isinstance(error, UsageError)})
        raise
    _tell(key, {"answer": answer})
    return answer


def of_first(tree: Any) -> Any:
    """Return the NumPy arrays of process 0 in every process, bit for bit.

    Other processes pass arrays of the same shapes and dtypes.
    """
    if _alone():
        return tree
    # Broadcast bytes: JAX adds floats to zeros, which would change -0.0 to 0.0.
    leaves, treedef = jax.tree.flatten(jax.tree.map(np.asarray, tree))
    raw = [np.frombuffer(leaf.tobytes(), np.uint8) for leaf in leaves]
    whole = multihost_utils.broadcast_one_to_all(np.concatenate(raw))
    parts = np.split(whole, np.cumsum([len(each) for each in raw])[:-1])
    return treedef.unflatten(
        np.frombuffer(part.tobytes(), leaf.dtype).reshape(leaf.shape)
        for part, leaf in zip(parts, leaves, strict=True)
    )


def _alone() -> bool:
    return distributed.global_state.num_processes == 1


def _client() -> Any:
    return distributed.global_state.client


def _tell(key: str, message: dict[str, Any]) -> None:
    _client().key_value_set(key, json.dumps(message))


def _answer(key: str) -> Any:
    while True:
        try:
            message = json.loads(_client().blocking_key_value_get(key, _POLL_MS))
        except jax.errors.JaxRuntimeError as error:
            if "DEADLINE_EXCEEDED" not in str(error):
                _end(_LOST)
            continue
        if "error" in message:
            raise (UsageError if message["usage"] else KitError)(message["error"])
        return message["answer"]


def _say_if_aborted(words: str) -> None:
    """End this process with a message and exit code 1 at SIGABRT.

    JAX aborts a process when another one has ended, and offers no other notification.
    """
    handler = ctypes.CFUNCTYPE(None, ctypes.c_int)(lambda _: _end(words))
    _handlers.append(handler)
    ctypes.CDLL(None).signal(signal.SIGABRT, handler)


def _end(words: str) -> NoReturn:
    """End this process with a message, or with the code of its own error."""
    if not _leaving:
        sys.stderr.write(f"\nkit: {words}\n")
        sys.stderr.flush()
    os._exit(_leaving[0] if _leaving else 1)


def _leave_at_exit(code: int) -> None:
    if not _leaving:
        _leaving.append(code)
        # Handlers run in reverse order, so this one runs before JAX's, which would wait minutes for
        # the other processes.
        atexit.register(_leave, code)


def _leave(code: int) -> None:
    """End at once, unless all processes end by an error within `_LEAVE_MS`."""
    try:
        _client().wait_at_barrier("kit/leave", _LEAVE_MS)
    except jax.errors.JaxRuntimeError:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
