"""Colours and words of a page, a session and a hub: one place for all three."""

import math
from collections.abc import Sequence

from ag_scorers.browser.collection import Signal

_COLORS = {
    "rna_seq": "#0072b2",
    "cage": "#d55e00",
    "procap": "#b3541e",
    "atac": "#56a5d8",
    "dnase": "#009e73",
    "chip_tf": "#5b5b8c",
    "chip_histone": "#b0608f",
    "splice_sites": "#a87900",
    "splice_site_usage": "#8a6d3b",
    "splice_junctions": "#4d4d4d",
}
_WORDS = {
    "rna_seq": "RNA-seq",
    "cage": "CAGE",
    "procap": "PRO-cap",
    "atac": "ATAC",
    "dnase": "DNase",
    "chip_tf": "ChIP TF",
    "chip_histone": "ChIP histone",
}
REFERENCE, GAIN, LOSS = "#8c8c8c", "#0072b2", "#d55e00"
WHOLE = ("", "REF", "ALT")  # alleles; anything else is a difference


def color_of(modality: str, allele: str = "") -> str:
    """`#rrggbb`: REF is grey, a difference blue (and orange below zero), the rest has the colour of its modality."""
    if allele not in WHOLE:
        return GAIN
    return REFERENCE if allele == "REF" else _COLORS.get(modality, "#4d4d4d")


def color_below(modality: str, allele: str = "") -> str:
    """The colour of values below zero."""
    return color_of(modality, allele) if allele in WHOLE else LOSS


def rgb(color: str) -> str:
    """`#0072b2` as "0,114,178"."""
    return ",".join(str(int(color[first : first + 2], 16)) for first in (1, 3, 5))


def word_of(modality: str) -> str:
    """What people call a modality."""
    return _WORDS.get(modality, modality.replace("_", " "))


def title_of(signal: Signal) -> str:
    """A line that says what a signal is."""
    return " ".join(filter(None, (word_of(signal.modality), signal.label, detail_of(signal), signal.allele)))


def detail_of(signal: Signal) -> str:
    """The sample, where the label does not say it."""
    sample = str(signal.about.get("biosample_name") or signal.about.get("description") or "")
    return "" if sample.lower() in signal.label.lower() else sample


def same_axis(signal: Signal, row: Sequence[Signal]) -> list[Signal]:
    """Those of a track's signals that share an axis with one of them: REF and ALT do, the difference has its own."""
    return [one for one in row if (one.allele in WHOLE) == (signal.allele in WHOLE)]


def limits_of(signals: Sequence[Signal]) -> tuple[float, float]:
    """The axis of signals that share one; for differences, zero is in the middle."""
    if all(signal.allele not in WHOLE for signal in signals):
        top = round_up(max(max(abs(signal.low), abs(signal.high)) for signal in signals))
        return -top, top
    low = min(0.0, *(signal.low for signal in signals))
    return (-round_up(-low) if low < 0 else 0.0), round_up(max(signal.high for signal in signals))


def round_up(value: float) -> float:
    """The next of 1, 1.5, 2, 3, 4, 5, 6, 8, 10 times a power of ten; 1 for nothing."""
    if not value > 0:
        return 1.0
    scale = 10.0 ** math.floor(math.log10(value))
    steps = (1, 1.5, 2, 3, 4, 5, 6, 8, 10)
    return float(f"{scale * next(step for step in steps if step * scale >= value * (1 - 1e-9)):.3g}")
