"""Variants with measured effects, and one signed score for each and every track."""

import dataclasses
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import equinox as eqx
import numpy as np
import pysam
from ag_core.checkpoint import Checkpoint
from ag_core.errors import InputError
from ag_core.genome import Interval, Variant
from ag_core.interfaces import AbstractScorer
from ag_core.schema import is_padding
from ag_core.sequence import allele_sequences
from ag_data import Fasta, Status, check_calls, read_variants
from jaxtyping import Float

from ag_eval.predict import output_resolution, predict


@dataclasses.dataclass(frozen=True)
class Measured:
    """A variant with numbers from INFO, by key."""

    variant: Variant
    info: dict[str, float]


def read_measured(path: str | os.PathLike[str], fasta: Fasta, keys: Sequence[str]) -> list[Measured]:
    """The alternate alleles of a VCF with the INFO fields `keys` (Number=A or 1), checked against the genome.

    A benchmark with holes measures something else: raises InputError when an allele does not fit the genome or
    lacks a field.
    """
    calls = list(check_calls(read_variants(path), fasta))
    wrong = Counter(str(call.status) for call in calls if call.status is not Status.SCORED)
    if wrong or not calls:
        first = next((f"; the first is {c} ({c.detail})" for c in calls if c.status is not Status.SCORED), "")
        counts = ", ".join(f"{count} {status}" for status, count in wrong.items()) or "no variants"
        raise InputError(
            f"{path}: {counts} of {len(calls)}{first}; expected variants that all fit {fasta.path}: use the FASTA "
            "of the same assembly"
        )
    infos = list(_infos(path, keys))
    return [
        Measured(call.variant, {key: infos[call.record][key][call.alt] for key in keys})
        for call in calls
        if call.variant
    ]


def _infos(path: str | os.PathLike[str], keys: Sequence[str]) -> Iterator[dict[str, list[float]]]:
    """For each record, for each key, one number for each alternate allele."""
    with pysam.VariantFile(os.fspath(path), drop_samples=True) as file:
        for record in file:
            fields: dict[str, list[float]] = {}
            for key in keys:
                try:
                    given: Any = record.info[key]
                except (KeyError, ValueError) as error:
                    place = f"{record.chrom}:{record.pos}"
                    raise InputError(f"{path}: no INFO field {key} at {place}; it needs {', '.join(keys)}") from error
                each = list(given) if isinstance(given, tuple) else [given] * len(record.alts or ())
                fields[key] = [float("nan") if value is None else float(value) for value in each]
            yield fields


def score_variants(
    checkpoint: Checkpoint,
    scorer: AbstractScorer,
    variants: Sequence[Variant],
    fasta: Fasta,
    *,
    organism: int = 0,
    batch: int = 8,
) -> Float[np.ndarray, "variant track"]:
    """The scorer's number for each variant and each track that is not padding.

    The model's window is centred on the variant. Only for scorers of one item, without resources.
    """
    spec, modality = checkpoint.spec, scorer.modality
    windows = [Interval(v.chromosome, v.start, v.start + 1).resize(spec.window) for v in variants]
    alleles = (
        sequence
        for window, variant in zip(windows, variants, strict=True)
        for sequence in allele_sequences(window, variant, fasta.fetch)
    )
    predictions = predict(checkpoint, modality, alleles, organism=organism, batch=batch)
    resolution = output_resolution(checkpoint, modality)
    rows = []
    for window, variant in zip(windows, variants, strict=True):
        ref, alt = next(predictions), next(predictions)
        items = scorer.items(window, variant, resolution, {})
        rows.append(np.asarray(_score(scorer, ref, alt, items.masks))[0])
    return np.stack(rows)[:, ~is_padding(spec.tracks(modality, organism))]


@eqx.filter_jit
def _score(scorer, ref, alt, masks):
    return scorer.score(ref, alt, masks)
