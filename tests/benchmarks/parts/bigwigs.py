"""Signal that looks like dense coverage, and bigWig files of it."""

import pathlib
from collections.abc import Iterator, Mapping

import numpy as np
import pybigtools

# Mean length in bp of a run of equal values: about 390 changes in each kb.
RUN = 2.56
BLOCK = 1 << 16


def dense_signal(random: np.random.Generator, length: int) -> np.ndarray:
    """float32 values that float16 holds exactly: quarters from 0 to 63.75, in short runs, louder here than there."""
    count = int(length / RUN * 1.1) + 100
    lengths = random.geometric(1 / RUN, count)
    ends = np.cumsum(lengths)
    while ends[-1] < length:
        ends = np.concatenate([ends, ends[-1] + np.cumsum(random.geometric(1 / RUN, count))])
    loudness = np.repeat(random.gamma(1.0, 20.0, -(-length // 1024)), 1024)[np.minimum(ends, length) - 1]
    values = np.minimum(random.poisson(loudness), 255).astype(np.float32) / 4
    return np.repeat(values, np.diff(ends, prepend=0))[:length]


def write_bigwig(path: pathlib.Path, signal: Mapping[str, np.ndarray]) -> None:
    """One entry for each run of equal values that are not 0."""

    def entries() -> Iterator[tuple[str, int, int, float]]:
        for name, values in signal.items():
            edges = np.flatnonzero(np.diff(values, prepend=np.nan, append=np.nan))
            starts, ends = edges[:-1], edges[1:]
            kept = values[starts] != 0
            starts, ends = starts[kept], ends[kept]
            for first in range(0, len(starts), BLOCK):
                part = slice(first, first + BLOCK)
                columns = (column[part].tolist() for column in (starts, ends, values[starts]))
                for start, end, value in zip(*columns, strict=True):
                    yield name, start, end, value

    pybigtools.open(str(path), "w").write({name: len(values) for name, values in signal.items()}, entries())


def write_fasta(path: pathlib.Path, codes: Mapping[str, np.ndarray]) -> None:
    """Chromosomes of base codes, 60 bases a line."""
    letters = np.frombuffer(b"ACGTN", np.uint8)
    with path.open("wb") as file:
        for name, values in codes.items():
            file.write(f">{name}\n".encode())
            text = letters[values].tobytes()
            file.writelines(text[i : i + 60] + b"\n" for i in range(0, len(text), 60))
