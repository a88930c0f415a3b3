"""What heads ask of their track tables, one for each organism."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
import xarray as xr
from ag_core.layers import Constant
from ag_core.schema import is_padding, strand_partners


def track_count(modality: str, tracks: Sequence[xr.Dataset]) -> int:
    """Slots of a head, which all organisms share. Raises ValueError when their tables differ in length."""
    sizes = {table.sizes["track"] for table in tracks}
    if len(sizes) != 1:
        raise ValueError(f"{modality}: organisms have {sorted(sizes)} tracks; pad the tables to equal length")
    return sizes.pop()


def real_tracks(tracks: Sequence[xr.Dataset]) -> Constant:
    """Bool [organism, track]: which slots are no padding."""
    return Constant(jnp.asarray(np.stack([~is_padding(table) for table in tracks])))


def partner_tracks(tracks: Sequence[xr.Dataset]) -> Constant:
    """Int [organism, track]: each slot's partner on the other strand (`strand_partners`)."""
    return Constant(jnp.asarray(np.stack([strand_partners(table) for table in tracks])))
