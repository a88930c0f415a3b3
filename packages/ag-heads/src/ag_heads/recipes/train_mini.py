"""Trains the embedded model: ENCODE ChIP-seq peaks (128 bp) and RAMPAGE TSS (1 bp), hg19 chr20 and chrX.

    hatch run train-mini --data DIR --out runs/mini

Held out: chr22 and chr20:40,000,000-46,000,000; validation: chrX:1-10,000,000. Interrupting saves the state; the
same command goes on from there. Two cores need about an hour.
"""

import json
import pathlib
import time
from typing import Annotated

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import typer
from ag_core import training
from ag_core.checkpoint import HeadSpec, ModelSpec, build, save
from ag_core.config import PRESETS
from ag_core.model import Model, training_mode
from ag_core.schema import strand_partners
from ag_core.sequence import one_hot

from ag_heads.recipes.peak_targets import BIN, Chromosome, load_chromosomes

WINDOW = 16_384
BATCH = 8
HELD_OUT = {"chr22": [(0, 10**9)], "chr20": [(40_000_000, 46_000_000)]}
VALIDATION = ("chrX", 0, 10_000_000)
MARGIN = WINDOW
# In windows around a TSS a few strong ones would outweigh all ChIP-seq tracks.
WEIGHTS = {"chip_tf": 1.0, "cage": 0.3}


def allowed(name: str, start: int, end: int) -> bool:
    """Whether a training window stays clear of everything held out."""
    spans = [*HELD_OUT.get(name, []), *([VALIDATION[1:]] if name == VALIDATION[0] else [])]
    return all(end + MARGIN <= s or start >= e + MARGIN for s, e in spans)


class Sampler:
    """Random windows, half of them around something measured, half of all turned to the other strand."""

    def __init__(self, chromosomes: list[Chromosome], partners: np.ndarray, seed: int):
        self.chromosomes = [c for c in chromosomes if c.name not in ("chr22",)]
        self.weights = np.array([len(c.codes) for c in self.chromosomes], float)
        self.weights /= self.weights.sum()
        self.partners = partners
        self.random = np.random.default_rng(seed)

    def window(self) -> tuple[Chromosome, int]:
        while True:
            chromosome = self.chromosomes[self.random.choice(len(self.chromosomes), p=self.weights)]
            # A quarter of the windows around a TSS: there are fifty times fewer than ChIP-seq peaks.
            kind = self.random.choice(["anywhere", "peak", "tss"], p=[0.5, 0.25, 0.25])
            if kind != "anywhere":
                anchors = chromosome.summits if kind == "peak" else chromosome.tss["start"].to_numpy()
                start = int(self.random.choice(anchors)) - int(self.random.integers(0, WINDOW))
            else:
                start = int(self.random.integers(0, len(chromosome.codes) - WINDOW))
            start = start // BIN * BIN
            end = start + WINDOW
            inside = start >= 0 and end <= len(chromosome.codes) and allowed(chromosome.name, start, end)
            if inside and (chromosome.codes[start:end] == 4).mean() < 0.5:
                return chromosome, start

    def batch(self, size: int = BATCH) -> dict[str, np.ndarray]:
        flips = self.random.random(size) < 0.5
        return make_batch([self.window() for _ in range(size)], flips, self.partners)


def make_batch(windows: list[tuple[Chromosome, int]], flips: np.ndarray, partners: np.ndarray) -> dict[str, np.ndarray]:
    """Base codes and targets of windows, reverse-complemented where `flips`."""
    codes, chips, cages = [], [], []
    for (chromosome, start), flip in zip(windows, flips, strict=True):
        code = chromosome.codes[start : start + WINDOW]
        chip = chromosome.chip[start // BIN : (start + WINDOW) // BIN].astype(np.float32)
        if flip:
            code, chip = np.array([3, 2, 1, 0, 4], np.uint8)[code[::-1]], chip[::-1]
        codes.append(code)
        chips.append(chip)
        cage = chromosome.cage(start, start + WINDOW)
        cages.append(cage[::-1][:, partners] if flip else cage)
    return {"codes": np.stack(codes), "chip_tf": np.stack(chips), "cage": np.stack(cages)}


def losses(model: Model, batch: dict[str, jax.Array]) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Weighted sum over heads, and its parts."""
    organism = jnp.zeros(len(batch["codes"]), jnp.int32)
    targets = {name: {"signal": batch[name]} for name in model.heads}
    return training.model_loss(model, one_hot(batch["codes"]), organism, targets, weights=WEIGHTS)


def make_spec(chromosomes: list[Chromosome], chip, cage) -> ModelSpec:
    """The model's description, with track means over the training chromosomes."""
    training_parts = [c for c in chromosomes if c.name != "chr22"]
    bins = np.concatenate([c.chip for c in training_parts]).astype(np.float32)
    counts_of = (bins > 0).sum(0)
    chip_means = np.where(counts_of > 0, bins.sum(0) / np.maximum(counts_of, 1) / BIN, 1.0)
    sums, counts = np.zeros(2), np.zeros(2)
    for chromosome in training_parts:
        for i, strand in enumerate("+-"):
            own = chromosome.tss[chromosome.tss["strand"] == strand]
            sums[i] += own["count_"].sum()
            counts[i] += (own["end"] - own["start"]).sum()
    # Both strands of an experiment share one mean, as in the reference.
    cage_mean = sums.sum() / counts.sum()
    chip = chip.assign(nonzero_mean=("track", chip_means.astype(float)))
    cage = cage.assign(nonzero_mean=("track", np.full(2, cage_mean)))
    return ModelSpec(
        name="mini",
        backbone=PRESETS["mini"],
        heads={"chip_tf": HeadSpec("chip_tf", (chip,)), "cage": HeadSpec("cage", (cage,))},
        organisms=("human",),
        window=WINDOW,
        licence="Apache-2.0",
        notes="Provisional: trained for about an hour on two cores. See MODEL_CARD.md.",
    )


def start_from_averages(model: Model, chromosomes: list[Chromosome], spec: ModelSpec) -> Model:
    """Output biases such that the untrained model predicts each track's average.

    Peaks and TSS are rare: from zero biases the first hundreds of steps would only learn to predict less.
    """
    parts = [c for c in chromosomes if c.name != "chr22"]
    bases = sum(len(c.codes) for c in parts)
    sums = {
        "chip_tf": sum(c.chip.astype(np.float32).sum(0) for c in parts),
        "cage": np.array([sum(c.tss.loc[c.tss["strand"] == s, "count_"].sum() for c in parts) for s in "+-"]),
    }
    for name, total in sums.items():
        means = spec.heads[name].tracks[0]["nonzero_mean"].values
        average = jnp.asarray(total / bases / means, jnp.float32) / jax.nn.softplus(1.0)
        bias = jnp.log(jnp.expm1(jnp.maximum(average, 1e-6)))[None]
        for resolution in model.heads[name].resolutions:
            model = eqx.tree_at(lambda m, n=name, r=resolution: m.heads[n].linears[r].bias, model, jnp.array(bias))
    return model


def validation_batches(chromosomes: list[Chromosome], partners: np.ndarray) -> list[dict[str, np.ndarray]]:
    """Fixed windows over the validation span."""
    name, start, end = VALIDATION
    chromosome = next(c for c in chromosomes if c.name == name)
    starts = [
        s for s in range(start, end - WINDOW, 10 * WINDOW) if (chromosome.codes[s : s + WINDOW] == 4).mean() < 0.5
    ]
    windows = [(chromosome, s) for s in starts[: len(starts) // BATCH * BATCH]]
    return [make_batch(windows[i : i + BATCH], np.zeros(BATCH, bool), partners) for i in range(0, len(windows), BATCH)]


def main(
    data: Annotated[pathlib.Path, typer.Option(help="folder with hg19_seq/ and hg19_tracks/")],
    out: Annotated[pathlib.Path, typer.Option(help="folder for the checkpoint, state and log")],
    steps: Annotated[int, typer.Option(help="optimiser steps in all")] = 1500,
    seed: int = 0,
) -> None:
    """Trains, logging to OUT/log.jsonl, and leaves the checkpoint in OUT/checkpoint."""
    out.mkdir(parents=True, exist_ok=True)
    chromosomes, chip, cage = load_chromosomes(data)
    spec = make_spec(chromosomes, chip, cage)
    partners = strand_partners(cage)
    schedule = optax.warmup_cosine_decay_schedule(0.0, 2e-3, max(steps // 20, 1), steps)
    optimiser = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule, weight_decay=0.01))
    model = start_from_averages(build(spec, key=jax.random.key(seed)), chromosomes, spec)
    state = training.start(training_mode(model), optimiser)
    state_file = out / "state.eqx"
    if state_file.exists():
        state = eqx.tree_deserialise_leaves(state_file, state)

    def loss(model: Model, batch: dict[str, jax.Array]) -> jax.Array:
        return losses(model, batch)[0]

    advance = eqx.filter_jit(lambda s, b: training.advance(s, b, loss=loss, optimiser=optimiser), donate="all")
    evaluate = eqx.filter_jit(lambda model, batch: losses(training_mode(model, False), batch)[1])
    held = validation_batches(chromosomes, partners)
    begun, recent = time.monotonic(), []

    def keep() -> None:
        temporary = state_file.with_suffix(".tmp")
        eqx.tree_serialise_leaves(temporary, state)
        temporary.replace(state_file)
        save(out / "checkpoint", training_mode(state.model, False), spec)

    try:
        for step in range(int(state.step), steps):
            # One generator for each step: a resumed run sees what an uninterrupted one would.
            state, value = advance(state, Sampler(chromosomes, partners, seed=(seed << 32) + step).batch())
            recent.append(float(value))
            if (step + 1) % 50 == 0 or step + 1 == steps:
                record = {"step": step + 1, "loss": float(np.mean(recent)), "seconds": time.monotonic() - begun}
                if (step + 1) % 100 == 0 or step + 1 == steps:
                    each = [evaluate(state.model, batch) for batch in held]
                    for name in state.model.heads:
                        record[f"validation_{name}"] = float(np.mean([parts[f"{name}/loss"] for parts in each]))
                    keep()
                recent = []
                print(json.dumps(record), flush=True)
                with (out / "log.jsonl").open("a") as log:
                    log.write(json.dumps(record) + "\n")
    finally:
        keep()


if __name__ == "__main__":
    typer.run(main)
