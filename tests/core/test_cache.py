import importlib.metadata
import os
import subprocess
import sys

import pytest

CODE = """
from ag_core.cache import keep_compiled
keep_compiled()
import jax
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
jax.jit(lambda x: x * 3 + 1)(2.0).block_until_ready()
"""


@pytest.mark.slow
def test_compiled_programs_are_kept_between_runs(tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    environment["AG_CACHE_DIR"] = str(tmp_path)
    subprocess.run([sys.executable, "-W", "error", "-c", CODE], env=environment, check=True)
    assert list((tmp_path / "jax").glob("*-cache"))


def test_what_keeping_them_takes_is_installed():
    """Without it jax warns at each program, and keeps none."""
    assert any(need.startswith("filelock") for need in importlib.metadata.requires("ag-core") or ())
