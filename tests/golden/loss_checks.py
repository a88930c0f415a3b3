"""Parity of losses: the functions, the heads, and the whole model with its gradients."""

import re
from collections.abc import Callable
from typing import Any

import equinox as eqx
import head_checks
import jax
import jax.numpy as jnp
import numpy as np
import recipe
from ag_core.config import EmbeddingDims
from ag_core.model import Model
from ag_core.official import official_leaves
from ag_core.training import model_loss
from ag_heads import losses
from golden_file import Golden

# Our names of the targets of each kind of head.
TARGETS = {
    "contact_maps": "contacts",
    "splice_sites_classification": "classes",
    "splice_sites_usage": "usage",
    "splice_sites_junction": "counts",
}
DIMS = EmbeddingDims(4, 4, 4)


def segment_of(modality: str, segment: int) -> dict[str, int]:
    return {"segment": segment} if modality in head_checks.TRACK_HEADS else {}


def check_loss_functions(golden: Golden) -> None:
    x = {key: jnp.asarray(value) for key, value in golden.inputs().items()}
    everything = jnp.ones_like(x["y_pred"], bool)

    def multinomial(weight, segment):
        def of(p):
            return losses.track_loss(x["y_true"], p, x["mask"], segment=segment, positional_weight=weight)

        return of

    functions: dict[str, tuple[str, Callable[[Any], Any]]] = {
        "safe_masked_mean": ("y_pred", lambda p: losses.masked_mean(p, x["mask"])),
        "safe_masked_mean_nomask": ("y_pred", lambda p: losses.masked_mean(p, everything)),
        "safe_masked_mean_allmasked": ("y_pred", lambda p: losses.masked_mean(p, ~everything)),
        "poisson": ("y_pred", lambda p: losses.masked_mean(losses.poisson(x["y_true"], p), x["mask"])),
        "mse": ("y_pred", lambda p: losses.squared_error(x["y_true"], p, x["mask"])),
        "cross_entropy_from_logits": (
            "logits",
            lambda p: losses.cross_entropy_from_logits(x["onehot"], p, jnp.any(x["onehot"] > 0, -1, keepdims=True)),
        ),
        "binary_crossentropy_from_logits": (
            "logits_x3",
            lambda p: losses.binary_cross_entropy_from_logits(x["prob_targets"], p, x["mask"]),
        ),
        "cross_entropy_axis-3": (
            "counts_pred",
            lambda p: losses.ratio_loss(x["counts_true"], p, x["counts_mask"], -3),
        ),
        "cross_entropy_axis-2": (
            "counts_pred",
            lambda p: losses.ratio_loss(x["counts_true"], p, x["counts_mask"], -2),
        ),
    }
    for key in golden.keys("grad"):
        if key.startswith("multinomial"):
            weight, segment = re.fullmatch(r"multinomial_w(\d+)_seg(\d+)", key).groups()
            function = jax.jit(multinomial(float(weight), int(segment)))
            for part, value in function(x["y_pred"]).items():
                golden.compare(f"{key}/{part}", value)
            golden.compare(key, jax.jit(jax.grad(lambda p, f=function: f(p)["loss"]))(x["y_pred"]), "grad")
            continue
        of, function = functions[key]
        value, gradient = jax.jit(jax.value_and_grad(function))(x[of])
        golden.compare(key, value)
        golden.compare(key, gradient, "grad")


def check_head_losses(golden: Golden) -> None:
    inputs = {key: jnp.asarray(value) for key, value in golden.inputs().items()}
    organism, segment = inputs["organism"], golden.config["multinomial_segment_bp"]
    names = {key.split("/")[0] for key in golden.keys("out")}
    for name in sorted(names):
        base = name.removesuffix("_gene")
        options: dict[str, Any] = segment_of(base, segment)
        if base != name:
            options |= {"gene_loss_weight": 0.7, "cross_track_weight": 3.0}
        rows = head_checks.tables_of(base, golden.config["metadata"])
        head = head_checks.make_head(head_checks.MODALITIES.get(base, base), rows, DIMS, **options)
        targets = {TARGETS.get(base, "signal"): inputs[f"{base}/targets"]}
        if f"{base}/mask" in inputs and base in head_checks.TRACK_HEADS:
            targets["measured"] = inputs[f"{base}/mask"][:, 0]
        if base != name:
            targets["genes"] = inputs[f"{name}/gene_mask"]
        constants, predictions = {}, {}
        for key, value in inputs.items():
            if key.startswith(f"{base}/") and (leaf := key.split("/")[1]) not in ("targets", "mask"):
                predictions[leaf] = value
        if base == "splice_sites_junction":
            constants["splice_junction_mask"] = inputs[f"{base}/mask"]

        def loss(p, head=head, targets=targets, constants=constants):
            parts = head.loss(p | constants, targets, organism)
            return parts["loss"], parts

        (_, parts), gradients = jax.jit(jax.value_and_grad(loss, has_aux=True))(predictions)
        for key in golden.keys(f"out/{name}"):
            golden.compare(f"{name}/{key}", parts[key])
        for key in golden.keys(f"grad/{name}"):
            golden.compare(f"{name}/{key}", gradients[key], "grad")


def check_real_segments(golden: Golden) -> None:
    """Losses of track heads at the real segment length; inputs from the recipe."""
    length, seed, split = golden.config["length"], golden.config["seed"], golden.split
    for modality in {key.split("/")[0] for key in golden.keys("out")}:
        rows = golden.config["metadata"]["HOMO_SAPIENS"][modality]
        head = head_checks.make_head(modality, {"human": rows}, DIMS)
        finest, count = min(head.resolutions), len(rows)

        def noise(name: str, *shape: int) -> np.ndarray:
            return recipe.noise(f"{split}/{name}", (1, *shape), seed)

        positions = length // finest
        present = recipe.uniform(f"{split}/ntz{modality}", (1, positions, count), seed) < 0.3
        targets = np.abs(noise(f"nt{modality}", positions, count)) * 4 * present
        predictions = {
            f"scaled_predictions_{r}bp": jnp.float32(np.abs(noise(f"np{modality}{r}", length // r, count)) + 0.02)
            for r in head.resolutions
        }
        signal = {"signal": jnp.asarray(targets, jnp.float32)}
        parts = eqx.filter_jit(head.loss)(predictions, signal, jnp.zeros(1, jnp.int32))
        for key in golden.keys(f"out/{modality}"):
            golden.compare(f"{modality}/{key}", parts[key])


def recipe_targets(golden: Golden, model: Model, length: int, batch: int) -> dict[str, dict[str, Any]]:
    """Targets of the whole-model loss, by official head name, from the recipe of its config."""
    seed, split = re.search(r"seed (\d+); names prefixed '(\w+)/'", golden.config["targets"]["note"]).groups()

    def draw(function, name, *shape):
        return function(f"{split}/{name}", (batch, *shape), int(seed))

    def some(share, name, *shape):
        return draw(recipe.uniform, name, *shape) < share

    made: dict[str, dict[str, Any]] = {}
    for head in model.heads.values():
        name = head.official_name
        if name in head_checks.TRACK_HEADS:
            shape = (length // min(head.resolutions), head.real.value.shape[-1])
            signal = np.abs(4 * draw(recipe.noise, f"t{name}", *shape)) * (
                draw(recipe.uniform, f"tz{name}", *shape) < 0.3
            )
            made[name] = {"signal": jnp.asarray(signal, jnp.float32)}
        elif name == "contact_maps":
            shape = (length // 2048, length // 2048, head.real.value.shape[-1])
            contacts = draw(recipe.noise, "tcm", *shape)
            contacts[0, 0] = np.nan
            made[name] = {"contacts": jnp.asarray(contacts, jnp.float32)}
        elif name == "splice_sites_classification":
            classes = np.floor(200 * draw(recipe.uniform, "tss", length))
            made[name] = {"classes": jnp.asarray(classes[..., None] == np.arange(5))}
        elif name == "splice_sites_usage":
            shape = (length, head.real.value.shape[-1])
            usage = draw(recipe.uniform, "tsu", *shape) * some(0.1, "tsuz", *shape)
            made[name] = {"usage": jnp.asarray(usage, jnp.float32)}
        else:
            shape = (head.sites, head.sites, 2 * head.donor_plus.values.shape[2])
            counts = np.floor(
                np.abs(20 * draw(recipe.noise, "tsj", *shape)) * (draw(recipe.uniform, "tsjz", *shape) < 0.2)
            )
            made[name] = {"counts": jnp.asarray(counts, jnp.float32)}
    return made


def check_loss_and_gradients(golden: Golden) -> None:
    forward = Golden.load(golden.folder, "forward")
    model = head_checks.small_model(forward, segment=golden.config["multinomial_segment_bp"])
    inputs = golden.inputs()
    dna, organism = jax.nn.one_hot(inputs["dna_codes"], 4), jnp.asarray(inputs["organism"])
    by_name = recipe_targets(golden, model, dna.shape[1], dna.shape[0])
    targets = {name: by_name[head.official_name] for name, head in model.heads.items()}
    # The reference trains at predicted sites; ours at the batch's, so these are given as the batch's.
    sites = eqx.filter_jit(lambda m: m(dna, organism, modalities=["splice_junctions"]))(model)
    targets["splice_junctions"]["splice_site_positions"] = sites["splice_junctions"]["splice_site_positions"]
    names = {head: modality for modality, head in ((m, h.official_name) for m, h in model.heads.items())}

    def loss(variables, rest, frozen):
        whole = eqx.combine(variables, rest)
        return model_loss(whole, dna, organism, targets, freeze_backbone=frozen)

    for mode in ("full", "frozen"):
        variables, rest = eqx.partition(model, eqx.is_inexact_array)
        run = eqx.filter_jit(jax.value_and_grad(loss, has_aux=True))
        (total, logs), gradients = run(variables, rest, mode == "frozen")
        golden.compare(f"{mode}/loss", total)
        for key in golden.keys(f"out/{mode}/scalars"):
            head = max((name for name in names if key.startswith(name)), key=len)
            golden.compare(f"{mode}/scalars/{key}", logs[f"{names[head]}/{key.removeprefix(head + '_')}"])
        by_path = {path: np.asarray(leaf, np.float64) for leaf, path in official_leaves(gradients, "alphagenome")}
        shapes = forward.config["parameter_shapes"]
        norms, projections = [], []
        for path in golden.config["parameter_order"]:
            gradient = by_path[path].reshape(shapes[path])
            norms.append(np.linalg.norm(gradient))
            projections.append(np.sum(gradient * recipe.noise(f"proj/{path}", tuple(shapes[path]), 1)))
        golden.compare(f"{mode}/norm", np.array(norms), "grad")
        golden.compare(f"{mode}/proj", np.array(projections), "grad")


CHECKS: dict[str, Callable[[Golden], None]] = {
    "loss_functions": check_loss_functions,
    "loss_heads": check_head_losses,
    "loss_heads_real_segment": check_real_segments,
}
MODEL_CHECKS: dict[str, Callable[[Golden], None]] = {"loss_and_gradients": check_loss_and_gradients}
