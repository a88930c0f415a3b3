"""Arrays on the wire: row-major little-endian bytes, in chunks compressed by zstd. Source: spec/scoring.md 5.2."""

import math
from collections.abc import Iterable, Iterator
from typing import Any

import ml_dtypes
import numpy as np
import pyarrow as pa
from jaxtyping import Shaped

from ag_scorers.serve.protocol import MESSAGES

CHUNK = 1 << 20
# Smaller arrays are sent as they are: a frame's head would be as long as what it saves.
LEAST = 256
_TYPES = MESSAGES.DataType
NUMBERS = {
    np.dtype(name): getattr(_TYPES, f"DATA_TYPE_{name.upper()}")
    for name in ("float16", "float32", "float64", "int8", "int32", "int64", "uint8", "uint32", "uint64", "bool")
} | {np.dtype(ml_dtypes.bfloat16): _TYPES.DATA_TYPE_BFLOAT16}
DTYPES = {number: dtype for dtype, number in NUMBERS.items()}
_NONE, _ZSTD = MESSAGES.CompressionType.COMPRESSION_TYPE_NONE, MESSAGES.CompressionType.COMPRESSION_TYPE_ZSTD


def pack(array: Shaped[np.ndarray, "..."], chunk: int = CHUNK) -> tuple[Any, Iterator[Any]]:
    """The `Tensor` of an array, and the chunks that must follow it; what fits in one chunk is in the tensor itself.

    Chunks are compressed when they are asked for. An array without values has no chunks.
    """
    array = np.ascontiguousarray(array)
    tensor = MESSAGES.Tensor(shape=array.shape, data_type=NUMBERS[array.dtype])
    if 0 < array.nbytes <= chunk:
        tensor.array.CopyFrom(_compress(_bytes(array)))
        return tensor, iter(())
    step = max(chunk // array.itemsize, 1) * array.itemsize
    tensor.chunk_count = -(-array.nbytes // step)
    return tensor, _chunks(array, step)


def unpack(tensor: Any, chunks: Iterable[Any] = ()) -> Shaped[np.ndarray, "..."]:
    """The array of a `Tensor` and its chunks. Raises ValueError when they do not go together."""
    dtype = DTYPES.get(tensor.data_type)
    if dtype is None:
        raise ValueError(f"data type {tensor.data_type} is unknown; expected one of {sorted(DTYPES)}")
    parts = [tensor.array] if tensor.WhichOneof("payload") == "array" else list(chunks)
    size = math.prod(tensor.shape) * dtype.itemsize
    data = b"".join(_decompress(part, size) for part in parts)
    if len(data) != size:
        raise ValueError(f"an array of shape {tuple(tensor.shape)} and type {dtype} has {size} bytes, got {len(data)}")
    return np.frombuffer(data, dtype).reshape(tensor.shape) if size else np.zeros(tensor.shape, dtype)


def _bytes(array: Shaped[np.ndarray, "..."]) -> memoryview:
    return array.reshape(-1).view(np.uint8).data


def _chunks(array: Shaped[np.ndarray, "..."], step: int) -> Iterator[Any]:
    if array.nbytes:
        data = _bytes(array)
        for start in range(0, len(data), step):
            yield _compress(data[start : start + step])


def _compress(data: memoryview) -> Any:
    if len(data) < LEAST:
        return MESSAGES.TensorChunk(data=bytes(data), compression_type=_NONE)
    # One frame, whose head tells the size: readers ask for that.
    packed = pa.Codec("zstd", compression_level=1).compress(pa.py_buffer(data), asbytes=True)
    return MESSAGES.TensorChunk(data=packed, compression_type=_ZSTD)


def _decompress(chunk: Any, most: int) -> bytes:
    if chunk.compression_type != _ZSTD:
        return chunk.data
    with pa.input_stream(pa.py_buffer(chunk.data), compression="zstd") as stream:
        return stream.read(most + 1)
