"""docs/example-plugin is a real distribution: it must be found, train and score like a built-in."""

import pathlib
import tomllib

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from ag_core import training
from ag_core.config import EmbeddingDims
from ag_core.genome import Interval, Variant
from ag_core.interfaces import Embeddings
from ag_core.plugins import registry
from ag_core.schema import track_table

FOLDER = pathlib.Path(__file__).parents[2] / "docs" / "example-plugin"
BINS, DIMS = 16, EmbeddingDims(bp1=4, bp128=6, pair=2)
INTERVAL = Interval("chr1", 1000, 1000 + 128 * BINS)


def test_short_and_on_the_core_alone():
    lines = {path.stem: sum(map(bool, path.read_text().split("\n"))) for path in FOLDER.rglob("*.py")}
    assert 80 < sum(lines.values()) < 100
    assert lines["max_abs_diff"] < 60
    dependencies = tomllib.loads((FOLDER / "pyproject.toml").read_text())["project"]["dependencies"]
    assert [text.partition(">")[0] for text in dependencies] == ["ag-core", "numpy", "xarray"]


def test_found_among_the_installed_plugins():
    providers = {(f.kind, f.plugin.name): f.provider.split(" ")[0] for f in registry().found}
    assert providers["heads", "methylation"] == "ag-example-plugin"
    assert providers["scorers", "max_abs_diff"] == "ag-example-plugin"
    assert providers["sources", "npz_signal"] == "ag-example-plugin"


@pytest.fixture
def head():
    table = track_table({"name": ["liver", "brain", "padding"], "strand": ["."] * 3})
    return registry().create("heads", "methylation", (table, table), DIMS, key=jax.random.key(0))


@pytest.fixture
def embeddings():
    return Embeddings(None, jax.random.normal(jax.random.key(1), (BINS, 6)), None)


def test_head_predicts_fractions(head, embeddings):
    predictions = head(embeddings, jnp.array(0), {})
    fractions = head.output(predictions)
    assert fractions.shape == (BINS, 3)
    assert float(fractions.min()) > 0
    assert float(fractions.max()) < 1
    other = head.output(head(embeddings, jnp.array(1), {}))
    assert float(jnp.max(jnp.abs(fractions - other))) > 1e-2
    turned = head.reverse_complement(predictions, jnp.array(0), 128 * BINS)
    np.testing.assert_array_equal(head.output(turned), fractions[::-1])


def test_head_learns_what_was_measured(head, embeddings):
    signal = jnp.full((BINS, 3), jnp.nan).at[::2, 0].set(0.9).at[1, 1].set(0.0)
    optimiser = optax.adam(0.3)

    def loss(head, batch, key):
        predictions = jax.tree.map(lambda x: x[None], head(batch, jnp.array(0), {}))
        return head.loss(predictions, {"signal": signal[None]}, jnp.array([0]))["loss"], {}

    # Two ways to write the cross-entropy of one measured value.
    bias_free = jax.tree.map(jnp.zeros_like, head)
    assert float(loss(bias_free, embeddings, None)[0]) == pytest.approx(np.log(2), rel=1e-5)

    step = eqx.filter_jit(lambda state: training.advance(state, embeddings, loss=loss, optimiser=optimiser))
    state = training.start(head, optimiser)
    for _ in range(100):
        state, _ = step(state)
    fractions = head.output(state.model(embeddings, jnp.array(0), {}))
    np.testing.assert_allclose(fractions[::2, 0], 0.9, atol=0.02)
    assert float(fractions[1, 1]) < 0.05
    # Nothing measured, nothing learnt: padding, and the other organism.
    np.testing.assert_array_equal(state.model.linear.weight[0, :, 2], head.linear.weight[0, :, 2])
    np.testing.assert_array_equal(state.model.linear.weight[1], head.linear.weight[1])


@pytest.mark.parametrize(("resolution", "rows"), [(1, 257), (128, 3)])
def test_scorer_finds_the_largest_change_nearby(resolution, rows):
    scorer = registry().create("scorers", "max_abs_diff", modality="methylation")
    assert scorer.name == "MaxAbsDiffScorer(modality=methylation)"
    ref = np.zeros((INTERVAL.width // resolution, 2), np.float32)
    shapes = set()
    for offset, change, seen in [
        (128, 1, True),
        (-128, -2, True),
        (300, 9, False),
        (-300, 9, False),
        (0, -0.5, 1),
    ]:
        variant = Variant("chr1", INTERVAL.start + 1024 + 64 + 1, "A", "C")
        items = scorer.items(INTERVAL, variant, resolution, {})
        alt = ref.copy()
        alt[(variant.start - INTERVAL.start + offset) // resolution, 1] = change
        scores = jax.jit(scorer.score)(ref, alt, items.masks)
        np.testing.assert_allclose(scores, [[0, abs(change) if seen else 0]])
        shapes.add(np.shape(items.masks))
        assert items.count == 1
    assert shapes == {(rows,)}


def test_scorer_at_the_ends_of_the_window():
    scorer = registry().create("scorers", "max_abs_diff", modality="methylation")
    for position, row in ((INTERVAL.start + 1, 0), (INTERVAL.end, INTERVAL.width - 1)):
        masks = scorer.items(INTERVAL, Variant("chr1", position, "A", "C"), 1, {}).masks
        assert masks.shape == (257,)
        assert row in masks
        assert 0 <= masks.min() <= masks.max() < INTERVAL.width
        assert len(set(masks.tolist())) == 129
