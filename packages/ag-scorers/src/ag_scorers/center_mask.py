"""Scores a variant by what happens around it: a window centred on the variant, summed up for each track."""

import enum
import math
import re
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from ag_core.genome import Interval, Variant
from ag_core.interfaces import AbstractScorer, Items
from ag_core.layout import Layout
from jaxtyping import Array, Bool, Float, Int

WIDTHS = (None, 501, 2001, 10001, 100001, 200001)


class Aggregation(enum.StrEnum):
    """How the window's values become one number (r for REF, a for ALT); only DIFF_* are signed."""

    DIFF_MEAN = "diff_mean"  # mean(a) - mean(r)
    DIFF_SUM = "diff_sum"  # sum(a) - sum(r)
    DIFF_SUM_LOG2 = "diff_sum_log2"  # sum(log2(1 + a)) - sum(log2(1 + r))
    DIFF_LOG2_SUM = "diff_log2_sum"  # log2(1 + sum(a)) - log2(1 + sum(r))
    L2_DIFF = "l2_diff"  # sqrt(sum((a - r)^2))
    L2_DIFF_LOG1P = "l2_diff_log1p"  # sqrt(sum((ln(1 + a) - ln(1 + r))^2))
    ACTIVE_MEAN = "active_mean"  # max(mean(a), mean(r))
    ACTIVE_SUM = "active_sum"  # max(sum(a), sum(r))

    @classmethod
    def _missing_(cls, value: object) -> "Aggregation | None":
        return next((member for member in cls if member == str(value).lower()), None)


def check_modality(modality: str) -> str:
    """`modality` in lower case; ValueError unless it is a plain name. Which ones exist is the model's affair."""
    if not isinstance(modality, str) or not re.fullmatch(r"[a-z]\w*", modality.lower(), re.ASCII):
        raise ValueError(
            f"modality {modality!r} is no name; expected letters, digits and underscores, such as 'chip_tf'"
        )
    return modality.lower()


class Window(NamedTuple):
    """A stretch of bins to read, and which of them count; `valid` is as long for every variant."""

    start: Int[Array | np.ndarray, ""]
    valid: Bool[Array | np.ndarray, " bin"]


def window(interval: Interval, variant: Variant, resolution: int, width: int | None) -> Window:
    """Bins within `width` bp around the variant's first base (all bins when None), clipped to the interval.

    Only `variant.start` matters. A variant outside the interval has no valid bin.
    """
    bins = interval.width // resolution
    size = bins if width is None else math.ceil(width / resolution)
    offset = variant.start - interval.start
    first = 0 if width is None else offset // resolution - size // 2
    low, high = max(first, 0), min(first + size, bins)
    if variant.chromosome != interval.chromosome or not 0 <= offset < interval.width:
        high = low
    # The window read is never shorter than `size`: at an edge it moves inwards and `valid` excludes the surplus.
    read = min(size, bins)
    start = min(max(first, 0), bins - read)
    valid = np.arange(start, start + read)
    return Window(np.asarray(start, np.int32), (valid >= low) & (valid < high))


class CenterMaskScorer(AbstractScorer):
    """Compares REF and ALT in a window centred on the variant, without aligning indels. One item.

    - `modality`: any modality with predictions [position, track], at any resolution.
    - `width`: bp, one of `WIDTHS`; None takes the whole interval.
    - `aggregation`: an `Aggregation` or its name.

    A window without valid bins (a variant outside the interval) has sums of 0 and means of NaN.
    Raises ValueError for settings that are none of these.
    """

    modality: str = eqx.field(static=True)
    width: int | None = eqx.field(static=True)
    aggregation: Aggregation = eqx.field(static=True)
    requires: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        modality: str,
        width: int | None = 501,
        aggregation: Aggregation | str = Aggregation.DIFF_LOG2_SUM,
    ):
        if width not in WIDTHS:
            raise ValueError(f"width {width!r} bp; expected one of {WIDTHS}, None for the whole interval")
        try:
            self.aggregation = Aggregation(aggregation)
        except ValueError:
            raise ValueError(f"aggregation {aggregation!r}; expected one of {', '.join(Aggregation)}") from None
        self.modality = check_modality(modality)
        self.width = width

    @property
    def name(self) -> str:
        """The reference's text form, which calibration tables use as their key."""
        return (
            f"CenterMaskScorer(requested_output={self.modality.upper()}, width={self.width}, "
            f"aggregation_type={self.aggregation.name})"
        )

    @property
    def signed(self) -> bool:
        """Whether swapping the alleles changes the sign."""
        return self.aggregation.name.startswith("DIFF")

    def items(self, interval: Interval, variant: Variant, resolution: int, resources: Mapping[str, Any]) -> Items:
        """One item without coordinates; the masks are a `Window`."""
        return Items(window(interval, variant, resolution, self.width), {})

    def spans(self, items: Items) -> list[tuple[int, int]]:
        """The window."""
        start = int(items.masks.start)
        return [(start, start + len(items.masks.valid))]

    def restrict(self, masks: Window, layouts: Mapping[str, Layout]) -> Window:
        """The window, where it lies now."""
        return masks._replace(start=layouts[self.modality].places(masks.start).astype(np.int32))

    def score(
        self,
        ref: Float[Array | np.ndarray, "position track"],
        alt: Float[Array | np.ndarray, "position track"],
        masks: Window,
    ) -> Float[Array, "item track"]:
        """One row of scores; reads only the window."""
        ref, alt = self._windows(ref, alt, masks)
        return aggregate(ref, alt, masks.valid, self.aggregation)[None]

    def alleles(
        self,
        ref: Float[Array | np.ndarray, "position track"],
        alt: Float[Array | np.ndarray, "position track"],
        masks: Window,
    ) -> tuple[Float[Array, "item track"], Float[Array, "item track"]] | None:
        """What is subtracted; for L2 norms, which have no such pair, sums (of log1p, where the norm is of these)."""
        ref, alt = self._windows(ref, alt, masks)
        return summed(ref, masks.valid, self.aggregation)[None], summed(alt, masks.valid, self.aggregation)[None]

    def _windows(
        self,
        ref: Float[Array | np.ndarray, "position track"],
        alt: Float[Array | np.ndarray, "position track"],
        masks: Window,
    ) -> tuple[Float[Array, "bin track"], Float[Array, "bin track"]]:
        size = masks.valid.shape[0]
        if ref.ndim != 2 or ref.shape[0] < size:
            raise ValueError(
                f"{self.modality} predictions of shape {ref.shape} cannot be read in a window of {size} bins; "
                "expected [position, track] over the interval that the masks were made for"
            )
        return (
            jax.lax.dynamic_slice_in_dim(jnp.asarray(ref), masks.start, size),
            jax.lax.dynamic_slice_in_dim(jnp.asarray(alt), masks.start, size),
        )


def aggregate(
    ref: Float[Array | np.ndarray, "position track"],
    alt: Float[Array | np.ndarray, "position track"],
    valid: Bool[Array | np.ndarray, " position"],
    aggregation: Aggregation,
) -> Float[Array, " track"]:
    """The formulas of `Aggregation` over the valid rows, with float32 sums."""
    ref, alt = (jnp.asarray(values, jnp.float32) for values in (ref, alt))

    def total(values: Array) -> Array:
        return jnp.sum(jnp.where(valid[:, None], values, 0.0), axis=0)

    count = jnp.sum(valid, dtype=jnp.float32)
    # Differences are taken before scaling: fused multiply-adds would leave a residue where both alleles are equal.
    match aggregation:
        case Aggregation.DIFF_MEAN:
            return (total(alt) - total(ref)) / count
        case Aggregation.DIFF_SUM:
            return total(alt) - total(ref)
        case Aggregation.DIFF_SUM_LOG2:
            return total(jnp.log2(1 + alt)) - total(jnp.log2(1 + ref))
        case Aggregation.DIFF_LOG2_SUM:
            return (jnp.log(1 + total(alt)) - jnp.log(1 + total(ref))) / math.log(2)
        case Aggregation.L2_DIFF:
            return jnp.sqrt(total((alt - ref) ** 2))
        case Aggregation.L2_DIFF_LOG1P:
            # The logarithm of the ratio: 0 for equal alleles, however a compiler contracts it.
            return jnp.sqrt(total(jnp.log1p((alt - ref) / (1 + ref)) ** 2))
        case Aggregation.ACTIVE_MEAN:
            return jnp.maximum(total(alt), total(ref)) / count
        case Aggregation.ACTIVE_SUM:
            return jnp.maximum(total(alt), total(ref))


def summed(
    values: Float[Array, "position track"], valid: Bool[Array | np.ndarray, " position"], aggregation: Aggregation
) -> Float[Array, " track"]:
    """What an `Aggregation` makes of one allele."""
    if aggregation is Aggregation.DIFF_SUM_LOG2:
        values = jnp.log2(1 + values)
    if aggregation is Aggregation.L2_DIFF_LOG1P:
        values = jnp.log1p(values)
    total = jnp.sum(jnp.where(valid[:, None], values.astype(jnp.float32), 0.0), axis=0)
    if aggregation is Aggregation.DIFF_LOG2_SUM:
        return jnp.log2(1 + total)
    if aggregation in (Aggregation.DIFF_MEAN, Aggregation.ACTIVE_MEAN):
        return total / jnp.sum(valid, dtype=jnp.float32)
    return total
