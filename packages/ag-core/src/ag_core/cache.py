"""Where derived files go (indexes, converted annotations, compiled programs): one folder, to be deleted at any time."""

import os
import pathlib
import sys


def cache_folder() -> pathlib.Path:
    """$AG_CACHE_DIR, or `agenome` in the platform's folder for user caches. It need not exist yet."""
    if chosen := os.environ.get("AG_CACHE_DIR"):
        return pathlib.Path(chosen)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or pathlib.Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = pathlib.Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(base) / "agenome"


def keep_compiled() -> None:
    """Has jax keep compiled programs between runs, unless the user has said where or that it should not.

    Must be called before jax is imported, which reads these settings then.
    """
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache_folder() / "jax"))
    # Many of our programs take less than the second that jax thinks worth keeping.
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
    # Nobody clears a cache by hand: least recently used programs go when it grows beyond 2 GB.
    os.environ.setdefault("JAX_COMPILATION_CACHE_MAX_SIZE", str(2 * 2**30))
