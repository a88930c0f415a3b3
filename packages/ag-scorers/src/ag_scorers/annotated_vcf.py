"""A VCF with its scores in INFO: the records of the input as text, in step with the results.

Text, because htslib would add, drop and round things, and cannot write a record on a contig that is not declared.
"""

import contextlib
import gzip
import itertools
import os
import pathlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import BinaryIO

import numpy as np
import pysam
from ag_core.errors import InputError
from ag_data.cache import replacing
from ag_data.files import Compression, check_file
from ag_data.variants import Status
from jaxtyping import Float, Int

from ag_scorers.results import Result, ScorerResult

INFO = {
    "AG": '##INFO=<ID=AG,Number=.,Type=String,Description="Variant scores of each alternate allele, gene, scorer and '
    "set of tracks: the score and the quantile farthest from zero over the tracks of the set, . where there is none. "
    "White space and ,;|=% within a field are percent-encoded. "
    'Format: ALLELE|GENE|SCORER|TRACKSET|RAW|QUANTILE">',
    "AG_STATUS": '##INFO=<ID=AG_STATUS,Number=A,Type=String,Description="What became of each alternate allele: '
    f'{", ".join(status.value for status in Status)}">',
}
Put = Callable[[Result], None]
# Tracks of each set, by key of the scorer and name of the set.
TrackSets = Mapping[str, Mapping[str, Int[np.ndarray, " _"]]]
# Lines of the header that say what made the scores.
FACT = re.compile(r"##AG(\w+)=(.*)")
_SEPARATORS = re.compile(r"[%,;|=\s\x00-\x1f\x7f]")


def open_output(path: pathlib.Path, fast: bool = False) -> BinaryIO | pysam.BGZFile:
    """bgzip for names that end in .gz, else plain. `fast` takes less than half the time, for a tenth more bytes."""
    if path.suffix != ".gz":
        return path.open("wb")
    mode = "wb1" if fast else "wb"
    return pysam.BGZFile(os.fspath(path), mode, None)  # pyright: ignore[reportArgumentType]


@contextlib.contextmanager
def annotate(
    path: pathlib.Path,
    source: pathlib.Path,
    provenance: Mapping[str, str],
    overwrite: bool,
    track_sets: TrackSets | None = None,
) -> Iterator[Put]:
    """Writes the records of `source` to `path`, each with the results of its alleles, and an index.

    Without `track_sets` all tracks of a scorer are one set, called by its modality.
    """
    header = _header(source, provenance, overwrite)
    waiting: list[Result] = []
    with replacing(path) as (scratch,):
        with _lines(source) as lines, open_output(scratch) as out:
            out.write(_encode(header))
            numbers, records = itertools.count(), (line for line in lines if not line.startswith("#"))

            def put(result: Result) -> None:
                if waiting and waiting[0].call.record != result.call.record:
                    flush()
                waiting.append(result)

            def flush() -> None:
                columns = next(records, "").split("\t", 8)
                _check_step(source, columns, next(numbers), waiting)
                columns[7] = _info(columns[7], waiting, track_sets)
                out.write(_encode(["\t".join(columns)]))
                waiting.clear()

            yield put
            if waiting:
                flush()
            if next(records, None) is not None:
                raise ValueError(f"{source}: no results from record {next(numbers)} on; write one for each allele")
        _index(scratch, path)


def _check_step(source: pathlib.Path, columns: Sequence[str], number: int, results: Sequence[Result]) -> None:
    """ValueError unless the results are those of the alleles of this record."""
    calls = [(r.call.record, r.call.alt, r.call.chromosome, r.call.position, r.call.alternate) for r in results]
    found = []
    if len(columns) > 7:
        alleles = enumerate(columns[4].split(","))
        found = [(number, alt, columns[0], int(columns[1]), bases or ".") for alt, bases in alleles]
    if calls != found:
        raise ValueError(
            f"{source}: results are of {calls} but its next record has {found or 'ended'} (record, alt, CHROM, "
            "POS, ALT); write a result for each allele of the file that was scored, in its order"
        )


def _header(source: pathlib.Path, provenance: Mapping[str, str], overwrite: bool) -> list[str]:
    """Header lines for the output; contigs that the input uses and does not declare are declared."""
    header: list[str] = []
    contigs: dict[str, None] = {}
    used: set[str] = set()
    with _lines(source) as lines:
        for line in lines:
            if line.startswith("#"):
                header.append(line)
                continue
            columns = line.split("\t", 8)
            if len(columns) < 8:
                raise InputError(f"{source} has the line {line[:80]!r}; expected 8 columns separated by tabs")
            contigs[columns[0]] = None
            if "AG" in columns[7]:
                used.update(field.partition("=")[0] for field in columns[7].split(";"))
    if not header or not header[-1].startswith("#CHROM\t"):
        raise InputError(f"{source} is no VCF; expected a line that begins with #CHROM before the records")

    defined = {key: line for line in header for key in INFO if re.match(rf"##INFO=<ID={key}[,>]", line)}
    undeclared = {key: "" for key in INFO if key in used and key not in defined}
    other = [key for key, line in (defined | undeclared).items() if line != INFO[key]]
    if other and not overwrite:
        raise InputError(
            f"{source} already has INFO {' and '.join(other)} with another meaning; overwrite=True replaces it, "
            "or rename it first (bcftools annotate --rename-annots)"
        )
    facts = {f"##AG{key}=": " ".join(value.splitlines()) for key, value in provenance.items()}
    replaced = (*facts, *(f"##INFO=<ID={key}{end}" for key in INFO for end in ",>"))
    # Of an earlier run nothing stays: its facts would be taken for this one's.
    earlier = defined.get("AG_STATUS") == INFO["AG_STATUS"]
    kept = [line for line in header[:-1] if not (line.startswith(replaced) or (earlier and FACT.match(line)))]
    declared = {match[1] for line in kept if (match := re.match(r"##contig=<(?:.*,)?ID=([^,>]+)", line))}
    added = [f"##contig=<ID={contig}>" for contig in contigs if contig not in declared]
    return [*kept, *added, *INFO.values(), *map("".join, facts.items()), header[-1]]


@contextlib.contextmanager
def _lines(source: pathlib.Path) -> Iterator[Iterator[str]]:
    """Lines without their ends; BCF as text."""
    opener = open if check_file(source, "VCF file") is Compression.NONE else gzip.open
    with opener(source, "rb") as file:
        is_bcf = file.read(3) == b"BCF"
    if is_bcf:
        with pysam.VariantFile(os.fspath(source)) as bcf:
            yield itertools.chain(str(bcf.header).splitlines(), (str(record).rstrip("\n") for record in bcf))
    else:
        with opener(source, "rt", encoding="utf-8", errors="surrogateescape", newline="\n") as text:
            yield (line.rstrip("\r\n") for line in text)


def _encode(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")


def _info(info: str, results: Sequence[Result], track_sets: TrackSets | None) -> str:
    """The INFO column with the fields AG (left out where nothing was scored) and AG_STATUS."""
    fields = [field for field in info.split(";") if field not in ("", ".") and field.partition("=")[0] not in INFO]
    entries: list[str] = []
    for result in results:
        for scores in result.scores:
            for gene, name, raw, quantiles in gather_sets(scores, track_sets):
                texts = [_escape(text) for text in (result.call.alternate, gene, scores.key, name)]
                numbers = [_farthest(raw), "." if quantiles is None else _farthest(quantiles)]
                entries.append("|".join([*texts, *numbers]))
    if entries:
        fields.append(f"AG={','.join(entries)}")
    statuses = [result.call.status.value for result in results]
    # Without ALT a field with Number=A has no values: '.', and that there is no ALT says the rest.
    fields.append(f"AG_STATUS={'.' if results[0].call.alternate in ('', '.') else ','.join(statuses)}")
    return ";".join(fields)


def gather_sets(
    scores: ScorerResult, track_sets: TrackSets | None
) -> Iterator[tuple[str, str, Float[np.ndarray, "item track"], Float[np.ndarray, "item track"] | None]]:
    """Gene (empty without genes), set, scores and quantiles for each entry of AG: where a set has any number.

    `track_sets` as for `annotate`.
    """
    everything = {scores.scorer.modality: np.arange(scores.values.shape[1])}
    sets = everything if track_sets is None else track_sets[scores.key]
    genes = scores.table.get("gene_id", [""] * len(scores.values))
    rows: dict[str, list[int]] = {}
    for item, gene in enumerate(genes):
        rows.setdefault(str(gene), []).append(item)
    for gene, items in rows.items():
        for name, tracks in sets.items():
            raw = scores.values[items][:, tracks]
            if not np.isnan(raw).all():
                yield gene, name, raw, None if scores.quantiles is None else scores.quantiles[items][:, tracks]


def _farthest(values: Float[np.ndarray, "item track"]) -> str:
    """The number of largest magnitude, '.' if there is none."""
    found = values[~np.isnan(values)]
    return f"{found[np.abs(found).argmax()]:.5g}" if found.size else "."


def _escape(text: str) -> str:
    return _SEPARATORS.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), text) or "."


def _index(scratch: pathlib.Path, path: pathlib.Path) -> None:
    """Indexes bgzip at `scratch` for its place at `path`; removes what is left of an older index."""
    if path.suffix != ".gz":
        return
    made = None
    before = pysam.set_verbosity(0)
    try:
        for suffix in (".tbi", ".csi"):  # the first cannot do chromosomes beyond 512 Mb
            with contextlib.suppress(OSError):  # neither can do records that are not sorted
                pysam.tabix_index(os.fspath(scratch), preset="vcf", csi=suffix == ".csi", force=True)
                made = suffix
                break
    finally:
        pysam.set_verbosity(before)
    for suffix in (".tbi", ".csi"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    if made:
        os.replace(f"{scratch}{made}", f"{path}{made}")
