"""Which places a model saw in training, as far as it says so: `ModelSpec.trained_on`."""

import os
from typing import NamedTuple

import numpy as np
import pandas as pd
from ag_core.errors import InputError
from ag_core.genome import Interval
from ag_core.model_spec import ModelSpec
from ag_data.assemblies import ASSEMBLIES, same_name
from ag_data.regions import Regions, regions_table
from jaxtyping import Bool
from pyliftover import LiftOver


class Seen(NamedTuple):
    """Which places lie in what was learnt from; `note` says what could not be told, and is empty otherwise."""

    places: Bool[np.ndarray, " place"]
    note: str


def find_seen(
    spec: ModelSpec, assembly: str, places: pd.DataFrame, chain: str | os.PathLike[str] | None = None
) -> Seen:
    """Places have the columns Chromosome, Start, End (0-based, half-open).

    `chain` leads from `assembly` to another one the model saw (UCSC's over.chain); a place whose first base is lifted
    into what was seen there counts. Raises InputError for a chain that cannot be read.
    """
    nothing = np.zeros(len(places), bool)
    if spec.trained_on is None:
        return Seen(nothing, f"{spec.name} does not say what it was trained on")
    assembly = same_name(assembly)
    seen, unchecked = nothing, []
    for other, regions in spec.trained_on.items():
        intervals = [Interval.from_region(region) for region in regions]
        trained = Regions(regions_table((each.chromosome, each.start, each.end, "") for each in intervals))
        if same_name(other) == assembly:
            seen = seen | trained.overlap(places)
        elif _species(other) == _species(assembly):
            if chain is None:
                unchecked.append(other)
                continue
            lifted = lift(places, chain)
            kept = np.flatnonzero(lifted["Start"] >= 0)
            seen = seen.copy()
            seen[kept] |= trained.overlap(lifted.iloc[kept])
    what = ", ".join(unchecked)
    return Seen(seen, f"regions of {what} were not compared: give a chain from {assembly} to it" if what else "")


def lift(places: pd.DataFrame, chain: str | os.PathLike[str]) -> pd.DataFrame:
    """Where the first base of each place lies in the other assembly: one base, or Start -1 where it lies nowhere."""
    try:
        lifter = LiftOver(os.fspath(chain))
    except Exception as error:  # pyliftover raises that itself
        raise InputError(f"chain {chain} cannot be read ({error}); expected UCSC's *.over.chain[.gz]") from error
    rows = []
    for name, start in zip(places["Chromosome"], places["Start"], strict=True):
        text = str(name) if str(name).startswith("chr") else f"chr{name}"
        found = lifter.convert_coordinate(text, int(start)) or []
        rows.append((found[0][0], found[0][1], found[0][1] + 1) if found else (text, -1, -1))
    return pd.DataFrame(rows, columns=["Chromosome", "Start", "End"], index=places.index)


def _species(assembly: str) -> str:
    """Assemblies of one species share their letters (hg19, hg38), as far as they are UCSC's."""
    return assembly.rstrip("0123456789") if assembly in ASSEMBLIES or assembly[-1:].isdigit() else assembly
