import gzip
import json
import math
import pathlib
from collections import Counter

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ag_core.backbone import Backbone
from ag_core.config import PRESETS, BackboneConfig
from ag_core.layers import Conv, StandardizedConv
from ag_core.model import fold
from ag_core.official import official_leaves
from ag_core.plugins import registry
from ag_core.schema import track_table

LENGTH = 4096
TREE = pathlib.Path(__file__).parent / "data" / "official_tree.json.gz"

# Parameters of the published model by group: spec/model.md 4.1.
GROUPS = {
    "embed": 3_072,
    "sequence_encoder": 89_972_992,
    "transformer_tower/attention_bias_block": 11_520,
    "transformer_tower/mha_block": 39_890_304,
    "transformer_tower/mlp_block": 85_031_424,
    "transformer_tower/pair_update_block": 66_867_840,
    "sequence_decoder": 111_501_447,
    "output_embedder": 4_733_952,
    "output_embedder_1": 5_905_920,
    "output_pair": 512,
}
# Slots of each head, padding included: spec/model.md 3.1.
HEADS = {
    "atac": (256, 2_361_344),
    "dnase": (384, 3_542_016),
    "procap": (128, 1_180_672),
    "cage": (640, 5_903_360),
    "rna_seq": (768, 7_084_032),
    "chip_tf": (1664, 10_230_272),
    "chip_histone": (1152, 7_082_496),
}


@pytest.fixture(scope="module")
def backbone(randomise):
    return randomise(eqx.filter_eval_shape(lambda: Backbone(PRESETS["tiny"], key=jax.random.key(0))))


@pytest.fixture(scope="module")
def dna():
    return jax.nn.one_hot(jax.random.randint(jax.random.key(2), (2, LENGTH), 0, 5), 4)


@eqx.filter_jit
def embed(backbone, dna, organism, resolutions=(1, 128, 2048)):
    return backbone(dna, organism, resolutions=resolutions)


def check(actual, desired):
    np.testing.assert_allclose(actual, desired, rtol=2e-4, atol=5e-5)


def test_shapes(backbone, dna):
    dims = PRESETS["tiny"].dims
    embeddings = embed(backbone, dna, jnp.array([0, 1]))
    assert embeddings.bp1.shape == (2, LENGTH, dims.bp1)
    assert embeddings.bp128.shape == (2, LENGTH // 128, dims.bp128)
    assert embeddings.pair.shape == (2, LENGTH // 2048, LENGTH // 2048, dims.pair)
    assert all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in jax.tree.leaves(embeddings))
    np.testing.assert_allclose(embeddings.pair, jnp.swapaxes(embeddings.pair, 1, 2), atol=1e-6)


@pytest.mark.parametrize(("length", "proposed"), [(2000, "2,048"), (3000, "2,048"), (6000, "6,144"), (0, "2,048")])
def test_lengths_that_do_not_fit(backbone, length, proposed):
    with pytest.raises(ValueError, match=f"positive multiple of 2,048 bp, got {length:,}; try {proposed}"):
        backbone(jnp.zeros((1, length, 4)), jnp.zeros(1, jnp.int32))


def test_decoder_runs_only_for_single_bases(backbone, dna):
    whole = embed(backbone, dna, jnp.array([0, 1]))
    broken = eqx.tree_at(lambda b: (b.decoder, b.embedder_1), backbone, (None, None))
    coarse = embed(broken, dna, jnp.array([0, 1]), resolutions=(128,))
    assert coarse.bp1 is None
    assert coarse.pair is None
    np.testing.assert_allclose(coarse.bp128, whole.bp128, atol=1e-5)
    with pytest.raises(ValueError, match="embeddings at 1 bp were not computed"):
        coarse.at(1)


def test_examples_do_not_see_each_other(backbone, dna):
    together = embed(backbone, dna, jnp.array([0, 1]))
    for i in range(2):
        alone = embed(backbone, dna[i : i + 1], jnp.array([i]))
        jax.tree.map(lambda a, b, i=i: check(a[0], b[i]), alone, together)


def test_organism_changes_every_embedding(backbone, dna):
    human, mouse = (embed(backbone, dna[:1], jnp.array([i])) for i in range(2))
    for a, b in zip(jax.tree.leaves(human), jax.tree.leaves(mouse), strict=True):
        assert float(jnp.max(jnp.abs(a - b))) > 1e-2


def test_a_base_matters_far_away(backbone, dna):
    changed = dna.at[:, 100].set(jnp.roll(dna[:, 100], 1, axis=-1).at[:, 0].add(1))
    before, after = (embed(backbone, x, jnp.array([0, 1])).bp1 for x in (dna, changed))
    assert float(jnp.max(jnp.abs(before - after)[:, LENGTH - 500 :])) > 0


def test_folding_keeps_the_function(backbone, dna):
    folded = fold(backbone)
    nodes = jax.tree.leaves(folded, is_leaf=lambda node: isinstance(node, StandardizedConv))
    assert not [node for node in nodes if isinstance(node, StandardizedConv)]
    assert isinstance(folded.encoder.stem.block.conv, Conv)
    organism = jnp.array([0, 1])
    jax.tree.map(check, embed(folded, dna, organism), embed(backbone, dna, organism))


def test_config_survives_json():
    config = PRESETS["mini"]
    assert BackboneConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    with pytest.raises(ValueError, match="unknown backbone settings \\['depth'\\]"):
        BackboneConfig.from_dict({"depth": 3})
    with pytest.raises(ValueError, match="key_size must be even"):
        BackboneConfig(key_size=7)
    with pytest.raises(ValueError, match="blocks must be an integer of at least 1, got 0"):
        BackboneConfig(blocks=0)


@pytest.fixture(scope="module")
def official_tree():
    with gzip.open(TREE) as file:
        return {path: tuple(shape) for path, shape in json.load(file).items()}


def sizes(shapes: dict[str, tuple[int, ...]]) -> Counter:
    """Parameters by group; running moments are state."""
    total = Counter()
    for path, shape in shapes.items():
        if not path.endswith("/var_ema"):
            parts = path.split("/")
            # Towers repeat blocks under numbered names, of which the number is dropped.
            group = "/".join([parts[0], parts[1].rstrip("_0123456789")]) if "tower" in path else parts[0]
            total[group] += math.prod(shape)
    return total


def squeezed(shapes):
    """The official tree has singleton axes that ours has not."""
    return {path: tuple(size for size in shape if size != 1) for path, shape in shapes.items()}


def test_full_backbone_is_the_published_one(official_tree):
    module = eqx.filter_eval_shape(lambda: Backbone(PRESETS["full"], key=jax.random.key(0)))
    leaves = official_leaves(module)
    shapes = {path: leaf.shape for leaf, path in leaves}
    assert len(shapes) == len(leaves)
    arrays = [leaf for leaf in jax.tree.leaves(module) if isinstance(leaf, jax.ShapeDtypeStruct)]
    assert len(leaves) == len(arrays), "arrays without an official name"
    trunk = {path: shape for path, shape in official_tree.items() if not path.startswith("head/")}
    assert squeezed(shapes) == squeezed(trunk)
    assert dict(sizes(shapes)) == GROUPS


@pytest.mark.parametrize("name", HEADS)
def test_official_heads(official_tree, name):
    slots, parameters = HEADS[name]
    table = track_table({"name": ["padding"] * slots, "strand": ["."] * slots})
    dims = PRESETS["full"].dims
    head = eqx.filter_eval_shape(lambda: registry().create("heads", name, (table, table), dims, key=jax.random.key(0)))
    shapes = {path: leaf.shape for leaf, path in official_leaves(head, f"head/{name}")}
    expected = {path: shape for path, shape in official_tree.items() if path.startswith(f"head/{name}/")}
    assert squeezed(shapes) == squeezed(expected)
    assert sum(map(math.prod, shapes.values())) == parameters
