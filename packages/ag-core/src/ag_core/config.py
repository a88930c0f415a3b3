"""Sizes of the network as data, with presets."""

import dataclasses
from typing import Any, NamedTuple

# Input lengths must be whole pair bins (spec/model.md section 0).
PAIR_BIN = 2048
TOKEN = 128


class EmbeddingDims(NamedTuple):
    """Channels of the embeddings that heads read: 1 bp, 128 bp, and pairs of 2,048-bp bins."""

    bp1: int
    bp128: int
    pair: int


@dataclasses.dataclass(frozen=True)
class BackboneConfig:
    """Sizes of the backbone; defaults are the published model (spec/model.md section 1).

    The sequence is halved seven times (1 bp to 128 bp); each of the six blocks on the way adds `step` channels.
    """

    stem: int = 768
    step: int = 128
    blocks: int = 9
    heads: int = 8
    key_size: int = 128
    value_size: int = 192
    pair_heads: int = 32
    pair_head_size: int = 128
    pair_size: int = 128
    position_features: int = 32
    organisms: int = 2

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            least = 0 if field.name == "organisms" else 1
            if not isinstance(value, int) or value < least:
                raise ValueError(f"{field.name} must be an integer of at least {least}, got {value!r}")
        if self.key_size % 2:
            raise ValueError(f"key_size must be even (rotary pairs), got {self.key_size}")

    @property
    def level_channels(self) -> tuple[int, ...]:
        """Channels at 1, 2, 4, ..., 64 bp."""
        return tuple(self.stem + i * self.step for i in range(7))

    @property
    def trunk(self) -> int:
        """Channels of the 128-bp tokens."""
        return self.level_channels[-1]

    @property
    def dims(self) -> EmbeddingDims:
        """Channels of the output embeddings."""
        return EmbeddingDims(2 * self.stem, 2 * self.trunk, self.pair_size)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for `model.json`."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "BackboneConfig":
        """The inverse of `to_dict`. Raises ValueError for unknown fields."""
        unknown = set(data) - {field.name for field in dataclasses.fields(cls)}
        if unknown:
            raise ValueError(f"unknown backbone settings {sorted(unknown)}; written by a newer ag-core?")
        return cls(**data)


PRESETS = {
    "full": BackboneConfig(),
    # Embedded in ag-heads: about a million parameters, seconds on a laptop core.
    "mini": BackboneConfig(
        stem=32,
        step=16,
        blocks=3,
        heads=4,
        key_size=32,
        value_size=32,
        pair_heads=4,
        pair_head_size=16,
        pair_size=16,
        position_features=8,
        organisms=1,
    ),
    "tiny": BackboneConfig(
        stem=8,
        step=2,
        blocks=2,
        heads=2,
        key_size=8,
        value_size=8,
        pair_heads=2,
        pair_head_size=4,
        pair_size=8,
        position_features=4,
    ),
}
"""Named sizes of the backbone: `full` is the published model, `mini` the embedded one, `tiny` for tests."""


def check_length(length: int) -> None:
    """Raises ValueError unless the backbone can read `length` base pairs."""
    if length <= 0 or length % PAIR_BIN:
        nearest = max(PAIR_BIN, round(length / PAIR_BIN) * PAIR_BIN)
        raise ValueError(
            f"sequence length must be a positive multiple of {PAIR_BIN:,} bp, got {length:,}; try {nearest:,}"
        )
