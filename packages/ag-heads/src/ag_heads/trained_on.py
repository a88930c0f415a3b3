"""Which bases a model has seen, so that benchmarks can leave them out."""

from collections.abc import Iterable, Mapping

import pandas as pd
from ag_core.genome import Interval
from ag_data.assemblies import same_name
from ag_data.regions import Regions, regions_table

Seen = Mapping[str, tuple[str, ...]]


def unite(parts: Iterable[Seen | None]) -> Seen | None:
    """Regions of each assembly, as in `ModelSpec.trained_on`, of all parts; None when one of them is not known."""
    tables: dict[str, list[pd.DataFrame]] = {}
    for part in parts:
        if part is None:
            return None
        for assembly, regions in part.items():
            places = (Interval.from_region(region) for region in regions)
            rows = [(place.chromosome, place.start, place.end, "") for place in places]
            tables.setdefault(same_name(assembly), []).append(regions_table(rows))
    return {assembly: write_regions(pd.concat(found, ignore_index=True)) for assembly, found in tables.items()}


def write_regions(table: pd.DataFrame) -> tuple[str, ...]:
    """Merged regions as text, `chr1:1,001-2,000`."""
    merged = Regions(table).table()[["Chromosome", "Start", "End"]].itertuples(index=False)
    return tuple(Interval(str(name), int(start), int(end)).region for name, start, end in merged)
