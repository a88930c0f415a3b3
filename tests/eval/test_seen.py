"""Places a model saw in training, in its own assembly and through a chain."""

import dataclasses
import gzip

import numpy as np
import pandas as pd
import pytest
from ag_core.config import PRESETS
from ag_core.errors import InputError
from ag_core.model_spec import ModelSpec
from ag_eval.seen import find_seen

# Bases 100-200 of the one lie at 1,100-1,200 of the other.
CHAIN = "chain 1 chr1 5000 + 100 200 chr1 9000 + 1100 1200 1\n100\n\n"


def spec(trained_on):
    backbone = dataclasses.replace(PRESETS["tiny"], organisms=1)
    return ModelSpec("toy", backbone, {}, ("human",), 2048, "CC0-1.0", trained_on=trained_on)


def places(*starts):
    frame = pd.DataFrame({"Chromosome": "chr1", "Start": starts})
    return frame.assign(End=frame["Start"] + 1)


def test_ends_are_exact():
    found = find_seen(spec({"hg19": ("chr1:101-200",)}), "GRCh37", places(99, 100, 199, 200))
    assert found.places.tolist() == [False, True, True, False]
    assert found.note == ""


def test_a_chain_leads_to_the_other_assembly(tmp_path):
    model, table = spec({"hg38": ("chr1:1,101-1,150",)}), places(99, 100, 149, 150, 400)
    unknown = find_seen(model, "GRCh37", table)
    assert not unknown.places.any()
    assert unknown.note == "regions of hg38 were not compared: give a chain from hg19 to it"
    path = tmp_path / "over.chain.gz"
    path.write_bytes(gzip.compress(CHAIN.encode()))
    found = find_seen(model, "GRCh37", table, path)
    assert found.places.tolist() == [False, True, True, False, False]
    assert found.note == ""
    with pytest.raises(InputError, match=r"chain .* cannot be read"):
        find_seen(model, "GRCh37", table, tmp_path / "nothing.chain")


def test_who_does_not_say_is_not_trusted():
    found = find_seen(spec(None), "hg19", places(1))
    assert not found.places.any()
    assert found.note == "toy does not say what it was trained on"
    other = find_seen(spec({"mm10": ("chr1:1-2,000",)}), "hg19", places(1))
    assert not np.any(other.places)
    assert other.note == ""
