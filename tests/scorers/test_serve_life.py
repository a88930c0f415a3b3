"""A server's end, clients that go away, and several devices: with requests under way."""

# ruff: noqa: E402

import threading
import time

import numpy as np
import pytest

grpc = pytest.importorskip("grpc")

from ag_scorers.serve.backend import VARIANTS, open_backend
from ag_scorers.serve.protocol import MESSAGES, SERVICE, methods, serialise
from ag_scorers.serve.replica import Replica
from ag_scorers.serve.server import Server
from ag_scorers.serve.settings import Settings
from serve_client import PLACE, Client, center_mask, refused, variant_of

SPAN = 24  # bp, all SNVs of which are one request


def mutagenesis(span=SPAN):
    """A request of several tasks: 3 SNVs for each bp."""
    place = {"chromosome": "chr1", "start": 5500, "end": 5500 + span, "strand": 3}
    return MESSAGES.ScoreIsmVariantRequest(
        interval={**PLACE, "strand": 3}, ism_interval=place, variant_scorers=[center_mask()]
    )


def tasks(backend):
    """How many tasks the devices have begun."""
    return sum(size * count for size, count in backend.queue.batches.items())


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.005)


def test_what_has_begun_is_finished_and_nothing_more_is_taken(eleven, monkeypatch):
    backend = open_backend(eleven.fasta, Settings(port=0, grace=60), gtf=eleven.gtf, model=eleven.model)
    answer, go, found = Replica.__call__, threading.Event(), {}

    def held(replica, key, requests):
        go.wait(60)
        return answer(replica, key, requests)

    monkeypatch.setattr(Replica, "__call__", held)
    with Server(backend) as server:
        client, late, new = (Client(server.port) for _ in range(3))
        assert late.call("GetMetadata", MESSAGES.MetadataRequest())
        asking = threading.Thread(target=lambda: found.update(all=client.arrays("ScoreIsmVariant", mutagenesis())))
        asking.start()
        until(lambda: tasks(backend))
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        until(lambda: not server.desk.open)
        for who in [late, new] * 5:
            refused(who, "GetMetadata", MESSAGES.MetadataRequest(), grpc.StatusCode.UNAVAILABLE, "shutting down")
        assert asking.is_alive()
        assert stopping.is_alive()
        go.set()
        asking.join(60)
        stopping.join(60)
        assert not stopping.is_alive()
    assert len(found["all"]) == 3 * SPAN


def test_what_takes_longer_than_the_grace_is_ended(eleven, monkeypatch):
    backend = open_backend(eleven.fasta, Settings(port=0, grace=0.2), gtf=eleven.gtf, model=eleven.model)
    answer, go, codes = Replica.__call__, threading.Event(), []

    def held(replica, key, requests):
        go.wait(60)
        return answer(replica, key, requests)

    def ask():
        try:
            client.arrays("ScoreIsmVariant", mutagenesis())
        except grpc.RpcError as error:
            codes.append(error.code())

    monkeypatch.setattr(Replica, "__call__", held)
    with Server(backend) as server:
        client = Client(server.port)
        asking = threading.Thread(target=ask)
        asking.start()
        until(lambda: tasks(backend))
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        asking.join(20)  # told, although the device is still at it
        assert codes
        assert codes[0] in (grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE)
        go.set()
        stopping.join(60)
        assert not stopping.is_alive()


def test_a_client_that_goes_away_stops_the_work(eleven):
    backend = open_backend(eleven.fasta, Settings(port=0, grace=0), gtf=eleven.gtf, model=eleven.model)
    with Server(backend) as server:
        client = Client(server.port)
        _, response, _, _ = methods(SERVICE)["ScoreIsmVariant"]
        call = client.channel.stream_stream(f"/{SERVICE}/ScoreIsmVariant", serialise, response.FromString)
        answer = call(iter([mutagenesis(span=128)]))
        next(answer)
        answer.cancel()
        until(lambda: not len(backend.queue))
        time.sleep(0.2)
        begun = tasks(backend)
        time.sleep(0.5)
        assert tasks(backend) == begun
        assert begun < 3 * 128 / VARIANTS
        assert Client(server.port).call("GetMetadata", MESSAGES.MetadataRequest())


@pytest.mark.slow
def test_devices_share_the_work_and_agree(eleven, monkeypatch):
    one = open_backend(eleven.fasta, Settings(port=0), gtf=eleven.gtf, model=eleven.model)
    three = open_backend(eleven.fasta, Settings(port=0, devices=3), gtf=eleven.gtf, model=eleven.model)
    answer, at_work = Replica.__call__, set()

    def watched(replica, key, requests):
        at_work.add(replica.device)
        return answer(replica, key, requests)

    def request(position):
        variant = variant_of(eleven, position)
        return MESSAGES.ScoreVariantRequest(
            interval={**PLACE, "strand": 3}, variant=variant, organism=9606, variant_scorers=[center_mask()]
        )

    positions, found = range(5500, 5512), {}
    with Server(one) as single, Server(three) as several:
        expected = [Client(single.port).arrays("ScoreVariant", request(position)) for position in positions]
        monkeypatch.setattr(Replica, "__call__", watched)

        def ask(position):
            found[position] = Client(several.port).arrays("ScoreVariant", request(position))

        asking = [threading.Thread(target=ask, args=(position,)) for position in positions]
        for thread in asking:
            thread.start()
        for thread in asking:
            thread.join(120)
    assert len(at_work) == 3
    for position, want in zip(positions, expected, strict=True):
        for (_, _, got), (_, _, right) in zip(found[position], want, strict=True):
            np.testing.assert_allclose(got, right, rtol=1e-5, atol=1e-6)
