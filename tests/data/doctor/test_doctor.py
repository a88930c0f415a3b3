"""The data doctor: planted faults are found, and clean data raise no alarm."""

import numpy as np
import pytest
import yaml
from ag_core.errors import InputError
from ag_core.genome import Interval
from ag_core.sequence import encode, reverse_complement
from ag_data.assemblies import ASSEMBLIES, recognise, recognise_contents
from ag_data.doctor import examine
from ag_data.doctor.duplicates import check_duplicates
from ag_data.doctor.examination import examine_signals
from ag_data.doctor.file_checks import check_lengths, check_names
from ag_data.doctor.findings import ERROR, WARNING, Finding, make_report
from ag_data.doctor.leakage import check_overlaps, choose_words
from ag_data.doctor.levels import UNDO, find_levels, find_transform
from ag_data.doctor.motifs import introns_of_sites
from ag_data.doctor.strand import lone_genes
from ag_data.doctor.tn5 import excess, pairs
from ag_data.genome_store import open_genome
from ag_data.ingest import import_tracks
from ag_data.manifest import read_manifest
from ag_data.regions import regions_table
from doctor_arrays import annotate, clean_signals, make_signals
from doctor_faults import FAULTS, Bench, examine_fault
from doctor_world import World, cut_sites, write_bigwig
from hypothesis import given, settings
from hypothesis import strategies as st


def checks(report):
    return {finding.check for finding in report.findings}


# The whole


@pytest.mark.slow
def test_planted_faults_are_found_in_files(tmp_path):
    missed, strange = [], []
    for number, planted in enumerate(FAULTS):
        folder = tmp_path / str(number)
        folder.mkdir()
        found = checks(examine_fault(planted, folder, seed=number))
        missed += [] if planted.check in found else [f"{planted.assay}: {planted.what}: {found}"]
        # Both strands of a library without strands are the same data.
        strange += [(planted.what, check) for check in found - {planted.check, "duplicates"}]
    assert len(FAULTS) == 20
    assert len({planted.assay for planted in FAULTS}) == 3
    assert len(missed) <= 1, missed
    assert not strange


@pytest.mark.slow
def test_clean_tracks_raise_no_alarm():
    alarms = []
    for seed in range(50):
        signals, annotation = clean_signals(seed)
        report = examine_signals([signals], annotation=annotation)
        assert report.examined["clipped"] == len(signals.labels)
        alarms += [(seed, signals.modality, finding) for finding in report.findings]
    assert not alarms


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """Files of all kinds from one world, with nothing wrong, and the manifest's path."""
    bench = Bench(tmp_path_factory.mktemp("clean"), seed=99)
    for name in "ab":
        bench.add("atac", name, cut_sites(*bench.draw("atac")))
        bench.add_pair("rna_seq", name, *bench.draw("rna_seq"))
        bench.add_pair("cage", name, *bench.draw("cage"))
        bench.add("chip_histone", name, bench.world.chip(8000, bench.random))
    introns = bench.world.introns()
    write_junctions(bench.folder / "junctions.bed", introns)
    bench.tracks.append({"path": "junctions.bed", "source": "junctions", "modality": "splice_junctions"})
    bench.tracks.append({"path": "genes.gtf.gz", "modality": "splice_sites"})
    starts = [gene.first_base for gene in bench.world.genes]
    lines = [f"{g.chromosome}\t{at - 100}\t{at + 100}" for g, at in zip(bench.world.genes, starts, strict=True)]
    (bench.folder / "peaks.bed").write_text("\n".join(lines) + "\n")
    bench.tracks.append({"path": "peaks.bed", "modality": "chip_tf"})  # 128 bp: whole peaks, and ends of some
    return bench, bench.examine()


def write_junctions(path, introns, moved=0, swapped=False):
    """BED12 as regtools writes it: blocks of 20 bases at both sides of the intron."""
    lines = []
    for number, (chromosome, start, end, strand) in enumerate(introns):
        low, high = start - 20 + moved, end + 20 + moved
        strand = {"+": "-", "-": "+"}[strand] if swapped else strand
        blocks = f"2\t20,20\t0,{high - low - 20}"
        lines.append(f"{chromosome}\t{low}\t{high}\tJ{number}\t9\t{strand}\t{low}\t{high}\t255,0,0\t{blocks}")
    path.write_text("\n".join(lines) + "\n")


@pytest.mark.slow
def test_clean_files_raise_no_alarm_before_and_after_the_import(clean):
    bench, report = clean
    assert not report.findings, str(report)
    assert report.worst is None
    assert report.examined["files"] == len(bench.tracks)
    assert not report.notes
    store = bench.folder / "store.zarr"
    import_tracks(read_manifest(bench.folder / "manifest.yaml"), store)
    genome, annotation = bench.folder / "genome.fa", bench.folder / "genes.gtf.gz"
    after = examine(store, genome=genome, annotation=annotation)
    assert not after.findings, str(after)
    assert {"strand", "junctions", "splice sites", "shift"} <= set(after.examined)
    # Without a genome and an annotation it says what it could not do.
    alone = examine(store)
    assert not alone.findings
    assert any("rna_seq" in note for note in alone.notes)
    assert any("splice_sites" in note for note in alone.notes)
    # Another genome.
    other = World(5).write_genome(bench.folder / "store.zarr")
    assert checks(examine(store, genome=other)) == {"assembly"}


def test_faults_are_found_in_a_store(tmp_path):
    bench = Bench(tmp_path, seed=3)
    counts = cut_sites(*bench.draw("atac"), shift=(0, 0))
    bench.add("atac", "unshifted", counts)
    shifted = cut_sites(*bench.draw("atac"))
    bench.add("atac", "lost", {name: shifted[name] for name in ("chr1", "chr3")}, absent="zero")
    plus, minus = bench.draw("cage")
    bench.add_pair("cage", "swapped", minus, plus)
    bench.examine()
    import_tracks(read_manifest(tmp_path / "manifest.yaml"), tmp_path / "s.zarr")
    report = examine(tmp_path / "s.zarr", annotation=tmp_path / "genes.gtf.gz")
    assert {(f.check, f.subject.split("(")[1][:7]) for f in report.findings} == {
        ("Tn5 shift", "unshift"),
        ("empty chromosome", "lost)"),
        ("strand", "swapped"),
    }


# Parts


@given(st.integers(0, 10**6), st.floats(0.001, 1000), st.sampled_from([np.float32, np.float16]))
@settings(max_examples=30)
def test_counts_are_told_by_their_unit_and_transforms_by_what_undoes_them(seed, scale, kind):
    random = np.random.default_rng(seed)
    counts = random.geometric(0.3, 3000).astype(np.float64)
    levels = find_levels((counts * scale).astype(kind))
    assert levels.unit == pytest.approx(scale, rel=2e-3)
    assert find_transform(levels) is None
    # What nobody counted has no unit, and is no transform of counts either.
    levels = find_levels(random.gamma(0.5, scale, 3000).astype(np.float32))
    assert levels.unit is None
    assert find_transform(levels) is None


TRANSFORMS = {
    "ln(1 + x)": np.log1p,
    "log2(1 + x)": lambda values: np.log2(1 + values),
    "log10(1 + x)": lambda values: np.log10(1 + values),
    "the square root of x": np.sqrt,
    "sqrt(1 + x) - 1": lambda values: np.sqrt(1 + values) - 1,
    "x to the power 3/4": lambda values: values**0.75,
}


@pytest.mark.parametrize("name", TRANSFORMS)
@pytest.mark.parametrize("scale", [0.05, 1.0, 3.7])
def test_every_transform_has_its_name(name, scale):
    assert set(TRANSFORMS) == set(UNDO)
    counts = np.random.default_rng(0).geometric(0.2, 5000) * scale
    found = find_transform(find_levels(TRANSFORMS[name](counts).astype(np.float32)))
    assert found == name


def test_pairs_of_cut_sites_by_hand():
    values = np.zeros(60, np.float32)
    values[[10, 18, 35]] = 1, 2, 9
    number, variance = pairs(values)
    # 9 reads count as 4: 10-18, 18-35 and 10-35.
    assert {lag: number[lag] for lag in np.flatnonzero(number)} == {8: 2, 17: 8, 25: 4}
    assert {lag: variance[lag] for lag in np.flatnonzero(variance)} == {8: 4, 17: 64, 25: 16}
    share, sigma = excess(number, variance)
    assert (share[8], sigma[8]) == (2, 1)  # none by chance


@pytest.mark.parametrize("ends", [2000, 300_000])
@pytest.mark.parametrize(
    ("shift", "word"),
    [((4, -5), ""), ((4, -4), ""), ((0, 0), "not shifted"), ((8, -10), "twice"), ((-4, 5), "wrong way")],
)
def test_shifts_are_told_apart_unless_there_are_few_reads(shift, word, ends):
    world = World(21)
    track = cut_sites(*world.atac(ends, np.random.default_rng(0)), shift=shift)
    report = examine_signals([make_signals("atac", [track], ".")])
    found = [finding.remedy for finding in report.findings if finding.check == "Tn5 shift"]
    if ends == 2000 or not word:
        assert not found
    else:
        (remedy,) = found
        assert word in remedy


@pytest.mark.parametrize("shifted", [False, True])
def test_reads_are_shifted_by_the_source_unless_it_is_told_that_they_are(tmp_path, shifted):
    bench = Bench(tmp_path, seed=8)
    lines = []
    for sign, counts in zip("+-", bench.draw("atac"), strict=True):
        for name, values in counts.items():
            for at in np.repeat(np.arange(len(values)), values).tolist():
                start, end = (at, min(at + 60, len(values))) if sign == "+" else (max(0, at - 59), at + 1)
                lines.append(f"{name}\t{start}\t{end}\tN\t1000\t{sign}")
    (tmp_path / "reads.tagAlign").write_text("\n".join(lines) + "\n")
    options = {"kind": "reads", "shifted": shifted}
    bench.tracks.append({"path": "reads.tagAlign", "modality": "atac", "options": options})
    assert checks(bench.examine()) == ({"Tn5 shift"} if shifted else set())


def test_ends_of_stranded_pairs_are_judged_by_all_genes_or_by_one_track():
    world, random = World(4), np.random.default_rng(0)
    plus, minus = world.rna(15_000, random)
    genes = lone_genes(annotate(world), world.lengths, starts=False)
    assert sorted(gene.parts for gene in genes) == sorted(gene.exons for gene in world.genes)
    report = examine_signals([make_signals("rna_seq", [plus], "+")], annotation=annotate(world))
    assert checks(report) == {"strand pairs"}  # there is no '-'
    report = examine_signals([make_signals("rna_seq", [minus], "+")], annotation=annotate(world))
    assert checks(report) == {"strand pairs", "strand"}


def test_values_that_cannot_be():
    random = np.random.default_rng(0)
    values = random.poisson(2, 200_000).astype(float)
    wrong = {"infinite values": np.inf, "negative values": -0.5, "too large for float16": 7e4}
    for check, value in wrong.items():
        one = values.copy()
        one[1000] = value
        assert checks(examine_signals([make_signals("dnase", [{"chr1": one}], ".")])) == {check}
    assert not examine_signals([make_signals("dnase", [{"chr1": values}], ".")]).findings
    # Counts above 2,048 lose units in float16: only that is a warning, and not if the type is float32.
    one = values.copy()
    one[1000] = 3000
    (finding,) = examine_signals([make_signals("dnase", [{"chr1": one}], ".")]).findings
    assert (finding.check, finding.severity) == ("too large for float16", WARNING)
    assert "steps of 2 " in finding.evidence
    nothing = examine_signals([make_signals("dnase", [{"chr1": 0 * values}, {"chr1": values * np.nan}], "..")])
    assert {(f.check, f.subject) for f in nothing.findings} == {("no signal", "s0 ."), ("missing values", "s1 .")}


def test_masks_are_no_scattered_gaps():
    values = np.random.default_rng(0).poisson(2, 200_000).astype(float)
    masked = values.copy()
    masked[:20_000] = masked[50_000:60_000] = np.nan
    assert not examine_signals([make_signals("dnase", [{"chr1": masked}], ".")]).findings
    masked[100_000:160_000:20] = np.nan
    (finding,) = examine_signals([make_signals("dnase", [{"chr1": masked}], ".")]).findings
    assert finding.check == "missing values"
    assert "3,000 of 200,000" in finding.evidence


def test_chromosomes_of_which_little_was_measured_are_no_loss():
    values = np.random.default_rng(0).poisson(0.2, 1_000_000).astype(float)
    values[np.arange(1_000_000) // 20_000 % 2 == 1] = 0  # every other block of 20 kb is empty
    lost = np.zeros(1_000_000)
    (finding,) = examine_signals([make_signals("other", [{"chr1": values, "chr2": lost}], ".")]).findings
    assert finding.evidence.startswith("chr2 has no signal (50 blocks of 20 kb)")
    lost[100_000:] = np.nan  # five blocks are left
    assert not examine_signals([make_signals("other", [{"chr1": values, "chr2": lost}], ".")]).findings


def test_small_silent_chromosomes_are_no_loss():
    world, random = (
        World(2, {"chr1": 400_000, "chr2": 60_000, "chrY": 200_000, "chr3": 300_000}),
        np.random.default_rng(0),
    )
    track = world.chip(20_000, random)
    silent = track | {"chr2": 0 * track["chr2"], "chrY": 0 * track["chrY"]}
    assert not examine_signals([make_signals("chip_histone", [silent], ".", 128)]).findings
    lost = silent | {"chr3": 0 * track["chr3"]}
    (finding,) = examine_signals([make_signals("chip_histone", [lost], ".", 128)]).findings
    assert finding.check == "empty chromosome"
    assert "chr3" in finding.evidence
    assert "chrY" not in finding.evidence


def test_duplicates_are_copies_multiples_and_nearly_the_same_reads():
    random = np.random.default_rng(0)
    rate = random.gamma(0.3, 100, 5000)
    a, b = random.poisson(rate).astype(float), random.poisson(rate).astype(float)
    nearly = a + random.poisson(rate * 0.001)
    signals = make_signals("dnase", [{"chr1": a}] * 5, ".....")
    found = check_duplicates(signals, [a, b, a * 3, nearly, None])
    assert [(f.subject, f.severity) for f in found] == [
        ("s0 . and s2 .", ERROR),
        ("s0 . and s3 .", WARNING),
        ("s2 . and s3 .", WARNING),
    ]
    assert "3 times" in found[0].evidence


def test_names_and_lengths_of_chromosomes():
    genome = {name: ASSEMBLIES["hg38 (GRCh38)"][name] for name in ("chr1", "chr2", "chrY")}
    hg19 = {name.removeprefix("chr"): length for name, length in ASSEMBLIES["hg19 (GRCh37)"].items()}
    found = check_lengths("x.bw", hg19, genome, genome)
    assert found is not None
    assert "the file is of hg19 (GRCh37); the genome is hg38 (GRCh38)" in found.evidence
    assert "lift the file over" in found.remedy
    # Only a part of a chromosome in the FASTA.
    part = genome | {"chrY": 60}
    cut = check_lengths("x.bw", ASSEMBLIES["hg38 (GRCh38)"], {"chrY": 60}, part)
    assert cut is not None
    assert "get the whole sequence" in cut.remedy
    assert check_lengths("x.bw", {"1": 248_956_422, "chr2": None}, genome, genome) is None

    assert check_names("x.bw", dict(genome), genome, "error") is None
    women = {name: genome[name] for name in ("chr1", "chr2")}
    assert check_names("x.bw", women, genome, "error") is None  # chrY may be absent
    some = check_names("x.bw", {"chr1": 248_956_422}, genome, "error")
    assert some is not None
    assert some.severity == WARNING
    assert check_names("x.bw", {"chr1": 248_956_422}, genome, "zero") is None
    none = check_names("x.bw", {"NC_000001.11": 248_956_422}, genome, "zero")
    assert none is not None
    assert "NC_000001.11 is as long as chr1" in none.remedy


def test_assemblies_are_told_by_lengths():
    # Sizes of the assemblies without chrM and unplaced pieces, as UCSC and NCBI give them.
    totals = {"hg19": 3_095_677_412, "hg38": 3_088_269_832, "hs1": 3_117_275_501, "mm10": 2_725_521_370}
    totals |= {"mm39": 2_723_414_844, "dm6": 137_547_960, "sacCer3": 12_071_326}
    sizes = {name.split()[0]: sum(lengths.values()) for name, lengths in ASSEMBLIES.items()}
    assert totals.items() <= sizes.items()
    for name, lengths in ASSEMBLIES.items():
        assert recognise(lengths) == [name]
        for chromosome, length in lengths.items():
            assert name in recognise({chromosome: length})
    assert recognise({"chr1": 5, "chrUn_1": 7}) == recognise({"chr1": None}) == []
    assert recognise_contents({"chr20": 64_000_000}) == ["hg38 (GRCh38)", "hs1 (T2T-CHM13 v2.0)"]


def test_entries_behind_the_end_of_a_chromosome(tmp_path):
    bench = Bench(tmp_path, seed=1)
    (tmp_path / "p.bed").write_text("chr1\t100\t200\nchr2\t5\t9\nchr3\t200100\t200300\n")
    bench.tracks.append({"path": "p.bed", "modality": "peaks"})
    (finding,) = bench.examine().findings
    assert finding.check == "assembly"
    assert "chr3 to 200,300, which is 200,000 bp long" in finding.evidence


@pytest.mark.parametrize(
    ("moved", "swapped", "words"),
    [(1, False, "off by one"), (-1, False, "off by one"), (0, True, "wrong strand"), (50, False, "another assembly")],
)
def test_junctions_where_no_intron_is(clean, tmp_path, moved, swapped, words):
    bench, _ = clean
    write_junctions(tmp_path / "j.bed", bench.world.introns(), moved, swapped)
    manifest = {"genome": str(bench.folder / "genome.fa"), "organism": "toy"}
    manifest["tracks"] = [{"path": "j.bed", "source": "junctions", "modality": "splice_junctions"}]
    (tmp_path / "m.yaml").write_text(yaml.safe_dump(manifest))
    (finding,) = examine(tmp_path / "m.yaml").findings
    assert finding.check == "splice motifs"
    assert words in finding.remedy
    (tmp_path / "j.bed").write_text("")
    assert checks(examine(tmp_path / "m.yaml")) == {"unreadable file"}


def test_an_annotation_of_another_genome_is_found_and_not_used(clean, tmp_path):
    bench, _ = clean
    moved = bench.world.write_genes(tmp_path, moved=1)
    report = examine(bench.folder / "manifest.yaml", annotation=moved)
    assert [(f.check, f.subject) for f in report.findings] == [("splice motifs", "the annotation")]
    assert any("the annotation does not fit" in note for note in report.notes)


def test_sites_become_introns():
    positions = {
        ("donor", "+"): [9, 30],
        ("acceptor", "+"): [20, 40],
        ("donor", "-"): [60],
        ("acceptor", "-"): [50, 70],
    }
    table = introns_of_sites({key: np.array(value) for key, value in positions.items()}, "chr1")
    rows = [("chr1", 10, 20, "+"), ("chr1", 31, 40, "+"), ("chr1", 51, 60, "-")]
    assert list(table.itertuples(index=False, name=None)) == rows


# Held-out regions


@given(st.integers(0, 10**6))
@settings(max_examples=20)
def test_words_of_both_strands_and_of_copies_are_the_same(seed):
    random = np.random.default_rng(seed)
    text = "".join(random.choice(list("ACGT"), 4000))
    words = set(choose_words(encode(text)))
    assert 20 < len(words) < 150  # one in 64
    assert set(choose_words(encode(reverse_complement(text)))) == words
    inside = set(choose_words(encode("ACGT" * 20 + text + "N" * 50)))
    assert words <= inside
    assert not set(choose_words(encode("N".join(text[at : at + 31] for at in range(0, 3000, 31)))))


def test_leaks_by_place_and_by_sequence(tmp_path, write_fasta):
    random = np.random.default_rng(0)
    text = "".join(random.choice(list("ACGT"), 60_000))
    # The end of chr2 is a copy of the start of chr1, on the other strand.
    other = "".join(random.choice(list("ACGT"), 20_000)) + reverse_complement(text[:10_000])
    genome = open_genome(write_fasta({"chr1": text, "chr2": other}))
    rows = [("chr1", 0, 20_000, "train"), ("chr1", 18_000, 30_000, "valid"), ("chr2", 19_000, 30_000, "test")]
    rows += [("chr2", 0, 10_000, "test"), ("chr1", 40_000, 60_000, "train")]
    windows = regions_table(rows)
    signals = make_signals("dnase", [{"chr1": random.poisson(2, 60_000).astype(float)}], ".")
    (overlap,) = check_overlaps(windows, "x")
    assert "1 of 1 'valid' windows" in overlap.evidence
    assert "chr1:18000-30000, 2,000 bp" in overlap.evidence
    values = write_bigwig(tmp_path / "a.bw", {"chr1": signals.read(Interval("chr1", 0, 60_000), [0])[:, 0]})
    manifest = {"genome": str(tmp_path / "genome.fa"), "organism": "toy", "chromosomes": ["chr1"]}
    manifest["tracks"] = [{"path": str(values), "modality": "dnase"}]
    (tmp_path / "m.yaml").write_text(yaml.safe_dump(manifest))
    report = examine(tmp_path / "m.yaml", genome=genome, regions=windows)
    assert [(f.check, f.severity) for f in report.findings] == [("leakage", ERROR), ("leakage", WARNING)]
    assert "1 of 3 held-out windows" in report.findings[1].evidence
    assert "chr2:19000-30000" in report.findings[1].evidence
    # Given apart, and clean.
    apart = examine(tmp_path / "m.yaml", train=windows.iloc[4:], held_out=windows.iloc[1:4])
    assert not apart.findings
    with pytest.raises(InputError, match="give both"):
        examine(tmp_path / "m.yaml", train=windows)


# What it says


def test_unreadable_files_do_not_stop_the_examination(tmp_path):
    bench = Bench(tmp_path, seed=1)
    (tmp_path / "bad.bw").write_bytes(b"no bigWig, but long enough to be one" * 10)
    bench.tracks.append({"path": "bad.bw", "modality": "atac"})
    bench.tracks.append({"path": "lost.bw", "modality": "atac"})
    bench.add("atac", "negative", {name: -values for name, values in cut_sites(*bench.draw("atac")).items()})
    found = bench.examine().findings
    assert [f.check for f in found] == ["unreadable file", "unreadable file", "negative values"]
    assert "not a bigWig" in found[0].evidence
    assert "does not exist" in found[1].evidence
    assert "scale: -1" in found[2].remedy


def test_reports_sort_and_count():
    warning, error = (Finding(severity, severity, "x.bw", "5 of 9", "mend it") for severity in (WARNING, ERROR))
    report = make_report("m.yaml", [warning, error, warning], {"a": 3, "b": 1}, ["no genes", "no genes"])
    assert report.findings == (error, warning)
    assert report.worst == ERROR
    assert make_report("m.yaml", [warning], {}).worst == WARNING
    assert list(report.table().columns) == ["severity", "check", "subject", "evidence", "remedy"]
    assert report.table()["severity"].tolist() == [ERROR, WARNING]
    assert make_report("m.yaml", [], {}).table().shape == (0, 5)
    text = str(report)
    assert text.startswith("ERROR error: x.bw\n    5 of 9\n    -> mend it")
    assert text.endswith("not checked: no genes\nm.yaml: 1 error and 1 warning from 4 looks")


# Real data


def examine_real(folder, **manifest):
    path = folder / "m.yaml"
    path.write_text(yaml.safe_dump({"organism": "real", **manifest}))
    return {(finding.check, finding.subject.rpartition("(")[2]) for finding in examine(path).findings}


@pytest.mark.real_data
def test_a_real_atac_library_is_not_shifted(tmp_path, shared):
    entry = {"path": str(shared / "yeast/ATAC_SRR1822137_500k.bedpe.gz"), "source": "fragments", "modality": "atac"}
    shifts = {"as 10x": {"shifted": True}, "shifted": {"shifted": False}}
    tracks = [entry | {"name": name, "options": {"kind": "fragments", **shift}} for name, shift in shifts.items()]
    found = examine_real(tmp_path, genome=str(shared / "yeast/sacCer3.fa.gz"), tracks=tracks)
    assert found == {("Tn5 shift", "as 10x)")}


@pytest.mark.real_data
@pytest.mark.parametrize("swapped", [False, True])
def test_real_strands_and_junctions_of_chromosome_22(tmp_path, shared, swapped):
    folder = shared / "hg19_tracks"
    genes = str(folder / "chrX_20_22/gencode_lift37.exons.chr22.gtf.gz")
    tracks = [
        {"path": str(folder / "chr22/PINTS_pl.chr22.bw"), "strand": "-" if swapped else "+"},
        {"path": str(folder / "chr22/PINTS_mn.chr22.bw"), "strand": "+" if swapped else "-", "options": {"scale": -1}},
    ]
    tracks = [track | {"modality": "procap", "name": "GRO-cap"} for track in tracks]
    junctions = str(folder / "chr22/HCC1395_RNAseq_junctions.chr22.bed")
    tracks.append({"path": junctions, "source": "junctions", "modality": "splice_junctions"})
    tracks.append({"path": genes, "modality": "splice_sites"})
    genome = str(shared / "hg19_seq/chr22_partial.fa.gz")
    found = examine_real(tmp_path, genome=genome, annotation=genes, chromosomes=["chr22"], tracks=tracks)
    assert {check for check, _ in found} == ({"strand"} if swapped else set())
