"""SpliceAI (Jaganathan et al. 2019) from its package, in an environment of its own."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ag_core.genome import Variant
from ag_core.interfaces import AbstractPeer
from jaxtyping import Float

from ag_eval.peers.external import SCRIPTS, Program
from ag_eval.peers.site_network import score_sites

PROGRAM = Program("spliceai", "1.3.1", SCRIPTS / "run_spliceai.py")


class SpliceAi(AbstractPeer):
    """Largest change of a site's probability within `distance` bp. Data: `fasta`; `gtf` for the strand.

    Its weights may be used for comparison alone: neither pass them on nor learn from them.
    """

    needs = ("fasta",)
    signed = True
    citation = "SpliceAI, Jaganathan et al. 2019, Cell 176:535"
    licence = "GPL-3.0 (code), CC BY-NC 4.0 (weights): compare only"

    def __init__(self, *, distance: int = 50):
        self._distance = distance

    def score(self, variants: Sequence[Variant], data: Mapping[str, Any]) -> Float[np.ndarray, " variant"]:
        """Gains are positive, losses negative. Raises InputError when the package cannot run."""
        return score_sites(PROGRAM, variants, data, self._distance)
