"""The deterministic noise that golden parameters and sequences are made of (see the golden README)."""

import math
import zlib

import numpy as np

MASK = np.uint64(0xFFFFFFFFFFFFFFFF)


def _mix(x: np.ndarray) -> np.ndarray:
    x = x ^ (x >> np.uint64(30))
    x = x * np.uint64(0xBF58476D1CE4E5B9)
    x = x ^ (x >> np.uint64(27))
    x = x * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def uniform(name: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Numbers in [0, 1), a pure function of name, shape and seed; float64."""
    with np.errstate(over="ignore"):
        key = _mix(np.array((seed << 32) + zlib.crc32(name.encode()), np.uint64))
        count = np.arange(1, math.prod(shape) + 1, dtype=np.uint64)
        bits = _mix(key + count * np.uint64(0x9E3779B97F4A7C15))
    return ((bits >> np.uint64(40)).astype(np.float64) * 2.0**-24).reshape(shape)


def noise(name: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Mean 0, variance 1; float64."""
    return (2 * uniform(name, shape, seed) - 1) * math.sqrt(3)


def dna(name: str, length: int, batch: int, seed: int, n_fraction: float) -> np.ndarray:
    """Base codes [batch, length]: 0..3, 4 = N."""
    codes = np.floor(4 * uniform(name, (batch, length), seed)).astype(np.uint8)
    codes[uniform(name + "/n", (batch, length), seed) < n_fraction] = 4
    return codes


def parameter(path: str, shape: tuple[int, ...], seed: int, var_center: dict[str, float]) -> np.ndarray:
    """A parameter or running variance at its official path; float32."""
    parents, _, leaf = path.rpartition("/")
    z = noise(path, shape, seed)
    if leaf == "w" and "standardized_conv1_d" in parents:
        value = (z + 0.5) / math.sqrt(shape[0] * shape[1])
    elif leaf == "w" and "multi_organism_linear" in parents:
        value = z / math.sqrt(shape[1])
    elif leaf == "w":
        value = z / math.sqrt(math.prod(shape[:-1]))
    elif leaf == "embeddings":
        value = (0.12 if parents.endswith("_logits") else 0.3) * z
    elif leaf == "var_ema":
        value = var_center.get(path, 1.0) * np.exp(0.4 * z)
    else:
        offset, factor = {
            "scale": (1, 0.2),
            "offset": (0, 0.1),
            "bias": (0, 0.1),
            "b": (0, 0.1),
            "q_r_bias": (0, 0.2),
            "k_r_bias": (0, 0.2),
            "residual_scale": (1, 0.2),
            "learnt_scale": (1, 0.5),
        }[leaf]
        value = offset + factor * z
    return np.asarray(value, np.float32)
