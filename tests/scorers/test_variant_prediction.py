"""Predictions for two alleles, and scores of an interval, with a model that has all eleven heads."""

import numpy as np
import pytest
from ag_core.checkpoint import load
from ag_core.errors import InputError
from ag_core.genome import Interval, Variant
from ag_data.fasta import Fasta
from ag_scorers import predict_variant, score_interval
from ag_scorers.interval_gene_mask import GeneMaskScorer
from ag_scorers.scoring import open_engine, open_resources

SITE = 5520


@pytest.fixture(scope="module")
def engine(eleven):
    scorers = ("RNA_SEQ", "CONTACT_MAPS", "SPLICE_JUNCTIONS")
    options = {"gtf": eleven.gtf, "model": str(eleven.model), "scorers": scorers}
    return open_engine(Fasta(eleven.fasta), **options)


def test_all_kinds_of_predictions(engine, eleven):
    base = eleven.genome[SITE - 1]
    variant = Variant("chr1", SITE, base, base + "GATTACA")
    interval, ref, alt = predict_variant(engine, variant)
    assert interval.width == 4096
    assert dict(ref["rna_seq"]["prediction"].sizes) == {"position": 4096, "track": 3}
    assert dict(ref["contact_maps"]["prediction"].sizes) == {"position": 2, "position_2": 2, "track": 2}
    one, other = (tree["splice_junctions"].to_dataset() for tree in (ref, alt))
    assert one["count"].dims == ("junction", "track")
    for name in ("start", "end", "junction_strand"):  # the same junctions in both
        np.testing.assert_array_equal(one[name].values, other[name].values)
    known = {(4400, 5200, "+"), (4700, 5600, "-")}  # introns of the annotation inside the window
    assert known <= set(zip(one["start"].values, one["end"].values, one["junction_strand"].values, strict=True))
    assert (one["start"].values < one["end"].values).all()
    assert np.abs(one["count"].values - other["count"].values).max() > 0
    # Right of the insertion ALT is shifted by its length; `align` moves it back, and REF stays as it is.
    _, ref_aligned, aligned = predict_variant(engine, variant, align=True)
    place = SITE - 1 - interval.start
    raw, moved = (tree["rna_seq"]["prediction"].values for tree in (alt, aligned))
    np.testing.assert_array_equal(moved[place + 1 : -7], raw[place + 8 :])
    np.testing.assert_array_equal(ref_aligned["rna_seq"]["prediction"].values, ref["rna_seq"]["prediction"].values)


def test_equal_alleles_give_equal_predictions(engine, eleven):
    base = eleven.genome[SITE - 1]
    _, ref, alt = predict_variant(engine, Variant("chr1", SITE, base, base))
    for name, child in ref.children.items():
        (variable,) = child.data_vars
        np.testing.assert_array_equal(child[variable].values, alt[name][variable].values)
        assert child[variable].size


def test_an_interval_scored_by_genes(eleven):
    checkpoint, fasta = load(eleven.model), Fasta(eleven.fasta)
    interval, resources = Interval("chr1", 2048, 10240), open_resources(eleven.gtf)
    scorers = {
        "whole": GeneMaskScorer("rna_seq"),
        "sum": GeneMaskScorer("rna_seq", aggregation="sum"),
        "middle": GeneMaskScorer("rna_seq", 2001),
    }
    whole, total, middle = score_interval(checkpoint, fasta, interval, scorers, resources=resources)
    assert whole.table["gene_id"].tolist() == ["P1.2", "M1.3", "L1.1"]
    bases = np.array([[400 + 300 + 200], [500 + 500 + 400], [400]])  # of L1 one exon lies inside
    np.testing.assert_allclose(total.values, whole.values * bases, rtol=1e-4)
    assert (whole.values > 0).all()
    assert middle.table["gene_id"].tolist() == []
    with pytest.raises(InputError, match="needs the resource genes"):
        score_interval(checkpoint, fasta, interval, scorers, resources={})
    with pytest.raises(InputError, match="multiple of 2,048"):
        score_interval(checkpoint, fasta, Interval("chr1", 0, 3000), scorers, resources=resources)
    with pytest.raises(InputError, match="width exceeds"):  # the recommended one wants 200,001 bp
        score_interval(checkpoint, fasta, interval, resources=resources)
