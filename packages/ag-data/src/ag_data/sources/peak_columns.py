"""Which column of a file of peaks is which: by its header, or by the formats that have as many columns."""

from ag_core.errors import InputError

from ag_data.sources.text import PLACE, Table

SUMMIT = "summit"
_BED = ("chromosome", "start", "end", "name", "score", "strand")
_SIGNAL = ("signalValue", "pValue", "qValue")
_NAMES = {
    "chromosome": ("chrom", "chr", "seqnames", "seqname"),
    "start": ("chromstart", "chrom_start"),
    "end": ("chromend", "chrom_end", "stop"),
    "signalValue": ("signalvalue", "signal_value", "signal"),
    SUMMIT: ("peak",),
}
_USUAL = {other: name for name, others in _NAMES.items() for other in (name.lower(), *others)}


def find_columns(table: Table) -> tuple[dict[str, int], int]:
    """Numbers of columns by name, and how many lines of header come before the records.

    Columns that have a meaning here (chromosome, start, end, strand, score, signalValue, summit) are found under the
    names that are usual for them, others under their own. Raises InputError for a file without places.
    """
    first = table.fields(table.head[0])
    comment = table.fields(table.comment.lstrip(b"# ")) if table.comment else []
    if len(first) < len(PLACE):
        raise InputError(f"{table.label} has {len(first)} columns; expected chromosome, start and end at least")
    if not _is_number(first[1]):
        return _named(table, first), 1
    if len(comment) == len(first) and comment[0].lower() in ("chromosome", *_NAMES["chromosome"]):
        return _named(table, comment), 0
    return {name: index for index, name in enumerate(_standard(first))}, 0


def _named(table: Table, header: list[str]) -> dict[str, int]:
    columns: dict[str, int] = {}
    for index, name in enumerate(header):
        columns.setdefault(name, index)
        columns.setdefault(_USUAL.get(name.lower(), name), index)
    if "abs_summit" in columns:
        raise InputError(f"{table.label} is a table of MACS, whose starts are 1-based; give its narrowPeak file")
    missing = [name for name in PLACE if name not in columns]
    if missing:
        raise InputError(
            f"{table.label}: its first line names {', '.join(header)}; expected columns {', '.join(missing)}, or "
            "records of a BED file without a header"
        )
    return columns


def _standard(fields: list[str]) -> list[str]:
    """Names of the columns of a file without a header."""
    names: list[str] = [*_BED[: len(fields)]]
    # BED of nine columns may hold numbers there too, of which the first is mostly the start.
    if len(fields) in (9, 10) and all(map(_is_number, fields[6:])) and fields[6] != fields[1]:
        names += [*_SIGNAL, *([SUMMIT] if len(fields) == 10 else [])]
    return [*names, *(f"column_{index + 1}" for index in range(len(names), len(fields)))]


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True
