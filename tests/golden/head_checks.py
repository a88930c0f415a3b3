"""Parity of the genome-track heads and of the whole reduced model."""

import functools
import re
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import recipe
import trunk_checks
from ag_core.backbone import Backbone
from ag_core.config import EmbeddingDims
from ag_core.interfaces import AbstractHead, Embeddings
from ag_core.model import Model
from ag_core.official import load_official
from ag_core.plugins import registry
from ag_core.precision import cast
from ag_core.schema import strand_partners, track_table
from ag_heads import scaling
from ag_heads.linear import MultiOrganismLinear
from golden_file import Golden

KEY = jax.random.key(0)
TRACK_HEADS = ("atac", "dnase", "procap", "cage", "rna_seq", "chip_tf", "chip_histone")


def tables(records: Mapping[str, list[dict[str, Any]]]) -> list[Any]:
    """One track table for each organism, from the metadata rows of a golden config."""
    made = []
    for rows in records.values():
        columns = {"name": [row["name"] for row in rows], "strand": [row["strand"] for row in rows]}
        if any("nonzero_mean" in row for row in rows):
            means = [row["nonzero_mean"] for row in rows]
            columns["nonzero_mean"] = [np.nan if mean is None else mean for mean in means]
        made.append(track_table(columns))
    return made


def make_head(modality: str, records: Mapping[str, Any], dims: EmbeddingDims, **options: Any) -> AbstractHead:
    return registry().create("heads", modality, tables(records), dims, key=KEY, **options)


def check_linear(golden: Golden) -> None:
    organisms, size_in, tracks = golden.parameters()["multi_organism_linear/w"].shape

    class Pair(eqx.Module):
        first: MultiOrganismLinear
        second: MultiOrganismLinear
        official = {"first": "multi_organism_linear", "second": "second"}

    def call(m, x, x4, organism):
        return {"y": jax.vmap(m.first)(x, organism), "y4": jax.vmap(m.second)(x4, organism)}

    pair = Pair(*(MultiOrganismLinear(organisms, size_in, tracks, key=KEY) for _ in range(2)))
    trunk_checks.run_both(golden, pair, "", call)


def check_scaling(golden: Golden) -> None:
    inputs = {key: jnp.asarray(value) for key, value in golden.inputs().items()}
    for key in golden.keys("out"):
        kind, squash, resolution = re.fullmatch(r"(\w+)_scaling_squash(\d)_res(\d+)", key).groups()
        x = inputs["x"] if kind == "predictions" else inputs[f"targets_squash{squash}_res{resolution}"]
        function = scaling.unscale_predictions if kind == "predictions" else scaling.scale_targets
        scale = functools.partial(function, resolution=int(resolution), squash=squash == "1")
        golden.compare(key, jax.vmap(scale)(x, inputs["track_means"]))


def check_reverse_complement(golden: Golden) -> None:
    """Tracks only; contact maps and splicing have no head yet."""
    inputs, dims = golden.inputs(), EmbeddingDims(4, 4, 4)
    for output in golden.keys("in/strand_reindexing"):
        modality, partners = output.lower(), inputs[f"strand_reindexing/{output}"]
        if modality not in TRACK_HEADS:
            continue
        strands = np.full(len(partners), ".", object)
        for i, partner in enumerate(partners):
            if i != partner:
                strands[i] = "+" if i < partner else "-"
        rows = [{"name": f"t{i}", "strand": strand} for i, strand in enumerate(strands)]
        head = make_head(modality, {"human": rows}, dims)
        np.testing.assert_array_equal(strand_partners(tables({"human": rows})[0]), partners)
        turned = jax.vmap(lambda x, h=head: h.reverse_complement({"x": x}, jnp.array(0))["x"])(inputs[output])
        golden.compare(output, np.where(inputs["mask"][:, None, None], turned, inputs[output]))


def check_track_head(golden: Golden) -> None:
    modality = golden.stem.removeprefix("head_").removeprefix("nan_")
    inputs = golden.inputs()
    dims = EmbeddingDims(*(inputs[name].shape[-1] for name in ("e1", "e128", "ep")))
    head = make_head(modality, golden.config["metadata"], dims)

    def call(m, e1, e128, ep, organism):
        return jax.vmap(lambda e, o: m(e, o, {}))(Embeddings(e1, e128, ep), organism)

    trunk_checks.run_both(golden, head, f"head/{modality}", call)


def check_track_losses(golden: Golden) -> None:
    """Losses of track heads at the real segment length; inputs from the recipe."""
    length, seed, split = golden.config["length"], golden.config["seed"], golden.split
    for modality in {key.split("/")[0] for key in golden.keys("out")}:
        rows = golden.config["metadata"]["HOMO_SAPIENS"][modality]
        head = make_head(modality, {"human": rows}, EmbeddingDims(4, 4, 4))
        finest, count = min(head.resolutions), len(rows)

        def noise(name: str, *shape: int) -> np.ndarray:
            return recipe.noise(f"{split}/{name}", (1, *shape), seed)[0]

        positions = length // finest
        present = recipe.uniform(f"{split}/ntz{modality}", (1, positions, count), seed)[0] < 0.3
        targets = np.abs(noise(f"nt{modality}", positions, count)) * 4 * present
        predictions = {
            f"scaled_predictions_{r}bp": jnp.float32(np.abs(noise(f"np{modality}{r}", length // r, count)) + 0.02)
            for r in head.resolutions
        }
        got = head.loss(predictions, {"signal": jnp.asarray(targets, jnp.float32)}, jnp.array(0))
        golden.compare(f"{modality}/loss", got)


def small_model(golden: Golden) -> Model:
    """Backbone and track heads of a whole-model golden, with its parameters."""
    config = trunk_checks.backbone_config(golden, organisms=golden.config["num_organisms"])
    metadata = golden.config["metadata"]
    heads = {
        name: make_head(name, {o: m.get(name) or [] for o, m in metadata.items()}, config.dims) for name in TRACK_HEADS
    }
    return load_official(Model(Backbone(config, key=KEY), heads), golden.parameters(), "alphagenome")


def check_small_model(golden: Golden) -> None:
    inputs = golden.inputs()
    model = small_model(golden)
    run = eqx.filter_jit(lambda m, dna, organism: (m(dna, organism), m.backbone(dna.astype(m.precision), organism)))
    dna = jax.nn.one_hot(inputs["dna_codes"], 4)
    positions = inputs["positions_1bp"]

    def compare(model, prefix):
        predictions, embeddings = run(model, dna, inputs["organism"])
        got = {f"{name}/{key}": value for name, heads in predictions.items() for key, value in heads.items()}
        got |= {"embeddings/embeddings_128bp": embeddings.bp128, "embeddings/embeddings_pair": embeddings.pair}
        got["embeddings_1bp"] = embeddings.bp1
        got = {key: v[:, positions] if key.endswith("1bp") else v for key, v in got.items()}
        for key in golden.keys(prefix):
            if key in got:
                golden.compare(key, got[key], prefix)

    compare(model, "out")
    compare(cast(model, "bfloat16"), "out_bf16")


CHECKS: dict[str, Callable[[Golden], None]] = {
    "multi_organism_linear": check_linear,
    "fn_scaling": check_scaling,
    "fn_reverse_complement": check_reverse_complement,
    "loss_heads_real_segment": check_track_losses,
} | {f"head_nan_{name}": check_track_head for name in TRACK_HEADS}
MODEL_CHECKS: dict[str, Callable[[Golden], None]] = {"forward": check_small_model}
