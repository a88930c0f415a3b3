"""Predictions for the two alleles of a variant, for looking at rather than scoring."""

from collections.abc import Mapping
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from ag_core.genome import Interval, Variant
from ag_core.model import Model
from ag_core.sequence import allele_sequences, encode
from ag_data.personal import reference_positions
from jaxtyping import Array, Int, PyTree, UInt8

from ag_scorers.align import align_alternate, alignment
from ag_scorers.alleles import JUNCTIONS, SiteMasks, predict_alleles, site_masks
from ag_scorers.engine import Engine
from ag_scorers.junctions import SpliceJunctionScorer, unstack
from ag_scorers.parity import Parity

CONTACTS = ("position", "position_2", "track")
ALLELES = ("REF", "ALT")


class VariantPrediction(NamedTuple):
    """Trees with one child for each modality, over `interval`.

    - tracks: `prediction(position, track)`; contact maps: `prediction(position, position_2, track)`;
    - splice junctions: `count(junction, track)` with the coordinates `start`, `end` (the intron, 0-based half-open)
      and `junction_strand`, the same junctions in both trees.

    Positions are bins from the interval's start, in the forward frame. Tracks at 1 bp carry `ref_position(position)`:
    each row's place in the genome (0-based), -1 for bases that only ALT has. The attribute `frame` says whether rows
    are those of the "reference" or, right of an indel, of the "alternate" allele; `line_up` brings these together.
    """

    interval: Interval
    ref: xr.DataTree
    alt: xr.DataTree


@eqx.filter_jit
def _predict(
    model: Model,
    codes: UInt8[Array | np.ndarray, "1 allele position"],
    organism: int,
    selections: Mapping[str, Int[Array | np.ndarray, " _"]],
    sites: SiteMasks | None,
    reverse: bool,
) -> dict[str, PyTree[Array]]:
    """Each allele's output of the wanted tracks, float32; of junctions their counts and sites."""
    predictions = predict_alleles(model, codes, organism, list(selections), sites, reverse=reverse)
    found = {}
    for name, slots in selections.items():
        if name == JUNCTIONS:
            alleles = {JUNCTIONS: jax.tree.map(lambda x: x[0], predictions[name])}
            scorer = SpliceJunctionScorer(JUNCTIONS)
            found[name] = jax.vmap(lambda one, scorer=scorer: scorer.read(model.heads, one, selections))(alleles)
        else:
            output = jax.vmap(jax.vmap(model.heads[name].output))(predictions[name])
            found[name] = output[0][..., slots].astype(jnp.float32)
    return found


def predict_variant(
    engine: Engine, variant: Variant, *, align: bool = False, interval: Interval | None = None
) -> VariantPrediction:
    """REF and ALT predictions over the variant's window, or another interval, of the engine's selected tracks.

    ALT is in its own coordinates unless `align`, which moves 1-bp tracks right of an indel back into the frame of REF
    (spec/scoring.md 1.9); junctions are always in REF's. Sites for these are looked for in genes that overlap the
    variant, or everywhere if there is none (1.10). The chromosome must be spelt as in the engine's FASTA.
    """
    interval = engine.interval(variant) if interval is None else interval
    ref, alt = allele_sequences(interval, variant, engine.fasta.fetch)
    codes = np.stack([encode(ref), encode(alt)])[None]
    sites = None
    if JUNCTIONS in engine.tables:
        upstream = engine.parity is Parity.UPSTREAM
        sites = site_masks(interval, variant, engine.resources, everywhere=True, parity=upstream)
        sites = jax.tree.map(lambda x: np.asarray(x)[None], sites)
    selections = {name: engine.selection(name) for name in engine.tables}
    outputs = _predict(engine.model, codes, engine.organism, selections, sites, interval.negative_strand)
    # Equal alleles have equal predictions, however their rows of the batch were rounded.
    differ = int((codes[0, 0] != codes[0, 1]).any())
    trees: list[dict[str, xr.Dataset]] = [{}, {}]
    forward = Interval(interval.chromosome, interval.start, interval.end)
    for name, values in outputs.items():
        resolution = engine.resolution(name)
        for allele in range(2):
            one = jax.tree.map(lambda x, shown=allele * differ: x[shown], values)
            if allele and align and resolution == 1 and name != JUNCTIONS:
                one = align_alternate(one, alignment(forward, variant, interval.width))
            dataset = _dataset(jax.tree.map(np.asarray, one), engine.tables[name], interval.start)
            moved = bool(allele) and variant.is_indel and name != JUNCTIONS and not (align and resolution == 1)
            if resolution == 1 and name != JUNCTIONS:
                places = reference_positions(forward, [variant] if moved else [])
                dataset = dataset.assign_coords(ref_position=("position", places))
            trees[allele][name] = dataset.assign_attrs(
                interval=str(interval),
                resolution=resolution,
                variant=str(variant),
                allele=ALLELES[allele],
                frame="alternate" if moved else "reference",
                model_digest=engine.checkpoint.digest,
            )
    return VariantPrediction(interval, *(xr.DataTree.from_dict(tree) for tree in trees))


def _dataset(values: PyTree[np.ndarray], tracks: xr.Dataset, start: int) -> xr.Dataset:
    metadata = [str(key) for key in tracks.data_vars]
    if isinstance(values, np.ndarray):
        dims = ("position", "track") if values.ndim == 2 else CONTACTS
        return tracks.assign(prediction=(dims, values)).set_coords(metadata)
    counts, columns = unstack(values.counts, values.positions, start)
    dataset = tracks.assign(count=(("junction", "track"), counts)).set_coords(metadata)
    names = {"start": "start", "end": "end", "strand": "junction_strand"}
    return dataset.assign_coords({names[key]: ("junction", column) for key, column in columns.items()})
