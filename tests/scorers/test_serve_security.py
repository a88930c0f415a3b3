"""Secrets of a server, and clients that want to do it harm. Nothing is computed here."""

import http.client
import io
import json
import logging
import re
import socket
import time
import types

import pytest
from ag_core.cli import run

pytest.importorskip("grpc")
pytest.importorskip("fastapi")

import grpc
from ag_scorers.serve import http_front, limits
from ag_scorers.serve.backend import open_backend
from ag_scorers.serve.errors import ServiceError
from ag_scorers.serve.limits import Accounts
from ag_scorers.serve.protocol import MESSAGES, SERVICE, methods, serialise
from ag_scorers.serve.server import Server
from ag_scorers.serve.settings import Settings

KEY, NAME = "s3cret-of-the-lab", "lab"


@pytest.fixture(scope="module")
def server(eleven, tmp_path_factory):
    keys = tmp_path_factory.mktemp("keys") / "keys.txt"
    keys.write_text(f"{NAME} {KEY}\nother sha256:{limits._digest('another')}\n")
    keys.chmod(0o600)
    bounds = Settings(port=0, http_port=0, timeout=1.5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(http_front, "HEAD_SECONDS", 0.3)
        with Server(open_backend(eleven.fasta, bounds, model=eleven.model), keys=keys) as running:
            assert running.http is not None
            yield running


def send(server, method, path, body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", server.http.port, timeout=30)
    connection.request(method, path, body, {"Content-Type": "application/json", **headers})
    response = connection.getresponse()
    found = response.status, response.read().decode()
    connection.close()
    return found


def test_a_key_is_in_no_answer_log_or_counter(server, monkeypatch, caplog):
    def fails(*args, **options):
        raise RuntimeError("nobody foresaw it")

    caplog.set_level(logging.DEBUG)
    seen = [send(server, "GET", "/v1/metadata/human", **{"X-API-Key": KEY})]
    seen += [send(server, "GET", f"/v1/metadata/{KEY}", **{"X-API-Key": KEY})]
    seen += [send(server, "POST", "/v1/predict", b'{"outputs": 1}', **{"X-API-Key": KEY})]
    seen += [send(server, "GET", "/v1/metadata/human", **{"X-API-Key": f"{KEY}x"})]
    monkeypatch.setattr(type(server.backend.checks), "organism", fails)
    seen += [send(server, "GET", "/v1/metadata/human", **{"X-API-Key": KEY})]
    channel = grpc.insecure_channel(f"127.0.0.1:{server.port}")
    _, answer, streamed, _ = methods(SERVICE)["GetMetadata"]
    call = (channel.stream_stream if streamed else channel.unary_stream)(
        f"/{SERVICE}/GetMetadata", serialise, answer.FromString
    )
    for key in (KEY, f"{KEY}x"):
        with pytest.raises(grpc.RpcError) as error:
            list(call(MESSAGES.MetadataRequest(), metadata=[("x-goog-api-key", key)], timeout=20))
        seen.append((error.value.code(), f"{error.value.details()} {error.value.trailing_metadata()}"))
    channel.close()
    monkeypatch.undo()
    seen.append(send(server, "GET", "/metrics", **{"X-API-Key": KEY}))
    assert [status for status, _ in seen] == [
        200, 400, 422, 401, 500, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAUTHENTICATED, 200,
    ]  # fmt: skip
    assert "nobody foresaw it" in caplog.text
    for text in (*(text for _, text in seen), caplog.text):
        assert KEY not in text
        assert limits._digest(KEY) not in text
    assert "nobody foresaw it" not in seen[4][1] + seen[5][1]
    assert KEY not in repr(vars(server.desk.accounts))


def test_paths_that_anybody_makes_up_are_one_counter(server):
    """Else a client without a key could fill the memory with counters."""
    for number in range(20):
        assert send(server, "GET", f"/v1/metadata/x{number}")[0] == 401
    text = send(server, "GET", "/metrics", **{"X-API-Key": KEY})[1]
    assert 'method="/v1/metadata/{organism}",status="UNAUTHENTICATED"' in text
    assert not re.search(r"/v1/metadata/x\d", text)


def ends(line):
    """Whether the server hangs up within 5 seconds."""
    line.settimeout(5)
    try:
        return line.recv(100) == b""
    except ConnectionResetError:
        return True


def test_a_head_that_does_not_come_holds_no_connection(server):
    for part in (b"", b"GET /hea", b"GET /health HTTP/1.1\r\nHost: localhost\r\n"):
        with socket.create_connection(("127.0.0.1", server.http.port), timeout=10) as line:
            line.sendall(part)
            assert ends(line)


def test_a_body_that_does_not_come_holds_no_request(server):
    head = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", server.http.port), timeout=20) as line:
        line.sendall(head + b"Content-Length: 100\r\n\r\n{")
        begun = time.monotonic()
        line.recv(100)
        assert time.monotonic() - begun < 10


def test_connections_that_wait_between_requests_are_kept(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.http.port, timeout=30)
    for _ in range(2):
        connection.request("GET", "/health")
        line = connection.sock
        assert connection.getresponse().read() == b'{"status":"serving"}'
        time.sleep(4 * http_front.HEAD_SECONDS)
        assert connection.sock is line is not None
    line.sendall(b"GET /hea")  # a head that begins and does not end is another matter
    assert ends(line)
    connection.close()


@pytest.mark.parametrize(
    "given", [[], ["--tls-key", "k"], ["--tls-key", "k", "--tls-cert", "c", "--insecure"], ["--tls-cert", "c"]]
)
def test_plain_text_has_to_be_asked_for(given, capsys):
    assert run(["serve", "--fasta", "genome.fa", *given]) == 2
    assert "--tls-cert" in capsys.readouterr().err


def test_keys_are_compared_in_constant_time(monkeypatch, tmp_path):
    """All of them, each by `hmac.compare_digest`: time tells neither a key nor how many there are before it."""
    (tmp_path / "keys").write_text("".join(f"k{n} key{n}\n" for n in range(5)))
    accounts = Accounts(Settings(), tmp_path / "keys")
    compared = []

    def compare(one, other):
        compared.append(one)
        return one == other

    monkeypatch.setattr(limits.hmac, "compare_digest", compare)
    assert accounts.find("key0").name == "k0"
    with pytest.raises(ServiceError, match="not known"):
        accounts.find("key9")
    assert len(compared) == 10


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644])
def test_files_of_secrets_that_others_can_read_are_told(mode, eleven, tmp_path, monkeypatch, capsys):
    from ag_scorers.serve import command as serve_command

    class AtOnce:
        """Ends the server when it has begun; the command's event alone, since threads wait for theirs."""

        def wait(self):
            return True

    keys = tmp_path / "keys.txt"
    keys.write_text(f"{NAME} {KEY}\n")
    keys.chmod(mode)
    assert limits.readable_by_others(keys) == (mode != 0o600)
    monkeypatch.setattr(serve_command, "threading", types.SimpleNamespace(Event=AtOnce))
    command = ["serve", "--fasta", str(eleven.fasta), "--model", str(eleven.model), "--port", "0", "--insecure"]
    assert run([*command, "--keys", str(keys), "--json"]) == 0
    out, err = capsys.readouterr()
    assert ("can be read by others" in " ".join(err.split())) == (mode != 0o600)
    assert KEY not in out + err
    json.load(io.StringIO(out))
