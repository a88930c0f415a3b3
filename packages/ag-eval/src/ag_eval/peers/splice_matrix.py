"""The least that a predictor of splicing must beat: how well bases fit donors and acceptors."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ag_core.genome import Variant
from ag_core.interfaces import AbstractPeer
from ag_core.sequence import encode
from jaxtyping import Float

from ag_eval.peers.planning import score_by_plan
from ag_eval.peers.site_changes import SiteChanges
from ag_eval.peers.splice_matrices import REACH, SHIPPED, log_odds, read_matrices, site_scores

CONTEXT = max(map(sum, REACH.values())) + 1


class SpliceMatrix(AbstractPeer):
    """Largest change of a site's log odds within `distance` bp; log odds below 0 count as 0, no site.

    Data: `fasta`; `gtf` for the strand. Nothing is fitted to variants.

    - `order`: 0, bases by themselves (weight matrices); 1, each given the one before.
    - `file`: counts as `ag_eval.peers.splice_matrices.write_matrices` makes them; by default those of GENCODE's sites
      on chr20 without HNF4A's surroundings.
    """

    needs = ("fasta",)
    signed = True
    citation = licence = ""

    def __init__(self, *, order: int = 0, file: str | os.PathLike[str] = SHIPPED, distance: int = 50):
        self._odds, self._distance = log_odds(read_matrices(file), order), distance

    def score(self, variants: Sequence[Variant], data: Mapping[str, Any]) -> Float[np.ndarray, " variant"]:
        """Gains are positive, losses negative; 0 where no site changes, never NaN."""
        changes = SiteChanges(data, context=CONTEXT, distance=self._distance)
        return score_by_plan("splice sites", variants, changes.plan, self._ask)

    def _ask(self, sequences: Sequence[str]) -> list[np.ndarray]:
        scores = (site_scores(encode(sequence), self._odds) for sequence in sequences)
        return [np.maximum(each, 0)[CONTEXT:-CONTEXT] for each in scores]
