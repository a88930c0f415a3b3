"""Names of chromosomes: which of a file's names means the same as one of ours, and which are the main ones."""

import re
from collections.abc import Iterable

from ag_core.genome import chromosome_aliases

_EXTRA = re.compile(r"_|\.|decoy|EBV|^GL|^KI|^HLA|^NC_", re.IGNORECASE)


def match_contig(chromosome: str, known: Iterable[str]) -> str | None:
    """The spelling of `chromosome` among `known` (chr1 or 1, chrM or MT); None when it is not there."""
    known = known if isinstance(known, dict | set | frozenset) else set(known)
    return next((name for name in (chromosome, *chromosome_aliases(chromosome)) if name in known), None)


def main_contigs(known: Iterable[str]) -> list[str]:
    """Chromosomes without the mitochondrial one, unplaced and alternate pieces, and decoys; in the given order."""
    mitochondrial = {"chrM", *chromosome_aliases("chrM")}
    return [name for name in known if name not in mitochondrial and not _EXTRA.search(name)]
