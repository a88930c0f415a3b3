"""ALT predictions in the frame of REF, written piece by piece: the same as `ag_scorers.align`, without the whole."""

from typing import Any

import numpy as np
from ag_data.export.tree import Target
from jaxtyping import Float

from ag_scorers.align import Alignment


class ShiftedRows:
    """Passes rows of an array of `length` positions on to `target`, moved as an indel asks for (spec/scoring.md 1.9).

    Takes consecutive slices from the first row to the last; rows run forward along the genome.
    """

    def __init__(self, target: Target, alignment: Alignment, length: int):
        self._target, self._length = target, length
        self._anchor, self._shift = int(alignment.anchor), int(alignment.shift)
        self._largest: Float[np.ndarray, "1 track"] | None = None

    def __setitem__(self, rows: slice, values: Any) -> None:
        start, values = rows.start, np.asarray(values)
        anchor, shift, length = self._anchor, self._shift, self._length
        stop = start + len(values)
        self._put(start, values[: max(0, anchor + 1 - start)])
        if shift > 0 and anchor >= 0:  # the inserted rows and the anchor become their largest
            pooled = values[max(anchor - start, 0) : max(anchor + shift + 1 - start, 0)]
            if len(pooled):
                known = [] if self._largest is None else [self._largest]
                largest = np.concatenate([*known, pooled]).max(axis=0, keepdims=True)
                self._put(anchor, largest)
                self._largest = largest
        first = max(start, anchor + 1 + max(shift, 0))
        if first < stop:
            self._put(first - shift, values[first - start :][: max(0, length - (first - shift))])
        if stop == length and shift:  # rows for which ALT has nothing
            width = values.shape[1]
            gap = (length - shift, length) if shift > 0 else (anchor + 1, min(anchor + 1 - shift, length))
            self._put(gap[0], np.zeros((gap[1] - gap[0], width), values.dtype))

    def _put(self, start: int, values: Float[np.ndarray, "position track"]) -> None:
        if len(values):
            self._target[start : start + len(values)] = values
