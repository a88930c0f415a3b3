"""`agenome calibrate` end to end with a random model: what it counts, resumes, merges, and refuses to be used for."""

import copy
import dataclasses
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
from ag_core.checkpoint import find, read_spec
from ag_core.cli import run
from ag_core.errors import InputError
from ag_core.schema import is_padding
from ag_data.fasta import Fasta
from ag_scorers import calibration, calibration_run
from ag_scorers.calibration import calibrate_result, calibrate_results, load_calibration
from ag_scorers.calibration_check import distances
from ag_scorers.calibration_table import CalibrationTable, describe_scorer, read_table, track_names, write_table
from ag_scorers.engine import Engine
from ag_scorers.recommended import recommended
from ag_scorers.scoring import Survey, open_engine
from ag_scorers.tidy import Tidy
from scipy.stats import ks_2samp

SCORERS = ("CHIP_TF", "CHIP_TF_ACTIVE", "RNA_SEQ")
COUNT = 30


def arguments(world, inputs, output, *more):
    files = ["--fasta", str(world.fasta), "--gtf", str(world.gtf), "--model", str(world.model)]
    chosen = [word for key in SCORERS for word in ("--scorer", key)]
    return ["calibrate", *map(str, inputs), *files, *chosen, "-o", str(output), "--quiet", *more]


@pytest.fixture(scope="session")
def background(world):
    """Random SNVs; one of them with a wrong REF."""
    places = np.sort(np.random.default_rng(5).choice(np.arange(3000, 14_000), COUNT, replace=False))
    records = [f"{place} = {world.other(place)}" for place in places]
    return [world.vcf("background.vcf", *records, f"14500 {world.other(14500)} {world.genome[14499]}"), records]


@pytest.fixture(scope="session")
def engine(world):
    return open_engine(Fasta(world.fasta), gtf=world.gtf, model=world.model, scorers=SCORERS)


@pytest.fixture(scope="module", autouse=True)
def step():
    """Runs of several steps."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calibration_run, "STEP", 8)
        yield


@pytest.fixture(scope="module")
def results(engine, background):
    calls = Survey(background[0], engine.fasta, engine.window // 2).calls()
    found = []
    calibration_run.collect(engine, calibration_run.begin(engine, background[0]), calls, None, lambda r: keep(r, found))
    return found


def keep(results, found):
    for result in results:
        found.append(result)
        yield result


@pytest.fixture(scope="module")
def made(world, background):
    path = world.folder / "calibration.parquet"
    assert run(arguments(world, background[:1], path, "--force")) == 0
    return path


@pytest.mark.slow
def test_the_background_lies_evenly_in_its_own_table(made, engine, results):
    table = read_table(made)
    assert table.provenance["statuses"] == {"ref_mismatch": 1, "scored": COUNT}
    assert not made.with_name(f"{made.name}.sketch").exists()
    found = load_calibration(made, engine)
    done = calibrate_results(results, found)
    assert done[-1] is results[-1]  # not scored
    scored = {key: [r.scores[n] for r in done[:-1]] for n, key in enumerate(engine.scorers)}
    for key in ("CHIP_TF", "CHIP_TF_ACTIVE"):
        quantiles = np.sort(np.concatenate([one.quantiles for one in scored[key]]), axis=0)
        expected = (np.arange(COUNT) + 0.5) / COUNT
        if engine.scorers[key].signed:
            expected = 2 * expected - 1
        np.testing.assert_allclose(quantiles, np.tile(expected, (2, 1)).T, atol=1e-6)
        tails = np.concatenate([one.tails for one in scored[key]])
        assert tails.max() == pytest.approx(-np.log10((4 if key == "CHIP_TF" else 2) / (COUNT + 1)), abs=1e-6)
    # By gene: all pairs of variant and gene of each track, and none on the other strand.
    genes = scored["RNA_SEQ"]
    pairs = np.count_nonzero(~np.isnan(np.concatenate([one.values for one in genes])), axis=0)
    np.testing.assert_array_equal(table.scorers["RNA_SEQ"].count, pairs)
    assert pairs[0] + pairs[1] == pairs[2] > 0
    for one in genes:
        np.testing.assert_array_equal(np.isnan(one.quantiles), np.isnan(one.values))


@pytest.mark.slow
def test_a_table_of_the_other_parity_is_refused(world, made):
    """Where the switch acts on a scorer, that is another one; a centre mask is the same either way."""
    upstream = {"gtf": world.gtf, "model": world.model, "parity": "upstream"}
    theirs = open_engine(Fasta(world.fasta), scorers=SCORERS, **upstream)
    difference = r"RNA_SEQ is another one \(settings: the table's is {'modality': 'rna_seq'}, .*'parity': 'upstream'}"
    with pytest.raises(InputError, match=difference):
        load_calibration(made, theirs)
    same = load_calibration(made, open_engine(Fasta(world.fasta), scorers=SCORERS[:2], **upstream))
    assert sorted(same.lookups) == sorted(SCORERS[:2])


def test_a_run_that_stopped_goes_on_to_the_same_bytes(world, engine, background, made):
    state = world.folder / "stopped.parquet.sketch"
    calls = Survey(background[0], engine.fasta, engine.window // 2).calls

    def stopping(results):
        for number, result in enumerate(results):
            if number == 19:
                raise KeyboardInterrupt
            yield result

    made_by = {name: text for name, text in read_table(made).provenance.items() if isinstance(text, str)}
    piece = calibration_run.begin(engine, background[0], provenance=made_by)
    with pytest.raises(KeyboardInterrupt):
        calibration_run.collect(engine, piece, calls(), state, stopping)
    kept = calibration_run.read_piece(state)
    assert (kept.done, kept.complete) == (16, False)
    with pytest.raises(InputError, match="interrupted"):
        calibration_run.merge_pieces([state])
    output = world.folder / "stopped.parquet"
    assert run(arguments(world, background[:1], output, "--force")) == 0
    assert output.read_bytes() == made.read_bytes()
    assert not state.exists()


@pytest.fixture(scope="module")
def pieces(world, background):
    paths = []
    for name, records in (("one", background[1][:9]), ("two", background[1][9:])):
        vcf, piece = world.vcf(f"{name}.vcf", *records), world.folder / f"{name}.sketch"
        assert run(arguments(world, [vcf], piece)) == 0
        paths.append(piece)
    return paths


def test_pieces_merge_to_the_same_table(world, pieces, made):
    """Below the capacity of the sketch a merge is exact."""
    output = world.folder / "merged.parquet"
    assert run(["calibrate", *map(str, pieces), "--merge", "-o", str(output), "--force", "--quiet"]) == 0
    whole, merged = read_table(made), read_table(output)
    assert merged.binding == whole.binding
    for key, scorer in whole.scorers.items():
        # Scores computed in other company differ in their last digits.
        np.testing.assert_allclose(merged.scorers[key].values, scorer.values, rtol=1e-3, atol=1e-5)
    assert run(["calibrate", str(pieces[0]), str(pieces[0]), "--merge", "-o", str(output), "--force"]) == 0
    with pytest.raises(InputError, match=r"variants of one\.vcf, which are there already"):
        calibration_run.merge_pieces([pieces[0], pieces[0]])
    with pytest.raises(InputError, match="nothing to merge"):
        calibration_run.merge_pieces([])


def test_distance_of_two_tables(pieces, results):
    """Nine against 21 scores, against Kolmogorov's distance of two samples."""
    one, other = (calibration_run.read_piece(path).table() for path in pieces)
    found = distances(one, other)
    values = np.concatenate([result.scores[0].values for result in results[:-1]])
    expected = [ks_2samp(values[:9, track], values[9:, track]).statistic for track in (0, 1)]
    np.testing.assert_allclose(found["CHIP_TF"], expected, atol=0.5 / 9 + 0.5 / 21)
    assert (distances(one, one)["CHIP_TF"] < 1e-6).all()
    with pytest.raises(InputError, match="window in bp: the table's is 4096, the run's 2048"):
        distances(one, dataclasses.replace(other, binding={**other.binding, "window": 2048}))


def test_tables_of_something_else_are_refused_in_words(world, made, engine):
    table = read_table(made)

    def refuse(message, changed=table, **options):
        path = world.folder / "other.parquet"
        write_table(path, changed)
        with pytest.raises(InputError, match=message):
            load_calibration(path, engine, **options)

    for name, value, words in (
        ("window", 8192, "window in bp: the table's is 8192, the run's 4096"),
        ("model_digest", "0" * 64, r"digest of the model: the table's is 0{12}\.\.\., the run's"),
        ("organism", "mouse", "organism: the table's is mouse, the run's human"),
        ("window_grid", 2048, "grid of windows: the table's is 2048, the run's none"),
    ):
        refuse(words, dataclasses.replace(table, binding={**table.binding, name: value}))
    scorer = table.scorers["CHIP_TF"]
    wider = {**scorer.about, "settings": {**scorer.about["settings"], "width": "2001"}}
    changed = {**table.scorers, "CHIP_TF": dataclasses.replace(scorer, about=wider)}
    refuse(r"its scorer CHIP_TF is another one \(settings: .*2001", dataclasses.replace(table, scorers=changed))
    renamed = dataclasses.replace(scorer, tracks=(("CTCF", "."), ("SPI1", ".")))
    changed = {**table.scorers, "CHIP_TF": renamed}
    refuse(r"CHIP_TF: tracks that the table does not have: HNF4A \(\.\)", dataclasses.replace(table, scorers=changed))
    refuse("tail 'normal'", tail="normal")


def test_a_scorer_that_the_table_lacks_is_noted_and_another_key_does_not_matter(world, made, engine, results):
    table = read_table(made)
    changed = {"mine": table.scorers["CHIP_TF"]}
    path = world.folder / "fewer.parquet"
    write_table(path, dataclasses.replace(table, scorers=changed))
    found = load_calibration(path, engine)
    assert found.notes == ("no quantiles for CHIP_TF_ACTIVE, RNA_SEQ: not in fewer.parquet",)
    first, second, _ = calibrate_result(results[0], found).scores
    assert first.quantiles is not None
    assert second.quantiles is None


def test_auto_takes_the_table_beside_the_model_or_says_why_not(world, made, engine):
    folder = world.folder / "with table"
    shutil.copytree(world.model, folder)
    assert not load_calibration("auto", engine, model=folder)
    (note,) = load_calibration("auto", engine, model=folder).notes
    assert "no calibration beside model 'random'" in note
    shutil.copy(made, folder / "calibration.parquet")
    assert set(load_calibration("auto", engine, model=folder).lookups) == set(SCORERS)
    other = Engine(engine.checkpoint, engine.fasta, {"CHIP_TF": engine.scorers["CHIP_TF"]}, window=6144)
    (note,) = load_calibration("auto", other, model=folder).notes
    assert "window in bp: the table's is 4096, the run's 6144" in note
    # Without a name: that of the named model with the same digest.
    assert "no calibration" in load_calibration("auto", engine).notes[0]
    claims = copy.copy(engine)
    claims.checkpoint = dataclasses.replace(engine.checkpoint, digest=read_spec(find("mini"))[1]["digest"])
    assert "model: the table's is mini, the run's random" in load_calibration("auto", claims).notes[0]
    assert not load_calibration("none", engine).notes


def test_bad_input(world, background, pieces, made, capsys, tmp_path):
    def refused(message, *more):
        assert run(list(map(str, more))) == 2
        assert message in capsys.readouterr().err

    output = tmp_path / "x.parquet"
    refused("30 of 31 alleles can be scored, a table needs 1,000", *arguments(world, background[:1], output))
    refused("use .parquet, or .sketch", *arguments(world, background[:1], tmp_path / "x.tsv"))
    refused("genome is missing: --fasta", "calibrate", background[0], "-o", output)
    refused("not a sketch file, or damaged", "calibrate", made, "--merge", "-o", output)
    refused("one file of variants", *arguments(world, [background[0], background[0]], output))
    assert not list(tmp_path.iterdir())
    text = tmp_path / "text.parquet"
    text.write_text("no parquet")
    with pytest.raises(InputError, match=r"text\.parquet: not a parquet file"):
        read_table(text)
    pq.write_table(pq.read_table(made).replace_schema_metadata(None), text)
    with pytest.raises(InputError, match="no calibration table"):
        read_table(text)
    raw = pq.read_table(made)
    pq.write_table(raw.slice(0, raw.num_rows - 1), text)  # a row of RNA_SEQ is missing: still a table
    assert len(read_table(text).scorers["RNA_SEQ"].tracks) == 2
    pq.write_table(raw.filter([key != "CHIP_TF" for key in raw["scorer"].to_pylist()]), text)
    with pytest.raises(InputError, match=r"damaged calibration table.*no rows of scorer CHIP_TF"):
        read_table(text)
    state = tmp_path / "x.parquet.sketch"
    shutil.copy(pieces[0], state)
    refused("is of another run (other variants)", *arguments(world, background[:1], output, "--force"))


def test_picture(engine, results, made, tmp_path, capsys):
    scores = tmp_path / "scores.parquet"
    pq.write_table(Tidy(engine.templates()).table(results), scores)
    output, variant = tmp_path / "q.png", str(results[3].call)
    assert run(["calibrate", "plot", str(made), "-o", str(output)]) == 0
    plain = output.read_bytes()
    marked = ["calibrate", "plot", str(made), "--scores", str(scores), "-o", str(output)]
    assert run([*marked, "--variant", variant]) == 0
    assert output.read_bytes()[:4] == b"\x89PNG"
    assert output.read_bytes() != plain
    assert run([*marked, "--variant", "chr1:1:A>C"]) == 2
    assert "no variant chr1:1:A>C" in capsys.readouterr().err


def test_the_shipped_table_is_that_of_the_shipped_model():
    folder = find("mini")
    spec, described = read_spec(folder)
    path = folder / calibration.FILE
    assert path.stat().st_size < 2_000_000
    table = read_table(path)
    assert isinstance(table, CalibrationTable)
    assert table.binding["model_digest"] == described["digest"]
    assert table.binding["window"] == spec.window
    assert table.provenance["statuses"]["scored"] >= 5000
    for key, current in recommended(spec.heads).items():
        if "polyadenylation" in current.requires:  # a table of GENCODE's sites, which is not shipped
            continue
        scorer = table.scorers[key]
        assert dict(scorer.about) == describe_scorer(current, {})
        tracks = spec.tracks(current.modality, 0)
        assert scorer.tracks == track_names(tracks.isel(track=~is_padding(tracks)))
        # Scorers by gene count pairs of a variant and a gene.
        scored = table.provenance["statuses"]["scored"]
        assert (scorer.count > 1000 if "genes" in current.requires else scorer.count == scored).all()
