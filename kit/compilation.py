"""Options and cache of XLA's compiler, shared by the whole process."""

import functools
import os
import stat
import sys
from pathlib import Path
from typing import Any

from kit.files import user_folder

ONE_CORE: dict[str, Any] = {"xla_cpu_multi_thread_eigen": False}
"""Compiler options for a program that several Python threads run concurrently.

Pass them to `jax.jit` or `.compile`. The program then runs on one CPU core, with the same bits, and
never waits for XLA's thread pool. Without them, JAX 0.11.1 and 0.11.2 deadlock if every thread of
the pool runs a program whose FFT waits for a thread of the pool."""


@functools.cache
def quick_to_compile() -> dict[str, Any]:
    """Return `ONE_CORE` with options for the fastest compilation.

    XLA's newer fusion emitters take 50% longer to compile than the older ones, for programs of the
    same bits and speed (jax 0.10). Later versions of XLA do not have this option.
    """
    import jax

    options = {**ONE_CORE, "xla_cpu_use_fusion_emitters": False}
    try:
        jax.jit(lambda x: x + 1, compiler_options=options).lower(0).compile()
    except jax.errors.JaxRuntimeError:
        return ONE_CORE
    return options


def use_cache() -> Path | None:
    """Cache compiled programs in a folder that only the user can write to.

    Cached programs are executed, so a folder that others can write to is not used. If
    `JAX_COMPILATION_CACHE_DIR` is set, nothing changes.

    Returns:
        The folder, or None if it cannot be used or the environment sets another.
    """
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return None
    folder = user_folder("XDG_CACHE_HOME", ".cache") / "jax"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        facts = folder.stat()
    except OSError:
        return None
    others_write = facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    if facts.st_uid != os.getuid() or others_write or not os.access(folder, os.W_OK):
        return None
    # Most of kit's functions compile faster than JAX's caching threshold of one second.
    settings = {"compilation_cache_dir": str(folder), "persistent_cache_min_compile_time_secs": 0.2}
    for name, value in settings.items():
        if "jax" in sys.modules:
            sys.modules["jax"].config.update(f"jax_{name}", value)
        else:
            # JAX takes a second to import, and some stages may not compile anything.
            os.environ[f"JAX_{name.upper()}"] = str(value)
    return folder
