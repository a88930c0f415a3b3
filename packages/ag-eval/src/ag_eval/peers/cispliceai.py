"""CI-SpliceAI (Strauch et al. 2022) from its package, in an environment of its own."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ag_core.genome import Variant
from ag_core.interfaces import AbstractPeer
from jaxtyping import Float

from ag_eval.peers.external import SCRIPTS, Program
from ag_eval.peers.site_network import score_sites

PROGRAM = Program("cispliceai", "1.2.2", SCRIPTS / "run_cispliceai.py")


class CiSpliceAi(AbstractPeer):
    """Largest change of a site's probability within `distance` bp. Data: `fasta`; `gtf` for the strand."""

    needs = ("fasta",)
    signed = True
    citation = "CI-SpliceAI, Strauch et al. 2022, PLOS ONE 17:e0269159"
    licence = "CC BY 4.0"

    def __init__(self, *, distance: int = 50):
        self._distance = distance

    def score(self, variants: Sequence[Variant], data: Mapping[str, Any]) -> Float[np.ndarray, " variant"]:
        """Gains are positive, losses negative. Raises InputError when the package cannot run."""
        return score_sites(PROGRAM, variants, data, self._distance)
