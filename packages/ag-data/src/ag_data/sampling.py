"""Which windows a model sees, and in which order: samplers are functions of a seed and an index, without any state.

The index counts on over epochs, so that draw `size` is the first of the second epoch. Windows are unstranded; random
shifts and strands come later (`ag_data.augment`), which is why windows keep a margin to the border of what is allowed.
"""

import abc
import hashlib
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pandas as pd
from ag_core.errors import InputError
from ag_core.genome import Interval

from ag_data.annotation import Annotation
from ag_data.draws import Purpose, Turns, generator, part_seed, shuffled
from ag_data.folds import SHIFT
from ag_data.genome_store import Genome
from ag_data.regions import Regions, check_regions, drop_unknown, regions_table, resize_windows, tile, unknown_share

MAX_UNKNOWN = 0.5
_TRIES = 1000


class AbstractSampler(abc.ABC):
    """Chooses windows. Implementations are final."""

    # Draws in an epoch; None where there is no such thing.
    size: int | None

    @abc.abstractmethod
    def draw(self, seed: int, index: int) -> Interval:
        """The window of draw `index`: the same for the same seed, whatever was drawn before."""

    @abc.abstractmethod
    def chromosomes(self) -> tuple[str, ...]:
        """Where windows may lie."""

    @abc.abstractmethod
    def fingerprint(self) -> str:
        """Changes whenever any draw may change."""


class _Listed(AbstractSampler):
    """Windows from a table, each once in an epoch; subclasses only make the table."""

    def __init__(
        self,
        windows: pd.DataFrame,
        *,
        length: int | None,
        jitter: int = 0,
        shuffle: bool = True,
        within: pd.DataFrame | None = None,
        margin: int = SHIFT,
        genome: Genome | None = None,
        max_unknown: float = MAX_UNKNOWN,
    ):
        if jitter < 0:
            raise InputError(f"a jitter of {jitter} bp: expected 0 or more")
        windows = windows if length is None else resize_windows(windows, length)
        given = len(windows)
        if within is not None:
            windows = windows.loc[Regions(within).contain(windows, margin + jitter)].reset_index(drop=True)
        allowed = len(windows)
        if genome is not None:
            windows = drop_unknown(windows, genome, max_unknown)
        if not len(windows):
            raise InputError(
                f"no windows left to draw: {given:,} were given, {allowed:,} of them lie in the allowed regions, and "
                f"none of these has at most {max_unknown:.0%} unknown bases; use other regions or shorter windows"
            )
        self.windows = windows
        self.size: int | None = len(windows)
        self._count = len(windows)
        self._jitter, self._shuffle = jitter, shuffle
        self._names = windows["Chromosome"].tolist()
        self._starts, self._ends = windows["Start"].to_numpy(), windows["End"].to_numpy()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.size:,} windows)"

    def draw(self, seed: int, index: int) -> Interval:
        """As `AbstractSampler.draw`."""
        epoch, place = divmod(index, self._count)
        row = int(shuffled(seed, epoch, self._count)[place]) if self._shuffle else place
        start, end = int(self._starts[row]), int(self._ends[row])
        if self._jitter:
            shift = int(generator(seed, Purpose.PLACE, index).integers(-self._jitter, self._jitter, endpoint=True))
            start, end = start + shift, end + shift
        return Interval(self._names[row], start, end)

    def chromosomes(self) -> tuple[str, ...]:
        """As `AbstractSampler.chromosomes`."""
        return tuple(dict.fromkeys(self._names))

    def fingerprint(self) -> str:
        """As `AbstractSampler.fingerprint`."""
        return _digest("listed", self._names, self._starts, self._ends, self._jitter, self._shuffle)


class Uniform(_Listed):
    """All windows of a table with equal chance: an epoch is a permutation of them.

    `length` resizes them around their centres. `within` and `margin` leave out windows that do not lie inside regions
    by that many bp, `genome` and `max_unknown` those with too many unknown bases. Raises InputError when none is left.
    """

    def __init__(
        self,
        windows: pd.DataFrame,
        *,
        length: int | None = None,
        within: pd.DataFrame | None = None,
        margin: int = SHIFT,
        genome: Genome | None = None,
        max_unknown: float = MAX_UNKNOWN,
    ):
        table = check_windows(windows)
        super().__init__(table, length=length, within=within, margin=margin, genome=genome, max_unknown=max_unknown)


class Tiled(_Listed):
    """Windows of `length` bp, `step` apart (default: end to end), over regions, in their order: for evaluation.

    Raises InputError when there is none, or all have too many unknown bases.
    """

    def __init__(
        self,
        regions: pd.DataFrame,
        length: int,
        *,
        step: int | None = None,
        genome: Genome | None = None,
        max_unknown: float = MAX_UNKNOWN,
    ):
        windows = tile(check_regions(regions, "the table of regions"), length, step)
        super().__init__(windows, length=None, shuffle=False, genome=genome, max_unknown=max_unknown)


class ByGene(_Listed):
    """Windows of `length` bp around genes: `at` their transcription starts ("tss") or the middle of their bodies.

    An epoch has every gene once, `jitter` bp off at most. Further arguments as of `Uniform`.
    """

    def __init__(
        self,
        annotation: Annotation,
        length: int,
        *,
        genome: Genome,
        gene_types: Collection[str] | str | None = None,
        at: str = "tss",
        jitter: int = 0,
        within: pd.DataFrame | None = None,
        margin: int = SHIFT,
        max_unknown: float = MAX_UNKNOWN,
    ):
        if at not in ("tss", "body"):
            raise InputError(f"at={at!r}: expected 'tss' or 'body'")
        rows = []
        for name, size in genome.lengths.items():
            genes = annotation.genes_in(Interval(name, 0, size), gene_types)
            columns = (genes[key] for key in ("gene_id", "gene_start", "gene_end", "gene_strand"))
            for gene_id, start, end, strand in zip(*columns, strict=True):
                if at == "tss":
                    start, end = (end - 1, end) if strand == "-" else (start, start + 1)
                rows.append((name, int(start), int(end), str(gene_id)))
        super().__init__(
            regions_table(rows),
            length=length,
            jitter=jitter,
            within=within,
            margin=margin,
            genome=genome,
            max_unknown=max_unknown,
        )


class ByPeak(_Listed):
    """Windows of `length` bp around peaks, at Start + Summit where the table has that column (`read_peaks`).

    Else they are centred on the peaks. An epoch has every peak once, `jitter` bp off at most. Further arguments as of
    `Uniform`.
    """

    def __init__(
        self,
        peaks: pd.DataFrame,
        length: int,
        *,
        jitter: int = 0,
        within: pd.DataFrame | None = None,
        margin: int = SHIFT,
        genome: Genome | None = None,
        max_unknown: float = MAX_UNKNOWN,
    ):
        table = check_regions(peaks, "the table of peaks")
        if "Summit" in table:
            summit = table["Start"].to_numpy() + table["Summit"].to_numpy("int64")
            table = table.assign(Start=summit, End=summit + 1)
        super().__init__(
            table,
            length=length,
            jitter=jitter,
            within=within,
            margin=margin,
            genome=genome,
            max_unknown=max_unknown,
        )


class Anywhere(AbstractSampler):
    """Windows of `length` bp that start at random in `regions`, every start with equal chance.

    They lie wholly inside a region, `margin` bp from its border. With a `genome`, a window with a larger share of
    unknown bases than `max_unknown` is drawn again. `size` is how many windows would cover the regions once. Raises
    InputError when no window fits.
    """

    def __init__(
        self,
        regions: pd.DataFrame,
        length: int,
        *,
        margin: int = SHIFT,
        genome: Genome | None = None,
        max_unknown: float = MAX_UNKNOWN,
    ):
        merged = Regions(regions).table()
        starts = (merged["End"] - merged["Start"]).to_numpy() - 2 * margin - length + 1
        merged = merged.loc[starts > 0]
        if length < 1 or not len(merged):
            raise InputError(
                f"no window of {length:,} bp fits into the regions with a margin of {margin:,} bp; use longer regions "
                "or shorter windows"
            )
        self.length, self.margin = length, margin
        self.size: int | None = int(-(-(merged["End"] - merged["Start"]).sum() // length))
        self._genome, self._max_unknown = genome, max_unknown
        self._names, self._starts = merged["Chromosome"].tolist(), merged["Start"].to_numpy() + margin
        self._sums = np.cumsum(starts[starts > 0])

    def __repr__(self) -> str:
        return f"Anywhere({self._sums[-1]:,} starts of windows of {self.length:,} bp)"

    def draw(self, seed: int, index: int) -> Interval:
        """As `AbstractSampler.draw`. Raises InputError when 1,000 windows in a row have too many unknown bases."""
        draw = generator(seed, Purpose.PLACE, index)
        for _ in range(_TRIES):
            number = int(draw.integers(self._sums[-1]))
            part = int(np.searchsorted(self._sums, number, "right"))
            start = int(self._starts[part] + number - (self._sums[part - 1] if part else 0))
            window = Interval(self._names[part], start, start + self.length)
            if self._genome is None or unknown_share(self._genome, window) <= self._max_unknown:
                return window
        raise InputError(
            f"{_TRIES} random windows of {self.length:,} bp all have more than {self._max_unknown:.0%} unknown bases; "
            "the regions are mostly N in this genome, leave those out"
        )

    def chromosomes(self) -> tuple[str, ...]:
        """As `AbstractSampler.chromosomes`."""
        return tuple(dict.fromkeys(self._names))

    def fingerprint(self) -> str:
        """As `AbstractSampler.fingerprint`."""
        unknown = None if self._genome is None else self._max_unknown
        return _digest("anywhere", self._names, self._starts, self._sums, self.length, unknown)


class Mix(AbstractSampler):
    """Several samplers with weights, in turns as of `ag_data.draws.Turns`; each goes through its own epochs."""

    def __init__(self, parts: Sequence[tuple[AbstractSampler, float]]):
        self.parts = tuple(sampler for sampler, _ in parts)
        self._turns = Turns([weight for _, weight in parts])
        self.size: int | None = None

    def __repr__(self) -> str:
        return f"Mix({', '.join(map(repr, self.parts))})"

    def draw(self, seed: int, index: int) -> Interval:
        """As `AbstractSampler.draw`."""
        part, turn = self._turns.at(seed, index)
        return self.parts[part].draw(part_seed(seed, part), turn)

    def chromosomes(self) -> tuple[str, ...]:
        """As `AbstractSampler.chromosomes`."""
        return tuple(dict.fromkeys(name for part in self.parts for name in part.chromosomes()))

    def fingerprint(self) -> str:
        """As `AbstractSampler.fingerprint`."""
        return _digest("mix", [part.fingerprint() for part in self.parts], self._turns.quotas)


def check_windows(windows: pd.DataFrame) -> pd.DataFrame:
    """A copy with plain types. Windows may hang off their chromosome. Raises InputError for what is no such table."""
    missing = [column for column in ("Chromosome", "Start", "End") if column not in windows]
    if missing:
        raise InputError(f"the table of windows has no column {', '.join(missing)}")
    numbers = windows[["Start", "End"]].to_numpy()
    if numbers.dtype.kind not in "iu" or (len(numbers) and (numbers[:, 1] <= numbers[:, 0]).any()):
        raise InputError("the table of windows: expected whole numbers with Start < End (0-based half-open)")
    return windows.reset_index(drop=True)


def _digest(*parts: Any) -> str:
    total = hashlib.sha256()
    for part in parts:
        data = part.astype("<i8").tobytes() if isinstance(part, np.ndarray) else repr(part).encode()
        total.update(len(data).to_bytes(8, "little") + data)
    return total.hexdigest()
