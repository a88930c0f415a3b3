"""Twenty faults, each planted in the files of a small world.

`python tests/data/doctor/doctor_faults.py` prints what the doctor finds of them.
"""

import dataclasses
import pathlib
from collections.abc import Callable

import numpy as np
import yaml
from ag_data.doctor import Report, examine
from doctor_world import READ, World, change, cut_sites, pile_up, write_bigwig

YEAST = {"chrI": 230_218, "chrIII": 316_620, "chrVI": 270_161}  # sacCer3
DEPTH = {"atac": 40_000, "rna_seq": 20_000, "cage": 15_000}


class Bench:
    """Where a fault is built: a world, its reads, and a folder for its files."""

    def __init__(self, folder: pathlib.Path, seed: int, lengths=None):
        self.folder, self.random = folder, np.random.default_rng([11, seed])
        self.world = World(seed, lengths) if lengths else World(seed)
        self.tracks: list[dict] = []

    def draw(self, modality, depth=1.0):
        """Reads of one sample: by strand."""
        amount = DEPTH[modality] * depth
        draw = {"atac": self.world.atac, "rna_seq": self.world.rna, "cage": self.world.cage}[modality]
        return draw(amount if modality == "atac" else int(amount), self.random)

    def add(self, modality, name, counts, strand=None, lengths=None, **columns):
        path = f"{modality}_{name}{ {'+': '_plus', '-': '_minus', None: ''}[strand] }.bw"
        write_bigwig(self.folder / path, counts, lengths)
        entry = {"path": path, "modality": modality, "name": name, "biosample_name": name, **columns}
        self.tracks.append(entry | ({"strand": strand} if strand else {}))

    def add_pair(self, modality, name, plus, minus, **columns):
        self.add(modality, name, plus, "+", **columns)
        self.add(modality, name, minus, "-", **columns)

    def examine(self, **options) -> Report:
        manifest = {"genome": str(self.world.write_genome(self.folder)), "organism": "toy", "tracks": self.tracks}
        manifest["annotation"] = str(self.world.write_genes(self.folder))
        path = self.folder / "manifest.yaml"
        path.write_text(yaml.safe_dump(manifest | options))
        return examine(path)


@dataclasses.dataclass(frozen=True)
class Fault:
    assay: str
    what: str
    check: str  # the name of the finding it should give
    plant: Callable[[Bench], None]
    lengths: dict | None = None


FAULTS: list[Fault] = []


def fault(assay, what, check, lengths=None):
    def add(plant):
        FAULTS.append(Fault(assay, what, check, plant, lengths))
        return plant

    return add


# ATAC-seq


@fault("ATAC", "cut sites at the first and last bases of fragments, not shifted", "Tn5 shift")
def _(bench):
    bench.add("atac", "a", cut_sites(*bench.draw("atac"), shift=(0, 0)))
    bench.add("atac", "b", cut_sites(*bench.draw("atac")))


@fault("ATAC", "not shifted, by the half-open ends of fragments", "Tn5 shift")
def _(bench):
    bench.add("atac", "a", cut_sites(*bench.draw("atac"), shift=(0, 1)))


@fault("ATAC", "shifted twice", "Tn5 shift")
def _(bench):
    bench.add("atac", "a", cut_sites(*bench.draw("atac"), shift=(8, -10)))


@fault("ATAC", "file of another assembly", "assembly", {"chrI": 230_208, "chrIII": 316_617, "chrVI": 270_148})
def _(bench):
    longer = change(cut_sites(*bench.draw("atac")), lambda values: np.pad(values, (0, 20)))
    bench.add("atac", "a", longer, lengths=YEAST)


@fault("ATAC", "chromosomes named by accession", "chromosome names")
def _(bench):
    counts = cut_sites(*bench.draw("atac"))
    bench.add("atac", "a", {f"NC_00000{number}.9": values for number, values in enumerate(counts.values(), 1)})


@fault("ATAC", "log2(1 + counts)", "transformed values")
def _(bench):
    bench.add("atac", "a", change(cut_sites(*bench.draw("atac")), lambda values: np.log2(1 + values)))


@fault("ATAC", "clipped at the 99.9th percentile of bases with signal", "clipped values")
def _(bench):
    counts = cut_sites(*bench.draw("atac", 4))
    most = np.quantile(np.concatenate([values[values > 0] for values in counts.values()]), 0.999)
    bench.add("atac", "a", change(counts, lambda values: np.minimum(values, most)))


@fault("ATAC", "the second replicate is a copy of the first", "duplicates")
def _(bench):
    counts = cut_sites(*bench.draw("atac"))
    bench.add("atac", "a", counts)
    bench.add("atac", "b", counts)


@fault("ATAC", "a fortieth of the reads", "too few reads")
def _(bench):
    bench.add("atac", "a", cut_sites(*bench.draw("atac", 0.025)))


@fault("ATAC", "chr2 lost, and the manifest says `absent: zero`", "empty chromosome")
def _(bench):
    counts = cut_sites(*bench.draw("atac"))
    del counts["chr2"]
    bench.add("atac", "a", counts, absent="zero")


@fault("ATAC", "coverage by whole reads instead of cut sites", "coverage instead of ends")
def _(bench):
    plus, minus = bench.draw("atac")
    bench.add("atac", "a", {name: pile_up(plus[name] + minus[name], READ) for name in plus})


# RNA-seq


@fault("RNA", "strands swapped (dUTP library read as forward)", "strand")
def _(bench):
    plus, minus = bench.draw("rna_seq")
    bench.add_pair("rna_seq", "a", minus, plus)


@fault("RNA", "library without strands, given as two strands", "strand")
def _(bench):
    halves = [bench.draw("rna_seq", 0.5) for _ in range(2)]
    plus, minus = ({n: half[0][n] + half[1][n] for n in half[0]} for half in halves)
    bench.add_pair("rna_seq", "a", plus, minus)


@fault("RNA", "'-' strand written below the axis", "negative values")
def _(bench):
    plus, minus = bench.draw("rna_seq")
    bench.add_pair("rna_seq", "a", plus, change(minus, lambda values: -values))


@fault("RNA", "a sample twice, the second time per million reads", "duplicates")
def _(bench):
    pair = bench.draw("rna_seq")
    bench.add_pair("rna_seq", "a", *pair)
    bench.add_pair("rna_seq", "b", *(change(side, lambda values: values * 0.0371) for side in pair))


@fault("RNA", "ln(1 + reads per million)", "transformed values")
def _(bench):
    bench.add_pair("rna_seq", "a", *(change(side, lambda v: np.log1p(v * 0.6)) for side in bench.draw("rna_seq")))


@fault("RNA", "NaN at 2 % of the bases", "missing values")
def _(bench):
    plus, minus = bench.draw("rna_seq")
    holed = change(plus, lambda values: np.where(bench.random.random(len(values)) < 0.02, np.nan, values))
    bench.add_pair("rna_seq", "a", holed, minus)


@fault("RNA", "strands of two samples listed in another order", "strand pairs")
def _(bench):
    (a_plus, a_minus), (b_plus, b_minus) = bench.draw("rna_seq"), bench.draw("rna_seq")
    bench.add("rna_seq", "a", a_plus, "+")
    bench.add("rna_seq", "b", b_plus, "+")
    bench.add("rna_seq", "b", b_minus, "-")
    bench.add("rna_seq", "a", a_minus, "-")


# CAGE


@fault("CAGE", "strands swapped", "strand")
def _(bench):
    plus, minus = bench.draw("cage")
    bench.add_pair("cage", "a", minus, plus)


@fault("CAGE", "counts beyond float16", "too large for float16")
def _(bench):
    bench.add_pair("cage", "a", *(change(side, lambda values: values * 1000) for side in bench.draw("cage")))


def examine_fault(planted: Fault, folder: pathlib.Path, seed: int = 1) -> Report:
    bench = Bench(folder, seed, planted.lengths)
    planted.plant(bench)
    return bench.examine()


def main():
    import tempfile

    for planted in FAULTS:
        with tempfile.TemporaryDirectory() as folder:
            report = examine_fault(planted, pathlib.Path(folder))
        right = [finding for finding in report.findings if finding.check == planted.check]
        others = sorted({finding.check for finding in report.findings} - {planted.check})
        evidence = right[0].evidence if right else "NOT FOUND"
        more = f" (also: {', '.join(others)})" if others else ""
        print(f"| {planted.assay} | {planted.what} | {planted.check}{more} | {evidence} |")


if __name__ == "__main__":
    main()
