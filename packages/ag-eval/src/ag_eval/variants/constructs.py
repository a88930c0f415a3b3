"""Measured reporter constructs as a small genome: each construct a contig amid N, its variants a table.

So whatever scores variants of a genome scores them too. Contigs are named by construct; positions in tables are
1-based, as in a VCF.
"""

import dataclasses
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from ag_core.errors import InputError

from ag_eval.table_files import SEPARATORS

# What a splicing network sees on each side.
PADDING = 5000
# The outer exons of a minigene, in the padding: their true place is not known.
_OUTER = 50


@dataclasses.dataclass(frozen=True)
class Constructs:
    """Sequences by contig, variants on them, and exons.

    - `variants`: contig, position (1-based in the sequence), reference, alternate, and what was measured.
    - `exons`: contig, start, end (0-based half-open in the sequence), on '+'.
    """

    sequences: Mapping[str, str]
    variants: pd.DataFrame
    exons: pd.DataFrame | None = None


def vexseq_constructs(path: str | os.PathLike[str]) -> Constructs:
    """Minigenes of Vex-seq, in the direction of transcription, from its table with sequences of both alleles.

    Variants are what differs between the two, as short as can be. Raises InputError for other tables, for bases that
    do not differ, and for an exon without AG before it.
    """
    needed = ["variant", "exon_key", "strand", "Sequence", "ref_sequence", "delta_PSI"]
    bounds = ["Upstream Int Adj", "Down Int Adj", "Exon up", "Exon down"]
    table = _read(path, [*needed, *bounds])
    plus = table["strand"] == "+"
    table["start"] = np.where(
        plus, table["Exon up"] - table["Upstream Int Adj"], table["Down Int Adj"] - table["Exon down"]
    )
    table["end"] = table["start"] + table["Exon down"] - table["Exon up"] + 1
    table["contig"] = "vex_" + table["exon_key"].str.replace(r"[:-]", "_", regex=True)
    first = table.drop_duplicates("contig").set_index("contig")
    sequences = first["ref_sequence"].to_dict()
    for contig, row in first.iterrows():
        if row["ref_sequence"][row["start"] - 2 : row["start"]] != "AG":
            raise InputError(f"{path}: exon {contig} has no AG before base {row['start']}; the table has another form")
    rows = []
    for row in table.itertuples():
        if row.ref_sequence != sequences[row.contig]:
            raise InputError(f"{path}: {row.variant} has another reference sequence than its exon {row.contig}")
        rows.append(
            (row.contig, *difference(row.ref_sequence, row.Sequence, str(row.variant)), row.delta_PSI, row.variant)
        )
    columns = ["contig", "position", "reference", "alternate", "delta_psi", "name"]
    exons = first.reset_index()[["contig", "start", "end"]]
    return Constructs(sequences, pd.DataFrame(rows, columns=columns), exons)


def mpra_constructs(
    elements: str | os.PathLike[str],
    references: str | os.PathLike[str],
    *,
    release: str = "GRCh38",
    only: Sequence[str] = (),
) -> Constructs:
    """Elements of saturation mutagenesis (Kircher et al. 2019), as the genome has them.

    `elements` has a row for each variant (genomic Pos; '-' for a deleted base), `references` the sequences (element,
    release, start1, seq); `only` names elements. Raises InputError for other tables, an element without a sequence,
    and reference bases that are not those of the sequence.
    """
    table = _read(elements, ["Pos", "Ref", "Alt", "Element", "Release", "Coefficient", "pValue"])
    known = _read(references, ["element", "release", "start1", "seq"])
    known = known.loc[known["release"] == release].set_index("element")
    table = table.loc[table["Release"] == release].reset_index(drop=True)
    if only:
        table = table.loc[table["Element"].isin(only)].reset_index(drop=True)
    lacking = sorted({*table["Element"], *only} - set(known.index) | set(only) - set(table["Element"]))
    if lacking or table.empty:
        raise InputError(f"{elements} and {references}: nothing of {release} for {', '.join(lacking) or 'any element'}")
    unplaced = table["Pos"].isna()
    if unplaced.any():
        names = ", ".join(sorted(table.loc[unplaced, "Element"].unique()))
        raise InputError(
            f"{elements}: {int(unplaced.sum())} rows of {names} have no Pos; leave them out, or name others"
        )
    sequences = known.loc[sorted(table["Element"].unique()), "seq"].to_dict()
    variants: Any = pd.DataFrame(
        {
            "contig": table["Element"],
            "position": (table["Pos"] - table["Element"].map(known["start1"])).astype(int) + 1,
            "reference": table["Ref"].replace("-", ""),
            "alternate": table["Alt"].replace("-", ""),
            "coefficient": table["Coefficient"],
            "p_value": table["pValue"],
        }
    )
    for row in variants.itertuples():
        found = sequences[row.contig][row.position - 1 : row.position - 1 + len(row.reference)]
        if row.position < 1 or found not in (row.reference, "N" * len(row.reference)):
            raise InputError(f"{elements}: {row.contig} has {found!r} at base {row.position}, not {row.reference!r}")
    return Constructs(sequences, variants)


def write_constructs(
    constructs: Constructs, folder: str | os.PathLike[str], padding: int = PADDING
) -> dict[str, pathlib.Path]:
    """Writes `constructs.fa`, `variants.tsv` and, with exons, `constructs.gtf`: data of an evaluation, by name.

    Each sequence has `padding` N on both sides. A minigene's gene is its whole contig; its outer exons are put at the
    contig's ends, in the N, so that the middle one has introns on both sides.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = {"fasta": folder / "constructs.fa", "table": folder / "variants.tsv"}
    around = "N" * padding
    records = (f">{name}\n{around}{sequence}{around}\n" for name, sequence in constructs.sequences.items())
    paths["fasta"].write_text("".join(records))
    # Empty alleles would be read as missing.
    moved = constructs.variants.assign(position=constructs.variants["position"] + padding).replace(
        {"reference": {"": "-"}, "alternate": {"": "-"}}
    )
    moved.to_csv(paths["table"], sep="\t", index=False)
    if constructs.exons is not None:
        if padding < 2 * _OUTER:
            raise InputError(f"padding of {padding} bp has no room for outer exons; give {2 * _OUTER} or more")
        paths["gtf"] = folder / "constructs.gtf"
        paths["gtf"].write_text("".join(_gtf_lines(constructs, padding)))
    return paths


def _gtf_lines(constructs: Constructs, padding: int) -> Iterator[str]:
    exons: Any = constructs.exons
    for row in exons.itertuples():
        whole = len(constructs.sequences[row.contig]) + 2 * padding
        names = f'gene_id "{row.contig}"; gene_name "{row.contig}"; gene_type "protein_coding"'
        of_transcript = f'{names}; transcript_id "{row.contig}"; transcript_type "protein_coding"'
        spans = [("gene", 0, whole, names), ("transcript", 0, whole, of_transcript)]
        own = ((0, _OUTER), (row.start + padding, row.end + padding), (whole - _OUTER, whole))
        spans += [("exon", start, end, of_transcript) for start, end in own]
        for feature, start, end, attributes in spans:
            yield f"{row.contig}\tconstructs\t{feature}\t{start + 1}\t{end}\t.\t+\t.\t{attributes};\n"


def difference(reference: str, alternate: str, name: str = "variant") -> tuple[int, str, str]:
    """Position (1-based) and bases of what differs between two sequences, as far right as can be.

    Raises InputError when nothing does.
    """
    if reference == alternate:
        raise InputError(f"{name}: both alleles have the same sequence; leave it out")
    shortest = min(len(reference), len(alternate))
    before = next((i for i in range(shortest) if reference[i] != alternate[i]), shortest)
    rest = shortest - before
    after = next((i for i in range(rest) if reference[-1 - i] != alternate[-1 - i]), rest)
    return before + 1, reference[before : len(reference) - after], alternate[before : len(alternate) - after]


def _read(path: str | os.PathLike[str], columns: Sequence[str]) -> Any:
    name = pathlib.Path(path).name.removesuffix(".gz")
    try:
        table = pd.read_csv(path, sep=SEPARATORS.get(pathlib.Path(name).suffix, "\t"), low_memory=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}); give the published table") from error
    if missing := [column for column in columns if column not in table]:
        raise InputError(f"{path} has no column {', '.join(missing)}; it has {', '.join(map(str, table.columns))}")
    return table
