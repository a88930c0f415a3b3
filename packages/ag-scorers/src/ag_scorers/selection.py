"""Which tracks of a model's predictions a user wants."""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from ag_core.checkpoint import ModelSpec
from ag_core.errors import InputError
from ag_core.schema import is_padding
from ag_data.query import select_tracks
from jaxtyping import Int


def choose_tracks(
    spec: ModelSpec, organism: int, query: str = ""
) -> tuple[Mapping[str, Int[np.ndarray, " _"]], Mapping[str, xr.Dataset]]:
    """Slots that match a query (see `ag_data.query`; all real ones by default), and their table, by modality.

    Modalities without any are left out. A field that some modalities lack (splice sites have no biosample) is empty
    there. Raises InputError when nothing matches.
    """
    slots: dict[str, np.ndarray] = {}
    tables: dict[str, xr.Dataset] = {}
    all_tables = {modality: spec.tracks(modality, organism) for modality in spec.heads}
    fields = {str(name) for table in all_tables.values() for name in table.data_vars}
    for modality, table in all_tables.items():
        blank = np.full(table.sizes["track"], "", object)
        whole = table.assign({name: ("track", blank) for name in fields - set(table.data_vars)})
        chosen = np.flatnonzero(select_tracks(whole, query) & ~is_padding(table))
        if len(chosen):
            slots[modality], tables[modality] = chosen, table.isel(track=chosen)
    if not slots:
        raise InputError(f"no track of model {spec.name!r} matches {query!r}")
    return slots, tables
