"""Held-out figures of the embedded model, modality by modality, beside simple baselines; for its model card.

    hatch run python examples/evaluate_mini.py MODEL --data DIR --stores DIR -o figures.json

Held out: chr20:40,000,001-46,000,000 and chr22 of GRCh37, and the validation windows of borzoi_tiny (both species).
"""

import json
import os
import pathlib
from typing import Annotated

import ag_heads.recipes.mini as recipe
import equinox as eqx
import jax
import numpy as np
import typer
from ag_core.checkpoint import Checkpoint, load
from ag_core.model import fold
from ag_core.sequence import one_hot
from ag_data import Loader, Stream, Tiled, hold_out, open_genome, open_store
from ag_data.annotation import read_gtf
from ag_data.folds import read_folds
from ag_data.genome_store import reverse_complement_codes
from ag_data.sampling import Anywhere
from ag_data.splice_sites import annotated_sites
from ag_data.streams import Wanted
from ag_eval.metrics import auprc, auroc, pearson
from ag_eval.peers.splice_matrices import count_sites, log_odds, site_scores
from ag_heads.recipes.feeds import target_resolution
from ag_heads.recipes.settings import HeadSettings
from ag_heads.recipes.settings_file import read_settings
from kmer_baseline import count_words, fit
from rich.console import Console
from rich.progress import track as show

BATCH = 4


@eqx.filter_jit
def predict(model, codes, organism, modalities):
    """Outputs of the modalities, with what heads at other resolutions say."""
    return model(one_hot(codes), organism, modalities=modalities)


def read(checkpoint: Checkpoint, genome, store, regions, length, modalities, organism):
    """Batches of held-out windows end to end, with targets of the modalities and predictions."""
    head = {name: HeadSettings(plugin=h.plugin, options=dict(h.options)) for name, h in checkpoint.spec.heads.items()}
    wanted = {
        name: Wanted(tracks=checkpoint.spec.heads[name].tracks, resolution=target_resolution(head[name], name))
        for name in modalities
    }
    sampler = Tiled(regions, length, genome=genome)
    stream = Stream(genome, store, sampler, organism)
    with Loader([stream], batch=BATCH, length=length, modalities=wanted, epochs=1, threads=1) as loader:
        for batch in show(loader, "windows", total=len(loader), console=Console(stderr=True), transient=True):
            found = predict(checkpoint.model, batch["codes"], batch["organism"], tuple(modalities))
            yield batch, jax.tree.map(np.asarray, found)


def matrix_scores(codes, odds):
    """[position, 4] scores of donor+, acceptor+, donor-, acceptor- at every base."""
    forward = site_scores(codes, odds)
    backward = site_scores(reverse_complement_codes(codes), odds)[::-1]
    return np.concatenate([forward[:, ::-1], backward[:, ::-1]], axis=1).astype(np.float32)


def top_k(labels, scores):
    """Share of true sites among as many best-scored bases."""
    count = int(labels.sum())
    if not count:
        return float("nan")
    best = np.argpartition(-scores, count - 1)[:count]
    return float(labels[best].mean())


def splicing(checkpoint, genome, store, regions, odds):
    """Splice sites: mean over the four classes of AUPRC and top-k; usage: correlation over measured sites."""
    labels, scores, simple, usage = [], [], [], []
    names = [name for name in ("splice_sites", "splice_site_usage") if name in checkpoint.spec.heads]
    for batch, found in read(checkpoint, genome, store, regions, checkpoint.spec.window, names, 0):
        classes = batch["targets"]["splice_sites"]["classes"]
        for row in range(len(classes)):
            known = classes[row].any(axis=1)
            if not known.any():
                continue
            labels.append(classes[row][known, :4])
            scores.append(found["splice_sites"]["predictions"][row][known, :4])
            simple.append(matrix_scores(batch["codes"][row], odds)[known])
        if "splice_site_usage" in names:
            truth = np.asarray(batch["targets"]["splice_site_usage"]["usage"], np.float32)
            there = ~np.isnan(truth)
            track = np.broadcast_to(np.arange(truth.shape[-1]), truth.shape)[there]
            guess = np.asarray(found["splice_site_usage"]["predictions"], np.float32)[there]
            usage.append(np.stack([truth[there], guess, track], axis=1))
    labels, scores, simple = (np.concatenate(each) for each in (labels, scores, simple))
    results = {}
    for name, values in (("model", scores), ("matrix", simple)):
        results[f"splice_sites AUPRC, {name}"] = np.mean([auprc(labels[:, c], values[:, c]) for c in range(4)])
        results[f"splice_sites top-k, {name}"] = np.mean([top_k(labels[:, c], values[:, c]) for c in range(4)])
    results["splice_sites number"] = int(labels.sum())
    if usage:
        rows = np.concatenate(usage)
        results["splice_site_usage Pearson over sites and tissues"] = pearson(rows[:, 0], rows[:, 1])
        results["splice_site_usage AUROC of more than half"] = auroc(rows[:, 0] > 0.5, rows[:, 1])
    return results


def train_words(checkpoint, genome, store, regions, modality, most=1500):
    """The logistic regression on 6-mers, from windows that were trained on."""
    features, labels = [], []
    for number, (codes, signal) in enumerate(measured(checkpoint, genome, store, regions, modality)):
        if number == most:
            break
        known = (codes.reshape(-1, 128) < 4).all(axis=1) & ~np.isnan(signal).any(axis=1)
        # Bins with any peak, and a few of the many others.
        peaked = (signal > 64).any(axis=1)
        chosen = known & (peaked | (np.random.default_rng(number).random(len(peaked)) < 0.1))
        features.append(count_words(codes)[chosen])
        labels.append(signal[chosen] > 64)
    return fit(np.concatenate(features), np.concatenate(labels))


def measured(checkpoint, genome, store, regions, modality):
    """Codes and signal of windows spread over regions."""
    wanted = {modality: Wanted(tracks=checkpoint.spec.heads[modality].tracks, resolution=128)}
    sampler = Anywhere(regions, checkpoint.spec.window, genome=genome, max_unknown=0.5)
    stream = Stream(genome, store, sampler, 0)
    with Loader([stream], batch=BATCH, length=checkpoint.spec.window, modalities=wanted, threads=1) as loader:
        for batch in loader:
            yield from zip(batch["codes"], np.asarray(batch["targets"][modality]["signal"], np.float32), strict=True)


def peaks(checkpoint, genome, store, regions, modality, words=None):
    """Bins of 128 bp that lie mostly in a peak: median AUPRC and AUROC over tracks, beside G+C and 6-mers."""
    labels, scores, gc, simple = [], [], [], []
    for batch, found in read(checkpoint, genome, store, regions, checkpoint.spec.window, [modality], 0):
        signal = np.asarray(batch["targets"][modality]["signal"], np.float32)
        head = checkpoint.model.heads[modality]
        for row in range(len(signal)):
            codes = batch["codes"][row]
            known = (codes.reshape(-1, 128) < 4).all(axis=1) & ~np.isnan(signal[row]).any(axis=1)
            labels.append(signal[row][known] > 64)
            scores.append(head.output({k: v[row] for k, v in found[modality].items()})[known])
            around = np.convolve((codes == 1) | (codes == 2), np.ones(1024) / 1024, "same")
            gc.append(around.reshape(-1, 128).mean(axis=1)[known])
            if words is not None:
                simple.append(count_words(codes)[known] @ words[0] + words[1])
    labels, scores, gc = np.concatenate(labels), np.concatenate(scores), np.concatenate(gc)
    some = [t for t in range(labels.shape[1]) if labels[:, t].sum() >= 5]
    results = {}
    for name, metric in (("AUPRC", auprc), ("AUROC", auroc)):
        results[f"{modality} {name}, model"] = np.median([metric(labels[:, t], scores[:, t]) for t in some])
        results[f"{modality} {name}, G+C"] = np.median([metric(labels[:, t], gc) for t in some])
        if simple:
            logits = np.concatenate(simple)
            results[f"{modality} {name}, 6-mers"] = np.median([metric(labels[:, t], logits[:, t]) for t in some])
    results[f"{modality} AUPRC, chance"] = np.median([labels[:, t].mean() for t in some])
    results[f"{modality} tracks"] = len(some)
    return results


def coverage(checkpoint, genome, store, regions, organism, name):
    """Median over tracks of Pearson's correlation in bins of 32 bp, of values and of their logarithms."""
    results = {}
    for modality in ("cage", "dnase", "rna_seq"):
        if modality not in checkpoint.spec.heads or modality not in store.modalities:
            continue
        truth, guess = [], []
        for batch, found in read(checkpoint, genome, store, regions, checkpoint.spec.window, [modality], organism):
            signal = np.asarray(batch["targets"][modality]["signal"], np.float32)
            fine = np.asarray(found[modality]["predictions_1bp"], np.float32)
            size = fine.shape[1] // signal.shape[1]
            guess.append(fine.reshape(*signal.shape[:2], size, -1).sum(axis=2).reshape(-1, signal.shape[-1]))
            truth.append(signal.reshape(-1, signal.shape[-1]))
        truth, guess = np.concatenate(truth), np.concatenate(guess)
        each, logs = [], []
        for track in range(truth.shape[1]):
            known = ~np.isnan(truth[:, track]) & np.isfinite(guess[:, track])
            if known.sum() > 100:
                one, two = truth[known, track], guess[known, track]
                each.append(pearson(one, two))
                logs.append(pearson(np.log1p(one), np.log1p(two)))
        results[f"{modality} Pearson, {name}"] = np.nanmedian(each)
        results[f"{modality} Pearson of logarithms, {name}"] = np.nanmedian(logs)
        results[f"{modality} tracks, {name}"] = len(each)
    return results


def maps(checkpoint, genome, store, regions, length=131_072):
    """Correlation of log observed over expected, which has no distance in it, between pairs of different 25-kb bins."""
    truth, guess = [], []
    for batch, found in read(checkpoint, genome, store, regions, length, ["contact_maps"], 0):
        target = np.asarray(batch["targets"]["contact_maps"]["contacts"], np.float32)[..., 0]
        rows, columns = np.triu_indices(target.shape[1], 13)
        truth.append(target[:, rows, columns].ravel())
        guess.append(found["contact_maps"]["predictions"][:, rows, columns, 0].ravel())
    truth, guess = np.concatenate(truth), np.concatenate(guess)
    known = ~np.isnan(truth)
    return {"contact_maps Pearson": pearson(truth[known], guess[known]), "contact_maps pairs": int(known.sum())}


def main(
    model: str,
    data: Annotated[pathlib.Path, typer.Option()],
    stores: Annotated[pathlib.Path, typer.Option()],
    output: Annotated[pathlib.Path, typer.Option("-o", "--output")],
    quick: bool = False,
) -> None:
    """Writes all figures as JSON, and prints them."""
    os.environ["AG_DATA"], os.environ["AG_STORES"] = str(data.absolute()), str(stores.absolute())
    loaded = load(model)
    checkpoint = Checkpoint(fold(loaded.model), loaded.spec, loaded.digest)
    settings = read_settings(pathlib.Path(recipe.__file__).with_name("mini.yaml"))
    stream = settings.data["fine"].streams["hg19"]
    genome = open_genome(*settings.locate_all(stream.genome))
    store = open_store(stores / "hg19.zarr")
    near = "chr20:42,000,001-44,000,000" if quick else "chr20:40,000,001-46,000,000"
    held = hold_out(genome.lengths, test=[near])["test"]
    both = held if quick else hold_out(genome.lengths, test=["chr20:40,000,001-46,000,000", "chr22"])["test"]
    trained = hold_out(genome.lengths, test=["chr22", "chrX", "chr20:39,900,001-46,100,000"])["train"]
    folder = data / "hg19_tracks" / "chrX_20_22"
    sites = annotated_sites(read_gtf(folder / "gencode_lift37.exons.chr20.gtf.gz")).table
    sites = sites.loc[(sites["Position"] < 39_900_000) | (sites["Position"] > 46_100_000)]
    figures = {}
    heads = checkpoint.spec.heads
    if "splice_sites" in heads:
        figures |= splicing(checkpoint, genome, store, both, log_odds(count_sites(genome.codes, sites), 0))
    for modality in ("chip_tf", "chip_histone"):
        if modality in heads:
            words = train_words(checkpoint, genome, store, trained, modality, 100 if quick else 1500)
            figures |= peaks(checkpoint, genome, store, both, modality, words)
    for number, (organism, build) in enumerate((("human", "hg38"), ("mouse", "mm10"))):
        other = open_genome(stores / f"borzoi_{organism}.fa.gz")
        windows = read_folds(data / "borzoi_tiny" / build / "sequences.bed")
        valid = windows.loc[windows["Label"] == "valid"].reset_index(drop=True)
        if organism in checkpoint.spec.organisms:
            own = open_store(stores / f"borzoi_{organism}.zarr")
            figures |= coverage(checkpoint, other, own, valid, number, organism)
    if "contact_maps" in heads:
        figures |= maps(checkpoint, genome, store, held)
    figures = {key: round(float(value), 4) for key, value in figures.items()}
    output.write_text(json.dumps({"model": loaded.digest, "figures": figures}, indent=1))
    for key, value in figures.items():
        print(f"{value:12,.4f}  {key}")


if __name__ == "__main__":
    typer.run(main)
