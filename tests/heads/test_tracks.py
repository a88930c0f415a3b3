import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ag_core.config import EmbeddingDims
from ag_core.interfaces import Embeddings
from ag_core.plugins import registry
from ag_core.schema import strand_partners, track_table
from ag_heads.losses import track_loss
from ag_heads.scaling import scale_targets, soft_clip, undo_soft_clip, unscale_predictions
from ag_heads.tracks import GenomeTracksHead
from hypothesis import given, settings
from hypothesis import strategies as st

LENGTH, DIMS = 256, EmbeddingDims(bp1=6, bp128=8, pair=2)
STRANDED = {
    "name": ["a", "b", "a", "b", "c", "padding"],
    "strand": ["+", "+", "-", "-", ".", "."],
    "nonzero_mean": [0.5, 2.0, 0.5, 2.0, 1.0, np.nan],
}


def head(**options):
    table = track_table(STRANDED)
    settings = {"modality": "toy", "resolutions": (1, 128)} | options
    return GenomeTracksHead((table, table), DIMS, key=jax.random.key(0), **settings)


def embeddings(seed=1):
    keys = jax.random.split(jax.random.key(seed))
    fine, coarse = jax.random.normal(keys[0], (LENGTH, 6)), jax.random.normal(keys[1], (LENGTH // 128, 8))
    return Embeddings(fine, coarse, None)


ORGANISM = jnp.array(0)


@settings(deadline=None, max_examples=50)
@given(
    value=st.floats(0, 1e6, width=32),
    mean=st.floats(2**-7, 128, width=32),
    resolution=st.sampled_from([1, 128]),
    squash=st.booleans(),
)
def test_scaling_is_invertible_and_monotonous(value, mean, resolution, squash):
    values, means = jnp.array([[value], [2 * value + 1]], jnp.float32), jnp.array([mean], jnp.float32)
    scaled = scale_targets(values, means, resolution, squash=squash)
    assert scaled[1, 0] > scaled[0, 0] >= 0
    back = unscale_predictions(scaled, means, resolution, squash=squash)
    np.testing.assert_allclose(back, values, rtol=1e-4, atol=1e-6 * mean * resolution)


def test_soft_clip_is_smooth_at_ten():
    for function in (soft_clip, undo_soft_clip):
        below, above = (jax.grad(lambda x, f=function: f(x).sum())(jnp.array([x])) for x in (9.999, 10.001))
        np.testing.assert_allclose(below, above, rtol=1e-3)
    np.testing.assert_allclose(soft_clip(jnp.array([3.0, 10.0, 40.0])), [3, 10, 30])


def test_scaling_of_the_specification():
    # 16 reads over 128 bp at a mean of 0.5: 0.25 of the mean; squashed 0.25^0.75.
    plain, squashed = (
        float(scale_targets(jnp.array([[16.0]]), jnp.array([0.5]), 128, squash=squash)[0, 0])
        for squash in (False, True)
    )
    assert plain == pytest.approx(0.25)
    assert squashed == pytest.approx(0.25**0.75)


def test_predictions_undo_the_scaling_of_targets():
    model = head(squash=True)
    predictions = model(embeddings(), ORGANISM, {})
    for resolution in (1, 128):
        means = model.means.value[0]
        back = scale_targets(predictions[f"predictions_{resolution}bp"], means, resolution, squash=True)
        scaled = predictions[f"scaled_predictions_{resolution}bp"]
        np.testing.assert_allclose(back[:, :5], scaled[:, :5], rtol=1e-4)
        assert bool(jnp.all(jnp.isnan(back[:, 5])))
        assert bool(jnp.all(jnp.isfinite(scaled)))
    np.testing.assert_array_equal(model.output(predictions), predictions["predictions_1bp"])


def test_squash_is_an_option_of_one_modality():
    tables, key = (track_table(STRANDED),), jax.random.key(0)
    known = {name: registry().get("heads", name).options for name in registry().names("heads")}
    squashed = {name for name, options in known.items() if options.get("squash")}
    assert squashed == {"rna_seq"}
    made = registry().create("heads", "rna_seq", tables, DIMS, key=key)
    assert made.squash
    assert not made.shift_reverse
    assert registry().create("heads", "dnase", tables, DIMS, key=key).shift_reverse


def test_organisms_have_weights_of_their_own():
    first, second = (head()(embeddings(), jnp.array(i), {})["scaled_predictions_1bp"] for i in range(2))
    assert float(jnp.min(jnp.max(jnp.abs(first - second), axis=0))) > 1e-3


def loss_of(model, predictions, **targets):
    """Loss of a batch of one."""
    predictions, targets = jax.tree.map(lambda x: x[None], (predictions, targets))
    return model.loss(predictions, targets, ORGANISM[None])["loss"]


def test_loss_is_least_at_the_truth():
    """The sum of each segment and its distribution: 0 gradient at the truth, more loss all around it."""
    random = np.random.default_rng(0)
    truth = jnp.asarray(0.5 + random.gamma(1.0, 2.0, (LENGTH, 3)), jnp.float32)  # epsilons weigh on tiny values
    mask = jnp.ones((LENGTH, 3), bool)

    def loss(predictions):
        return track_loss(truth[None], predictions[None], mask[None], segment=64)["loss"]

    best = loss(truth)
    assert float(jnp.max(jnp.abs(jax.grad(loss)(truth)))) < 1e-5
    for factor in (0.5, 0.9, 1.1, 2.0):
        assert loss(truth * factor) > best
    assert loss(jnp.roll(truth, 1, axis=0)) > best
    assert loss(jnp.broadcast_to(truth.mean(axis=0), truth.shape)) > best


def test_loss_sees_counts_and_shares_apart():
    """Scaling a segment changes only the count term, which is zero at the truth (shifted Poisson)."""
    truth, mask = jnp.full((1, 128, 1), 2.0), jnp.ones((1, 128, 1), bool)

    def loss(predictions):
        return float(track_loss(truth, predictions, mask, segment=128)["loss"])

    uniform = -5 * 2.0 * np.log(1 / 128)  # 5 x the mean of -t log(share)
    total = 256.0
    assert loss(truth) == pytest.approx(uniform, rel=1e-4)
    more = 2 * total - total * np.log(2 * total) - (total - total * np.log(total))
    assert loss(2 * truth) == pytest.approx(uniform + more / 128, rel=1e-4)


@pytest.mark.slow
def test_tracks_that_do_not_count_have_no_gradient():
    model, inputs = head(), embeddings()
    signal = jax.random.uniform(jax.random.key(3), (LENGTH, 6)).at[:, 5].set(jnp.nan).at[:, 1].set(jnp.nan)
    measured = jnp.array([True, False, True, True, True, True])

    variables = (model.linears, model.scales, inputs)

    def loss(variables):
        linears, scales, inputs = variables
        changed = eqx.tree_at(lambda h: (h.linears, h.scales), model, (linears, scales))
        predictions = changed(inputs, ORGANISM, {})
        return loss_of(changed, predictions, signal=signal, measured=measured)

    value, (linears, scales, of_inputs) = jax.value_and_grad(loss)(variables)
    assert np.isfinite(value)
    for resolution in (1, 128):
        for gradient in (linears[resolution].weight[0], linears[resolution].bias[0], scales[resolution][0]):
            assert bool(jnp.all(jnp.isfinite(gradient)))
            largest = np.max(np.abs(np.atleast_2d(gradient)), axis=0)
            np.testing.assert_array_equal(largest > 0, [True, False, True, True, True, False])
        np.testing.assert_array_equal(linears[resolution].weight[1], 0)  # the other organism
    assert all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in jax.tree.leaves(of_inputs))


def test_coarse_targets_are_sums_of_fine_ones():
    model = head()
    signal = 0.5 + jax.random.uniform(jax.random.key(3), (LENGTH, 6))
    coarse = signal.reshape(-1, 128, 6).sum(axis=1)
    means = jnp.where(jnp.isnan(model.means.value[0]), 1, model.means.value[0])
    truth = {
        "scaled_predictions_1bp": scale_targets(signal, means, 1, squash=False),
        "scaled_predictions_128bp": scale_targets(coarse, means, 128, squash=False),
    }
    gradient = jax.grad(lambda p: loss_of(model, p, signal=signal))(truth)
    for leaf in gradient.values():
        assert float(jnp.max(jnp.abs(leaf))) < 1e-5


def test_reverse_complement_twice_changes_nothing():
    model, predictions = head(), head()(embeddings(), ORGANISM, {})
    once = model.reverse_complement(predictions, ORGANISM, LENGTH)
    np.testing.assert_array_equal(once["predictions_1bp"][0, 2], predictions["predictions_1bp"][-1, 0])
    np.testing.assert_array_equal(once["predictions_1bp"][0, 4], predictions["predictions_1bp"][-1, 4])
    twice = model.reverse_complement(once, ORGANISM, LENGTH)
    jax.tree.map(np.testing.assert_array_equal, twice, predictions)


def test_cut_sites_move_one_base():
    signal = jnp.arange(1.0, 5)[:, None] * jnp.ones(6)
    turned = head(shift_reverse=True).reverse_complement({"predictions_1bp": signal}, ORGANISM, 4)
    np.testing.assert_array_equal(turned["predictions_1bp"][:, 4], [0, 4, 3, 2])


def test_strand_partners():
    np.testing.assert_array_equal(strand_partners(track_table(STRANDED)), [2, 3, 0, 1, 4, 5])
    with pytest.raises(ValueError, match=r"2 tracks on '\+' but 1 on '-'"):
        strand_partners(track_table({"name": ["a", "b", "a"], "strand": ["+", "+", "-"]}))


def test_organisms_of_unequal_size_are_refused():
    one, two = track_table(STRANDED), track_table({"name": ["a"], "strand": ["."]})
    with pytest.raises(ValueError, match=r"toy: organisms have \[1, 6\] tracks; pad the tables"):
        GenomeTracksHead((one, two), DIMS, modality="toy", resolutions=(1,), key=jax.random.key(0))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"name": ["a"]}, "needs the variable 'strand'"),
        ({"name": ["a"], "strand": ["*"]}, r"must be one of .*, got \['\*'\]"),
        ({"name": ["a", "a"], "strand": ["+", "+"]}, r"track 'a' on strand '\+' occurs more than once"),
        ({"name": ["a", "b"], "strand": ["+"]}, "differ in length"),
    ],
)
def test_bad_track_tables(columns, message):
    with pytest.raises(ValueError, match=message):
        track_table(columns)


def test_positions_without_measurement_do_not_count():
    model, inputs = head(), embeddings()
    signal = jax.random.uniform(jax.random.key(4), (LENGTH, 6))
    holes = signal.at[:128].set(jnp.nan)
    predictions = model(inputs, ORGANISM, {})
    wild = {name: values.at[: 128 // (LENGTH // len(values))].set(1e3) for name, values in predictions.items()}
    loss = float(loss_of(model, predictions, signal=holes))
    assert np.isfinite(loss)
    assert float(loss_of(model, wild, signal=holes)) == pytest.approx(loss, rel=1e-6)


def test_a_mean_of_zero_is_refused():
    table = track_table({"name": ["a"], "strand": ["."], "nonzero_mean": [0.0]})
    with pytest.raises(ValueError, match=r"'a' has nonzero_mean 0\.0; expected a positive"):
        registry().create("heads", "atac", [table], DIMS, key=jax.random.key(0))
