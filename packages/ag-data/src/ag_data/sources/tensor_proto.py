"""The two messages that TFRecords hold, `tf.train.Example` and `TensorProto`, read with protobuf and no TensorFlow.

Field names and numbers are those of TensorFlow's example.proto, feature.proto, tensor.proto and types.proto.
"""

import functools
import math
from typing import Any

import ml_dtypes
import numpy as np
from ag_core.errors import InputError
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError
from jaxtyping import Shaped

_Field = descriptor_pb2.FieldDescriptorProto
_PACKAGE = "ag_data.tensorflow"
# Values of a tensor: a message of a few bytes can stand for any number of them.
_MOST = 1 << 30

# Number of a type in TensorProto: numpy's type, and the field that lists its values one by one.
DTYPES: dict[int, tuple[np.dtype, str]] = {
    1: (np.dtype(np.float32), "float_val"),
    2: (np.dtype(np.float64), "double_val"),
    3: (np.dtype(np.int32), "int_val"),
    4: (np.dtype(np.uint8), "int_val"),
    5: (np.dtype(np.int16), "int_val"),
    6: (np.dtype(np.int8), "int_val"),
    9: (np.dtype(np.int64), "int64_val"),
    10: (np.dtype(np.bool_), "bool_val"),
    14: (np.dtype(ml_dtypes.bfloat16), "half_val"),
    17: (np.dtype(np.uint16), "int_val"),
    19: (np.dtype(np.float16), "half_val"),
    22: (np.dtype(np.uint32), "uint32_val"),
    23: (np.dtype(np.uint64), "uint64_val"),
}


@functools.cache
def message_classes() -> dict[str, Any]:
    """Message classes by name: Example and TensorProto, in a pool of their own."""
    file = descriptor_pb2.FileDescriptorProto(name="ag_data/tensorflow.proto", package=_PACKAGE, syntax="proto3")

    def message(name: str, *fields: tuple[str, int, Any, bool]) -> Any:
        """Adds a message; the kind of a field is a number, or the name of another message."""
        added = file.message_type.add(name=name)
        for field, number, kind, repeated in fields:
            label = _Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL
            entry = added.field.add(name=field, number=number, label=label)
            if isinstance(kind, str):
                entry.type, entry.type_name = _Field.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
            else:
                entry.type = kind
        return added

    message("BytesList", ("value", 1, _Field.TYPE_BYTES, True))
    message("FloatList", ("value", 1, _Field.TYPE_FLOAT, True))
    message("Int64List", ("value", 1, _Field.TYPE_INT64, True))
    lists = ("bytes_list", "float_list", "int64_list")
    names = ("BytesList", "FloatList", "Int64List")
    feature = message("Feature", *((field, i + 1, names[i], False) for i, field in enumerate(lists)))
    feature.oneof_decl.add(name="kind")
    for field in feature.field:
        field.oneof_index = 0
    features = message("Features", ("feature", 1, "Features.FeatureEntry", True))
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, label=_Field.LABEL_OPTIONAL, type=_Field.TYPE_STRING)
    kind = {"type": _Field.TYPE_MESSAGE, "type_name": f".{_PACKAGE}.Feature"}
    entry.field.add(name="value", number=2, label=_Field.LABEL_OPTIONAL, **kind)
    message("Example", ("features", 1, "Features", False))

    message("Dim", ("size", 1, _Field.TYPE_INT64, False), ("name", 2, _Field.TYPE_STRING, False))
    message("TensorShapeProto", ("dim", 2, "Dim", True), ("unknown_rank", 3, _Field.TYPE_BOOL, False))
    message(
        "TensorProto",
        ("dtype", 1, _Field.TYPE_INT32, False),  # an enum, which looks the same on the wire
        ("tensor_shape", 2, "TensorShapeProto", False),
        ("version_number", 3, _Field.TYPE_INT32, False),
        ("tensor_content", 4, _Field.TYPE_BYTES, False),
        ("float_val", 5, _Field.TYPE_FLOAT, True),
        ("double_val", 6, _Field.TYPE_DOUBLE, True),
        ("int_val", 7, _Field.TYPE_INT32, True),
        ("int64_val", 10, _Field.TYPE_INT64, True),
        ("bool_val", 11, _Field.TYPE_BOOL, True),
        ("half_val", 13, _Field.TYPE_INT32, True),
        ("uint32_val", 16, _Field.TYPE_UINT32, True),
        ("uint64_val", 17, _Field.TYPE_UINT64, True),
    )
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
        for name in ("Example", "TensorProto")
    }


def parse_example(record: bytes, source: str) -> dict[str, list[Any]]:
    """Features of a record: a list of bytes or numbers each. `source` names the record in messages."""
    try:
        example = message_classes()["Example"].FromString(record)
    except DecodeError as error:
        raise InputError(f"{source} is no tf.train.Example ({error}); expected TFRecords of examples") from error
    features = {}
    for name, feature in example.features.feature.items():
        kind = feature.WhichOneof("kind")
        features[name] = list(getattr(feature, kind).value) if kind else []
    return features


def parse_tensor(data: bytes, source: str) -> Shaped[np.ndarray, "..."]:
    """The array in a serialised tensor, as TensorFlow's `serialize_tensor` writes it.

    Values are either raw bytes or a list, whose last value stands for all that are missing. `source` names the tensor
    in messages. Raises InputError for other messages, types that hold no numbers, and sizes that do not fit the shape.
    """
    try:
        tensor = message_classes()["TensorProto"].FromString(data)
    except DecodeError as error:
        raise InputError(f"{source} is no serialised tensor ({error})") from error
    if tensor.dtype not in DTYPES or tensor.tensor_shape.unknown_rank:
        raise InputError(f"{source} is a tensor of type number {tensor.dtype} or without a shape; expected numbers")
    dtype, field = DTYPES[tensor.dtype]
    shape = tuple(dim.size for dim in tensor.tensor_shape.dim)
    count = math.prod(shape)
    if min(shape, default=0) < 0 or count > _MOST:
        raise InputError(f"{source} has the shape {shape}; expected sizes from 0 on, and at most {_MOST:,} values")
    if tensor.tensor_content:
        if len(tensor.tensor_content) != count * dtype.itemsize:
            raise InputError(f"{source} has {len(tensor.tensor_content)} bytes; expected {dtype} of shape {shape}")
        return np.frombuffer(tensor.tensor_content, dtype.newbyteorder("<")).reshape(shape)
    listed = getattr(tensor, field)
    if len(listed) > count:
        raise InputError(f"{source} lists {len(listed)} values; expected at most {count}, of shape {shape}")
    # A half is listed as its bits.
    try:
        full = np.zeros(count, dtype)
    except MemoryError as error:
        raise InputError(f"{source} has the shape {shape}, which does not fit into memory") from error
    values = np.array(listed, np.uint16).view(dtype) if field == "half_val" else np.array(listed, dtype)
    full[: len(values)] = values
    if len(values):
        full[len(values) :] = values[-1]
    return full.reshape(shape)
