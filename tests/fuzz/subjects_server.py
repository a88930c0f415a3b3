"""A server: bytes of gRPC requests, bodies and paths of HTTP requests, and bytes that are no HTTP at all."""

import functools
import http.client
import json
import pathlib
import socket

from subject import Breach, Subject

_PLACE = {"chromosome": "chr1", "start": 2048, "end": 4096}
_BODIES = {
    "/v1/predict": {"interval": _PLACE, "outputs": ["rna_seq"], "ontology_terms": ["UBERON:0001114"]},
    "/v1/score/variants": {
        "variants": [{"chromosome": "chr1", "position": 3000, "reference": "C", "alternate": "T"}],
        "interval": _PLACE, "scorers": ["center_mask:modality=rna_seq,width=501"], "organism": "human",
    },
    "/v1/score/ism": {"interval": _PLACE, "span": {"chromosome": "chr1", "start": 3000, "end": 3001}, "scorers": []},
    "/v1/score/interval": {"interval": _PLACE, "scorers": ["RNA_SEQ"]},
}  # fmt: skip


_PATIENCE = 400  # seconds: the first requests of each kind are compiled for


@functools.cache
def _server():
    """One that stays as long as the process; what it predicts is of no interest."""
    import tempfile

    from ag_scorers.serve.backend import open_backend
    from ag_scorers.serve.server import Server
    from ag_scorers.serve.settings import Settings
    from subjects_models import _checkpoint

    folder = pathlib.Path(tempfile.mkdtemp(prefix="fuzz-server-"))
    (folder / "g.fa").write_text(">chr1\n" + "ACGT" * 2048 + "\n")
    (folder / "keys").write_text("lab secret\n")
    bounds = Settings(port=0, http_port=0, max_window=4096, max_ism=2, max_variants=3, timeout=300)
    server = Server(open_backend(folder / "g.fa", bounds, model=_checkpoint(folder)), keys=folder / "keys")
    server.start()
    return server


@functools.cache
def _channel():
    import grpc

    return grpc.insecure_channel(f"127.0.0.1:{_server().port}", [("grpc.max_receive_message_length", -1)])


def _requests(folder: pathlib.Path) -> list[bytes]:
    """One byte for the method, then a message."""
    from ag_scorers.serve.protocol import MESSAGES, SERVICE, methods, serialise

    place = {**_PLACE, "strand": 1}
    variant = {"chromosome": "chr1", "position": 3000, "reference_bases": "C", "alternate_bases": "T"}
    scorer = [{"center_mask": {"requested_output": 4, "width": 501, "aggregation_type": 1}}]
    made = {
        "PredictSequence": MESSAGES.PredictSequenceRequest(sequence="ACGT" * 512, organism=9606, requested_outputs=[4]),
        "PredictInterval": MESSAGES.PredictIntervalRequest(interval=place, requested_outputs=[4, 5]),
        "PredictVariant": MESSAGES.PredictVariantRequest(interval=place, variant=variant, requested_outputs=[4]),
        "ScoreInterval": MESSAGES.ScoreIntervalRequest(interval=place),
        "ScoreVariant": MESSAGES.ScoreVariantRequest(interval=place, variant=variant, variant_scorers=scorer),
        "ScoreIsmVariant": MESSAGES.ScoreIsmVariantRequest(interval=place, ism_interval={**place, "end": 2049}),
        "GetMetadata": MESSAGES.MetadataRequest(organism=9606),
    }
    names = list(methods(SERVICE))
    return [bytes([names.index(name)]) + serialise(message) for name, message in made.items()]


def _grpc(path: pathlib.Path) -> None:
    import grpc
    from ag_scorers.serve.protocol import SERVICE, methods

    data = path.read_bytes() or b"\0"
    found = methods(SERVICE)
    name = list(found)[data[0] % len(found)]
    kind = _channel().stream_stream if found[name][2] else _channel().unary_stream
    call = kind(f"/{SERVICE}/{name}", lambda message: message, lambda answer: answer)
    metadata = [("x-goog-api-key", "secret")]
    answer = call(iter([data[1:]]) if found[name][2] else data[1:], timeout=_PATIENCE, metadata=metadata)
    try:
        for _ in answer:
            pass
    except grpc.RpcError as error:
        if error.code() in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN) or not error.details():
            raise Breach(f"{name}: {error.code()} {error.details()}") from None
        raise ValueError(f"{path.name}: {error.details()}") from None


def _http_seeds(folder: pathlib.Path) -> list[bytes]:
    """The path, then the body."""
    return [f"{path}\n{json.dumps(body)}".encode() for path, body in _BODIES.items()]


def _http(path: pathlib.Path) -> None:
    place, _, body = path.read_bytes().partition(b"\n")
    server = _server().http
    assert server is not None
    target = "".join(chr(byte) if 33 <= byte < 127 else f"%{byte:02x}" for byte in place) or "/"
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=_PATIENCE)
    headers = {"Content-Type": "application/json", "X-API-Key": "secret"}
    connection.request("POST", target if target.startswith("/") else f"/{target}", body, headers)
    response = connection.getresponse()
    status, answer = response.status, response.read()
    connection.close()
    if (status >= 500 and status != 504) or b"secret" in answer:  # 504: out of time, as on a busy machine
        raise Breach(f"{target}: {status} {answer[:300]!r}")
    if status >= 400:
        json.loads(answer)
        raise ValueError(f"{path.name}: {answer[:200]!r}")


def _raw_seeds(folder: pathlib.Path) -> list[bytes]:
    body = json.dumps(_BODIES["/v1/predict"]).encode()
    head = (
        f"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    )
    close = b"Connection: close\r\n\r\n"
    return [
        head.encode() + b"\r\nX-API-Key: secret\r\n" + close + body,
        b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + close,
        b"GET /v1/metadata/human HTTP/1.1\r\nHost: localhost\r\nX-API-Key: secret\r\n" + close,
    ]


def _raw(path: pathlib.Path) -> None:
    """Bytes on the line: whatever they are, the server answers or hangs up, and answers the next one."""
    server = _server().http
    assert server is not None
    with socket.create_connection(("127.0.0.1", server.port), timeout=4) as line:
        try:
            line.sendall(path.read_bytes())
            line.shutdown(socket.SHUT_WR)
            answer = line.recv(1 << 16)
        except OSError:
            answer = b""
    if answer.startswith(b"HTTP/1.1 5"):
        raise Breach(f"{answer[:300]!r}")
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request("GET", "/health")
    if connection.getresponse().status != 200:
        raise Breach("the server does not answer any more")
    connection.close()


_REFUSED = (ValueError,)
_JSON = (b"null", b"{}", b"[]", b"-1", b"1e999", b'"x"', b"true", b"NaN", b'"\\ud800"', b'"interval"', b'"human"')
SUBJECTS = (
    Subject("grpc", _requests, _grpc, ".bin", _REFUSED, binary=True, seconds=60),
    Subject("http-json", _http_seeds, _http, ".txt", _REFUSED, words=_JSON, seconds=60),
    Subject(
        "http-raw", _raw_seeds, _raw, ".txt", _REFUSED, words=(b"\r\n", b"Content-Length: 5", b"chunked"), seconds=60
    ),
)
