"""Training examples as peers' loaders make them: every track's bigWig through pyBigWig, the FASTA through pyfaidx.

What is no bigWig among peers either (sites, junctions, contact maps) lies in memory here, which costs the peer least.
"""

import pathlib
from typing import Any

import numpy as np
from ag_core.genome import Interval

BIN, MAP_BIN = 128, 2048
LETTERS = np.full(256, 4, np.uint8)
LETTERS[np.frombuffer(b"ACGTacgt", np.uint8)] = [0, 1, 2, 3, 0, 1, 2, 3]


class Peer:
    """Reads rows; each process makes its own. `sites` is room for splice sites in a row of junction targets."""

    def __init__(self, folder: pathlib.Path, sites: int):
        import pyBigWig
        import pyfaidx

        self.fasta = pyfaidx.Fasta(str(folder / "genome.fa"), sequence_always_upper=True)
        names = {key: sorted(folder.glob(f"{key}_*.bw")) for key in ("cage", "chip", "usage")}
        self.files = {key: [pyBigWig.open(str(path)) for path in paths] for key, paths in names.items()}
        with np.load(folder / "peer.npz") as arrays:
            self.arrays = dict(arrays)
        self.sites = sites

    def row(self, interval: Interval) -> dict[str, Any]:
        """One example: one-hot sequence and the targets of all modalities, '-' as the reverse complement."""
        start, end, reverse = interval.start, interval.end, interval.negative_strand
        text = str(self.fasta[interval.chromosome][start:end]).encode()
        codes = LETTERS[np.frombuffer(text, np.uint8)]
        if reverse:
            codes = np.minimum(codes[::-1] ^ 3, 4)
        one_hot = np.zeros((len(codes), 4), np.float32)
        one_hot[np.arange(len(codes)), codes % 4] = codes < 4
        chip = self._tracks("chip", interval).reshape(-1, BIN, len(self.files["chip"])).sum(axis=1)
        return {
            "dna": one_hot,
            "cage": _turn(self._tracks("cage", interval), self.arrays["cage_partners"], reverse),
            "chip": chip[::-1] if reverse else chip,
            "usage": _turn(self._tracks("usage", interval), self.arrays["usage_partners"], reverse),
            "classes": self._classes(start, end, reverse),
            "contacts": self._contacts(start, end, reverse),
            **self._junctions(start, end, reverse),
        }

    def _tracks(self, kind: str, interval: Interval) -> np.ndarray:
        place = interval.chromosome, interval.start, interval.end
        columns = [file.values(*place, numpy=True) for file in self.files[kind]]
        return np.nan_to_num(np.stack(columns, axis=1))

    def _classes(self, start: int, end: int, reverse: bool) -> np.ndarray:
        classes = np.zeros((end - start, 5), bool)
        for kind in range(4):
            own = self.arrays[f"site_{kind}"]
            low, high = np.searchsorted(own, (start, end))
            classes[own[low:high] - start, kind] = True
        classes[:, 4] = ~classes[:, :4].any(axis=1)
        return classes[::-1][:, [2, 3, 0, 1, 4]] if reverse else classes

    def _contacts(self, start: int, end: int, reverse: bool) -> np.ndarray:
        bins, first = (end - start) // MAP_BIN, -(-(2 * start - MAP_BIN) // (2 * MAP_BIN))
        band = self.arrays["band"][first : first + bins]
        contacts = np.full((bins, bins, band.shape[-1]), np.nan, np.float32)
        for offset in range(bins):
            rows = np.arange(bins - offset)
            contacts[rows, rows + offset] = contacts[rows + offset, rows] = band[rows, offset]
        return contacts[::-1, ::-1] if reverse else contacts

    def _junctions(self, start: int, end: int, reverse: bool) -> dict[str, np.ndarray]:
        left, right, minus, reads = (self.arrays[key] for key in ("left", "right", "minus", "reads"))
        size, tissues = self.sites, reads.shape[1]
        positions = np.full((4, size), -1, np.int32)
        counts = np.zeros((size, size, 2 * tissues), np.float32)
        inside = (left >= start) & (right < end)
        for strand in (0, 1):
            own = inside & (minus == strand)
            ends = [left[own] - start, right[own] - start]
            if reverse:
                ends = [end - start - 1 - ends[1], end - start - 1 - ends[0]]
            shown = 1 - strand if reverse else strand
            donors, acceptors = ends[::-1] if shown else ends
            rows = [np.unique(donors), np.unique(acceptors)]
            for kind, row in enumerate(rows):
                positions[2 * shown + kind, : len(row)] = row
            places = np.searchsorted(rows[0], donors), np.searchsorted(rows[1], acceptors)
            counts[(*places, slice(shown * tissues, (shown + 1) * tissues))] = reads[own]
        return {"positions": positions, "counts": counts}


def _turn(values: np.ndarray, partners: np.ndarray, reverse: bool) -> np.ndarray:
    return values[::-1][:, partners] if reverse else values


_PEER: Peer | None = None


def start_worker(folder: pathlib.Path, sites: int) -> None:
    """Called once in each worker process."""
    global _PEER
    _PEER = Peer(folder, sites)


def read_row(interval: Interval) -> dict[str, Any]:
    """A row, in a worker process."""
    assert _PEER is not None
    return _PEER.row(interval)
