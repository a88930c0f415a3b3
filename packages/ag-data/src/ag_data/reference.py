"""Do the reference alleles of a whole file fit the genome, and if not, why not?"""

import dataclasses
from collections.abc import Callable, Iterable

from ag_core.errors import InputError
from ag_core.genome import Interval, Variant
from ag_core.sequence import reverse_complement

from ag_data.assemblies import recognise
from ag_data.fasta import Fasta
from ag_data.variants import Call, Header, Status, compare
from ag_data.vcf.blocks import Blocks

_SAMPLE = 500  # mismatches looked at to find the cause
_CLEAR = 0.8  # share of them that a cause must explain


@dataclasses.dataclass(frozen=True)
class ReferenceReport:
    """Records whose reference allele could be compared, how many differ, and the likely cause ('' if unclear)."""

    checked: int
    mismatched: int
    cause: str = ""


def reference_report(
    calls: Iterable[Call], fasta: Fasta, header: Header | None = None, limit: float = 0.05
) -> ReferenceReport:
    """Compares the reference allele of each record with the genome; `calls` may be checked or not.

    With `header`, contig lengths are compared as well. Raises InputError with the likely cause when more than one
    record and more than the share `limit` of the records differ.
    """
    checked, mismatched, sample, last = 0, 0, [], None
    genome = Blocks(fasta)
    for call in calls:
        if not call.variant or not (chromosome := genome.find_chromosome(call.chromosome)):
            continue
        variant = call.variant
        if variant.chromosome != chromosome:
            variant = dataclasses.replace(variant, chromosome=chromosome)
        if call.record != last:  # the reference allele is the same for all alternates of a record
            fits = genome.holds(variant, variant.reference_bases)
            last, status = call.record, Status.SCORED if fits else compare(variant, fasta)[0]
            checked += status is not Status.OUTSIDE
            mismatched += status is Status.REF_MISMATCH
            if status is Status.REF_MISMATCH and len(sample) < _SAMPLE:
                sample.append([variant])
        elif sample and status is Status.REF_MISMATCH and sample[-1][0].position == variant.position:
            sample[-1].append(variant)
    cause = ((header and _assembly(header, fasta)) or _shared_cause(sample, fasta)) if mismatched else ""
    if mismatched > 1 and mismatched > limit * checked:
        first = sample[0][0]
        raise InputError(
            f"{mismatched} of {checked} reference alleles{f' in {header.path}' if header else ''} do not match "
            f"{fasta.path} (the first: {first.chromosome}:{first.position} has REF {first.reference_bases[:20]}, "
            f"the genome {fasta.fetch(first.reference_interval)[:20]}); "
            + (f"likely cause: {cause}" if cause else "use the FASTA of the assembly the variants were called on")
        )
    return ReferenceReport(checked, mismatched, cause)


def _assembly(header: Header, fasta: Fasta) -> str:
    for contig, length in header.contigs.items():
        chromosome = fasta.find_chromosome(contig)
        if length and chromosome and chromosome not in fasta.partial and fasta.lengths[chromosome] != length:
            name = header.assembly or " or ".join(recognise(header.contigs)[:2])
            name = f" ({name})" if name else ""
            return (
                f"another assembly: the header says {contig} has {length:,} bp{name}, the FASTA has "
                f"{fasta.lengths[chromosome]:,}; use the FASTA of that assembly or lift the variants over"
            )
    return ""


def _shared_cause(sample: list[list[Variant]], fasta: Fasta) -> str:
    """What explains most of the mismatches; each entry holds the variants of one record."""

    def genome(variant: Variant, shift: int = 0, size: int | None = None) -> str:
        start = variant.start + shift
        end = start + (len(variant.reference_bases) if size is None else size)
        place = Interval(variant.chromosome, start, end)
        return fasta.fetch(place) if fasta.covers(place) else ""

    causes: dict[str, Callable[[list[Variant]], bool]] = {
        "positions look 0-based, since REF fits one base further right; add 1 to POS": lambda alts: (
            genome(alts[0], 1) == alts[0].reference_bases
        ),
        "positions look one too large, since REF fits one base further left; subtract 1 from POS": lambda alts: (
            genome(alts[0], -1) == alts[0].reference_bases
        ),
        "REF and ALT look swapped, since ALT fits the genome; swap them (and the sign of effects)": lambda alts: any(
            genome(alt, size=len(alt.alternate_bases)) == alt.alternate_bases for alt in alts
        ),
        "alleles look given for the reverse strand; reverse-complement REF and ALT": lambda alts: (
            genome(alts[0]) == reverse_complement(alts[0].reference_bases)
        ),
    }
    explained = {cause: sum(map(fits, sample)) for cause, fits in causes.items()}
    best = max(explained, key=explained.__getitem__)
    count = f" ({explained[best]} of the {len(sample)} mismatches looked at)"
    return best + count if explained[best] >= _CLEAR * len(sample) else ""
