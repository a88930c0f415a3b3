"""The recipe of the embedded model: what it may see, and how batches are made."""

import numpy as np
import pandas as pd
import pytest
from ag_core.schema import strand_partners
from ag_heads.recipes import peak_targets, train_mini
from hypothesis import given
from hypothesis import strategies as st

LENGTH = 4 * train_mini.WINDOW


@pytest.fixture
def chromosome():
    random = np.random.default_rng(0)
    peaks = pd.DataFrame(
        {"chrom": "chr20", "start": [1000, 30_000], "end": [1300, 30_400], "tf": ["A", "B"], "cell": "C", "summit": 150}
    )
    tracks = peak_targets.chip_tracks(peaks)
    tss = pd.DataFrame({"chrom": "chr20", "start": [40_000], "end": [40_010], "strand": ["-"], "count_": [50.0]})
    return peak_targets.Chromosome(
        "chr20",
        random.integers(0, 4, LENGTH).astype(np.uint8),
        peak_targets.dense_chip(peaks, tracks, LENGTH),
        tss,
        (peaks["start"] + peaks["summit"]).to_numpy(),
    )


def test_a_peak_covers_a_hundred_bases_around_its_summit(chromosome):
    chip = chromosome.chip.astype(float)
    # Summit 1,150: bases 1,050 to 1,250, in bins 8 (to 1,152) and 9 (to 1,280).
    np.testing.assert_allclose(chip[8:10, 0] * 128, [102, 98], atol=0.1)
    assert chip[:, 0].sum() * 128 == pytest.approx(200, abs=0.2)
    assert not chip[:230, 1].any()


def test_tss_counts_are_spread_over_their_cluster(chromosome):
    cage = chromosome.cage(39_990, 40_020)
    np.testing.assert_allclose(cage[10:20, 1], 5.0)
    assert cage.sum() == pytest.approx(50)


def test_turned_batch_is_the_reverse_complement(chromosome):
    partners = strand_partners(peak_targets.cage_tracks())
    window = [(chromosome, 2 * train_mini.WINDOW)]
    plain = train_mini.make_batch(window, np.array([False]), partners)
    turned = train_mini.make_batch(window, np.array([True]), partners)
    np.testing.assert_array_equal(turned["codes"][0], 3 - plain["codes"][0][::-1])
    np.testing.assert_array_equal(turned["chip_tf"][0], plain["chip_tf"][0][::-1])
    np.testing.assert_array_equal(turned["cage"][0], plain["cage"][0][::-1, ::-1])
    assert plain["cage"][0][:, 1].sum() > 0


@given(
    st.sampled_from(["chr20", "chr22", "chrX"]), st.integers(0, 60_000_000), st.sampled_from([train_mini.WINDOW, 100])
)
def test_training_windows_keep_clear_of_what_is_held_out(name, start, width):
    held = {"chr22": [(0, 10**9)], "chr20": [(40_000_000, 46_000_000)], "chrX": [(0, 10_000_000)]}
    touches = any(start < e + train_mini.MARGIN and start + width > s - train_mini.MARGIN for s, e in held[name])
    assert train_mini.allowed(name, start, start + width) == (not touches)


def test_same_step_same_batch(chromosome):
    partners = strand_partners(peak_targets.cage_tracks())
    one, two = (train_mini.Sampler([chromosome], partners, seed=3).batch(2) for _ in range(2))
    for key in one:
        np.testing.assert_array_equal(one[key], two[key])
