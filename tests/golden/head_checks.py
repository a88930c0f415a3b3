"""Parity of the genome-track heads and of the whole reduced model."""

import functools
import re
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
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
from ag_heads.sites import select_sites
from golden_file import Golden

KEY = jax.random.key(0)
TRACK_HEADS = ("atac", "dnase", "procap", "cage", "rna_seq", "chip_tf", "chip_histone")
# Official head names that differ from the modality.
MODALITIES = {
    "splice_sites_classification": "splice_sites",
    "splice_sites_usage": "splice_site_usage",
    "splice_sites_junction": "splice_junctions",
}
ALL_HEADS = (*TRACK_HEADS, "contact_maps", *MODALITIES)


def tables_of(name: str, metadata: Mapping[str, Mapping[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Rows of each organism for an official head, from {organism: {output: rows}}."""
    modality = MODALITIES.get(name, name)
    return {organism: list(outputs.get(modality) or []) for organism, outputs in metadata.items()}


def tables(records: Mapping[str, list[dict[str, Any]]]) -> list[Any]:
    """One track table for each organism, from the metadata rows of a golden config."""
    made = []
    for rows in records.values():
        columns = {"name": [row["name"] for row in rows], "strand": [row.get("strand", ".") for row in rows]}
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
    inputs, dims = golden.inputs(), EmbeddingDims(4, 4, 4)
    turn_these = inputs["mask"]

    def choose(turned, original):
        return np.where(turn_these.reshape(-1, *(1,) * (original.ndim - 1)), turned, original)

    for output in golden.keys("in/strand_reindexing"):
        modality, partners = output.lower(), inputs[f"strand_reindexing/{output}"]
        strands = np.full(len(partners), ".", object)
        for i, partner in enumerate(partners):
            if i != partner:
                strands[i] = "+" if i < partner else "-"
        rows = [{"name": f"t{i}", "strand": strand} for i, strand in enumerate(strands)]
        if modality == "splice_junctions":
            rows = rows[: len(rows) // 2]
            head = make_head(modality, {"human": [row | {"strand": "."} for row in rows]}, dims)
            names = ("predictions", "splice_site_positions")
            given = {name: inputs[f"{output}/{name}"] for name in names}
            turned = jax.vmap(lambda x, h=head: h.reverse_complement(x, jnp.array(0), 12))(given)
            for name in names:
                golden.compare(f"{output}/{name}", choose(turned[name], given[name]))
            continue
        head = make_head(modality, {"human": rows}, dims)
        np.testing.assert_array_equal(strand_partners(tables({"human": rows})[0]), partners)
        turned = jax.vmap(lambda x, h=head: h.reverse_complement({"x": x}, jnp.array(0), 12)["x"])(inputs[output])
        golden.compare(output, choose(turned, inputs[output]))


def check_site_positions(golden: Golden) -> None:
    inputs = golden.inputs()
    settings = {"a": (8, 8, 0.1), "b": (20, 24, 0.42), "c": (8, 11, 0.0), "d": (40, 40, 0.5)}
    for key in golden.keys("out"):
        setting, _, evidence = key.partition("_")
        count, pad_to, threshold = settings[setting]
        values = inputs["ref"]
        if "alt" in evidence:
            values = np.maximum(values, inputs["alt"])
        if "true" in evidence:
            values = np.maximum(values, inputs["true_sites"])
        select = functools.partial(select_sites, count=count, threshold=threshold, pad_to=pad_to)
        golden.compare(key, jax.vmap(select)(jnp.asarray(values, jnp.float32)))


def check_junction_head(golden: Golden) -> None:
    inputs = golden.inputs()
    dims = EmbeddingDims(inputs["e1"].shape[-1], 2, 2)
    name = "head/splice_sites_junction"
    parameters = golden.parameters()
    hidden = parameters[f"{name}/multi_organism_linear/b"].shape[-1]
    tissues = parameters[f"{name}/pos_donor_logits/embeddings"].shape[-1] // (2 * hidden)
    organisms = parameters[f"{name}/multi_organism_linear/b"].shape[0]
    rows = {str(o): [{"name": f"t{t}"} for t in range(tissues)] for o in range(organisms)}
    head = make_head("splice_junctions", rows, dims, hidden=hidden)

    def call(m, e1, organism, positions):
        def one(e1, organism, positions):
            given = {"splice_junctions": {"splice_site_positions": positions}}
            return m(Embeddings(e1, None, None), organism, given)

        return jax.vmap(one)(e1, organism, positions)

    trunk_checks.run_both(golden, head, name, call)


def check_head(golden: Golden) -> None:
    name = golden.stem.removeprefix("native_").removeprefix("head_").removeprefix("nan_")
    inputs = golden.inputs()
    dims = EmbeddingDims(*(inputs[name].shape[-1] for name in ("e1", "e128", "ep")))
    head = make_head(MODALITIES.get(name, name), golden.config["metadata"], dims)

    def call(m, e1, e128, ep, organism):
        return jax.vmap(lambda e, o: m(e, o, {}))(Embeddings(e1, e128, ep), organism)

    trunk_checks.run_both(golden, head, f"head/{name}", call)


def small_model(golden: Golden, segment: int | None = None) -> Model:
    """The whole model of a golden, with its parameters."""
    config = trunk_checks.backbone_config(golden, organisms=golden.config["num_organisms"])
    metadata, heads = golden.config["metadata"], {}
    for name in ALL_HEADS:
        modality = MODALITIES.get(name, name)
        options = {}
        if name in TRACK_HEADS and segment is not None:
            options = {"segment": segment}
        if modality == "splice_junctions":
            options = {
                "sites": golden.config["num_splice_sites"],
                "threshold": golden.config["splice_site_threshold"],
                "hidden": golden.config["dims"]["junction_hidden"],
            }
        heads[modality] = make_head(modality, tables_of(name, metadata), config.dims, **options)
    return load_official(Model(Backbone(config, key=KEY), heads), golden.parameters(), "alphagenome")


def check_small_model(golden: Golden) -> None:
    inputs = golden.inputs()
    model = small_model(golden)

    def run(m, dna, organism):
        embeddings = m.embed(dna, organism)
        return m.predict(embeddings, organism), embeddings

    dna = jax.nn.one_hot(inputs["dna_codes"], 4)
    positions = inputs["positions_1bp"]

    def compare(model, prefix):
        predictions, embeddings = eqx.filter_jit(run)(model, dna, inputs["organism"])
        got = {
            f"{model.heads[name].official_name}/{key}": value
            for name, heads in predictions.items()
            for key, value in heads.items()
        }
        got |= {"embeddings/embeddings_128bp": embeddings.bp128, "embeddings/embeddings_pair": embeddings.pair}
        got["embeddings_1bp"] = embeddings.bp1
        # What has one value for each base is stored at some positions only.
        got = {key: v[:, positions] if v.shape[1] == dna.shape[1] else v for key, v in got.items()}
        for key in golden.keys(prefix):
            golden.compare(key, got[key], prefix)

    compare(model, "out")
    compare(cast(model, "bfloat16"), "out_bf16")


CHECKS: dict[str, Callable[[Golden], None]] = {
    "multi_organism_linear": check_linear,
    "fn_scaling": check_scaling,
    "fn_reverse_complement": check_reverse_complement,
    "fn_splice_site_positions": check_site_positions,
    "head_contact_maps": check_head,
    "head_splice_sites_classification": check_head,
    "head_splice_sites_usage": check_head,
    "head_splice_sites_junction": check_junction_head,
} | {f"head_nan_{name}": check_head for name in TRACK_HEADS}
MODEL_CHECKS: dict[str, Callable[[Golden], None]] = {"forward": check_small_model}
