"""The table of official tracks: counts of spec/scoring.md 4.2."""

import collections

import equinox as eqx
import jax
import numpy as np
import pytest
from ag_core.config import PRESETS
from ag_core.plugins import registry
from ag_core.schema import is_padding, strand_partners
from ag_core.training import trainable
from ag_heads import official_tracks

# modality: slots, then real tracks on +, -, . for human and for mouse
COUNTS = {
    "atac": (256, (0, 0, 167), (0, 0, 18)),
    "cage": (640, (273, 273, 0), (94, 94, 0)),
    "dnase": (384, (0, 0, 305), (0, 0, 67)),
    "rna_seq": (768, (271, 271, 125), (71, 71, 31)),
    "chip_histone": (1152, (0, 0, 1116), (0, 0, 183)),
    "chip_tf": (1664, (0, 0, 1617), (0, 0, 127)),
    "splice_sites": (5, (2, 2, 0), (2, 2, 0)),
    "splice_site_usage": (734, (367, 367, 0), (90, 90, 0)),
    "splice_junctions": (367, (0, 0, 367), (0, 0, 90)),
    "contact_maps": (28, (0, 0, 28), (0, 0, 8)),
    "procap": (128, (6, 6, 0), (0, 0, 0)),
}


@pytest.mark.parametrize("modality", COUNTS)
def test_counts(modality):
    slots, *real = COUNTS[modality]
    for organism, strands in zip(("human", "mouse"), real, strict=True):
        table = official_tracks(modality, organism)
        counted = collections.Counter(table["strand"].values[~is_padding(table)])
        assert table.sizes["track"] == slots
        assert tuple(counted[strand] for strand in "+-.") == strands


def test_strand_partners_share_biosample_and_mean():
    table = official_tracks("rna_seq")
    partners = strand_partners(table)
    np.testing.assert_array_equal(table["biosample_name"].values, table["biosample_name"].values[partners])
    np.testing.assert_array_equal(table["nonzero_mean"].values, table["nonzero_mean"].values[partners])


def test_padding_has_no_mean_and_mouse_procap_no_column():
    table = official_tracks("cage")
    np.testing.assert_array_equal(np.isnan(table["nonzero_mean"].values), is_padding(table))
    assert "nonzero_mean" not in official_tracks("procap", "mouse")


def test_unknown_names():
    with pytest.raises(LookupError, match="no tracks of 'rna'"):
        official_tracks("rna")


# Spec/model.md 4.1.
PARAMETERS = {
    "atac": 2_361_344,
    "cage": 5_903_360,
    "chip_histone": 7_082_496,
    "chip_tf": 10_230_272,
    "contact_maps": 7_224,
    "dnase": 3_542_016,
    "procap": 1_180_672,
    "rna_seq": 7_084_032,
    "splice_sites": 15_370,
    "splice_junctions": 6_870_528,
    "splice_site_usage": 2_256_316,
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_every_head_has_the_published_number_of_parameters(name, getkey):
    tables = [official_tracks(name, organism) for organism in ("human", "mouse")]

    def make():
        head = registry().create("heads", name, tables, PRESETS["full"].dims, key=getkey())
        return eqx.filter(head, trainable(head))

    shapes = eqx.filter_eval_shape(make)
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == PARAMETERS[name]
