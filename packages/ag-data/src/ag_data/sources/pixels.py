"""Contact maps as tables of pairs of bins and counts: .npz, TSV, CSV or parquet. They are held in memory.

- .npz: `bin1, bin2, count` (numbered from the chromosome's start) or a symmetric `matrix` with `pos` (start of each
  row in bp), each with `binsize` and `chrom`; one chromosome.
- tables: the columns chrom1, start1, end1, chrom2, start2, end2, count (0-based), with a header, or without one as
  `cooler dump --join` writes them.
"""

import os
import pathlib
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from ag_core.errors import InputError
from jaxtyping import Float

from ag_data.files import check_file
from ag_data.npz import read_npz
from ag_data.place_table import SUFFIXES, check_header
from ag_data.sources.contacts import AbstractContacts, ContactSettings, Pixels
from ag_data.sources.values import track_name

COLUMNS = ("chrom1", "start1", "end1", "chrom2", "start2", "end2", "count")


class PixelsSource(AbstractContacts):
    """A table of raw counts; pairs of two chromosomes are left out (`facts` counts them).

    `resolution` is needed only for tables whose bins do not tell their size. Others: see `ContactSettings`.
    Raises InputError for other files, bins off the grid, negative counts and pairs that occur twice.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        resolution: int | None = None,
        offsets: int = 512,
        pseudo: float = 1.0,
        min_coverage: float = 0.1,
        smooth: float = 400,
    ):
        check_file(path, "table of contacts")
        read = _read_npz if os.fspath(path).endswith(".npz") else _read_table
        table, size = read(pathlib.Path(path), resolution)
        if not len(table):
            raise InputError(f"table of contacts {path} holds no pairs; make it again")
        wrong = np.flatnonzero(~(table["count"].to_numpy(np.float64) >= 0))
        if len(wrong):
            raise InputError(
                f"table of contacts {path}: entry {wrong[0] + 1} has the count {table['count'].iloc[wrong[0]]}; "
                "expected raw counts of at least 0"
            )
        same = (table["chrom1"] == table["chrom2"]).to_numpy()
        self._left_out = int((~same).sum())
        table = table.loc[same]
        low, high = (np.sort(table[["bin1", "bin2"]].to_numpy(np.int64), axis=1)[:, side] for side in (0, 1))
        self._maps = {}
        for name, index in table.groupby("chrom1", sort=False, observed=True).indices.items():
            order = index[np.lexsort((high[index], low[index]))]
            row, column = low[order].astype(np.int32), high[order].astype(np.int32)
            twice = np.flatnonzero((np.diff(row) == 0) & (np.diff(column) == 0))
            if len(twice):
                raise InputError(
                    f"table of contacts {path}: bins {row[twice[0]]} and {column[twice[0]]} of {name} occur twice; "
                    "give each pair once (the upper triangle)"
                )
            self._maps[str(name)] = Pixels(row, column, table["count"].to_numpy(np.float32)[order])
        super().__init__(track_name(pathlib.Path(path)), size, ContactSettings(offsets, pseudo, min_coverage, smooth))

    @property
    def balance(self) -> str:
        """Tables hold raw counts."""
        return "none"

    def chromosomes(self) -> Mapping[str, int | None]:
        return dict.fromkeys(self._maps)

    def facts(self) -> Mapping[str, object]:
        return {**super().facts(), "pairs_of_two_chromosomes": self._left_out}

    def _bins(self, chromosome: str) -> int:
        return int(self._maps[chromosome].column.max()) + 1

    def _weights(self, chromosome: str) -> Float[np.ndarray, " bin"] | None:
        return None

    def _pixels(self, chromosome: str, first: int, last: int, reach: int) -> Iterator[Pixels]:
        row, column, count = self._maps[chromosome]
        inside = slice(*np.searchsorted(row, (first, last)))
        yield Pixels(row[inside], column[inside], count[inside])


def _read_npz(path: pathlib.Path, resolution: int | None) -> tuple[pd.DataFrame, int]:
    arrays = read_npz(path, "table of contacts")
    if not {"binsize", "chrom"} <= set(arrays) or not ({"bin1", "bin2", "count"} <= set(arrays) or "matrix" in arrays):
        raise InputError(
            f"table of contacts {path} has the arrays {', '.join(arrays)}; expected binsize, chrom, and either bin1, "
            "bin2, count or matrix, pos"
        )
    if arrays["binsize"].shape or arrays["binsize"].dtype.kind not in "iu" or arrays["binsize"] < 1:
        raise InputError(f"table of contacts {path}: binsize is {arrays['binsize']}; expected a number of bp")
    ranks = {"bin1": 1, "bin2": 1, "count": 1, "pos": 1, "matrix": 2}
    for key in set(ranks) & set(arrays):
        kinds = "iuf" if key in ("count", "matrix") else "iu"
        if arrays[key].ndim != ranks[key] or arrays[key].dtype.kind not in kinds:
            raise InputError(
                f"table of contacts {path}: {key} is {arrays[key].dtype} of shape {arrays[key].shape}; expected "
                f"numbers in {ranks[key]} dimensions"
            )
    size, name = int(arrays["binsize"]), str(arrays["chrom"])
    if "matrix" in arrays:
        matrix, position = arrays["matrix"], arrays.get("pos")
        if position is None or matrix.shape != (len(position),) * 2 or not np.array_equal(matrix, matrix.T):
            raise InputError(
                f"table of contacts {path}: expected a symmetric matrix, and pos with the start of each row"
            )
        if (position % size).any():
            raise InputError(
                f"table of contacts {path}: pos {position[position % size > 0][0]} is no multiple of {size}"
            )
        row, column = np.nonzero(np.triu(matrix))
        arrays |= {"count": matrix[row, column], "bin1": position[row] // size, "bin2": position[column] // size}
    columns = {name: arrays[name] for name in ("bin1", "bin2", "count")}
    if (
        len({len(values) for values in columns.values()}) > 1
        or min(columns["bin1"].min(initial=0), columns["bin2"].min(initial=0)) < 0
    ):
        raise InputError(f"table of contacts {path}: expected bin1, bin2 and count of equal length, bins from 0 on")
    if resolution not in (None, size):
        raise InputError(
            f"table of contacts {path} has bins of {size:,} bp, not {resolution:,}; leave out `resolution`"
        )
    return pd.DataFrame({"chrom1": name, "chrom2": name, **columns}), size


def _read_table(path: pathlib.Path, resolution: int | None) -> tuple[pd.DataFrame, int]:
    plain = path.with_suffix("") if path.suffix == ".gz" else path
    try:
        if path.suffix == ".parquet":
            table = pd.read_parquet(path)
        elif path.name.endswith(SUFFIXES) and path.suffix != ".feather":
            separator = "," if plain.suffix == ".csv" else "\t"
            check_header(path, "table of contacts", separator)
            head = pd.read_csv(path, sep=separator, nrows=1, header=None, dtype=str)
            named = "chrom1" in head.iloc[0].tolist()
            table = pd.read_csv(
                path, sep=separator, header=0 if named else None, names=None if named else list(COLUMNS)
            )
        else:
            raise InputError(f"table of contacts {path}: expected a name that ends in .npz, .parquet, .tsv or .csv")
    except InputError:
        raise
    except (OSError, ValueError, EOFError) as error:  # pandas' and pyarrow's errors are of these kinds
        raise InputError(f"table of contacts {path} cannot be read ({error}); make it again") from error
    if missing := [column for column in COLUMNS if column not in table]:
        raise InputError(f"table of contacts {path} has no column {', '.join(missing)}; expected {', '.join(COLUMNS)}")
    numbers = table.loc[:, [column for column in COLUMNS if not column.startswith("chrom")]]
    try:
        numbers = numbers.apply(pd.to_numeric, errors="coerce").astype(np.float64)
    except OverflowError as error:
        raise InputError(f"table of contacts {path} holds a number that is too large; mend it") from error
    places = numbers.iloc[:, :4]
    fits = numbers.notna().all(axis=1) & (places >= 0).all(axis=1) & (places < 1 << 33).all(axis=1)
    wrong = np.flatnonzero(~fits.to_numpy())
    if len(wrong):
        raise InputError(f"table of contacts {path}: entry {wrong[0] + 1} is not made of numbers from 0 on")
    widths = np.concatenate([numbers[f"end{side}"] - numbers[f"start{side}"] for side in "12"])
    size = int(resolution or widths.max(initial=0))  # the last bin of a chromosome is shorter
    on_grid = (numbers[["start1", "start2"]] % max(size, 1) == 0).all(axis=1)
    on_grid &= (numbers["end1"] > numbers["start1"]) & (numbers["end2"] > numbers["start2"])
    wrong = np.flatnonzero(~on_grid.to_numpy())
    if size < 1 or widths.max() > size or len(wrong):
        entry = int(wrong[0]) if len(wrong) else 0
        raise InputError(f"table of contacts {path}: entry {entry + 1} does not lie on a grid of {size:,} bp")
    bins = {f"bin{side}": (numbers[f"start{side}"] // size).astype(np.int64) for side in "12"}
    names = {f"chrom{side}": table[f"chrom{side}"].astype(str) for side in "12"}
    return pd.DataFrame({**names, **bins, "count": numbers["count"]}), size
