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
from collections.abc import Iterable, Iterator, Mapping

import pysam
from ag_core.errors import InputError
from ag_core.genome import Variant

from ag_data.fasta import Fasta
from ag_data.files import Compression, check_file


class Status(enum.StrEnum):
    """What became of an alternate allele."""

    SCORED = "scored"  # fit for scoring; in results: scored
    REF_MISMATCH = "ref_mismatch"  # the genome has other bases than REF
    OUTSIDE = "outside"  # REF reaches beyond the chromosome's end or over bases that the FASTA does not know
    SYMBOLIC = "symbolic"  # <DEL> and the like, breakends
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
    with _open(pathlib.Path(path)) as file:
        contigs = {str(name): contig.length or None for name, contig in file.header.contigs.items()}
        named = [line.get("assembly") for line in file.header.records if line.type == "CONTIG"]
        named += [line.value for line in file.header.records if line.key in ("assembly", "reference")]
    return Header(pathlib.Path(path), contigs, next((name for name in named if name), ""))


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
    be checked: the call is `outside`. `max_length` is the longest REF or ALT allowed, in bases.
    """
    for call in calls:
        if call.status is not Status.SCORED or call.variant is None:
            yield call
            continue
        chromosome = fasta.find_chromosome(call.chromosome)
        if chromosome is None:
            yield dataclasses.replace(call, status=Status.UNKNOWN_CONTIG)
            continue
        variant = dataclasses.replace(call.variant, chromosome=chromosome)
        longest = max(len(variant.reference_bases), len(variant.alternate_bases))
        status, detail = compare(variant, fasta)
        if status is not Status.OUTSIDE and max_length is not None and longest > max_length:
            status, detail = Status.UNSUPPORTED_LENGTH, f"{longest} bases, at most {max_length} allowed"
        yield dataclasses.replace(call, status=status, variant=variant, detail=detail)


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
    if alternate == "*":
        return Status.STAR
    if alternate.startswith(("<", ".")) or alternate.endswith(".") or "[" in alternate or "]" in alternate:
        return Status.SYMBOLIC
    if position < 1:
        return Status.INVALID_POSITION
    if set((reference + alternate).upper()) - set("ACGTN"):
        return Status.INVALID_ALLELE
    return Status.SCORED


def _calls(path: pathlib.Path) -> Iterator[Call]:
    with _open(path) as file:
        number = 0
        while (record := _next(file, path, number)) is not None:
            reference = record.ref or "."
            for alt, alternate in enumerate(record.alts or (".",)):
                status = _classify(record.pos, reference, alternate)
                variant, name = None, record.id or ""
                if status is Status.SCORED:
                    variant = Variant(record.chrom, record.pos, reference.upper(), alternate.upper(), name)
                raw = (record.chrom, record.pos, reference, alternate, name)
                yield Call(number, alt, *raw, status, variant)
            number += 1


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
