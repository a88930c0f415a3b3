"""Laws that every head keeps: shapes, strands, what the loss counts, and the way through a checkpoint."""

import dataclasses
import pathlib
import tempfile
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from ag_core.checkpoint import Checkpoint, ModelSpec, load, outline, save
from ag_core.config import PAIR_BIN, PRESETS, TOKEN
from ag_core.interfaces import AbstractHead, Embeddings, Predictions, Teachable
from ag_core.schema import is_padding
from ag_core.training import trainable
from jaxtyping import Array, Float

from ag_scorers.kit.verdicts import Law, NotApplicable, Verdict, judge, require, require_close
from ag_scorers.kit.world import WINDOW, describe_head, fill_randomly

BATCH = 2
# Targets of this name are never NaN: a base without a class has none set.
CLASSES = "classes"


@dataclasses.dataclass(frozen=True)
class HeadSubject:
    """A head in a random model of its own, with embeddings, its predictions [batch, ...] and targets like them."""

    name: str
    checkpoint: Checkpoint
    head: AbstractHead
    embeddings: Embeddings
    predictions: Predictions
    context: Mapping[str, Predictions]
    targets: Mapping[str, Array]

    @property
    def padding(self) -> np.ndarray:
        """Which slots are padding."""
        return is_padding(self.checkpoint.spec.tracks(self.name))

    @property
    def organisms(self) -> Array:
        """The one organism, for the batch."""
        return jnp.zeros(BATCH, jnp.int32)

    def losses(self, predictions: Predictions, targets: Mapping[str, Array]) -> Mapping[str, Array]:
        """The loss and its parts."""
        return self.head.loss(predictions, targets, self.organisms)


def make_head_subject(name: str, options: Mapping[str, Any] | None = None) -> HeadSubject:
    """Builds the head, and those it requires, by registry name. Raises InputError when it takes none of our tables."""
    small = {"sites": 24, "hidden": 8}
    specs, waiting = {}, [name]
    while waiting:
        one = waiting.pop(0)
        specs[one], requires = describe_head(one, options if one == name else None, small)
        waiting += [other for other in requires if other not in specs]
    spec = ModelSpec("kit", dataclasses.replace(PRESETS["tiny"], organisms=1), specs, ("human",), WINDOW, "CC0-1.0")
    model = fill_randomly(outline(spec))
    random, dims = np.random.default_rng(1), spec.backbone.dims

    def draw(*shape: int) -> Array:
        return jnp.asarray(random.normal(size=(BATCH, *shape)).astype(np.float32))

    bins = WINDOW // PAIR_BIN
    embeddings = Embeddings(draw(WINDOW, dims.bp1), draw(WINDOW // TOKEN, dims.bp128), draw(bins, bins, dims.pair))
    organisms = jnp.zeros(BATCH, jnp.int32)
    predictions = eqx.filter_jit(model.predict)(embeddings, organisms, modalities=[name])
    head: Any = model.heads[name]
    context = {other: predictions[other] for other in head.requires}
    output = jax.vmap(head.output)(predictions[name])
    teacher: object = head
    taught = teacher.taught({**predictions[name], "output": output}) if isinstance(teacher, Teachable) else None
    targets = {"signal": output} if taught is None else dict(taught)
    targets = {key: _blur(value, random) for key, value in targets.items()}
    checkpoint = Checkpoint(model, spec, "of the kit")
    return HeadSubject(name, checkpoint, head, embeddings, predictions[name], context, targets)


def _blur(values: Array, random: np.random.Generator) -> Array:
    """Targets that are like the predictions, but not these."""
    if not jnp.issubdtype(values.dtype, jnp.inexact):
        return values
    values = jnp.where(jnp.isnan(values), 0, values).astype(jnp.float32)
    return values * random.uniform(0.5, 1, values.shape).astype(np.float32)


def outputs_fit(subject: HeadSubject) -> str:
    """`output` has a row for each bin of the finest resolution, a column for each slot, and is finite out of it."""
    resolutions = subject.head.resolutions
    known = bool(resolutions) and all(isinstance(one, int) and 0 < one <= PAIR_BIN for one in resolutions)
    require(known, f"resolutions {resolutions!r}, expected bp from 1 to {PAIR_BIN}")
    require(subject.head.reads <= {1, TOKEN, PAIR_BIN}, f"reads {set(subject.head.reads)}: 1, {TOKEN} or {PAIR_BIN}")
    output = np.asarray(jax.vmap(subject.head.output)(subject.predictions))[0]
    slots = len(subject.padding)
    require(output.shape[-1] % slots == 0, f"output {output.shape}: {slots} tracks expected along the last axis")
    if subject.head.local:
        rows = WINDOW // min(resolutions)
        require(output.shape == (rows, slots), f"output {output.shape}, expected {(rows, slots)}")
    shown = output.reshape(*output.shape[:-1], -1, slots)[..., ~subject.padding]
    require(np.isfinite(shown).all(), "output is not finite")
    return f"{list(output.shape)} at {min(resolutions)} bp"


def turns_back(subject: HeadSubject) -> str | None:
    """The reverse complement of the reverse complement is the same again, but for one row moved out at an end."""
    one = jax.tree.map(lambda x: x[0], subject.predictions)

    def turn(predictions: Predictions) -> Predictions:
        return subject.head.reverse_complement(predictions, jnp.array(0), WINDOW)

    again = subject.head.output(turn(turn(one)))
    inner = slice(1, -1) if subject.head.local else slice(None)
    require_close(np.asarray(again)[inner], np.asarray(subject.head.output(one))[inner], "turned twice")
    require(set(turn(one)) <= set(one), f"new predictions {sorted(set(turn(one)) - set(one))} when turned")


def pieces_join(subject: HeadSubject) -> str | None:
    """A local head predicts half a sequence as it does in the whole."""
    if not subject.head.local:
        raise NotApplicable("not local")
    half = jax.tree.map(lambda x: x[:, : x.shape[1] // 2], subject.embeddings)
    part = jax.vmap(lambda e, o: subject.head(e, o, {}))(half, subject.organisms)
    got, whole = (np.asarray(jax.vmap(subject.head.output)(x)) for x in (part, subject.predictions))
    require_close(got, whole[:, : got.shape[1]], "half a sequence")


def loss_is_finite(subject: HeadSubject) -> str | None:
    """Whatever is missing: some targets NaN, all of them NaN."""
    random = np.random.default_rng(2)
    for share, name in ((0.0, "all measured"), (0.3, "some NaN"), (1.0, "all NaN")):
        losses = subject.losses(subject.predictions, _hide(subject.targets, random, share))
        require("loss" in losses, f"no 'loss' among {sorted(losses)}")
        for part, value in losses.items():
            finite = np.shape(value) == () and bool(np.isfinite(value))
            require(finite, f"{name}: {part} is {value}, expected a finite number")


def _hide(targets: Mapping[str, Array], random: np.random.Generator, share: float) -> dict[str, Array]:
    hidden = {}
    for name, value in targets.items():
        floating = jnp.issubdtype(value.dtype, jnp.inexact)
        gone = random.uniform(size=value.shape) < share
        hidden[name] = jnp.where(gone, 0 if name == CLASSES else jnp.nan, value) if floating else value
    return hidden


def padding_has_no_loss(subject: HeadSubject) -> str | None:
    """Where the targets of padding slots are NaN, what is predicted there changes no loss."""
    slots = len(subject.padding)

    def fill(values: Mapping[str, Array], filling: float) -> dict[str, Array]:
        filled = dict(values)
        for name, value in values.items():
            if name != CLASSES and jnp.issubdtype(value.dtype, jnp.inexact) and value.shape[-1] % slots == 0:
                split = value.reshape(*value.shape[:-1], -1, slots)
                filled[name] = split.at[..., subject.padding].set(filling).reshape(value.shape)
        return filled

    if CLASSES in subject.targets:
        raise NotApplicable("its padding is the class of bases that are nothing else")
    targets = fill(subject.targets, np.nan)
    low, high = (float(subject.losses(fill(subject.predictions, size), targets)["loss"]) for size in (0.5, 2.0))
    require(np.isfinite(low), f"loss {low} with NaN in padding")
    require(bool(np.isclose(low, high, rtol=1e-5)), f"padding changes the loss from {low:.6g} to {high:.6g}")


def gradients_are_finite(subject: HeadSubject) -> str | None:
    """The gradient of the loss by what is trained is finite where targets are NaN, and not all zero."""
    targets = _hide(subject.targets, np.random.default_rng(3), 0.3)
    told = subject.head.conditions(targets)

    own, rest = eqx.partition(subject.head, trainable(subject.head))

    def loss(own: AbstractHead) -> Float[Array, ""]:
        head = eqx.combine(own, rest)
        context = dict(subject.context) | ({subject.name: told} if told else {})
        predictions = jax.vmap(lambda e, o, c: head(e, o, c))(subject.embeddings, subject.organisms, context)
        return head.loss(predictions, targets, subject.organisms)["loss"]

    gradients = jax.tree.leaves(eqx.filter_grad(loss)(own))
    require(all(bool(jnp.isfinite(leaf).all()) for leaf in gradients), "a gradient is not finite")
    require(any(bool(jnp.any(leaf != 0)) for leaf in gradients), "all gradients are zero")


def survives_a_checkpoint(subject: HeadSubject) -> str | None:
    """Saved and loaded, it predicts the same."""
    with tempfile.TemporaryDirectory() as folder:
        save(pathlib.Path(folder), subject.checkpoint.model, subject.checkpoint.spec)
        again = load(folder).model
    got = eqx.filter_jit(again.predict)(subject.embeddings, subject.organisms, modalities=[subject.name])[subject.name]
    output = [np.asarray(jax.vmap(subject.head.output)(x)) for x in (got, subject.predictions)]
    require_close(output[0], output[1], "loaded again", rtol=1e-5, atol=1e-6)


LAWS: tuple[Law[HeadSubject], ...] = (
    outputs_fit,
    turns_back,
    pieces_join,
    loss_is_finite,
    padding_has_no_loss,
    gradients_are_finite,
    survives_a_checkpoint,
)


def check_head(name: str, options: Mapping[str, Any] | None = None) -> list[Verdict]:
    """The verdicts of all laws on a head, by its registry name. Raises InputError when it takes none of our tables."""
    return judge(LAWS, make_head_subject(name, options))
