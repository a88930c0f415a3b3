"""A tiny model with all eleven heads for two organisms."""

from ag_core.checkpoint import HeadSpec, ModelSpec
from ag_core.config import PRESETS
from ag_core.schema import track_table

STRANDED = {"name": ["a", "b", "a", "b", "Padding"], "strand": ["+", "+", "-", "-", "."]}
SITES = {"name": ["donor", "acceptor", "donor", "acceptor", "Padding"], "strand": ["+", "+", "-", "-", "."]}
UNSTRANDED = {"name": ["a", "b", "Padding"], "strand": [".", ".", "."]}
MEANS = {"nonzero_mean": [0.5, 2.0, 0.5, 2.0, float("nan")]}
TRACKS = {
    "atac": UNSTRANDED,
    "dnase": UNSTRANDED,
    "procap": STRANDED | MEANS,
    "cage": STRANDED | MEANS,
    "rna_seq": STRANDED | MEANS,
    "chip_tf": UNSTRANDED,
    "chip_histone": UNSTRANDED,
    "contact_maps": UNSTRANDED,
    "splice_sites": SITES,
    "splice_site_usage": STRANDED,
    "splice_junctions": {"name": ["x", "y", "z"], "strand": [".", ".", "."]},
}
OPTIONS = {"splice_junctions": {"sites": 12, "hidden": 8}}


def eleven_heads_spec() -> ModelSpec:
    """What the model is made of."""
    return ModelSpec(
        name="eleven",
        backbone=PRESETS["tiny"],
        heads={
            name: HeadSpec(name, (track_table(columns), track_table(columns)), OPTIONS.get(name, {}))
            for name, columns in TRACKS.items()
        },
        organisms=("human", "mouse"),
        window=4096,
        licence="CC0-1.0",
    )
