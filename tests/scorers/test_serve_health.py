"""The standard health service of gRPC: once, and watched until the server ends."""

# ruff: noqa: E402

import threading
import time

import pytest

grpc = pytest.importorskip("grpc")

from ag_scorers.serve.backend import open_backend
from ag_scorers.serve.grpc_health import WATCHERS
from ag_scorers.serve.protocol import HEALTH, MESSAGES, SERVICE, methods, serialise
from ag_scorers.serve.server import Server
from ag_scorers.serve.settings import Settings
from serve_client import Client

REQUEST, ANSWER, _, _ = methods(HEALTH)["Check"]
SERVING, NOT_SERVING, UNKNOWN = 1, 2, 3
CONNECTIONS = 6


@pytest.fixture(scope="module")
def backend_of(eleven):
    return lambda: open_backend(eleven.fasta, Settings(port=0, connections=CONNECTIONS), model=eleven.model)


@pytest.fixture
def server(backend_of):
    with Server(backend_of()) as running:
        yield running


def check(client, service="", raw=None):
    call = client.channel.unary_unary(f"/{HEALTH}/Check", lambda one: raw or serialise(one), ANSWER.FromString)
    return call(REQUEST(service=service), timeout=20).status


def watch(client, service="", raw=None):
    call = client.channel.unary_stream(f"/{HEALTH}/Watch", lambda one: raw or serialise(one), ANSWER.FromString)
    return call(REQUEST(service=service), timeout=60)


def code_of(call, *arguments, **options):
    with pytest.raises(grpc.RpcError) as error:
        list(call(*arguments, **options))
    return error.value.code()


def test_the_service_is_the_standard_one():
    found = methods(HEALTH)
    assert {name: streams for name, (*_, streams) in found.items()} == {"Check": False, "Watch": True}
    assert not any(streamed for _, _, streamed, _ in found.values())
    names = {value.name: value.number for value in ANSWER.DESCRIPTOR.enum_types_by_name["ServingStatus"].values}
    assert names == {"UNKNOWN": 0, "SERVING": SERVING, "NOT_SERVING": NOT_SERVING, "SERVICE_UNKNOWN": UNKNOWN}


def test_once(server):
    client = Client(server.port)
    assert check(client) == check(client, SERVICE) == SERVING
    assert code_of(check, client, "other") == grpc.StatusCode.NOT_FOUND
    for call in (check, watch):
        assert code_of(call, client, raw=b"\xff") == grpc.StatusCode.INVALID_ARGUMENT


def test_who_watches_is_told_of_the_end(backend_of):
    server = Server(backend_of())
    server.start()
    client, told = Client(server.port), []
    whole, other = watch(client, SERVICE), watch(client, "other")
    assert next(whole).status == SERVING
    assert next(other).status == UNKNOWN
    reading = threading.Thread(target=lambda: told.extend(one.status for one in whole))
    reading.start()
    time.sleep(0.2)
    assert not told
    server.stop()
    reading.join(20)
    assert told == [NOT_SERVING]
    assert whole.code() == grpc.StatusCode.OK
    assert list(other) == []


def test_few_may_watch_and_the_rest_goes_on(server):
    clients = [Client(server.port) for _ in range(CONNECTIONS)]
    watching = [watch(client) for client in clients[: CONNECTIONS // 2]]
    assert [next(one).status for one in watching] == [SERVING] * len(watching)
    assert len(watching) <= WATCHERS
    assert code_of(watch, clients[-1]) == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert check(clients[-1]) == SERVING
    assert clients[-1].call("GetMetadata", MESSAGES.MetadataRequest())
    watching[0].cancel()
    end = time.monotonic() + 20
    while True:  # its place is free as soon as the server hears of it
        try:
            again = watch(clients[-1])
            assert next(again).status == SERVING
            break
        except grpc.RpcError:
            assert time.monotonic() < end
            time.sleep(0.02)
