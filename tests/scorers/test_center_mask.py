import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ag_core.genome import Interval, Variant
from ag_scorers.center_mask import WIDTHS, Aggregation, CenterMaskScorer, window
from hypothesis import given
from hypothesis import strategies as st

INTERVAL = Interval("chr1", 1000, 17384)  # 16,384 bp


def bins(position, width, resolution, chromosome="chr1"):
    """First bin and end of the mask, and the number of bins read."""
    seen = window(INTERVAL, Variant(chromosome, position, "A", "C"), resolution, width)
    rows = np.flatnonzero(seen.valid) + seen.start
    return (int(rows[0]), int(rows[-1]) + 1) if len(rows) else None, len(seen.valid)


@pytest.mark.parametrize(
    ("position", "width", "resolution", "expected"),
    [
        (9193, 501, 1, ((7942, 8443), 501)),
        (9192, 501, 128, ((61, 65), 4)),
        (9193, 2001, 128, ((56, 72), 16)),
        (17383, 2001, 1, ((15382, 16384), 2001)),
        (1001, 501, 1, ((0, 251), 501)),
        (17383, 501, 128, ((125, 128), 4)),
        (1100, 200001, 128, ((0, 128), 128)),
        (9193, None, 128, ((0, 128), 128)),
        (17385, 2001, 128, (None, 16)),
        (1000, None, 1, (None, 16384)),
    ],
)
def test_masks_of_the_specification(position, width, resolution, expected):
    assert bins(position, width, resolution) == expected


def test_other_chromosomes_are_outside():
    assert bins(9193, 501, 1, "chr2") == (None, 501)


@given(st.sampled_from(WIDTHS), st.sampled_from([1, 128, 2048]), st.integers(900, 17500))
def test_masks_agree_with_a_naive_implementation(width, resolution, position):
    count = INTERVAL.width // resolution
    mask, start = np.zeros(count, bool), position - 1
    if INTERVAL.start <= start < INTERVAL.end:
        if width is None:
            mask[:] = True
        else:
            size, center = -(-width // resolution), (start - INTERVAL.start) // resolution
            mask[max(center - size // 2, 0) : max(center - size // 2 + size, 0)] = True
    seen = window(INTERVAL, Variant("chr1", position, "A", "C"), resolution, width)
    got = np.zeros(count, bool)
    got[int(seen.start) : int(seen.start) + len(seen.valid)] = seen.valid
    np.testing.assert_array_equal(got, mask)


def naive(aggregation, r, a):
    return {
        "diff_mean": lambda: a.mean(0) - r.mean(0),
        "diff_sum": lambda: a.sum(0) - r.sum(0),
        "diff_sum_log2": lambda: np.log2(a + 1).sum(0) - np.log2(r + 1).sum(0),
        "diff_log2_sum": lambda: np.log2(1 + a.sum(0)) - np.log2(1 + r.sum(0)),
        "l2_diff": lambda: np.sqrt(((a - r) ** 2).sum(0)),
        "l2_diff_log1p": lambda: np.sqrt(((np.log1p(a) - np.log1p(r)) ** 2).sum(0)),
        "active_mean": lambda: np.maximum(a.mean(0), r.mean(0)),
        "active_sum": lambda: np.maximum(a.sum(0), r.sum(0)),
    }[aggregation]()


def compute(scorer, ref, alt, position=9193, interval=INTERVAL):
    masks = scorer.items(interval, Variant("chr1", position, "A", "C"), interval.width // len(ref), {}).masks
    return np.asarray(jax.jit(scorer.score)(ref, alt, masks))


@pytest.mark.parametrize("aggregation", list(Aggregation))
def test_formulas_and_laws(aggregation):
    random = np.random.default_rng(0)
    ref, alt = random.gamma(0.5, 2, (2, 16384, 3)).astype(np.float32)
    scorer = CenterMaskScorer("dnase", 501, aggregation)
    scores = compute(scorer, ref, alt)
    np.testing.assert_allclose(scores[0], naive(aggregation, ref[7942:8443], alt[7942:8443]), rtol=1e-4, atol=1e-5)
    swapped = compute(scorer, alt, ref)
    np.testing.assert_allclose(swapped, -scores if scorer.signed else scores, rtol=1e-6)
    if not aggregation.startswith("active"):
        assert (compute(scorer, ref, ref) == 0).all()
    permuted = compute(scorer, ref[:, [2, 0, 1]], alt[:, [2, 0, 1]])
    np.testing.assert_allclose(permuted, scores[:, [2, 0, 1]], rtol=1e-5, atol=1e-5)
    # The same bases seen through a window 64 bp further right.
    moved = compute(scorer, np.roll(ref, -64, 0), np.roll(alt, -64, 0), interval=INTERVAL.shift(64))
    np.testing.assert_allclose(moved, scores, rtol=1e-5, atol=1e-5)


def test_empty_mask_sums_to_zero_and_has_no_mean():
    values = np.ones((128, 2), np.float32)
    for aggregation in Aggregation:
        scores = compute(CenterMaskScorer("chip_tf", 501, aggregation), values, 2 * values, position=999)
        expected = np.nan if aggregation.endswith("mean") else 0.0
        np.testing.assert_array_equal(scores, np.full((1, 2), expected, np.float32), err_msg=aggregation)


def test_one_program_serves_all_positions():
    traces = []
    scorer = CenterMaskScorer("chip_histone", 2001)
    values = jnp.ones((128, 1))

    @jax.jit
    def score(masks):
        traces.append(1)
        return scorer.score(values, values, masks)

    for position in (900, 1001, 9192, 17384, 17500):
        score(scorer.items(INTERVAL, Variant("chr1", position, "A", "C"), 128, {}).masks)
    assert len(traces) == 1


def test_settings():
    scorer = CenterMaskScorer("splice_sites", None, "Active_Mean")
    assert scorer.name == "CenterMaskScorer(requested_output=SPLICE_SITES, width=None, aggregation_type=ACTIVE_MEAN)"
    assert not scorer.signed
    assert not scorer.requires
    assert scorer == CenterMaskScorer("SPLICE_SITES", None, Aggregation.ACTIVE_MEAN)
    assert jax.tree.leaves(scorer) == []
    assert CenterMaskScorer("my_new_assay").name.startswith("CenterMaskScorer(requested_output=MY_NEW_ASSAY, width=501")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"width": 500}, "width 500 bp; expected one of"),
        ({"aggregation": "median"}, "aggregation 'median'; expected one of diff_mean, "),
        ({"modality": "atac seq"}, "modality 'atac seq' is no name"),
        ({"modality": ""}, "modality '' is no name"),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        CenterMaskScorer(**{"modality": "atac", **settings})


def test_predictions_shorter_than_the_window():
    scorer = CenterMaskScorer("atac", 501)
    masks = scorer.items(INTERVAL, Variant("chr1", 9193, "A", "C"), 1, {}).masks
    with pytest.raises(ValueError, match=r"atac predictions of shape \(128, 2\) cannot be read in a window of 501"):
        scorer.score(jnp.ones((128, 2)), jnp.ones((128, 2)), masks)
