"""The gRPC server in this process, asked with our own messages, with a small random model that has all eleven heads."""

# ruff: noqa: E402

import ag_scorers
import numpy as np
import pytest
from ag_core.errors import InputError
from ag_core.genome import Interval, Variant

grpc = pytest.importorskip("grpc")

from ag_scorers.mutagenesis.mutations import ism_variants
from ag_scorers.serve import protocol
from ag_scorers.serve.backend import open_backend
from ag_scorers.serve.device_queue import DeviceQueue, wait
from ag_scorers.serve.errors import ServiceError
from ag_scorers.serve.limits import Account, Accounts, Budget
from ag_scorers.serve.protocol import MESSAGES, SERVICE, methods, serialise
from ag_scorers.serve.reading import OUTPUTS
from ag_scorers.serve.server import Server
from ag_scorers.serve.settings import Settings
from ag_scorers.serve.tensors import pack, unpack
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from serve_client import NUMBERS, PLACE, WIDTH, Client, center_mask, refused, variant_of


@pytest.fixture(scope="module")
def backend(eleven):
    return open_backend(eleven.fasta, Settings(port=0, batch=2), gtf=eleven.gtf, model=eleven.model)


@pytest.fixture(scope="module")
def client(backend):
    with Server(backend) as server:
        yield Client(server.port)


def test_the_binary_is_what_the_text_says():
    pytest.importorskip("grpc_tools")
    assert protocol.compiled() == protocol.BINARY.read_bytes()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int32", "bool"])
@pytest.mark.parametrize("shape", [(0, 3), (5, 3), (70, 11, 2)])
def test_arrays_survive_the_wire(dtype, shape):
    import ml_dtypes

    dtype = np.dtype(ml_dtypes.bfloat16) if dtype == "bfloat16" else np.dtype(dtype)
    array = np.random.default_rng(0).integers(0, 2, shape).astype(dtype)
    tensor, chunks = pack(array, chunk=1000)
    chunks = list(chunks)
    if array.nbytes > 1000:
        assert tensor.chunk_count == len(chunks) > 1
    np.testing.assert_array_equal(unpack(tensor, chunks), array)
    if len(chunks):
        with pytest.raises(ValueError, match="bytes, got"):
            unpack(tensor, chunks[1:])


def test_metadata(client, backend):
    (response,) = client.call("GetMetadata", MESSAGES.MetadataRequest(organism=9606))
    found = {OUTPUTS[one.output_type]: one for one in response.output_metadata}
    assert set(found) == set(backend.checkpoint.spec.heads)
    assert [one.name for one in found["rna_seq"].tracks.metadata] == ["rna", "rna", "rna all"]
    assert [one.strand for one in found["rna_seq"].tracks.metadata] == [1, 2, 3]
    assert [one.name for one in found["splice_junctions"].junctions.metadata] == ["liver", "blood"]
    refused(client, "GetMetadata", MESSAGES.MetadataRequest(organism=10090), grpc.StatusCode.NOT_FOUND, "mouse")


def test_predictions_are_those_of_the_library(client, eleven):
    wanted = ["rna_seq", "chip_tf", "contact_maps", "splice_junctions", "dnase"]
    request = MESSAGES.PredictIntervalRequest(
        interval=PLACE, organism=9606, requested_outputs=[NUMBERS[name] for name in wanted]
    )
    found = {OUTPUTS[head.output_type]: (head, values) for _, head, values in client.arrays("PredictInterval", request)}
    assert set(found) == set(wanted)
    tree = ag_scorers.predict(
        region=f"chr1:{PLACE['start'] + 1}-{PLACE['end']}", fasta=eleven.fasta, model=eleven.model, window=WIDTH,
        outputs=wanted,
    )  # fmt: skip
    for name in ("rna_seq", "chip_tf", "contact_maps", "dnase"):
        head, values = found[name]
        np.testing.assert_allclose(values, tree[name]["prediction"].values, rtol=2e-4, atol=1e-4)
        assert head.track_data.interval.start == PLACE["start"]
        assert head.track_data.resolution == {"chip_tf": 128, "contact_maps": 2048}.get(name, 1)
        assert len(head.track_data.metadata) == values.shape[-1]
    head, counts = found["splice_junctions"]
    assert len(head.junction_data.junctions) == len(counts)
    assert all(PLACE["start"] <= one.start < one.end <= PLACE["end"] for one in head.junction_data.junctions)


def test_an_interval_is_its_sequence_and_terms_choose_tracks(client, eleven):
    outputs = [NUMBERS["dnase"], NUMBERS["splice_sites"]]
    bases = eleven.genome[PLACE["start"] : PLACE["end"]]
    ours = client.arrays("PredictSequence", MESSAGES.PredictSequenceRequest(sequence=bases, requested_outputs=outputs))
    theirs = client.arrays(
        "PredictInterval", MESSAGES.PredictIntervalRequest(interval=PLACE, requested_outputs=outputs)
    )
    for (_, _, one), (_, _, other) in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    term = {"ontology_type": 2, "id": 955}
    request = MESSAGES.PredictSequenceRequest(sequence=bases, requested_outputs=outputs, ontology_terms=[term])
    shapes = [values.shape for _, _, values in client.arrays("PredictSequence", request)]
    assert shapes == [(WIDTH, 0), (WIDTH, 4)]


def test_both_alleles(client, eleven):
    request = MESSAGES.PredictVariantRequest(
        interval=PLACE,
        variant=variant_of(eleven),
        requested_outputs=[NUMBERS["chip_tf"], NUMBERS["splice_junctions"], NUMBERS["atac"]],
    )
    found = client.arrays("PredictVariant", request)
    kinds = [kind for kind, _, _ in found]
    assert kinds == ["reference_output"] * 3 + ["alternate_output"] * 3
    ref, alt = found[:3], found[3:]
    assert np.abs(ref[0][2] - alt[0][2]).max() > 0
    assert list(ref[1][1].junction_data.junctions) == list(alt[1][1].junction_data.junctions)


def test_scores_come_in_the_order_of_the_scorers(client, backend, eleven):
    scorers = [
        MESSAGES.VariantScorer(gene_mask={"requested_output": NUMBERS["rna_seq"]}),
        MESSAGES.VariantScorer(
            center_mask={"width": 501, "aggregation_type": 5, "requested_output": NUMBERS["chip_tf"]}
        ),
        MESSAGES.VariantScorer(pa_qtl={}),
        MESSAGES.VariantScorer(contact_map={}),
    ]
    request = MESSAGES.ScoreVariantRequest(
        interval={**PLACE, "strand": 3}, variant=variant_of(eleven), organism=9606, variant_scorers=scorers
    )
    apart = client.arrays("ScoreVariant", request)
    assert "polyadenylation" in client.notes
    assert [values.shape for _, _, values in apart] == [(1, 2, 3), (1, 1, 2), (1, 0, 3), (1, 1, 2)]
    request.merge_stranded_gene_tracks = True
    merged = client.arrays("ScoreVariant", request)
    genes = merged[0][1].variant_data.metadata.gene_metadata
    assert [one.strand for one in genes] == [1, 2]
    values, whole = merged[0][2][0], apart[0][2][0]
    np.testing.assert_array_equal(values, np.array([[whole[0, 0], whole[0, 2]], [whole[1, 1], whole[1, 2]]]))
    assert [one.strand for one in merged[0][1].variant_data.metadata.track_metadata] == [3, 3]
    assert np.isnan(whole[0, 1])
    direct = ag_scorers.Engine(
        backend.checkpoint,
        backend.fasta,
        _direct_scorers(),
        resources=backend.kit.resources,
        window=WIDTH,
    )
    one = variant_of(eleven)
    variant = Variant("chr1", one["position"], one["reference_bases"], one["alternate_bases"])
    expected = direct.score(variant, Interval("chr1", PLACE["start"], PLACE["end"]))
    np.testing.assert_allclose(whole, expected[0].values, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(apart[1][2][0], expected[1].values, rtol=1e-4, atol=1e-5)


def _direct_scorers():
    return {
        "lfc": ag_scorers.GeneMaskLFCScorer("rna_seq"),
        "center": ag_scorers.CenterMaskScorer("chip_tf", 501, "diff_log2_sum"),
    }


def test_mutagenesis_on_ref_and_on_alt(client, eleven):
    span = {"chromosome": "chr1", "start": 5510, "end": 5513, "strand": 3}
    request = MESSAGES.ScoreIsmVariantRequest(
        interval={**PLACE, "strand": 3}, ism_interval=span, variant_scorers=[center_mask()]
    )
    found = client.arrays("ScoreIsmVariant", request)
    names = [_name(head.variant_data.metadata.variant) for _, head, _ in found]
    expected = ism_variants(Interval("chr1", 5510, 5513), eleven.genome[5510:5513])
    assert names == [str(variant) for variant in expected]
    before = variant_of(eleven, 5500, eleven.genome[5499] + "GATT")
    request.interval_variant.CopyFrom(MESSAGES.Variant(**before))
    on_alt = client.arrays("ScoreIsmVariant", request)
    assert [_name(head.variant_data.metadata.variant) for _, head, _ in on_alt] == names
    differ = [np.abs(one[2] - other[2]).max() for one, other in zip(found, on_alt, strict=True)]
    assert max(differ) > 0


def _name(message):
    return f"{message.chromosome}:{message.position}:{message.reference_bases}>{message.alternate_bases}"


def test_interval_scores(client):
    scorer = MESSAGES.IntervalScorer(gene_mask={"requested_output": NUMBERS["rna_seq"], "aggregation_type": 1})
    request = MESSAGES.ScoreIntervalRequest(interval=PLACE, interval_scorers=[scorer])
    ((_, head, values),) = client.arrays("ScoreInterval", request)
    assert values.shape == (1, len(head.interval_data.metadata.gene_metadata), 3)
    assert np.isfinite(values).all()


BAD = grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("change", "code", "match"),
    [
        ({"interval": {**PLACE, "chromosome": "chr7"}}, BAD, "no chromosome 'chr7'"),
        ({"interval": {**PLACE, "end": PLACE["end"] + 1}}, BAD, "multiple of 2,048"),
        ({"interval": {**PLACE, "start": 1 << 40, "end": (1 << 40) + WIDTH}}, BAD, "lies outside"),
        ({"interval": {**PLACE, "start": 0, "end": 1 << 30}}, grpc.StatusCode.OUT_OF_RANGE, "at most"),
        ({"interval": {**PLACE, "strand": 9}}, BAD, "strand 9"),
        ({"requested_outputs": []}, BAD, "no output"),
        ({"requested_outputs": [77]}, BAD, "output 77"),
        ({"organism": 7}, BAD, "organism 7"),
        ({"organism": 10090}, grpc.StatusCode.NOT_FOUND, "mouse"),
        ({"model_version": "FOLD_9"}, grpc.StatusCode.NOT_FOUND, "FOLD_9"),
        ({"ontology_terms": [{"ontology_type": 0, "id": 1}]}, BAD, "ontology term"),
    ],
)
def test_refusals(client, change, code, match):
    fields = {"interval": PLACE, "organism": 9606, "requested_outputs": [NUMBERS["dnase"]], **change}
    refused(client, "PredictInterval", MESSAGES.PredictIntervalRequest(**fields), code, match)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"variant": {"chromosome": "chr1", "position": 100, "alternate_bases": "A"}}, "does not begin inside"),
        ({"variant": {"chromosome": "chr1", "position": 5000, "alternate_bases": "AX"}}, "upper-case ACGTN"),
        ({"variant_scorers": [{}]}, "no known kind"),
        ({"variant_scorers": [{"contact_map": {}}] * 2}, "twice"),
        ({"variant_scorers": [{"center_mask": {"width": 7, "requested_output": 1, "aggregation_type": 5}}]}, "width 7"),
        ({"variant_scorers": [{"gene_mask": {"requested_output": NUMBERS["chip_tf"]}}]}, "at 128 bp"),
    ],
)
def test_refusals_of_scores(client, eleven, change, match):
    fields = {"interval": PLACE, "variant": variant_of(eleven), "variant_scorers": [{"contact_map": {}}], **change}
    refused(client, "ScoreVariant", MESSAGES.ScoreVariantRequest(**fields), BAD, match)


def test_no_message_and_no_folder_of_ours(client, eleven):
    refused(client, "PredictInterval", b"\xff\xff\xff", BAD, "malformed")
    with pytest.raises(grpc.RpcError) as error:
        client.call("PredictInterval", MESSAGES.PredictIntervalRequest(interval={**PLACE, "chromosome": "nope"}))
    assert str(eleven.folder) not in str(error.value)


_MESSAGES = [name for name, (_, _, streamed, _) in methods(SERVICE).items() if streamed]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from(_MESSAGES), data=st.binary(max_size=200), cut=st.integers(0, 60), byte=st.integers(0, 255)
)
def test_no_bytes_make_the_server_fail(client, eleven, method, data, cut, byte):
    whole = MESSAGES.ScoreVariantRequest(interval=PLACE, variant=variant_of(eleven), model_version="none")
    good = bytearray(whole.SerializeToString())
    good[cut % len(good)] = byte
    for sent in (data, bytes(good), data + bytes(good)[cut:]):
        try:
            client.call(method, sent)
        except grpc.RpcError as error:
            assert error.code() not in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN), error  # noqa: PT017


def test_keys_and_their_quotas(tmp_path):
    now = [0.0]
    path = tmp_path / "keys"
    path.write_text("# who\nann secret 6000\nben sha256:" + "0" * 64 + "\n")
    accounts = Accounts(Settings(), path)
    assert accounts.find("secret").name == "ann"
    assert accounts.find("secret").quota == 6000
    for wrong in (None, "", "Secret"):
        with pytest.raises(ServiceError, match="API key") as error:
            accounts.find(wrong)
        assert error.value.status == "UNAUTHENTICATED"
    account = Account("a", 6000, 1, lambda: now[0])
    account.charge(6000)
    with pytest.raises(ServiceError, match="can go on in 10 s"):
        account.charge(1000)
    now[0] = 10.5
    account.charge(1000)
    with account.slot(), pytest.raises(ServiceError, match="which is the most"), account.slot():
        pass
    path.write_text("ann\n")
    with pytest.raises(InputError, match="line 1"):
        Accounts(Settings(), path)
    path.write_text("\n")
    with pytest.raises(InputError, match="no keys"):
        Accounts(Settings(), path)


def test_a_server_for_holders_of_keys(eleven, tmp_path):
    (tmp_path / "keys").write_text("ann secret\n")
    bounds = Settings(port=0, host="0.0.0.0", max_window=2048)
    backend = open_backend(eleven.fasta, bounds, model=eleven.model)
    with Server(backend, keys=tmp_path / "keys") as server:
        request = MESSAGES.MetadataRequest()
        refused(Client(server.port), "GetMetadata", request, grpc.StatusCode.UNAUTHENTICATED, "is needed")
        refused(Client(server.port, "x"), "GetMetadata", request, grpc.StatusCode.UNAUTHENTICATED, "not known")
        assert Client(server.port, "secret").call("GetMetadata", request)
    with pytest.raises(InputError, match="--keys"):
        Server(open_backend(eleven.fasta, bounds, model=eleven.model))


def test_the_queue_batches_bounds_and_gives_up():
    import threading

    go, seen = threading.Event(), []

    def work(key, payloads):
        go.wait(10)
        seen.append((key, list(payloads)))
        return [ValueError("bad") if payload == "bad" else payload for payload in payloads]

    queue = DeviceQueue([work], 5)
    first = queue.submit("a", 0)
    while len(queue):
        pass
    rest = [queue.submit(key, payload, 2) for key, payload in (("b", 1), ("c", 2), ("b", 3), ("b", 4))]
    bad = queue.submit("d", "bad")
    with pytest.raises(ServiceError, match="5 requests wait"):
        queue.submit("e", 5)
    rest[3].cancel()
    queue.submit("e", 5)  # there is room again
    go.set()
    assert [wait(first, 10), *(wait(one, 10) for one in rest[:3])] == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="bad"):
        wait(bad, 10)
    assert seen[:3] == [("a", [0]), ("b", [1, 3]), ("c", [2])]
    with pytest.raises(ServiceError, match="given up"):
        wait(rest[3], 1)
    queue.close()
    with pytest.raises(ServiceError, match="shutting down"):
        queue.submit("a", 1)


def test_the_budget_waits_and_refuses():
    import time

    budget = Budget(100, 80)
    with pytest.raises(ServiceError, match="more than 80"), budget.hold(81, time.monotonic()):
        pass
    with budget.hold(60, time.monotonic()):
        assert budget.used == 60
        with pytest.raises(ServiceError, match="too many large answers"), budget.hold(50, time.monotonic() + 0.01):
            pass
    assert budget.used == 0


def test_requests_end_in_time(eleven):
    backend = open_backend(eleven.fasta, Settings(port=0, timeout=0.2, grace=0), model=eleven.model)
    with Server(backend) as server:
        silent = Client(server.port)
        _, response, _, _ = methods(SERVICE)["PredictInterval"]
        call = silent.channel.stream_stream(f"/{SERVICE}/PredictInterval", serialise, response.FromString)
        answer = call(_never())
        with pytest.raises(grpc.RpcError) as error:
            next(answer)
        assert error.value.code() in (grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED)


def _never():
    import time

    time.sleep(2)
    yield MESSAGES.PredictIntervalRequest()
