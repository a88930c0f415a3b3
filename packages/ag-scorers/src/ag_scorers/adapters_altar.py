"""`altar` (kundajelab, 0.3) scores with a model of this suite: a model plugin `AGENOME` that runs in its process.

    request = ScoringRequest(..., configuration=plugin.parse_configuration({"model": {"uri": "mini", "digest": ...}}))

- The configuration names the model (`uri`: a name or a folder; `digest`: that of `agenome model info`, after
  "sha256:"), scorers, tracks, and the annotation with its digest. The run inputs name the genome (FASTA, with the
  digest of its file) and, batch by batch, the variants.
- Of each variant altar keeps one row: the strongest score, as `agenome score --top` ranks them, and the table
  `track_scores`: a row for each scorer, item and track.
- An allele that cannot be scored has no row and is told in the log: altar counts it, and tries it again.

Needs `pip install altar`, which is for Python 3.12 and later; nothing else of this suite imports this module.
"""

# pyright: reportMissingImports=false

import asyncio
import collections
import functools
import logging
import pathlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa
from ag_core._version import __version__
from ag_core.errors import InputError
from ag_core.genome import Variant
from ag_data.fasta import Fasta
from ag_data.variants import Call, Status, check_calls
from altar.models import (
    ApiVersionRange,
    DetailSchema,
    InlineScoringPlan,
    ModelConfiguration,
    ModelPlugin,
    ModelRunInputs,
    OutputSelection,
    PluginCapability,
    PluginKind,
    PluginManifest,
    PrioritizationPolicy,
    ReferenceGenomeRunInputs,
    ResourceReference,
    ResultField,
    ResultSchema,
    RuntimeContext,
    RuntimeIdentityPolicy,
    RuntimeKind,
    RuntimeRequirement,
    SavedConfiguration,
    ScoringRequest,
    VariantKey,
    require_resource_digests,
    verify_file,
)
from altar.predicates import Col, Ge, Lit, Predicate
from altar.scoring import DetailResultBatch, InlineScoringResult
from pydantic import field_validator, model_validator

from ag_scorers.calibration import calibrate_results, load_calibration
from ag_scorers.results import Result
from ag_scorers.scoring import open_engine
from ag_scorers.tidy import Tidy

EXECUTOR = "agenome.score"
DETAILS = "track_scores"
# Columns of our tables that tell a row's scorer, item and track, and what altar calls their types.
_KEYS = {
    "scorer": "str",
    "output": "str",
    "track": "str",
    "track_strand": "str",
    "gene": "str",
    "gene_name": "str",
    "junction_start": "int",
    "junction_end": "int",
    "item": "str",
}
_NUMBERS = ("score", "quantile", "tail")
_TOP = ("scorer", "output", "track", "gene_name", *_NUMBERS)
# A common variant is this far out on a given track once in a thousand; no correction for the number of tracks.
_NOTABLE_TAIL = 3.0
_log = logging.getLogger(__name__)


def _field(name: str, kind: str) -> Any:
    words = name.replace("_", " ")
    return ResultField(name, kind, words.title(), f"{words} of docs/score-outputs.md, tables")


class AgenomeConfiguration(ModelConfiguration):
    """What is scored with what; all of it is part of altar's identity of a score."""

    model: ResourceReference
    annotation: ResourceReference | None = None
    scorers: tuple[str, ...] = ()
    tracks: str = ""
    organism: str | None = None
    window: int | None = None
    precision: str = "float32"

    @field_validator("scorers", mode="after")
    @classmethod
    def _sorted(cls, scorers: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(sorted(set(scorers)))

    @model_validator(mode="after")
    def _told_apart(self) -> "AgenomeConfiguration":
        require_resource_digests(self, owner="AGENOME")
        return self


class AgenomeRunInputs(ReferenceGenomeRunInputs):
    """The genome, and the ids of the variants of one batch (altar's canonical keys)."""

    variants: tuple[str, ...] = ()

    @field_validator("variants", mode="after")
    @classmethod
    def _canonical(cls, variants: tuple[str, ...]) -> tuple[str, ...]:
        for variant in variants:
            VariantKey.require_canonical(variant)
        if len(set(variants)) != len(variants):
            raise ValueError("a variant is given twice; prepare_scoring_batches leaves duplicates out")
        return variants


class AgenomeRuntime(RuntimeContext):
    """How, not what: `batch_size` is the number of variants in one forward pass."""

    __slots__ = ("batch_size",)

    def __init__(self, batch_size: int = 2):
        self.batch_size = batch_size


class _Scorer:
    """An open model with its genome, annotation and quantiles, for one configuration."""

    def __init__(self, configuration: AgenomeConfiguration, genome: ResourceReference, batch_size: int):
        self.fasta = Fasta(_verified(genome))
        self.engine = open_engine(
            self.fasta,
            gtf=None if configuration.annotation is None else _verified(configuration.annotation),
            model=configuration.model.uri,
            scorers=configuration.scorers,
            tracks=configuration.tracks,
            organism=configuration.organism,
            window=configuration.window,
            precision=configuration.precision,
            batch_size=batch_size,
        )
        found = f"sha256:{self.engine.checkpoint.digest}"
        if found != configuration.model.digest:
            raise InputError(
                f"model {configuration.model.uri} has the digest {found}, the configuration says "
                f"{configuration.model.digest}; `agenome model info` prints it"
            )
        self.calibration = load_calibration("auto", self.engine)
        columns = ["quantile", "tail"] if self.calibration else []
        self.tidy = Tidy(self.engine.templates(), columns)

    def results(self, keys: Sequence[VariantKey]) -> list[Result]:
        """A result for each variant, in order."""
        calls = []
        for number, key in enumerate(keys):
            fields = key.chromosome, key.position, key.reference_allele, key.alternate_allele
            calls.append(Call(number, 0, *fields, status=Status.SCORED, variant=Variant(*fields)))
        checked = check_calls(calls, self.fasta, max_length=self.engine.window // 2)
        return calibrate_results(list(self.engine.run(checked)), self.calibration)


def _verified(resource: ResourceReference) -> pathlib.Path:
    path = pathlib.Path(resource.uri.removeprefix("file://"))
    if not path.is_file():
        raise InputError(f"{resource.uri} is no file here; give the genome and the annotation as local paths")
    verify_file(path, resource.digest)
    return path


# One at a time: a model may fill a device.
_open = functools.lru_cache(maxsize=1)(_Scorer)


def _rows(variant: str, table: pa.Table) -> list[dict[str, Any]]:
    """A detail row for each row of a tidy table that has a score; columns that it lacks are None."""
    names = (*_KEYS, *_NUMBERS)
    columns = {name: table[name].to_pylist() for name in names if name in table.column_names}
    rows = ({name: columns[name][row] if name in columns else None for name in names} for row in range(len(table)))
    return [{"variant_id": variant} | row for row in rows if row["score"] is not None]


def _strength(row: Mapping[str, Any]) -> tuple[float, ...]:
    return tuple(abs(row[name]) if row[name] is not None else -1.0 for name in ("quantile", "tail", "score"))


def _primary(variant: str, rows: Sequence[Mapping[str, object]]) -> dict[str, object]:
    top = max(rows, key=_strength, default={})
    return {"variant_id": variant} | {f"top_{name}": top.get(name) for name in _TOP} | {"n_scores": len(rows)}


class AgenomePlugin(ModelPlugin):
    """Scores inline, with a model of this suite on this machine."""

    model_type = "AGENOME"
    manifest = PluginManifest(
        plugin_id="ag-scorers.altar.agenome",
        kind=PluginKind.MODEL,
        capabilities=frozenset({PluginCapability.SCORE, PluginCapability.MATERIALIZE_RESULTS}),
        architecture="AlphaGenome",
        plugin_version="0.1.0",
        altar_api=ApiVersionRange("0.1.0", "0.2.0"),
        configuration_schema_version="0.1.0",
        result_schema=ResultSchema(
            version="0.1.0",
            fields=(
                *(_field(f"top_{name}", "float" if name in _NUMBERS else "str") for name in _TOP),
                ResultField("n_scores", "int", "Scores", "Number of scorers x items x tracks with a score"),
            ),
        ),
        detail_schemas=(
            DetailSchema(
                name=DETAILS,
                version="0.1.0",
                description="One row for each scorer, item and track, as in the tables of `agenome score`",
                fields=(
                    *(_field(name, kind) for name, kind in _KEYS.items()),
                    *(_field(name, "float") for name in _NUMBERS),
                ),
                key_fields=tuple(_KEYS),
                row_count_field="n_scores",
            ),
        ),
        prioritization=PrioritizationPolicy(name="agenome-tail-v1", version="0.1.0"),
        runtimes=(
            RuntimeRequirement(
                name="suite", kind=RuntimeKind.EXTERNAL_SERVICE, policy=RuntimeIdentityPolicy.RECORD_EXACT
            ),
        ),
    )
    configuration_schema_id = "ag-scorers.altar.agenome.configuration"
    configuration_model = AgenomeConfiguration
    run_input_model = AgenomeRunInputs
    default_output = OutputSelection(reducer="strongest")

    def prioritize_predicate(self) -> Predicate:
        """The strongest score is one that a thousandth of common variants reach on that track."""
        return Ge(Col("top_tail"), Lit(_NOTABLE_TAIL))

    def with_run_variants(self, request: ScoringRequest, variants: Sequence[VariantKey]) -> ScoringRequest:
        """The request for exactly these variants."""
        inputs = self.parse_run_inputs_as(request.run_inputs, AgenomeRunInputs)
        ids = [key.variant_id for key in variants]
        return replace(request, run_inputs=AgenomeRunInputs.model_validate(inputs.to_dict() | {"variants": ids}))

    def run_variant_ids(self, run_inputs: ModelRunInputs) -> Sequence[str]:
        """The variants of a batch."""
        return self.parse_run_inputs_as(run_inputs, AgenomeRunInputs).variants

    def scoring_runtime_identities(self, configuration: ModelConfiguration) -> dict[str, str]:
        """The version of the suite; the model's digest is in the configuration."""
        return {"suite": f"ag-scorers {__version__}"}

    def build_scoring_plan(self, request: ScoringRequest) -> InlineScoringPlan:
        """A plan of plain data. Raises ValueError for another output than the default."""
        configuration = self.parse_configuration_as(request.configuration, AgenomeConfiguration)
        inputs = self.parse_run_inputs_as(request.run_inputs, AgenomeRunInputs)
        identity = self.scoring_run_identity(
            self.scoring_runtime_identities(configuration),
            configuration=configuration,
            output=request.output,
            run_inputs=inputs,
        )
        payload: dict[str, Any] = {
            "configuration": self.save_configuration(configuration).to_dict(),
            "run_inputs": inputs.to_dict(),
            "output": request.output.to_dict(),
        }
        return InlineScoringPlan(plugin_identity=identity, executor=EXECUTOR, payload=payload)

    async def execute_inline(
        self, plan: InlineScoringPlan, runtime: RuntimeContext | None = None
    ) -> InlineScoringResult:
        """Scores a plan's variants in a thread, so that the event loop goes on.

        Raises InputError when files or the model are not those of the plan, ValueError for a plan of another plugin.
        """
        if plan.executor != EXECUTOR or plan.plugin_identity.plugin_id != self.manifest.plugin_id:
            raise ValueError(f"the plan is of {plan.plugin_identity.plugin_id}, not of {self.manifest.plugin_id}")
        saved = SavedConfiguration.model_validate(plan.payload["configuration"])
        configuration = self.parse_configuration_as(self.load_configuration(saved), AgenomeConfiguration)
        inputs = self.parse_run_inputs_as(plan.payload["run_inputs"], AgenomeRunInputs)
        batch_size = runtime.batch_size if isinstance(runtime, AgenomeRuntime) else AgenomeRuntime().batch_size
        return await asyncio.to_thread(_score, configuration, inputs, batch_size)


def _score(configuration: AgenomeConfiguration, inputs: AgenomeRunInputs, batch_size: int) -> InlineScoringResult:
    if not inputs.variants:
        return InlineScoringResult(primary_rows=(), details=(DetailResultBatch(name=DETAILS, rows=()),))
    scorer = _open(configuration, inputs.genome, batch_size)
    results = scorer.results([VariantKey.require_canonical(text) for text in inputs.variants])
    left_out = collections.Counter()
    primary, details = [], []
    for variant, result in zip(inputs.variants, results, strict=True):
        if result.call.status is not Status.SCORED:
            left_out[result.call.status.value] += 1
            _log.warning("AGENOME cannot score %s: %s %s", variant, result.call.status.value, result.call.detail)
            continue
        rows = _rows(variant, scorer.tidy.table([result]))
        primary.append(_primary(variant, rows))
        details += rows
    if left_out and not primary:
        told = ", ".join(f"{count} {status}" for status, count in left_out.items())
        raise InputError(f"none of {len(results)} variants can be scored: {told}; see the log for each")
    return InlineScoringResult(
        primary_rows=tuple(primary), details=(DetailResultBatch(name=DETAILS, rows=tuple(details)),)
    )
