"""Splice sites, junctions and contact maps: laws that the goldens do not state."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ag_core.config import EmbeddingDims
from ag_core.interfaces import Embeddings
from ag_core.plugins import registry
from ag_core.schema import track_table
from ag_heads.losses import junction_loss
from ag_heads.recipes.teachers import FunctionTeacher, make_targets
from ag_heads.site_pairs import count_pairs, softplus
from ag_heads.sites import select_sites
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

DIMS = EmbeddingDims(6, 10, 4)
HUMAN = jnp.array(0)


@given(
    hnp.arrays(np.float32, st.tuples(st.integers(1, 30), st.just(5)), elements=st.sampled_from([0, 0.05, 0.1, 0.5, 1])),
    st.integers(1, 12),
)
@pytest.mark.slow
def test_selected_sites_are_the_most_likely_ones(probabilities, count):
    """At least the threshold, ascending, padding last; of equals the lowest positions."""
    rows = np.asarray(select_sites(jnp.asarray(probabilities), count, 0.1))
    assert rows.shape == (4, count)
    for row, values in zip(rows, probabilities.T, strict=False):
        order = sorted(range(len(values)), key=lambda i: (-values[i], i))[:count]
        expected = sorted(i for i in order if values[i] >= np.float32(0.1))
        assert list(row) == expected + [-1] * (count - len(expected))


def test_softplus_is_precise_where_counts_are_small():
    x = np.linspace(-80, 80, 4001).astype(np.float32)
    np.testing.assert_allclose(
        softplus(jnp.asarray(x)), np.log1p(np.exp(-np.abs(x, dtype=float))) + np.maximum(x, 0), 1e-6
    )


@pytest.fixture
def sites(getkey):
    shown = jax.random.normal(getkey(), (4, 128, 8))
    values = jax.random.normal(getkey(), (4, 2, 19, 8)) / 3
    positions = np.full((4, 128), -1, np.int32)
    for row, n in enumerate((70, 20, 3, 128)):
        positions[row, :n] = np.sort(np.random.default_rng(row).choice(16_384, n, replace=False))
    return shown, values, jnp.asarray(positions)


def test_pairs_with_padding_are_zero_and_skipping_them_changes_nothing(sites):
    counts = np.asarray(count_pairs(*sites))
    plus, minus = counts[..., :19], counts[..., 19:]
    expected = np.zeros((2, 128, 128), bool)
    expected[0, :70, :20] = expected[1, :3] = True
    np.testing.assert_array_equal(plus > 0, np.broadcast_to(expected[0, ..., None], plus.shape))
    np.testing.assert_array_equal(minus > 0, np.broadcast_to(expected[1, ..., None], minus.shape))
    np.testing.assert_allclose(count_pairs(*sites, skip=True), counts, 1e-6, 1e-7)


def test_a_count_is_the_softplus_of_rotated_codes(sites):
    """One pair by hand, with the rotary code of the specification on interleaved channels."""
    shown, values, positions = map(np.asarray, sites)
    donor, acceptor, tissue = 4, 7, 17  # the last tissues are a block of their own
    turned = []
    for row, site in ((0, donor), (1, acceptor)):
        x = values[row, 0, tissue] * shown[row, site] + values[row, 1, tissue]
        wavelengths = np.arange(4) + np.geomspace(1, 2**20 - 4 + 1, 4)
        turned.append((x[0::2] + 1j * x[1::2]) * np.exp(1j * positions[row, site] / wavelengths))
    logit = np.sum((turned[0] * turned[1].conj()).real)
    np.testing.assert_allclose(count_pairs(*sites)[donor, acceptor, tissue], np.log1p(np.exp(logit)), 1e-3)


def test_junctions_are_predicted_where_they_are_told(getkey):
    table = track_table({"name": ["x", "y"], "strand": [".", "."]})
    head = registry().create("heads", "splice_junctions", [table], DIMS, sites=3, hidden=4, key=getkey())
    embeddings = Embeddings(jax.random.normal(getkey(), (20, 6)), None, None)
    probabilities = jnp.zeros((20, 5)).at[jnp.array([2, 9, 4, 13]), jnp.arange(4)].set(0.9)
    own = head(embeddings, HUMAN, {"splice_sites": {"predictions": probabilities}})
    np.testing.assert_array_equal(own["splice_site_positions"], [[2, -1, -1], [9, -1, -1], [4, -1, -1], [13, -1, -1]])
    targets = {"splice_site_positions": own["splice_site_positions"].at[0, 0].set(5)}
    told = head(embeddings, HUMAN, {"splice_junctions": head.conditions(targets)})
    np.testing.assert_array_equal(told["splice_site_positions"], targets["splice_site_positions"])
    assert abs(float(told["predictions"][0, 0, 0] - own["predictions"][0, 0, 0])) > 1e-4
    np.testing.assert_array_equal(told["predictions"][..., 2:], own["predictions"][..., 2:])


def test_junction_loss_of_padding_has_no_gradient(getkey):
    counts = jnp.floor(30 * jax.random.uniform(getkey(), (1, 4, 4, 2)))
    predictions = 5 * jax.random.uniform(getkey(), (1, 4, 4, 2))
    mask = jnp.ones((1, 4, 4, 2), bool).at[:, 3].set(False).at[:, :, 1].set(False)
    value, gradient = jax.value_and_grad(lambda p: junction_loss(counts, p, mask))(jnp.where(mask, predictions, 0))
    assert np.isfinite(value)
    np.testing.assert_array_equal(np.asarray(gradient) != 0, mask)


def test_five_classes_or_none(getkey):
    table = track_table({"name": ["donor"], "strand": ["+"]})
    with pytest.raises(ValueError, match=r"splice_sites: expected 5 classes .*, got 1"):
        registry().create("heads", "splice_sites", [table], DIMS, key=getkey())


@pytest.mark.slow
def test_turning_twice_changes_nothing(eleven_heads_model, getkey):
    model, length = eleven_heads_model, 4096
    dna = jax.nn.one_hot(np.random.default_rng(0).integers(0, 4, (1, length)), 4)
    predictions = jax.tree.map(lambda x: x[0], jax.jit(lambda: model(dna, jnp.array([0])))())
    for name, head in model.heads.items():
        if name == "dnase":  # cut sites shift out at the end
            continue
        turned = head.reverse_complement(predictions[name], HUMAN, length)
        twice = head.reverse_complement(turned, HUMAN, length)
        jax.tree.map(np.testing.assert_array_equal, twice, dict(predictions[name]))
        assert any(bool(jnp.any(turned[key] != x)) for key, x in predictions[name].items())


def known_of_human_only(names, strands):
    """Track tables of both organisms."""
    known = track_table({"name": list(names), "strand": list(strands)})
    return known, track_table({"name": ["padding"] * len(strands), "strand": ["."] * len(strands)})


SITES = known_of_human_only(("donor", "acceptor", "donor", "acceptor", "padding"), "++--.")


def test_an_organism_without_sites_learns_none_from_a_teacher(getkey):
    head = registry().create("heads", "splice_sites", SITES, DIMS, key=getkey())
    logits = jax.random.normal(getkey(), (2, 8, 5))
    taught = {"classes": jax.nn.softmax(jax.random.normal(getkey(), (2, 8, 5)))}
    both, human, mouse = (
        head.loss({"logits": logits[rows]}, {"classes": taught["classes"][rows]}, jnp.asarray(organisms))["loss"]
        for rows, organisms in ((slice(0, 2), [0, 1]), (slice(0, 1), [0]), (slice(1, 2), [1]))
    )
    assert float(mouse) == 0
    np.testing.assert_allclose(both, human, rtol=1e-6)


def test_usage_is_taught_where_the_teacher_sees_a_site(getkey):
    tables = {"splice_sites": SITES, "splice_site_usage": known_of_human_only(["liver"], ".")}
    heads = {name: registry().create("heads", name, tables[name], DIMS, key=getkey()) for name in tables}
    sites, usage = np.zeros((1, 6, 5), np.float32), np.full((1, 6, 1), 0.7, np.float32)
    sites[..., 4], sites[0, 3] = 1, (0, 0.2, 0, 0, 0.8)
    teacher = FunctionTeacher(
        "one",
        "CC0-1.0",
        ("human", "mouse"),
        tables,
        lambda codes, organism: {"splice_sites": sites} | {"splice_site_usage": usage},
    )
    batch = {"codes": np.zeros((1, 6), np.uint8), "organism": np.zeros(1, np.int32)}
    targets = make_targets(heads, [teacher], list(tables), batch)
    found = np.asarray(targets["splice_site_usage"]["usage"])[0, :, 0]
    np.testing.assert_array_equal(np.flatnonzero(~np.isnan(found)), [3])
    alone = make_targets(heads, [teacher], ["splice_site_usage"], batch)
    assert not np.isnan(alone["splice_site_usage"]["usage"]).any()
