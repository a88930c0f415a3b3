"""Options of heads: resolutions between those of the embeddings, coarse targets, a crop, balanced splice sites."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ag_core.config import EmbeddingDims
from ag_core.interfaces import Embeddings
from ag_core.plugins import registry
from ag_core.schema import track_table

LENGTH = 512
DIMS = EmbeddingDims(6, 8, 4)
TRACKS = track_table({"name": ["a", "b"], "strand": [".", "."], "nonzero_mean": [2.0, 0.5]})
SITES = track_table({"name": ["donor", "acceptor"] * 2 + ["Padding"], "strand": ["+", "+", "-", "-", "."]})
ORGANISM = jnp.zeros((), jnp.int32)


def make(plugin="atac", table=TRACKS, **options):
    return registry().create("heads", plugin, (table,), DIMS, key=jax.random.key(0), **options)


@pytest.fixture(scope="module")
def embeddings():
    random = np.random.default_rng(0)
    fine, coarse = random.normal(size=(LENGTH, 6)), random.normal(size=(LENGTH // 128, 8))
    return Embeddings(jnp.asarray(fine, jnp.float32), jnp.asarray(coarse, jnp.float32), None)


def loss_of(head, predictions, signal):
    batched = jax.tree.map(lambda x: x[None], predictions)
    return head.loss(batched, {"signal": jnp.asarray(signal, jnp.float32)[None]}, jnp.zeros(1, jnp.int32))["loss"]


def test_other_resolutions_read_means_of_the_finer_embedding(embeddings):
    head = make(resolutions=(32, 256))
    assert head.reads == {1, 128}
    predictions = head(embeddings, ORGANISM, {})
    pooled = Embeddings(None, embeddings.bp128.reshape(2, 2, 8).mean(axis=1), None)
    coarse = eqx.tree_at(lambda h: h.linears[128], make(resolutions=(128,)), head.linears[256])
    expected = coarse(pooled, ORGANISM, {})["scaled_predictions_128bp"]
    np.testing.assert_allclose(predictions["scaled_predictions_256bp"], expected, rtol=1e-6)
    assert predictions["predictions_32bp"].shape == (LENGTH // 32, 2)
    with pytest.raises(ValueError, match="expected powers of two up to 2048"):
        make(resolutions=(24,))


def test_coarse_targets_are_compared_with_sums(embeddings):
    """How a bin's signal is spread over its bases does not count, only how much it is."""
    head, plain = make(resolutions=(1,), target_resolution=32), make(resolutions=(1,))
    fine = plain(embeddings, ORGANISM, {})
    sums = np.asarray(fine["predictions_1bp"]).reshape(-1, 32, 2).sum(axis=1)
    shuffled = {
        name: x.reshape(-1, 32, 2)[:, ::-1].reshape(x.shape) if name.endswith("1bp") else x for name, x in fine.items()
    }
    at_truth = loss_of(head, fine, sums)
    np.testing.assert_allclose(loss_of(head, shuffled, sums), at_truth, rtol=1e-5)
    assert loss_of(head, fine, np.roll(sums, 3, axis=0)) > at_truth
    slope = jax.grad(lambda scale: loss_of(head, {k: scale * v for k, v in fine.items()}, sums))(1.0)
    assert abs(float(slope)) < 1e-4


def test_what_is_cropped_has_no_part_in_the_loss(embeddings):
    head = make(resolutions=(1,), crop=128)
    predictions = head(embeddings, ORGANISM, {})
    signal = np.random.default_rng(0).gamma(1, size=(LENGTH, 2))
    before = loss_of(head, predictions, signal)
    outside, inside = signal.copy(), signal.copy()
    outside[:128], outside[-128:], inside[128] = 50, 50, 50
    assert loss_of(head, predictions, outside) == before
    assert loss_of(head, predictions, inside) != before
    with pytest.raises(ValueError, match="a whole number of bins"):
        make(resolutions=(128,), crop=100)


@pytest.mark.parametrize("plugin", ["atac", "rna_seq"])
def test_a_centred_head_predicts_the_averages(plugin):
    averages = np.array([[0.3, 0.02]])
    head = make(plugin).centre(averages)
    nothing = Embeddings(jnp.zeros((LENGTH, 6)), jnp.zeros((LENGTH // 128, 8)), None)
    predictions = head(nothing, ORGANISM, {})
    np.testing.assert_allclose(predictions["predictions_1bp"][0], averages[0], rtol=1e-4)
    np.testing.assert_allclose(predictions["predictions_128bp"][0], 128 * averages[0], rtol=1e-4)


@pytest.mark.parametrize("site_weight", [1.0, 100.0])
def test_probabilities_are_probabilities_however_much_a_site_weighs(site_weight):
    """The best constant prediction is how common the classes are; soft labels say the same as hard ones do together."""
    common = np.array([0.03, 0.02, 0.01, 0.04])
    head = make("splice_sites", SITES, site_weight=site_weight).centre(np.append(common, np.nan)[None])
    logits = head.linear.bias[0]
    np.testing.assert_allclose(jax.nn.softmax(logits)[:4], common, rtol=1e-5)
    rows = np.repeat(np.arange(5), [30, 20, 10, 40, 900])
    hard, soft = np.eye(5, dtype=bool)[rows], np.tile(np.append(common, 0.9).astype(np.float32), (1000, 1))

    def loss(logits, classes):
        predictions = {"logits": jnp.broadcast_to(logits, (1, 1000, 5))}
        return head.loss(predictions, {"classes": jnp.asarray(classes)[None]}, jnp.zeros(1, jnp.int32))["loss"]

    for classes in (hard, soft):
        np.testing.assert_allclose(jax.grad(loss)(logits, classes), 0, atol=2e-6)
    assert float(jnp.max(jnp.abs(jax.grad(loss)(logits.at[0].add(1.0), hard)))) > 1e-3
