"""Quantiles of many tracks at once in one pass: bounded memory, exact tails, and pieces can be merged.

A track's values fill a buffer of `capacity`. A full buffer is sorted and handed up: two buffers of one level become
one of the next by keeping every other value, each of which then stands for twice as many (Munro and Paterson 1980;
Manku, Rajagopalan and Lindsay 1998). Which half is kept alternates, so that errors cancel; nothing is random. The
`tail` smallest and largest values of each track are kept besides, as they are.

With n finite values of a track: everything is exact while n < 2 * capacity; afterwards a rank between the tails is
off by at most n * log2(n / capacity) / (2 * capacity), and mostly by far less. A merge obeys the same bound, whatever
was merged in what order; the tails and the numbers of values do not depend on the order at all.
"""

import math
from collections.abc import Iterator, Mapping

import numpy as np
from ag_core.errors import InputError
from jaxtyping import Float, Float32, Int

CAPACITY, TAIL = 4096, 500


class QuantileSketch:
    """The values of `tracks` tracks, summed up.

    - `capacity`: length of a buffer, an even number; memory is about 4 * capacity * log2(n / capacity) bytes a track.
    - `tail`: how many of the smallest, and of the largest, values stay exact.

    Raises ValueError for sizes that cannot be.
    """

    def __init__(self, tracks: int, capacity: int = CAPACITY, tail: int = TAIL):
        if tracks < 1 or capacity < 2 or capacity % 2 or tail < 1:
            raise ValueError(f"{tracks} tracks, capacity {capacity} and tail {tail}: expected >= 1, even and >= 1")
        self.tracks, self.capacity, self.tail = tracks, capacity, tail
        self._buffer = np.full((tracks, capacity), np.nan, np.float32)
        self._filled = np.zeros(tracks, np.int64)
        # How many buffers each track has handed up. Its bits say which levels are in use, and which half is kept next.
        self._handed = np.zeros(tracks, np.int64)
        self._levels: list[np.ndarray] = []
        # Sorted, and padded with infinity on the inner side: the last of `low`, the first of `high`.
        self._low = np.full((tracks, tail), np.inf, np.float32)
        self._high = np.full((tracks, tail), -np.inf, np.float32)
        self._infinite = np.zeros(tracks, np.int64)

    @property
    def count(self) -> Int[np.ndarray, " track"]:
        """Values of each track; NaN and infinite ones are not among them."""
        return self._filled + self._handed * self.capacity

    @property
    def infinite(self) -> Int[np.ndarray, " track"]:
        """Infinite values that were left out."""
        return self._infinite

    @property
    def error(self) -> float:
        """Bound of the error of a rank between the tails, as a share of n, over all tracks."""
        most = int(self.count.max(initial=0))
        return 0.0 if most < 2 * self.capacity else math.log2(most / self.capacity) / (2 * self.capacity)

    def add(self, values: Float[np.ndarray, "row track"]) -> None:
        """Adds rows of values; NaN means that the track has none. Raises ValueError for another number of tracks."""
        if values.shape[1:] != (self.tracks,):
            raise ValueError(f"values of shape {values.shape}, expected rows of {self.tracks} tracks")
        rows = np.ascontiguousarray(values.T, np.float32)
        infinite = np.isinf(rows)
        if infinite.any():
            self._infinite += infinite.sum(axis=1)
            rows = np.where(infinite, np.float32(np.nan), rows)
        for start in range(0, rows.shape[1], self.capacity):
            self._add(rows[:, start : start + self.capacity])

    def merge(self, other: "QuantileSketch") -> None:
        """Adds all that `other` has seen. Raises ValueError unless both have the same sizes."""
        mine, theirs = ((one.tracks, one.capacity, one.tail) for one in (self, other))
        if mine != theirs:
            raise ValueError(f"sketches of (tracks, capacity, tail) {mine} and {theirs} cannot be merged")
        for level, values in enumerate(other._levels):
            chosen = np.flatnonzero(other._handed >> level & 1)
            self._hand_up(chosen, values[chosen], level)
        self._fill(other._buffer[:, : int(other._filled.max(initial=0))])
        self._keep_tails(other._low, other._high)
        self._infinite += other._infinite

    def order_statistics(self, ranks: Int[np.ndarray, "track point"]) -> Float32[np.ndarray, "track point"]:
        """The values of given ranks (0 is the smallest value, n - 1 the largest), by track; NaN where n is 0.

        Exact in the tails, see the module for the rest. Not decreasing along ranks.
        """
        count = self.count[:, None]
        result = np.full(ranks.shape, np.nan, np.float32)
        for chosen in self._alike():
            if not count[chosen[0]]:
                continue
            values, weights = self._weighted(chosen)
            wanted = np.clip(ranks[chosen], 0, count[chosen] - 1)
            for row, track in enumerate(chosen):
                order = np.argsort(values[row], kind="stable")
                after = np.cumsum(weights[order])
                result[track] = values[row][order[np.searchsorted(after, wanted[row], side="right")]]
        return self._with_tails(result, ranks)

    def _with_tails(
        self, result: Float32[np.ndarray, "track point"], ranks: Int[np.ndarray, "track point"]
    ) -> Float32[np.ndarray, "track point"]:
        count = self.count[:, None]
        known = np.minimum(count, self.tail)
        from_end = ranks - (count - self.tail)  # the largest value is in the last column of `high`
        low = np.take_along_axis(self._low, np.clip(ranks, 0, self.tail - 1), axis=1)
        high = np.take_along_axis(self._high, np.clip(from_end, 0, self.tail - 1), axis=1)
        # Nothing between the tails lies beyond their inner ends.
        last_low = np.take_along_axis(self._low, np.maximum(known - 1, 0), axis=1)
        first_high = np.take_along_axis(self._high, np.minimum(self.tail - known, self.tail - 1), axis=1)
        result = np.where(count > 2 * self.tail, np.clip(result, last_low, first_high), result)
        result = np.where(from_end >= 0, high, result)
        result = np.where(ranks < known, low, result)
        return np.where(count > 0, result, np.float32(np.nan)).astype(np.float32)

    def _add(self, rows: Float32[np.ndarray, "track row"]) -> None:
        absent = np.isnan(rows)
        self._keep_tails(*(np.where(absent, np.float32(worst), rows) for worst in (np.inf, -np.inf)))
        self._fill(rows)

    def _keep_tails(self, low: Float32[np.ndarray, "track row"], high: Float32[np.ndarray, "track row"]) -> None:
        low = np.concatenate([self._low, low], axis=1)
        high = np.concatenate([self._high, high], axis=1)
        low = np.partition(low, self.tail - 1, axis=1)[:, : self.tail]
        high = np.partition(high, high.shape[1] - self.tail, axis=1)[:, -self.tail :]
        self._low, self._high = np.sort(low, axis=1), np.sort(high, axis=1)

    def _fill(self, rows: Float32[np.ndarray, "track row"]) -> None:
        """Puts at most `capacity` values a track into the buffers; full ones go up."""
        for chosen, packed in _without_nan(rows):
            filled = self._filled[chosen]
            for fill in np.unique(filled):
                part, values = chosen[filled == fill], packed[filled == fill]
                room = self.capacity - int(fill)
                first = values[:, :room]
                self._buffer[part, fill : fill + first.shape[1]] = first
                if first.shape[1] == room:
                    self._hand_up(part, np.sort(self._buffer[part], axis=1), 0)
                    self._buffer[part] = np.nan
                    rest = values[:, room:]
                    self._buffer[part, : rest.shape[1]] = rest
                    self._filled[part] = rest.shape[1]
                else:
                    self._filled[part] = fill + first.shape[1]

    def _hand_up(
        self, chosen: Int[np.ndarray, " part"], values: Float32[np.ndarray, "part capacity"], level: int
    ) -> None:
        """Adds one sorted buffer of each chosen track at a level: a binary counter with carry."""
        unit = 1 << level
        while len(chosen):
            while level >= len(self._levels):
                self._levels.append(np.full((self.tracks, self.capacity), np.nan, np.float32))
            used = (self._handed[chosen] >> level & 1).astype(bool)
            free = chosen[~used]
            self._levels[level][free] = values[~used]
            self._handed[free] += unit
            chosen, values = chosen[used], values[used]
            if not len(chosen):
                break
            both = np.sort(np.concatenate([self._levels[level][chosen], values], axis=1), axis=1)
            self._levels[level][chosen] = np.nan
            odd = (self._handed[chosen] >> (level + 1) & 1).astype(bool)
            values = np.where(odd[:, None], both[:, 1::2], both[:, ::2])
            level += 1

    def _alike(self) -> Iterator[Int[np.ndarray, " part"]]:
        """Tracks whose buffers are equally full, group by group."""
        _, group = np.unique(np.stack([self._filled, self._handed]), axis=1, return_inverse=True)
        group = group.ravel()
        for number in range(int(group.max(initial=-1)) + 1):
            yield np.flatnonzero(group == number)

    def _weighted(
        self, chosen: Int[np.ndarray, " part"]
    ) -> tuple[Float32[np.ndarray, "part value"], Int[np.ndarray, " value"]]:
        """All values kept of tracks that are alike, and what each stands for."""
        handed, filled = int(self._handed[chosen[0]]), int(self._filled[chosen[0]])
        parts, weights = [self._buffer[chosen, :filled]], [np.ones(filled, np.int64)]
        for level, values in enumerate(self._levels):
            if handed >> level & 1:
                parts.append(values[chosen])
                weights.append(np.full(self.capacity, 1 << level, np.int64))
        return np.concatenate(parts, axis=1), np.concatenate(weights)

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything, for a file; `from_arrays` takes it back."""
        return {
            "buffer": self._buffer,
            "filled": self._filled,
            "handed": self._handed,
            "low": self._low,
            "high": self._high,
            "infinite": self._infinite,
            **{f"level_{number}": values for number, values in enumerate(self._levels)},
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "QuantileSketch":
        """The sketch whose `arrays` these are. Raises InputError when they do not fit together."""
        try:
            (tracks, capacity), tail = arrays["buffer"].shape, arrays["low"].shape[1]
            sketch = cls(tracks, capacity, tail)
            levels = [arrays[f"level_{number}"] for number in range(len(arrays) - len(sketch.arrays()))]
            expected = sketch.arrays()
            wrong = [name for name in expected if arrays[name].shape != expected[name].shape]
            wrong += [f"level_{n}" for n, level in enumerate(levels) if level.shape != (tracks, capacity)]
        except (KeyError, ValueError, IndexError) as error:
            raise InputError(f"no sketch of quantiles: {error!r}; make it again") from error
        if wrong:
            raise InputError(f"no sketch of quantiles: {', '.join(wrong)} of wrong shape; make it again")
        sketch._buffer, sketch._filled, sketch._handed = (
            arrays[name].copy() for name in ("buffer", "filled", "handed")
        )
        sketch._low, sketch._high, sketch._infinite = (arrays[name].copy() for name in ("low", "high", "infinite"))
        sketch._levels = [level.copy() for level in levels]
        return sketch


def _without_nan(
    rows: Float32[np.ndarray, "track row"],
) -> Iterator[tuple[Int[np.ndarray, " part"], Float32[np.ndarray, "part value"]]]:
    """Tracks that have values in the same rows, with these values."""
    absent = np.isnan(rows)
    if not absent.any():
        yield np.arange(len(rows)), rows
        return
    patterns, group = np.unique(np.packbits(absent, axis=1), axis=0, return_inverse=True)
    group = group.ravel()
    for number in range(len(patterns)):
        chosen = np.flatnonzero(group == number)
        present = ~absent[chosen[0]]
        if present.any():
            yield chosen, rows[chosen][:, present]
