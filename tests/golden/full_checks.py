"""Parity of the full-size model: 450,452,613 parameters from the recipe, all heads, two organisms, float32."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import recipe
from ag_core.checkpoint import outline
from ag_core.model import Model
from ag_core.model_spec import ModelSpec
from ag_core.official import load_official, official_leaves
from ag_heads.official import PREFIX, official_spec
from golden_file import Golden


class RecipeTree(Mapping[str, np.ndarray]):
    """The golden's parameters and running moments by official path, each made when it is asked for, and checked."""

    def __init__(self, golden: Golden):
        self.config, self.seed = golden.config, golden.seed

    def __getitem__(self, path: str) -> np.ndarray:
        shape = tuple(self.config["parameter_shapes"][path])
        array = recipe.parameter(path, shape, self.seed, self.config["var_center"])
        checksum = self.config["parameter_checksums"][path]
        np.testing.assert_allclose(array.sum(dtype=np.float64), checksum["sum"], rtol=1e-9, atol=1e-6, err_msg=path)
        first = checksum["first"]
        np.testing.assert_allclose(array.ravel()[: len(first)], first, rtol=1e-7, err_msg=path)
        return array

    def __iter__(self) -> Iterator[str]:
        return iter(self.config["parameter_shapes"])

    def __len__(self) -> int:
        return len(self.config["parameter_shapes"])


def full_spec(golden: Golden) -> ModelSpec:
    """The published model with the golden's (fewer) splice sites."""
    spec = official_spec()
    options = {"sites": golden.config["num_splice_sites"], "threshold": golden.config["splice_site_threshold"]}
    heads = dict(spec.heads)
    heads["splice_junctions"] = dataclasses.replace(heads["splice_junctions"], options=options)
    return dataclasses.replace(spec, heads=heads)


@eqx.filter_jit
def run(model: Model, dna: Any, organism: Any) -> tuple[Any, Any]:
    embeddings = model.embed(dna, organism)
    return embeddings, model.predict(embeddings, organism)


def compare(golden: Golden, model: Model) -> None:
    """Runs the model on the golden's DNA and compares every recorded output."""
    inputs = golden.inputs()
    dna = jax.nn.one_hot(jnp.asarray(inputs["dna_codes"]), 4)
    embeddings, predictions = run(model, dna, jnp.asarray(inputs["organism"]))
    got = {
        "embeddings_1bp": embeddings.bp1,
        "embeddings/embeddings_128bp": embeddings.bp128,
        "embeddings/embeddings_pair": embeddings.pair,
    }
    for modality, arrays in predictions.items():
        got |= {f"{model.heads[modality].official_name}/{key}": array for key, array in arrays.items()}
    for key in golden.keys("out"):
        array = np.asarray(got[key])
        length = array.shape[1]
        if key.startswith("splice_sites_junction/") and array.ndim == 4:
            sites, tracks = inputs["junction_site_indices"], inputs["junction_track_indices"]
            array = array[:, sites][:, :, sites][..., tracks]
        elif length == dna.shape[1]:
            array = array[:, inputs["positions_1bp"]]
        elif length == dna.shape[1] // 128:
            array = array[:, inputs["positions_128bp"]]
        golden.compare(key, array)


def check_full_model(golden: Golden) -> None:
    shapes = outline(full_spec(golden))
    tree = RecipeTree(golden)
    assert {path for _, path in official_leaves(shapes, PREFIX)} == set(tree)
    for name, means in golden.inputs().items():
        if name.startswith("track_means/"):
            head: Any = shapes.heads[name.removeprefix("track_means/")]
            np.testing.assert_array_equal(head.means.value, means, err_msg=name)
    compare(golden, load_official(shapes, tree, PREFIX))


CHECKS: dict[str, Callable[[Golden], None]] = {"forward": check_full_model}
