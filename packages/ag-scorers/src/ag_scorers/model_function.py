"""A model of this suite as a plain function of one-hot DNA, for tools that call any model."""

from collections.abc import Iterable, Mapping

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from ag_core.checkpoint import Checkpoint, load
from ag_core.config import check_length
from ag_core.errors import InputError
from ag_core.model import Model, fold
from jaxtyping import Array, Float

from ag_scorers.alleles import JUNCTIONS
from ag_scorers.selection import choose_tracks


@eqx.filter_jit
def _predict(
    model: Model, dna: Float[Array | np.ndarray, "batch position 4"], organism: int, names: tuple[str, ...]
) -> dict[str, Array]:
    found = model(jnp.asarray(dna), jnp.full(len(dna), organism, jnp.int32), modalities=names)
    return {name: jax.vmap(model.heads[name].output)(found[name]).astype(jnp.float32) for name in names}


class ModelFunction:
    """`function(dna) -> {modality: values}`, numpy in and out; made by `as_function`.

    - `tables`, `resolutions`: of each modality it returns, as `CallableModel` takes them.
    - `window`: bp that the model was made for; any multiple of 2,048 bp works.
    """

    def __init__(
        self, checkpoint: Checkpoint, modalities: Iterable[str], tracks: str, organism: str | None, channels_first: bool
    ):
        self._model, self._organism = fold(checkpoint.model), checkpoint.spec.organism(organism)
        self.channels_first, self.window = channels_first, checkpoint.spec.window
        slots, tables = choose_tracks(checkpoint.spec, self._organism, tracks)
        names = tuple(modalities) or tuple(name for name in tables if name != JUNCTIONS)
        if unknown := [name for name in names if name not in tables or name == JUNCTIONS]:
            known = ", ".join(name for name in tables if name != JUNCTIONS)
            raise InputError(f"cannot return {', '.join(unknown)} as an array; this model has {known or 'nothing'}")
        self._names = names
        self._slots = {name: slots[name] for name in names}
        self.tables: Mapping[str, xr.Dataset] = {name: tables[name] for name in names}
        self.resolutions = {name: min(checkpoint.model.heads[name].resolutions) for name in names}

    def __call__(self, dna: Float[Array | np.ndarray, "batch a b"]) -> dict[str, Float[np.ndarray, "batch *axes"]]:
        """Predictions in experimental units. `dna`: [batch, position, 4], or [batch, 4, position] if `channels_first`;
        then what it returns has its tracks first as well. Raises ValueError for other shapes.
        """
        dna = np.asarray(dna, np.float32)
        given = dna.shape
        if self.channels_first and dna.ndim == 3:
            dna = dna.swapaxes(1, 2)
        if dna.ndim != 3 or dna.shape[2] != 4:
            wanted = "[batch, 4, position]" if self.channels_first else "[batch, position, 4]"
            raise ValueError(f"DNA of shape {given}; expected {wanted}, one-hot in the order A, C, G, T")
        check_length(dna.shape[1])
        found = _predict(self._model, dna, self._organism, self._names)
        values = {name: np.asarray(found[name])[..., slots] for name, slots in self._slots.items()}
        return {name: np.moveaxis(x, -1, 1) if self.channels_first else x for name, x in values.items()}


def as_function(
    model: Checkpoint | str = "mini",
    modalities: Iterable[str] = (),
    *,
    tracks: str = "",
    organism: str | None = None,
    channels_first: bool = False,
) -> ModelFunction:
    """The model (a checkpoint, its folder or its name) as a function of one-hot DNA; numpy in and out.

    - `modalities`: what it returns, by default all but splice junctions, which are no array along the sequence.
    - `tracks`: query over track metadata; all real tracks by default.
    - `channels_first`: [batch, 4, position] in, [batch, track, position] out, as torch models have it.

    Raises InputError for modalities, tracks or an organism that the model does not have.
    """
    checkpoint = model if isinstance(model, Checkpoint) else load(model)
    return ModelFunction(checkpoint, modalities, tracks, organism, channels_first)
