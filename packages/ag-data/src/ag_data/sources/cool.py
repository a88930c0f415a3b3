"""Contact maps of cooler: .cool and one resolution of .mcool."""

import contextlib
import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import cooler
import h5py
import numpy as np
import pandas as pd
from ag_core.errors import InputError
from jaxtyping import Float

from ag_data.files import check_file
from ag_data.sources.contacts import GRID, AbstractContacts, ContactSettings, Pixels
from ag_data.sources.values import track_name

# Weights that juicer made, which divide; those of cooler multiply.
_DIVISIVE = ("KR", "VC", "VC_SQRT", "SCALE")
_PIECE = 1 << 21  # pixels read at a time


class CoolSource(AbstractContacts):
    """A .cool file, or an .mcool file at `resolution`; `path` may name a cooler in the file (`FILE::/GROUP`).

    - `resolution`: bp; by default `choose_resolution` decides.
    - `balance`: "auto" (the column `weight` where there is one), True (it must be there), False, or a column's name.
    - `offsets`, `pseudo`, `min_coverage`, `smooth`: see `ContactSettings`.

    Raises InputError for files of other kinds, bins of unequal size, unknown resolutions and columns.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        resolution: int | None = None,
        balance: str | bool = "auto",
        offsets: int = 512,
        pseudo: float = 1.0,
        min_coverage: float = 0.1,
        smooth: float = 400,
    ):
        file, _, group = os.fspath(path).partition("::")
        check_file(file, "contact map")
        self._path = path
        with _readable(path):
            group = f"/{group.strip('/')}" if group else _choose(file, resolution)
            self._cooler = cooler.Cooler(f"{file}::{group}")
            columns, sizes = self._cooler.bins().columns, self._cooler.chromsizes
            self._lengths = {str(name): int(length) for name, length in sizes.items()}
        size = self._cooler.binsize
        if size is None or self._cooler.storage_mode != "symmetric-upper":
            raise InputError(
                f"contact map {path} is not a symmetric map of bins of one size; bin it with `cooler cload`"
            )
        if resolution is not None and size != resolution:
            raise InputError(f"contact map {path} has bins of {size:,} bp, not {resolution:,}; leave out `resolution`")
        if balance is True or balance == "auto":
            self._column = "weight" if balance is True or "weight" in columns else None
        else:
            self._column = balance or None
        if self._column and self._column not in columns:
            raise InputError(
                f"contact map {path} has no weights {self._column!r}; its bins have {', '.join(columns)}: run "
                "`cooler balance`, name another column, or set balance to false"
            )
        super().__init__(
            track_name(pathlib.Path(file)), int(size), ContactSettings(offsets, pseudo, min_coverage, smooth)
        )

    @property
    def balance(self) -> str:
        """The name of the weights, "none" for raw counts."""
        return self._column or "none"

    def chromosomes(self) -> Mapping[str, int | None]:
        return self._lengths

    def _bins(self, chromosome: str) -> int:
        with _readable(self._path):
            first, last = self._cooler.extent(chromosome)
            return int(last - first)

    def _weights(self, chromosome: str) -> Float[np.ndarray, " bin"] | None:
        if self._column is None:
            return None
        with _readable(self._path):
            table = self._cooler.bins().fetch(chromosome)
            assert isinstance(table, pd.DataFrame)
            weights = table[self._column].to_numpy(np.float64)
        with np.errstate(divide="ignore"):
            weights = 1 / weights if self._column in _DIVISIVE else weights
        return np.where(np.isfinite(weights) & (weights > 0), weights, np.nan)

    def _pixels(self, chromosome: str, first: int, last: int, reach: int) -> Iterator[Pixels]:
        with _readable(self._path), h5py.File(self._cooler.filename, "r") as file:
            start, end = (int(edge) for edge in self._cooler.extent(chromosome))
            group: Any = file[self._cooler.root]
            bounds = group["indexes/bin1_offset"][start + first : start + last + 1]
            for place in range(int(bounds[0]), int(bounds[-1]), _PIECE):
                piece = slice(place, min(place + _PIECE, int(bounds[-1])))
                row, column, count = (group["pixels"][name][piece] for name in ("bin1_id", "bin2_id", "count"))
                # Pairs of two chromosomes, and those beyond the band
                kept = column < min(end, start + last + reach)
                yield Pixels(row[kept] - start, column[kept] - start, count[kept].astype(np.float64))


@contextlib.contextmanager
def _readable(path: str | os.PathLike[str]) -> Iterator[None]:
    """Says that a file is damaged, whatever HDF5 and cooler raise for it."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"contact map {path} cannot be read as a cooler ({type(error).__name__}: {error}); make it again"
        ) from error


def choose_resolution(resolutions: list[int]) -> int:
    """The coarsest that divides 2,048 bp; else the coarsest of at most 1,024 bp; of at most 2,048 bp; the finest."""
    ranked = sorted(resolutions, reverse=True)
    rules = (lambda size: GRID % size == 0, lambda size: 2 * size <= GRID, lambda size: size <= GRID)
    return next((size for rule in rules for size in ranked if rule(size)), ranked[-1])


def _choose(file: str, resolution: int | None) -> str:
    """The group of a cooler in a file: the only one, or the one at the wanted resolution."""
    with h5py.File(file, "r") as opened:
        if {"bins", "pixels"} <= set(opened):
            return "/"
        zoom: Any = opened.get("resolutions", ())
        sizes = [int(name) for name in zoom if name.isdigit()]
    if not sizes:
        coolers = cooler.fileops.list_coolers(file)
        if len(coolers) == 1:
            return coolers[0]
        raise InputError(
            f"contact map {file} holds {len(coolers)} coolers ({', '.join(coolers[:5])}); expected one, or one map at "
            "several resolutions: name the one to read as FILE::/GROUP"
        )
    if resolution is not None and resolution not in sizes:
        raise InputError(
            f"contact map {file} has no resolution of {resolution:,} bp; it has {', '.join(map(str, sorted(sizes)))}"
        )
    return f"/resolutions/{resolution or choose_resolution(sizes)}"
