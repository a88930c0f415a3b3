"""Hostile messages to every method of gRPC: each is refused in words, none is the server's fault, and it goes on.

The quota is spent for days, so what passes all checks is refused as well, and nothing is computed.
"""

# ruff: noqa: E402

import pytest

grpc = pytest.importorskip("grpc")

from ag_scorers.serve.backend import open_backend
from ag_scorers.serve.protocol import HEALTH, MESSAGES, SERVICE, methods, serialise
from ag_scorers.serve.server import Server
from ag_scorers.serve.settings import Settings
from google.protobuf.descriptor import FieldDescriptor as Field
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from serve_client import NUMBERS, PLACE, Client, refused, variant_of

NAMES = sorted(methods(SERVICE))
SPENT = grpc.StatusCode.RESOURCE_EXHAUSTED
FAULTS = (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
# Wire types: varint, 64 bit, length-delimited, groups, 32 bit, and those that there are not.
WIRE = range(8)


@pytest.fixture(scope="module")
def client(eleven):
    backend = open_backend(eleven.fasta, Settings(port=0, quota=1), gtf=eleven.gtf, model=eleven.model)
    with Server(backend) as server:
        server.desk.accounts.find(None).charge(1 << 40)
        client = Client(server.port)
        before = client.call("GetMetadata", MESSAGES.MetadataRequest())
        yield client
        assert client.call("GetMetadata", MESSAGES.MetadataRequest()) == before
        _, answer, _, _ = methods(HEALTH)["Check"]
        check = client.channel.unary_unary(f"/{HEALTH}/Check", serialise, answer.FromString)
        assert check(methods(HEALTH)["Check"][0](), timeout=20).status == 1
        assert not len(backend.queue)
        assert not backend.budget.used


@pytest.fixture(scope="module")
def whole(eleven):
    """A request of each method that nothing is wrong with."""
    variant, dnase = variant_of(eleven), [NUMBERS["dnase"]]
    center = {"center_mask": {"requested_output": NUMBERS["chip_tf"], "width": 501, "aggregation_type": 5}}
    gene = {"gene_mask": {"requested_output": NUMBERS["rna_seq"], "aggregation_type": 1}}
    term = [{"ontology_type": 2, "id": 955}]
    span = {"chromosome": "chr1", "start": 5510, "end": 5511, "strand": 3}
    return {
        "PredictSequence": MESSAGES.PredictSequenceRequest(
            sequence=eleven.genome[:2048], organism=9606, requested_outputs=dnase, ontology_terms=term
        ),
        "PredictInterval": MESSAGES.PredictIntervalRequest(interval=PLACE, requested_outputs=dnase),
        "PredictVariant": MESSAGES.PredictVariantRequest(interval=PLACE, variant=variant, requested_outputs=dnase),
        "ScoreInterval": MESSAGES.ScoreIntervalRequest(interval=PLACE, interval_scorers=[gene]),
        "ScoreVariant": MESSAGES.ScoreVariantRequest(interval=PLACE, variant=variant, variant_scorers=[center]),
        "ScoreIsmVariant": MESSAGES.ScoreIsmVariantRequest(
            interval={**PLACE, "strand": 3}, ism_interval=span, interval_variant=variant, variant_scorers=[center]
        ),
        "GetMetadata": MESSAGES.MetadataRequest(organism=9606),
    }


def ask(client, method, *sent):
    """The status, None for an answer; bytes go out as they are."""
    _, _, streamed, _ = methods(SERVICE)[method]
    kind = client.channel.stream_stream if streamed else client.channel.unary_stream
    call = kind(f"/{SERVICE}/{method}", bytes, bytes)
    answer, code = call(iter(sent) if streamed else sent[0], timeout=30), None
    try:
        list(answer)
    except grpc.RpcError as error:
        code = error.code()
    assert code not in FAULTS, answer.details()
    assert code is None or answer.details()
    return code


def test_whole_ones_are_refused_for_the_quota_alone(client, whole):
    assert {name: ask(client, name, serialise(one)) for name, one in whole.items()} == {
        name: None if name == "GetMetadata" else SPENT for name in NAMES
    }


def fields(message):
    """All fields below a message, set ones of messages within: (message, field)."""
    for field in message.DESCRIPTOR.fields:
        yield message, field
        if field.type == Field.TYPE_MESSAGE:
            inner = getattr(message, field.name)
            for one in inner if field.is_repeated else [inner] * message.HasField(field.name):
                yield from fields(one)


def extremes(kind):
    whole = {Field.TYPE_INT32: 31, Field.TYPE_INT64: 63, Field.TYPE_ENUM: 31}
    if kind in whole:
        top = 1 << whole[kind]
        return st.sampled_from([0, 1, -1, 7, 2048, 4096, 9216, top - 1, -top]) | st.integers(-top, top - 1)
    if kind in (Field.TYPE_UINT32, Field.TYPE_UINT64):
        return st.sampled_from([0, 1, (1 << 32) - 1])
    if kind == Field.TYPE_STRING:
        odd = ["", "chr1", "1", "CHR1", "\0", "../../etc/passwd", "ACGN", "acgt", "é" * 40, "N" * 2048, "A" * 70_000]
        return st.sampled_from(odd) | st.text(max_size=20)
    return {Field.TYPE_BOOL: st.booleans(), Field.TYPE_BYTES: st.binary(max_size=20)}.get(kind, st.floats(width=32))


def change(data, message):
    """Sets one field anywhere in a message to something hostile."""
    found = list(fields(message))
    owner, field = data.draw(st.sampled_from(found))
    if field.type == Field.TYPE_MESSAGE:
        way = data.draw(st.sampled_from(["empty", "gone", "many"]))
        if way == "gone":
            owner.ClearField(field.name)
        elif not field.is_repeated:
            getattr(owner, field.name).Clear()
            getattr(owner, field.name).SetInParent()
        else:
            for _ in range({"empty": 1, "many": 1200}[way]):
                getattr(owner, field.name).add()
    elif field.is_repeated:
        count = data.draw(st.sampled_from([0, 1, 2, 5000]))
        del getattr(owner, field.name)[:]
        getattr(owner, field.name).extend([data.draw(extremes(field.type))] * count)
    else:
        setattr(owner, field.name, data.draw(extremes(field.type)))


def damage(data, wire):
    """Bytes that are a message no more, or another one."""
    at = data.draw(st.integers(0, max(len(wire) - 1, 0)))
    number, kind = data.draw(st.integers(0, 30)), data.draw(st.sampled_from(WIRE))
    tag = bytes([(number << 3 | kind) & 0x7F])
    way = data.draw(st.integers(0, 7))
    return [
        lambda: wire[:at],
        lambda: wire + wire,  # what comes twice is merged
        lambda: wire[:at] + bytes([data.draw(st.integers(0, 255))]) + wire[at + 1 :],
        lambda: wire + tag + data.draw(st.binary(max_size=12)),
        lambda: wire + tag + b"\xff" * 9 + b"\x01",  # a length of 2**64 - 1
        lambda: wire + b"\x0b" * 200 + b"\x0c" * 200,  # groups in groups
        lambda: wire[:at] + wire[at + 1 :],
        lambda: data.draw(st.binary(max_size=300)),
    ][way]()


MANY = {"deadline": None, "suppress_health_check": list(HealthCheck)}


def fuzz(client, whole, data):
    method = data.draw(st.sampled_from(NAMES))
    one = type(whole[method])()
    one.CopyFrom(whole[method])
    for _ in range(data.draw(st.integers(0, 2))):
        change(data, one)
    wire = serialise(one)
    for _ in range(data.draw(st.integers(0, 2))):
        wire = damage(data, wire)
    ask(client, method, wire)


@settings(max_examples=300, **MANY)
@given(data=st.data())
def test_hostile_messages_are_refused(client, whole, data):
    fuzz(client, whole, data)


@pytest.mark.slow
@settings(max_examples=5000, **MANY)
@given(data=st.data())
def test_many_hostile_messages_are_refused(client, whole, data):
    fuzz(client, whole, data)


@pytest.mark.parametrize("method", NAMES)
def test_every_truncation_is_refused(client, whole, method):
    wire = serialise(whole[method])
    for end in range(0, len(wire), max(len(wire) // 40, 1)):
        assert ask(client, method, wire[:end]) is not None or method == "GetMetadata"


@pytest.mark.parametrize("method", [name for name in NAMES if methods(SERVICE)[name][2]])
def test_no_message_and_many(client, whole, method):
    assert ask(client, method) == grpc.StatusCode.INVALID_ARGUMENT
    assert ask(client, method, *[serialise(whole[method])] * 50) == SPENT  # the first is the request


def test_a_message_that_is_too_long(client):
    request = MESSAGES.PredictSequenceRequest(sequence="A" * (2 << 20), requested_outputs=[NUMBERS["dnase"]])
    refused(client, "PredictSequence", request, SPENT, "larger than max")
    refused(client, "PredictSequence", MESSAGES.PredictSequenceRequest(
        sequence="A" * ((1 << 20) + 2048), requested_outputs=[NUMBERS["dnase"]]
    ), grpc.StatusCode.OUT_OF_RANGE, "at most 1,048,576")  # fmt: skip


def test_a_method_that_is_not_there(client):
    call = client.channel.unary_unary(f"/{SERVICE}/DeleteModel", bytes, bytes)
    with pytest.raises(grpc.RpcError) as error:
        call(b"", timeout=20)
    assert error.value.code() == grpc.StatusCode.UNIMPLEMENTED
