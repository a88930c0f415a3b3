"""Do the chromosomes of a file fit the genome: their names, their lengths, and where its entries end?"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from ag_core.errors import InputError
from ag_core.genome import Interval
from ag_core.interfaces import AbstractSource

from ag_data.assemblies import recognise, recognise_contents
from ag_data.contigs import main_contigs, match_contig
from ag_data.doctor.findings import ERROR, WARNING, Finding
from ag_data.doctor.value_checks import OFTEN_EMPTY

# How far behind the end of a chromosome entries are looked for; assemblies of a species differ by less.
_BEHIND, _STEP = 8_000_000, 1_000_000


def check_names(
    label: str, given: Mapping[str, int | None], chromosomes: Mapping[str, int], absent: str
) -> Finding | None:
    """Chromosomes of the genome that the file does not have; `absent` is what the manifest says of those."""
    lost = [name for name in chromosomes if match_contig(name, dict(given)) is None]
    own = ", ".join(list(given)[:5]) or "none"
    if len(lost) == len(chromosomes):
        evidence = f"none of {len(lost)} chromosomes ({', '.join(lost[:5])}, ...) is in the file, which has {own}, ..."
        by_length = {length: name for name, length in given.items() if length}
        same = {name: by_length[length] for name, length in chromosomes.items() if length in by_length}
        if same:
            name, other = next(iter(same.items()))
            remedy = f"only names differ, as {other} is as long as {name}: rename the chromosomes of the file"
        else:
            remedy = "rename the chromosomes of the file, or give the genome it belongs to"
        return Finding("chromosome names", ERROR, label, evidence, remedy)
    serious = [name for name in lost if name not in OFTEN_EMPTY]
    if not serious or absent != "error":
        return None
    evidence = f"{len(lost)} of {len(chromosomes)} chromosomes are not in the file: {', '.join(lost[:5])}"
    unknown = [name for name in main_contigs(given) if match_contig(name, dict(chromosomes)) is None]
    if unknown:
        evidence += f"; it has others that are not wanted: {', '.join(unknown[:5])}"
    remedy = (
        "list the `chromosomes` you want, rename those of the file, or say what it means (`absent: zero`, `missing`)"
    )
    return Finding("chromosome names", WARNING, label, evidence, remedy)


def check_lengths(
    label: str, given: Mapping[str, int | None], chromosomes: Mapping[str, int], genome: Mapping[str, int]
) -> Finding | None:
    """Chromosomes that are not as long as those of the genome; `genome` has all of its chromosomes."""
    pairs = {name: match for name in chromosomes if (match := match_contig(name, dict(given))) is not None}
    differ = {name: length for name, match in pairs.items() if (length := given[match]) and length != chromosomes[name]}
    if not differ:
        return None
    shown = "; ".join(
        f"{name} has {length:,} bp, the genome's {chromosomes[name]:,}" for name, length in differ.items()
    )
    evidence = f"{len(differ)} of {len(pairs)} chromosomes differ: {shown[:300]}"
    file_build, genome_build = recognise(given), recognise(genome)
    if file_build:
        evidence += f"; the file is of {' or '.join(file_build)}"
    if genome_build:
        evidence += f"; the genome is {' or '.join(genome_build)}"
    if file_build and recognise({name: length for name, length in genome.items() if name not in differ}) == file_build:
        remedy = "the other chromosomes fit: the FASTA has only a part of these; get the whole sequence"
    else:
        remedy = f"give the genome it belongs to{f' ({file_build[0]})' if file_build else ''}, or lift the file over"
    return Finding("assembly", ERROR, label, evidence, remedy)


def check_ends(label: str, source: AbstractSource, chromosomes: Mapping[str, int], slack: int = 0) -> Finding | None:
    """Entries more than `slack` bp behind the ends of chromosomes, for files that do not tell how long these are."""
    given = source.chromosomes()
    behind: dict[str, int] = {}
    for name, length in chromosomes.items():
        match = match_contig(name, dict(given))
        if match is not None and given[match] is None and (last := _last_entry(source, match, length)) is not None:
            behind |= {name: last} if last > length + slack else {}
    if not behind:
        return None
    shown = "; ".join(f"{name} to {at:,}, which is {chromosomes[name]:,} bp long" for name, at in behind.items())
    evidence = f"entries reach behind the ends of {len(behind)} of {len(chromosomes)} chromosomes: {shown[:300]}"
    builds = recognise_contents(behind)
    remedy = "give the genome it belongs to, or lift the file over"
    if builds and not set(recognise(chromosomes)) & set(builds):
        evidence += f"; they would fit {', '.join(builds)}"
    return Finding("assembly", ERROR, label, evidence, remedy)


def check_summary(label: str, facts: Mapping[str, Any]) -> Finding | None:
    """Entries that are NaN, by the sum in a bigWig's own summary; read with `gaps: zero` nothing is left of them."""
    if not np.isnan(facts.get("sum", 0.0)):
        return None
    evidence = "the sum in the file's summary is NaN: some entries are NaN, which become 0 where gaps are zero"
    remedy = "write no entry where no read was seen; if NaN means not measured, set `options: {gaps: missing}`"
    return Finding("missing values", ERROR if facts.get("gaps") == "zero" else WARNING, label, evidence, remedy)


def _last_entry(source: AbstractSource, chromosome: str, length: int) -> int | None:
    """Where the last entry behind `length` ends, to the bin; None when there is none near."""
    last = None
    grid = source.resolution
    start = -(-length // grid) * grid
    step = max(1, _STEP // grid) * grid
    for low in range(start, start + _BEHIND, step):
        try:
            values = source.read(Interval(chromosome, low, low + step))
        except InputError:
            return last
        if source.layout == "junctions":
            at = values["end"].values
            last = int(at.max()) if len(at) else last
            continue
        filled = np.flatnonzero((np.nan_to_num(values) != 0).reshape(len(values), -1).any(axis=1))
        if len(filled):
            last = low + (int(filled[-1]) + 1) * grid
    return last
