"""Answers as messages of the wire: outputs, scores, metadata. Source: spec/scoring.md 5.2, 4.1."""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from ag_core.genome import Interval, Variant

from ag_scorers.results import ScorerResult
from ag_scorers.serve.merging import merged
from ag_scorers.serve.predicting import Output
from ag_scorers.serve.protocol import MESSAGES
from ag_scorers.serve.reading import NO_TRACKS, ONTOLOGIES, OUTPUTS, names_of
from ag_scorers.serve.requests import Prediction
from ag_scorers.serve.tensors import pack

JUNCTIONS = NO_TRACKS[1]
STRANDS = {"+": 1, "-": 2, ".": 3}
OUTPUT_NUMBERS = {name: number for number, name in OUTPUTS.items()}
_ONTOLOGY_NUMBERS = {name.upper(): number for number, name in ONTOLOGIES.items()}
_BIOSAMPLES = {name: number for number, name in names_of("BiosampleType").items()}
_ENDS = {name: number for number, name in names_of("Endedness").items()}
# Field of a message <- column of a track table.
_TEXTS = {
    "assay": "assay",
    "gtex_tissue": "gtex_tissue",
    "histone_mark_code": "histone_mark",
    "transcription_factor_code": "transcription_factor",
    "data_source": "data_source",
}
_OF_TISSUES = ("assay", "gtex_tissue", "data_source")


class Catalogue:
    """Track tables as messages, made once: a table may have thousands of rows."""

    def __init__(self, tables: Mapping[tuple[int, str], xr.Dataset]):
        self._tables = tables
        self.tracks = functools.cache(self._tracks)
        self.tissues = functools.cache(self._tissues)

    def _tracks(self, organism: int, modality: str, merge: bool = False) -> tuple[Any, ...]:
        """`TrackMetadata` of a modality's real tracks, perhaps of merged strands; none for what the model lacks."""
        table = self._tables.get((organism, modality))
        if table is None:
            return ()
        return tuple(_track(row, modality) for row in _rows(merged(table) if merge else table))

    def _tissues(self, organism: int, modality: str) -> tuple[Any, ...]:
        """`JunctionMetadata` of a modality's tissues."""
        table = self._tables.get((organism, modality))
        return () if table is None else tuple(_tissue(row) for row in _rows(table))

    def metadata(self, organism: int) -> Any:
        """A `MetadataResponse` with all outputs that have tracks."""
        response = MESSAGES.MetadataResponse()
        for modality, number in OUTPUT_NUMBERS.items():
            if (organism, modality) not in self._tables:
                continue
            one = response.output_metadata.add(output_type=number)
            if modality == JUNCTIONS:
                one.junctions.metadata.extend(self.tissues(organism, modality))
            else:
                one.tracks.metadata.extend(self.tracks(organism, modality))
        return response

    def outputs(
        self,
        request: Prediction,
        alleles: Sequence[Mapping[str, Output]],
        make: Callable[..., Any],
        fields: Sequence[str],
    ) -> Iterator[Any]:
        """Responses for the outputs of each allele: a head in the field of that allele, then its chunks.

        What has been sent is let go.
        """
        for allele, field in zip(alleles, fields, strict=True):
            allele = dict(allele)
            for name in list(allele):
                if name not in OUTPUT_NUMBERS:  # a modality of a third party
                    continue
                head, chunks = self._output(request, allele.pop(name))
                yield make(**{field: head})
                del head
                for chunk in chunks:
                    yield make(tensor_chunk=chunk)
                del chunks

    def _output(self, request: Prediction, output: Output) -> tuple[Any, Iterator[Any]]:
        values, chunks = pack(output.values)
        number = OUTPUT_NUMBERS[output.modality]
        place = None if request.interval is None else interval_message(request.interval)
        if output.junctions is not None:
            known = self.tissues(request.organism, output.modality)
            name = "" if request.interval is None else request.interval.name or request.interval.chromosome
            columns = (output.junctions[key].tolist() for key in ("start", "end", "strand"))
            junctions = [
                MESSAGES.Interval(chromosome=name, start=start, end=end, strand=STRANDS[strand])
                for start, end, strand in zip(*columns, strict=True)
            ]
            data = MESSAGES.JunctionData(
                values=values, metadata=[known[row] for row in output.rows], junctions=junctions, interval=place
            )
            return MESSAGES.Output(output_type=number, junction_data=data), chunks
        tracks = self.tracks(request.organism, output.modality)
        data = MESSAGES.TrackData(
            values=values, metadata=[tracks[row] for row in output.rows], resolution=output.resolution, interval=place
        )
        return MESSAGES.Output(output_type=number, track_data=data), chunks

    def variant_scores(
        self, organism: int, variant: Variant, scores: ScorerResult, merge: bool, make: Callable[..., Any]
    ) -> Iterator[Any]:
        """Responses for one scorer's result."""
        values, chunks = pack(_planes(scores))
        tracks, genes = self._score_tracks(organism, scores, merge), _genes(scores)
        about = MESSAGES.VariantMetadata(variant=variant_message(variant), track_metadata=tracks, gene_metadata=genes)
        data = MESSAGES.VariantData(values=values, metadata=about)
        yield make(output=MESSAGES.ScoreVariantOutput(variant_data=data))
        for chunk in chunks:
            yield make(tensor_chunk=chunk)

    def interval_scores(
        self, organism: int, interval: Interval, scores: ScorerResult, merge: bool, make: Callable[..., Any]
    ) -> Iterator[Any]:
        """Responses for one scorer's result."""
        values, chunks = pack(_planes(scores))
        tracks, genes = self._score_tracks(organism, scores, merge), _genes(scores)
        about = MESSAGES.IntervalMetadata(
            interval=interval_message(interval), track_metadata=tracks, gene_metadata=genes
        )
        data = MESSAGES.IntervalData(values=values, metadata=about)
        yield make(output=MESSAGES.ScoreIntervalOutput(interval_data=data))
        for chunk in chunks:
            yield make(tensor_chunk=chunk)

    def _score_tracks(self, organism: int, scores: ScorerResult, merge: bool) -> Sequence[Any]:
        by_gene = "gene_id" in scores.table and "gene_strand" in scores.table
        return self.tracks(organism, scores.scorer.modality, merge and by_gene)


def _planes(scores: ScorerResult) -> np.ndarray:
    """[1 or 2, row, track]: scores and, where there are any, quantiles."""
    planes = [scores.values] if scores.quantiles is None else [scores.values, scores.quantiles]
    return np.stack(planes).astype(np.float32, copy=False)


def _genes(scores: ScorerResult) -> list[Any]:
    if "gene_id" not in scores.table:
        return []
    columns = {key: np.asarray(values).tolist() for key, values in scores.table.items()}
    found = []
    for row, gene in enumerate(columns["gene_id"]):
        one = MESSAGES.GeneScorerMetadata(gene_id=str(gene))
        for field, key in (("name", "gene_name"), ("type", "gene_type")):
            if key in columns and _known(columns[key][row]):
                setattr(one, field, str(columns[key][row]))
        if columns.get("gene_strand"):
            one.strand = STRANDS[columns["gene_strand"][row]]
        for field in ("junction_start", "junction_end"):
            if field in columns:
                setattr(one, field, int(columns[field][row]))
        found.append(one)
    return found


def interval_message(interval: Interval) -> Any:
    """An `Interval`."""
    strand = STRANDS[interval.strand]
    name = interval.name or interval.chromosome  # as it was spelt in the request
    return MESSAGES.Interval(chromosome=name, start=interval.start, end=interval.end, strand=strand)


def variant_message(variant: Variant) -> Any:
    """A `Variant`."""
    return MESSAGES.Variant(
        chromosome=variant.name or variant.chromosome,
        position=variant.position,
        reference_bases=variant.reference_bases,
        alternate_bases=variant.alternate_bases,
    )


def _rows(table: xr.Dataset) -> list[dict[str, Any]]:
    """Rows of a track table as far as they are known; of `gtex_tissue` an empty text is known, if any row has one."""
    columns = {str(name): table[name].values.tolist() for name in table.data_vars}
    tissues = any(_known(value) for value in columns.get("gtex_tissue", ()))
    rows = []
    for number in range(table.sizes["track"]):
        row = {name: values[number] for name, values in columns.items() if _known(values[number])}
        rows.append({"gtex_tissue": "", **row} if tissues else row)
    return rows


def _known(value: Any) -> bool:
    return value != "" and not pd.isna(value)


def _track(row: Mapping[str, Any], modality: str) -> Any:
    strand = "." if modality == JUNCTIONS else row["strand"]
    one = MESSAGES.TrackMetadata(name=str(row["name"]), strand=STRANDS[strand])
    _describe(one, row, _TEXTS)
    if str(row.get("endedness", "")).lower() in _ENDS:
        one.endedness = _ENDS[str(row["endedness"]).lower()]
    if "genetically_modified" in row:
        one.genetically_modified = str(row["genetically_modified"]).lower() in ("true", "1", "1.0")
    if "nonzero_mean" in row:
        one.nonzero_mean = float(row["nonzero_mean"])
    return one


def _tissue(row: Mapping[str, Any]) -> Any:
    one = MESSAGES.JunctionMetadata(name=str(row["name"]))
    _describe(one, row, _OF_TISSUES)
    return one


def _describe(one: Any, row: Mapping[str, Any], fields: Sequence[str] | Mapping[str, str]) -> None:
    for field in fields:
        if (column := _TEXTS[field]) in row:
            setattr(one, field, str(row[column]))
    prefix, _, number = str(row.get("ontology_curie", "")).partition(":")
    if prefix in _ONTOLOGY_NUMBERS and number.isdecimal():
        one.ontology_term.ontology_type, one.ontology_term.id = _ONTOLOGY_NUMBERS[prefix], int(number)
    if "biosample_name" in row or "biosample_type" in row:
        kind = str(row.get("biosample_type", "")).lower().replace(" ", "_")
        one.biosample.name, one.biosample.type = str(row.get("biosample_name", "")), _BIOSAMPLES.get(kind, 0)
        if "biosample_life_stage" in row:
            one.biosample.stage = str(row["biosample_life_stage"])
