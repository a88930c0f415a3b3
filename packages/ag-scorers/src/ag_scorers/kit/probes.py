"""Variants of the kit's world, each with a window and what the model predicts for both alleles."""

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

import equinox as eqx
import jax
import numpy as np
from ag_core.genome import Interval, Variant
from ag_core.interfaces import Predictions
from ag_core.model import Model
from ag_core.sequence import allele_sequences, encode, reverse_complement
from jaxtyping import Array, UInt8

from ag_scorers.alleles import JUNCTIONS, SiteMasks, predict_alleles, site_masks
from ag_scorers.kit.world import CHROMOSOME, LENGTH, WINDOW, World

INSIDE, BETWEEN = 6150, 2600  # 0-based places: in an exon of two genes, and in none


@dataclasses.dataclass(frozen=True)
class Probe:
    """A variant, its window, and for each allele the predictions of each modality (numpy)."""

    name: str
    variant: Variant
    interval: Interval
    ref: Mapping[str, Predictions]
    alt: Mapping[str, Predictions]

    @property
    def mirrored(self) -> tuple[Interval, Variant]:
        """The same SNV in the mirror land."""
        variant, window = self.variant, self.interval
        ref, alt = (reverse_complement(one) for one in (variant.reference_bases, variant.alternate_bases))
        interval = Interval(window.chromosome, LENGTH - window.end, LENGTH - window.start)
        return interval, Variant(variant.chromosome, LENGTH + 1 - variant.position, ref, alt)


def places(world: World) -> dict[str, tuple[Variant, Interval]]:
    """The variants and windows by name."""

    def base(start: int) -> str:
        return world.here.fasta.fetch(Interval(CHROMOSOME, start, start + 1))

    def snv(start: int) -> Variant:
        ref = base(start)
        return Variant(CHROMOSOME, start + 1, ref, "ACGT"[("ACGT".index(ref) + 1) % 4])

    def around(start: int) -> Interval:
        return Interval(CHROMOSOME, start, start + 1).resize(WINDOW)

    deleted = world.here.fasta.fetch(Interval(CHROMOSOME, INSIDE, INSIDE + 6))
    middle = around(INSIDE)
    return {
        "SNV in genes": (snv(INSIDE), middle),
        "SNV off the middle": (snv(INSIDE - 37), middle),
        "SNV between genes": (snv(BETWEEN), around(BETWEEN)),
        "SNV at the window's first base": (snv(middle.start), middle),
        "SNV at the window's last base": (snv(middle.end - 1), middle),
        "SNV at the window's start, 100 bp in": (snv(middle.start + 100), middle),
        "SNV at the window's end, 60 bp in": (snv(middle.end - 61), middle),
        "insertion": (Variant(CHROMOSOME, INSIDE + 1, base(INSIDE), base(INSIDE) + "GATTA"), middle),
        "deletion": (Variant(CHROMOSOME, INSIDE + 1, deleted, deleted[0]), middle),
    }


@eqx.filter_jit
def _predict(
    model: Model, codes: UInt8[Array | np.ndarray, "job 2 position"], names: Collection[str], sites: SiteMasks | None
) -> dict[str, Predictions]:
    return predict_alleles(model, codes, 0, names, sites)


def make_probes(world: World, modalities: Collection[str]) -> list[Probe]:
    """Every variant with its predictions; one program for all of them."""
    found, codes, sites = places(world), [], []
    for variant, interval in found.values():
        codes.append([encode(bases) for bases in allele_sequences(interval, variant, world.here.fasta.fetch)])
        sites.append(site_masks(interval, variant, world.here.resources, everywhere=False))
    stacked: Any = None
    if JUNCTIONS in modalities:
        stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *sites)
    predictions = jax.tree.map(np.asarray, _predict(world.model, np.array(codes), tuple(sorted(modalities)), stacked))
    probes = []
    for number, (name, (variant, interval)) in enumerate(found.items()):
        ref, alt = (jax.tree.map(lambda x, n=number, a=allele: x[n, a], predictions) for allele in (0, 1))
        probes.append(Probe(name, variant, interval, ref, alt))
    return probes
