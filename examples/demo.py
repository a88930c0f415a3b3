"""Scores measured variants of the HNF4A promoter with the embedded model, and draws the strongest one.

    hatch run demo [FOLDER]

Everything it reads lies in examples/data; FOLDER (demo-output by default) gets scores.parquet, scores.vcf.gz and
top_variant.png.
"""

import pathlib
import sys

import pyarrow.compute as pc
import pyarrow.parquet as pq
from ag_core import Interval, Variant
from ag_core.cli import run
from ag_data import Fasta, read_gtf
from ag_data.plot import choose_panels, plot_variant
from ag_scorers import CenterMaskScorer, open_engine
from ag_scorers.prediction import predict_variant

DATA = pathlib.Path(__file__).parent / "data"
VARIANTS, GENOME, GENES = (DATA / f"HNF4A.{end}" for end in ("mpra.vcf.gz", "hg38.fa.gz", "hg38.gtf.gz"))


def top_variant(scores: pathlib.Path) -> str:
    """The SNV with the largest change of TF binding, as text.

    An indel also shifts what follows against the network's bins, which a picture would show as noise.
    """
    table = pq.read_table(scores, filters=pc.field("scorer") == CenterMaskScorer("chip_tf").name)
    snvs = table.filter(pc.match_substring_regex(table["variant"].cast("string"), ":[ACGT]>[ACGT]$"))
    sizes = pc.abs(snvs["score"])
    return snvs["variant"][pc.index(sizes, pc.max(sizes)).as_py()].as_py()


def draw(variant: Variant, picture: pathlib.Path) -> None:
    """REF and ALT tracks around a variant, with the genes."""
    annotation = read_gtf(GENES)
    engine = open_engine(Fasta(GENOME), gtf=GENES)
    interval, ref, alt = predict_variant(engine, variant)
    panels = []
    for modality, limit in (("chip_tf", 2), ("dnase", 1), ("cage", 1), ("rna_seq", 1), ("splice_sites", 1)):
        r, a = (tree[modality].to_dataset() for tree in (ref, alt))
        tracks = engine.tables[modality]
        panels += choose_panels(
            r["prediction"].values, a["prediction"].values, tracks, engine.resolution(modality), limit=limit
        )
    view = Interval(interval.chromosome, variant.start - 3000, variant.start + 3000)
    figure = plot_variant(interval, variant, panels, annotation, view=view)
    figure.savefig(picture, dpi=130, bbox_inches="tight")


def main() -> int:
    """Runs the demo and returns the exit code."""
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "demo-output")
    folder.mkdir(parents=True, exist_ok=True)
    table, vcf, picture = folder / "scores.parquet", folder / "scores.vcf.gz", folder / "top_variant.png"
    command = [
        "score",
        str(VARIANTS),
        "--fasta",
        str(GENOME),
        "--gtf",
        str(GENES),
        "-o",
        str(table),
        "-o",
        str(vcf),
    ]
    print("agenome", *command)
    if code := run(command):
        return code
    variant = Variant.from_str(top_variant(table))
    draw(variant, picture)
    print(f"strongest change of TF binding: {variant}\npicture: {picture}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
