"""Predicted tracks of the two alleles of a variant, for looking at rather than scoring."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from ag_core.genome import Interval, Variant
from ag_core.model import Model
from ag_core.sequence import allele_sequences, encode, one_hot
from jaxtyping import Array, UInt8

from ag_scorers.align import align_alternate, alignment
from ag_scorers.engine import Engine


class VariantPrediction(NamedTuple):
    """Trees with one child for each modality, holding `prediction(position, track)` over `interval`."""

    interval: Interval
    ref: xr.DataTree
    alt: xr.DataTree


@eqx.filter_jit
def _predict(
    model: Model, codes: UInt8[Array | np.ndarray, "allele position"], organism: int, modalities: tuple[str, ...]
) -> dict[str, Array]:
    organisms = jnp.full(len(codes), organism, jnp.int32)
    predictions = model(one_hot(codes), organisms, modalities=modalities)
    return {name: jax.vmap(model.heads[name].output)(predictions[name]).astype(jnp.float32) for name in modalities}


def predict_variant(engine: Engine, variant: Variant, *, align: bool = False) -> VariantPrediction:
    """REF and ALT predictions over the variant's window, of the engine's selected tracks.

    ALT is in its own coordinates unless `align`, which moves 1-bp tracks right of an indel back into the frame of
    REF (spec/scoring.md 1.9). The variant's chromosome must be spelt as in the engine's FASTA.
    """
    interval = engine.interval(variant)
    ref, alt = allele_sequences(interval, variant, engine.fasta.fetch)
    codes = np.stack([encode(ref), encode(alt)])
    outputs = _predict(engine.model, codes, engine.organism, tuple(engine.tables))
    trees: list[dict[str, xr.Dataset]] = [{}, {}]
    for name, values in outputs.items():
        resolution = engine.resolution(name)
        for allele in range(2):
            signal = values[allele][:, engine.selection(name)]
            if allele and align and resolution == 1:
                signal = align_alternate(signal, alignment(interval, variant, interval.width))
            dataset = engine.tables[name].assign(prediction=(("position", "track"), np.asarray(signal)))
            dataset = dataset.set_coords([str(key) for key in engine.tables[name].data_vars])
            trees[allele][name] = dataset.assign_attrs(
                interval=str(interval), resolution=resolution, model_digest=engine.checkpoint.digest
            )
    return VariantPrediction(interval, *(xr.DataTree.from_dict(tree) for tree in trees))
