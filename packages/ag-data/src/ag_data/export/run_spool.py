"""Runs of equal values of one track on the disk, on their way from blocks of a store to a file."""

import pathlib
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float

from ag_data.export.bigwig import Entry, join_bins

# A run of bases of one value; `contig` counts chromosomes by name.
RUN = np.dtype([("contig", "<u2"), ("start", "<u4"), ("end", "<u4"), ("value", "<f4")])
_PIECE = 1 << 16  # entries handed on at a time


class RunSpool:
    """Runs of one track on their way to its file; neighbours of equal value are joined, also across blocks."""

    def __init__(self, path: pathlib.Path, skip_zeros: bool):
        self.path, self._skip_zeros = path, skip_zeros
        self._file = path.open("wb")
        self._last = np.zeros(0, RUN)  # not written yet, for it may go on
        self._measured = self._begun = False

    def add(self, contig: int, edges: np.ndarray, values: Float[np.ndarray, " position"]) -> None:
        """Bins of the chromosome, after those added before."""
        self._measured |= bool(np.isfinite(values).any())
        starts, ends, values = join_bins(edges, np.where(values == 0, np.nan, values) if self._skip_zeros else values)
        runs = np.zeros(len(values), RUN)
        runs["contig"], runs["start"], runs["end"], runs["value"] = contig, starts, ends, values
        if not len(runs):
            return
        if self._goes_on(runs):
            runs["start"][0] = self._last["start"][0]
        else:
            self._file.write(self._last.tobytes())
        self._file.write(runs[:-1].tobytes())
        self._last, self._begun = runs[-1:], True

    def _goes_on(self, runs: np.ndarray) -> bool:
        if not len(self._last):
            return False
        last, first = self._last[0], runs[0]
        return last["contig"] == first["contig"] and last["end"] == first["start"] and last["value"] == first["value"]

    def close_chromosome(self, contig: int, end: int) -> None:
        """Makes sure that a chromosome that was measured has an entry."""
        if self._measured and not self._begun:
            self._file.write(self._last.tobytes())
            self._last = np.array([(contig, 0, end, 0)], RUN)
        self._measured = self._begun = False

    def close(self) -> None:
        """Nothing more comes."""
        self._file.write(self._last.tobytes())
        self._file.close()

    def entries(self, chromosomes: list[str]) -> Iterator[Entry]:
        """(chromosome, start, end, value), sorted."""
        with self.path.open("rb") as file:
            while data := file.read(_PIECE * RUN.itemsize):
                runs = np.frombuffer(data, RUN)
                names = [chromosomes[contig] for contig in runs["contig"].tolist()]
                yield from zip(names, *(runs[key].tolist() for key in ("start", "end", "value")), strict=True)

    def discard(self) -> None:
        """Removes the spool."""
        self._file.close()
        self.path.unlink(missing_ok=True)
