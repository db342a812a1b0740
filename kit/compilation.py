"""JAX's persistent compilation cache: a second start need not compile again."""

import os
import stat
from pathlib import Path

import jax


def use_cache() -> Path | None:
    """Keep compiled functions in the user's own cache folder, and no other's.

    What lies in the cache is executed, so a folder that others may write to is not used.
    `JAX_COMPILATION_CACHE_DIR` in the environment is left as it is.

    Returns:
        The folder, or None if there is none to use.
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
    jax.config.update("jax_compilation_cache_dir", str(folder))
    # Most of kit's functions compile in less than JAX's threshold of one second.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
    return folder
