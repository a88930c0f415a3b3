import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ag_core.genome import Interval, Variant
from ag_scorers.align import align_alternate, aligned_sum, alignment, masked_sum
from hypothesis import given, settings
from hypothesis import strategies as st

LENGTH = 12
NUMBERS = np.arange(1, LENGTH + 1, dtype=np.float32)[:, None]
align = jax.jit(align_alternate)
align_sum = jax.jit(aligned_sum)


def aligned(position, ref, alt, strand="."):
    interval = Interval("chr1", 0, LENGTH, strand)
    return np.asarray(align(NUMBERS, alignment(interval, Variant("chr1", position, ref, alt), LENGTH)))[:, 0].tolist()


@pytest.mark.parametrize(
    ("variant", "strand", "expected"),
    [
        ((5, "A", "T"), ".", [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
        ((5, "A", "ATT"), ".", [1, 2, 3, 4, 7, 8, 9, 10, 11, 12, 0, 0]),
        ((5, "A", "ATT"), "-", [0, 0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 12]),
        ((5, "ATT", "A"), ".", [1, 2, 3, 4, 5, 0, 0, 6, 7, 8, 9, 10]),
        ((5, "ATT", "A"), "-", [3, 4, 5, 6, 7, 0, 0, 8, 9, 10, 11, 12]),
        ((5, "", "TG"), ".", [1, 2, 3, 6, 7, 8, 9, 10, 11, 12, 0, 0]),
        ((5, "AC", ""), ".", [1, 2, 3, 4, 0, 0, 5, 6, 7, 8, 9, 10]),
        # On the last base real data is zeroed too: the last n rows always are.
        ((12, "A", "ACC"), ".", [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0, 0]),
        # Past the window's end: clipped.
        ((11, "ACC", "A"), ".", [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0]),
        ((11, "ACC", "A"), "-", [0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
    ],
)
def test_worked_examples(variant, strand, expected):
    assert aligned(*variant, strand) == expected


def test_variants_outside_the_window_move_nothing():
    window = Interval("chr1", 100, 112)
    for text in ("chr2:105:A>ATT", "chr1:100:A>ATT", "chr1:95:AC>A", "chr1:113:A>ATT", "chr1:113:ATT>A"):
        assert alignment(window, Variant.from_str(text), LENGTH).shift == 0, text


def test_deletion_across_the_left_end_uses_only_its_part_inside():
    moves = alignment(Interval("chr1", 100, 112), Variant("chr1", 98, "ACGTAC", "A"), LENGTH)
    assert np.asarray(align(NUMBERS, moves))[:, 0].tolist() == [0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9]


def test_parity_counts_an_anchor_before_the_window_from_its_end():
    moves = alignment(Interval("chr1", 100, 112), Variant("chr1", 97, "A", "AC"), LENGTH, parity=True)
    assert (moves.anchor, moves.shift) == (LENGTH - 4, 1)


def naive(alt, start, ref, alternate, reverse):
    rows = list(alt[::-1] if reverse else alt)
    n, shared = alternate - ref, start + min(ref, alternate) - 1
    zero = np.zeros_like(alt[0])
    if n > 0:
        rows[max(shared, 0) : shared + n + 1] = [np.max(rows[max(shared, 0) : shared + n + 1], axis=0)] * (shared >= 0)
        rows = (rows + [zero] * n)[: len(alt)]
        rows[-n:] = [zero] * len(rows[-n:])
    elif n < 0:
        rows = (rows[: shared + 1] + [zero] * -n + rows[shared + 1 :])[: len(alt)]
    return np.stack(rows[::-1] if reverse else rows)


@settings(deadline=None)
@given(st.integers(0, LENGTH - 1), st.integers(0, 5), st.integers(0, 5), st.booleans(), st.integers(0, 2**31))
def test_agrees_with_a_naive_implementation(start, ref, alternate, reverse, seed):
    random = np.random.default_rng(seed)
    alt, mask = random.uniform(-1, 1, (LENGTH, 3)).astype(np.float32), random.random((LENGTH, 4)) < 0.5
    interval = Interval("chr1", 7, 7 + LENGTH, "-" if reverse else "+")
    if start + ref > LENGTH and alternate > ref:
        return  # nothing of such an insertion is inside the window, where the naive one does not clip
    variant = Variant("chr1", 7 + start + 1, "A" * ref, "C" * alternate)
    moves = alignment(interval, variant, LENGTH)
    expected = naive(alt, start, ref, alternate, reverse)
    np.testing.assert_array_equal(align(alt, moves), expected)
    np.testing.assert_allclose(align_sum(mask, alt, moves), mask.T @ expected, rtol=1e-5, atol=1e-6)


def test_long_insertions_are_pooled_whole():
    length, inserted = 512, 300
    alt = np.random.default_rng(0).random((length, 2), np.float32)
    variant = Variant("chr1", 151, "A", "A" * (1 + inserted))
    for strand in "+-":
        got = align_alternate(alt, alignment(Interval("chr1", 0, length, strand), variant, length))
        np.testing.assert_array_equal(got, naive(alt, 150, 1, 1 + inserted, strand == "-"))


def test_one_program_serves_all_variants_without_full_size_temporaries():
    length = 4096
    interval, alt = Interval("chr1", 0, length), jnp.ones((length, 32))
    mask = np.zeros((length, 2), bool)
    traces = []

    def both(mask, alt, moves):
        traces.append(1)
        return align_alternate(alt, moves), aligned_sum(mask, alt, moves)

    compiled = jax.jit(both)
    for text in ("chr1:9:A>C", "chr1:9:A>ACGT", "chr1:9:ACGT>A", "chr2:9:ACGT>A"):
        compiled(mask, alt, alignment(interval, Variant.from_str(text), length))
    assert len(traces) == 1
    moves = alignment(interval, Variant.from_str("chr1:9:A>ACGT"), length)
    for function, arguments in ((align_alternate, (alt, moves)), (aligned_sum, (mask, alt, moves))):
        memory = jax.jit(function).lower(*arguments).compile().memory_analysis()
        assert memory.temp_size_in_bytes < alt.nbytes / 4


def test_sums_are_float32_for_bfloat16_values():
    mask, values = np.ones((4096, 1), bool), jnp.ones((4096, 1), jnp.bfloat16)
    got = masked_sum(mask, values.at[0].set(0.5))
    assert got.dtype == jnp.float32
    assert got.tolist() == [[4095.5]]


def test_length_must_be_the_interval_in_bases():
    with pytest.raises(ValueError, match=r"cannot align 32 rows over chr1:0-4096:\., which has 4096 bp"):
        alignment(Interval("chr1", 0, 4096), Variant("chr1", 5, "A", "C"), 32)
