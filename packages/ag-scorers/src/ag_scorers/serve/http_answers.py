"""Answers of the HTTP front as OpenAPI describes them; the front makes plain data, these are for readers and tests."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ag_scorers.serve.errors import HTTP_CODES
from ag_scorers.serve.tables import ARROW

_Number = float | None  # null stands for NaN and infinity


class Refusal(BaseModel):
    """Why a request is not answered."""

    error: Literal[*HTTP_CODES, "UNIMPLEMENTED"]  # pyright: ignore[reportInvalidTypeForm]
    detail: str


class Place(BaseModel):
    """0-based half-open, spelt as in the request."""

    chromosome: str
    start: int
    end: int
    strand: Literal["+", "-", "."]


class Track(BaseModel):
    """What is known of a track; columns that are empty are left out, others may be there."""

    model_config = ConfigDict(extra="allow")

    name: str
    strand: Literal["+", "-", "."]


class Junctions(BaseModel):
    """One entry for each row of `values`; 0-based half-open."""

    start: list[int]
    end: list[int]
    strand: list[Literal["+", "-"]]


class OutputAnswer(BaseModel):
    """One output of one allele."""

    allele: Literal["REF", "ALT"] | None = Field(None, description="where a variant was given")
    output: str
    resolution: int = Field(description="bp of a bin")
    shape: list[int] = Field(description="position (, position_2), track; or junction, track")
    interval: Place | None = Field(None, description="where an interval was given")
    tracks: list[Track]
    values: list[Any] = Field(description="nested lists of `shape`, in the track's unit; null for NaN")
    junctions: Junctions | None = None


class Predictions(BaseModel):
    """Outputs that the model has, REF before ALT."""

    outputs: list[OutputAnswer]
    notes: list[str] = Field(description="what was asked for and is not there")


class Row(BaseModel):
    """A score of one item and track; null where there is none, such as a gene on the other strand."""

    model_config = ConfigDict(extra="forbid")

    variant: str = Field("", description="CHROM:POS:REF>ALT, 1-based")
    interval: str = Field("", description="of an interval's scores")
    scorer: str
    output: str
    gene_id: str | None = None
    gene_name: str | None = None
    gene_type: str | None = None
    gene_strand: str | None = None
    junction_start: int | None = None
    junction_end: int | None = None
    track_name: str | None = None
    track_strand: str | None = None
    track_assay: str | None = None
    track_biosample_name: str | None = None
    track_biosample_type: str | None = None
    track_ontology_curie: str | None = None
    track_gtex_tissue: str | None = None
    track_histone_mark: str | None = None
    track_transcription_factor: str | None = None
    score: _Number
    quantile: _Number = Field(description="among common variants, -1 to 1; null without a calibration")


class Scores(BaseModel):
    """Rows in the order of places, scorers, items and tracks."""

    scores: list[Row]
    notes: list[str] = Field(description="scorers that have nothing to say, and why")


class Metadata(BaseModel):
    """What the server is."""

    model: str
    digest: str
    licence: str
    window: int = Field(description="bp that the model was trained on")
    resolutions: dict[str, int] = Field(description="bp of a bin of each output")
    tracks: dict[str, list[Track]]


class Health(BaseModel):
    """Whether requests are taken."""

    status: Literal["serving", "stopping"]


_ERRORS: dict[int | str, dict[str, Any]] = {
    code: {"model": Refusal, "description": status} for status, code in HTTP_CODES.items() if code not in (499, 500)
}
_ERRORS[422] = {"model": Refusal, "description": "INVALID_ARGUMENT: it does not fit this description"}


def responses(answer: type[BaseModel] | None, *, arrow: bool = False) -> dict[int | str, dict[str, Any]]:
    """For a route of FastAPI: its answer, and how it refuses."""
    whole: dict[str, Any] = {} if answer is None else {"model": answer}
    if arrow:
        whole["content"] = {ARROW: {"schema": {"type": "string", "format": "binary"}}}
    return {200: whole, **_ERRORS}
