"""One-pass quantiles: exact where promised, within the bound elsewhere, whatever the pieces and their order."""

import numpy as np
import pytest
from ag_core.errors import InputError
from ag_scorers.quantile_sketch import QuantileSketch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

TRACKS, CAPACITY, TAIL = 3, 8, 4
# Few different values make ties; the third track lacks some.
NUMBERS = st.one_of(st.integers(-5, 5).map(float), st.floats(-1e3, 1e3, width=32))
ROWS = hnp.arrays(np.float32, st.tuples(st.integers(0, 150), st.just(TRACKS)), elements=NUMBERS).map(
    lambda rows: np.where((np.arange(TRACKS) == 2) & (rows < -1), np.float32(np.nan), rows)
)


def sketch_of(rows, step=5, capacity=CAPACITY, tail=TAIL):
    sketch = QuantileSketch(TRACKS, capacity, tail)
    for start in range(0, len(rows), step):
        sketch.add(rows[start : start + step])
    return sketch


def check(sketch, rows):
    """All ranks of all tracks against sorted values."""
    count = np.count_nonzero(~np.isnan(rows), axis=0)
    np.testing.assert_array_equal(sketch.count, count)
    for track in range(TRACKS):
        truth, n = np.sort(rows[:, track])[: count[track]], int(count[track])
        found = sketch.order_statistics(np.tile(np.arange(max(n, 1)), (TRACKS, 1)))[track]
        if n == 0:
            assert np.isnan(found).all()
            continue
        np.testing.assert_array_equal(found[:TAIL], truth[:TAIL])
        np.testing.assert_array_equal(found[-TAIL:], truth[-TAIL:])
        assert (np.diff(found) >= 0).all()
        # A value covers all ranks of its ties; the error is the distance to the nearest of them.
        low, high = np.searchsorted(truth, found, side="left"), np.searchsorted(truth, found, side="right") - 1
        ranks = np.arange(n)
        error = np.maximum(np.maximum(low - ranks, ranks - high), 0)
        assert error.max() <= sketch.error * n + 1e-9
        if n < 2 * CAPACITY:
            np.testing.assert_array_equal(found, truth)


@settings(max_examples=40)
@given(rows=ROWS, step=st.integers(1, 40))
def test_one_pass(rows, step):
    check(sketch_of(rows, step), rows)


@settings(max_examples=40)
@given(rows=ROWS, cut=st.integers(0, 150), other=st.integers(0, 150))
def test_pieces_merged_in_any_order(rows, cut, other):
    pieces = np.split(rows, sorted((min(cut, len(rows)), min(other, len(rows)))))
    results = []
    for order in ((0, 1, 2), (2, 0, 1)):
        merged = sketch_of(pieces[order[0]])
        for number in order[1:]:
            merged.merge(sketch_of(pieces[number]))
        check(merged, rows)
        results.append(merged)
    # (a + b) + c and a + (b + c)
    right = sketch_of(pieces[1])
    right.merge(sketch_of(pieces[2]))
    left = sketch_of(pieces[0])
    left.merge(right)
    check(left, rows)
    for name in ("low", "high"):
        np.testing.assert_array_equal(results[0].arrays()[name], results[1].arrays()[name])


@pytest.mark.parametrize("order", ["random", "rising", "falling", "saw"])
def test_the_bound_holds_for_long_streams_in_unkind_orders(order):
    random = np.random.default_rng(1)
    n = 20_000
    values = np.sort(random.standard_cauchy(n).astype(np.float32))
    values = {
        "random": random.permutation(values),
        "rising": values,
        "falling": values[::-1],
        "saw": values.reshape(100, -1).T.ravel(),
    }[order]
    sketch = QuantileSketch(1, 128, 50)
    for start in range(0, n, 200):
        sketch.add(values[start : start + 200, None])
    ranks = np.arange(n)
    found = sketch.order_statistics(ranks[None])[0]
    error = np.abs(np.searchsorted(np.sort(values), found) - ranks).max() / n
    assert 0 < error <= sketch.error < 0.03
    assert sum(array.nbytes for array in sketch.arrays().values()) < n * 4 / 5


@settings(max_examples=40)
@given(rows=ROWS, cut=st.integers(0, 150))
def test_a_sketch_that_was_kept_in_a_file_goes_on_the_same(rows, cut):
    whole, kept = sketch_of(rows[:cut]), sketch_of(rows[:cut])
    kept = QuantileSketch.from_arrays({name: array.copy() for name, array in kept.arrays().items()})
    whole.add(rows[cut:])
    kept.add(rows[cut:])
    assert whole.arrays().keys() == kept.arrays().keys()
    for name, array in whole.arrays().items():
        np.testing.assert_array_equal(array, kept.arrays()[name])


def test_infinite_values_are_counted_and_left_out():
    sketch = QuantileSketch(2, 4, 2)
    sketch.add(np.array([[1, np.inf], [-np.inf, 2], [3, np.nan]], np.float32))
    np.testing.assert_array_equal(sketch.count, [2, 1])
    np.testing.assert_array_equal(sketch.infinite, [1, 1])
    np.testing.assert_array_equal(sketch.order_statistics(np.array([[0, 1], [0, 0]])), [[1, 3], [2, 2]])


def test_bad_sizes():
    with pytest.raises(ValueError, match="capacity 5"):
        QuantileSketch(1, 5, 2)
    with pytest.raises(ValueError, match="rows of 3 tracks"):
        QuantileSketch(3).add(np.zeros((2, 4), np.float32))
    with pytest.raises(ValueError, match=r"\(3, 8, 4\).*\(3, 16, 4\).*cannot be merged"):
        QuantileSketch(3, 8, 4).merge(QuantileSketch(3, 16, 4))
    arrays = QuantileSketch(3, 8, 4).arrays()
    with pytest.raises(InputError, match="filled of wrong shape"):
        QuantileSketch.from_arrays({**arrays, "filled": np.zeros(7, np.int64)})
    del arrays["low"]
    with pytest.raises(InputError, match="no sketch"):
        QuantileSketch.from_arrays(arrays)
