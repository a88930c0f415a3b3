"""Random rows: each as likely as any other, in order, without all of them in memory."""

import itertools
import math

import numpy as np
import pytest
from ag_scorers.expected_rows import strongest
from ag_scorers.sampled_rows import choose_rows, reservoir, split_rows
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare


@given(st.integers(0, 300), st.integers(1, 40), st.integers(0, 1000))
def test_a_sample_is_in_order_and_has_no_row_twice(total, count, seed):
    for found in (reservoir(iter(range(total)), count, seed), choose_rows(total, count, seed).tolist()):
        assert len(found) == min(count, total)
        assert found == sorted(set(found))
        assert not set(found) - set(range(total))


@pytest.mark.parametrize("draw", [lambda seed: reservoir(range(40), 6, seed), lambda seed: choose_rows(40, 6, seed)])
def test_every_row_is_as_likely(draw):
    drawn = np.bincount(np.concatenate([draw(seed) for seed in range(4000)]), minlength=40)
    assert drawn.sum() == 4000 * 6
    assert chisquare(drawn).pvalue > 1e-4
    assert not np.array_equal(draw(1), draw(2))
    assert np.array_equal(draw(1), draw(1))


def test_a_stream_is_read_once_and_not_kept():
    alive = [0, 0]

    class Row:
        def __init__(self):
            alive[0] += 1
            alive[1] = max(alive)

        def __del__(self):
            alive[0] -= 1

    assert len(reservoir((Row() for _ in range(5000)), 10, 0)) == 10
    assert alive[1] <= 12


def test_rows_of_billions_are_chosen_at_once():
    chosen = choose_rows(10**13, 50, 3)
    assert len(set(chosen.tolist())) == 50
    assert chosen.max() > 10**12


@given(st.lists(st.integers(0, 9), min_size=1, max_size=5), st.integers(0, 100))
def test_rows_are_found_in_their_parts(sizes, seed):
    whole = list(itertools.chain.from_iterable([(part, row) for row in range(size)] for part, size in enumerate(sizes)))
    chosen = choose_rows(len(whole), 7, seed)
    parts = split_rows(chosen, sizes)
    assert [(part, row) for part, rows in enumerate(parts) for row in rows.tolist()] == [whole[row] for row in chosen]


def test_numbers_as_far_from_zero_may_stand_for_each_other():
    values = np.array([[0.5, -2.00001, np.nan], [2.0, 1.9, -0.1]])
    assert strongest(values, 2.0, 1e-4, 0.0) == 2.0
    assert strongest(values, -2.0, 1e-4, 0.0) == -2.00001
    assert strongest(values, 1.9, 1e-4, 0.0) == 2.0  # it is not the farthest
    assert strongest(values, math.inf, 1e-4, 0.0) == -2.00001
    assert strongest(3.0, -3.0, 1e-4, 0.0) == 3.0
    assert math.isnan(strongest(None, 1.0, 1e-4, 0.0))
    assert math.isnan(strongest(np.array([np.nan]), 1.0, 1e-4, 0.0))
