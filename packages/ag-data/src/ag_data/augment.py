"""What is varied at random in training: where a window lies and which strand is read. Source: spec/model.md 6.1, 7.

A reversed window is an `Interval` with strand '-': its sequence is the reverse complement, and its targets are what
the head's `reverse_complement` turns back into the targets of the forward window (`ag_data.layouts`).
"""

import dataclasses

from ag_core.errors import InputError
from ag_core.genome import Interval

from ag_data.draws import Purpose, generator
from ag_data.folds import SHIFT
from ag_data.mutate import Mutations


@dataclasses.dataclass(frozen=True)
class Augment:
    """Moves a window by up to `shift` bp either way, all distances alike, and reverses it with probability `reverse`.

    `mutations` are for distillation, where targets come from a teacher that reads the same changed sequence. Raises
    InputError for values out of range.
    """

    shift: int = SHIFT
    reverse: float = 0.5
    mutations: Mutations | None = None

    def __post_init__(self):
        if self.shift < 0 or not 0 <= self.reverse <= 1:
            raise InputError(f"{self}: expected a shift of at least 0 bp and a probability from 0 to 1")

    def vary(self, window: Interval, seed: int, index: int) -> Interval:
        """The window of example `index`: moved, with strand '-' where it is reversed and '+' where not."""
        draw = generator(seed, Purpose.AUGMENT, index)
        shift = int(draw.integers(-self.shift, self.shift, endpoint=True))
        strand = "-" if draw.random() < self.reverse else "+"
        start, end = window.start + shift, window.end + shift
        return dataclasses.replace(window, start=start, end=end, strand=strand)
