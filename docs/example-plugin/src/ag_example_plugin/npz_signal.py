"""A source: signal kept as numpy arrays, one for each chromosome, one value for each base."""

import numpy as np
import xarray as xr
from ag_core import AbstractSource, Interval, track_table
from ag_core.errors import InputError


class NpzSource(AbstractSource):
    """An .npz file whose keys are chromosomes and whose values are float arrays [position]."""

    layout = "signal"

    def __init__(self, path, *, resolution: int = 1):
        self.path, self.resolution = path, resolution
        try:
            self._arrays = dict(np.load(path))
        except (OSError, ValueError) as error:
            raise InputError(f"{path} is no .npz file ({error}); write it with numpy.savez") from error

    def tracks(self) -> xr.Dataset:
        """One track, called after the file."""
        return track_table({"name": [self.path.stem], "strand": ["."]})

    def chromosomes(self) -> dict[str, int | None]:
        """All keys, with lengths in bp."""
        return {name: len(values) for name, values in self._arrays.items()}

    def read(self, interval: Interval):
        """Sums over the bins of the interval."""
        values = self._arrays[interval.chromosome][interval.start : interval.end].astype(np.float32)
        return np.add.reduceat(values, np.arange(0, len(values), self.resolution))[:, None]
