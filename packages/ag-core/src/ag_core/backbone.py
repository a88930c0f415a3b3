"""The network from one-hot DNA to embeddings. Source: spec/model.md sections 1.6-1.17."""

from collections.abc import Callable, Container
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int, PRNGKeyArray

from ag_core.attention import MLP, AttentionBias, MultiQueryAttention, pick
from ag_core.config import PAIR_BIN, TOKEN, BackboneConfig, check_length
from ag_core.interfaces import Embeddings
from ag_core.layers import (
    Conv,
    ConvBlock,
    LayerNorm,
    Linear,
    RMSBatchNorm,
    gelu_sigmoid,
    max_pool,
    truncated_normal,
)
from ag_core.mesh import DATA, SEQ, pin
from ag_core.pair import PairUpdate

EMBEDDING_STD = 1e-6


class OrganismTable(eqx.Module):
    """One learnt vector for each organism."""

    vectors: Float[Array, "organism channel"]
    official: ClassVar = {"vectors": "embeddings"}

    def __init__(self, organisms: int, channels: int, *, key: PRNGKeyArray):
        self.vectors = truncated_normal(key, (organisms, channels), EMBEDDING_STD)

    def add(self, x: Float[Array, "batch *position channel"], organism: Int[Array, " batch"]):
        """Adds each example's vector to all its positions."""
        rows = self.vectors[organism]
        return x + rows.reshape(rows.shape[0], *(1,) * (x.ndim - 2), rows.shape[-1])


def _organism_table(organisms: int, channels: int, key: PRNGKeyArray) -> OrganismTable | None:
    return OrganismTable(organisms, channels, key=key) if organisms else None


def _again(block: Any, remat: bool) -> Callable[..., Any]:
    """The block, run again in the backward pass if `remat`."""
    return eqx.filter_checkpoint(block) if remat else block


class Stem(eqx.Module):
    """DNA to features at 1 bp."""

    conv: Conv
    block: ConvBlock
    official: ClassVar = {"conv": "conv1_d", "block": "conv_block"}

    def __init__(self, channels: int, *, key: PRNGKeyArray):
        conv_key, block_key = jax.random.split(key)
        self.conv = Conv.init(4, channels, 15, key=conv_key)
        self.block = ConvBlock(channels, channels, 5, key=block_key)

    def __call__(self, dna: Float[Array, "batch position base"]) -> Float[Array, "batch position channel"]:
        x = self.conv(dna)
        return x + self.block(x)


class DownBlock(eqx.Module):
    """Residual block that appends channels; the residual is padded with zeros at the end."""

    first: ConvBlock
    second: ConvBlock
    official: ClassVar = {"first": "conv_block", "second": "conv_block_1"}

    def __init__(self, size_in: int, size_out: int, *, key: PRNGKeyArray):
        first_key, second_key = jax.random.split(key)
        self.first = ConvBlock(size_in, size_out, 5, key=first_key)
        self.second = ConvBlock(size_out, size_out, 5, key=second_key)

    def __call__(self, x: Float[Array, "batch position in"]) -> Float[Array, "batch position out"]:
        y = self.first(x)
        y = y + jnp.pad(x, ((0, 0), (0, 0), (0, y.shape[-1] - x.shape[-1])))
        return y + self.second(y)


class Encoder(eqx.Module):
    """DNA to 128-bp tokens, and the features at 1, 2, ..., 64 bp that the decoder will want."""

    stem: Stem
    blocks: list[DownBlock]
    official: ClassVar = {"stem": "dna_embedder", "blocks": "downres_block_{i}"}

    def __init__(self, config: BackboneConfig, *, key: PRNGKeyArray):
        keys = jax.random.split(key, 7)
        sizes = config.level_channels
        self.stem = Stem(sizes[0], key=keys[0])
        self.blocks = [DownBlock(sizes[i], sizes[i + 1], key=keys[i + 1]) for i in range(6)]

    def __call__(
        self, dna: Float[Array, "batch position base"], *, remat: bool = False
    ) -> tuple[Float[Array, "batch token channel"], list[Float[Array, "batch _ _"]]]:
        skips = [_again(self.stem, remat)(dna)]
        for block in self.blocks:
            skips.append(_again(block, remat)(max_pool(skips[-1])))
        return max_pool(skips[-1]), skips


class TowerBlock(eqx.Module):
    """Attention with a pair bias, then the MLP; every other block first updates the pair state."""

    pair_update: PairUpdate | None
    bias: AttentionBias
    attention: MultiQueryAttention
    mlp: MLP
    # On what attention and MLP add. The paper's placement is not known (spec/model.md section 7).
    dropout: eqx.nn.Dropout

    def __init__(self, config: BackboneConfig, *, update_pair: bool, key: PRNGKeyArray):
        keys = jax.random.split(key, 4)
        c = config
        self.pair_update = None
        if update_pair:
            self.pair_update = PairUpdate(
                c.trunk, c.pair_heads, c.pair_head_size, c.pair_size, c.position_features, key=keys[0]
            )
        self.bias = AttentionBias(c.pair_size, c.heads, key=keys[1])
        self.attention = MultiQueryAttention(c.trunk, c.heads, c.key_size, c.value_size, key=keys[2])
        self.mlp = MLP(c.trunk, key=keys[3])
        self.dropout = eqx.nn.Dropout(0.0, inference=True)

    def __call__(
        self, x, pair, mesh: Mesh | None, key: PRNGKeyArray | None, rows: Int[Array, "batch wanted"] | None = None
    ):
        """Tokens `[batch, token, channel]` and pair state `[batch, row, column, pair]` (None at first), updated.

        With `rows` only these tokens are updated; the others come back as zeros.
        """
        if self.pair_update is not None:
            pair = pin(self.pair_update(x, pair), mesh, DATA, SEQ)
        attention_key, mlp_key = (None, None) if key is None else jax.random.split(key)
        attended = self.attention(x, self.bias(pair), mesh=mesh, rows=rows)
        y = (x if rows is None else pick(x, rows)) + self.dropout(attended, key=attention_key)
        y = y + self.dropout(self.mlp(y), key=mlp_key)
        if rows is not None:
            y = jax.vmap(lambda values, at: jnp.zeros_like(x[0]).at[at].set(values))(y, rows)
        return y, pair


class Tower(eqx.Module):
    """The transformer tower."""

    blocks: list[TowerBlock]

    def __init__(self, config: BackboneConfig, *, key: PRNGKeyArray):
        keys = jax.random.split(key, config.blocks)
        self.blocks = [TowerBlock(config, update_pair=i % 2 == 0, key=keys[i]) for i in range(config.blocks)]

    def __call__(
        self,
        x: Float[Array, "batch token channel"],
        mesh: Mesh | None = None,
        key: PRNGKeyArray | None = None,
        rows: Int[Array, "batch wanted"] | None = None,
        *,
        remat: bool = False,
    ) -> tuple[Float[Array, "batch token channel"], Float[Array, "batch row column pair"]]:
        """Tokens and pair state after the last block. With `rows` only these tokens are right, the others zeros.

        Up to the last block every token may look at every other; the last one is spared what nobody reads.
        """
        pair = None
        keys = [None] * len(self.blocks) if key is None else jax.random.split(key, len(self.blocks))
        for i, (block, block_key) in enumerate(zip(self.blocks, keys, strict=True)):
            x, pair = _again(block, remat)(x, pair, mesh, block_key, rows if i == len(self.blocks) - 1 else None)
        assert pair is not None  # the first block makes it
        return x, pair


class UpBlock(eqx.Module):
    """Doubles the resolution and adds the encoder's features of that level."""

    conv_in: ConvBlock
    skip: ConvBlock
    conv_out: ConvBlock
    residual_scale: Float[Array, ""]
    official: ClassVar = {
        "conv_in": "conv_in",
        "skip": "pointwise_conv_unet_skip",
        "conv_out": "conv_out",
        "residual_scale": "residual_scale",
    }

    def __init__(self, size_in: int, size_out: int, *, key: PRNGKeyArray):
        keys = jax.random.split(key, 3)
        self.conv_in = ConvBlock(size_in, size_out, 5, key=keys[0])
        self.skip = ConvBlock(size_out, size_out, 1, key=keys[1])
        self.conv_out = ConvBlock(size_out, size_out, 5, key=keys[2])
        self.residual_scale = jnp.array(0.1)

    def __call__(
        self, x: Float[Array, "batch position in"], skip: Float[Array, "batch fine out"]
    ) -> Float[Array, "batch fine out"]:
        y = self.conv_in(x) + x[..., : skip.shape[-1]]
        y = jnp.repeat(y, 2, axis=1) * self.residual_scale + self.skip(skip)
        return y + self.conv_out(y)


class Decoder(eqx.Module):
    """128-bp tokens back to features at 1 bp."""

    blocks: list[UpBlock]
    official: ClassVar = {"blocks": "up_res_block{_i}"}

    def __init__(self, config: BackboneConfig, *, key: PRNGKeyArray):
        sizes = (config.trunk, *reversed(config.level_channels))
        keys = jax.random.split(key, 7)
        self.blocks = [UpBlock(sizes[i], sizes[i + 1], key=keys[i]) for i in range(7)]

    def __call__(
        self, x: Float[Array, "batch token channel"], skips: list[Float[Array, "batch _ _"]], *, remat: bool = False
    ) -> Float[Array, "batch position stem"]:
        for block, skip in zip(self.blocks, reversed(skips), strict=True):
            x = _again(block, remat)(x, skip)
        return x


class SequenceEmbedder(eqx.Module):
    """Output embedding of a resolution, optionally with the coarser embedding mixed in."""

    linear: Linear
    coarse: Linear | None
    norm: RMSBatchNorm
    organism: OrganismTable | None
    official: ClassVar = {"linear": "linear", "coarse": "linear_1", "norm": "rms_batch_norm", "organism": "embed"}

    def __init__(self, size_in: int, size_coarse: int | None, organisms: int, *, key: PRNGKeyArray):
        keys = jax.random.split(key, 3)
        size = 2 * size_in
        self.linear = Linear(size_in, size, key=keys[0])
        self.coarse = None if size_coarse is None else Linear(size_coarse, size, bias=False, key=keys[1])
        self.norm = RMSBatchNorm(size)
        self.organism = _organism_table(organisms, size, keys[2])

    def __call__(
        self,
        x: Float[Array, "batch position channel"],
        coarse: Float[Array, "batch bin coarse_channel"] | None,
        organism: Int[Array, " batch"],
    ) -> Float[Array, "batch position out"]:
        y = self.linear(x)
        if self.coarse is not None:
            assert coarse is not None
            y = y + jnp.repeat(self.coarse(coarse), x.shape[1] // coarse.shape[1], axis=1)
        y = self.norm(y)
        return gelu_sigmoid(y if self.organism is None else self.organism.add(y, organism))


class PairEmbedder(eqx.Module):
    """Output embedding of the pair state; only here is it symmetrised."""

    norm: LayerNorm
    organism: OrganismTable | None
    official: ClassVar = {"norm": "layer_norm", "organism": "embed"}

    def __init__(self, pair_size: int, organisms: int, *, key: PRNGKeyArray):
        self.norm = LayerNorm(pair_size, centred=False)
        self.organism = _organism_table(organisms, pair_size, key)

    def __call__(
        self, pair: Float[Array, "batch row column pair"], organism: Int[Array, " batch"]
    ) -> Float[Array, "batch row column pair"]:
        y = self.norm((pair + jnp.swapaxes(pair, 1, 2)) / 2)
        return gelu_sigmoid(y if self.organism is None else self.organism.add(y, organism))


class Backbone(eqx.Module):
    """Everything that is shared by all modalities."""

    encoder: Encoder
    organism: OrganismTable | None
    tower: Tower
    decoder: Decoder
    embedder_128: SequenceEmbedder
    embedder_1: SequenceEmbedder
    embedder_pair: PairEmbedder
    config: BackboneConfig = eqx.field(static=True)
    official: ClassVar = {
        "encoder": "sequence_encoder",
        "organism": "embed",
        "tower": "transformer_tower",
        "decoder": "sequence_decoder",
        "embedder_128": "output_embedder",
        "embedder_1": "output_embedder_1",
        "embedder_pair": "output_pair",
    }

    def __init__(self, config: BackboneConfig, *, key: PRNGKeyArray):
        keys = jax.random.split(key, 7)
        self.config = config
        self.encoder = Encoder(config, key=keys[0])
        self.organism = _organism_table(config.organisms, config.trunk, keys[1])
        self.tower = Tower(config, key=keys[2])
        self.decoder = Decoder(config, key=keys[3])
        self.embedder_128 = SequenceEmbedder(config.trunk, None, config.organisms, key=keys[4])
        self.embedder_1 = SequenceEmbedder(config.stem, 2 * config.trunk, config.organisms, key=keys[5])
        self.embedder_pair = PairEmbedder(config.pair_size, config.organisms, key=keys[6])

    def __call__(
        self,
        dna: Float[Array, "batch position base"],
        organism: Int[Array, " batch"],
        *,
        resolutions: Container[int] = (1, TOKEN, PAIR_BIN),
        mesh: Mesh | None = None,
        remat: bool = False,
        key: PRNGKeyArray | None = None,
    ) -> Embeddings:
        """Embeddings (batched) at the wanted `resolutions`; the decoder runs only if 1 is among them.

        `dna` is one-hot in the order A, C, G, T, all zeros for N; `organism` indexes the checkpoint's organisms;
        `key` is needed in training mode with dropout. With `remat` only what passes between blocks is kept for the
        backward pass; the blocks run again.
        Raises ValueError unless the length is a multiple of 2,048.
        """
        check_length(dna.shape[1])
        dna = pin(dna, mesh, DATA, SEQ)
        trunk, skips = self.encoder(dna, remat=remat)
        if self.organism is not None:
            trunk = self.organism.add(trunk, organism)
        trunk, pair = self.tower(trunk, mesh, key, remat=remat)
        bp1 = bp128 = pairs = None
        if TOKEN in resolutions or 1 in resolutions:
            bp128 = self.embedder_128(trunk, None, organism)
        if 1 in resolutions:
            bp1 = self.embedder_1(self.decoder(trunk, skips, remat=remat), bp128, organism)
        if PAIR_BIN in resolutions:
            pairs = self.embedder_pair(pair, organism)
        return pin(Embeddings(bp1, bp128, pairs), mesh, DATA, SEQ)
