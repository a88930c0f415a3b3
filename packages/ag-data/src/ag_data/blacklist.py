"""Places where measurements lie: collapsed repeats and the like, listed in a BED file for each assembly.

ENCODE's lists are the usual ones. Windows that overlap them a lot are dropped; in the others the places count as
not measured.
"""

import os

import numpy as np
import pandas as pd
from ag_core.errors import InputError
from ag_core.genome import Interval
from jaxtyping import Bool, Float

from ag_data.regions import Regions, read_regions


class Blacklist:
    """A set of bases that no measurement is believed at. `table` has Chromosome, Start, End (0-based half-open)."""

    def __init__(self, table: pd.DataFrame, source: str = "the blacklist"):
        self.regions = Regions(table, source)

    def __repr__(self) -> str:
        return f"Blacklist({self.regions.size:,} bp)"

    def share(self, windows: pd.DataFrame) -> Float[np.ndarray, " window"]:
        """Share of each window's bases that are listed."""
        return self.regions.count(windows) / np.maximum((windows["End"] - windows["Start"]).to_numpy(), 1)

    def drop(self, windows: pd.DataFrame, most: float = 0.1) -> pd.DataFrame:
        """The windows of which at most the share `most` is listed."""
        if not 0 <= most <= 1:
            raise InputError(f"most={most}: expected a share, from 0 to 1")
        return windows.loc[self.share(windows) <= most].reset_index(drop=True)

    def mask(self, interval: Interval) -> Bool[np.ndarray, " position"]:
        """Which bases of an interval are listed, from its start to its end whatever its strand."""
        return self.regions.mask(interval)


def read_blacklist(path: str | os.PathLike[str]) -> Blacklist:
    """The blacklist in a BED file. Raises InputError, with the line, for anything else."""
    return Blacklist(read_regions(path, "blacklist"), f"blacklist {path}")
