"""What goes without saying about the modalities of the published model, unless a manifest says otherwise.

Source: spec/model.md 3.1 and 6.1. A modality that is not here gets `Assay()`.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Assay:
    """Defaults of a modality.

    `left_edge`: cut sites belong to the left edge of a base, so the reverse complement moves them by one base.
    """

    resolution: int = 1
    unit: str = "value"
    dtype: str = "float16"
    left_edge: bool = False
    # Where the cut of a read's 5' end is counted, for sources that count cuts: (on +, on -).
    tn5_shift: tuple[int, int] | None = None


ASSAYS = {
    "atac": Assay(unit="insertions"),
    # No transposase; a cut before the last base of a read on - is at the left edge of the next.
    "dnase": Assay(unit="insertions", left_edge=True, tn5_shift=(0, 1)),
    "cage": Assay(unit="reads"),
    "procap": Assay(unit="reads"),
    "rna_seq": Assay(unit="coverage", dtype="float32"),
    "chip_tf": Assay(128, "sum over the bin", "float32"),
    "chip_histone": Assay(128, "sum over the bin", "float32"),
    "contact_maps": Assay(2048, "log observed/expected"),
    "splice_sites": Assay(unit="site", dtype="uint8"),
    "splice_site_usage": Assay(unit="fraction of reads"),
    "splice_junctions": Assay(unit="reads", dtype="float32"),
}


def assay(modality: str, resolution: int = 1) -> Assay:
    """Defaults of `modality`; sums over the bins of one that is not known seldom fit float16."""
    return ASSAYS.get(modality, Assay(dtype="float16" if resolution == 1 else "float32"))
