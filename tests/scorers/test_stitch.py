"""Activation stitching: which bases the second reading holds, and which rows of which reading end up where."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from ag_core.checkpoint import load
from ag_core.config import PAIR_BIN, TOKEN
from ag_core.genome import Interval, Variant
from ag_core.model import fold
from ag_core.sequence import allele_sequences, encode
from ag_scorers.align import align_alternate, alignment
from ag_scorers.stitch import stitch_codes, stitched_embeddings
from hypothesis import assume, given, settings
from hypothesis import strategies as st

WINDOW = 4096
INTERVAL = Interval("chr1", 6000, 6000 + WINDOW)
COMPLEMENT = np.array([3, 2, 1, 0, 4], np.uint8)
GENOME = "".join(np.random.default_rng(3).choice(list("ACGT"), 200))


def fetcher(genome):
    def fetch(interval):
        inside = genome[max(interval.start, 0) : max(interval.end, 0)]
        left = "N" * min(max(-interval.start, 0), interval.width)
        return (left + inside).ljust(interval.width, "N")

    return fetch


@settings(max_examples=150)
@given(data=st.data())
def test_the_second_reading_lies_as_the_shorter_allele(data):
    width = 64
    first = data.draw(st.integers(-10, 150))
    interval = Interval("chr1", first, first + width, data.draw(st.sampled_from(".-")))
    start = data.draw(st.integers(max(first - 12, 0), first + width + 12))
    assume(start < len(GENOME))
    ref = GENOME[start : start + data.draw(st.integers(0, 9))]
    variant = Variant("chr1", start + 1, ref, data.draw(st.text("ACGT", max_size=9)))
    stitch = stitch_codes(interval, variant, fetcher(GENOME))
    codes = np.stack([encode(bases) for bases in allele_sequences(interval, variant, fetcher(GENOME))])
    second = stitch.codes
    if stitch.reverse:  # all from the genomic start
        codes, second = COMPLEMENT[codes[:, ::-1]], COMPLEMENT[second[::-1]]
    longer, shorter = codes[stitch.allele], codes[1 - stitch.allele]
    size = int(stitch.end - stitch.start)
    assert (size, int(stitch.allele)) in ((0, 0), (abs(variant.size_change), int(variant.is_insertion))) or (
        # only a part of it lies inside
        0 < size < abs(variant.size_change) and not (first <= variant.start and variant.end <= first + width)
    )
    assert second.shape == (width,)
    np.testing.assert_array_equal(second[: max(width - size, 0)], longer[size:])
    np.testing.assert_array_equal(second[stitch.start :], shorter[stitch.start :])


def test_another_chromosome_stitches_nothing():
    interval = Interval("chr1", 10, 74)
    stitch = stitch_codes(interval, Variant("chr2", 30, "A", "ACC"), fetcher(GENOME))
    assert (stitch.start, stitch.end) == (0, 0)
    np.testing.assert_array_equal(stitch.codes, encode(GENOME[10:74]))


@pytest.fixture(scope="module")
def run(eleven):
    """Arrays of both alleles' embeddings at 1 bp, at 128 bp and of pairs; one program serves all tests."""
    model = fold(load(eleven.model).model, fast=False)
    modalities = ("rna_seq", "chip_tf", "contact_maps")
    program = eqx.filter_jit(lambda model, codes, stitch: stitched_embeddings(model, codes, stitch, 0, modalities))

    def arrays(codes, stitch):
        found = program(model, jnp.asarray(codes), stitch)
        return [np.asarray(values) for values in (found.bp1, found.bp128, found.pair)]

    return arrays


def prepare(genome, variant, interval=INTERVAL):
    codes = np.stack([encode(bases) for bases in allele_sequences(interval, variant, fetcher(genome))])
    return codes, stitch_codes(interval, variant, fetcher(genome))


def plain(run, codes, stitch):
    """Embeddings of REF, ALT and the second reading, each as it is."""
    never = stitch._replace(end=stitch.start)
    both = run(codes, never)
    second = run(np.stack([stitch.codes, codes[1]]), never)
    return [np.concatenate([pair, other[:1]]) for pair, other in zip(both, second, strict=True)]


def indel(genome, start, change, seed=0):
    """Left-anchored, of random bases."""
    bases = "".join(np.random.default_rng(seed).choice(list("ACGT"), max(change, 0)))
    return Variant("chr1", start + 1, genome[start : start + 1 + max(-change, 0)], genome[start] + bases)


def sewn(three, stitch, resolution):
    """The definition of spec/scoring.md 1.9, row by row, on the forward strand."""
    ref_alt, second = three[:2].copy(), three[2]
    first, end, allele = int(stitch.start), int(stitch.end), int(stitch.allele)
    cut, shift = (end, end - first) if resolution == 1 else ((end - 1) // resolution, 0)
    if resolution > 1:
        shift = cut - first // resolution
    rows = range(cut, second.shape[0])
    for row in rows:
        if second.ndim == 2:
            ref_alt[allele, row] = second[row - shift]
            continue
        for column in rows:
            ref_alt[allele, row, column] = second[row - shift, column - shift]
    return ref_alt


@pytest.mark.parametrize(("start", "change"), [(8000, 150), (8000, -150), (6100, 1), (7900, -2048), (8063, 2048)])
def test_each_side_comes_from_its_reading(run, world, start, change):
    codes, stitch = prepare(world.genome, indel(world.genome, start, change))
    three, found = plain(run, codes, stitch), run(codes, stitch)
    for values, arrays, resolution in zip(found, three, (1, TOKEN, PAIR_BIN), strict=True):
        np.testing.assert_array_equal(values, sewn(arrays, stitch, resolution))
        backwards = stitch._replace(reverse=np.asarray(True))
        if resolution == 1:  # the same, with rows counted from the other end
            turned = run(codes, backwards)[0]
            np.testing.assert_array_equal(turned[:, ::-1], sewn(arrays[:, ::-1], stitch, 1))


@pytest.mark.parametrize("alternate", ["T", "GA"])
def test_alleles_of_one_length_are_not_stitched(run, world, alternate):
    ref = world.genome[8000 : 8000 + len(alternate)]
    codes, stitch = prepare(world.genome, Variant("chr1", 8001, ref, alternate))
    assert stitch.start == stitch.end
    others = stitch._replace(codes=(stitch.codes + 1) % 4)  # whatever the second reading is
    for values, arrays, three in zip(run(codes, others), run(codes, stitch), plain(run, codes, stitch), strict=True):
        np.testing.assert_array_equal(values, arrays)
        np.testing.assert_array_equal(values, three[:2])


def far_differences(run, genome, sizes):
    """Mean |ALT - REF| 1 bp embeddings, 800 bp and more right of insertions: plainly aligned, and stitched."""
    rows = []
    for seed, size in enumerate(sizes):
        start = INTERVAL.start + 700 + 61 * seed
        variant = indel(genome, start, size, seed)
        codes, stitch = prepare(genome, variant)
        moves = alignment(INTERVAL, variant, WINDOW)
        far = slice(start - INTERVAL.start + 800, WINDOW - size - 700)
        ref = run(codes, stitch)[0][0]
        alts = run(codes, stitch._replace(end=stitch.start))[0][1], run(codes, stitch)[0][1]
        rows.append([np.abs(np.asarray(align_alternate(alt, moves)) - ref)[far].mean() for alt in alts])
    return np.mean(rows, axis=0)


def test_far_from_an_insertion_stitching_leaves_only_its_effect(run, world):
    # Whole bins do not disturb the phase, so there plain alignment does as well.
    shifted, stitched = far_differences(run, world.genome, (1, 37, 200))
    whole, stitched_whole = far_differences(run, world.genome, (128, 256))
    assert stitched < shifted / 50
    assert whole < shifted / 50
    assert 0.1 < stitched / stitched_whole < 10


def test_nothing_but_unknown_bases(run):
    """All three readings are of one sequence, so the second side is the first one, moved."""
    codes, stitch = prepare("N" * 20_000, Variant("chr1", 8001, "N" * 2049, "N"))
    one, bp1 = plain(run, codes, stitch), run(codes, stitch)[0]
    end = int(stitch.end)
    np.testing.assert_array_equal(one[0][0], one[0][1])
    np.testing.assert_array_equal(bp1[1], one[0][1])
    np.testing.assert_array_equal(bp1[0], np.concatenate([one[0][0][:end], one[0][0][end - 2048 : WINDOW - 2048]]))


@pytest.mark.parametrize("change", [45, -45])
def test_the_other_strand_of_a_mirrored_genome(run, world, mirrored, change):
    """Left-anchored windows of the mirror are right-anchored ones here, so a deletion's window ends elsewhere."""
    start, gone, length = 8000, max(-change, 0), len(world.genome)
    here = indel(world.genome, start, change)
    turned = str.maketrans("ACGT", "TGCA")
    bases = here.alternate_bases[1:].translate(turned)[::-1]
    there_start = length - here.end - 1  # the base left of it in the mirror
    anchor = mirrored.genome[there_start]
    there = Variant("chr1", there_start + 1, mirrored.genome[there_start : there_start + 1 + gone], anchor + bases)
    window = Interval("chr1", length - INTERVAL.end, length - INTERVAL.start, "-")
    ours = run(*prepare(world.genome, here, INTERVAL.shift(-gone)))[0]
    theirs = run(*prepare(mirrored.genome, there, window))[0]
    # In the longer allele our rows start as many bases further left as it is longer. Its own bases differ: they come
    # from the reading that holds the genomic left, which is another one in the mirror.
    longer, size = int(change > 0), abs(change)
    own = start + 1 - INTERVAL.start + (gone if change < 0 else 0)
    left, right = ours[longer][size:], theirs[longer][: WINDOW - size]
    differs = np.abs(left - right).max(axis=1)
    inside = np.arange(len(left)) + size
    apart = (inside < own) | (inside >= own + size)
    np.testing.assert_allclose(left[apart], right[apart], rtol=1e-5, atol=1e-5)
    assert differs[~apart].max() > 1e-3
    np.testing.assert_allclose(ours[1 - longer], theirs[1 - longer], rtol=1e-5, atol=1e-5)
