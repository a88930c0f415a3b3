"""A model's predictions for many sequences, in batches of one shape so that jit compiles once."""

from collections.abc import Iterable, Iterator

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from ag_core.checkpoint import Checkpoint
from ag_core.errors import InputError
from ag_core.model import Model
from ag_core.sequence import encode, one_hot
from jaxtyping import Array, Float


def check_modality(checkpoint: Checkpoint, modality: str) -> None:
    """Raises InputError when the model does not predict `modality`."""
    if modality not in checkpoint.spec.heads:
        known = ", ".join(sorted(checkpoint.spec.heads)) or "nothing"
        raise InputError(f"model {checkpoint.spec.name!r} predicts {known}, not {modality}; use another model")


def output_resolution(checkpoint: Checkpoint, modality: str) -> int:
    """Bin size in bp of what `predict` gives."""
    return min(checkpoint.model.heads[modality].resolutions)


def predict(
    checkpoint: Checkpoint, modality: str, sequences: Iterable[str], *, organism: int = 0, batch: int = 8
) -> Iterator[Float[np.ndarray, "position track"]]:
    """Predictions of one modality for each sequence, in order, padding tracks included; all of one length."""
    check_modality(checkpoint, modality)
    waiting: list[str] = []
    for sequence in sequences:
        waiting.append(sequence)
        if len(waiting) == batch:
            yield from _run(checkpoint.model, modality, waiting, organism, batch)
            waiting = []
    if waiting:
        yield from _run(checkpoint.model, modality, waiting, organism, batch)


def _run(
    model: Model, modality: str, sequences: list[str], organism: int, batch: int
) -> Iterator[Float[np.ndarray, "position track"]]:
    codes = np.stack([encode(sequence) for sequence in sequences])
    full = np.pad(codes, ((0, batch - len(codes)), (0, 0)), mode="edge")
    outputs = np.asarray(_output(model, full, jnp.full(batch, organism, jnp.int32), modality), np.float32)
    yield from outputs[: len(codes)]


@eqx.filter_jit
def _output(model: Model, codes: np.ndarray, organism: Array, modality: str) -> Float[Array, "batch position track"]:
    predictions = model(one_hot(codes), organism, modalities=[modality])
    return jax.vmap(model.heads[modality].output)(predictions[modality])
