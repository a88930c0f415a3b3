"""A client of the gRPC server that speaks with our own messages."""

import collections

import grpc
import pytest
from ag_scorers.serve.protocol import MESSAGES, SERVICE, methods, serialise
from ag_scorers.serve.reading import OUTPUTS
from ag_scorers.serve.tensors import unpack

WIDTH = 6144
NUMBERS = {name: number for number, name in OUTPUTS.items()}
PLACE = {"chromosome": "chr1", "start": 3072, "end": 3072 + WIDTH, "strand": 1}


class Client:
    """Calls methods with our own messages."""

    def __init__(self, port: int, key: str | None = None):
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}", [("grpc.max_receive_message_length", -1)])
        self.metadata = [("x-goog-api-key", key)] if key else []
        self.notes = ""

    def call(self, method: str, request, timeout=120):
        """All responses to one request."""
        _, response, streamed, _ = methods(SERVICE)[method]
        raw = serialise if not isinstance(request, bytes) else lambda data: data
        kind = self.channel.stream_stream if streamed else self.channel.unary_stream
        call = kind(f"/{SERVICE}/{method}", raw, response.FromString)
        answer = call(iter([request]) if streamed else request, timeout=timeout, metadata=self.metadata)
        found = list(answer)
        self.notes = dict(answer.trailing_metadata()).get("x-ag-notes", "")
        return found

    def arrays(self, method: str, request):
        """Heads with their arrays."""
        responses = collections.deque(self.call(method, request))
        found = []
        while responses:
            one = responses.popleft()
            kind = one.WhichOneof("payload")
            assert kind != "tensor_chunk"
            head = getattr(one, kind)
            data = (
                getattr(head, head.WhichOneof("payload")) if "output_type" in head.DESCRIPTOR.fields_by_name else None
            )
            if data is None:
                data = head.variant_data if hasattr(head, "variant_data") else head.interval_data
            count = data.values.chunk_count
            chunks = [responses.popleft().tensor_chunk for _ in range(count)]
            found.append((kind, head, unpack(data.values, chunks)))
        return found


def refused(client, method, request, code, match=""):
    with pytest.raises(grpc.RpcError, match=match) as error:
        client.call(method, request)
    assert error.value.code() == code, error.value


def variant_of(eleven, position=5520, alternate=None):
    reference = eleven.genome[position - 1]
    return {
        "chromosome": "chr1",
        "position": position,
        "reference_bases": reference,
        "alternate_bases": alternate or eleven.other(position),
    }


def center_mask():
    return MESSAGES.VariantScorer(
        center_mask={"width": 501, "aggregation_type": 5, "requested_output": NUMBERS["chip_tf"]}
    )
