"""What a worker makes of a shard, and how its troubles are told apart from the input's and the cluster's."""

import dataclasses
import os
import re
import subprocess
import sys

import pytest
from ag_core.errors import InputError
from ag_data.fasta import Fasta
from ag_data.variants import Status, read_variants
from ag_scorers.cluster import worker
from ag_scorers.cluster.arrivals import ClusterLost, Killed, read_result
from ag_scorers.cluster.order import make_order
from ag_scorers.cluster.placement import Placement
from ag_scorers.cluster.worker import Bench, Fault, Scored, score_shard
from ag_scorers.scoring import open_engine
from ag_scorers.shard_file import read_shard


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(worker, "_opened", [])


@pytest.fixture(scope="module")
def order(world):
    options = {"model": world.model, "scorers": ("center_mask:modality=chip_tf",)}
    return make_order(open_engine(Fasta(world.fasta), **options), options)


@pytest.fixture(scope="module")
def calls(world):
    return list(read_variants(world.vcf("worker.vcf", f"4201 = {world.other(4201)}", f"4300 = {world.other(4300)}")))


def test_a_shard_is_the_same_bytes_each_time(order, calls):
    first, second = score_shard(order, calls), score_shard(order, calls)
    assert isinstance(first, Scored)
    assert isinstance(second, Scored)
    assert first.data == second.data
    assert first.device == "cpu"


class Broken(Bench):
    """On a device that computes nothing any more."""

    def __init__(self, order):
        super().__init__(order)

        def fail(batch):
            raise RuntimeError("CUDA_ERROR_ECC_UNCORRECTABLE")

        self.engine._begin = fail


def test_a_worker_all_of_whose_variants_fail_is_doubted(order, calls, tmp_path):
    fault = score_shard(order, calls, Broken)
    assert isinstance(fault, Fault)
    assert not fault.lasting
    assert "not one variant of a shard could be scored" in str(fault)
    assert "CUDA_ERROR_ECC_UNCORRECTABLE" in str(fault)
    (tmp_path / "shard").write_bytes(fault.scored.data)
    engine = open_engine(Fasta(order.fasta), **order.options)
    kept = list(read_shard(tmp_path / "shard", engine.templates()))
    assert [result.call.status for result in kept] == [Status.FAILED] * 2


KEPT = """
import jax
from ag_scorers.cluster.worker import keep_programs

keep_programs()
print(jax.config.jax_compilation_cache_dir, jax.config.jax_persistent_cache_min_compile_time_secs)
jax.jit(lambda x: jax.numpy.linalg.qr(jax.numpy.sin(x)))(jax.numpy.ones((40, 40)))
"""


def test_a_worker_keeps_compiled_programs_as_the_command_line_does(tmp_path):
    known = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    settings = known | {"AG_CACHE_DIR": str(tmp_path), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    done = subprocess.run([sys.executable, "-c", KEPT], env=settings, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(tmp_path / "jax"), "0.0"]
    assert list((tmp_path / "jax").iterdir())


def test_two_workers_that_agree_are_believed():
    desk = Placement()
    desk.live = {"a", "b"}
    one, other = Fault("a", "host", "nothing", scored=Scored(b"", 1.0, "a")), Fault("b", "host", "nothing")
    assert not desk.excuse(3, one)
    desk.blame(3, one)
    assert not desk.excuse(3, one)  # the same one again proves nothing
    assert desk.excuse(3, other)
    desk.live = {"a"}
    assert desk.excuse(4, one)  # nobody else is there to ask


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"versions": {"jax": "0.0.1"}}, "jax is .* for this worker, 0.0.1 where the run was started"),
        ({"sizes": {"/nowhere/genes.gtf": 5}}, "/nowhere/genes.gtf is not there for this worker"),
        ({"model_digest": "0" * 64}, "the worker's model .* has the digest .*, the run's 000000000000"),
    ],
)
def test_another_world_is_refused_for_good(order, calls, changed, text):
    fault = score_shard(dataclasses.replace(order, **changed), calls)
    assert isinstance(fault, Fault)
    assert fault.lasting
    assert re.search(text, fault.text)


def test_a_device_that_does_not_open_may_open_elsewhere_or_later(order, calls):
    def refuse(order):
        raise RuntimeError("Unable to initialize backend 'cuda'")

    fault = score_shard(order, calls, refuse)
    assert isinstance(fault, Fault)
    assert not fault.lasting
    assert "RuntimeError: Unable to initialize backend" in fault.text


class Future:
    """What the client's thread has put into a future at each look."""

    def __init__(self, *states, error=None):
        self.states, self.error = list(states), error

    @property
    def status(self):
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]

    def result(self, timeout):
        if self.error is not None:
            raise self.error
        return "data"

    def exception(self, timeout):
        return self.error


def test_what_became_of_a_future_is_told_apart():
    from distributed import KilledWorker

    assert read_result(Future("pending"), 0, 1.0) is None
    assert read_result(Future("finished"), 0, 1.0) == "data"
    # Its worker died between the look and the fetch.
    assert read_result(Future("finished", "pending", error=ValueError("gone")), 0, 1.0) is None
    assert read_result(Future("error", error=None), 0, 1.0) is None
    with pytest.raises(TimeoutError):
        read_result(Future("finished", error=TimeoutError()), 0, 1.0)
    with pytest.raises(ConnectionError):
        read_result(Future("finished", error=ConnectionError("reset")), 0, 1.0)
    for status in ("lost", "cancelled"):
        with pytest.raises(ClusterLost, match=f"shard 7 was {status}"):
            read_result(Future(status), 7, 1.0)
    with pytest.raises(Killed, match="shard 7 has killed several workers"):
        read_result(Future("error", error=KilledWorker("shard", None, 3)), 7, 1.0)
    with pytest.raises(InputError, match="genome is damaged"):
        read_result(Future("error", error=InputError("genome is damaged")), 7, 1.0)
    with pytest.raises(InputError, match="a worker lacks a package"):
        read_result(Future("error", error=ModuleNotFoundError("No module named 'ag_scorers'")), 7, 1.0)
    with pytest.raises(RuntimeError, match="shard 7 failed on a worker: OSError: bad"):  # no loss of the cluster
        read_result(Future("error", error=OSError("bad")), 7, 1.0)
