"""The HTTP front: JSON, Arrow, bounds, and that nothing sent makes it fail."""

import http.client
import io
import json

import numpy as np
import pyarrow as pa
import pytest

pytest.importorskip("grpc")
pytest.importorskip("fastapi")

from ag_scorers.serve.backend import open_backend
from ag_scorers.serve.server import Server
from ag_scorers.serve.settings import Settings
from ag_scorers.serve.tables import ARROW
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

PLACE = {"chromosome": "chr1", "start": 3072, "end": 9216}
PATHS = ("/v1/predict", "/v1/score/variants", "/v1/score/ism", "/v1/score/interval")


class Client:
    def __init__(self, port: int):
        self.port = port

    def send(self, method: str, path: str, body=None, **headers):
        """Status and bytes."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        connection.request(method, path, data, {"Content-Type": "application/json", **headers})
        response = connection.getresponse()
        found = response.status, response.read()
        connection.close()
        return found

    def post(self, path: str, body, expect: int = 200):
        status, data = self.send("POST", path, body)
        assert status == expect, data
        return json.loads(data)


@pytest.fixture(scope="module")
def client(eleven):
    bounds = Settings(port=0, http_port=0, max_window=1 << 14, max_variants=3)
    with Server(open_backend(eleven.fasta, bounds, gtf=eleven.gtf, model=eleven.model)) as server:
        assert server.http is not None
        yield Client(server.http.port)


def test_health_metrics_and_metadata(client):
    assert client.send("GET", "/health") == (200, b'{"status":"serving"}')
    about = json.loads(client.send("GET", "/v1/metadata/human")[1])
    assert about["window"] == 4096
    assert [one["name"] for one in about["tracks"]["rna_seq"]] == ["rna", "rna", "rna all"]
    assert client.send("GET", "/v1/metadata/mouse")[0] == 404
    status, text = client.send("GET", "/metrics")
    assert status == 200
    assert b'ag_requests_total{front="http",method="/v1/metadata/mouse",status="NOT_FOUND"} 1.0' in text


def test_predictions_as_json_and_as_arrow(client):
    body = {"interval": PLACE, "outputs": ["chip_tf", "splice_junctions", "none"]}
    answer = client.post("/v1/predict", body | {"outputs": ["chip_tf"]})
    (one,) = answer["outputs"]
    assert one["shape"] == [48, 2]
    assert [track["name"] for track in one["tracks"]] == ["CTCF", "HNF4A"]
    status, data = client.send("POST", "/v1/predict", body, Accept=ARROW)
    assert status == 200
    source = io.BytesIO(data)
    table = pa.ipc.open_stream(source).read_all()
    about = {key.decode(): json.loads(value) for key, value in table.schema.metadata.items()}
    assert about["output"] == "chip_tf"
    assert about["interval"] == {**PLACE, "strand": "."}
    np.testing.assert_allclose(np.stack(table["values"].to_numpy()), one["values"], rtol=1e-4, atol=1e-5)
    junctions = pa.ipc.open_stream(source).read_all()
    assert {"start", "end", "strand"} <= set(junctions.column_names)


def test_scores_as_rows(client, eleven):
    variants = [
        {"chromosome": "chr1", "position": p, "reference": eleven.genome[p - 1], "alternate": eleven.other(p)}
        for p in (5520, 5530)
    ]
    body = {"variants": variants, "interval": PLACE, "scorers": ["CHIP_TF", "RNA_SEQ"]}
    rows = client.post("/v1/score/variants", body)["scores"]
    assert {row["variant"] for row in rows} == {
        f"chr1:{one['position']}:{one['reference']}>{one['alternate']}" for one in variants
    }
    assert {row["gene_id"] for row in rows if row["output"] == "rna_seq"} == {"P1.2", "M1.3"}
    assert any(row["score"] is None for row in rows)  # a track of the other strand
    status, data = client.send("POST", "/v1/score/variants", body, Accept=ARROW)
    assert status == 200
    assert len(pa.ipc.open_stream(data).read_all()) == len(rows)
    answer = client.post("/v1/score/variants", body | {"variants": variants * 2}, 413)
    assert "at most 3" in answer["detail"]
    span = {"chromosome": "chr1", "start": 5519, "end": 5520}
    rows = client.post("/v1/score/ism", {"interval": PLACE, "span": span, "scorers": ["CHIP_TF"]})["scores"]
    assert len({row["variant"] for row in rows}) == 3


@pytest.mark.parametrize(
    ("path", "body", "code", "text"),
    [
        ("/v1/predict", {"interval": PLACE, "outputs": ["nothing"]}, 404, "does not predict nothing"),
        ("/v1/predict", {"outputs": ["dnase"]}, 400, "either a sequence"),
        ("/v1/predict", {"outputs": ["dnase"], "sequence": "ACGU" * 512}, 400, "upper-case ACGTN"),
        ("/v1/predict", {"outputs": ["dnase"], "sequence": "A" * (1 << 15)}, 413, "at most 16,384"),
        ("/v1/predict", {"outputs": ["rna_seq"], "interval": PLACE, "extra": 1}, 422, "extra"),
        ("/v1/score/interval", {"interval": PLACE, "scorers": ["NONE"]}, 400, "unknown"),
        ("/v1/score/variants", {"variants": []}, 422, "variants"),
        ("/v1/score/interval", {"interval": PLACE | {"start": "3072"}}, 422, "body.interval.start: Value error"),
        ("/v1/score/interval", {"interval": PLACE | {"start": True}}, 422, "expected a whole number"),
        ("/v1/score/interval", {"interval": PLACE | {"start": 3072.5}}, 422, "body.interval.start"),
        ("/v1/score/interval", {"interval": PLACE | {"start": 9e3}}, 400, "has 216 bp"),
        ("/v1/score/interval", {"interval": PLACE, "merge_strands": "yes"}, 422, "merge_strands"),
        ("/v1/nothing", {}, 404, '"error":"NOT_FOUND"'),
        ("/v1/metadata/human", {}, 405, '"error":"UNIMPLEMENTED"'),
    ],
)  # fmt: skip
def test_refusals(client, path, body, code, text):
    status, data = client.send("POST", path, body)
    assert status == code, data
    assert text in data.decode()


def test_bodies_and_names_are_bounded(client):
    assert client.send("GET", "/health", Host="evil.example")[0] == 400
    assert client.send("POST", "/v1/predict", b"x" * (1 << 20))[0] == 413
    assert client.send("POST", "/v1/predict", b"{}", **{"Transfer-Encoding": "chunked"})[0] in (400, 413)


_NAMES = ("interval", "span", "variants", "variant", "background", "outputs", "scorers", "sequence", "organism",
          "chromosome", "start", "end", "position", "reference", "alternate", "strand", "ontology_terms")  # fmt: skip
_LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.just("chr1")
_JSON = st.recursive(
    _LEAVES,
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.sampled_from(_NAMES), each, max_size=4),
    max_leaves=9,
)
# Whole but for one field, and for an output or a scorer that is not there, so that nothing is computed.
_FIXED = {path: {"scorers": ["none"], "interval": PLACE} for path in PATHS} | {
    "/v1/predict": {"outputs": ["none"], "interval": PLACE}
}


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(PATHS), body=_JSON, key=st.sampled_from(_NAMES), raw=st.binary(max_size=60))
def test_nothing_makes_the_server_fail(client, path, body, key, raw):
    for sent in (body, {**_FIXED[path], key: body}, raw):
        assert client.send("POST", path, sent)[0] < 500


def test_the_description_is_complete(client):
    about = json.loads(client.send("GET", "/openapi.json")[1])
    assert set(PATHS) <= set(about["paths"])
    assert about["components"]["schemas"]["PredictBody"]["properties"]["outputs"]["maxItems"] == 64
