"""Mends what can be mended without guessing; every call keeps what its record says, and tells what was done."""

import dataclasses
from collections.abc import Iterable, Iterator

from ag_core.genome import Variant, normalize_variant
from Bio.Data.IUPACData import ambiguous_dna_values

from ag_data.fasta import Fasta
from ag_data.variants import Call, Status, check_call, is_swapped
from ag_data.vcf.blocks import Blocks

# What may be done to a call (`Call.repairs`), and what that means.
REPAIRS = {
    "realised": "a symbolic allele is spelt out in bases",
    "swapped": "ALT is what the genome has, REF is not: the two change places",
    "filled": "N and other ambiguous letters in REF become the bases of the genome",
    "trimmed": "bases that REF and ALT share are left out, but for one where an allele would be empty",
    "left_aligned": "an insertion or deletion is written as far left as it can be",
    "contig": "the chromosome is spelt as in the FASTA",
    "case": "lower-case bases become upper-case",
}
# The last two are understood without repair.
SPELLING = ("contig", "case")


def repair_calls(calls: Iterable[Call], fasta: Fasta, max_length: int | None = None) -> Iterator[Call]:
    """As `ag_data.variants.check_calls`, and mends what it can; `calls` may be checked or not.

    `variant` is then left-aligned and as short as can be, on the FASTA's spelling of the chromosome and with REF as the
    genome has it; `repairs` and `detail` tell what was done. Alleles that are swapped are turned: what is scored
    is then the record's REF against the genome, so that signed scores have the sign of that, not of the record. SNVs,
    multiple and complex changes stay one replacement each. A call that cannot be mended keeps the status of
    `check_calls`.
    """
    genome = Blocks(fasta)
    for call in calls:
        yield repair_call(call, genome, max_length)


def repair_call(call: Call, genome: Blocks, max_length: int | None = None) -> Call:
    """One call of `repair_calls`."""
    checked = check_call(call, genome, max_length)
    variant, repairs = checked.variant, list(checked.repairs)
    spelling = _spelling(checked, genome)
    if variant is None:
        if (variant := _without_ambiguity(checked, genome)) is None:
            return checked
        repairs.append("filled")
    elif checked.status is Status.REF_MISMATCH and is_swapped(variant, genome):
        variant = dataclasses.replace(
            variant, reference_bases=variant.alternate_bases, alternate_bases=variant.reference_bases
        )
        repairs.append("swapped")
    elif checked.status not in (Status.SCORED, Status.UNSUPPORTED_LENGTH):
        return checked
    elif "N" in variant.reference_bases:
        known = genome.fetch(variant.reference_interval)
        if genome.holds(variant, known):
            variant = dataclasses.replace(variant, reference_bases=known)
            repairs.append("filled")
    if not variant.is_snv:
        variant = _normalise(variant, genome, repairs)
    if variant == checked.variant and not spelling:
        return checked
    changed = [word for word in repairs if word not in checked.repairs]
    trial = dataclasses.replace(call, status=Status.SCORED, variant=variant, event=None, detail="")
    mended = check_call(trial, genome, max_length)
    if mended.status is not Status.SCORED:
        return checked
    done = f"{', '.join(changed)}: {variant.as_truncated_str()}" if changed else ""
    detail = "; ".join(text for text in (checked.detail if checked.repairs else "", done) if text)
    return dataclasses.replace(mended, detail=detail, repairs=tuple(dict.fromkeys([*repairs, *spelling])))


def _spelling(call: Call, genome: Blocks) -> list[str]:
    """Repairs that concern only the way things are written."""
    if call.status is not Status.SCORED and call.variant is None:
        return []
    renamed = genome.find_chromosome(call.chromosome) not in (None, call.chromosome)
    bases = call.reference if call.alternate.startswith("<") else call.reference + call.alternate
    return ["contig"] * renamed + ["case"] * (bases != bases.upper())


def _without_ambiguity(call: Call, genome: Blocks) -> Variant | None:
    """The variant of a record whose REF has letters for several bases, when the genome has one of these at each."""
    reference, alternate = call.reference.upper(), call.alternate.upper()
    chromosome = genome.find_chromosome(call.chromosome)
    if call.status is not Status.INVALID_ALLELE or chromosome is None or set(alternate) - set("ACGTN"):
        return None
    place = Variant(chromosome, call.position, "N" * len(reference), alternate, call.name)
    if not genome.fasta.covers(place.reference_interval):
        return None
    known = genome.fetch(place.reference_interval)
    fits = all(base in ambiguous_dna_values.get(letter, "") for base, letter in zip(known, reference, strict=True))
    return dataclasses.replace(place, reference_bases=known) if fits and genome.holds(place, known) else None


def _normalise(variant: Variant, genome: Blocks, repairs: list[str]) -> Variant:
    """The variant left-aligned and trimmed; adds what was done to `repairs`."""
    moved = normalize_variant(variant, genome.fetch)
    # Where the known sequence begins, a variant may only seem to move to an unknown base.
    if moved == variant or not genome.holds(moved, moved.reference_bases):
        return variant
    trimmed = _trim(variant)
    repairs += ["trimmed"] * (trimmed != variant) + ["left_aligned"] * (moved != trimmed)
    return moved


def _trim(variant: Variant) -> Variant:
    """Without the bases that both alleles share at their ends, but with at least one base in each."""
    reference, alternate = variant.reference_bases, variant.alternate_bases
    while min(len(reference), len(alternate)) > 1 and reference[-1] == alternate[-1]:
        reference, alternate = reference[:-1], alternate[:-1]
    start = 0
    while min(len(reference), len(alternate)) - start > 1 and reference[start] == alternate[start]:
        start += 1
    return dataclasses.replace(
        variant,
        position=variant.position + start,
        reference_bases=reference[start:],
        alternate_bases=alternate[start:],
    )
