import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from ag_core.genome import Interval, Variant
from ag_core.sequence import allele_sequences, encode, one_hot, reverse_complement
from hypothesis import given, settings
from hypothesis import strategies as st

GENOME = "GATTACAGGCTTAACCGGTATCGATCGGCTAAGCTTACGATCAGT"


def fetch(interval):
    assert interval.strand == "."
    return "".join(GENOME[i] if 0 <= i < len(GENOME) else "N" for i in range(interval.start, interval.end))


def test_codes_know_both_cases_and_nothing_else():
    codes = encode("ACGTNacgtnRé-")
    assert codes.dtype == np.uint8
    assert codes.tolist() == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 4, 4, 4]


def test_one_hot_has_zero_rows_for_unknown_bases_and_takes_batches():
    expected = np.array([[1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0]], np.float32)
    single = one_hot(encode("ATN"))
    assert single.dtype == jnp.float32
    np.testing.assert_array_equal(single, expected)
    np.testing.assert_array_equal(one_hot(np.stack([encode("ATN")] * 2)), np.stack([expected] * 2))


def test_reverse_complement_keeps_case_and_n():
    assert reverse_complement("ACGTNacgtRY") == "RYacgtNACGT"


@given(st.text("ACGTN"))
def test_one_hot_of_the_reverse_complement_is_flipped_in_both_axes(text):
    np.testing.assert_array_equal(
        one_hot(encode(reverse_complement(text))), np.asarray(one_hot(encode(text)))[::-1, ::-1]
    )


@pytest.mark.parametrize(
    ("variant", "ref", "alt"),
    [
        ("chr1:11:T>G", "GGCTTAAC", "GGCGTAAC"),  # substitution
        ("chr1:11:T>TCC", "GGCTTAAC", "GGCTCCTA"),  # insertion: the right flank leaves
        ("chr1:11:TTA>T", "GGCTTAAC", "GGCTACCG"),  # deletion: further bases come in
        ("chr1:11:>CC", "GGCTTAAC", "GGCCCTTA"),  # nothing replaced
        ("chr1:8:>CC", "GGCTTAAC", "CCGGCTTA"),  # inserted at the very start
        ("chr1:11:A>G", "GGCATAAC", "GGCGTAAC"),  # REF is never checked, it overwrites
        ("chr1:6:CAGG>T", "GGCTTAAC", "CTTAACCG"),  # across the left end: only "GG" is lost
        ("chr1:15:CCGG>C", "GGCTTAAC", "GGCTTAAC"),  # across the right end: what is lost lies outside
        ("chr1:30:A>C", "GGCTTAAC", "GGCTTAAC"),  # elsewhere
        ("chr2:11:T>G", "GGCTTAAC", "GGCTTAAC"),  # another chromosome
    ],
)
def test_alleles(variant, ref, alt):
    interval = Interval("chr1", 7, 15)
    assert allele_sequences(interval, Variant.from_str(variant), fetch) == (ref, alt)
    minus = dataclasses.replace(interval, strand="-")
    expected = (reverse_complement(ref), reverse_complement(alt))
    assert allele_sequences(minus, Variant.from_str(variant), fetch) == expected


def test_windows_may_hang_off_the_chromosome():
    assert allele_sequences(Interval("chr1", -3, 3), Variant("chr1", 2, "A", "C"), fetch) == ("NNNGAT", "NNNGCT")


def test_a_fetch_that_returns_too_little_is_found_out():
    with pytest.raises(ValueError, match=r"fetch returned 2 bases for chr1:0-8:\.; expected 8"):
        allele_sequences(Interval("chr1", 0, 8), Variant("chr1", 2, "A", "C"), lambda interval: "AC")


@given(st.integers(0, 30), st.integers(1, 14), st.integers(0, 44), st.integers(1, 6), st.text("ACGT", max_size=6))
@settings(max_examples=300)
def test_alleles_agree_with_editing_the_whole_chromosome(start, width, position, size, alternate):
    reference = GENOME[position : position + size]
    variant = Variant("chr1", position + 1, reference, alternate)
    interval = Interval("chr1", start, start + width)
    ref, alt = allele_sequences(interval, variant, fetch)
    assert ref == fetch(interval)
    # The naive way holds where the variant neither crosses the window's start nor its (extended) end.
    if variant.start >= interval.start and variant.end <= interval.end + max(0, len(reference) - len(alternate)):
        edited = GENOME[:position] + alternate + GENOME[position + len(reference) :] + "N" * 60
        assert alt == edited[start : start + width]
