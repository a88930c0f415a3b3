"""Looks a VCF over before it is scored: which alleles will not be scored as they should, why, and what helps."""

import collections
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator

from ag_core.genome import Variant

from ag_data.assemblies import recognise, recognise_contents
from ag_data.fasta import Fasta
from ag_data.reference import reference_report
from ag_data.variants import Call, Header, Status, check_call, count_header_lines, read_header, read_variants
from ag_data.vcf.blocks import Blocks
from ag_data.vcf.problems import REPAIR, Problem, Tally, VcfReport
from ag_data.vcf.repair import REPAIRS, SPELLING, repair_call
from ag_data.vcf.symbolic import ANY_OTHER_REASON

Progress = Callable[[Iterable[Call]], Iterable[Call]]
_OTHER_BUILD = "use the FASTA of the assembly that the variants were called on, or lift them over"
_REFERENCE_BLOCK = "none: there is nothing to score"
# Statuses other than `scored`: what people call it, and what helps.
_REMEDIES = {
    Status.REF_MISMATCH: ("REF differs from the genome", _OTHER_BUILD),
    Status.OUTSIDE: ("REF is off the chromosome, or on unknown bases", _OTHER_BUILD),
    Status.SYMBOLIC: ("symbolic allele", "call it with a tool that writes END, SVLEN or bases, or leave it out"),
    Status.BREAKEND: (
        "breakend",
        "none: two places of the genome do not fit one window; score the parts as haplotypes",
    ),
    Status.STAR: ("* allele", "none: the deletion it stands for has a record of its own"),
    Status.MISSING_ALT: ("no alternate allele", "none: there is nothing to score"),
    Status.INVALID_ALLELE: ("letters other than ACGTN", "write one record for each base that is meant"),
    Status.INVALID_POSITION: ("POS 0, the telomere", "give the position of the first base of REF, from 1"),
    Status.UNKNOWN_CONTIG: ("the FASTA has no such chromosome", "use a FASTA with it, or leave these records out"),
    Status.UNSUPPORTED_LENGTH: ("allele longer than half the window", "score with a longer window, or leave it out"),
}
# Repairs: what people call the fault.
_NAMES = {
    "swapped": "REF and ALT are swapped",
    "realised": "symbolic allele with known bases",
    "filled": "ambiguous letters in REF",
    "trimmed": "REF and ALT share bases at their ends",
    "left_aligned": "not left-aligned",
    "contig": "chromosome spelt otherwise than in the FASTA",
    "case": "lower-case bases",
}


def examine_vcf(
    path: str | os.PathLike[str], fasta: Fasta, max_length: int | None = None, progress: Progress = iter
) -> VcfReport:
    """Reads all of a VCF or BCF file and compares it with the genome; alleles longer than `max_length` are refused.

    Raises InputError when the file cannot be read. `progress` may wrap the calls.
    """
    examination = _Examination(pathlib.Path(path), fasta, max_length)
    examination.check_header()
    examination.check_calls(progress(read_variants(path)))
    return examination.report()


class _Examination:
    """What was seen so far."""

    def __init__(self, path: pathlib.Path, fasta: Fasta, max_length: int | None):
        self.path, self.fasta, self.max_length = path, fasta, max_length
        self.header: Header = read_header(path)
        self._lines = count_header_lines(path)
        self._genome = Blocks(fasta)
        self._tally = Tally()
        self._file: list[Problem] = []
        self._statuses: tuple[collections.Counter[str], ...] = (collections.Counter(), collections.Counter())
        self._records = 0
        self._spellings: dict[str, set[str]] = collections.defaultdict(set)
        self._ends: dict[str, int] = {}  # the last base of any REF on each chromosome
        self._finished: set[str] = set()  # chromosomes that another followed
        self._place = ("", 0)  # of the last record
        self._seen: set[int] = set()  # hashes of the variants on this chromosome, a tenth of their size

    def check_header(self) -> None:
        """Contigs that are missing, or of other lengths than the FASTA's."""
        lengths = self.header.contigs
        wrong = [
            f"{name}: {length:,} bp, the FASTA has {self.fasta.lengths[known]:,}"
            for name, length in lengths.items()
            if length
            and (known := self.fasta.find_chromosome(name))
            and known not in self.fasta.partial
            and self.fasta.lengths[known] != length
        ]
        if wrong:
            fits = " or ".join(recognise(lengths)[:2])
            name = "the header is of another assembly" + (f": {fits}" if fits else "")
            self._file.append(Problem(name, len(wrong), tuple(wrong[:3]), "ref_mismatch, mostly", "", _OTHER_BUILD))

    def check_calls(self, calls: Iterable[Call]) -> None:
        """Every allele; then what explains mismatches, if there are any."""
        found = reference_report(self._watch(calls), self.fasta, self.header, limit=1)
        if found.cause:
            counts = f"{found.mismatched:,} of {found.checked:,} records"
            self._file.append(
                Problem("likely cause of REF mismatches", found.mismatched, (counts,), "ref_mismatch", "", found.cause)
            )

    def _watch(self, calls: Iterable[Call]) -> Iterator[Call]:
        for call in calls:
            checked = check_call(call, self._genome, self.max_length)
            mended = repair_call(checked, self._genome, self.max_length)
            for counts, one in zip(self._statuses, (checked, mended), strict=True):
                counts[one.status.value] += 1
            if call.record == self._records:
                self._check_record(call)
            if call.alt == 1:
                self._tally.add("record with several alternate alleles", self._show(call))
            self._check_allele(checked, mended)
            yield checked

    def _check_record(self, call: Call) -> None:
        """Order, and contigs that the header lacks."""
        self._records += 1
        known = self._genome.find_chromosome(call.chromosome)
        name, (last, position) = known or call.chromosome, self._place
        self._place = name, call.position
        self._spellings[name].add(call.chromosome)
        if known is not None:
            self._ends[known] = max(self._ends.get(known, 0), call.position + len(call.reference) - 1)
        if name != last:
            self._finished.add(last)
            self._seen.clear()
        if call.position < position if name == last else name in self._finished:
            remedy = f"bcftools sort, or {REPAIR.partition(',')[0]}: an unsorted .vcf.gz gets no index"
            self._tally.add("not sorted", self._show(call), remedy=remedy)

    def _check_allele(self, call: Call, mended: Call) -> None:
        shown, repaired = self._show(call), mended.status.value
        if call.status is not Status.SCORED:
            name, remedy = _REMEDIES[call.status]
            if call.status is Status.SYMBOLIC and call.detail:
                name += f": {call.detail}"
                remedy = _REFERENCE_BLOCK if call.detail == ANY_OTHER_REASON else remedy
            if mended.status is Status.SCORED:
                words = [word for word in ("swapped", "filled") if word in mended.repairs]
                name, remedy = (_NAMES[words[0]], REPAIR) if words else (f"{name}, with bases that both share", REPAIR)
            known = not call.detail or call.detail in name
            self._tally.add(name, shown if known else f"{shown} ({call.detail})", call.status.value, repaired, remedy)
            return
        for word in mended.repairs:
            understood = word in (*SPELLING, "realised")
            self._tally.add(_NAMES[word], shown, remedy="" if understood else f"{REPAIR}: {REPAIRS[word]}")
        variant = mended.variant
        if variant is None:
            return
        self._check_kind(call, variant, shown)

    def _check_kind(self, call: Call, variant: Variant, shown: str) -> None:
        reference, alternate = variant.reference_bases, variant.alternate_bases
        if reference == alternate:
            self._tally.add("ALT is REF", shown, remedy="leave it out: its scores are 0")
        elif min(len(reference), len(alternate)) > 1 or (
            len(reference) != len(alternate) and reference[0] != alternate[0]
        ):
            kind = "multiple" if len(reference) == len(alternate) else "complex"
            self._tally.add(f"{kind} change", shown, "scored as one replacement")
        if (key := hash(variant)) in self._seen:
            self._tally.add("the same allele again", shown, remedy="bcftools norm -d exact after a repair")
        self._seen.add(key)

    def _show(self, call: Call) -> str:
        text = str(call) if len(call.reference + call.alternate) <= 60 else f"{call.chromosome}:{call.position}:..."
        line = f"line {self._lines + call.record + 1}" if self._lines else f"record {call.record + 1}"
        return f"{line}: {text}"

    def report(self) -> VcfReport:
        """All that was found."""
        undeclared = [name for names in self._spellings.values() for name in names if name not in self.header.contigs]
        mixed = [" and ".join(sorted(names)) for names in self._spellings.values() if len(names) > 1]
        for name, found in (("contigs not in the header", undeclared), ("contigs spelt in two ways", mixed)):
            if found:
                remedy = f"{REPAIR.partition(',')[0]}: bcftools needs it"
                self._file.append(Problem(name, len(found), tuple(sorted(found)[:3]), "scored", "", remedy))
        lengths = {name: length for name, length in self.fasta.lengths.items() if name not in self.fasta.partial}
        if beyond := [name for name, end in self._ends.items() if end > lengths.get(name, end)]:
            fits = f"long enough: {', '.join(recognise_contents(self._ends)) or 'no assembly that we know'}"
            examples = tuple(f"{name}: {self._ends[name]:,} of {lengths[name]:,} bp" for name in beyond[:3])
            self._file.append(Problem("chromosomes too short", len(beyond), examples, "outside", "", fits))
        now, later = (dict(counts.most_common()) for counts in self._statuses)
        problems = (*self._file, *self._tally.problems())
        return VcfReport(self.path, self._records, sum(now.values()), now, later, problems)
