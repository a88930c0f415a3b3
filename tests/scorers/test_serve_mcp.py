"""An assistant's questions, by the client of the Model Context Protocol's own package."""

import pathlib
import shutil
import signal
import subprocess
import sys
import threading
import time

import ag_scorers
import numpy as np
import pytest

pytest.importorskip("mcp")

import anyio
from ag_scorers.serve.backend import open_backend
from ag_scorers.serve.http_models import IntervalBody, PredictBody, to_prediction
from ag_scorers.serve.mcp_front import make_server
from ag_scorers.serve.replica import Replica
from ag_scorers.serve.settings import Settings
from mcp import Client, StdioServerParameters

DATA = pathlib.Path(__file__).parents[2] / "examples" / "data"
TOOLS = {"about", "list_tracks", "predict_interval", "score_variant", "score_interval"}
PLACE = {"chromosome": "chr1", "start": 3072, "end": 5120}


def talk(server, *calls):
    """Answers to calls (tool, arguments), each its data or, where it is refused, its text; the tools come first."""

    async def all_of_them():
        async with Client(server, read_timeout_seconds=300) as client:
            found = [(await client.list_tools()).tools]
            for name, arguments in calls:
                answer = await client.call_tool(name, arguments)
                found.append(answer.content[0].text if answer.is_error else answer.structured_content)
            return found

    return anyio.run(all_of_them)


@pytest.fixture(scope="module")
def backend(eleven):
    opened = open_backend(eleven.fasta, Settings(max_window=1 << 13), gtf=eleven.gtf, model=eleven.model)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def server(backend):
    return make_server(backend, {"fasta": "my genome.fa", "gtf": "genes.gtf"})


def test_tools_read_and_take_no_path(server):
    (tools,) = talk(server)
    assert {one.name for one in tools} == TOOLS
    for one in tools:
        assert one.annotations.read_only_hint
        assert one.description
        assert not {name for name in one.input_schema["properties"] if "path" in name or "file" in name}
        assert "told" not in one.input_schema["properties"]


def test_what_there_is(server):
    _, about, all_of_them, some, wrong = talk(
        server, ("about", {}), ("list_tracks", {"limit": 3}), ("list_tracks", {"query": "cage & K562"}),
        ("list_tracks", {"query": "nothing=7"}),
    )  # fmt: skip
    assert about["genome"]["chromosomes"] == {"chr1": 20_000}
    assert about["outputs"]["chip_tf"] == {"tracks": 2, "resolution_bp": 128}
    assert sum(all_of_them["found"].values()) == sum(one["tracks"] for one in about["outputs"].values())
    assert len(all_of_them["tracks"]) == 3
    assert some["found"] == {"cage": 2}
    assert {one["biosample_name"] for one in some["tracks"]} == {"K562"}
    assert "unknown field 'nothing'" in wrong


def test_predictions_are_summed_up(server, backend):
    outputs = ["chip_tf", "splice_junctions", "contact_maps"]
    ask = {"interval": {**PLACE, "start": 4096, "end": 4608}, "outputs": outputs}
    _, found, one = talk(server, ("predict_interval", ask), ("predict_interval", {**ask, "query": "HNF4A", "limit": 1}))
    window = found["predicted"]
    assert window["end"] - window["start"] == 4096
    request, _ = to_prediction(backend, PredictBody(interval=IntervalBody(**window), outputs=outputs))
    (expected,) = backend.predict(request, time.monotonic() + 100)
    low = (4096 - window["start"]) // 128
    values = expected["chip_tf"].values[low : low + 4 + ((4096 - window["start"]) % 128 > 0)]
    for row in found["outputs"]["chip_tf"]:
        track = ["CTCF", "HNF4A"].index(row["name"])
        np.testing.assert_allclose(row["mean"], values[:, track].mean(), rtol=1e-3)
        np.testing.assert_allclose(row["max"], values[:, track].max(), rtol=1e-3)
        start, end = row["max_at"]
        assert end - start == 128
        assert start < 4608
        assert end > 4096
    (bins,) = {(start // 2048, (end - 1) // 2048) for start, end in [(4096 - window["start"], 4608 - window["start"])]}
    contacts = expected["contact_maps"].values[bins[0] : bins[1] + 1, bins[0] : bins[1] + 1]
    means = [row["mean"] for row in found["outputs"]["contact_maps"]]
    np.testing.assert_allclose(means, sorted(contacts.mean((0, 1)), reverse=True), rtol=1e-3)
    junctions = expected["splice_junctions"]
    within = (junctions.junctions["start"] < 4608) & (junctions.junctions["end"] > 4096)
    maxima = {row["max"] for row in found["outputs"]["splice_junctions"]}
    np.testing.assert_allclose(
        sorted(maxima), sorted(junctions.values[within].max(0, initial=0)[: len(maxima)]), rtol=1e-3
    )
    assert [row["name"] for row in one["outputs"]["chip_tf"]] == ["HNF4A"]
    assert set(one["outputs"]) == {"chip_tf"}


def test_scores_are_those_of_the_library(server, eleven):
    variant = {"chromosome": "chr1", "position": 5520, "reference": eleven.genome[5519]}
    variant["alternate"] = eleven.other(5520)
    _, found = talk(server, ("score_variant", {"variant": variant, "scorers": ["CHIP_TF"], "limit": 1}))
    name = f"chr1:5520:{variant['reference']}>{variant['alternate']}"
    assert found["variant"] == name
    assert found["report"] == f"agenome report variant '{name}' --fasta 'my genome.fa' --gtf genes.gtf -o report.html"
    vcf = eleven.vcf("mcp.vcf", f"5520 = {variant['alternate']}")
    expected = ag_scorers.score(vcf, fasta=eleven.fasta, model=eleven.model, scorers=["CHIP_TF"])
    values = expected["CHIP_TF"]["score"].values[0]
    (one,) = found["scorers"]
    assert one["rows"] == len(values) == 2
    (row,) = one["strongest"]
    np.testing.assert_allclose(row["score"], values[np.abs(values).argmax()], rtol=1e-3)
    assert row["track_name"] == ["CTCF", "HNF4A"][np.abs(values).argmax()]


@pytest.mark.parametrize(
    ("tool", "arguments", "text"),
    [
        ("predict_interval", {"interval": {**PLACE, "chromosome": "X"}, "outputs": ["dnase"]}, "no chromosome 'X'"),
        ("predict_interval", {"interval": {**PLACE, "end": 1 << 30}, "outputs": ["dnase"]}, "OUT_OF_RANGE"),
        ("predict_interval", {"interval": PLACE, "outputs": ["none"]}, "NOT_FOUND: the model does not predict none"),
        ("predict_interval", {"interval": PLACE, "outputs": ["x" * 100]}, "at most 64 characters"),
        ("score_interval", {"interval": PLACE}, "INVALID_ARGUMENT"),
        ("score_interval", {"interval": PLACE, "scorers": ["/etc/passwd"]}, "interval scorer '/etc/passwd' is unknown"),
        ("score_variant", {"variant": {"chromosome": "chr1", "position": 5520, "reference": "A", "alternate": "a"}},
         "upper-case ACGTN"),
        ("score_variant", {"variant": {"chromosome": "chr1"}}, "Field required"),
        ("list_tracks", {"query": "((("}, "cannot read the track query"),
        ("list_tracks", {"limit": 10**9}, "less than or equal to 200"),
        ("delete_model", {}, "Unknown tool"),
    ],
)  # fmt: skip
def test_refusals(server, eleven, tool, arguments, text):
    try:
        found = talk(server, (tool, arguments))[1]
    except BaseException as error:  # an unknown tool is the protocol's affair
        found = repr(error)
    assert text in found, found
    assert str(eleven.folder) not in found


def test_a_call_that_is_taken_back_is_not_computed(server, backend, monkeypatch):
    answer, go, begun = Replica.__call__, threading.Event(), []

    def held(replica, key, requests):
        begun.append(key)
        go.wait(60)
        return answer(replica, key, requests)

    ask = {"interval": PLACE, "outputs": ["dnase"]}

    async def both():
        async with Client(server) as client, anyio.create_task_group() as group:
            group.start_soon(client.call_tool, "predict_interval", ask)
            while not begun:
                await anyio.sleep(0.01)
            with anyio.move_on_after(0.5) as given_up:
                await client.call_tool("predict_interval", ask)
            assert given_up.cancelled_caught
            go.set()

    monkeypatch.setattr(Replica, "__call__", held)
    anyio.run(both)
    assert talk(server, ("predict_interval", ask))[1]["outputs"]
    assert len(begun) == 2  # the one taken back is not among them


@pytest.mark.slow
def test_over_stdio(tmp_path):
    """The command as a process of its own, with the embedded model; it ends with its client and leaves no file."""
    command = shutil.which("agenome", path=str(pathlib.Path(sys.executable).parent))
    assert command
    arguments = ["mcp", "--fasta", str(DATA / "HNF4A.hg38.fa.gz"), "--gtf", str(DATA / "HNF4A.hg38.gtf.gz")]
    process = StdioServerParameters(command=command, args=arguments, cwd=str(tmp_path))
    variant = {"chromosome": "chr20", "position": 44355804, "reference": "C", "alternate": "T"}
    tools, tracks, scores, place, wrong = talk(
        process,
        ("list_tracks", {"query": "HNF4A"}),
        ("score_variant", {"variant": variant, "scorers": ["CHIP_TF", "CAGE"]}),
        (
            "predict_interval",
            {"interval": {"chromosome": "chr20", "start": 44355600, "end": 44356000}, "outputs": ["cage"], "limit": 2},
        ),
        ("score_variant", {"variant": {**variant, "chromosome": "chr1"}}),
    )
    assert {one.name for one in tools} == TOOLS
    assert tracks["found"]["chip_tf"] >= 1
    assert scores["variant"] == "chr20:44355804:C>T"
    assert [len(one["strongest"]) for one in scores["scorers"]] == [5, 5]
    assert all(-1 <= row["quantile"] <= 1 for one in scores["scorers"] for row in one["strongest"])
    assert len(place["outputs"]["cage"]) == 2
    assert "the genome has no chromosome 'chr1'" in wrong
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize(("end", "code"), [("input", 0), ("interrupt", 130)])
def test_it_ends_at_once(end, code):
    """With its input, and on Ctrl-C although it waits for input; stdout has nothing but the protocol."""
    command = [shutil.which("agenome", path=str(pathlib.Path(sys.executable).parent)), "mcp"]
    process = subprocess.Popen(
        [*command, "--fasta", str(DATA / "HNF4A.hg38.fa.gz")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        assert "ends with its input" in process.stderr.readline()
        if end == "interrupt":
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == code
        out, _ = process.communicate(timeout=60)
    assert (process.returncode, out) == (code, "")
