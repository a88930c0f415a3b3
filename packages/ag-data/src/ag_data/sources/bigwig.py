"""bigWig: one track; bins hold the sum of the values of their bases."""

import contextlib
import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any, cast

import numpy as np
import pybigtools
import xarray as xr
from ag_core.errors import InputError
from ag_core.genome import Interval
from ag_core.interfaces import AbstractSource
from ag_core.schema import track_table
from jaxtyping import Float

from ag_data.files import check_file
from ag_data.sources.bigwig_index import check_index
from ag_data.sources.bins import check_resolution
from ag_data.sources.values import bin_values, check_gaps, check_scale, track_name

_MAGIC = b"\x26\xfc\x8f\x88"
# pybigtools keeps what it has read of an open file, so the file is opened anew after so many bases.
_KEPT = 1 << 25


class BigWigSource(AbstractSource):
    """A bigWig file.

    - `scale`: what values are multiplied by (-1 for files of the '-' strand that are negative), or "absolute".
    - `gaps`: what a base without an entry means: "zero", or "missing", which makes its whole bin missing.

    Raises InputError for what is no bigWig file, or not a whole one.
    """

    layout = "signal"

    def __init__(
        self,
        path: str | os.PathLike[str],
        resolution: int = 1,
        scale: float | str = 1.0,
        gaps: str = "zero",
    ):
        self._path = pathlib.Path(path)
        self.resolution = check_resolution(resolution)
        self._scale, self._gaps = check_scale(scale), check_gaps(gaps)
        check_file(self._path, "bigWig file")
        with self._path.open("rb") as file:
            start = file.read(4)
            file.seek(max(self._path.stat().st_size - 4, 0))
            whole = file.read() == start
        if start not in (_MAGIC, _MAGIC[::-1]):
            raise InputError(f"{self._path} is not a bigWig file (its first bytes are {start.hex()}); check the path")
        with self._readable():
            with self._path.open("rb") as file:
                check_index(file, self._path.stat().st_size, "<" if start == _MAGIC else ">")
            self._file, self._read = cast(Any, pybigtools.open(str(self._path))), 0
            self._chromosomes = dict(self._file.chroms())
            self._summary = dict(self._file.info()["summary"])
            if not whole:  # the file ends without the mark that writers put there, so its last parts are tried
                for zoom in self._file.zooms():
                    for name in self._chromosomes:
                        next(iter(self._file.zoom_records(zoom, name)), None)

    def tracks(self) -> xr.Dataset:
        return track_table({"name": [track_name(self._path)], "strand": ["."]})

    def chromosomes(self) -> Mapping[str, int | None]:
        return self._chromosomes

    def read(self, interval: Interval) -> Float[np.ndarray, "position 1"]:
        """Sums over bins. Raises InputError where the file is damaged."""
        with self._readable():
            self._read += interval.width
            if self._read > _KEPT:
                self._file.close()
                self._file, self._read = cast(Any, pybigtools.open(str(self._path))), interval.width
            values = self._file.values(interval.chromosome, interval.start, interval.end, fillna=None)
        if np.isinf(values).any():
            place = interval.start + int(np.flatnonzero(np.isinf(values))[0])
            raise InputError(f"{self._path}: infinite value at {interval.chromosome}:{place}; make the file again")
        return bin_values(values, self.resolution, self._scale, self._gaps)

    def facts(self) -> Mapping[str, Any]:
        """Scale, meaning of gaps, and the file's own summary."""
        summary = {key: float(self._summary[key]) for key in ("basesCovered", "sum", "min", "max")}
        return {"scale": self._scale, "gaps": self._gaps, **summary}

    @contextlib.contextmanager
    def _readable(self) -> Iterator[None]:
        """Says that the file is damaged, whatever is raised for it; a panic of Rust's is no Exception."""
        try:
            yield
        except BaseException as error:
            if isinstance(error, Exception) or type(error).__name__ == "PanicException":
                raise InputError(
                    f"bigWig file {self._path} is damaged or truncated ({error}); download or make it again"
                ) from error
            raise
