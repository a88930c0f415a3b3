"""The mean of checkpoints: of each array, of what they saw; of unlike models there is none."""

import dataclasses

import jax
import numpy as np
import pytest
from ag_core.checkpoint import HeadSpec, ModelSpec, array_names, load, outline, save
from ag_core.cli import run
from ag_core.config import PRESETS
from ag_core.errors import InputError
from ag_core.schema import track_table
from ag_heads.averages import average


@pytest.fixture(scope="module")
def pair(tmp_path_factory, randomise):
    """A model and one of thrice its weights, which saw something else."""
    tables = (track_table({"name": ["a"], "strand": ["."]}),) * 2
    spec = ModelSpec(
        "one", PRESETS["tiny"], {"chip_tf": HeadSpec("chip_tf", tables)}, ("human", "mouse"), 4096, "CC0-1.0"
    )
    model = randomise(outline(spec))
    folders = [tmp_path_factory.mktemp(name) for name in ("one", "two")]
    thrice = jax.tree.map(lambda x: jax.device_put(3 * np.asarray(x)) if isinstance(x, jax.Array) else x, model)
    for folder, each, seen in zip(folders, (model, thrice), ("chr1:1-1,000", "chr1:501-2,000"), strict=True):
        save(folder, each, dataclasses.replace(spec, trained_on={"hg38": (seen,)}))
    return folders


def test_each_array_is_the_mean(pair, tmp_path):
    assert run(["model", "average", *map(str, pair), "-o", str(tmp_path), "--name", "mean"]) == 0
    one, mean = (load(folder) for folder in (pair[0], tmp_path))
    assert (mean.spec.name, mean.spec.trained_on) == ("mean", {"hg38": ("chr1:1-2,000",)})
    for name, array in array_names(mean.model).items():
        np.testing.assert_allclose(array, 2 * np.asarray(array_names(one.model)[name]), rtol=1e-6)


def test_unlike_models_have_no_mean(pair, tmp_path):
    loaded = load(pair[1])
    save(tmp_path / "other", loaded.model, dataclasses.replace(loaded.spec, licence="MIT", window=8192))
    with pytest.raises(InputError, match=r"other differs from .* in licence, window: no mean of them"):
        average([pair[0], tmp_path / "other"], tmp_path / "out")
    with pytest.raises(InputError, match="two models or more"):
        average([pair[0]], tmp_path / "out")
