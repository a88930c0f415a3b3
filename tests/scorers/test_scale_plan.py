"""What `--plan` foretells, and what `agenome score verify` finds."""

import gzip
import json
import shutil

import ag_scorers.verification
import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zarr
from ag_core.checkpoint import load, save
from ag_core.cli import run
from ag_core.errors import InputError
from ag_scorers.estimate import show_bytes, show_seconds
from ag_scorers.scoring import parse_sets

GOOD = 24
FORMATS = (".parquet", ".parquet.d", ".tsv", ".tsv.gz", ".vcf", ".vcf.gz", ".zarr", ".CHIP_TF.h5ad", ".RNA_SEQ.h5ad")


def score(world, vcf, *more):
    files = ["--fasta", str(world.fasta), "--gtf", str(world.gtf), "--model", str(world.model)]
    few = ["--scorer", "chip_tf", "--scorer", "rna_seq", "--full"]  # compiles fast
    return run(["score", str(vcf), *files, *few, "--quiet", *more])


def verify(world, output, *more, **files):
    given = {"fasta": world.fasta, "gtf": world.gtf, "model": world.model} | files
    options = [text for name, path in given.items() if path for text in (f"--{name}", str(path))]
    return run(["score", "verify", str(output), *options, *more])


@pytest.fixture(scope="session")
def few(world):
    places = np.random.default_rng(3).integers(4000, 12000, GOOD)
    records = [f"{place} = {world.other(int(place))}" for place in sorted(places)]
    return world.vcf("few.vcf", *records, "8500 = <CNV>", f"9000 = {world.other(9000)}ACG", "chr9 5 A C")


@pytest.fixture(scope="session")
def output(world, few, tmp_path_factory):
    folder = tmp_path_factory.mktemp("verified")
    names = [f"scores{end}" for end in FORMATS if not end.endswith(".h5ad")] + ["scores.{scorer}.h5ad"]
    outputs = [text for name in names for text in ("-o", str(folder / name))]
    assert score(world, few, *outputs, "--work", str(folder / "shards"), "--keep-shards") == 0
    return folder / "scores.parquet"


@pytest.fixture(scope="session")
def engines():
    return {}


@pytest.fixture
def compiled_once(engines, monkeypatch):
    """An engine for each set of inputs, whatever output is verified: its programs are compiled once."""
    opener = ag_scorers.verification.open_engine

    def open_once(fasta, **options):
        key = str((fasta.path, sorted(options.items(), key=str)))
        if key not in engines:
            engines[key] = opener(fasta, **options)
        return engines[key]

    monkeypatch.setattr(ag_scorers.verification, "open_engine", open_once)


OUTPUTS = ("parquet", "parquet.d", "tsv", "tsv.gz", "vcf", "vcf.gz", "zarr", "{scorer}.h5ad")


@pytest.mark.slow
def test_bytes_are_foretold(world, few, tmp_path, capsys):
    arguments = [text for name in OUTPUTS for text in ("-o", str(tmp_path / f"scores.{name}"))] + ["--shard-size", "8"]
    assert score(world, few, *arguments, "--plan", "--json") == 0
    plan = json.loads(capsys.readouterr().out)
    assert not list(tmp_path.iterdir())
    assert plan["statuses"] == {"scored": GOOD + 1, "symbolic": 1, "unknown_contig": 1}
    assert {kind: found["alleles"] for kind, found in plan["kinds"].items()} == {"snv": GOOD, "indel": 1}
    assert plan["shards"]["number"] == 4
    assert plan["seconds"]["scoring"] > 0
    assert score(world, few, *arguments, "--keep-shards") == 0
    shards = sum(path.stat().st_size for path in (tmp_path / "scores.parquet.run/shards").glob("*.arrow"))
    assert plan["shards"]["bytes"] == pytest.approx(shards, rel=0.1)
    for output, size in plan["output_bytes"].items():
        name = output.rpartition("/")[2].replace("{scorer}", "*")
        files = [file for path in tmp_path.glob(name) for file in (path, *path.rglob("*")) if file.is_file()]
        files += [*tmp_path.glob(f"{name}.tbi"), *tmp_path.glob(f"{name}.json")]
        assert size == pytest.approx(sum(file.stat().st_size for file in files), rel=0.05), output


@pytest.mark.slow
def test_what_does_not_fit_the_disk_is_refused_before_any_work(world, few, tmp_path, monkeypatch, capsys):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=3000))
    for more in ([], ["--plan"]):
        assert score(world, few, "-o", str(tmp_path / "scores.parquet"), *more) == 2
        assert "3 kB left" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1_000_000))  # tried, and it fits
    assert score(world, few, "-o", str(tmp_path / "scores.parquet")) == 0


def test_numbers_for_people():
    assert [show_bytes(size) for size in (5, 1234, 5.5e9, 7e12)] == ["5 B", "1.23 kB", "5.5 GB", "7 TB"]
    assert [show_seconds(seconds) for seconds in (5, 600, 36000)] == ["5 s", "10 min", "10.0 h"]


def copied(output, end, folder):
    """A copy of the output in another format, and of what stands beside it."""
    for path in output.parent.glob(f"scores{end}*"):
        if path.name in (f"scores{end}", f"scores{end}.json"):
            (shutil.copytree if path.is_dir() else shutil.copy)(path, folder / path.name)
    return folder / f"scores{end}"


@pytest.mark.usefixtures("compiled_once")
@pytest.mark.parametrize("end", FORMATS)
def test_an_untouched_output_is_as_before(end, world, output, capsys):
    path = output.with_name(f"scores{end}")
    assert verify(world, path, "-k", "1000") == 0  # all of them
    printed = capsys.readouterr().out
    assert "all as before" in printed
    assert int(printed.split()[0]) > GOOD
    assert verify(world, path, "-k", "7", "--seed", "1", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["rows"] + found["skipped"] == 7
    assert found["changes"] == {}


def change_text(path, change):
    """Changes the lines of a plain or compressed file."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt") as file:
        lines = file.readlines()
    with opener(path, "wt") as file:
        file.writelines(change(lines))


def plant_tsv(path):
    def change(lines):
        fields = lines[5].rstrip("\n").split("\t")
        place = lines[0].rstrip("\n").split("\t").index("score")
        fields[place] = str(float(fields[place]) + 0.5)
        return [*lines[:5], "\t".join(fields) + "\n", *lines[6:]]

    change_text(path, change)


def plant_vcf(path):
    def change(lines):
        at = next(number for number, line in enumerate(lines) if ";AG_STATUS=scored" in line)
        entry = lines[at].partition("AG=")[2].partition(",")[0]
        *others, raw, quantile = entry.split("|")
        lines[at] = lines[at].replace(entry, "|".join([*others, str(float(raw) + 0.5), quantile]), 1)
        return lines

    change_text(path, change)


def plant_parquet(path):
    """In a file, or the part of a folder that has scores."""
    for file in sorted(path.rglob("*=chr1/*.parquet")) or [path]:
        table = pq.ParquetFile(file).read()
        scores = table["score"].to_pylist()
        scores[3] += 0.5
        place = table.schema.get_field_index("score")
        pq.write_table(table.set_column(place, table.schema.field(place), pa.array(scores, pa.float32())), file)


def plant_zarr(path):
    zarr.open_group(path)["RNA_SEQ/score"][4, 2] += 0.5


def plant_anndata(path):
    with h5py.File(path, "r+") as file:
        file["X"][3, -1] += 0.5


PLANTS = {"parquet": plant_parquet, "d": plant_parquet, "tsv": plant_tsv, "vcf": plant_vcf, "zarr": plant_zarr}


@pytest.mark.usefixtures("compiled_once")
@pytest.mark.parametrize("end", FORMATS)
def test_one_changed_value_is_found(end, world, output, tmp_path, capsys):
    path = copied(output, end, tmp_path)
    PLANTS.get(end.removesuffix(".gz").rpartition(".")[2], plant_anndata)(path)
    assert verify(world, path, "-k", "1000", "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert found["causes"] == {"values": 1}
    assert found["changes"] == {}
    assert found["differences"][0]["what"] == "score"
    assert found["differences"][0]["row"]["variant"].startswith("chr1:")


@pytest.fixture(scope="session")
def other_inputs(world, randomise):
    """A genome with other bases in the middle, and a model with other weights."""
    genome = list(world.genome)
    for place in range(4000, 12000, 2):  # every other base
        genome[place] = "ACGT"[("ACGT".index(genome[place]) + 2) % 4]
    fasta = world.folder / "other.fa"
    fasta.write_text(">chr1\n" + "".join(genome) + "\n")
    known = load(world.model)
    save(world.folder / "other", randomise(known.model, seed=7), known.spec)
    return fasta, world.folder / "other"


@pytest.mark.slow
@pytest.mark.usefixtures("compiled_once")
@pytest.mark.parametrize("end", FORMATS)
def test_other_inputs_are_named(end, world, output, other_inputs, capsys):
    path, (fasta, model) = output.with_name(f"scores{end}"), other_inputs
    assert verify(world, path, "-k", "30", "--json", fasta=fasta) == 1
    found = json.loads(capsys.readouterr().out)
    assert "chr1 was SQ." in found["changes"]["reference"][0]
    assert {"reference base", "reference"} >= set(found["causes"])
    assert found["causes"]["reference base"]
    assert verify(world, path, "-k", "30", "--json", model=model) == 1
    found = json.loads(capsys.readouterr().out)
    assert set(found["causes"]) == {"weights"}
    assert list(found["changes"]) == ["weights"]


@pytest.mark.usefixtures("compiled_once")
def test_what_was_chosen_of_the_scores_is_known(world, few, output, tmp_path, capsys):
    """Kept tracks and sets of these: a VCF's entries are made of them."""
    shards = shutil.copytree(output.parent / "shards", tmp_path / "shards")
    choice = ["--keep-tracks", "K562 | name=HNF4A", "--track-set", "a=K562", "--track-set", "b=strand=+ | HNF4A"]
    outputs = ["-o", str(tmp_path / "a.vcf"), "-o", str(tmp_path / "a.tsv")]
    assert score(world, few, *outputs, "--work", str(shards), *choice) == 0
    for name in ("a.vcf", "a.tsv"):
        assert verify(world, tmp_path / name, "-k", "1000") == 0
        assert "all as before" in capsys.readouterr().out
    change_text(tmp_path / "a.vcf", lambda lines: [line for line in lines if not line.startswith("##AGtrack_sets=")])
    assert verify(world, tmp_path / "a.vcf", "-k", "1000", "--json") == 1
    assert {one["what"] for one in json.loads(capsys.readouterr().out)["differences"]} == {"row"}


def edited(output, folder, change):
    table = pq.read_table(output)
    path = folder / "edited.parquet"
    scores = change(table["score"].to_numpy().copy())
    column = pa.array(
        scores, pa.float32(), mask=table["score"].combine_chunks().is_null().to_numpy(zero_copy_only=False)
    )
    pq.write_table(table.set_column(table.schema.get_field_index("score"), table.schema.field("score"), column), path)
    return path


CAUSES = {
    "values": lambda scores: scores + 0.5,
    "non-finite": lambda scores: np.full_like(scores, np.inf),
}


@pytest.mark.parametrize("cause", CAUSES)
def test_edited_values_are_found(cause, world, output, tmp_path, capsys):
    path = edited(output, tmp_path, CAUSES[cause])
    assert verify(world, path, "-k", "10", "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert set(found["causes"]) <= {cause, "non-finite"}
    assert found["causes"][cause]
    assert found["changes"] == {}


def test_another_annotation_is_named(world, output, tmp_path, capsys):
    gtf = tmp_path / "other.gtf"
    gtf.write_text(world.gtf.read_text().replace("G1.1", "G9.9"))
    assert verify(world, output, "-k", "100", "--json", gtf=gtf) == 1
    found = json.loads(capsys.readouterr().out)
    assert set(found["causes"]) == {"annotation"}
    assert list(found["changes"]) == ["annotation"]
    assert {one["row"]["gene"] for one in found["differences"]} == {"G1.1"}


def with_provenance(output, folder, **facts):
    table = pq.read_table(output)
    made_by = json.loads(table.schema.metadata[b"agenome"]) | facts
    path = folder / "told.parquet"
    pq.write_table(table.replace_schema_metadata({"agenome": json.dumps(made_by)}), path)
    return path


def test_other_weights_and_settings_are_named(world, output, tmp_path, capsys):
    path = with_provenance(output, tmp_path, model_digest="f" * 64)
    assert verify(world, path, "-k", "5") == 0  # the numbers agree all the same
    assert "weights: model_digest was ffff" in capsys.readouterr().out
    path = with_provenance(edited(output, tmp_path, CAUSES["values"]), tmp_path, scorers='{"A": "B"}')
    assert verify(world, path, "-k", "20", "--json") == 1
    assert set(json.loads(capsys.readouterr().out)["causes"]) == {"scorer settings"}


def test_what_cannot_be_verified_is_refused(world, output, tmp_path, capsys):
    assert verify(world, output, gtf=None) == 2
    assert "--gtf (genes.gtf)" in capsys.readouterr().err
    pq.write_table(pa.table({"score": [1.0]}), tmp_path / "foreign.parquet")
    (tmp_path / "foreign.vcf").write_text("##fileformat=VCFv4.3\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n")
    (tmp_path / "foreign.h5ad").write_bytes(b"")
    zarr.create_group(tmp_path / "foreign.zarr")
    (tmp_path / "alone.tsv").write_text("variant\n")
    (tmp_path / "scores.csv").write_text("variant\n")
    for name, words in (
        ("foreign.parquet", "does not tell what made it"),
        ("foreign.vcf", "does not tell what made it"),
        ("foreign.zarr", "does not tell what made it"),
        ("foreign.h5ad", "cannot be read"),
        ("alone.tsv", "alone.tsv.json is not beside it"),
        ("none.parquet", "does not exist"),
        ("scores.csv", "no known suffix; expected a name that ends in .parquet"),
    ):
        assert verify(world, tmp_path / name) == 2
        assert words in " ".join(capsys.readouterr().err.split())


def spoil(path, old, new):
    change_text(path, lambda lines: [line if line.startswith("##") else line.replace(old, new) for line in lines])


def test_what_is_damaged_is_refused_by_its_place(world, output, tmp_path, capsys):
    for end, old, new, words in (
        (".tsv", "chr1\t", "chr1", "line 2 is not as `agenome score` writes it"),
        (".tsv", "score", "points", "has no columns"),
        (".vcf", "AG_STATUS=", "STATUS=", "record 1 (chr1:"),
        (".vcf", "|chip_tf|", "|", "which is not ALLELE|GENE|SCORER|TRACKSET|RAW|QUANTILE"),
    ):
        spoil(copied(output, end, tmp_path), old, new)
        assert verify(world, tmp_path / f"scores{end}", "-k", "1000") == 2
        assert words in " ".join(capsys.readouterr().err.split())
    path = copied(output, ".tsv.gz", tmp_path)
    path.write_bytes(path.read_bytes()[:-40])
    assert verify(world, path) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_track_sets_are_named_queries():
    assert parse_sets(["liver=HepG2 | liver", "ctcf = CTCF"]) == {"liver": "HepG2 | liver", "ctcf": "CTCF"}
    for text in ("HepG2", "=HepG2", "liver="):
        with pytest.raises(InputError, match="NAME=QUERY"):
            parse_sets([text])
    with pytest.raises(InputError, match="a name of its own"):
        parse_sets(["a=b", "a=c"])
