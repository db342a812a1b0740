"""Options and cache of XLA's compiler, shared by the whole process."""

import functools
import os
import stat
import sys
from pathlib import Path
from typing import Any

ONE_CORE: dict[str, Any] = {"xla_cpu_multi_thread_eigen": False}
"""Compiler options of a program that several Python threads run at once.

Pass them to `jax.jit` or to `.compile`. The program then computes on one CPU core, with the same
bits, and never waits for XLA's thread pool. Without them, JAX 0.11.1 and 0.11.2 never return when
as many programs as the pool has threads each wait in an FFT for a thread of that pool."""


@functools.cache
def quick_to_compile() -> dict[str, Any]:
    """Return `ONE_CORE` and the options with which a program compiles in the least time.

    XLA's newer emitter of fused loops takes half again as long as the one before it, for programs
    of the same bits and speed (jax 0.10). Later versions of XLA have no such choice.
    """
    import jax

    options = {**ONE_CORE, "xla_cpu_use_fusion_emitters": False}
    try:
        jax.jit(lambda x: x + 1, compiler_options=options).lower(0).compile()
    except jax.errors.JaxRuntimeError:
        return ONE_CORE
    return options


def use_cache() -> Path | None:
    """Keep compiled programs in a cache folder that only the user can write to.

    Programs are executed from the cache, so a folder that others may write to is not used. If
    `JAX_COMPILATION_CACHE_DIR` is set in the environment, nothing is changed.

    Returns:
        The folder, or None if it cannot be used or the environment names another.
    """
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return None
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "genre-kit" / "jax"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        facts = folder.stat()
    except OSError:
        return None
    others_write = facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    if facts.st_uid != os.getuid() or others_write or not os.access(folder, os.W_OK):
        return None
    # Most of kit's functions compile in less than JAX's threshold of one second.
    settings = {"compilation_cache_dir": str(folder), "persistent_cache_min_compile_time_secs": 0.2}
    for name, value in settings.items():
        if "jax" in sys.modules:
            sys.modules["jax"].config.update(f"jax_{name}", value)
        else:
            # JAX takes a second to import, and some stages that may compile never do.
            os.environ[f"JAX_{name.upper()}"] = str(value)
    return folder
