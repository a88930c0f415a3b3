"""Values known in windows of a genome (records of training sets), kept on disk and read back by place.

Windows lie anywhere; the bins that are read lie on the grid of whole bins from the chromosome's start.
"""

import tempfile
import weakref
from collections.abc import Callable
from typing import Literal

import numpy as np
from ag_core.errors import InputError
from ag_core.genome import Interval
from jaxtyping import Shaped

Align = Literal["share", "nearest"]


class RowSpool:
    """Rows of one width and type in a temporary file (in TMPDIR), which goes away with the object."""

    def __init__(self, width: int, dtype: np.dtype):
        self._width, self._dtype, self._count = width, dtype, 0
        self._file = tempfile.TemporaryFile(prefix="ag-rows-")  # noqa: SIM115
        weakref.finalize(self, self._file.close)

    def append(self, rows: Shaped[np.ndarray, "row column"]) -> int:
        """Adds rows and returns the number of the first. Raises InputError when the disk is full."""
        first = self._count
        try:
            self._file.write(np.ascontiguousarray(rows, self._dtype).tobytes())
            self._file.flush()
        except OSError as error:
            raise InputError(
                f"cannot write to {tempfile.gettempdir()} ({error.strerror}); set TMPDIR to a folder with more room"
            ) from error
        self._count += len(rows)
        return first

    def rows(self, first: int, last: int) -> Shaped[np.ndarray, "row column"]:
        """Rows [first, last); they are read from the disk when they are used."""
        if first == last or not self._width:
            return np.zeros((last - first, self._width), self._dtype)
        place = first * self._width * self._dtype.itemsize
        mapped = np.memmap(self._file, np.uint8, "r", place, ((last - first) * self._width * self._dtype.itemsize,))
        return mapped.view(self._dtype).reshape(last - first, self._width)


class Windows:
    """Windows of bins of `resolution` bp, for some tracks.

    `align` says what becomes of a window that does not lie on the grid: with "share" each grid bin gets what the two
    bins under it hold, in proportion, so that sums keep their place but blur by less than a bin; with "nearest" values
    stay as they are and move by at most half a bin. Bins that a window covers in part only are unknown. `convert` makes
    values of what is kept.
    """

    def __init__(
        self,
        tracks: int,
        dtype: np.dtype,
        resolution: int,
        align: Align = "share",
        convert: Callable[[np.ndarray], np.ndarray] = np.asarray,
    ):
        if align not in ("share", "nearest"):
            raise InputError(f"align {align!r}: expected share or nearest")
        self._spool = RowSpool(tracks, dtype)
        self._resolution, self._align, self._convert = resolution, align, convert
        # (start in bp, number of the first row, bins) by chromosome
        self._places: dict[str, list[tuple[int, int, int]]] = {}

    def add(self, chromosome: str, start: int, values: Shaped[np.ndarray, "position track"]) -> None:
        """Adds a window whose first bin starts at `start`."""
        self._places.setdefault(chromosome, []).append((start, self._spool.append(values), len(values)))

    def spans(self, chromosome: str) -> list[tuple[int, int]]:
        """Stretches [start, end) in bp that hold every bin of the windows, moved to the grid or not."""
        size = self._resolution
        return [(start - size, start + (bins + 1) * size) for start, _, bins in self._places.get(chromosome, ())]

    def read(self, interval: Interval) -> list[tuple[int, Shaped[np.ndarray, "position track"]]]:
        """What is known of `interval`, which starts on the grid: pieces, and the bin of the interval where each starts.

        Pieces come in the order in which windows were added, and may overlap.
        """
        size = self._resolution
        first, last = interval.start // size, -(-interval.end // size)
        pieces = []
        for start, row, bins in self._places.get(interval.chromosome, ()):
            grid, phase = divmod(start, size)
            if phase and self._align == "nearest":
                grid, phase = grid + (2 * phase >= size), 0
            # Whole grid bins inside the window
            low, high = grid + (phase > 0), grid + bins
            low, high = max(low, first), min(high, last)
            if low >= high:
                continue
            if phase:
                under = self._convert(self._spool.rows(row + low - grid - 1, row + high - grid))
                values = under[:-1] * np.float32(phase / size) + under[1:] * np.float32(1 - phase / size)
            else:
                values = self._convert(self._spool.rows(row + low - grid, row + high - grid))
            pieces.append((low - first, values))
        return pieces
