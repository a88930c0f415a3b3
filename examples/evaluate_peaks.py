"""Are TF and histone peaks found on held-out sequence? Beside G+C, and a logistic regression on 6-mers.

    hatch run python examples/evaluate_peaks.py MODEL --data DIR --stores DIR -o peaks.json

Bins of 128 bp of chr20:40,000,001-46,000,000 and chr22 (GRCh37), positive where more than half lies in a peak. The
regression learns from bins that the model was trained on. Medians over experiments, intervals over experiments.
"""

import json
import os
import pathlib
from collections.abc import Iterator
from typing import Annotated, Any

import ag_heads.recipes.mini as recipe
import equinox as eqx
import numpy as np
import typer
from ag_core.checkpoint import Checkpoint, load
from ag_core.model import fold
from ag_core.sequence import one_hot
from ag_data import Loader, Stream, Tiled, hold_out, open_genome, open_store
from ag_data.sampling import Anywhere
from ag_data.streams import Wanted
from ag_eval.metrics import auprc, auroc, bootstrap_median
from ag_heads.recipes.settings_file import read_settings
from peak_words import count_words, fit
from rich.console import Console
from rich.progress import track as show

BATCH, BIN, AROUND = 4, 128, 1024
TEST = ("chr20:40,000,001-46,000,000", "chr22")
# Never learnt from: held out, or what training is stopped by.
KEPT_APART = ("chr22", "chrX", "chr20:39,900,001-46,100,000")


@eqx.filter_jit
def predict(model: Any, codes: Any, organism: Any, modality: str) -> Any:
    """What the head says, in bins."""
    predictions = model(one_hot(codes), organism, modalities=(modality,))[modality]
    return model.heads[modality].output(predictions)


def windows(checkpoint: Checkpoint, genome: Any, store: Any, sampler: Any, modality: str, epochs: int | None) -> Any:
    """Batches of codes and targets."""
    wanted = {modality: Wanted(tracks=checkpoint.spec.heads[modality].tracks, resolution=BIN)}
    stream = Stream(genome, store, sampler, 0)
    return Loader([stream], batch=BATCH, length=checkpoint.spec.window, modalities=wanted, epochs=epochs, threads=1)


def rows(batch: Any, modality: str) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Of each window: codes, signal, and which bins are known."""
    signal = np.asarray(batch["targets"][modality]["signal"], np.float32)
    for codes, own in zip(batch["codes"], signal, strict=True):
        yield codes, own, (codes.reshape(-1, BIN) < 4).all(axis=1) & ~np.isnan(own).any(axis=1)


def learn_words(checkpoint: Checkpoint, genome: Any, store: Any, modality: str, most: int) -> Any:
    """The regression, from `most` windows."""
    regions = hold_out(genome.lengths, test=list(KEPT_APART))["train"]
    sampler = Anywhere(regions, checkpoint.spec.window, genome=genome, max_unknown=0.5)
    features, labels = [], []
    with windows(checkpoint, genome, store, sampler, modality, None) as loader:
        for batch in loader:
            for codes, signal, known in rows(batch, modality):
                peaks = signal > BIN / 2
                # Bins with any peak, and a few of the many others.
                chosen = known & (peaks.any(axis=1) | (np.random.default_rng(len(labels)).random(len(peaks)) < 0.1))
                features.append(count_words(codes)[chosen])
                labels.append(peaks[chosen])
            if len(labels) >= most:
                break
    return fit(np.concatenate(features), np.concatenate(labels))


def measure(
    checkpoint: Checkpoint, genome: Any, store: Any, modality: str, test: list[str], most: int
) -> dict[str, list[float]]:
    """Median AUPRC and AUROC over experiments of the model and both baselines."""
    weights, biases = learn_words(checkpoint, genome, store, modality, most)
    sampler = Tiled(hold_out(genome.lengths, test=test)["test"], checkpoint.spec.window, genome=genome)
    labels, scores = [], {"model": [], "6-mers": [], "G+C": []}
    with windows(checkpoint, genome, store, sampler, modality, 1) as loader:
        for batch in show(loader, modality, total=len(loader), console=Console(stderr=True), transient=True):
            guess = np.asarray(predict(checkpoint.model, batch["codes"], batch["organism"], modality))
            for own, (codes, signal, known) in zip(guess, rows(batch, modality), strict=True):
                content = np.convolve((codes == 1) | (codes == 2), np.ones(AROUND) / AROUND, "same")
                labels.append(signal[known] > BIN / 2)
                scores["model"].append(own[known])
                scores["6-mers"].append(count_words(codes)[known] @ weights + biases)
                scores["G+C"].append(
                    np.broadcast_to(content.reshape(-1, BIN).mean(axis=1)[known, None], labels[-1].shape)
                )
    truth = np.concatenate(labels)
    some = [track for track in range(truth.shape[1]) if truth[:, track].sum() >= 5]
    figures = {f"{modality} experiments": [float(len(some))], f"{modality} bins": [float(len(truth))]}
    for name, parts in scores.items():
        values = np.concatenate(parts)
        for metric in (auprc, auroc):
            each = np.array([metric(truth[:, track], values[:, track]) for track in some])
            figures[f"{modality} {metric.__name__}, {name}"] = list(bootstrap_median(each))
    figures[f"{modality} auprc, chance"] = [float(np.median(truth[:, some].mean(axis=0)))]
    return figures


def main(
    model: str,
    data: Annotated[pathlib.Path, typer.Option()],
    stores: Annotated[pathlib.Path, typer.Option()],
    output: Annotated[pathlib.Path, typer.Option("-o", "--output")],
    quick: bool = False,
) -> None:
    """Writes all figures as JSON (value, low, high), and prints them."""
    os.environ["AG_DATA"], os.environ["AG_STORES"] = str(data.absolute()), str(stores.absolute())
    loaded = load(model)
    checkpoint = Checkpoint(fold(loaded.model), loaded.spec, loaded.digest)
    settings = read_settings(pathlib.Path(recipe.__file__).with_name("mini.yaml"))
    genome = open_genome(*settings.locate_all(settings.data["fine"].streams["hg19"].genome))
    store = open_store(stores / "hg19.zarr")
    test, most = (["chr20:42,000,001-43,000,000"], 100) if quick else (list(TEST), 1500)
    figures = {}
    for modality in ("chip_tf", "chip_histone"):
        if modality in checkpoint.spec.heads:
            figures |= measure(checkpoint, genome, store, modality, test, most)
    figures = {key: [round(value, 4) for value in values] for key, values in figures.items()}
    output.write_text(json.dumps({"model": loaded.digest, "figures": figures}, indent=1) + "\n")
    for key, values in figures.items():
        print(f"{key:30}", *(f"{value:10,.4f}" for value in values))


if __name__ == "__main__":
    typer.run(main)
