"""Which shapes programs are compiled for: as few as pay. On the host."""

import collections
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import jax
from jaxtyping import PyTree

from ag_scorers.reading import Need, Shape

# How much more work a shape in use may be than a new one, which would have to be compiled.
_WASTE = 1.5
# So many shapes are compiled without hesitation.
_AT_ONCE = 4
# Unless one takes as long as so many windows.
_DEAR = 64
# A new one is one of the so many that are wanted most often.
_CANDIDATES = 8
# Compiling takes as long as so many weights applied to tokens, on CPUs and on what is faster.
_CPU, _OTHER = 1e11, 1e14
# Nor is a part of a window worth a program of its own that saves fewer tokens than these.
_SLACK = 40


class Shapes:
    """The shapes in use. A new one has to be compiled: that waits until the old ones have wasted as much time.

    - `total`: tokens of a window.
    - `price`: of a new program, in full windows decoded for one variant.
    """

    def __init__(self, total: int, price: float = 16.0):
        self.total, self.price = total, price
        self._known: list[Shape] = []
        self._wasted = 0.0
        self._waiting: list[_Asked] = []  # those that made the waste

    @property
    def dear(self) -> bool:
        """Whether many variants are scored in the time that a program takes to compile."""
        return self.price >= _DEAR

    def whole(self, need: Need) -> Shape:
        """The shape of all tokens."""
        tokens = tuple((name, self.total) for name, _ in need.shape.tokens)
        return Shape(1, self.total, tokens, need.shape.sites and self.total)

    def begin(self, needs: Iterable[tuple[Need, int]]) -> None:
        """Where programs are dear, the first is the one that suits most of these needs, each of so many jobs."""
        if not self._known and self.dear:
            asked = [_Asked(need, jobs, self.whole(need).cost) for need, jobs in needs]
            if asked:
                self._use(_suits_most(asked))

    def choose(self, need: Need, jobs: int = 1) -> Shape:
        """A shape that a need fits in, of so many jobs."""
        best, whole = need.shape, self.whole(need)
        # The tower, which runs on all tokens in any case, weighs about a twelfth of the decoder.
        most = _WASTE * (best.cost + self.total / 12) - self.total / 12
        fitting = [shape for shape in self._known if need.fits(shape)]
        cheapest = min(fitting, key=lambda shape: shape.cost, default=whole)
        if cheapest in self._known and cheapest.cost <= most:
            return cheapest
        if whole.cost <= best.cost + _SLACK:
            best = whole
        if len(self._known) >= (1 if self.dear else _AT_ONCE):
            self._wasted += jobs * (cheapest.cost - best.cost)
            self._waiting.append(_Asked(need, jobs, cheapest.cost))
            if self._wasted < self.price * self.total:
                return self._use(cheapest)
            best = self._use(_suits_most(self._waiting))
            self._wasted = 0.0
            self._waiting.clear()
            return best if need.fits(best) else self._use(cheapest)
        return self._use(best)

    def _use(self, shape: Shape) -> Shape:
        if shape not in self._known:
            self._known.append(shape)
        return shape


class _Asked(NamedTuple):
    """A need of so many jobs, and what each costs without a shape of its own."""

    need: Need
    jobs: int
    cost: float


def _suits_most(asked: Sequence[_Asked]) -> Shape:
    """Of the shapes that are wanted most often the one that saves most."""
    usual: collections.Counter[Shape] = collections.Counter()
    for need, jobs, _ in asked:
        usual[need.shape] += jobs

    def saved(shape: Shape) -> float:
        return sum(max(cost - shape.cost, 0) * jobs for need, jobs, cost in asked if need.fits(shape))

    return max((shape for shape, _ in usual.most_common(_CANDIDATES)), key=saved)


def price_of_program(model: PyTree, tokens: int) -> float:
    """About what compiling costs, in windows of so many tokens."""
    size = sum(leaf.size for leaf in jax.tree.leaves(model) if hasattr(leaf, "size"))
    return min(max((_CPU if jax.default_backend() == "cpu" else _OTHER) / (size * tokens), 4.0), 1024.0)
