"""Predictions for two alleles, and scores of an interval, with a model that has all eleven heads."""

import jax
import numpy as np
import pytest
import xarray as xr
from ag_core.checkpoint import load
from ag_core.errors import InputError
from ag_core.genome import Interval, Variant
from ag_data.fasta import Fasta
from ag_data.personal import reference_positions
from ag_scorers import predict_variant, score_interval
from ag_scorers.align import align_alternate, alignment
from ag_scorers.interval_gene_mask import GeneMaskScorer
from ag_scorers.predictor.line_up import line_up
from ag_scorers.scoring import open_engine, open_resources
from hypothesis import given, settings
from hypothesis import strategies as st

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
    # The same by coordinates, for whole trees.
    places = alt["rna_seq"]["ref_position"].values
    np.testing.assert_array_equal(places[: place + 1], np.arange(interval.start, SITE))
    assert (places[place + 1 : place + 8] == -1).all()
    assert places[place + 8] == SITE
    same, lined = line_up(ref, alt, fill=0)
    assert same is ref
    np.testing.assert_array_equal(lined["rna_seq"]["prediction"].values, moved)
    for name in ("contact_maps", "splice_junctions"):
        assert lined[name].to_dataset().identical(alt[name].to_dataset())
    assert lined["rna_seq"].attrs["frame"] == aligned["rna_seq"].attrs["frame"] == "reference"
    assert line_up(ref, lined)[1]["rna_seq"].to_dataset().identical(lined["rna_seq"].to_dataset())
    change = lined["rna_seq"]["prediction"] - ref["rna_seq"]["prediction"]
    assert set(change.coords) >= {"ref_position", "name"}


def test_equal_alleles_give_equal_predictions(engine, eleven):
    base = eleven.genome[SITE - 1]
    _, ref, alt = predict_variant(engine, Variant("chr1", SITE, base, base))
    for name, child in ref.children.items():
        (variable,) = child.data_vars
        np.testing.assert_array_equal(child[variable].values, alt[name][variable].values)
        assert child[variable].size
    assert line_up(ref, alt)[1].identical(alt)  # of an SNV nothing moves


WIDTH = 48
align = jax.jit(align_alternate)


def pair(variant, resolution=1, seed=0, width=WIDTH, start=1000):
    """REF and ALT as `predict_variant` lays them out, with random values."""
    interval = Interval("chr1", start, start + width)
    values = np.random.default_rng(seed).normal(size=(2, width // resolution, 2)).astype(np.float32)
    datasets = []
    for allele, variants in enumerate(([], [variant])):
        dataset = xr.Dataset({"prediction": (("position", "track"), values[allele])})
        if resolution == 1:
            dataset = dataset.assign_coords(ref_position=("position", reference_positions(interval, variants)))
        moved = bool(allele and variant.is_indel)
        attrs = {"interval": str(interval), "resolution": resolution, "variant": str(variant)}
        datasets.append(dataset.assign_attrs(**attrs, frame="alternate" if moved else "reference"))
    return interval, *datasets


@settings(max_examples=40)
@given(data=st.data())
def test_lined_up_rows_are_aligned_rows(data):
    position, shared = data.draw(st.integers(1001, 1000 + WIDTH)), data.draw(st.integers(1, 3))
    longer, grows = data.draw(st.integers(0, 9)), data.draw(st.booleans())
    ref, alt = "A" * (shared + longer * (not grows)), "A" * (shared + longer * grows)
    variant = Variant("chr1", position, ref, alt)
    interval, one, other = pair(variant)
    lined = line_up(one, other, fill=0)[1]["prediction"].values
    expected = np.asarray(align(other["prediction"].values, alignment(interval, variant, WIDTH)))
    known = WIDTH  # at the window's end alignment drops rows that coordinates still know
    if grows and longer:
        known = min(position - 1000 + shared - 1, WIDTH - longer)
        np.testing.assert_array_equal(lined[known:][: WIDTH - longer - known], expected[known : WIDTH - longer])
    np.testing.assert_array_equal(lined[:known], expected[:known])
    dropped = line_up(one, other, inserted="drop")[1]["prediction"].values
    places = other["ref_position"].values
    for row in range(WIDTH):  # by definition
        (found,) = np.nonzero(places == 1000 + row)
        np.testing.assert_array_equal(dropped[row], other["prediction"].values[found[0]] if len(found) else np.nan)
    # Slices of the two agree with the whole.
    part = line_up(one.isel(position=slice(10, 30)), other, inserted="drop")[1]["prediction"].values
    np.testing.assert_array_equal(part, dropped[10:30])


@pytest.mark.parametrize("alternate", ["A", "ATTT"])
def test_a_window_may_begin_left_of_the_chromosome(alternate):
    variant = Variant("chr1", 3, "ACC"[: 1 if len(alternate) > 1 else 3], alternate)
    interval, ref, alt = pair(variant, start=-20)
    assert ref["ref_position"].values[18:22].tolist() == [-3, -2, 0, 1]
    lined = line_up(ref, alt, fill=0)[1]["prediction"].values
    expected = align(alt["prediction"].values, alignment(interval, variant, WIDTH))
    np.testing.assert_array_equal(lined, np.asarray(expected))
    _, ref, alt = pair(variant, 8, start=-24)
    np.testing.assert_array_equal(line_up(ref, alt)[1]["prediction"].values, alt["prediction"].values)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (8, [0, 1, 2, 4, 5, 6]),  # inside bin 2, whose other half is now in bin 3
        (3, [0, 1, 2, 3, 4, 5]),
        (-3, [0, 1, 2, 3, 4, 5]),
        (-8, [0, 1, 2, 2, 3, 4]),  # bins 2 and 3 have lost their ends, and share a bin
        (-16, [0, 1, 2, -1, 2, 3]),
    ],
)
def test_bins_take_the_bin_they_share_most_bases_with(change, expected):
    variant = Variant("chr1", 1020, "A" * (1 + max(-change, 0)), "A" * (1 + max(change, 0)))
    _, ref, alt = pair(variant, 8, width=56)
    values, lined = alt["prediction"].values, line_up(ref, alt, fill=-7)[1]["prediction"].values
    for row, source in enumerate(expected):
        np.testing.assert_array_equal(lined[row], values[source] if source >= 0 else [-7, -7], err_msg=str(row))
    with pytest.raises(ValueError, match="line up whole windows"):
        line_up(ref, alt.isel(position=slice(1, 4)))
    with pytest.raises(ValueError, match="expected one of max, drop"):
        line_up(ref, alt, inserted="mean")


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


@pytest.mark.slow
def test_an_interval_on_the_other_strand_is_that_of_the_mirrored_genome(eleven, mirrored):
    scorers, length = {"middle": GeneMaskScorer("rna_seq"), "coarse": GeneMaskScorer("atac")}, len(eleven.genome)
    there = Interval("chr1", length - 10240, length - 2048)
    found = []
    for world, interval in ((eleven, Interval("chr1", 2048, 10240, "-")), (mirrored, there)):
        given = load(eleven.model), Fasta(world.fasta), interval, scorers
        found.append(score_interval(*given, resources=open_resources(world.gtf)))
    for here, other in zip(*found, strict=True):
        order = [other.table["gene_id"].tolist().index(gene) for gene in here.table["gene_id"]]
        swapped = [1, 0, 2] if here.key == "middle" else [0]  # tracks of the two strands change places
        np.testing.assert_allclose(here.values, other.values[order][:, swapped], rtol=1e-4)
        assert len(here.values) == 3
    given, resources = (load(eleven.model), Fasta(eleven.fasta)), open_resources(eleven.gtf)
    with pytest.raises(InputError, match="is on '-'; score the unstranded interval"):  # as the reference does
        score_interval(*given, Interval("chr1", 2048, 10240, "-"), scorers, resources=resources, parity="upstream")
