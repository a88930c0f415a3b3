import math

import jax
import numpy as np
import pytest
from ag_core.genome import Interval, Variant
from ag_core.schema import track_table
from ag_scorers.gene_mask import BUCKETS, GeneMaskActiveScorer, GeneMaskLFCScorer, GeneMasks
from hypothesis import given, settings
from hypothesis import strategies as st

INTERVAL = Interval("chr1", 100, 132)
SNV, INSERTION, DELETION = (Variant("chr1", 110, *alleles) for alleles in (("A", "C"), ("A", "ACC"), ("ACC", "A")))
TRACKS = track_table({"name": ["a", "a", "b"], "strand": ["+", "-", "."]})
score = jax.jit(lambda scorer, ref, alt, masks: scorer.score(ref, alt, masks))


class ToyGenes:
    """An annotation with genes given as (strand, exons), whatever the interval."""

    def __init__(self, *genes):
        self.genes = genes

    def exon_masks(self, interval):
        mask = np.zeros((interval.width, len(self.genes)), bool)
        for column, (_, exons) in enumerate(self.genes):
            for start, end in exons:
                mask[start:end, column] = True
        names, strands = [f"G{i}" for i in range(len(self.genes))], [strand for strand, _ in self.genes]
        return mask, {"gene_id": np.array(names, object), "gene_strand": np.array(strands, object)}


def run(scorer, genes, variant, ref, alt, tracks=TRACKS):
    items = scorer.items(INTERVAL, variant, 1, {"genes": genes})
    return scorer.finish(np.asarray(score(scorer, ref, alt, items.masks))[: items.count], items, tracks)


def test_worked_example():
    ref, alt = np.zeros((2, 32, 3), np.float32)
    ref[4:8], alt[4:8] = 2, 4  # half of the first gene's exon bases
    genes = ToyGenes(("+", [(4, 8), (20, 24)]), ("-", [(0, 2)]), ("+", []))
    lfc = math.log(2.001) - math.log(1.001)
    nan = math.nan
    expected = np.array([[lfc, nan, lfc], [nan, 0, 0], [nan, nan, nan]], np.float32)
    np.testing.assert_allclose(run(GeneMaskLFCScorer("rna_seq", "upstream"), genes, SNV, ref, alt), expected, rtol=1e-6)
    np.testing.assert_allclose(run(GeneMaskLFCScorer("rna_seq"), genes, SNV, ref, alt), expected[:2], rtol=1e-6)
    items = GeneMaskLFCScorer("rna_seq").items(INTERVAL, SNV, 1, {"genes": genes})
    assert list(items.table["gene_id"]) == ["G0", "G1"]  # nothing is said of a gene without exon bases
    active = np.array([[2, nan, 2], [nan, 0, 0], [nan, nan, nan]], np.float32)
    scorer = GeneMaskActiveScorer("rna_seq", parity="upstream")
    np.testing.assert_allclose(run(scorer, genes, SNV, ref, alt), active, rtol=1e-6)
    np.testing.assert_allclose(run(scorer, genes, SNV, alt, ref), active, rtol=1e-6)
    np.testing.assert_allclose(run(GeneMaskActiveScorer("rna_seq"), genes, SNV, alt, ref), active[:2], rtol=1e-6)


def test_indels_do_not_shift_exons():
    """A gene downstream keeps its mean when ALT is REF with rows inserted or taken out."""
    ref = np.random.default_rng(0).random((32, 3), np.float32)
    genes = ToyGenes((".", [(20, 26)]), (".", [(2, 6)]))
    inserted = np.insert(ref, 10, np.ones((2, 3)), axis=0)[:32]
    deleted = np.concatenate([np.delete(ref, [10, 11], axis=0), np.ones((2, 3), np.float32)])
    unstranded = track_table({"name": ["a", "b", "c"], "strand": [".", ".", "."]})
    for variant, alt in ((INSERTION, inserted), (DELETION, deleted)):
        scores = run(GeneMaskLFCScorer("rna_seq"), genes, variant, ref, alt, unstranded)
        np.testing.assert_allclose(scores, np.zeros((2, 3)), atol=1e-6)


@settings(deadline=None)
@given(st.integers(0, 2**31), st.integers(0, 5), st.sampled_from([SNV, INSERTION, DELETION]))
def test_laws(seed, count, variant):
    random = np.random.default_rng(seed)
    ref, alt = random.gamma(0.5, 2, (2, 32, 3)).astype(np.float32)
    genes = ToyGenes(*[(random.choice(["+", "-"]), [(i, i + 3), (20, 22 + i)]) for i in range(count)])
    lfc = GeneMaskLFCScorer("cage")
    scores = run(lfc, genes, SNV, ref, alt)
    assert scores.shape == (count, 3)
    np.testing.assert_allclose(run(lfc, genes, SNV, alt, ref), -scores, rtol=1e-5, atol=1e-6)
    same = run(lfc, genes, SNV, ref, ref)
    assert (np.abs(same[~np.isnan(same)]) < 1e-6).all()
    order = [2, 0, 1]
    moved = run(lfc, genes, variant, ref[:, order], alt[:, order], TRACKS.isel(track=order))
    np.testing.assert_allclose(moved, run(lfc, genes, variant, ref, alt)[:, order], rtol=1e-5, atol=1e-6)
    # Every gene is scored on unstranded tracks and on those of its own strand only.
    assert (np.isnan(scores).sum(axis=1) == 1).all()


def test_few_programs_serve_all_numbers_of_genes():
    traces, scorer, values = [], GeneMaskLFCScorer("rna_seq"), np.ones((32, 1), np.float32)

    @jax.jit
    def shaped(masks):
        traces.append(masks.exons.shape)
        return scorer.score(values, values, masks)

    for variant in (SNV, INSERTION, DELETION):
        for count in (0, 1, 2, 4, 5, 16, 17):
            items = scorer.items(INTERVAL, variant, 1, {"genes": ToyGenes(*[("+", [(0, 9)])] * count)})
            assert items.count == count
            assert isinstance(items.masks, GeneMasks)
            shaped(items.masks)
    assert traces == [(32, size) for size in BUCKETS[:4]]


def test_settings():
    scorer = GeneMaskLFCScorer("RNA_SEQ")
    assert (scorer.modality, scorer.signed, scorer.requires) == ("rna_seq", True, ("genes",))
    assert scorer.name == "GeneMaskLFCScorer(requested_output=RNA_SEQ)"
    assert GeneMaskActiveScorer("atac").name == "GeneMaskActiveScorer(requested_output=ATAC)"
    assert not GeneMaskActiveScorer("atac").signed
    with pytest.raises(ValueError, match="modality '5prime' is no name"):
        GeneMaskActiveScorer("5prime")


def test_refusals():
    scorer = GeneMaskLFCScorer("chip_tf")
    genes = {"genes": ToyGenes(*[("+", [(0, 9)])] * 257)}
    with pytest.raises(ValueError, match=r"CHIP_TF\): predictions are at 128 bp, but exons need 1 bp"):
        scorer.items(INTERVAL, SNV, 128, genes)
    with pytest.raises(ValueError, match=r"257 genes start in chr1:100-132:\.; expected at most 256"):
        scorer.items(INTERVAL, SNV, 1, genes)
    with pytest.raises(ValueError, match="needs the resource 'genes', an annotation, but got none"):
        scorer.items(INTERVAL, SNV, 1, {})
