"""What is drawn over all rows of a figure: intervals as shades, variants as lines, their names above."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

from ag_core.errors import InputError
from ag_core.genome import Interval

from ag_data.plot.inputs import as_interval, as_variant

_LONGEST = 20  # of alleles in names


@dataclasses.dataclass(frozen=True)
class Mark:
    """A stretch of the 1-based scale to be shaded from `left` to `right`, and the name above it, '' for none.

    The name stands at `x`, slanted by `angle` degrees, and `align` says which of its ends does.
    """

    left: float
    right: float
    color: str
    alpha: float
    label: str
    x: float
    angle: float
    align: str


@runtime_checkable
class Annotations(Protocol):
    """Anything with such a method can be given to `plot`."""

    def marks(self, view: Interval) -> list[Mark]:
        """What to draw in a view."""
        ...


@dataclasses.dataclass(frozen=True)
class IntervalAnnotation:
    """Shades `intervals` (0-based half-open) over all rows; those out of view are left out.

    `labels`: by default the names of intervals that have one, none with `use_default_labels=False`.
    """

    intervals: Sequence[Any]
    colors: str | Sequence[str] = "darkgray"
    alpha: float = 0.2
    labels: Sequence[str] | None = None
    use_default_labels: bool = True
    label_angle: float = 15

    def marks(self, view: Interval) -> list[Mark]:
        """As `Annotations`."""
        names = [str(getattr(one, "name", "") or "") for one in self.intervals]
        found = []
        for one, color, label in _styled(self, self.intervals, names):
            shown = as_interval(one).intersect(view)
            if shown is not None:
                left, right = shown.start + 0.5, shown.end + 0.5
                found.append(Mark(left, right, color, self.alpha, label, (left + right) / 2, self.label_angle, "left"))
        return found


@dataclasses.dataclass(frozen=True)
class VariantAnnotation:
    """Marks the bases of REF that `variants` replace, over all rows; an insertion is a line where it lies.

    `labels`: by default the variants, with long alleles cut. `label_position`: "left", "center" or "right" of it.
    """

    variants: Sequence[Any]
    colors: str | Sequence[str] = "orange"
    alpha: float = 0.8
    labels: Sequence[str] | None = None
    use_default_labels: bool = True
    label_angle: float = 15
    label_position: str = "left"

    def marks(self, view: Interval) -> list[Mark]:
        """As `Annotations`."""
        sides = {"left": "right", "center": "center", "right": "left"}
        if self.label_position not in sides:
            raise InputError(f"label position {self.label_position!r}: expected one of {', '.join(sides)}")
        variants = [as_variant(one) for one in self.variants]
        found = []
        for one, color, label in _styled(self, variants, [one.as_truncated_str(_LONGEST) for one in variants]):
            shown = Interval(one.chromosome, one.start, max(one.end, one.start + 1)).intersect(view)
            if shown is not None:
                left, right = shown.start + 0.5, shown.end + 0.5
                align = sides[self.label_position]
                found.append(Mark(left, right, color, self.alpha, label, (left + right) / 2, self.label_angle, align))
        return found


def _styled(
    annotation: IntervalAnnotation | VariantAnnotation, items: Sequence[Any], names: Sequence[str]
) -> Iterator[tuple[Any, str, str]]:
    """Each item with its colour and label. Raises ValueError where there are not as many labels as items."""
    colors = [annotation.colors] if isinstance(annotation.colors, str) else list(annotation.colors)
    labels = annotation.labels
    if labels is None:
        labels = names if annotation.use_default_labels else [""] * len(items)
    if len(labels) != len(items):
        raise ValueError(f"{len(labels)} labels for {len(items)} annotations; give one each, '' for none")
    for number, (item, label) in enumerate(zip(items, labels, strict=True)):
        yield item, colors[number % len(colors)], label
