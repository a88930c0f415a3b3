"""BEDPE: one line for each splice junction, as text or bgzip with a tabix index.

Each side is the exonic base beside the intron: `start1 end1` the one left of it, `start2 end2` the one right of it
(0-based half-open), so the intron is [end1, start2). The ten columns of BEDPE come first (score: the largest count of
any track), then one column with the count of each track, nan where it was not measured. Lines are sorted by chromosome
and intron.
"""

import pathlib

import numpy as np
import pysam
import xarray as xr
from ag_core.errors import InputError

from ag_data.cache import replacing
from ag_data.export.tree import interval_of, on_the_genome, refuse_overlaps, track_labels, values_of

SUFFIXES = (".bedpe", ".bedpe.gz")
COLUMNS = ("chrom1", "start1", "end1", "chrom2", "start2", "end2", "name", "score", "strand1", "strand2")
_ROWS = 1 << 16  # lines made at a time


def check_bedpe(tree: xr.DataTree, path: pathlib.Path) -> list[tuple[str, str, xr.Dataset]]:
    """The leaves that go into the file; reads no values.

    Raises InputError when there are none, for both alleles of a variant in one file, and for regions that overlap,
    whose junctions would be there twice.
    """
    leaves = on_the_genome(tree, ("junction", "track"), "BEDPE")
    if any(dataset.attrs.get("allele") for _, _, dataset in leaves):
        raise InputError(f"{path}: BEDPE holds one allele; write .zarr, whose REF and ALT have the same junctions")
    refuse_overlaps(leaves, "region", "BEDPE")
    return leaves


def write_bedpe(tree: xr.DataTree, path: pathlib.Path) -> pathlib.Path:
    """Writes the junctions of a tree (`ag_data.export.tree`); the file appears when it is complete.

    Raises InputError as `check_bedpe` does.
    """
    leaves = check_bedpe(tree, path)
    packed = path.name.endswith(".gz")
    with replacing(path, *([path.with_name(f"{path.name}.tbi")] if packed else [])) as scratch:
        plain = scratch[0].with_name("plain.bedpe") if packed else scratch[0]
        with plain.open("w") as file:
            labels = [label.replace("\t", " ") for label in track_labels(leaves[0][2])]
            file.write("#" + "\t".join([*COLUMNS, *labels]) + "\n")
            number = 1
            for _, _, dataset in leaves:
                order = np.lexsort((dataset["end"].values, dataset["start"].values))
                for first in range(0, len(order), _ROWS):
                    file.writelines(_lines(dataset.isel(junction=order[first : first + _ROWS]), number + first))
                number += len(order)
        if packed:
            pysam.tabix_compress(str(plain), str(scratch[0]), force=True)
            pysam.tabix_index(str(scratch[0]), seq_col=0, start_col=1, end_col=5, zerobased=True, force=True)
            plain.unlink()
    return path


def _lines(dataset: xr.Dataset, number: int) -> list[str]:
    """Lines of sorted junctions; `number` is that of the first."""
    chromosome = interval_of(dataset, "region").chromosome
    counts = values_of(dataset).values.astype(np.float32)
    # The shortest text that gives the same float32 back.
    texts = counts.astype("U32")
    largest = np.max(np.nan_to_num(counts), axis=1, initial=0).astype("U32")
    columns = zip(*(dataset[name].values.tolist() for name in ("start", "end", "strand")), strict=True)
    return [
        f"{chromosome}\t{start - 1}\t{start}\t{chromosome}\t{end}\t{end + 1}\tjunction{number + row}\t"
        f"{largest[row]}\t{strand}\t{strand}\t" + "\t".join(texts[row]) + "\n"
        for row, (start, end, strand) in enumerate(columns)
    ]
