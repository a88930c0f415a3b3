import sys
import types
from typing import ClassVar

import pytest
from ag_core.errors import InputError
from ag_core.hookspecs import Plugin
from ag_core.interfaces import AbstractScorer, Items
from ag_core.plugins import Found, PluginNotFoundError, Registry
from ag_scorers.center_mask import CenterMaskScorer
from ag_scorers.gene_mask import GeneMaskActiveScorer, GeneMaskLFCScorer
from ag_scorers.recommended import RECOMMENDED, parse_scorer, recommended


class Foreign(AbstractScorer):
    """Stands for a third party's scorer of one fixed modality."""

    strength: float = 1.5
    modality: ClassVar[str] = "methylation"
    signed: ClassVar[bool] = True
    name: ClassVar[str] = "Foreign()"
    requires: ClassVar[tuple[str, ...]] = ()

    def items(self, interval, variant, resolution, resources):
        return Items({}, {})

    def score(self, ref, alt, masks):
        return (alt - ref).sum(axis=0, keepdims=True)


@pytest.fixture
def third_party(monkeypatch):
    registry = Registry()
    for name, options in (("foreign", {}), ("foreign_strong", {"strength": 9.0})):
        plugin = Plugin(name, "foreign_scorers:Foreign", "a test", options)
        registry.found.append(Found("scorers", plugin, "somebody 1.0"))
    monkeypatch.setattr("ag_scorers.recommended.registry", lambda: registry)
    monkeypatch.setitem(sys.modules, "foreign_scorers", types.SimpleNamespace(Foreign=Foreign))


def test_order_and_contents():
    keys = "ATAC CONTACT_MAPS DNASE CHIP_TF CHIP_HISTONE CAGE PROCAP RNA_SEQ RNA_SEQ_ACTIVE SPLICE_SITES"
    keys += " SPLICE_SITE_USAGE SPLICE_JUNCTIONS POLYADENYLATION ATAC_ACTIVE DNASE_ACTIVE CHIP_TF_ACTIVE"
    keys += " CHIP_HISTONE_ACTIVE CAGE_ACTIVE PROCAP_ACTIVE"
    modalities = "procap rna_seq atac cage dnase chip_tf chip_histone contact_maps splice_sites splice_site_usage"
    modalities = [*modalities.split(), "splice_junctions", "something_new"]
    scorers = recommended(modalities)
    assert list(scorers) == keys.split()
    names = {key: scorer.name for key, scorer in scorers.items()}
    histone = "CenterMaskScorer(requested_output=CHIP_HISTONE, width=2001, aggregation_type=DIFF_LOG2_SUM)"
    assert names["CHIP_HISTONE"] == histone
    assert names["ATAC_ACTIVE"] == "CenterMaskScorer(requested_output=ATAC, width=501, aggregation_type=ACTIVE_SUM)"
    assert names["RNA_SEQ_ACTIVE"] == "GeneMaskActiveScorer(requested_output=RNA_SEQ)"
    assert names["SPLICE_SITES"] == "GeneMaskSplicingScorer(requested_output=SPLICE_SITES, width=None)"
    assert names["SPLICE_JUNCTIONS"] == "SpliceJunctionScorer()"
    assert len(set(names.values())) == len(RECOMMENDED) == 19
    assert [key for key in keys.split() if key != "POLYADENYLATION"] == list(recommended(modalities, "mouse"))


def test_only_what_the_model_has():
    assert list(recommended(["rna_seq", "cage"])) == [
        *("CAGE", "RNA_SEQ", "RNA_SEQ_ACTIVE", "POLYADENYLATION", "CAGE_ACTIVE")
    ]
    assert recommended([]) == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("CHIP_TF", [CenterMaskScorer("chip_tf")]),
        ("rna_seq_active", [GeneMaskActiveScorer("rna_seq")]),
        (
            "center_mask:modality=chip_tf,width=2001,aggregation=L2_DIFF",
            [CenterMaskScorer("chip_tf", 2001, "l2_diff")],
        ),
        ("center_mask: modality=atac , width=none", [CenterMaskScorer("atac", None)]),
        ("center_mask:width=10001", [CenterMaskScorer("cage", 10001), CenterMaskScorer("atac", 10001)]),
        ("gene_mask_lfc", [GeneMaskLFCScorer("cage"), GeneMaskLFCScorer("atac")]),
    ],
)
def test_text(text, expected):
    assert parse_scorer(text, ["cage", "atac"]) == expected


@pytest.mark.usefixtures("third_party")
def test_third_parties_need_no_modality():
    assert parse_scorer("foreign", ["cage", "atac"]) == [Foreign(1.5)]
    assert parse_scorer("foreign:strength=2", []) == [Foreign(2)]
    assert parse_scorer("foreign_strong") == [Foreign(9.0)]


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("centre_mask", PluginNotFoundError, "did you mean 'center_mask'.*recommended scorers: ATAC, "),
        ("center_mask:wdth=501", InputError, "no option 'wdth'; known: modality, width, aggregation"),
        (
            "center_mask:modality=atac,width=7",
            InputError,
            "width=7': width 7 bp; expected",
        ),
        ("center_mask:modality", InputError, "cannot read 'modality'; expected name:option=value"),
        ("center_mask:width=501,width=501", InputError, "option 'width' is given twice"),
        ("center_mask", InputError, "lacks modality; write center_mask:modality=..."),
    ],
)
def test_errors(text, error, message):
    with pytest.raises(error, match=message):
        parse_scorer(text)
