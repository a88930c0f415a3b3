"""The manifests of docs/manifests on real data: do the stores hold what biology says? `-m real_data`, minutes."""

import itertools
import pathlib
import shutil

import numpy as np
import pandas as pd
import pysam
import pytest
from ag_core.genome import Interval
from ag_data import import_tracks, open_genome, open_store, read_manifest
from ag_data.doctor import examine
from ag_data.manifest import Track
from ag_data.sources.borzoi import write_windows_fasta
from scipy.stats import spearmanr

ROOT = pathlib.Path(__file__).parents[2]
MANIFESTS = ROOT / "docs" / "manifests"
pytestmark = pytest.mark.real_data


@pytest.fixture(scope="module")
def make_store(tmp_path_factory, shared):
    """The store of a manifest, made once."""
    folder = tmp_path_factory.mktemp("stores")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AG_DATA", str(shared))
        patch.setenv("AG_CACHE_DIR", str(folder / "cache"))
        made = {}

        def make(name):
            if name not in made:
                shutil.copy(MANIFESTS / f"{name}.yaml", folder)
                if name.startswith("borzoi"):
                    short = {"borzoi_human": "hg38", "borzoi_mouse": "mm10"}[name]
                    tiny = shared / "borzoi_tiny"
                    windows = [tiny / f"{short}_{split}.npz" for split in ("train", "valid")]
                    write_windows_fasta(windows, tiny / short / "sequences.bed", folder / f"{name}.fa.gz")
                import_tracks(read_manifest(folder / f"{name}.yaml"), folder / f"{name}.zarr")
                made[name] = open_store(folder / f"{name}.zarr")
            return made[name]

        with pysam.BGZFile(str(folder / "chr1.fa.gz"), "wb") as fasta:
            fasta.write(b">chr1\n" + b"\n".join([b"N" * 1_000] * 249_250 + [b"N" * 621]) + b"\n")
        bam = folder / "reads" / "hg19_chr22_HCC1395_RNAseq.bam"
        bam.parent.mkdir()
        shutil.copy(shared / "fixtures" / "formats" / bam.name, bam)
        pysam.index(str(bam))
        yield make


def sums(store, modality, places, track):
    """Mean per base in each of `places` (chromosome, start, end)."""
    step = store.resolution(modality)
    values = []
    for chromosome, start, end in places:
        first, last = start // step * step, -(-end // step) * step
        read = store.read(modality, Interval(chromosome, int(first), int(last)), [track]).astype(np.float32)
        values.append(np.nanmean(read) / step)
    return np.array(values)


@pytest.fixture(scope="module")
def genes(shared):
    """Starts, ends and strands of transcripts on chr22, GENCODE."""
    path = shared / "hg19_tracks" / "chrX_20_22" / "gencode_lift37.exons.chr22.gtf.gz"
    columns = {0: "Chromosome", 2: "Feature", 3: "Start", 4: "End", 6: "Strand"}
    table = pd.read_csv(path, sep="\t", comment="#", header=None, usecols=[*columns]).rename(columns=columns)
    transcripts = table[table["Feature"] == "transcript"]
    assert len(transcripts) > 1_000
    return transcripts.assign(Start=transcripts["Start"] - 1)


def tss(spans, strand):
    own = spans[spans["Strand"] == strand]
    return (own["Start"] if strand == "+" else own["End"] - 1).drop_duplicates().to_numpy()


def test_starts_of_transcripts_are_where_genes_start(make_store, genes):
    store, spans = make_store("hg19"), genes
    for track, (own, other) in enumerate(("+-", "-+")):
        # Narrow: transcription starts in the other direction 100 to 200 bp upstream.
        at = [("chr22", p - 50, p + 50) for p in tss(spans, own)]
        away = [("chr22", p + 5_000, p + 5_100) for p in tss(spans, own)]
        against = [("chr22", p - 50, p + 50) for p in tss(spans, other)]
        signal = sums(store, "procap", at, track).mean()
        assert signal > 10 * sums(store, "procap", away, track).mean()
        assert signal > 2 * sums(store, "procap", against, track).mean()


def test_promoter_marks_are_at_promoters(make_store, genes):
    store, spans = make_store("hg19"), genes
    starts = np.concatenate([tss(spans, strand) for strand in "+-"])
    for name in ("H3K27ac GM18526", "H3K4me3 HeLa"):
        track = list(store.tracks("chip_histone")["name"].values).index(name)
        at = sums(store, "chip_histone", [("chr22", p - 500, p + 500) for p in starts], track).mean()
        away = sums(store, "chip_histone", [("chr22", p + 20_000, p + 21_000) for p in starts], track).mean()
        assert at > 3 * away, name


def test_rna_is_in_exons(make_store, shared):
    """The reads lie on chr1, for which there is no annotation: their own gaps tell introns from exons."""
    store = make_store("hg19")
    gaps = set()
    with pysam.AlignmentFile(str(shared / "fixtures/formats/hg19_chr22_HCC1395_RNAseq.bam"), check_sq=False) as bam:
        for read in bam:
            blocks = read.get_blocks()
            gaps |= {(a[1], b[0]) for a, b in itertools.pairwise(blocks) if b[0] - a[1] > 200}
    assert len(gaps) > 20
    exonic = [("chr1", place, place + 25) for start, end in gaps for place in (start - 25, end)]
    middle = [("chr1", start + 50, end - 50) for start, end in gaps]
    assert sums(store, "rna_seq", exonic, 0).mean() > 5 * sums(store, "rna_seq", middle, 0).mean()
    assert store.statistics("rna_seq")["total"].sel(contig="chr1") > 0


def test_peaks_and_signal_agree(make_store):
    """CTCF reads lie in CTCF peaks, insertions in open chromatin, factors of one cell where the others are."""
    store = make_store("hg19")
    names = store.tracks("tf_peaks")
    ctcf = np.flatnonzero(names["tf"].values == "CTCF")
    peaks = store.read("tf_peaks", Interval("chr22", 0, 51_304_576), ctcf).max(axis=1) > 0
    reads = store.read("chip_tf", Interval("chr22", 0, 51_304_576))[:, 0]
    assert reads[peaks].mean() > 5 * reads[~peaks].mean()
    open_ = store.read("atac_peaks", Interval("chr22", 0, 51_304_576))[:, 0] > 0
    dnase = store.read("dnase_regions", Interval("chr22", 0, 51_304_576))[:, 0]
    assert dnase[open_].mean() > 5 * dnase[~open_].mean()


def at(sites, column):
    """Bases of one class."""
    return np.flatnonzero(sites[:, column]).tolist()


@pytest.mark.parametrize("modality", ["splice_sites", "splice_junctions"])
def test_introns_start_with_gt_and_end_with_ag(make_store, shared, modality):
    """Share of GT donors (GC counts too) and AG acceptors where the sequence is known: at least 97 %."""
    store = make_store("hg19")
    genome = open_genome(shared / "hg19_seq" / "chr22_partial.fa.gz")
    whole = Interval("chr22", 0, store.chromosomes["chr22"])
    if modality == "splice_sites":
        sites = store.read(modality, whole)
        starts = [(p + 1, "+") for p in at(sites, 0)] + [(p - 2, "-") for p in at(sites, 2)]
        ends = [(p - 2, "+") for p in at(sites, 1)] + [(p + 1, "-") for p in at(sites, 3)]
    else:
        introns = store.read(modality, whole)
        columns = list(zip(*(introns[key].values.tolist() for key in ("start", "end", "strand")), strict=True))
        starts = [(start if strand == "+" else end - 2, strand) for start, end, strand in columns]
        ends = [(end - 2 if strand == "+" else start, strand) for start, end, strand in columns]
    for places, motifs in ((starts, ([2, 3], [2, 1])), (ends, ([0, 2],))):
        pairs = [genome.codes(Interval("chr22", p, p + 2, strand)).tolist() for p, strand in places]
        known = [pair for pair in pairs if 4 not in pair]
        assert len(known) > 1_000
        assert np.mean([pair in motifs for pair in known]) >= 0.97


def test_usage_is_high_where_junctions_are(make_store):
    store = make_store("hg19")
    usage = store.read("splice_site_usage", Interval("chr22", 0, store.chromosomes["chr22"])).astype(np.float32)
    assert np.nanmin(usage) >= 0
    assert np.nanmax(usage) == 1
    used = usage[np.nan_to_num(usage) > 0]
    assert np.median(used) > 0.9
    assert len(used) > 1_000


def test_contacts_lose_their_decay(make_store):
    """Observed over expected has mean near 0 at every distance, and neighbouring bins agree."""
    for name, chromosome, track in (("hg19", "chr20", 0), ("yeast", "chrIV", 0)):
        store = make_store(name)
        end = store.chromosomes[chromosome] // 2048 * 2048
        values = store.read("contact_maps", Interval(chromosome, 0, end))[..., track].astype(np.float32)
        means = np.nanmean(values[:, 1:400], axis=0)
        assert np.abs(means).max() < 0.5
        far = values[:-20, 100], values[20:, 100]
        known = np.isfinite(far[0]) & np.isfinite(far[1])
        assert spearmanr(far[0][known], far[1][known]).statistic > 0.2


def test_the_doctor_tells_fragments_that_were_not_shifted(make_store, shared):
    """Yeast ATAC: the manifest shifts them; the bigWig of cut sites that others made of them does not."""
    store = make_store("yeast")
    assert not [finding for finding in examine(store).findings if finding.check == "Tn5 shift"]
    manifest = read_manifest(MANIFESTS / "yeast.yaml")
    raw = Track(path=str(shared / "yeast" / "ATAC_SRR1822137_cuts.bw"), modality="atac")
    found = examine(manifest.model_copy(update={"tracks": [raw]}))
    assert [finding.check for finding in found.findings] == ["Tn5 shift"]


@pytest.mark.parametrize("name", ["borzoi_human", "borzoi_mouse"])
def test_borzoi_windows(make_store, name):
    """Both organisms, values in experimental units; strands of CAGE pair up and differ."""
    store = make_store(name)
    assert {"cage", "dnase"} & set(store.modalities)
    frame = pd.DataFrame({key: store.tracks("cage")[key].values for key in ("name", "strand")})
    assert sorted(frame["strand"].unique()) == ["+", "-"]
    counted = store.statistics("cage")
    assert counted["smallest"].min() >= 0
    assert counted["total"].sum() > 0
