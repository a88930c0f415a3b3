"""Tests of the suite beside its peers in one environment; see docs/one-environment.md. AG_TOGETHER=1 runs them."""

import os
import pathlib

import numpy as np
import pytest

HERE = pathlib.Path(__file__).parent
DATA = HERE.parents[1] / "examples" / "data"
FASTA, GTF = DATA / "HNF4A.hg38.fa.gz", DATA / "HNF4A.hg38.gtf.gz"


def pytest_collection_modifyitems(items):
    if os.environ.get("AG_TOGETHER") != "1":
        skip = pytest.mark.skip(reason="needs the peers: hatch run together:check")
        for item in items:
            if HERE in item.path.parents:
                item.add_marker(skip)


@pytest.fixture(scope="session")
def genome():
    """Files of the HNF4A locus: `fasta`, `gtf`."""
    return {"fasta": FASTA, "gtf": GTF}


@pytest.fixture(scope="session")
def promoter():
    """One-hot DNA of 2,048 bp around the HNF4A promoter, float32 [1, position, 4]."""
    from ag_core import Interval
    from ag_core.sequence import encode
    from ag_data import Fasta

    codes = encode(Fasta(FASTA).fetch(Interval("chr20", 44_355_000, 44_357_048)))
    return np.eye(4, dtype=np.float32)[codes][None]
