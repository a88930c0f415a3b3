"""What the embedded model says about measured splicing variants, beside simple peers; for its model card.

    hatch run python examples/evaluate_mini_variants.py MODEL --data DIR -o figures.json

MFASS (Chong et al. 2019): SNVs that disrupt an exon in a minigene, found by `agenome score` with SPLICE_SITES on
GRCh37 chr20 and chrX. Vex-seq (Adamson et al. 2018): change in PSI, from the constructs alone, amid unknown bases.
"""

import json
import pathlib
import tempfile
from typing import Annotated

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pandas as pd
import typer
from ag_core.checkpoint import load
from ag_core.cli import run
from ag_core.model import fold
from ag_core.sequence import encode, one_hot
from ag_eval.metrics import auprc, auroc, spearman

FASTA = {"chr20": "chr20.fa.gz", "chrX": "chrX_1_69999930.fa.gz"}
CONTEXT, BATCH = 2048, 64


def mfass(model: str, data: pathlib.Path, folder: pathlib.Path) -> dict[str, float]:
    """AUPRC and AUROC of disruption by the largest change of a splice site's probability; SPANR as a peer."""
    table = pd.read_csv(data / "variants" / "MFASS_SNV.chr20_chrX.tsv.gz", sep="\t")
    table = table.loc[table["frac_known_16kb_hg19"] == 1].copy()
    found = []
    for name, own in table.groupby("chrom"):
        vcf, out = folder / f"{name}.vcf", folder / f"{name}.parquet"
        lines = ["##fileformat=VCFv4.2", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
        rows = zip(own["pos19"], own["id"], own["ref"], own["alt"], strict=True)
        lines += [f"{name}\t{int(pos)}\t{id_}\t{ref}\t{alt}\t.\t.\t." for pos, id_, ref, alt in sorted(rows)]
        vcf.write_text("\n".join(lines) + "\n")
        gtf = data / "hg19_tracks" / "chrX_20_22" / f"gencode_lift37.exons.{name}.gtf.gz"
        command = ["score", str(vcf), "--fasta", str(data / "hg19_seq" / FASTA[str(name)]), "--gtf", str(gtf)]
        command += ["--model", model, "--scorer", "SPLICE_SITES", "-o", str(out), "-q"]
        if run(command):
            raise SystemExit(1)
        scores = pd.read_parquet(out)
        scores["size"] = scores["raw_score"].abs()
        best = scores.groupby(["position", "alternate"], as_index=False)["size"].max()
        merged = own.merge(best, left_on=["pos19", "alt"], right_on=["position", "alternate"], how="left")
        found.append(merged)
    merged = pd.concat(found)
    known = merged.dropna(subset=["size", "dpsi_spanr_capped"])
    labels = known["strong_lof"].to_numpy(bool)
    figures = {"MFASS variants": len(known), "MFASS disrupting": int(labels.sum())}
    for name, values in (("model", known["size"]), ("SPANR", -known["dpsi_spanr_capped"])):
        figures[f"MFASS AUPRC, {name}"] = auprc(labels, values.to_numpy(float))
        figures[f"MFASS AUROC, {name}"] = auroc(labels, values.to_numpy(float))
    return figures


@eqx.filter_jit
def _sites(model, codes):
    organism = jnp.zeros(len(codes), jnp.int32)
    return model(one_hot(codes), organism, modalities=("splice_sites",))["splice_sites"]["predictions"]


def vexseq(model: str, data: pathlib.Path) -> dict[str, float]:
    """Spearman of the change in PSI and the change in the probabilities of the exon's two sites."""
    table = pd.read_csv(data / "variants" / "VexSeq_deltaPSI_with_sequences.tsv.gz", sep="\t")
    plus = table["strand"] == "+"
    left = np.where(plus, table["Exon up"] - table["Upstream Int Adj"], table["Down Int Adj"] - table["Exon down"])
    sites = np.stack([left, left + (table["Exon down"] - table["Exon up"])], axis=1)
    network = fold(load(model).model)

    def probabilities(sequences: pd.Series) -> np.ndarray:
        values = np.zeros(len(sequences))
        begin = (CONTEXT - 166) // 2
        for start in range(0, len(sequences), BATCH):
            codes = np.full((BATCH, CONTEXT), 4, np.uint8)
            part = sequences.iloc[start : start + BATCH]
            for row, text in enumerate(part):
                codes[row, begin : begin + len(text)] = encode(text)
            guess = np.asarray(_sites(network, codes))
            for row, text in enumerate(part):
                # An indel moves sites by its length at most.
                reach = abs(len(text) - len(table["ref_sequence"].iloc[start + row]))
                for column, kind in enumerate((1, 0)):  # acceptor, donor
                    at = begin + sites[start + row, column]
                    values[start + row] += guess[row, at - reach : at + reach + 1, kind].max()
        return values

    change = probabilities(table["Sequence"]) - probabilities(table["ref_sequence"])
    measured = table["delta_PSI"].to_numpy()
    strong = np.abs(measured) > 10
    return {
        "Vex-seq variants": len(table),
        "Vex-seq Spearman": spearman(measured, change),
        "Vex-seq Spearman of sizes": spearman(np.abs(measured), np.abs(change)),
        "Vex-seq AUROC of a change above 10 %": auroc(strong, np.abs(change)),
    }


def main(
    model: str,
    data: Annotated[pathlib.Path, typer.Option()],
    output: Annotated[pathlib.Path, typer.Option("-o", "--output")],
) -> None:
    """Writes all figures as JSON, and prints them."""
    with tempfile.TemporaryDirectory() as folder:
        figures = vexseq(model, data) | mfass(model, data, pathlib.Path(folder))
    figures = {key: round(float(value), 4) for key, value in figures.items()}
    output.write_text(json.dumps({"model": load(model).digest, "figures": figures}, indent=1))
    for key, value in figures.items():
        print(f"{value:12,.4f}  {key}")


if __name__ == "__main__":
    typer.run(main)
