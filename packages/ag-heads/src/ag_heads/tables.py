"""What heads ask of their track tables."""

from collections.abc import Sequence

import xarray as xr


def track_count(modality: str, tracks: Sequence[xr.Dataset]) -> int:
    """Slots of a head, which all organisms share. Raises ValueError when their tables differ in length."""
    sizes = {table.sizes["track"] for table in tracks}
    if len(sizes) != 1:
        raise ValueError(f"{modality}: organisms have {sorted(sizes)} tracks; pad the tables to equal length")
    return sizes.pop()
