"""All are imported into one process, in either order, with warnings as errors, and all compute."""

import subprocess
import sys

import pytest

OURS = ["ag_core", "ag_data", "ag_heads", "ag_scorers", "ag_eval", "ag_scorers.serve.protocol"]
THEIRS = ["alphagenome.models.dna_client", "tangermeme.predict", "anndata", "torch"]
# Both have thread pools and copies of the same system libraries, which may clash where both are used, not imported.
USE = """
import jax.numpy as jnp
import numpy as np
import torch
values = np.random.default_rng(0).random((256, 256), np.float32)
one, other = np.asarray(jnp.asarray(values) @ values), (torch.from_numpy(values) @ torch.from_numpy(values)).numpy()
np.testing.assert_allclose(one, other, rtol=1e-4)
import anndata
from alphagenome.models import dna_client
import ag_core
assert ag_core.load("mini").spec.name == "mini"
assert type(dna_client.OutputType.CAGE).__module__.startswith("alphagenome")
assert anndata.AnnData(values).shape == values.shape
"""


@pytest.mark.parametrize("names", [OURS + THEIRS, THEIRS + OURS], ids=["ours first", "theirs first"])
def test_imports(names, tmp_path):
    code = "\n".join([*(f"import {name}" for name in names), USE])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
