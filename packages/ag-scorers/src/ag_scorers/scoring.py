"""From files to scores in one call: what `agenome score` and Python users share.

import ag_scorers
tree = ag_scorers.score("in.vcf.gz", fasta="ref.fa", gtf="genes.gtf.gz")
tree["CHIP_TF"]["score"]                     # (item, track)
"""

import collections
import os
import pathlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import xarray as xr
from ag_core.checkpoint import load
from ag_core.errors import InputError
from ag_core.genome import Variant
from ag_core.interfaces import AbstractScorer
from ag_core.precision import Precision
from ag_data.annotation import read_gtf
from ag_data.fasta import Fasta
from ag_data.polyadenylation import read_polyadenylation
from ag_data.reference import reference_report
from ag_data.splice_sites import annotated_sites, read_splice_sites
from ag_data.variants import Call, Status, check_calls, read_header, read_variants

from ag_scorers.dataset import to_datatree
from ag_scorers.digests import provenance
from ag_scorers.engine import Engine
from ag_scorers.parity import Parity, read_parity
from ag_scorers.recommended import HUMAN, RECOMMENDED, create_scorer, parse_scorer, recommended
from ag_scorers.results import Result

DEFAULT_SCORERS = "recommended"
MAX_MISMATCH = 0.05
# Modalities whose predictions are not [position, track].
NOT_TRACKS = ("contact_maps", "splice_junctions")


def _defaults(
    resolutions: Mapping[str, int], resources: Iterable[str], organism: str, parity: Parity
) -> dict[str, AbstractScorer]:
    """The recommended scorers that can run; with genes at hand, at least one of them answers by gene."""
    known = recommended(resolutions, organism, parity=parity)
    chosen = {key: scorer for key, scorer in known.items() if set(scorer.requires) <= set(resources)}
    if "genes" in resources and not any("genes" in scorer.requires for scorer in chosen.values()):
        # A model without RNA-seq: what happens to its 1-bp tracks over each gene's exons.
        for modality in (name for name, resolution in resolutions.items() if resolution == 1):
            chosen[f"{modality.upper()}_GENE"] = create_scorer("gene_mask_lfc", {"modality": modality}, parity)
    return chosen


def choose_scorers(
    texts: Iterable[str],
    resolutions: Mapping[str, int],
    resources: Iterable[str],
    organism: str = HUMAN,
    *,
    parity: Parity | str | bool = Parity.FIXED,
) -> dict[str, AbstractScorer]:
    """Scorers by result key; "recommended" (or nothing) stands for the recommended ones that can run.

    `resolutions` are the model's modalities and their output resolution in bp; a scorer without a modality stands for
    one for each of these along the sequence, so not for contact maps and junctions. Of the recommended scorers, those
    that need a resource which was not given are left out; one asked for by name is kept, so that the engine can
    say what it lacks. `parity` goes to every scorer that has such a setting and whose text does not give another.
    """
    parity = read_parity(parity)
    chosen: dict[str, AbstractScorer] = {}
    for text in list(texts) or [DEFAULT_SCORERS]:
        if text == DEFAULT_SCORERS:
            chosen |= _defaults(resolutions, resources, organism, parity)
        else:
            scorers = parse_scorer(text, [name for name in resolutions if name not in NOT_TRACKS], parity=parity)
            single = text.upper() if text.upper() in RECOMMENDED else None
            chosen |= {single or scorer.name: scorer for scorer in scorers}
    if not chosen:
        raise InputError(
            f"no recommended scorer fits a model that predicts {', '.join(resolutions)}"
            f"{'' if 'genes' in resources else ' without genes (--gtf)'}; name one with --scorer"
        )
    return chosen


def open_resources(
    gtf: str | os.PathLike[str] | None = None,
    splice_sites: str | os.PathLike[str] | None = None,
    polya: str | os.PathLike[str] | None = None,
) -> dict[str, Any]:
    """What scorers ask for by name: "genes", "splice_sites", "polyadenylation", as far as given. Raises InputError."""
    resources: dict[str, Any] = {}
    if gtf is not None:
        resources["genes"] = read_gtf(gtf)
    if splice_sites is not None:
        resources["splice_sites"] = read_splice_sites(splice_sites)
    elif gtf is not None:
        resources["splice_sites"] = annotated_sites(resources["genes"])
    if polya is not None:
        resources["polyadenylation"] = read_polyadenylation(polya)
    return resources


def open_engine(
    fasta: Fasta,
    *,
    gtf: str | os.PathLike[str] | None = None,
    splice_sites: str | os.PathLike[str] | None = None,
    polya: str | os.PathLike[str] | None = None,
    model: str | os.PathLike[str] = "mini",
    scorers: Iterable[str] = (),
    tracks: str = "",
    organism: str | None = None,
    window: int | None = None,
    precision: Precision | str = Precision.FLOAT32,
    batch_size: int = 2,
    parity: Parity | str | bool = Parity.FIXED,
    **options: Any,
) -> Engine:
    """Loads everything and checks that it goes together; `options` are further ones of `Engine`. Raises InputError.

    - `gtf`: annotation, for scorers by gene.
    - `splice_sites`: table of known sites, as `agenome genome splice-sites` makes; by default those of `gtf`.
    - `polya`: table of polyadenylation sites, as `agenome genome polya` makes.
    - `parity`: "fixed", or "upstream" to repeat the known defects of the reference, in the engine and in its scorers.
    """
    parity = read_parity(parity)
    resources = open_resources(gtf, splice_sites, polya)
    checkpoint = load(model, precision=precision)
    resolutions = {name: min(head.resolutions) for name, head in checkpoint.model.heads.items()}
    organism_name = checkpoint.spec.organisms[checkpoint.spec.organism(organism)]
    chosen = choose_scorers(scorers, resolutions, resources, organism_name, parity=parity)
    return Engine(
        checkpoint,
        fasta,
        chosen,
        resources=resources,
        organism=organism,
        window=window,
        tracks=tracks,
        batch_size=batch_size,
        parity=parity,
        **options,
    )


def asked_for(
    *,
    gtf: str | os.PathLike[str] | None = None,
    splice_sites: str | os.PathLike[str] | None = None,
    polya: str | os.PathLike[str] | None = None,
    scorers: Iterable[str] = (),
    tracks: str = "",
    batch_size: int = 2,
    **options: Any,
) -> dict[str, Any]:
    """Of the options of `open_engine`, what provenance tells beyond what the engine knows; nothing that is not set."""
    files = {"gtf": gtf, "splice_sites": splice_sites, "polya": polya}
    asked: dict[str, Any] = {name: pathlib.Path(path) for name, path in files.items() if path is not None}
    asked |= {"requested": list(scorers) or [DEFAULT_SCORERS], "tracks": tracks, "batch_size": batch_size}
    known = ("model", "organism", "window", "precision", "parity")
    return asked | {name: value for name, value in options.items() if name not in known and value is not None}


def parse_sets(texts: Iterable[str]) -> dict[str, str]:
    """Queries by name, from texts NAME=QUERY. Raises InputError."""
    sets: dict[str, str] = {}
    for text in texts:
        name, equals, query = (part.strip() for part in text.partition("="))
        if not (name and equals and query) or name in sets:
            raise InputError(
                f"track set {text!r}: expected NAME=QUERY with a name of its own, as in liver=HepG2 | liver"
            )
        sets[name] = query
    return sets


class Survey:
    """A first pass over a variant file: what each allele will become, and whether the genome is the right one."""

    def __init__(
        self,
        vcf: str | os.PathLike[str],
        fasta: Fasta,
        max_length: int,
        max_mismatch: float = MAX_MISMATCH,
        *,
        repair: bool = False,
    ):
        """Raises InputError when the file cannot be read, or more than `max_mismatch` of REF alleles differ.

        `repair`: mends alleles before they are compared (`ag_data.vcf.repair`).
        """
        self.vcf, self.fasta, self.max_length, self.repair = vcf, fasta, max_length, repair
        self.statuses: collections.Counter[Status] = collections.Counter()
        self.kinds: collections.Counter[str] = collections.Counter()
        self.chromosomes: set[str] = set()
        self.report = reference_report(self._count(self.calls()), fasta, read_header(vcf), max_mismatch)

    def raw(self) -> Iterator[Call]:
        """All calls as the file has them; reads it again."""
        return read_variants(self.vcf)

    def check(self, calls: Iterable[Call]) -> Iterator[Call]:
        """Calls of the file compared with the genome."""
        if self.repair:
            from ag_data.vcf.repair import repair_calls

            return repair_calls(calls, self.fasta, self.max_length)
        return check_calls(calls, self.fasta, self.max_length)

    def calls(self) -> Iterator[Call]:
        """All calls, checked against the genome; reads the file again."""
        return self.check(self.raw())

    def _count(self, calls: Iterable[Call]) -> Iterator[Call]:
        for call in calls:
            self.statuses[call.status] += 1
            if call.status is Status.SCORED and call.variant is not None:
                self.kinds[kind_of(call.variant)] += 1
                self.chromosomes.add(call.variant.chromosome)
            yield call


def kind_of(variant: Variant) -> str:
    """What it takes to score a variant depends on this: `snv`, `substitution` (same length), `indel`."""
    return "snv" if variant.is_snv else "indel" if variant.is_indel else "substitution"


def score(
    vcf: str | os.PathLike[str],
    *,
    fasta: str | os.PathLike[str],
    gtf: str | os.PathLike[str] | None = None,
    max_mismatch: float = MAX_MISMATCH,
    **options,
) -> xr.DataTree:
    """Scores every alternate allele of a VCF; `options` are those of `open_engine`.

    Returns a tree with `status(call)` at the root and, for each scorer, a child with `score(item, track)`.
    Raises InputError for files and settings that cannot be used.
    """
    genome = Fasta(fasta)
    engine = open_engine(genome, gtf=gtf, **options)
    survey = Survey(vcf, genome, engine.window // 2, max_mismatch)
    results: Iterator[Result] = engine.run(survey.calls())
    return to_datatree(results, provenance(engine, survey.chromosomes, asked_for(gtf=gtf, **options)))
