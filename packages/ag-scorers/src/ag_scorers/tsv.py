"""Tidy rows as text: null is empty; a tab or line break inside a field becomes a space, quotes are plain characters.

What a row says of its allele, item and track is put together once for each of these, not for each row.
"""

import contextlib
import pathlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float, Int

from ag_scorers.annotated_vcf import open_output
from ag_scorers.results import Result
from ag_scorers.tidy import TEXT, Tidy

ROWS = 1 << 18  # turned into text at a time
_END, _NOTHING, _TAB = (pa.scalar(sign, pa.large_string()) for sign in ("\n", "", "\t"))
_join = partial(pc.call_function, "binary_join_element_wise")


@contextlib.contextmanager
def open_tsv(path: pathlib.Path, tidy: Tidy) -> Iterator[Callable[[Sequence[Result]], None]]:
    """What it yields writes the rows of some results."""
    tracks = _lines(tidy.tracks)
    sets = _lines(pa.table({"track_set": tidy.sets.dictionary_encode()})) if len(tidy.sets) else None

    def write(results: Sequence[Result]) -> None:
        rows = tidy.rows(results)
        calls, items = _lines(rows.calls), _lines(rows.items)
        for start in range(0, len(rows.call), ROWS):
            some = slice(start, start + ROWS)
            columns = [_take(calls, rows.call[some]), _take(items, rows.item[some]), _take(tracks, rows.track[some])]
            if sets is not None:
                columns.append(_take(sets, rows.number[some]))
            *columns, last = [*columns, *(_digits(array[some]) for array in rows.numbers)]
            # The joined rows lie one after the other in memory, as they will in the file.
            _, ends, data = _join([*columns, _join([last, _END, _NOTHING]), _TAB]).buffers()
            out.write(data.slice(0, np.frombuffer(ends, np.int64)[len(last)]).to_pybytes())

    with open_output(path, fast=True) as out:
        out.write(("\t".join(tidy.schema.names) + "\n").encode())
        yield write


def _lines(table: pa.Table) -> pa.LargeStringArray:
    """The rows of a table as text, and one without anything at the end."""
    nothing = pa.array([""], pa.large_string())
    columns = [pa.concat_arrays([_text(column.combine_chunks()), nothing]) for column in table.columns]
    return _join([*columns, _TAB])


def _text(column: pa.Array) -> pa.LargeStringArray:
    if column.type == TEXT:  # each text once, not in each row
        plain = pc.replace_substring_regex(column.dictionary, r"[\t\r\n]", " ")  # pyright: ignore[reportAttributeAccessIssue]
        column = pa.DictionaryArray.from_arrays(column.indices, plain)
    return column.cast(pa.large_string()).fill_null("")


def _take(lines: pa.LargeStringArray, index: Int[np.ndarray, " row"]) -> pa.LargeStringArray:
    return lines.take(pa.array(np.where(index < 0, len(lines) - 1, index)))


def _digits(array: Float[np.ndarray, " row"]) -> pa.LargeStringArray:
    return pa.array(array, pa.float32(), mask=np.isnan(array)).cast(pa.large_string()).fill_null("")
