"""A VCF with its records mended: one record for each alternate allele, sorted, none lost."""

import collections
import heapq
import itertools
import json
import os
import pathlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, BinaryIO

import pysam
from ag_core.errors import InputError

from ag_data.cache import replacing
from ag_data.fasta import Fasta
from ag_data.variants import Call, Status, read_variants
from ag_data.vcf.repair import REPAIRS, SPELLING, repair_calls
from ag_data.vcf.text import open_lines

SUFFIXES = (".vcf", ".vcf.gz")
_TABIX = 1 << 29  # bp of the longest chromosome that a .tbi can index
# Facts about the place and size of an allele, no longer true or needed once it is spelt out or moved.
_OF_PLACE = {"END", "SVLEN", "CIPOS", "CIEND", "CILEN", "IMPRECISE", "SVINSSEQ", "SVINSLEN", "INSSEQ"}
_DEFINED = re.compile(r"##INFO=<ID=([^,>]+),.*?Number=([^,>]+)")
INFO = (
    '##INFO=<ID=AG_RECORD,Number=1,Type=Integer,Description="Number of the record before the repair, from 0">',
    '##INFO=<ID=AG_ALT,Number=1,Type=Integer,Description="Number of the alternate allele in that record, from 0">',
    '##INFO=<ID=AG_WAS,Number=1,Type=String,Description="The allele as it was: CHROM:POS:REF>ALT">',
    f'##INFO=<ID=AG_REPAIRS,Number=.,Type=String,Description="What was done: {", ".join(REPAIRS)}">',
    '##INFO=<ID=AG_REFUSED,Number=1,Type=String,Description="Why an allele cannot be scored; it is as it was">',
)
_OURS = tuple(line[11 : line.index(",")] for line in INFO)

_Record = tuple[int, int, int, int, str]  # chromosome, position, record, allele, line
Progress = Callable[[Iterable[Call]], Iterable[Call]]


def write_repaired(
    source: str | os.PathLike[str],
    output: str | os.PathLike[str],
    fasta: Fasta,
    max_length: int | None = None,
    progress: Progress = iter,
) -> tuple[collections.Counter[Status], collections.Counter[str]]:
    """Writes `source` repaired as .vcf or .vcf.gz (bgzip, with an index); returns counts of statuses and of repairs.

    Records are split by allele and sorted in the order of the FASTA. INFO fields with one value for each allele are
    split as well; genotypes are left out. An allele that cannot be scored is kept as it was, with `AG_REFUSED`.
    `progress` may wrap the calls. Raises InputError for another suffix, when the output is the input, or when `source`
    cannot be read.
    """
    source, output = pathlib.Path(source), pathlib.Path(output)
    if not output.name.endswith(SUFFIXES):
        raise InputError(f"{output}: cannot tell the format; use one of {', '.join(SUFFIXES)}")
    if output.exists() and output.samefile(source):
        raise InputError(f"{output} is the input; choose another name, so that the original is kept")
    statuses: collections.Counter[Status] = collections.Counter()
    repairs: collections.Counter[str] = collections.Counter()
    calls = repair_calls(read_variants(source), fasta, max_length)
    index = output.with_name(f"{output.name}{'.csi' if max(fasta.lengths.values()) > _TABIX else '.tbi'}")
    targets = (output, index) if output.name.endswith(".gz") else (output,)
    order = {name: number for number, name in enumerate(fasta.lengths)}

    with replacing(*targets) as scratch, open_lines(source) as (header, lines):
        kinds = {match[1]: match[2] for line in header if (match := _DEFINED.match(line))}

        def records() -> Iterator[_Record]:
            for call, columns in _in_step(progress(calls), lines, source):
                statuses[call.status] += 1
                repairs.update(call.repairs)
                name = fasta.find_chromosome(call.chromosome) or call.chromosome
                position, *rest = _columns(call, columns, kinds)
                line = "\t".join([name, str(position), *rest])
                yield order.setdefault(name, len(order)), position, call.record, call.alt, line

        ordered = sort_records(records(), scratch[0].parent)  # after this `order` has every chromosome
        with _create(scratch[0]) as out:
            for line in itertools.chain(_header(header, fasta, order), (record[-1] for record in ordered)):
                out.write(f"{line}\n".encode("utf-8", "surrogateescape"))
        if len(targets) == 2:
            pysam.tabix_index(os.fspath(scratch[0]), preset="vcf", csi=index.suffix == ".csi", force=True)
    for suffix in {".tbi", ".csi"} - {index.suffix if len(targets) == 2 else ""}:  # of an older file
        output.with_name(output.name + suffix).unlink(missing_ok=True)
    return statuses, repairs


def sort_records(records: Iterable[_Record], folder: pathlib.Path, size: int = 200_000) -> Iterator[_Record]:
    """Sorted, with no more than `size` records in memory; the rest waits in `folder`. Reads all before it returns."""
    runs = []
    for number, batch in enumerate(_batches(records, size)):
        path = folder / f"run{number}"
        with path.open("w", encoding="ascii") as file:
            file.writelines(f"{json.dumps(record)}\n" for record in sorted(batch))
        runs.append(path)
    return heapq.merge(*map(_read_run, runs))


def _batches(records: Iterable[_Record], size: int) -> Iterator[list[_Record]]:
    rest = iter(records)
    while batch := list(itertools.islice(rest, size)):
        yield batch


def _read_run(path: pathlib.Path) -> Iterator[_Record]:
    with path.open(encoding="ascii") as file:
        for line in file:
            chromosome, position, record, alt, text = json.loads(line)
            yield chromosome, position, record, alt, text


def _create(path: pathlib.Path) -> BinaryIO | pysam.BGZFile:
    return pysam.BGZFile(os.fspath(path), "wb", None) if path.suffix == ".gz" else path.open("wb")


def _in_step(calls: Iterable[Call], lines: Iterator[str], source: pathlib.Path) -> Iterator[tuple[Call, list[str]]]:
    """Each call with the columns of its record."""
    number, columns = -1, []
    for call in calls:
        while number < call.record:
            columns, number = next(lines, "").split("\t", 8), number + 1
        if columns[:2] != [call.chromosome, str(call.position)]:
            raise InputError(
                f"VCF file {source}: record {number + 1} is at {':'.join(columns[:2])!r}, and htslib reads it as "
                f"{call}; mend the line (bcftools view)"
            )
        yield call, columns


def _columns(call: Call, columns: list[str], kinds: Mapping[str, str]) -> tuple[Any, ...]:
    """POS to INFO of one allele."""
    place = (call.position, call.reference, call.alternate)
    if call.status is Status.SCORED and (variant := call.variant) is not None:
        place = (variant.position, variant.reference_bases, variant.alternate_bases)
    fields = [field for field in columns[7].split(";") if field not in ("", ".")]
    count = len(columns[4].split(","))
    kept = [text for field in fields if (text := _field(field, call, count, kinds))]
    kept += [f"AG_RECORD={call.record}", f"AG_ALT={call.alt}"]
    if call.status is not Status.SCORED:
        kept.append(f"AG_REFUSED={call.status.value}")
    elif call.repairs:
        was = str(call) if len(call.reference + call.alternate) < 1000 else f"{call.chromosome}:{call.position}"
        kept += [f"AG_WAS={was}", f"AG_REPAIRS={','.join(call.repairs)}"]
    position, reference, alternate = place
    return position, columns[2], reference, alternate, *columns[5:7], ";".join(kept)


def _field(field: str, call: Call, count: int, kinds: Mapping[str, str]) -> str:
    """An INFO field for one of `count` alleles; '' where it no longer holds."""
    key, _, text = field.partition("=")
    moved = set(call.repairs) - {*SPELLING, "filled"}
    if key in _OURS or (moved and key in _OF_PLACE):
        return ""
    kind, values = kinds.get(key, "."), text.split(",")
    if kind in ("A", "R") and "swapped" in call.repairs:  # counts and frequencies of the other allele
        return ""
    if kind == "A" and len(values) == count:
        return f"{key}={values[call.alt]}"
    if kind == "R" and len(values) == count + 1:
        return f"{key}={values[0]},{values[call.alt + 1]}"
    return "" if kind == "G" and count > 1 else field


def _header(header: list[str], fasta: Fasta, used: Iterable[str]) -> list[str]:
    """The input's header with the FASTA's chromosomes and our fields, without samples."""
    ours = tuple(f"##INFO=<ID={key}," for key in _OURS)
    kept = [line for line in header[:-1] if not line.startswith(("##contig=", "##FORMAT=", *ours))]
    lengths = {name: f",length={length}" for name, length in fasta.lengths.items() if name not in fasta.partial}
    contigs = [f"##contig=<ID={name}{lengths.get(name, '')}>" for name in used]
    return [*kept, *contigs, *INFO, "\t".join(header[-1].split("\t")[:8])]
