"""Which tracks the slots of AlphaGenome's bundles are."""

import os
import pathlib

import xarray as xr
from ag_core.errors import InputError
from ag_core.schema import track_table

from ag_data.place_table import read_places
from ag_data.sources.alphagenome_files import Bundle, Path, Record
from ag_data.splice_sites import KINDS

# How RNA_SEQ records tell strands: as the numbers of the wire format, or by sign.
_NUMBERED, _SIGNED = {1: "+", 2: "-", 3: ".", 0: "."}, {1: "+", -1: "-", 0: "."}


def number_slots(bundle: Bundle, slots: int, record: Record) -> xr.Dataset:
    """Numbered slots and their strands, as far as they are known without a table (spec/model.md 3.1).

    Raises InputError for strands in codes that nobody knows.
    """
    if bundle.layout == "classes":
        return track_table({"name": [*KINDS, *KINDS], "strand": ["+", "+", "-", "-"]})
    strands = ["."] * slots
    if bundle.layout == "usage" and slots % 2 == 0:
        strands = ["+"] * (slots // 2) + ["-"] * (slots // 2)
    elif "rna_seq_strand" in record.features:
        codes = record.tensor("rna_seq_strand").reshape(-1).tolist()
        known = _SIGNED if -1 in codes else _NUMBERED
        if len(codes) != slots or not set(codes) <= set(known):
            raise InputError(f"{record.label}: rna_seq_strand is {codes[:5]}...; name the slots with `tracks`")
        strands = [known[code] for code in codes]
    # The k-th on '+' and the k-th on '-' are a pair.
    seen: dict[str, int] = {}
    names = []
    for strand in strands:
        seen[strand] = seen.get(strand, -1) + 1
        names.append(f"{bundle.name.lower()}_{seen[strand]}")
    return track_table({"name": names, "strand": strands})


def read_slots(path: Path, bundle: Bundle, slots: int) -> xr.Dataset:
    """The table of slots in a file: name, strand, further columns; of one with output_type, the rows of the bundle.

    Raises InputError when its rows are not the slots (of classes, the fifth may be there, as padding).
    """
    table = read_places(pathlib.Path(os.fspath(path)), "table of tracks", ("name", "strand"))
    if "output_type" in table:
        table = table.loc[table["output_type"] == bundle.name]
    if bundle.layout == "classes" and len(table) == slots + 1:
        table = table.iloc[:slots]
    if len(table) != slots:
        raise InputError(
            f"table of tracks {path} has {len(table)} rows for {bundle.name}; expected one for each of {slots} slots"
        )
    columns = {}
    for name in map(str, table.columns):
        column = table[name]
        if column.dtype.kind not in "biuf":
            column = column.astype(object).where(column.notna(), "").astype(str)
        columns[name] = column.tolist()
    try:
        return track_table(columns)
    except ValueError as error:
        raise InputError(f"table of tracks {path}: {error}") from error
