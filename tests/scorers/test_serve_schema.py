"""The HTTP front against its own description: requests that schemathesis makes of it, right ones and wrong ones.

A request that fits the description may still be refused (there is no such chromosome), so the answer is checked.
It is no failure of the server, its status, content type and body are as told; what does not fit is refused.
"""

# ruff: noqa: E402

import io
import warnings

import pyarrow as pa
import pytest

pytest.importorskip("grpc")
pytest.importorskip("fastapi")
schemathesis = pytest.importorskip("schemathesis")

from ag_scorers.serve.backend import open_backend
from ag_scorers.serve.desk import Desk
from ag_scorers.serve.http_app import make_app
from ag_scorers.serve.limits import Accounts
from ag_scorers.serve.settings import Settings
from ag_scorers.serve.tables import ARROW
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import load_all_checks, not_a_server_error
from schemathesis.specs.openapi import checks as of_openapi

load_all_checks()
CHECKS = [
    not_a_server_error,
    of_openapi.status_code_conformance,
    of_openapi.content_type_conformance,
    of_openapi.response_headers_conformance,
    of_openapi.response_schema_conformance,
    of_openapi.negative_data_rejection,
    of_openapi.unsupported_method,
]
PLACE = {"chromosome": "chr1", "start": 3072, "end": 5120}
OPERATIONS = [
    "POST /v1/predict", "POST /v1/score/variants", "POST /v1/score/ism", "POST /v1/score/interval",
    "GET /v1/metadata/{organism}", "GET /health", "GET /metrics",
]  # fmt: skip


def described(eleven, **bounds):
    """A description with its application, which is asked in this process."""
    bounds = Settings(max_window=1 << 13, max_variants=2, max_ism=2, **bounds)
    desk = Desk(open_backend(eleven.fasta, bounds, gtf=eleven.gtf, model=eleven.model), Accounts(bounds))
    return desk, schemathesis.openapi.from_asgi("/openapi.json", make_app(desk))


@pytest.fixture(scope="module")
def open_schema(eleven):
    desk, schema = described(eleven)
    yield schema
    desk.close()


@pytest.fixture(scope="module")
def spent_schema(eleven):
    """The quota is spent for days: what passes all checks is refused, and nothing is computed."""
    desk, schema = described(eleven, quota=1)
    desk.accounts.find(None).charge(1 << 40)
    yield schema
    desk.close()


def operation(schema, label):
    return next(one for result in schema.get_all_operations() if (one := result.ok()).label == label)


def near(body):
    """A body that is of the genome and the model of the tests, where it can; else nearly all are refused for these."""
    if isinstance(body, list):
        return [near(one) for one in body]
    if not isinstance(body, dict):
        return body
    body = {key: near(value) for key, value in body.items() if key not in ("version", "organism")}
    if {"chromosome", "start", "end"} <= set(body):
        start = body["start"] % 4 * 2048
        body |= {"chromosome": "chr1", "start": start, "end": start + 2048 * (1 + body["end"] % 2)}
    if {"chromosome", "position"} <= set(body):
        place, length = body["position"] % 4 * 2048 + 1000, len(body["reference"]) % 5
        body |= {"chromosome": "chr1", "position": place, "reference": "ACGT"[:length], "alternate": "T"}
    for key in {"outputs", "scorers"} & set(body):
        body[key] = ["chip_tf", "dnase"][: len(body[key])]
    if body.get("sequence") is not None:
        body = {"outputs": body["outputs"], "sequence": "ACGT" * 512}
    if body.get("span") and body.get("interval"):
        body["span"] = {**body["interval"], "strand": "+", "end": body["interval"]["start"] + 1 + len(body) % 2}
    return body


def fuzz(schema, label, examples, mode):
    """Statuses that were seen, and how often."""
    one, seen = operation(schema, label), {}
    strategy = one.as_strategy(generation_mode=mode)

    @seed(20)
    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=strategy, nearer=st.booleans())
    def ask(case, nearer):
        if mode == GenerationMode.POSITIVE and nearer:
            case.body = near(case.body)
            case.path_parameters = {"organism": "human"} if case.path_parameters else {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the client's library
            answer = case.call(timeout=300)
        case.validate_response(answer, checks=CHECKS)
        seen[answer.status_code] = seen.get(answer.status_code, 0) + 1

    ask()
    return seen


@pytest.mark.parametrize("label", OPERATIONS)
def test_answers_are_as_described(spent_schema, label):
    seen = fuzz(spent_schema, label, 15, GenerationMode.POSITIVE)
    assert not label.startswith("POST") or 429 in seen, seen
    if label.startswith("POST"):
        seen = fuzz(spent_schema, label, 15, GenerationMode.NEGATIVE)
        assert set(seen) <= {400, 413, 422}, seen


@pytest.mark.slow
@pytest.mark.parametrize("label", OPERATIONS)
def test_many_answers_are_as_described(open_schema, label):
    seen = fuzz(open_schema, label, 400, GenerationMode.POSITIVE)
    # Recommended interval scorers read 200,001 bp, more than there is here.
    assert (400 if label.endswith("interval") else 200) in seen, seen
    if label.startswith("POST"):
        seen = fuzz(open_schema, label, 400, GenerationMode.NEGATIVE)
        assert set(seen) <= {400, 413, 422}, seen


def test_the_description_has_all_operations_and_is_open_api(open_schema):
    assert {result.ok().label for result in open_schema.get_all_operations()} == set(OPERATIONS)
    open_schema.validate()


@pytest.mark.parametrize("accept", ["application/json", ARROW])
@pytest.mark.parametrize(
    ("label", "body"),
    [
        ("POST /v1/predict", {"outputs": ["chip_tf", "none"], "interval": PLACE}),
        ("POST /v1/predict", {"outputs": ["splice_junctions", "contact_maps"], "interval": PLACE}),
        ("POST /v1/score/variants", {"interval": PLACE, "scorers": ["CHIP_TF", "RNA_SEQ"], "variants": [
            {"chromosome": "chr1", "position": 4300, "reference": "", "alternate": "T"}]}),
    ],
)  # fmt: skip
def test_what_is_computed_is_as_described(open_schema, label, body, accept):
    case = operation(open_schema, label).Case(body=body, media_type="application/json")
    answer = case.call(headers={"Accept": accept}, timeout=300)
    assert answer.status_code == 200, answer.text
    case.validate_response(answer, checks=CHECKS)
    if accept == ARROW:
        assert len(pa.ipc.open_stream(io.BytesIO(answer.content)).read_all())
    else:
        assert answer.json().get("scores") or answer.json()["outputs"][0]["values"]
