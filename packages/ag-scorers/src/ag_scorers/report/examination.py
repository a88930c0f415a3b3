"""All that a report tells of one variant: scores among common variants', both alleles' predictions, and mutagenesis."""

import dataclasses
import os
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import numpy as np
import xarray as xr
from ag_core.errors import InputError
from ag_core.genome import Interval, Variant
from ag_data.altered import AlteredGenome
from ag_data.annotation import Annotation
from ag_data.fasta import Fasta
from ag_data.variants import Call, Status
from jaxtyping import Float

from ag_scorers.calibration import calibrate_results, load_calibration
from ag_scorers.center_mask import CenterMaskScorer
from ag_scorers.digests import provenance
from ag_scorers.engine import Engine
from ag_scorers.mutagenesis.contributions import as_letters
from ag_scorers.mutagenesis.saturation import Changes, Mutagenesis
from ag_scorers.prediction import predict_variant
from ag_scorers.report.place import describe_place, gene_names
from ag_scorers.report.strongest import Effect, count_beyond, strongest
from ag_scorers.report.words import summary
from ag_scorers.results import Result
from ag_scorers.scoring import asked_for, open_engine

# Bp on either side of the variant that are mutated.
AROUND = 20


@dataclasses.dataclass(frozen=True)
class Logos:
    """Contributions of the bases around a variant, for the track on which it does most.

    `ref` and `alt` are over `interval`, each with the letters that allele has, ALT in its own coordinates; `effect` is
    what every substitution of REF does, whose letters are `bases`.
    """

    interval: Interval
    title: str
    ref: Float[np.ndarray, "position base"]
    alt: Float[np.ndarray, "position base"]
    effect: Float[np.ndarray, "position base"]
    bases: str


@dataclasses.dataclass(frozen=True)
class Examination:
    """What was found of one variant. Without details, only scores."""

    variant: Variant
    place: str
    genes: Sequence[str]
    words: Sequence[str]
    effects: Mapping[str, Sequence[Effect]]
    beyond: tuple[int, int]
    result: Result
    interval: Interval
    ref: xr.DataTree | None = None
    alt: xr.DataTree | None = None
    logos: Logos | None = None


class Examiner:
    """A model, a genome and their calibration, ready to look at variants; `options` are those of `open_engine`.

    Raises InputError for files and settings that cannot be used.
    """

    def __init__(
        self,
        fasta: str | os.PathLike[str],
        *,
        gtf: str | os.PathLike[str] | None = None,
        model: str | os.PathLike[str] = "mini",
        calibration: str = "auto",
        **options: Any,
    ):
        self.fasta = Fasta(fasta)
        self.engine: Engine = open_engine(self.fasta, gtf=gtf, model=model, alleles=True, **options)
        self.calibration = load_calibration(calibration, self.engine, model=str(model))
        self.annotation: Annotation | None = self.engine.resources.get("genes")
        self._asked = asked_for(gtf=gtf, model=model, **options)

    def notes(self) -> list[str]:
        """What the reader should know: what was left out for want of something."""
        notes = list(self.calibration.notes) if self.calibration else []
        if self.annotation is None:
            notes.append("No annotation was given (--gtf): nothing is said of genes, expression and splicing.")
        if not self.calibration:
            notes.append("This model has no table of common variants: nothing says which scores are unusual.")
        return notes

    def provenance(self, chromosomes: Iterable[str]) -> dict[str, str]:
        """What made the report."""
        return provenance(self.engine, chromosomes, self._asked)

    def check(self, variant: Variant) -> Variant:
        """The variant with the FASTA's spelling of its chromosome. Raises InputError where REF is not what is there."""
        checked = AlteredGenome(self.fasta, variant).variant
        if max(len(checked.reference_bases), len(checked.alternate_bases)) > self.engine.window // 2:
            raise InputError(f"{variant.as_truncated_str()} is longer than half the window ({self.engine.window:,} bp)")
        return checked

    def examine(self, variant: Variant, *, details: bool = True) -> Examination:
        """Everything of one variant; without `details`, what scores tell. Raises InputError if it cannot be scored."""
        variant = self.check(variant)
        bases = variant.reference_bases, variant.alternate_bases
        call = Call(0, 0, variant.chromosome, variant.position, *bases, variant=variant)
        result = next(iter(self.engine.run([call])))
        if result.call.status is not Status.SCORED:
            raise InputError(f"{variant} could not be scored: {result.call.detail}")
        if self.calibration:
            (result,) = calibrate_results([result], self.calibration)
        effects = strongest(result.scores)
        place = describe_place(self.annotation, variant) if self.annotation else ""
        beyond = count_beyond(result.scores)
        found = Examination(
            variant,
            place,
            gene_names(self.annotation, variant) if self.annotation else [],
            summary(variant, place, effects, beyond, bool(self.calibration)),
            effects,
            beyond,
            result,
            self.engine.interval(variant),
        )
        if not details:
            return found
        _, ref, alt = predict_variant(self.engine, variant, align=True)
        return dataclasses.replace(found, ref=ref, alt=alt, logos=self._logos(variant, effects))

    def _logos(self, variant: Variant, effects: Mapping[str, Sequence[Effect]]) -> Logos | None:
        """Mutagenesis around the variant, on REF and on ALT, by the centre-mask scorer that says most of it."""
        around = {
            key: own[0]
            for key, own in effects.items()
            if own[0].signed and isinstance(self.engine.scorers[key], CenterMaskScorer)
        }
        if not around:
            return None
        key = max(around, key=lambda name: around[name].unusual)
        best = around[key]
        longest = max(0, -variant.size_change)
        interval = Interval(variant.chromosome, variant.start - AROUND, variant.end + AROUND + longest)
        matrices = []
        effect, bases = np.zeros((0, 4), np.float32), ""
        for altered in (None, AlteredGenome(self.fasta, variant)):
            engine = self._mutating(key, altered)
            # Each allele over as many bases, from the same left end.
            span = interval if altered is None else Interval(interval.chromosome, *_ends(altered, interval))
            work = Mutagenesis(engine, span, Changes(), altered)
            tree = work.effects(work.run(work.calls()), {})
            data = tree[key].to_dataset()
            track = _track(data, best)
            shown = data.isel(track=track)
            matrices.append(as_letters(shown)[: interval.width])
            if altered is None:
                effect, bases = shown["effect"].values, "".join(data["reference"].values)
        title = f"{best.about} ({best.key})"
        return Logos(interval, title, matrices[0], matrices[1], effect, bases)

    def _mutating(self, key: str, altered: AlteredGenome | None) -> Engine:
        """An engine with that scorer alone, on REF or on ALT."""
        engine = self.engine
        return Engine(
            engine.checkpoint,
            cast(Fasta, altered) if altered else engine.fasta,
            {key: engine.scorers[key]},
            organism=engine.checkpoint.spec.organisms[engine.organism],
            window=engine.window,
            batch_size=16,
            partial=True,
        )


def read_variant(text: str) -> Variant:
    """A variant from text. Raises InputError."""
    try:
        return Variant.from_str(text, None)
    except ValueError as error:
        raise InputError(f"variant: {error}") from error


def _ends(altered: AlteredGenome, interval: Interval) -> tuple[int, int]:
    """The span of REF whose bases in ALT are at least as many as those of `interval`, from the same left end."""
    change = altered.variant.size_change
    return interval.start, interval.end + max(0, -change)


def _track(data: xr.Dataset, effect: Effect) -> int:
    names, strands = data["name"].values, data["strand"].values
    return int(np.flatnonzero((names == effect.track) & (strands == effect.strand))[0])


def is_file_of_variants(text: str) -> bool:
    """Whether a text names a VCF or BCF file."""
    return pathlib.Path(text).name.endswith((".vcf", ".vcf.gz", ".bcf"))
