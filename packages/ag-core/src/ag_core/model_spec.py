"""Everything about a model but its arrays, and its form as plain data for `model.json`."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from ag_core.config import BackboneConfig, check_length
from ag_core.errors import InputError
from ag_core.schema import track_table

FORMAT = 1


@dataclasses.dataclass(frozen=True)
class HeadSpec:
    """How to build a head: the plugin's name, options beyond its defaults, a track table for each organism."""

    plugin: str
    tracks: tuple[xr.Dataset, ...]
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class ModelSpec:
    """Everything about a model but its arrays. `window` is the input length in bp it was made for.

    `trained_on`: for each assembly the regions ("chr1:1-2,000", 1-based) that it, what it started from or its teachers
    saw in training; None where nobody knows. Raises InputError unless there is one track table, and one row of the
    backbone's tables, for each organism.
    """

    name: str
    backbone: BackboneConfig
    heads: Mapping[str, HeadSpec]
    organisms: tuple[str, ...]
    window: int
    licence: str
    notes: str = ""
    trained_on: Mapping[str, tuple[str, ...]] | None = None

    def __post_init__(self):
        known = len(self.organisms)
        if self.backbone.organisms not in (0, known):
            raise InputError(
                f"model {self.name!r}: backbone for {self.backbone.organisms} organisms, but {known} named"
            )
        for modality, head in self.heads.items():
            if len(head.tracks) != known:
                raise InputError(
                    f"model {self.name!r}: {modality} has {len(head.tracks)} track tables, expected one for each of "
                    f"{', '.join(self.organisms)}"
                )
        try:
            check_length(self.window)
        except ValueError as error:
            raise InputError(f"model {self.name!r}: window: {error}") from error

    def organism(self, name: str | None = None) -> int:
        """Index of an organism (the first by default). Raises InputError for one the model does not know."""
        if name is None:
            return 0
        if name not in self.organisms:
            raise InputError(f"model {self.name!r} knows {', '.join(self.organisms)}, not {name!r}")
        return self.organisms.index(name)

    def tracks(self, modality: str, organism: int = 0) -> xr.Dataset:
        """Track table of a modality, padding included, with the modality in its attributes.

        Raises InputError for a modality that the model does not predict.
        """
        if modality not in self.heads:
            raise InputError(f"model {self.name!r} predicts {', '.join(sorted(self.heads))}, not {modality!r}")
        return self.heads[modality].tracks[organism].assign_attrs(modality=modality)


def _table_to_json(table: xr.Dataset) -> dict[str, list[Any]]:
    def plain(value):
        value = value.item() if isinstance(value, np.generic) else value
        return None if isinstance(value, float) and np.isnan(value) else value

    return {str(key): [plain(value) for value in table[key].values] for key in table.data_vars}


def _table_from_json(columns: Mapping[str, list[Any]]) -> xr.Dataset:
    def typed(values):
        numeric = all(value is None or isinstance(value, int | float) for value in values)
        return [np.nan if value is None and numeric else "" if value is None else value for value in values]

    return track_table({key: typed(values) for key, values in columns.items()})


def spec_to_json(spec: ModelSpec) -> dict[str, Any]:
    """Plain data for `model.json`."""
    return {
        "format": FORMAT,
        "name": spec.name,
        "licence": spec.licence,
        "notes": spec.notes,
        "organisms": list(spec.organisms),
        "window": spec.window,
        "trained_on": spec.trained_on and {name: list(regions) for name, regions in spec.trained_on.items()},
        "backbone": spec.backbone.to_dict(),
        "heads": {
            modality: {
                "plugin": head.plugin,
                "options": dict(head.options),
                "tracks": [_table_to_json(table) for table in head.tracks],
            }
            for modality, head in spec.heads.items()
        },
    }


def spec_from_json(data: Mapping[str, Any]) -> ModelSpec:
    """The inverse of `spec_to_json`."""
    if data["format"] > FORMAT:
        raise InputError(f"written in format {data['format']}, this ag-core reads up to {FORMAT}: upgrade ag-core")
    trained_on = data.get("trained_on")  # earlier ones lack it
    return ModelSpec(
        name=data["name"],
        backbone=BackboneConfig.from_dict(data["backbone"]),
        heads={
            modality: HeadSpec(head["plugin"], tuple(map(_table_from_json, head["tracks"])), head["options"])
            for modality, head in data["heads"].items()
        },
        organisms=tuple(data["organisms"]),
        window=data["window"],
        licence=data["licence"],
        notes=data["notes"],
        trained_on=trained_on and {name: tuple(regions) for name, regions in trained_on.items()},
    )
