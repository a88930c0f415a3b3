"""BED12: one line for each splice junction, as genome browsers draw it; text, or bgzip with a tabix index.

A line has two blocks, the exonic bases on both sides of the intron; thickStart and thickEnd are the ends of the intron
(0-based half-open). The name is the largest count of any track, the score the same on a scale from 0 to 1,000, where
1,000 is the largest count of the file. Lines are sorted by chromosome and start. For the counts of each track, write
BEDPE (`ag_data.export.junctions`).
"""

import pathlib
from collections.abc import Iterator

import numpy as np
import pysam
import xarray as xr
from ag_core.errors import InputError
from jaxtyping import Float

from ag_data.cache import replacing
from ag_data.export.tree import interval_of, on_the_genome, refuse_overlaps, values_of

SUFFIXES = (".bed12", ".bed12.gz", ".junctions.bed", ".junctions.bed.gz")
COLORS = {"+": "0,114,178", "-": "213,94,0"}  # as in pictures of arcs
_OTHER = "77,77,77"


def check_bed12(tree: xr.DataTree, path: pathlib.Path) -> list[tuple[str, str, xr.Dataset]]:
    """The leaves that go into the file; reads no values.

    Raises InputError when there are none, for both alleles of a variant in one file, and for regions that overlap.
    """
    leaves = on_the_genome(tree, ("junction", "track"), "BED12")
    if any(dataset.attrs.get("allele") for _, _, dataset in leaves):
        raise InputError(f"{path}: BED12 holds one allele; write .zarr, whose REF and ALT have the same junctions")
    refuse_overlaps(leaves, "region", "BED12")
    return leaves


def write_bed12(tree: xr.DataTree, path: pathlib.Path) -> pathlib.Path:
    """Writes the junctions of a tree (`ag_data.export.tree`); the file appears when it is complete.

    Raises InputError as `check_bed12` does.
    """
    leaves = check_bed12(tree, path)
    packed = path.name.lower().endswith(".gz")
    with replacing(path, *([path.with_name(f"{path.name}.tbi")] if packed else [])) as scratch:
        plain = scratch[0].with_name("plain.bed") if packed else scratch[0]
        with plain.open("w") as file:
            file.writelines(lines_of([dataset for _, _, dataset in leaves]))
        if packed:
            pysam.tabix_compress(str(plain), str(scratch[0]), force=True)
            pysam.tabix_index(str(scratch[0]), preset="bed", force=True)
            plain.unlink()
    return path


def lines_of(datasets: list[xr.Dataset]) -> Iterator[str]:
    """Lines of leaves that are sorted by place; scores are relative to the largest count of all of them."""
    counts = [largest_counts(dataset) for dataset in datasets]
    top = max((float(count.max(initial=0)) for count in counts), default=0) or 1
    for dataset, count in zip(datasets, counts, strict=True):
        chromosome = interval_of(dataset, "region").chromosome
        starts, ends, strands = (dataset[name].values for name in ("start", "end", "strand"))
        for row in np.lexsort((ends, starts)):
            start, end, strand = int(starts[row]), int(ends[row]), str(strands[row])
            score = round(1000 * float(count[row]) / top)
            fields = (chromosome, start - 1, end + 1, count[row], score, strand, start, end)
            blocks = (COLORS.get(strand, _OTHER), 2, "1,1", f"0,{end + 1 - start}")
            yield "\t".join(map(str, (*fields, *blocks))) + "\n"


def largest_counts(dataset: xr.Dataset) -> Float[np.ndarray, " junction"]:
    """The largest count of any track; 0 where none was measured."""
    return np.max(np.nan_to_num(values_of(dataset).values.astype(np.float32)), axis=1, initial=0)
