"""Do signed variant scores agree with measured effects? For any VCF with effects in INFO."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from ag_core.checkpoint import Checkpoint
from ag_core.errors import InputError
from ag_core.interfaces import AbstractBenchmark
from ag_core.plugins import registry
from ag_data import Fasta

from ag_eval.metrics import auroc, bootstrap, paired, pearson, spearman
from ag_eval.results import Case, make_results
from ag_eval.variants.measured import read_measured, score_variants

# Below this p-value an effect counts as one, above the second as none; what lies between takes no part in AUROC.
SIGNIFICANT, NEUTRAL = 1e-3, 0.5


class MeasuredVariants(AbstractBenchmark):
    """Spearman, Pearson (signed) and AUROC (size: effect or none) of variant scores, for each modality.

    A variant's score is the mean over all tracks of a modality, of the absolute scores for AUROC: no track is
    chosen by its result. The scorer is `center_mask` with its default settings. The peer `gc_change` scores a
    variant by the G and C it adds. Data: `fasta` and `vcf`, of one assembly. Alleles of one position are drawn
    together for the intervals.

    - `name`: of the benchmark, in the results.
    - `effect`, `p_value`: INFO fields.
    - `modalities`: those to score, as far as the model has them.
    """

    needs = ("fasta", "vcf")
    higher_is_better = True

    def __init__(
        self,
        *,
        name: str,
        effect: str,
        p_value: str,
        citation: str,
        licence: str,
        modalities: Sequence[str] = ("chip_tf", "cage"),
        repeats: int = 1000,
    ):
        self.name, self.effect, self.p_value, self.repeats = name, effect, p_value, repeats
        self.citation, self.licence, self.modalities = citation, licence, tuple(modalities)

    def run(self, model: Checkpoint, data: Mapping[str, Any]) -> xr.Dataset:
        """Results for each modality that the model has. Raises InputError when it has none, or for unfit data."""
        modalities = [modality for modality in self.modalities if modality in model.spec.heads]
        if not modalities:
            known = ", ".join(sorted(model.spec.heads)) or "nothing"
            raise InputError(
                f"model {model.spec.name!r} predicts {known}; {self.name} scores {', '.join(self.modalities)}"
            )
        fasta = Fasta(data["fasta"])
        measured = read_measured(data["vcf"], fasta, (self.effect, self.p_value))
        variants = [each.variant for each in measured]
        effects, p_values = (np.array([each.info[key] for each in measured]) for key in (self.effect, self.p_value))
        positions = np.array([variant.start for variant in variants])
        cases = []
        for modality in modalities:
            scorer = registry().create("scorers", "center_mask", modality=modality)
            scores = score_variants(model, scorer, variants, fasta)
            signed, size = scores.mean(axis=1), np.abs(scores).mean(axis=1)
            group = f"{modality}, {scores.shape[1]} tracks"
            cases += self._cases(group, model.spec.name, effects, p_values, signed, size, positions)
        gc = np.array([_gc(variant.alternate_bases) - _gc(variant.reference_bases) for variant in variants])
        cases += self._cases("sequence", "gc_change", effects, p_values, gc, np.abs(gc), positions)
        return make_results(cases, variants=len(variants), missing=paired(effects)[1])

    def _cases(self, group, model, effects, p_values, signed, size, positions) -> list[Case]:
        kept, _ = paired(effects, signed)
        cases = [
            Case(
                self.name,
                metric.__name__,
                group,
                model,
                bootstrap(metric, effects[kept], signed[kept], blocks=positions[kept], repeats=self.repeats),
            )
            for metric in (spearman, pearson)
        ]
        clear = kept & ((p_values < SIGNIFICANT) | (p_values > NEUTRAL))
        found = bootstrap(
            auroc, p_values[clear] < SIGNIFICANT, size[clear], blocks=positions[clear], repeats=self.repeats
        )
        return [*cases, Case(self.name, "auroc", group, model, found)]


def _gc(bases: str) -> int:
    return bases.count("G") + bases.count("C")
