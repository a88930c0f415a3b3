"""Parity of the backbone's parts: for each golden stem, which module it is and how to call it."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import recipe
from ag_core import attention, backbone, layers, pair
from ag_core.config import BackboneConfig
from ag_core.official import load_official
from ag_core.precision import cast
from golden_file import Golden

KEY = jax.random.key(0)


def backbone_config(golden: Golden, **changes: int) -> BackboneConfig:
    dims = golden.config["dims"]
    renamed = {
        "stem": dims["stem"],
        "step": dims["step"],
        "heads": dims["heads"],
        "key_size": dims["qk"],
        "value_size": dims["v"],
        "pair_heads": dims["pair_heads"],
        "pair_head_size": dims["pair_head_dim"],
        "pair_size": dims["pair_dim"],
        "position_features": dims["pos_features"],
    }
    return BackboneConfig(**(renamed | changes))


def run_both(golden: Golden, module: Any, prefix: str, call: Callable[..., dict[str, Any]]) -> None:
    """Loads the golden's parameters into `module`, then compares float32 and, where recorded, bfloat16."""
    module = load_official(module, golden.parameters(), prefix)
    inputs = {key: jnp.asarray(value) for key, value in golden.inputs().items()}
    call = eqx.filter_jit(call)  # as models run, and many times faster to compile than each operation by itself
    for key, got in call(module, **inputs).items():
        golden.compare(key, got)
    if golden.keys("out_bf16"):
        low = cast((module, inputs), "bfloat16")
        for key, got in call(low[0], **low[1]).items():
            dtype = golden.config.get("bf16_output_dtypes", {}).get(f"out_bf16/{key}", "bfloat16")
            assert got.dtype == dtype, f"{golden.stem}: {key}: computed in {got.dtype}, expected {dtype}"
            golden.compare(key, got, "out_bf16")


def check_gelu(golden: Golden) -> None:
    x = golden.inputs()["x"]
    golden.compare("sigmoid_1702", layers.gelu_sigmoid(jnp.asarray(x)))
    golden.compare("tanh", layers.gelu_tanh(jnp.asarray(x)))


def check_pool(golden: Golden) -> None:
    def call(_, x):
        twice = layers.max_pool(x)
        return {"max2": twice, "max4": layers.max_pool(twice), "mean16": layers.mean_pool(x, 16)}

    run_both(golden, None, "", call)


def check_rope(golden: Golden) -> None:
    inputs = golden.inputs()
    x, positions = jnp.asarray(inputs["x"]), jnp.asarray(inputs["positions"])
    golden.compare("default_positions_8192", attention.rotate(x))
    for maximum in (8192, 1048576):
        golden.compare(f"positions_{maximum}", attention.rotate(x, positions, maximum))
    want = golden.arrays["out_bf16/default_positions_8192"]
    low = attention.rotate(x.astype(jnp.bfloat16)).astype(jnp.float32)
    np.testing.assert_allclose(low, want, atol=0.05, err_msg=golden.stem)


def check_rope_long(golden: Golden) -> None:
    name, (shape, seed) = f"{golden.split}/rope_long", ((1, 2048, 1, 128), golden_seed(golden))
    x = jnp.asarray(recipe.noise(name, shape, seed), jnp.float32)
    stored = golden.inputs()["positions_stored"]
    golden.compare("float32", attention.rotate(x)[:, stored])
    tolerance = golden.json["arrays"]["out_bf16/bfloat16"]["tolerance"]
    low = attention.rotate(x.astype(jnp.bfloat16))[:, stored].astype(jnp.float32)
    close = np.abs(np.asarray(low) - golden.arrays["out_bf16/bfloat16"]) <= tolerance["atol"]
    assert close.mean() >= tolerance["fraction_within"], f"{golden.stem}: only {close.mean():.4f} within tolerance"


def golden_seed(golden: Golden) -> int:
    """The seed in a text such as "recipe.noise('open/rope_long', (1,2048,1,128), 901); ..."."""
    return int(golden.config["x"].split(");")[0].rsplit(",", 1)[1].strip(" )"))


def check_relative_position(golden: Golden) -> None:
    want = golden.arrays
    rows, count = want["out/mask_features_32_512"].shape
    offsets = np.arange(-(rows // 2), rows // 2)
    golden.compare("mask_features_32_512", pair.position_features(offsets, count)[:, :count])
    rows, count = want["out/mask_features_small"].shape
    offsets = np.arange(-(rows // 2), rows // 2)
    golden.compare("mask_features_small", pair.position_features(offsets, count)[:, :count])
    golden.compare("shift_y", pair.by_difference(jnp.asarray(golden.inputs()["shift_x"])))


def check_batch_norm(golden: Golden) -> None:
    module = layers.RMSBatchNorm(golden.inputs()["x"].shape[-1])
    run_both(golden, module, "rms_batch_norm", lambda m, x: {"y": m(x)})


class _Norms(layers.eqx.Module):
    rms: layers.LayerNorm
    centred: layers.LayerNorm
    official = {"rms": "layer_norm", "centred": "centered"}

    def __init__(self, size: int):
        self.rms, self.centred = layers.LayerNorm(size, centred=False), layers.LayerNorm(size, centred=True)


def check_layer_norm(golden: Golden) -> None:
    run_both(
        golden,
        _Norms(golden.inputs()["x"].shape[-1]),
        "",
        lambda m, x: {"rms": m.rms(x), "centered": m.centred(x)},
    )


def check_norms_small_variance(golden: Golden) -> None:
    x = jnp.asarray(golden.inputs()["x"])
    norms = load_official(_Norms(x.shape[-1]), golden.parameters())
    golden.compare("layer_norm_rms", norms.rms(x))
    golden.compare("layer_norm_centered", norms.centred(x))
    golden.compare(
        "batch_norm",
        load_official(layers.RMSBatchNorm(x.shape[-1]), golden.parameters(), "rms_batch_norm")(x),
    )


def check_standardized_conv(golden: Golden) -> None:
    width, size_in, size_out = golden.parameters()["standardized_conv1_d/w"].shape
    module = layers.StandardizedConv(size_in, size_out, width, key=KEY)
    run_both(golden, module, "standardized_conv1_d", lambda m, x: {"y": m(x)})


def check_conv_block(golden: Golden) -> None:
    parameters = golden.parameters()
    if "conv_block/linear/w" in parameters:
        width, (size_in, size_out) = 1, parameters["conv_block/linear/w"].shape
    else:
        width, size_in, size_out = parameters["conv_block/standardized_conv1_d/w"].shape
    module = layers.ConvBlock(size_in, size_out, width, key=KEY)
    run_both(golden, module, "conv_block", lambda m, x: {"y": m(x)})


def check_stem(golden: Golden) -> None:
    module = backbone.Stem(golden.config["dims"]["stem"], key=KEY)
    run_both(golden, module, "dna_embedder", lambda m, dna: {"y": m(dna)})


def check_down_block(golden: Golden) -> None:
    paths = [path for path in golden.parameters() if path.endswith("conv_block/standardized_conv1_d/w")]
    _, size_in, size_out = golden.parameters()[paths[0]].shape
    module = backbone.DownBlock(size_in, size_out, key=KEY)
    run_both(golden, module, paths[0].split("/")[0], lambda m, x: {"y": m(x)})


def check_up_block(golden: Golden) -> None:
    _, size_in, size_out = golden.parameters()["up_res_block/conv_in/standardized_conv1_d/w"].shape
    module = backbone.UpBlock(size_in, size_out, key=KEY)
    run_both(golden, module, "up_res_block", lambda m, x, skip: {"y": m(x, skip)})


def check_encoder(golden: Golden) -> None:
    def call(module, dna):
        trunk, skips = module(dna)
        return {"trunk": trunk} | {f"bin_size_{2**i}": skip for i, skip in enumerate(skips)}

    run_both(golden, backbone.Encoder(backbone_config(golden), key=KEY), "sequence_encoder", call)


def check_attention(golden: Golden) -> None:
    c = backbone_config(golden)
    channels = golden.inputs()["x"].shape[-1]
    module = attention.MultiQueryAttention(channels, c.heads, c.key_size, c.value_size, key=KEY)
    run_both(golden, module, "mha_block", lambda m, x, bias: {"y": m(x, bias)})


def check_attention_bias(golden: Golden) -> None:
    c = backbone_config(golden)
    module = attention.AttentionBias(c.pair_size, c.heads, key=KEY)

    def call(m, x):
        return {"y": jnp.repeat(jnp.repeat(m(x), 16, axis=2), 16, axis=3)}

    run_both(golden, module, "attention_bias_block", call)


def check_mlp(golden: Golden) -> None:
    module = attention.MLP(golden.inputs()["x"].shape[-1], key=KEY)
    run_both(golden, module, "mlp_block", lambda m, x: {"y": m(x)})


def check_pair_mlp(golden: Golden) -> None:
    module = pair.PairMLP(golden.inputs()["x"].shape[-1], key=KEY)
    run_both(golden, module, "pair_mlp_block", lambda m, x: {"y": m(x)})


def check_row_attention(golden: Golden) -> None:
    module = pair.RowAttention(golden.inputs()["x"].shape[-1], key=KEY)
    run_both(golden, module, "row_attention_block", lambda m, x: {"y": m(x)})


def check_sequence_to_pair(golden: Golden) -> None:
    c = backbone_config(golden)
    size = golden.inputs()["x"].shape[-1]
    module = pair.SequenceToPair(size, c.pair_heads, c.pair_head_size, c.pair_size, c.position_features, key=KEY)
    run_both(golden, module, "sequence_to_pair_block", lambda m, x: {"y": m(x)})


def check_pair_update(golden: Golden) -> None:
    c = backbone_config(golden)
    size = golden.inputs()["x"].shape[-1]
    module = pair.PairUpdate(size, c.pair_heads, c.pair_head_size, c.pair_size, c.position_features, key=KEY)
    run_both(golden, module, "pair_update_block", lambda m, x, pair=None: {"y": m(x, pair)})


def check_tower(golden: Golden) -> None:
    def call(module, x):
        x, pair_state = module(x)
        return {"x": x, "pair": pair_state}

    run_both(golden, backbone.Tower(backbone_config(golden), key=KEY), "transformer_tower", call)


def check_embedder(golden: Golden) -> None:
    parameters = golden.parameters()
    embed = parameters.get("output_embedder/embed/embeddings")
    coarse = parameters.get("output_embedder/linear_1/w")
    module = backbone.SequenceEmbedder(
        golden.inputs()["x"].shape[-1],
        None if coarse is None else coarse.shape[0],
        0 if embed is None else embed.shape[0],
        key=KEY,
    )

    def call(m, x, organism, skip=None):
        return {"y": m(x, skip, organism)}

    run_both(golden, module, "output_embedder", call)


def check_pair_embedder(golden: Golden) -> None:
    organisms, size = golden.parameters()["output_pair/embed/embeddings"].shape
    module = backbone.PairEmbedder(size, organisms, key=KEY)
    run_both(golden, module, "output_pair", lambda m, x, organism: {"y": m(x, organism)})


CHECKS: dict[str, Callable[[Golden], None]] = {
    "fn_gelu": check_gelu,
    "fn_pool": check_pool,
    "fn_rope_c": check_rope,
    "fn_rope_long": check_rope_long,
    "fn_relative_position": check_relative_position,
    "rms_batch_norm": check_batch_norm,
    "layer_norm": check_layer_norm,
    "norms_small_variance": check_norms_small_variance,
    "standardized_conv": check_standardized_conv,
    "conv_block": check_conv_block,
    "dna_embedder": check_stem,
    "down_res_block": check_down_block,
    "up_res_block": check_up_block,
    "sequence_encoder": check_encoder,
    "mha_block": check_attention,
    "attention_bias_block": check_attention_bias,
    "mlp_block": check_mlp,
    "pair_mlp_block": check_pair_mlp,
    "row_attention_block": check_row_attention,
    "sequence_to_pair_block": check_sequence_to_pair,
    "pair_update_block": check_pair_update,
    "transformer_tower": check_tower,
    "output_embedder": check_embedder,
    "output_pair": check_pair_embedder,
}
