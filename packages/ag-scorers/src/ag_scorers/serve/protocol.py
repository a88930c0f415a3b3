"""Messages of `dna_model.proto` and `health.proto`, in a descriptor pool of their own.

So they live beside the official client in one process: both define the same names, which one pool refuses. Classes
are made at run time from `protocol.binpb`; `python -m ag_scorers.serve.protocol` writes that file from the texts.
"""

import pathlib
from types import SimpleNamespace
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

FOLDER = pathlib.Path(__file__).parent
SOURCES = ("dna_model.proto", "health.proto")
BINARY = FOLDER / "protocol.binpb"
SERVICE = "google.gdm.gdmscience.alphagenome.v1main.DnaModelService"
HEALTH = "grpc.health.v1.Health"


class Malformed:
    """Stands for a request whose bytes are no message."""


class Messages(SimpleNamespace):
    """Message classes by their names, and for each enum a namespace with its numbers by name (`Strand.STRAND_...`)."""

    def __getattr__(self, name: str) -> Any:  # for type checkers: names come from the file
        raise AttributeError(f"the protocol has no message {name!r}")


def _load() -> tuple[Messages, descriptor_pool.DescriptorPool]:
    pool, found = descriptor_pool.DescriptorPool(), Messages()
    files = descriptor_pb2.FileDescriptorSet.FromString(BINARY.read_bytes())
    for file in files.file:
        pool.AddSerializedFile(file.SerializeToString())
    for file in files.file:
        descriptor = pool.FindFileByName(file.name)
        for name, message in descriptor.message_types_by_name.items():
            setattr(found, name, message_factory.GetMessageClass(message))
        for name, enum in descriptor.enum_types_by_name.items():
            setattr(found, name, SimpleNamespace(**{value.name: value.number for value in enum.values}))
    return found, pool


MESSAGES, POOL = _load()
"""`MESSAGES`: the protocol's message classes by name (`MESSAGES.ScoreVariantRequest`). `POOL`: where they live."""


def parse(message: Any) -> Any:
    """A deserializer for a message class; bytes that are no such message become `Malformed`, not an exception.

    What a deserializer raises, gRPC reports as the server's fault.
    """

    def read(data: bytes) -> Any:
        try:
            return message.FromString(data)
        except (DecodeError, ValueError):
            return Malformed()

    return read


def serialise(message: Any) -> bytes:
    """The bytes of a message."""
    return message.SerializeToString()


def methods(service: str) -> dict[str, tuple[Any, Any, bool, bool]]:
    """For each method: class of the request and of the response, and whether either is a stream."""
    found = {}
    for method in POOL.FindServiceByName(service).methods:
        classes = (message_factory.GetMessageClass(kind) for kind in (method.input_type, method.output_type))
        streams = descriptor_pb2.MethodDescriptorProto()
        method.CopyToProto(streams)
        found[method.name] = (*classes, streams.client_streaming, streams.server_streaming)
    return found


def compiled() -> bytes:
    """What `protocol.binpb` must hold, by the compiler of grpcio-tools."""
    import tempfile

    from grpc_tools import protoc  # pyright: ignore[reportMissingImports]

    with tempfile.TemporaryDirectory() as folder:
        target = pathlib.Path(folder, "out")
        command = ["protoc", f"-I{FOLDER}", f"--descriptor_set_out={target}", *SOURCES]
        if protoc.main(command):
            raise ValueError(f"cannot compile {', '.join(SOURCES)}")
        return target.read_bytes()


if __name__ == "__main__":
    BINARY.write_bytes(compiled())
