"""Values that cannot be, or that say that something was lost on the way."""

import numpy as np
from ag_core.genome import Interval

from ag_data.contigs import main_contigs
from ag_data.doctor.findings import ERROR, WARNING, Finding
from ag_data.doctor.signals import Sample
from ag_data.zarr_layout import LARGEST_HALF

# Short stretches without a value, between measured ones, are what a format conversion leaves; a mask or the end of the
# measured regions is longer.
_SHORT = 1000  # base pairs
_MISSING_SHARE = 1e-3
# float16 keeps whole numbers up to this one exactly.
_EXACT_HALF = 2048
# Signal comes in clumps (genes, peaks), so that an empty chromosome is judged by blocks of this many bp: how likely
# would all of its blocks be empty, at the share of empty ones elsewhere?
_BLOCK, _CHANCE = 20_000, 1e-6
# May be empty in a healthy sample.
OFTEN_EMPTY = ("chrY", "Y")
# Ends of reads are points; a pile-up of whole reads has the same value on most neighbouring bases.
_POINTS = ("atac", "dnase", "cage", "procap")
_PILED, _PILED_VALUES = 0.75, 2000


def check_infinite(sample: Sample) -> Finding | None:
    """Infinite values."""
    wrong = int(np.isinf(sample.values).sum())
    if not wrong:
        return None
    evidence = f"{wrong:,} of {len(sample.values):,} bins looked at are infinite"
    remedy = "make the file again: a division by zero (a control without reads) or a logarithm of 0 leaves such values"
    return Finding("infinite values", ERROR, sample.label, evidence, remedy)


def check_negative(sample: Sample) -> Finding | None:
    """Values below zero, which counts and coverage never have."""
    finite = sample.values[np.isfinite(sample.values)]
    below = int((finite < 0).sum())
    if not below:
        return None
    share = below / int((finite != 0).sum())
    evidence = f"{below:,} values are negative ({share:.1%} of those that are not 0), down to {finite.min():.4g}"
    if share > 0.999:
        remedy = "tracks of the '-' strand are often written below the axis: set `options: {scale: -1}`"
    else:
        remedy = "use the counts or the coverage: differences to a control and log ratios are no signal to learn here"
    return Finding("negative values", ERROR, sample.label, evidence, remedy)


def check_missing(sample: Sample) -> Finding | None:
    """Stretches without a value, scattered between measured ones."""
    missing = lost = runs = measured = 0
    for _, values in sample.pieces():
        unknown = np.isnan(values)
        edges = np.flatnonzero(np.diff(np.r_[False, unknown, False].astype(np.int8)))
        widths = (edges[1::2] - edges[::2]) * sample.resolution
        short = (widths < _SHORT) & (edges[::2] > 0) & (edges[1::2] < len(values))
        missing += int(widths[short].sum()) // sample.resolution
        runs += int(short.sum())
        lost += int(unknown.sum())
        measured += int((~unknown).sum())
    if measured == 0 and lost:
        evidence = f"none of {lost:,} bins looked at has a value"
        remedy = "the file has no data on these chromosomes, or reads wrong: check it, or leave it out"
        return Finding("missing values", ERROR, sample.label, evidence, remedy)
    if missing <= _MISSING_SHARE * measured:
        return None
    evidence = (
        f"{missing:,} of {len(sample.values):,} bins looked at have no value, in {runs:,} short stretches between "
        "measured ones"
    )
    zeros = int((sample.values == 0).sum())
    if not zeros:
        evidence += ", and no value is 0"
        remedy = "files mostly leave zeros out: set `options: {gaps: zero}` (bigwig, bedgraph)"
    else:
        remedy = "NaN in the file means not measured and is left out of training: write 0 where no read was seen"
    return Finding("missing values", WARNING, sample.label, evidence, remedy)


def check_overflow(sample: Sample) -> Finding | None:
    """Values that the type of the store cannot hold."""
    if sample.signals.dtype != "float16":
        return None
    largest = float(sample.positive.max(initial=0))
    if sample.signals.statistics is not None:
        largest = max(largest, float(sample.signals.statistics["largest"].values[:, sample.track].max(initial=0)))
    remedy = f"store this modality as float32 (`modalities: {{{sample.modality}: {{dtype: float32}}}}`)"
    if largest > LARGEST_HALF:
        evidence = f"the largest value is {largest:,.0f}; float16 ends at 65,504"
        return Finding("too large for float16", ERROR, sample.label, evidence, remedy)
    if largest > _EXACT_HALF and sample.levels.unit == 1:
        lost = 2.0 ** (int(np.log2(largest)) - 10)
        evidence = f"these are counts, up to {largest:,.0f}; float16 holds them in steps of {lost:.0f} there"
        return Finding("too large for float16", WARNING, sample.label, evidence, remedy + " if single reads matter")
    return None


def check_points(sample: Sample) -> Finding | None:
    """Coverage where ends of reads are expected."""
    if sample.modality not in _POINTS or sample.resolution > 1:
        return None
    same = nonzero = 0
    for _, values in sample.pieces():
        left, right = values[:-1], values[1:]
        nonzero += int((left != 0).sum())
        same += int(((left != 0) & (left == right)).sum())
    if nonzero < _PILED_VALUES or same < _PILED * nonzero:
        return None
    evidence = f"of {nonzero:,} bases with signal, {same / nonzero:.0%} have the same value as the next"
    remedy = (
        f"{sample.modality} counts one base for each read (its end), so that sums are numbers of reads: make the track "
        "from the BAM or the fragments"
    )
    return Finding("coverage instead of ends", WARNING, sample.label, evidence, remedy)


def check_empty(sample: Sample) -> list[Finding]:
    """No signal at all, or none on a chromosome where the others let one expect some."""
    bins = len(sample.values)
    empty = [name for name in sample.signals.chromosomes if _is_empty(sample, name)]
    if len(empty) == len(sample.signals.chromosomes):
        if not np.isfinite(sample.values).any():
            return []  # `check_missing` says it
        evidence = f"all {bins:,} bins looked at are 0, and so is the rest of the genome"
        remedy = "the file is empty, or of other chromosomes: check it, or leave it out"
        return [Finding("no signal", ERROR, sample.label, evidence, remedy)]
    blocks, filled = _blocks(sample, set(empty))
    unlucky = max(1 - filled / max(1, blocks), 1 / (blocks + 1))
    lost = {}
    for name in main_contigs(empty):
        bases = sample.signals.known.get(name, sample.signals.chromosomes[name])
        number = int(bases * _measured_share(sample, name)) // _BLOCK
        if name not in OFTEN_EMPTY and number * np.log(unlucky) < np.log(_CHANCE):
            lost[name] = number
    if not lost:
        return []
    evidence = "; ".join(f"{name} has no signal ({number:,} blocks of 20 kb)" for name, number in lost.items())
    evidence += f"; elsewhere {filled / blocks:.0%} of such blocks have some"
    remedy = "a chromosome was lost on the way (a failed job, a filter, its name): make the file again"
    return [Finding("empty chromosome", ERROR, sample.label, evidence, remedy)]


def _blocks(sample: Sample, left_out: set[str]) -> tuple[int, int]:
    """Blocks that were looked at on other chromosomes, and how many of them have signal."""
    blocks = filled = 0
    size = max(1, _BLOCK // sample.resolution)
    for window, values in sample.pieces():
        if window.chromosome not in left_out and len(values) >= size:
            cut = values[: len(values) // size * size].reshape(-1, size)
            blocks += int(np.isfinite(cut).any(axis=1).sum())
            filled += int((np.isfinite(cut) & (cut != 0)).any(axis=1).sum())
    return blocks, filled


def _measured_share(sample: Sample, chromosome: str) -> float:
    seen = [np.isfinite(values) for window, values in sample.pieces() if window.chromosome == chromosome]
    return float(np.mean(np.concatenate(seen))) if seen else 0.0


def _is_empty(sample: Sample, chromosome: str) -> bool:
    """Whether no bin of a chromosome has signal, though it was measured; reads it to the end where none has."""
    signals, statistics = sample.signals, sample.signals.statistics
    length = signals.chromosomes[chromosome]
    if statistics is not None:
        own = statistics.isel(track=sample.track, contig=list(statistics["contig"].values).index(chromosome))
        return int(own["nonzero"]) == 0 and int(own["missing"]) < -(-length // sample.resolution)
    seen = [values for window, values in sample.pieces() if window.chromosome == chromosome]
    if any((np.isfinite(values) & (values != 0)).any() for values in seen):
        return False
    if sample.whole:
        return any(np.isfinite(values).any() for values in seen)
    step = max(1, (1 << 20) // sample.resolution) * sample.resolution
    measured = False
    for start in range(0, length, step):
        rest = Interval(chromosome, start, min(start + step, length))
        values = signals.sample(np.array([sample.track]), [rest])[0].values
        if (np.isfinite(values) & (values != 0)).any():
            return False
        measured |= bool(np.isfinite(values).any())
    return measured
