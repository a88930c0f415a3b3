"""What to predict: places of a genome (or loose sequences), each with the window that the model reads.

| given | written | window |
| --- | --- | --- |
| region, BED | the region | the model's own (or `window`), around the region |
| gene | the window | around the gene's middle |
| variant | the window, twice: REF and ALT | around the variant, as for scores |
| sequences | each sequence | the smallest that holds it, filled up with N on both sides |

A window around a region or gene begins at a multiple of 2,048 bp, so that all predictions share one grid of bins; it
grows where the region would not fit. A region exactly as long as the window is taken as it is.
"""

import dataclasses
import difflib
import functools
import gzip
import os
import pathlib
import re
import zlib
from collections.abc import Callable, Iterator

import pysam
from ag_core.config import PAIR_BIN, TOKEN, check_length
from ag_core.errors import InputError
from ag_core.genome import Interval, Variant
from ag_core.sequence import allele_sequences
from ag_data.annotation import Annotation
from ag_data.fasta import Fasta
from ag_data.files import Compression, check_file
from ag_data.variants import Status, compare

_STRAND = re.compile(r":([-+.])$")


@dataclasses.dataclass(frozen=True)
class Place:
    """One thing to predict.

    - `name`: of its group; '' when it is the only one.
    - `region`: what is written, on the strand that the model reads; `window`: what the model reads (0-based).
    - `length`: of the chromosome, in bp.
    - `bases()`: the forward-strand sequence of the window, N where nothing is known.
    - `variant`, `allele` ("REF", "ALT"), and the sequences of both `alleles()`: of a variant's two places.
    """

    name: str
    region: Interval
    window: Interval
    length: int
    bases: Callable[[], str]
    variant: Variant | None = None
    allele: str = ""
    alleles: Callable[[], tuple[str, str]] = lambda: ("", "")


def window_around(region: Interval, size: int, *, fixed: bool = False) -> Interval:
    """The window of `size` bp (more if the region needs it, unless `fixed`) for a region; see the module.

    Raises InputError when the region does not fit a fixed window.
    """
    if region.width == size:
        return region
    start = _floor(region.center(use_strand=False) - size // 2)
    if start + size < region.end:
        start += PAIR_BIN
    if start <= region.start and region.end <= start + size:
        return dataclasses.replace(region, start=start, end=start + size)
    if region.width < size:  # fits, but not on the grid
        return region.resize(size, use_strand=False)
    if fixed:
        raise InputError(
            f"{region.region} has {region.width:,} bp, more than the window of {size:,} bp; leave --window out or "
            "choose a larger one"
        )
    return dataclasses.replace(region, start=_floor(region.start), end=-_floor(-region.end))


def _floor(position: int) -> int:
    return position // PAIR_BIN * PAIR_BIN


@dataclasses.dataclass(frozen=True)
class Windows:
    """How long windows are: the model's own length in bp, unless the user fixed one."""

    own: int
    chosen: int | None = None

    def __post_init__(self):
        try:
            check_length(self.size)
        except ValueError as error:
            raise InputError(f"--window: {error}") from error

    @property
    def size(self) -> int:
        """In bp."""
        return self.own if self.chosen is None else self.chosen

    def around(self, region: Interval) -> Interval:
        """See `window_around`."""
        return window_around(region, self.size, fixed=self.chosen is not None)


def gather_places(
    windows: Windows,
    *,
    fasta: Fasta | None = None,
    annotation: Annotation | None = None,
    region: str | None = None,
    gene: str | None = None,
    bed: str | os.PathLike[str] | None = None,
    sequences: str | os.PathLike[str] | None = None,
    variant: str | None = None,
) -> list[Place]:
    """The places of exactly one of region, gene, bed, sequences and variant. Raises InputError."""
    given = {"region": region, "gene": gene, "bed": bed, "sequences": sequences, "variant": variant}
    chosen = [name for name, value in given.items() if value is not None]
    if len(chosen) != 1:
        has = f"got {' and '.join(f'--{name}' for name in chosen)}" if chosen else "got none"
        raise InputError(f"say what to predict with one of {', '.join(f'--{name}' for name in given)}; {has}")
    if sequences is not None:
        return _named(_sequence(name, bases, windows) for name, bases in _read_sequences(pathlib.Path(sequences)))
    if fasta is None:
        raise InputError(f"--{chosen[0]} needs the genome; give it with --fasta")
    if region is not None:
        return [_region(_parse_region(region), "", fasta, windows)]
    if gene is not None:
        if annotation is None:
            raise InputError(f"--gene {gene} needs an annotation; give it with --gtf")
        return [_gene(gene, annotation, fasta, windows)]
    if variant is not None:
        return _variant(variant, fasta, windows)
    assert bed is not None
    return _named(_region(each, each.name, fasta, windows) for each in _read_bed(pathlib.Path(bed)))


def _named(places: Iterator[Place]) -> list[Place]:
    """Gives every place a name of its own that can be a group's."""
    result, taken = [], set()
    for place in places:
        region = place.region
        name = place.name or f"{region.chromosome}_{region.start + 1}_{region.end}"
        name = re.sub(r"[/\\\s]+", "_", name)
        name = f"_{name}" if name.startswith((".", "_")) else name
        unique, number = name, 2
        while unique in taken:
            unique, number = f"{name}_{number}", number + 1
        taken.add(unique)
        result.append(dataclasses.replace(place, name=unique))
    return result


def _parse_region(text: str) -> Interval:
    strand = _STRAND.search(text.strip())
    try:
        region = Interval.from_region(_STRAND.sub("", text.strip()))
    except ValueError as error:
        raise InputError(f"--region: {error}") from error
    return dataclasses.replace(region, strand=strand[1] if strand else ".")


def _region(region: Interval, name: str, fasta: Fasta, windows: Windows) -> Place:
    chromosome = fasta.find_chromosome(region.chromosome)
    if chromosome is None:
        fasta.fetch(region)  # says which names are close
    region = dataclasses.replace(region, chromosome=chromosome or region.chromosome)
    if not fasta.covers(region):
        length = fasta.lengths[region.chromosome]
        what = "known in pieces only, up to" if region.chromosome in fasta.partial else "which has"
        raise InputError(
            f"{region.region} reaches beyond {region.chromosome}, {what} {length:,} bp in {fasta.path}; "
            "choose a region inside"
        )
    return _on_genome(name, region, windows.around(region), fasta)


def _on_genome(name: str, region: Interval, window: Interval, fasta: Fasta) -> Place:
    fetch = functools.partial(fasta.fetch, window.as_unstranded())
    return Place(name, region, window, fasta.lengths[region.chromosome], fetch)


def _gene(text: str, annotation: Annotation, fasta: Fasta, windows: Windows) -> Place:
    found: dict[str, list[tuple[Interval, str]]] = {}
    for chromosome, length in fasta.lengths.items():
        genes = annotation.genes_in(Interval(chromosome, 0, length))
        for gene_id, name, start, end in zip(
            *(genes[key].tolist() for key in ("gene_id", "gene_name", "gene_start", "gene_end")), strict=True
        ):
            for key in {gene_id, gene_id.partition(".")[0], name} - {""}:
                found.setdefault(key.upper(), []).append((Interval(chromosome, start, end), gene_id))
    matches = found.get(text.strip().upper(), [])
    if not matches:
        close = difflib.get_close_matches(text.strip().upper(), found, n=3)
        hint = f"close: {', '.join(close)}; " if close else ""
        raise InputError(f"no gene {text!r} on the chromosomes of {fasta.path}; {hint}use a name or id of the GTF")
    if len({gene_id for _, gene_id in matches}) > 1:
        ids = ", ".join(f"{gene_id} ({place.region})" for place, gene_id in matches[:5])
        raise InputError(f"{len(matches)} genes are called {text!r}: {ids}; give the id of one")
    window = windows.around(matches[0][0])
    return _on_genome("", window, window, fasta)


def _variant(text: str, fasta: Fasta, windows: Windows) -> list[Place]:
    try:
        variant = Variant.from_str(text, None)
    except ValueError as error:
        raise InputError(f"--variant: {error}") from error
    if (chromosome := fasta.find_chromosome(variant.chromosome)) is None:
        fasta.fetch(variant.reference_interval)  # says which names are close
    variant = dataclasses.replace(variant, chromosome=chromosome or variant.chromosome)
    status, detail = compare(variant, fasta)
    if status is not Status.SCORED:
        raise InputError(f"--variant {text}: {status.value}: {detail}; check position, alleles and assembly")
    if max(len(variant.reference_bases), len(variant.alternate_bases)) > windows.size // 2:
        raise InputError(f"--variant {variant.as_truncated_str()}: longer than half the window of {windows.size:,} bp")
    window = Interval(variant.chromosome, variant.start, variant.start + 1).resize(windows.size)

    pair = functools.partial(allele_sequences, window, variant, fasta.fetch)
    length = fasta.lengths[variant.chromosome]
    return [
        Place(name, window, window, length, functools.partial(_one, pair, number), variant, name, pair)
        for number, name in enumerate(("REF", "ALT"))
    ]


def _one(pair: Callable[[], tuple[str, str]], number: int) -> str:
    return pair()[number]


def _sequence(name: str, bases: str, windows: Windows) -> Place:
    length = len(bases)
    size = -_floor(-length) if windows.chosen is None else windows.chosen
    if length > size:
        raise InputError(f"sequence {name!r} has {length:,} bp, more than --window {size:,}; choose a larger window")
    left = (size - length) // 2 // TOKEN * TOKEN  # bins begin where the sequence does
    window = Interval(name, -left, size - left)
    padded = "N" * left + bases + "N" * (size - left - length)
    return Place(name, Interval(name, 0, length), window, length, lambda: padded)


def _read_sequences(path: pathlib.Path) -> Iterator[tuple[str, str]]:
    """Records of a FASTA file, plain or compressed, in upper case."""
    check_file(path, "FASTA file")
    seen = set()
    try:
        with pysam.FastxFile(os.fspath(path)) as file:
            for record in file:
                bases = (record.sequence or "").upper()
                if wrong := re.search("[^ACGTN]", bases):
                    raise InputError(
                        f"{path}: sequence {record.name!r} has {wrong[0]!r} at base {wrong.start() + 1}; expected only "
                        "A, C, G, T and N, so spell it out in those"
                    )
                if not bases or record.name in seen:
                    what = "is empty" if not bases else "occurs twice"
                    raise InputError(f"{path}: sequence {record.name!r} {what}; mend the file")
                seen.add(record.name)
                yield str(record.name), bases
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} cannot be read as FASTA ({error}); make it again") from error
    if not seen:
        raise InputError(f"{path} has no sequence; expected lines that begin with '>' and bases below")


def _lines(path: pathlib.Path, packed: bool) -> Iterator[str]:
    try:
        with gzip.open(path, "rt") if packed else path.open() as file:
            yield from file
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise InputError(f"{path} cannot be read as BED ({error}); make it again") from error


def _read_bed(path: pathlib.Path) -> Iterator[Interval]:
    """Regions of a BED file, plain or gzip: 3 columns at least, name in the 4th and strand in the 6th."""
    packed = check_file(path, "BED file") is not Compression.NONE
    count = 0
    for number, line in enumerate(_lines(path, packed), 1):
        fields = line.split("\t") if "\t" in line else line.split()
        fields = [field.strip() for field in fields]
        if not line.strip() or line.startswith("#") or fields[0] in ("track", "browser"):
            continue
        strand = fields[5] if len(fields) > 5 else "."
        name = fields[3] if len(fields) > 3 and fields[3] != "." else ""
        try:
            region = Interval(fields[0], int(fields[1]), int(fields[2]), strand, name)
        except (IndexError, ValueError) as error:
            raise InputError(
                f"{path}, line {number}: {line.strip()!r} is no BED region ({error}); expected chromosome, start "
                "and end (0-based, end not included), and strand + - or . if there are six columns"
            ) from error
        if region.width == 0:
            raise InputError(f"{path}, line {number}: the region is empty; end must be larger than start")
        count += 1
        yield region
    if not count:
        raise InputError(f"{path} has no region; expected lines with chromosome, start and end")
