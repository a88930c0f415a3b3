"""Trains heads on sequences with planted motifs; prints held-out figures as JSON: `python learn.py GROUP`.

What is planted: promoters (accessibility, initiation and histone marks follow them), exons between an acceptor and a
donor, strong or weak (sites, usage, junctions and RNA follow them), and anchors, which a factor binds (bins that both
have one touch).
"""

import dataclasses
import json
import sys
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from ag_core import training
from ag_core.checkpoint import build
from ag_core.config import BackboneConfig
from ag_core.model import training_mode
from ag_core.sequence import one_hot
from ag_eval.metrics import auprc
from eleven import eleven_heads_spec

LENGTH, BATCH, SLOT, BIN = 8192, 4, 512, 2048
CODES = {base: code for code, base in enumerate("ACGT")}
PROMOTER, ACCEPTOR, ANCHOR = "CACGGATTACTG", "TTTCCTTTCAGG", "CCGCGAGGTGGC"
DONORS = ("CAGGTAAGTATG", "ATGGTGCGTCCA")  # strong and weak
# Of strong and of weak sites in tissues a and b.
USAGE, COUNTS = np.array([[0.95, 0.05], [0.05, 0.95]]), np.array([[30.0, 4.0, 12.0], [5.0, 25.0, 12.0]])


class Group(NamedTuple):
    """Heads that are trained together: weights of losses, steps, peak rate, steps up to it, channels of the stem."""

    weights: dict[str, float]
    steps: int
    rate: float = 5e-3
    warmup: int = 0
    stem: int = 16


GROUPS = {
    "signal": Group({"atac": 1.0, "dnase": 1.0, "chip_histone": 1.0}, 500),
    # Strands are told apart late, and later the more heads share the clipped gradient.
    "starts": Group({"procap": 1.0, "cage": 1.0}, 600),
    # Exons are filled between two motifs. Faster or narrower, one is found, and the usual length of an exon.
    "transcripts": Group({"rna_seq": 1.0}, 1000, rate=2.5e-3, warmup=50, stem=24),
    "splicing": Group({"splice_sites": 20.0, "splice_site_usage": 1.0, "splice_junctions": 1.0}, 600),
    "contacts": Group({"chip_tf": 1.0, "contact_maps": 5.0}, 500),
}
TRACK_ROWS = {"+": 0, "-": 2}  # a and b of a strand: +, +, -, -


def _codes(text: str) -> np.ndarray:
    return np.array([CODES[base] for base in text])


def example(random: np.random.Generator, sites: int) -> dict:
    """One sequence and all that is measured on it."""
    codes = random.integers(0, 4, LENGTH)
    position = np.arange(LENGTH)
    wide, narrow, broad, bound = (np.zeros(LENGTH) for _ in range(4))
    starts, rna, usage = (np.zeros((LENGTH, 5)) for _ in range(3))
    usage[:] = np.nan
    labels = np.full(LENGTH, 4)
    found: dict[int, list[tuple[int, int]]] = {kind: [] for kind in range(4)}  # (position, strong 0 or weak 1)
    anchored = np.zeros(LENGTH // BIN)
    for slot in range(0, LENGTH, SLOT):
        begin, what, minus = slot + int(random.integers(40, 150)), random.random(), random.random() < 0.5
        if what < 0.3:
            piece = _codes(PROMOTER)
            middle = begin + len(piece) // 2
            codes[begin : begin + len(piece)] = 3 - piece[::-1] if minus else piece
            wide += 6 * np.exp(-(((position - middle) / 40) ** 2))
            narrow += 8 * np.exp(-(((position - middle) / 12) ** 2))
            broad += np.exp(-(((position - middle) / 300) ** 2))
            row = TRACK_ROWS["-" if minus else "+"]
            starts[middle - 2 : middle + 3, row] += 20
            starts[middle - 2 : middle + 3, row + 1] += 8
        elif what < 0.75:
            weak, size = int(random.random() < 0.5), int(random.integers(100, 220))
            left, right = _codes(ACCEPTOR), _codes(DONORS[weak])
            exon = np.concatenate([left, random.integers(0, 4, size), right])
            codes[begin : begin + len(exon)] = 3 - exon[::-1] if minus else exon
            acceptor, donor = len(left) - 1, len(left) + size + 2
            if minus:
                acceptor, donor = len(exon) - 1 - acceptor, len(exon) - 1 - donor
            acceptor, donor = begin + acceptor, begin + donor
            low, high = sorted((acceptor, donor))
            row = TRACK_ROWS["-" if minus else "+"]
            rna[low : high + 1, row : row + 2] += USAGE[weak] * 6
            usage[donor, row : row + 2] = USAGE[weak]
            labels[donor], labels[acceptor] = 2 * minus, 2 * minus + 1
            found[2 * minus].append((donor, weak))
            found[2 * minus + 1].append((acceptor, weak))
        elif what < 0.9:
            piece = _codes(ANCHOR)
            for at in range(begin, begin + 320, 80):
                codes[at : at + len(piece)] = piece
                bound += 6 * np.exp(-(((position - at) / 40) ** 2))
            anchored[slot // BIN] = 1
    contacts = np.outer(anchored, anchored) - 0.3
    positions, counts = np.full((4, sites), -1), np.zeros((sites, sites, 6))
    for kind, own in found.items():
        positions[kind, : len(own)] = [at for at, _ in own]
    for minus in (0, 1):
        donors, acceptors = found[2 * minus], found[2 * minus + 1]
        for i, (donor, weak) in enumerate(donors):
            for j, (acceptor, _) in enumerate(acceptors):
                apart = (donor - acceptor) if minus else (acceptor - donor)
                if apart > 0:
                    counts[i, j, 3 * minus : 3 * minus + 3] = COUNTS[weak]
    fine = {"atac": wide, "dnase": narrow}
    coarse = {"chip_tf": bound, "chip_histone": broad}
    nothing = np.full(LENGTH, np.nan)
    stranded = {"procap": starts, "cage": starts / 2, "rna_seq": rna}
    targets = {name: np.stack([x, x / 2, nothing], axis=1) for name, x in fine.items()}
    targets |= {name: np.stack([x, x / 2, nothing], 1).reshape(-1, 128, 3).sum(1) for name, x in coarse.items()}
    for name, x in stranded.items():
        targets[name] = np.where(np.arange(5) < 4, x, np.nan)
    targets = {name: {"signal": x.astype(np.float32)} for name, x in targets.items()}
    targets |= {
        "contact_maps": {"contacts": np.stack([contacts, contacts / 2, contacts * np.nan], -1).astype(np.float32)},
        "splice_sites": {"classes": np.eye(5, dtype=bool)[labels]},
        "splice_site_usage": {"usage": usage.astype(np.float32)},
        "splice_junctions": {
            "counts": counts.astype(np.float32),
            "splice_site_positions": positions.astype(np.int32),
        },
    }
    return {"codes": codes.astype(np.uint8), "organism": np.int32(0), "targets": targets}


def batch_of(seed: int, sites: int, size: int = BATCH) -> dict:
    """A batch of fresh sequences."""
    random = np.random.default_rng(seed)
    return jax.tree.map(lambda *rows: np.stack(rows), *[example(random, sites) for _ in range(size)])


def _pearson(truth: np.ndarray, guess: np.ndarray) -> float:
    known = np.isfinite(truth) & np.isfinite(guess)
    return float(np.corrcoef(truth[known], guess[known])[0, 1])


def figures(truths: dict, guesses: dict) -> dict[str, float]:
    """One figure for each modality: a correlation, or the area under precision and recall."""
    found = {}
    for name, target in truths.items():
        if "signal" in target:
            tracks = range(target["signal"].shape[-1] - 1)
            guess = guesses[name]["output"]
            found[name] = float(np.mean([_pearson(target["signal"][..., t], guess[..., t]) for t in tracks]))
    if "splice_sites" in truths:
        guess, classes = guesses["splice_sites"]["output"], truths["splice_sites"]["classes"]
        areas = [auprc(classes[..., c].ravel(), guess[..., c].ravel()) for c in range(4)]
        found["splice_sites"] = float(np.mean(areas))
    if "splice_site_usage" in truths:
        usage = truths["splice_site_usage"]["usage"]
        found["splice_site_usage"] = _pearson(usage, guesses["splice_site_usage"]["output"])
    if "splice_junctions" in truths:
        counts, guess = truths["splice_junctions"]["counts"], guesses["splice_junctions"]
        mask = guess["splice_junction_mask"]
        found["splice_junctions"] = _pearson(np.log1p(counts[mask]), np.log1p(guess["output"][mask]))
    if "contact_maps" in truths:
        contacts = truths["contact_maps"]["contacts"]
        rows, columns = np.triu_indices(contacts.shape[1], 1)
        guess = guesses["contact_maps"]["output"][:, rows, columns, :2]
        found["contact_maps"] = _pearson(contacts[:, rows, columns, :2], guess)
    return {name: round(value, 4) for name, value in found.items()}


def main(group: str) -> None:
    """Trains and prints."""
    weights, steps, rate, warmup, stem = GROUPS[group]
    backbone = BackboneConfig(
        stem=stem,
        step=stem // 2,
        blocks=2,
        heads=2,
        key_size=16,
        value_size=16,
        pair_heads=4,
        pair_head_size=16,
        pair_size=16,
        position_features=8,
        organisms=2,
    )
    spec = eleven_heads_spec()
    heads = {name: spec.heads[name] for name in weights}
    sites = LENGTH // SLOT
    options = {"splice_sites": {"site_weight": 50}, "splice_junctions": {"sites": sites, "hidden": 32}}
    heads = {name: dataclasses.replace(head, options=options.get(name, {})) for name, head in heads.items()}
    spec = dataclasses.replace(spec, backbone=backbone, heads=heads, window=LENGTH)
    model = training_mode(build(spec, key=jax.random.key(0)))
    schedule = optax.warmup_cosine_decay_schedule(0.0, rate, warmup, steps)
    optimiser = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule))
    state = training.start(model, optimiser)

    def draw(seed: int) -> dict:
        batch = batch_of(seed, sites)
        return {**batch, "targets": {name: batch["targets"][name] for name in weights}}

    @eqx.filter_jit(donate="all-except-first")
    def step(batch, state):
        def loss(model, batch, key):
            dna = one_hot(batch["codes"])
            return training.model_loss(model, dna, batch["organism"], batch["targets"], weights=weights)

        return training.advance(state, batch, loss=loss, optimiser=optimiser)

    @eqx.filter_jit
    def predict(model, batch):
        given = {name: model.heads[name].conditions(target) for name, target in batch["targets"].items()}
        embeddings = model.embed(one_hot(batch["codes"]), batch["organism"], modalities=tuple(weights))
        found = model.predict(embeddings, batch["organism"], given={name: x for name, x in given.items() if x})
        return {name: {**x, "output": jax.vmap(model.heads[name].output)(x)} for name, x in found.items()}

    def held_out():
        pairs = []
        for seed in range(8):
            batch = draw(1_000_000 + seed)
            pairs.append((batch["targets"], predict(training_mode(state.model, False), batch)))
        return figures(*(jax.tree.map(lambda *x: np.concatenate(x), *each) for each in zip(*pairs, strict=True)))

    for number in range(steps):
        state, report = step(jax.tree.map(jnp.asarray, draw(number)), state)
        if (number + 1) % 250 == 0:
            print(number + 1, float(report.loss), held_out(), file=sys.stderr, flush=True)
    print(json.dumps(held_out()))


if __name__ == "__main__":
    main(sys.argv[1])
