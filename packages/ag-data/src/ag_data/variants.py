"""Variants from VCF and BCF files: every alternate allele becomes a `Call` and ends in exactly one `Status`."""

import contextlib
import dataclasses
import enum
import gzip
import os
import pathlib
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping

import pysam
from ag_core.errors import InputError
from ag_core.genome import Interval, Variant
from ag_core.sequence import reverse_complement

from ag_data.fasta import Fasta
from ag_data.files import Compression, check_file
from ag_data.vcf.blocks import Blocks
from ag_data.vcf.symbolic import Event, read_event, realise

# Longest symbolic allele that is spelt out where no limit is given, in bases.
MAX_REALISED = 1 << 20


class Status(enum.StrEnum):
    """What became of an alternate allele."""

    SCORED = "scored"  # fit for scoring; in results: scored
    REF_MISMATCH = "ref_mismatch"  # the genome has other bases than REF
    OUTSIDE = "outside"  # REF reaches beyond the chromosome's end or over bases that the FASTA does not know
    SYMBOLIC = "symbolic"  # <CNV> and the like; also <DEL>, <DUP>, <INV> and <INS> that do not tell their bases
    BREAKEND = "breakend"  # joins two places of the genome
    STAR = "star"  # '*': the allele is missing because of another deletion
    MISSING_ALT = "missing_alt"  # '.': no alternate allele
    INVALID_ALLELE = "invalid_allele"  # REF or ALT has letters other than ACGTN
    INVALID_POSITION = "invalid_position"  # position 0, the telomere
    UNKNOWN_CONTIG = "unknown_contig"  # the FASTA has no such chromosome
    UNSUPPORTED_LENGTH = "unsupported_length"  # REF or ALT is longer than allowed
    FAILED = "failed"  # scoring was tried and failed


@dataclasses.dataclass(frozen=True, slots=True)
class Call:
    """One alternate allele of one record.

    - `record`, `alt`: number of the record in the file and of the allele in the record, from 0.
    - `chromosome`, `position` (1-based), `reference`, `alternate`, `name`: CHROM, POS, REF, ALT and ID as written.
    - `variant`: None where status says that there are no bases or no place; after `check_calls` with the FASTA's
      spelling of the chromosome. `detail` says more about the status, for people.
    - `event`: of a symbolic allele that `check_calls` can turn into bases; until then its status is `symbolic`.
    - `repairs`: in what `variant` differs from the record, in words of `ag_data.vcf.repair`.
    """

    record: int
    alt: int
    chromosome: str
    position: int
    reference: str
    alternate: str
    name: str = ""
    status: Status = Status.SCORED
    variant: Variant | None = None
    detail: str = ""
    event: Event | None = None
    repairs: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.chromosome}:{self.position}:{self.reference}>{self.alternate}"


@dataclasses.dataclass(frozen=True)
class Header:
    """What a VCF says about its genome: contig lengths in bp (None if not given), and the assembly's name."""

    path: pathlib.Path
    contigs: Mapping[str, int | None]
    assembly: str


def read_header(path: str | os.PathLike[str]) -> Header:
    """The header of a VCF or BCF file. Raises InputError as `read_variants` does."""
    path = pathlib.Path(path)
    with _open(path) as file, _in_utf8(path, lambda: "the header"):
        contigs = {str(name): contig.length or None for name, contig in file.header.contigs.items()}
        named = [line.get("assembly") for line in file.header.records if line.type == "CONTIG"]
        named += [line.value for line in file.header.records if line.key in ("assembly", "reference")]
    return Header(path, contigs, next((name for name in named if name), ""))


def read_variants(path: str | os.PathLike[str]) -> Iterator[Call]:
    """The alternate alleles of a VCF (plain, gzip, bgzip) or BCF file, in order; samples are not read.

    A record without alternate alleles gives one call with status `missing_alt`. Raises InputError, with the line
    where it is known, when the file is missing, truncated or corrupt, or when htslib cannot read a record.
    """
    path = pathlib.Path(path)
    check_file(path, "VCF file")  # now, not at the first `next`
    return _calls(path)


def check_calls(calls: Iterable[Call], fasta: Fasta, max_length: int | None = None) -> Iterator[Call]:
    """Compares calls with the genome: those that are not fit for scoring get the status that says why.

    Case does not matter. N in REF matches any base. Where the genome has no A, C, G or T but REF has, nothing can
    be checked: the call is `outside`. `max_length` is the longest REF or ALT allowed, in bases. Symbolic alleles whose
    bases are known from the genome get these as `variant`, if they are not longer than that (or `MAX_REALISED`).
    """
    genome = Blocks(fasta)
    for call in calls:
        yield check_call(call, genome, max_length)


def check_call(call: Call, genome: Blocks, max_length: int | None = None) -> Call:
    """One call of `check_calls`."""
    event = call.event if call.status is Status.SYMBOLIC else None
    if event is None and (call.status is not Status.SCORED or call.variant is None):
        return call
    chromosome = genome.find_chromosome(call.chromosome)
    if chromosome is None:
        return dataclasses.replace(call, status=Status.UNKNOWN_CONTIG, detail="")
    if event is not None:
        return _check_event(call, event, chromosome, genome, max_length)
    variant = call.variant
    assert variant is not None
    if variant.chromosome != chromosome:
        variant = dataclasses.replace(variant, chromosome=chromosome)
    longest = max(len(variant.reference_bases), len(variant.alternate_bases))
    if genome.holds(variant, variant.reference_bases):
        status, detail = Status.SCORED, call.detail
    else:
        status, detail = compare(variant, genome.fasta)
    if status is Status.REF_MISMATCH:
        detail += _explain_mismatch(variant, genome)
    if status is not Status.OUTSIDE and max_length is not None and longest > max_length:
        status, detail = Status.UNSUPPORTED_LENGTH, _too_long(longest, max_length)
    if (status, detail, variant) == (call.status, call.detail, call.variant):
        return call
    return dataclasses.replace(call, status=status, variant=variant, detail=detail)


def _check_event(call: Call, event: Event, chromosome: str, genome: Blocks, max_length: int | None) -> Call:
    limit = MAX_REALISED if max_length is None else max_length
    if set(call.reference.upper()) - set("ACGTN"):
        return dataclasses.replace(call, status=Status.INVALID_ALLELE, detail="")
    anchor = Variant(chromosome, call.position, call.reference.upper(), "")
    status, detail = compare(anchor, genome.fasta)
    if status is Status.SCORED and not genome.fasta.covers(
        Interval(chromosome, anchor.start, anchor.position + event.length)
    ):
        status, detail = Status.OUTSIDE, f"reaches beyond the known sequence of {chromosome}"
    elif status is Status.SCORED and event.longest > limit:
        status, detail = Status.UNSUPPORTED_LENGTH, _too_long(event.longest, limit)
    if status is not Status.SCORED:
        return dataclasses.replace(call, status=status, detail=detail)
    variant = dataclasses.replace(realise(event, chromosome, call.position, genome.fetch), name=call.name)
    detail = f"{call.alternate} of {event.length or len(event.inserted):,} bp spelt out"
    detail += "; its ends are not known to the base" if event.imprecise else ""
    repairs = (*call.repairs, "realised")
    return dataclasses.replace(call, status=status, variant=variant, detail=detail, event=None, repairs=repairs)


def _too_long(longest: int, limit: int) -> str:
    return f"{longest} bases, at most {limit} allowed"


def is_swapped(variant: Variant, genome: Blocks) -> bool:
    """Whether ALT fits the genome where REF does not, by bases of its own: not only by those that REF has as well."""
    reference, alternate = variant.reference_bases, variant.alternate_bases
    left = _shared(reference, alternate)
    right = _shared(reference[left:][::-1], alternate[left:][::-1])
    return len(alternate) > left + right and genome.holds(variant, alternate)


def _shared(one: str, other: str) -> int:
    """Number of bases with which both begin."""
    pairs = zip(one, other, strict=False)
    return next((number for number, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def _explain_mismatch(variant: Variant, genome: Blocks) -> str:
    if is_swapped(variant, genome):
        return "; REF and ALT are swapped: ALT fits"
    if genome.holds(variant, reverse_complement(variant.reference_bases)):
        return "; REF fits the other strand"
    return ""


def compare(variant: Variant, fasta: Fasta) -> tuple[Status, str]:
    """Whether the genome has the reference bases: `scored`, `ref_mismatch` or `outside`, and the reason."""
    if not fasta.covers(variant.reference_interval):
        known = "" if variant.chromosome in fasta.partial else f": it has {fasta.lengths[variant.chromosome]} bp"
        return Status.OUTSIDE, f"beyond the known sequence of {variant.chromosome}{known}"
    genome = fasta.fetch(variant.reference_interval) if variant.reference_bases else ""
    pairs = [(ref, base) for ref, base in zip(variant.reference_bases, genome, strict=True) if ref not in ("N", base)]
    if any(base in "ACGT" for _, base in pairs):
        shown = Variant(variant.chromosome, variant.position, _letters(genome), "").as_truncated_str()
        return Status.REF_MISMATCH, f"the genome has {shown.removesuffix('>')}"
    return (Status.OUTSIDE, "the genome has no known bases there") if pairs else (Status.SCORED, "")


def _letters(genome: str) -> str:
    return "".join(base if base in "ACGT" else "N" for base in genome)


def _classify(position: int, reference: str, alternate: str) -> Status:
    if alternate in (".", ""):
        return Status.MISSING_ALT
    if alternate in ("*", "<*:DEL>"):  # the latter of older GATK
        return Status.STAR
    if alternate.startswith("<") and alternate.endswith(">"):
        return Status.SYMBOLIC
    if alternate.startswith(".") or alternate.endswith(".") or set(alternate) & set("[]<>"):
        return Status.BREAKEND
    if position < 1:
        return Status.INVALID_POSITION
    if set((reference + alternate).upper()) - set("ACGTN"):
        return Status.INVALID_ALLELE
    return Status.SCORED


def _calls(path: pathlib.Path) -> Iterator[Call]:
    number = 0
    with _open(path) as file, _in_utf8(path, lambda: f"record {number + 1}"):
        while (record := _next(file, path, number)) is not None:
            reference, alternates = record.ref or ".", record.alts or (".",)
            chromosome, position, name = record.chrom, record.pos, record.id or ""
            for alt, alternate in enumerate(alternates):
                status = _classify(position, reference, alternate)
                variant, event, detail = None, None, ""
                if status is Status.SCORED:
                    variant = Variant(chromosome, position, reference.upper(), alternate.upper(), name)
                elif status is Status.SYMBOLIC:
                    info = str(record).rstrip("\n").split("\t")[7]
                    found = read_event(alternate, position, info, alt, len(alternates))
                    event, detail = (None, found) if isinstance(found, str) else (found, "")
                    if event is not None and position < 1:
                        status, event = Status.INVALID_POSITION, None
                raw = (chromosome, position, reference, alternate, name)
                yield Call(number, alt, *raw, status, variant, detail, event)
            number += 1


@contextlib.contextmanager
def _in_utf8(path: pathlib.Path, place: Callable[[], str]) -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError as error:
        raise InputError(f"VCF file {path}: {place()} is no text in UTF-8 ({error}); mend it") from error


def _next(file: pysam.VariantFile, path: pathlib.Path, number: int) -> pysam.VariantRecord | None:
    try:
        with _quiet():
            return next(file)
    except StopIteration:
        return None
    except (OSError, ValueError) as error:
        line = "" if file.is_bcf else f" (line {_header_lines(file) + number + 1})"
        raise InputError(
            f"VCF file {path}: record {number + 1}{line} cannot be read, so neither can what follows ({error}); "
            "expected at least 8 columns separated by tabs and a whole number as POS; mend or drop the line, "
            "or make the file again if it is truncated or corrupt"
        ) from error


def count_header_lines(path: str | os.PathLike[str]) -> int:
    """Number of header lines of a VCF; 0 for BCF, which has no lines. Raises InputError as `read_variants` does."""
    with _open(pathlib.Path(path)) as file:
        return 0 if file.is_bcf else _header_lines(file)


def _header_lines(file: pysam.VariantFile) -> int:
    """Number of header lines in the file itself; htslib's header may have more, for what was not declared."""
    name = os.fsdecode(file.filename)
    with (gzip.open if file.compression != "NONE" else open)(name, "rb") as text, contextlib.suppress(Exception):
        for number, line in enumerate(text):
            if not line.startswith(b"#"):
                return number
    return 0


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps htslib from writing to stderr; what matters comes back as an exception."""
    before = pysam.set_verbosity(0)
    try:
        yield
    finally:
        pysam.set_verbosity(before)


@contextlib.contextmanager
def _open(path: pathlib.Path) -> Iterator[pysam.VariantFile]:
    with contextlib.ExitStack() as stack:
        name = path
        if check_file(path, "VCF file") is Compression.GZIP:  # htslib reads only bgzip
            name = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()), path.stem)
            try:
                with gzip.open(path) as packed, name.open("wb") as plain:
                    shutil.copyfileobj(packed, plain)
            except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                raise InputError(f"VCF file {path} is truncated or corrupt ({error}); make it again") from error
        try:
            with _quiet():
                file = pysam.VariantFile(os.fspath(name), drop_samples=True)
        except (OSError, ValueError) as error:
            raise InputError(
                f"{path} cannot be read as VCF or BCF ({error}); expected a first line ##fileformat=VCFv4.x and a "
                "line that begins with #CHROM"
            ) from error
        try:
            yield file
        finally:
            with _quiet(), contextlib.suppress(OSError):  # closing a corrupt file fails as well
                file.close()
