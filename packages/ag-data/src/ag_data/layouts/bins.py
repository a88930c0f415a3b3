"""Values of a store in bins of a window, whether or not the window lies on the store's grid."""

import numpy as np
from ag_core.errors import InputError
from ag_core.genome import Interval
from jaxtyping import Bool, Shaped

from ag_data.blacklist import Blacklist
from ag_data.layouts.slots import Part


def check_resolution(part: Part, resolution: int) -> None:
    """Raises InputError when a store's bins cannot be put together to bins of `resolution` bp."""
    own = part.store.resolution(part.modality)
    if resolution % own:
        raise InputError(
            f"{part.store.path}: {part.modality} has bins of {own} bp, which do not make up the {resolution} bp that "
            f"are wanted; choose a multiple of {own} bp, or import at a finer resolution"
        )


def bins_dtype(parts: tuple[Part, ...], resolution: int) -> np.dtype:
    """The type of values at `resolution` bp: that of the stores for single bases, float32 for sums and shares."""
    if resolution > 1 or not parts:
        return np.dtype(np.float32)
    return np.result_type(*(np.dtype(part.store.attributes(part.modality)["dtype"]) for part in parts))


def read_bins(part: Part, interval: Interval, resolution: int) -> Shaped[np.ndarray, "bin track"]:
    """Sums over bins of `resolution` bp from the interval's start on; NaN where any of it was not measured.

    Where the interval is off the store's grid, each of the store's bins is shared out among two in proportion to the
    bases in each, as if its signal were spread evenly.
    """
    own = part.store.resolution(part.modality)
    off = interval.start % own
    low, high = interval.start - off, interval.end - off + (own if off else 0)
    values = part.store.read(part.modality, Interval(interval.chromosome, low, high), part.wanted)
    if off:
        share = np.float32(off / own)
        values = (1 - share) * values[:-1] + share * values[1:]
    if resolution > own:
        group = resolution // own
        values = values.reshape(-1, group, values.shape[-1]).sum(axis=1, dtype=np.float32)
    return values


def listed_bins(blacklist: Blacklist, interval: Interval, resolution: int) -> Bool[np.ndarray, " bin"]:
    """Which bins of an interval hold a listed base."""
    mask = blacklist.mask(interval)
    return mask if resolution == 1 else np.any(mask.reshape(-1, resolution), axis=1)
