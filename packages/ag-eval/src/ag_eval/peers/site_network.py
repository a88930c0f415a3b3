"""What CI-SpliceAI and SpliceAI have in common: sites from 5 kb on both sides, changes within some distance."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ag_core.genome import Variant
from jaxtyping import Float

from ag_eval.peers.external import Program, Worker
from ag_eval.peers.planning import score_by_plan
from ag_eval.peers.score_cache import ScoreCache
from ag_eval.peers.site_changes import SiteChanges

CONTEXT = 5000
# Variants asked about together: a sequence takes seconds, and what is not answered is lost with a killed run.
TOGETHER = 8


def score_sites(
    program: Program, variants: Sequence[Variant], data: Mapping[str, Any], distance: int
) -> Float[np.ndarray, " variant"]:
    """The largest change of a site's probability within `distance` bp, from a program that answers as theirs do."""
    changes = SiteChanges(data, context=CONTEXT, distance=distance)
    cache = ScoreCache(program.name, program.version)
    with Worker(program) as worker:
        return score_by_plan(program.name, variants, changes.plan, worker.ask, cache, ("sites", distance), TOGETHER)
