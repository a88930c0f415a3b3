"""Is more predicted in the regions of a BED file than elsewhere?"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from ag_core import AbstractBenchmark, Interval
from ag_data import Fasta
from ag_data.regions import Regions, read_regions, regions_table, tile
from ag_eval import Case, auroc, bootstrap, make_results
from ag_eval.predict import predict
from ag_eval.rows import attach_rows


class MarkedRegions(AbstractBenchmark):
    """AUROC of the mean prediction of windows that overlap the regions, against the others."""

    needs = ("fasta", "regions")
    higher_is_better = True
    citation = licence = "yours"

    def __init__(self, *, modality: str = "chip_tf"):
        self.modality = modality

    def run(self, model: Any, data: Mapping[str, Any]) -> xr.Dataset:
        fasta, marked = Fasta(data["fasta"]), Regions(read_regions(data["regions"]))
        whole = regions_table((name, 0, length, "") for name, length in fasta.lengths.items())
        windows = tile(whole, model.spec.window)
        places = zip(windows["Chromosome"], windows["Start"], windows["End"], strict=True)
        sequences = [fasta.fetch(Interval(*place)) for place in places]
        scores = np.array([output.mean() for output in predict(model, self.modality, sequences)], np.float64)
        found = marked.overlap(windows).astype(np.float64)
        case = Case("marked_regions", "auroc", self.modality, model.spec.name, bootstrap(auroc, found, scores))
        return attach_rows(make_results([case]), found, {model.spec.name: scores}, metric="auroc")
