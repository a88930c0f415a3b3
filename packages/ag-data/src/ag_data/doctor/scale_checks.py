"""Values that were put on another scale before they came here, cut off, or are too few."""

import numpy as np

from ag_data.doctor.findings import ERROR, WARNING, Finding
from ag_data.doctor.levels import find_transform
from ag_data.doctor.signals import Sample

# In RNA-seq a few genes have most of the reads, so that values above 0 have a long tail: their skewness is 2 or more at
# any depth, that of logarithms mostly under 1.2. Logarithms of counts stay below 20.
_HEAVY, _LARGEST_LOG, _SKEWNESS, _ENOUGH = ("rna_seq",), 20.0, 1.2, 20_000

# Where tails end by themselves, the largest value is found at one or two places; where they were cut off, at all that
# had more. Tested with the share of places that would have more, were the tail to go on as it does below: how likely
# is it that none of so many places has?
_PLACE, _PLACES, _CHANCE = 128, 3, 1e-6
# With fewer distinct values there is no tail: peaks as 0 and 1, or ends of reads once duplicates are removed, of which
# a base has one on each strand.
_LEVELS = 3
# A run of bases at the largest value this many times as long as runs just below is a cut-off top of coverage.
_LONGER, _RUN_BASES = 10.0, 30
# Fractions and percentages are full at these.
_FULL = (1.0, 100.0)

# Reads of the whole genome below which a track is mostly noise: a tenth of what ENCODE asks for (ATAC-seq 25 M
# fragments, so 50 M ends; DNase-seq, TF and histone ChIP-seq 20 M; RNA-seq 30 M; CAGE and RAMPAGE 10 M), per Mb of a
# genome of 3,100 Mb, so that it holds for other genomes and for parts of them. FANTOM5 kept CAGE libraries from 0.5 M.
FEWEST = {
    "atac": 1600.0,
    "dnase": 650.0,
    "chip_tf": 650.0,
    "chip_histone": 650.0,
    "rna_seq": 970.0,
    "cage": 160.0,
    "procap": 320.0,
}


def check_transform(sample: Sample) -> Finding | None:
    """Logarithms or roots of counts instead of counts."""
    remedy = "give the values before the transform (exported without --log and the like); models scale by themselves"
    transform = find_transform(sample.levels)
    if transform is not None:
        first = ", ".join(f"{value:.4g}" for value in sample.levels.value[:5])
        evidence = f"the smallest values {first}, ... are {transform} of whole numbers times a constant"
        return Finding("transformed values", ERROR, sample.label, evidence, remedy)
    if sample.modality not in _HEAVY or sample.levels.unit is not None or len(sample.positive) < _ENOUGH:
        return None
    values = sample.positive.astype(np.float64)
    largest, skewness = float(values.max()), float(np.mean(np.power(values - values.mean(), 3)) / values.std() ** 3)
    if 1 < largest < _LARGEST_LOG and skewness < _SKEWNESS:
        evidence = (
            f"the largest value is {largest:.3g}, and values above 0 have a skewness of {skewness:.2f}; the strongest "
            "genes should stand out more: these look like logarithms"
        )
        return Finding("transformed values", WARNING, sample.label, evidence, remedy)
    return None


def check_clipped(sample: Sample) -> Finding | None:
    """Values cut off at a maximum."""
    if not len(sample.positive):
        return None
    largest = float(sample.positive.max())
    upper = sample.positive[sample.positive >= largest / 2]
    full = largest / sample.resolution in _FULL and sample.levels.unit is None
    if len(sample.levels.value) < _LEVELS or full or _is_mask(sample):
        return None
    remedy = "give the values before they were clipped; a loss that needs a soft maximum applies its own"
    highest = [_block_maxima(values, max(1, _PLACE // sample.resolution)) for _, values in sample.pieces()]
    at, above_half = (sum(int((part >= low).sum()) for part in highest) for low in (largest, largest / 2))
    # Neighbouring blocks are one place.
    places = sum(int((np.diff(part >= largest, prepend=False) & (part >= largest)).sum()) for part in highest)
    steps = len(np.unique(upper)) - 1
    going_on = (at / above_half) ** (1 / steps) if steps else 1.0
    if places >= _PLACES and places * np.log10(max(1 - going_on, 1e-9)) < np.log10(_CHANCE):
        evidence = (
            f"{places:,} places hold exactly the largest value, {largest:,.6g}, and none has more, though "
            f"{above_half:,} have half of it and more, of all sizes: they were cut off there"
        )
        return Finding("clipped values", ERROR, sample.label, evidence, remedy)
    if sample.resolution == 1 and (found := _flat_tops(sample, largest)):
        evidence = (
            f"the largest value, {largest:,.6g}, is held by runs of {found[0]:.0f} bases, the values below it by runs "
            f"of {found[1]:.1f}: the tops were cut off"
        )
        return Finding("clipped values", ERROR, sample.label, evidence, remedy)
    return None


def _is_mask(sample: Sample) -> bool:
    """Whether bins hold how many of their bases lie in something, such as peaks."""
    return sample.resolution > 1 and sample.levels.unit == 1 and float(sample.positive.max()) <= sample.resolution


def _block_maxima(values: np.ndarray, size: int) -> np.ndarray:
    return np.maximum.reduceat(np.where(np.isfinite(values), values, 0), np.arange(0, len(values), size))


def _flat_tops(sample: Sample, largest: float) -> tuple[float, float] | None:
    """Mean lengths of runs of the largest value and of values from half of it upwards, if the former are long."""
    bases, runs = np.zeros(2), np.zeros(2)
    for _, values in sample.pieces():
        change = np.r_[True, values[1:] != values[:-1]] if len(values) else np.zeros(0, bool)
        for row, chosen in enumerate((values == largest, (values >= largest / 2) & (values < largest))):
            bases[row] += int(chosen.sum())
            runs[row] += int((change & chosen).sum())
    if not runs.all() or bases[0] < _RUN_BASES or runs[1] < _RUN_BASES:
        return None
    lengths = bases / runs
    return (float(lengths[0]), float(lengths[1])) if lengths[0] >= _LONGER * lengths[1] else None


def check_depth(sample: Sample) -> Finding | None:
    """Too few reads."""
    fewest = FEWEST.get(sample.modality)
    unit = sample.levels.unit
    if fewest is None or unit is None or _is_mask(sample):
        return None
    if sample.signals.strands[sample.track] != ".":
        fewest /= 2
    reads, bases = 0.0, 0
    for window, values in sample.pieces():
        bases += int(window.width * np.isfinite(values).mean())
        values = np.where(np.isfinite(values) & (values > 0), values, 0)
        # On bases, each read raises the track once, whether it counts one base or all it covers.
        reads += float(np.maximum(np.diff(values, prepend=0), 0).sum() if sample.resolution == 1 else values.sum())
    reads = round(reads / unit)
    if not bases or reads >= fewest * bases / 1e6:
        return None
    evidence = (
        f"{reads:,} reads in {bases / 1e6:.3g} Mb looked at, {reads / bases * 1e6:,.0f} per Mb; expected at least "
        f"{fewest:,.0f}, a tenth of what ENCODE asks of {sample.modality}"
    )
    once = float(sample.levels.count[0] / max(1, sample.levels.total))
    evidence += f"; {once:.0%} of the bins with signal hold the smallest value"
    remedy = "pool the replicates, or leave the track out: at this depth it is mostly noise"
    return Finding("too few reads", WARNING, sample.label, evidence, remedy)
