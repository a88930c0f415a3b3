"""`agenome score` over many variants: interrupted anywhere, it goes on, and its outputs show no sign of that."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import ag_scorers.shards
import numpy as np
import pyarrow.parquet as pq
import pytest
from ag_core.cli import run
from ag_core.errors import InputError
from ag_data.fasta import Fasta
from ag_scorers.digests import contig_digests, provenance
from ag_scorers.engine import Engine
from ag_scorers.scoring import Survey, open_engine
from ag_scorers.scoring_run import ScoringRun, check_outputs, execute
from rich.console import Console

SIZE = 4  # variants in a shard
QUIET = Console(stderr=True, quiet=True)


@pytest.fixture(scope="session")
def many(world):
    """A VCF whose records are neither sorted nor all fit for scoring."""
    places = np.random.default_rng(2).integers(4000, 12000, 17)
    records = [f"{place} = {world.other(int(place))}" for place in places]
    records[3:3] = ["8500 = <DEL>", f"6000 = {world.other(6000)},*"]
    return world.vcf("many.vcf", *records)


@pytest.fixture(scope="session")
def run_for(world, many):
    genome = Fasta(world.fasta)
    engine = open_engine(genome, gtf=world.gtf, model=world.model, scorers=["chip_tf", "rna_seq"], partial=False)
    survey = Survey(many, genome, engine.window // 2)
    made_by = provenance(engine, survey.chromosomes)

    def make(folder: pathlib.Path, **options) -> ScoringRun:
        outputs = [folder / name for name in ("s.parquet", "s.tsv.gz", "s.vcf.gz")]
        return ScoringRun(engine, survey, outputs, made_by, **{"size": SIZE, **options})

    return make


def contents(folder: pathlib.Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="session")
def reference(run_for, tmp_path_factory):
    """What an undisturbed run writes."""
    folder = tmp_path_factory.mktemp("undisturbed")
    done = execute(run_for(folder), QUIET)
    assert done.statuses.total() == 20
    assert done.statuses["scored"] == 18
    found = contents(folder)
    assert sorted(found) == ["s.parquet", "s.tsv.gz", "s.tsv.gz.json", "s.vcf.gz"]  # no shards, and no index: unsorted
    return found


def test_shards_do_not_show_in_the_numbers(run_for, reference, tmp_path):
    execute(run_for(tmp_path, size=None), QUIET)  # all at once
    (tmp_path / "shards.parquet").write_bytes(reference["s.parquet"])
    once, shards = (pq.read_table(tmp_path / name) for name in ("s.parquet", "shards.parquet"))
    assert once.drop_columns("score").equals(shards.drop_columns("score"))
    np.testing.assert_allclose(once["score"].to_numpy(), shards["score"].to_numpy(), rtol=1e-4, atol=1e-5)
    assert once["record"].to_pylist() == sorted(once["record"].to_pylist())


class Crash(BaseException):
    """Ends a run at some step, as a kill would."""


class Steps:
    """Counts the steps that touch the disk, and crashes at the given one."""

    def __init__(self, last: int, monkeypatch):
        self.count, self.last = 0, last
        for module, name in ((os, "replace"), (os, "fsync"), (os, "rename"), (ag_scorers.shards, "write_shard")):
            monkeypatch.setattr(module, name, self._counted(getattr(module, name)))

    def _counted(self, function):
        def call(*arguments, **options):
            self.count += 1
            if self.count == self.last:
                if function.__name__ == "write_shard":
                    pathlib.Path(arguments[0]).write_bytes(b"half a file")
                raise Crash
            return function(*arguments, **options)

        return call


def test_a_crash_at_any_step_costs_nothing(run_for, reference, tmp_path):
    random, ended, crashes = np.random.default_rng(0), False, 0
    one = run_for(tmp_path)
    while not ended:
        with pytest.MonkeyPatch.context() as patch:
            steps = Steps(int(random.integers(1, 16)), patch)
            try:
                execute(one, QUIET)
                ended = True
            except Crash:
                crashes += 1
        assert crashes < 60
        assert steps.count
    assert crashes >= 4
    assert contents(tmp_path) == reference


@pytest.mark.slow
def test_interrupted_it_says_how_to_go_on_and_does(world, many, tmp_path, monkeypatch, capsys):
    output = tmp_path / "out.parquet"
    arguments = [
        "score",
        str(many),
        "--fasta",
        str(world.fasta),
        "--model",
        str(world.model),
        "--scorer",
        "chip_tf",
        "--full",
    ]
    arguments += ["-o", str(output), "--shard-size", str(SIZE)]
    scored = Engine.run
    begun = []

    def interrupt(self, calls):
        begun.append(1)
        if len(begun) == 3:
            raise KeyboardInterrupt
        return scored(self, calls)

    monkeypatch.setattr(Engine, "run", interrupt)
    assert run(arguments) == 130
    assert "2 of 5 shards are kept in" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["out.parquet.run"]

    assert run([*arguments, "--tracks", "CTCF"]) == 2  # another plan
    error = capsys.readouterr().err
    assert "another run" in error
    assert "settings tracks was , now CTCF" in error

    assert run([*arguments, "--keep-shards"]) == 0
    assert "going on with 2 of 5 shards" in capsys.readouterr().err
    assert len(begun) == 3 + 3
    assert sorted(path.name for path in (tmp_path / "out.parquet.run" / "shards").glob("*.arrow"))[-1] == "00004.arrow"
    again = output.read_bytes()
    assert run(arguments) == 0  # from the shards alone
    assert len(begun) == 6
    assert output.read_bytes() == again
    assert [path.name for path in tmp_path.iterdir()] == ["out.parquet"]


def test_two_runs_do_not_share_a_folder_of_shards(run_for, tmp_path):
    one = run_for(tmp_path, work=tmp_path / "shards")
    folder = ag_scorers.shards.RunFolder(one.folder, {}, one.engine.templates())
    with pytest.raises(InputError, match="in use"):
        execute(one, QUIET)
    folder.remove()


def test_a_full_disk_is_told_and_shards_are_kept(run_for, reference, tmp_path, monkeypatch):
    write, count = ag_scorers.shards.write_shard, []

    def fill(path, results, templates):
        count.append(1)
        if len(count) == 3:
            pathlib.Path(path).write_bytes(b"half")
            raise OSError(28, "No space left on device")
        write(path, results, templates)

    monkeypatch.setattr(ag_scorers.shards, "write_shard", fill)
    with pytest.raises(InputError, match=r"no space left.*run the same command again: finished shards are kept in"):
        execute(run_for(tmp_path), QUIET)
    execute(run_for(tmp_path), QUIET)
    assert len(count) == 3 + 3
    assert contents(tmp_path) == reference


def test_what_cannot_be_written_is_refused_before_any_work(run_for, world, tmp_path):
    one = run_for(tmp_path, writing={"keep_tracks": "unobtainium"})
    with pytest.raises(InputError, match="unobtainium"):
        check_outputs(one)
    assert not list(tmp_path.iterdir())


def test_digests_of_chromosomes_are_refgets(world, tmp_path, monkeypatch):
    monkeypatch.setenv("AG_CACHE_DIR", str(tmp_path / "cache"))
    # The GA4GH's own example of a sha512t24u digest, of the four letters ACGT.
    fasta = tmp_path / "small.fa"
    fasta.write_text(">one\nAC\nGT\n>two\nacgtn\n>chr2:3-6\nACGT\n")
    genome = Fasta(fasta)
    found = contig_digests(genome, ["one", "chr2"])
    assert found["one"] == "SQ.aKF498dAxcJAqme6QYQ7EZ07-fiw8Kw2"
    assert found["chr2"] != found["one"]
    assert list(found) == ["chr2", "one"]
    assert contig_digests(genome, ["two", "one"])["one"] == found["one"]  # one of them from the cache


@pytest.mark.slow
def test_twenty_kills_in_ten_thousand_variants(world, tmp_path):
    """The real command, killed at random moments, against the same run left in peace."""
    random = np.random.default_rng(7)
    places = random.integers(3000, 17000, 10_000)
    vcf = world.vcf("kills.vcf", *(f"{place} = {world.other(int(place))}" for place in places))
    command = [sys.executable, "-m", "ag_core.cli", "score", str(vcf), "--fasta", str(world.fasta), "--quiet"]
    command += ["--model", str(world.model), "--scorer", "chip_tf", "--shard-size", "256", "--batch-size", "16"]
    environment = {**os.environ, "AG_CACHE_DIR": str(tmp_path / "cache")}

    def start(folder: str) -> subprocess.Popen:
        outputs = [f"{tmp_path}/{folder}/s.parquet", f"{tmp_path}/{folder}/s.vcf.gz"]
        return subprocess.Popen([*command, "-o", outputs[0], "-o", outputs[1]], env=environment)

    begun = time.monotonic()
    process = start("peace")
    while not list(tmp_path.glob("peace/s.parquet.run/shards/00000.json")):
        assert process.poll() is None
        time.sleep(0.1)
    first = time.monotonic() - begun
    assert process.wait() == 0
    whole = time.monotonic() - begun
    kills = 0
    while True:
        process = start("war")
        try:
            # The start of a process costs most of a short one's life: beyond it, so that runs get on a little.
            process.wait(timeout=random.uniform(0, whole / 8) + (first if kills % 2 else 0))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
            assert kills < 200
            continue
        assert process.returncode == 0
        if kills < 20:
            (tmp_path / "war/s.parquet").unlink()  # too soon; once more from the start
            continue
        break
    assert contents(tmp_path / "war") == contents(tmp_path / "peace")
    table = pq.read_table(tmp_path / "war/s.parquet", columns=["record", "status"])
    assert table["record"].unique().to_pylist() == list(range(10_000))
    assert table["status"].unique().to_pylist() == ["scored"]
