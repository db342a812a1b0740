"""Several processes that train one network: one of them decides and writes, all end together.

Every process runs the same program on the same arguments. Process 0 reads and writes the run's
folder; the others are told what it found. With one process, nothing here does anything.
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
_POLL_MS = 1000  # Ctrl-C is heard after each wait
_LEAVE_MS = 5000
_LOST = (
    "another process of this training has ended, or cannot be reached; see what it wrote, and "
    "start all processes again: the same commands go on from the last checkpoint"
)
_STOPPED = "process 0 was stopped; the same commands go on from the last checkpoint"
_calls = itertools.count()
_leaving: list[int] = []
"""The exit code of this process, once it is to end by an error."""
_handlers: list[Any] = []
"""Functions that the system calls, which must not be freed."""


@contextlib.contextmanager
def joined(config: DistributedConfig) -> Iterator[None]:
    """Join the processes that train together; do nothing if `config` names none.

    It must come before anything is computed.

    Raises:
        UsageError: an address or a number is missing.
        KitError: the others cannot be reached.
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
            "DistributedConfig.num_processes and DistributedConfig.process_id: no cluster's "
            "environment names them"
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
    """Wrap work that all processes do: if one of them ends, the others end too, with a sentence.

    It ends this process with exit code 1 if another one has ended.
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
        # The CPU's collectives notice first. Those of GPUs wait until JAX aborts the process.
        if "Gloo" in str(error):
            _end(_LOST)
        _leave_at_exit(1)
        raise
    except BaseException:
        _leave_at_exit(128 + signal.SIGINT)
        raise


def is_first() -> bool:
    """Return whether this is the process that writes."""
    return distributed.global_state.process_id == 0


def agreed(decide: Callable[[], T]) -> T:
    """Call a function in process 0 alone, and return its answer in every process.

    All processes must call it in the same order.

    Args:
        decide: its answer must be a value of JSON.
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
    """Return the arrays of process 0 in every process, bit for bit.

    Args:
        tree: NumPy arrays; those of the other processes give shapes and dtypes.
    """
    if _alone():
        return tree
    # As bytes: they are added to zeros, which would lose the sign of a zero.
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
    """Let SIGABRT end this process with a sentence, and with exit code 1.

    JAX aborts each process when another one has ended, and offers no other way to hear of it.
    """
    handler = ctypes.CFUNCTYPE(None, ctypes.c_int)(lambda _: _end(words))
    _handlers.append(handler)
    ctypes.CDLL(None).signal(signal.SIGABRT, handler)


def _end(words: str) -> NoReturn:
    """End this process with a sentence, or with its own error if it has one."""
    if not _leaving:
        sys.stderr.write(f"\nkit: {words}\n")
        sys.stderr.flush()
    os._exit(_leaving[0] if _leaving else 1)


def _leave_at_exit(code: int) -> None:
    if not _leaving:
        _leaving.append(code)
        # After that of JAX, so before it: JAX would wait minutes for processes that go on.
        atexit.register(_leave, code)


def _leave(code: int) -> None:
    """End at once, unless all processes end by an error of their own, as by the same one."""
    try:
        _client().wait_at_barrier("kit/leave", _LEAVE_MS)
    except jax.errors.JaxRuntimeError:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
