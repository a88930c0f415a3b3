"""Numbers and items of the scorers for splicing, 3' ends, contacts and intervals, on arrays that can be checked."""

import itertools
import math

import jax
import numpy as np
import pandas as pd
import pytest
from ag_core.genome import Interval, Variant
from ag_core.schema import track_table
from ag_data.annotation import Annotation
from ag_data.polyadenylation import PolyadenylationSites
from ag_scorers.contact_map import ContactMapScorer
from ag_scorers.interval_gene_mask import GeneMaskScorer
from ag_scorers.junctions import SLOTS, Junctions, SpliceJunctionScorer, unstack
from ag_scorers.polyadenylation import PolyadenylationScorer
from ag_scorers.splicing import GeneMaskSplicingScorer
from hypothesis import given, settings
from hypothesis import strategies as st

INTERVAL = Interval("chr1", 1000, 3048)
SNV = Variant("chr1", 2001, "A", "C")
TRACKS = track_table({"name": ["a", "a", "b"], "strand": ["+", "-", "."]})
score = jax.jit(lambda scorer, ref, alt, masks: scorer.score(ref, alt, masks))


def genes_of(*genes):
    """An annotation of genes (id, start, end, strand), each a single exon."""
    rows = [
        ("chr1", start, end, strand, feature, gene, "protein_coding", f"T{gene}")
        for gene, start, end, strand in genes
        for feature in ("gene", "transcript", "exon")
    ]
    columns = ["Chromosome", "Start", "End", "Strand", "Feature", "gene_id", "gene_type", "transcript_id"]
    return {"genes": Annotation(pd.DataFrame(rows, columns=columns))}


def run(scorer, ref, alt, resources, variant=SNV, tracks=TRACKS):
    items = scorer.items(INTERVAL, variant, 1, resources)
    scores = jax.tree.map(np.asarray, score(scorer, ref, alt, items.masks))
    return scorer.rows(scores, items, {scorer.modality: tracks})


def test_splicing_takes_the_largest_change_in_the_body():
    ref, alt = np.zeros((2, 2048, 3), np.float32)
    alt[900], alt[1020], alt[1900] = 0.5, -0.25, 1  # 1900 lies outside the body
    resources = genes_of(("G", 1800, 2500, "+"), ("H", 1990, 2010, "-"), ("far", 2600, 2700, "+"))
    nan = math.nan
    values, table = run(GeneMaskSplicingScorer("splice_sites"), ref, alt, resources)
    assert list(table["gene_id"]) == ["G", "H"]
    np.testing.assert_array_equal(values, np.array([[0.5, nan, 0.5], [nan, 0, 0]], np.float32))
    # A width is honoured: 101 bp reach 50 bases to each side.
    values, _ = run(GeneMaskSplicingScorer("splice_sites", 101), ref, alt, resources)
    np.testing.assert_array_equal(values[0], np.array([0.25, nan, 0.25], np.float32))
    values, _ = run(GeneMaskSplicingScorer("splice_sites", 101, parity="upstream"), ref, alt, resources)
    np.testing.assert_array_equal(values[0], np.array([0.5, nan, 0.5], np.float32))


def test_splicing_aligns_indels():
    ref = np.random.default_rng(0).random((2048, 3), np.float32)
    alt = np.insert(ref, 1001, np.zeros((3, 3)), axis=0)[:2048]
    resources = genes_of(("G", 2010, 2500, "."))
    values, _ = run(GeneMaskSplicingScorer("splice_sites"), ref, alt, resources, Variant("chr1", 2001, "A", "ATTT"))
    assert values.shape == (0, 3)  # beyond the variant
    resources = genes_of(("G", 1500, 2500, "."))
    values, _ = run(GeneMaskSplicingScorer("splice_sites"), ref, alt, resources, Variant("chr1", 2001, "A", "ATTT"))
    np.testing.assert_allclose(values[0, 2], 0, atol=1e-6)


@given(st.data())
@settings(max_examples=20, deadline=None)
def test_junctions_equal_a_plain_search(data):
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    sites = np.full((4, 6), -1, np.int32)
    for row in sites:
        count = random.integers(0, 7)
        row[:count] = np.sort(random.choice(2048, count, replace=False))
    ref, alt = random.uniform(0, 3, (2, 6, 6, 2, 3)).astype(np.float32)
    genes = [("P", 1400, 2900, "+"), ("M", 1100, 2700, "-"), ("Q", 1200, 2100, "+")]
    values, table = run(
        SpliceJunctionScorer(),
        Junctions(ref, sites),
        Junctions(alt, sites),
        genes_of(*genes),
        tracks=track_table({"name": ["x", "y", "z"], "strand": ["."] * 3}),
    )
    wanted = {}
    for gene, low, high, strand in genes:
        found = {}
        for d, a in itertools.product(range(6), range(6)):
            donor, acceptor = sites[0 if strand == "+" else 2, d], sites[1 if strand == "+" else 3, a]
            start, end = (donor + 1, acceptor) if strand == "+" else (acceptor + 1, donor)
            if min(donor, acceptor) >= 0 and low - 1000 < start < end < high - 1000:
                pair = (x[d, a, int(strand == "-")].astype(np.float64) + 1e-7 for x in (alt, ref))
                found[int(start) + 1000, int(end) + 1000] = np.abs(np.subtract(*map(np.log, pair)))
        best = {max(found, key=lambda key, t=t: np.float16(found[key][t])) for t in range(3)} if found else set()
        wanted |= {(gene, *key): found[key] for key in best}
    got = {
        (gene, int(start), int(end)): row
        for gene, start, end, row in zip(
            table["gene_id"], table["junction_start"], table["junction_end"], values, strict=True
        )
    }
    assert set(got) == set(wanted)
    for key, row in got.items():
        np.testing.assert_allclose(row, wanted[key], rtol=2e-3, atol=2e-3)


def test_junctions_beyond_the_slots_are_not_looked_at():
    sites = np.full((4, SLOTS + 2), -1, np.int32)
    sites[0], sites[1, -1], sites[1, 0] = np.arange(SLOTS + 2), 2000, 1000
    counts = np.ones((SLOTS + 2, SLOTS + 2, 2, 1), np.float32)
    alt = counts.copy()
    alt[0, -1], alt[-1, 0], alt[5, 0] = 50, 50, 2
    tracks = track_table({"name": ["x"], "strand": ["."]})
    resources = genes_of(("P", 1000, 3040, "+"))
    values, table = run(SpliceJunctionScorer(), Junctions(counts, sites), Junctions(alt, sites), resources, SNV, tracks)
    assert (table["junction_start"].tolist(), table["junction_end"].tolist()) == ([1006], [2000])
    np.testing.assert_allclose(values, [[np.float16(math.log(2))]])


def test_junctions_that_only_reach_into_a_gene_are_refused_by_the_reference():
    sites = np.full((4, 4), -1, np.int32)
    sites[0, 0], sites[1, 0] = 400, 900  # the intron [1401, 1900)
    counts = np.ones((4, 4, 2, 1), np.float32)
    tracks, given = track_table({"name": ["x"], "strand": ["."]}), [Junctions(counts, sites), Junctions(counts, sites)]
    ours, theirs = SpliceJunctionScorer(), SpliceJunctionScorer(parity="upstream")
    reached, whole, beside = ("G", 1800, 2500, "+"), ("H", 1300, 2600, "+"), ("I", 1950, 2500, "+")
    assert run(ours, *given, genes_of(reached), SNV, tracks)[0].shape == (0, 1)
    with pytest.raises(ValueError, match=r"overlap genes, but none lies inside one.*score with parity fixed"):
        run(theirs, *given, genes_of(reached), SNV, tracks)
    # One junction inside any gene is enough, and so is none that reaches into a gene of its strand.
    for genes, items in (((reached, whole), 1), ((beside,), 0), ((("G", 1800, 2500, "-"),), 0)):
        values, table = run(theirs, *given, genes_of(*genes), SNV, tracks)
        np.testing.assert_array_equal(values, run(ours, *given, genes_of(*genes), SNV, tracks)[0])
        assert len(table["gene_id"]) == items


def test_unstack_keeps_what_lies_on_the_chromosome():
    positions = np.array([[0, 4], [9, -1], [8, -1], [0, 3]], np.int32)
    values, columns = unstack(np.arange(8, dtype=np.float32).reshape(2, 2, 2, 1), positions, -1)
    # Starts at 0 or before are left out, as by the reference.
    assert columns["strand"].tolist() == ["+", "-"]
    assert list(zip(columns["start"].tolist(), columns["end"].tolist(), strict=True)) == [(4, 8), (3, 7)]
    assert values.ravel().tolist() == [4, 3]


def sites_of(*starts, strand="+"):
    rows = {"Chromosome": "chr1", "Start": starts, "pas_strand": strand, "gene_id": "G.7"}
    return {"polyadenylation": PolyadenylationSites(pd.DataFrame(rows).assign(End=0))}


def test_polyadenylation_of_known_coverage():
    """Two windows whose ALT/REF ratios are 4 and 1: |log2(4 / 1)|."""
    ref = np.ones((2048, 3), np.float32)
    alt = ref.copy()
    alt[101:501] = 4  # the 400 bp that end with the site at 1500
    resources = genes_of(("G.1", 1000, 3000, "+")) | sites_of(1500, 2400)
    values, table = run(PolyadenylationScorer(), ref, alt, resources)
    np.testing.assert_allclose(values, np.full((1, 3), 2), rtol=1e-6)
    assert table["num_pas"].tolist() == [2]
    assert table["min_pas_var_distance"].tolist() == [399]
    # On '-' the window begins with the site.
    resources = genes_of(("G.1", 1000, 3000, "-")) | sites_of(1101, 2400, strand="-")
    np.testing.assert_allclose(run(PolyadenylationScorer(), ref, alt, resources)[0], np.full((1, 3), 2), rtol=1e-6)


def test_polyadenylation_order_matters_to_the_reference_only():
    random = np.random.default_rng(1)
    ref, alt = random.uniform(1, 9, (2, 2048, 3)).astype(np.float32)
    genes, places = genes_of(("G.1", 1000, 3000, "+")), (1500, 1900, 2300, 2700)
    shuffled = (places[2], places[0], places[3], places[1])
    one, other = (run(PolyadenylationScorer(), ref, alt, genes | sites_of(*order))[0] for order in (places, shuffled))
    np.testing.assert_array_equal(one, other)
    theirs = run(PolyadenylationScorer(parity="upstream"), ref, alt, genes | sites_of(*shuffled))[0]
    assert np.max(np.abs(theirs - one)) > 1e-4


@pytest.mark.parametrize(
    ("starts", "kept"),
    [((1500,), 0), ((1500, 2400), 1), ((1500, 2400, 4000), 0), ((1500, 1600, 1700, 2400, 4000), 1), ((1500, 3047), 0)],
)
def test_polyadenylation_needs_most_sites_inside(starts, kept):
    resources = genes_of(("G.1", 1000, 3000, "+")) | sites_of(*starts)
    assert PolyadenylationScorer().items(INTERVAL, SNV, 1, resources).count == kept


def test_no_coverage_scores_zero_and_not_nan():
    nothing = np.zeros((2048, 3), np.float32)
    resources = genes_of(("G.1", 1000, 3000, "+")) | sites_of(1500, 2400)
    np.testing.assert_array_equal(run(PolyadenylationScorer(), nothing, nothing, resources)[0], np.zeros((1, 3)))


def test_contact_map_reads_the_variants_column():
    interval = Interval("chr1", 0, 4 * 2048)
    ref, alt = np.zeros((2, 4, 4, 2), np.float32)
    alt[:, 2, 0], alt[2, :, 1], alt[1, 1] = -1, 4, 9
    scorer = ContactMapScorer()
    masks = scorer.items(interval, Variant("chr1", 2 * 2048 + 1, "A", "C"), 2048, {}).masks
    np.testing.assert_allclose(score(scorer, ref, alt, masks), [[1, 1]])
    with pytest.raises(ValueError, match="lies in none of the 4 bins"):
        scorer.items(interval, Variant("chr1", 8193, "A", "C"), 2048, {})


def test_interval_scorer_leaves_out_genes_without_exons():
    rows = [
        ("chr1", 1100, 2000, "+", "gene", "G", "T"),
        ("chr1", 1100, 2000, "+", "transcript", "G", "T"),
        ("chr1", 1200, 1300, "+", "exon", "G", "T"),
        ("chr1", 3000, 4000, "+", "gene", "H", "U"),
        ("chr1", 3000, 4000, "+", "transcript", "H", "U"),
        ("chr1", 3900, 4000, "+", "exon", "H", "U"),
    ]
    columns = ["Chromosome", "Start", "End", "Strand", "Feature", "gene_id", "transcript_id"]
    resources = {"genes": Annotation(pd.DataFrame(rows, columns=columns))}
    values = np.zeros((2048, 1), np.float32)
    values[200:300], values[300:] = 3, 100
    scorer = GeneMaskScorer("rna_seq")
    items = scorer.items(INTERVAL, 1, resources)
    assert items.count == 1
    np.testing.assert_allclose(np.asarray(scorer.score(values, items.masks))[:1], [[3]])
    theirs = GeneMaskScorer("rna_seq", parity="upstream")
    items = theirs.items(INTERVAL, 1, resources)
    assert np.isnan(np.asarray(theirs.score(values, items.masks))[: items.count]).tolist() == [[False], [True]]
    # A bin counts as a whole when an exon touches it.
    coarse = GeneMaskScorer("chip_tf", aggregation="SUM")
    items = coarse.items(INTERVAL, 128, resources)
    assert np.flatnonzero(items.masks[:, 0]).tolist() == [1, 2]
    for interval, width, message in (
        (Interval("chr1", 1000, 3048, "-"), None, "score the unstranded interval"),
        (INTERVAL, 10001, "width exceeds"),
    ):
        with pytest.raises(ValueError, match=message):
            GeneMaskScorer("rna_seq", width).items(interval, 1, resources)
