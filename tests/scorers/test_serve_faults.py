"""What goes wrong around a server, and what the caller of either front is told (the table in docs/serving.md)."""

# ruff: noqa: E402

import asyncio
import http.client
import json
import re
import socket
import threading
import time

import pytest

grpc = pytest.importorskip("grpc")
pytest.importorskip("fastapi")

from ag_core.errors import InputError
from ag_scorers.serve import http_app, http_front
from ag_scorers.serve.backend import open_backend
from ag_scorers.serve.errors import ServiceError, describe
from ag_scorers.serve.http_app import Answer
from ag_scorers.serve.protocol import MESSAGES, SERVICE, serialise
from ag_scorers.serve.replica import Replica
from ag_scorers.serve.server import Server
from ag_scorers.serve.settings import Settings
from fastapi import Response
from serve_client import NUMBERS, PLACE, Client, refused
from test_serve_life import tasks, until

BODY = {"outputs": ["chip_tf"], "interval": {"chromosome": "chr1", "start": 3072, "end": 9216}}
REQUEST = MESSAGES.PredictIntervalRequest(interval=PLACE, requested_outputs=[NUMBERS["chip_tf"]])


@pytest.fixture
def held(monkeypatch):
    """Devices wait for the event before they do anything."""
    answer, go = Replica.__call__, threading.Event()

    def wait(replica, key, requests):
        go.wait(60)
        return answer(replica, key, requests)

    monkeypatch.setattr(Replica, "__call__", wait)
    yield go
    go.set()


@pytest.fixture
def serve(eleven):
    """Starts a server with bounds; all are stopped at the end."""
    running = []

    def start(**bounds):
        bounds = Settings(port=0, http_port=0, max_ism=2, max_variants=2, **bounds)
        running.append(Server(open_backend(eleven.fasta, bounds, model=eleven.model)))
        running[-1].start()
        return running[-1]

    yield start
    for server in running:
        server.stop()


def post(server, path="/v1/predict", body=BODY):
    """Status, and the answer's text or what it says."""
    connection = http.client.HTTPConnection("127.0.0.1", server.http.port, timeout=60)
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    response = connection.getresponse()
    status, text = response.status, response.read().decode()
    connection.close()
    return status, json.loads(text) if response.headers["Content-Type"] == "application/json" else text


def beside(work):
    """Begins something in a thread; the function that waits for it gives its result."""
    found = []
    thread = threading.Thread(target=lambda: found.append(work()))
    thread.start()

    def result():
        thread.join(60)
        return found[0]

    return result


def test_a_full_queue(serve, held):
    server = serve(queue=1)
    running = beside(lambda: post(server))
    until(lambda: tasks(server.backend) == 1)
    server.desk.accounts.anonymous.pending = 9  # the queue is full, not the key's share of it
    waiting = beside(lambda: post(server))
    until(lambda: len(server.backend.queue) == 1)
    status, said = post(server)
    assert status == 503
    assert said["error"] == "UNAVAILABLE"
    assert "1 requests wait already" in said["detail"]
    refused(Client(server.port), "PredictInterval", REQUEST, grpc.StatusCode.UNAVAILABLE, "wait already")
    held.set()
    assert [running()[0], waiting()[0]] == [200, 200]


def test_too_many_of_one_key(serve, held):
    server = serve(queue=1)  # which without keys is the share of everybody together
    running = beside(lambda: post(server))
    until(lambda: tasks(server.backend) == 1)
    status, said = post(server)
    assert status == 429
    assert "which is the most" in said["detail"]
    refused(Client(server.port), "PredictInterval", REQUEST, grpc.StatusCode.RESOURCE_EXHAUSTED, "which is the most")
    held.set()
    assert running()[0] == 200


def test_more_connections_than_are_handled(serve, held):
    server = serve(connections=2)
    running = [beside(lambda: post(server)) for _ in range(2)]
    clients = [Client(server.port) for _ in range(2)]
    running += [beside(lambda c=c: len(c.call("PredictInterval", REQUEST))) for c in clients]
    until(lambda: server.desk._running == 4)
    refused(
        Client(server.port), "GetMetadata", MESSAGES.MetadataRequest(), grpc.StatusCode.RESOURCE_EXHAUSTED, "RPC limit"
    )
    assert post(server)[0] == 503
    held.set()
    assert [one() for one in running][2:] == [1, 1]


def test_time_is_up(serve, held):
    server = serve(timeout=0.5, grace=0)
    begun = time.monotonic()
    status, said = post(server)
    assert status == 504
    assert "took too long" in said["detail"]
    refused(Client(server.port), "PredictInterval", REQUEST, grpc.StatusCode.DEADLINE_EXCEEDED, "took too long")
    patient = serve(grace=0)
    with pytest.raises(grpc.RpcError) as error:  # the client's own deadline
        Client(patient.port).call("PredictInterval", REQUEST, timeout=0.3)
    assert error.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert time.monotonic() - begun < 20
    held.set()


def test_an_http_client_goes_away(serve, held, monkeypatch):
    monkeypatch.setattr(http_app, "_POLL", 0.05)
    server = serve(grace=0)
    running = beside(lambda: post(server))
    until(lambda: tasks(server.backend) == 1)
    body = json.dumps(BODY).encode()
    head = f"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
    with socket.create_connection(("127.0.0.1", server.http.port)) as line:
        line.sendall(head.encode() + b"Content-Type: application/json\r\n\r\n" + body)
        until(lambda: len(server.backend.queue) == 1)
    until(lambda: b'status="CANCELLED"' in server.desk.metrics.text())
    held.set()
    assert running()[0] == 200
    assert tasks(server.backend) == 1
    assert post(server)[0] == 200


def test_http_at_shutdown(serve, held):
    server = serve(grace=60)
    running = beside(lambda: post(server))
    until(lambda: tasks(server.backend) == 1)
    stopping = beside(server.stop)
    until(lambda: not server.desk.open)
    for _ in range(5):
        status, said = post(server)
        assert status == 503
        assert said == {"error": "UNAVAILABLE", "detail": "the server is shutting down"}
    connection = http.client.HTTPConnection("127.0.0.1", server.http.port, timeout=60)
    connection.request("GET", "/health")
    assert connection.getresponse().status == 503
    connection.close()
    held.set()
    assert running()[0] == 200
    stopping()
    with pytest.raises(OSError, match="refused"):
        post(server)


def test_more_than_is_allowed(serve):
    server = serve(max_window=8192)
    variant = {"chromosome": "chr1", "position": 5520, "reference": "A", "alternate": "C"}
    span = {"chromosome": "chr1", "start": 5519, "end": 5522}
    for path, body, text in (
        ("/v1/predict", {"outputs": ["dnase"], "sequence": "A" * 10240}, "at most 8,192"),
        ("/v1/score/variants", {"variants": [variant] * 3}, "3 variants; at most 2"),
        ("/v1/score/ism", {"interval": BODY["interval"], "span": span}, "at most 2 in one request"),
    ):
        status, said = post(server, path, body)
        assert status == 413
        assert said["error"] == "OUT_OF_RANGE"
        assert text in said["detail"]
    assert post(server, body={"outputs": ["dnase"], "sequence": "A" * (2 << 20)})[0] == 413


def test_devices_that_are_not_there(eleven):
    with pytest.raises(InputError, match=r"99 devices are asked for; this machine has \d"):
        open_backend(eleven.fasta, Settings(devices=99), model=eleven.model)


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (MemoryError(), "RESOURCE_EXHAUSTED", "no memory left"),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory"), "RESOURCE_EXHAUSTED", "no memory left"),
        (KeyError("/home/somebody"), "INTERNAL", "its log says more"),
        (InputError("width 7"), "INVALID_ARGUMENT", "width 7"),
        (ServiceError("NOT_FOUND", "nothing"), "NOT_FOUND", "nothing"),
    ],
)
def test_what_is_told_of_an_error(error, status, text):
    found, said = describe(error)
    assert (found, bool(re.search(text, said))) == (status, True)
    assert "somebody" not in said


@pytest.mark.parametrize("slow", [False, True])
def test_memory_is_held_until_an_answer_is_sent(serve, slow):
    """A client that takes nothing is cut off in time, and its memory given back."""
    server = serve(timeout=1.5)
    budget, sent = server.backend.budget, []

    async def send(message):
        assert budget.used == 1000
        sent.append(message)
        if slow and len(sent) == 3:
            await asyncio.sleep(60)

    def answer():
        visit = server.desk.visit("http", "/v1/predict")
        with http_app.ExitStack() as stack:
            stack.enter_context(visit)
            stack.enter_context(budget.hold(1000, time.monotonic() + 1))
            return Answer(Response(b"x" * (5 * http_app.PIECE // 2), media_type="text/plain"), visit, stack.pop_all())

    asyncio.run(answer()({}, None, send))
    assert budget.used == 0
    whole = b"".join(one["body"] for one in sent[1:])
    assert len(whole) == (2 * http_app.PIECE if slow else 5 * http_app.PIECE // 2)
    assert slow == bool(sent[-1].get("more_body"))
    assert slow == (b'status="DEADLINE_EXCEEDED"' in server.desk.metrics.text())


@pytest.mark.slow
def test_an_answer_that_nobody_takes_holds_no_connection(serve, monkeypatch):
    monkeypatch.setattr(http_front, "HEAD_SECONDS", 0.5)
    server = serve(timeout=120, max_window=1 << 17)
    body = {"outputs": ["rna_seq"], "interval": {"chromosome": "chr1", "start": -4096, "end": (1 << 17) - 4096}}
    status, said = post(server, body=body)  # and programs are compiled
    assert status == 200, said
    object.__setattr__(server.backend.settings, "timeout", 3.0)
    body = json.dumps(body).encode()
    head = f"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
    connections = server.http._server.server_state.connections
    with socket.socket() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 12)
        line.connect(("127.0.0.1", server.http.port))
        line.sendall(head.encode() + b"Content-Type: application/json\r\n\r\n" + body)
        until(lambda: b'status="DEADLINE_EXCEEDED"' in server.desk.metrics.text())
        assert not server.backend.budget.used
        until(lambda: not connections)
    place = {"chromosome": "chr1", "start": -4096, "end": (1 << 17) - 4096, "strand": 3}
    request = MESSAGES.PredictIntervalRequest(interval=place, requested_outputs=[NUMBERS["rna_seq"]])
    narrow = [
        ("grpc.http2.bdp_probe", 0),
        ("grpc.http2.lookahead_bytes", 1 << 16),
        ("grpc.max_receive_message_length", -1),
    ]
    channel = grpc.insecure_channel(f"127.0.0.1:{server.port}", narrow)
    call = channel.stream_stream(f"/{SERVICE}/PredictInterval", serialise, bytes)(iter([request]))
    next(call)  # and no more
    assert server.backend.budget.used
    until(lambda: not server.backend.budget.used)
    until(lambda: not server.desk._running)
    with pytest.raises(grpc.RpcError) as error:
        list(call)
    assert error.value.code() == grpc.StatusCode.CANCELLED
    assert post(server)[0] == 200


def test_a_port_that_is_taken(serve, eleven):
    first = serve()
    for bounds in ({"port": first.port}, {"port": 0, "http_port": first.http.port}):
        with pytest.raises(InputError, match="cannot listen on"):
            Server(open_backend(eleven.fasta, Settings(**bounds), model=eleven.model))
