"""A synthetic genome with planted motifs, and stores of what an experiment would measure of them."""

import pathlib

import numpy as np
import yaml
from ag_core.config import PRESETS
from ag_data import import_tracks, read_manifest

MOTIF = "TGACTCAGCTGA"
LENGTHS = {"chr1": 120_000, "chr2": 30_000}
# With one block less to compile.
BACKBONE = PRESETS["tiny"].to_dict() | {"blocks": 1}


def plant(folder: pathlib.Path, seed: int = 0) -> pathlib.Path:
    """`genome.fa`, `peaks.bed` (around motifs on either strand) and `store.zarr` with chip_tf at 128 bp."""
    random = np.random.default_rng(seed)
    turned = MOTIF[::-1].translate(str.maketrans("ACGT", "TGCA"))
    genome, peaks = [], []
    for name, length in LENGTHS.items():
        bases = random.choice(list("ACGT"), length)
        for start in range(400, length - 400, 640):
            place = start + int(random.integers(0, 300))
            bases[place : place + len(MOTIF)] = list(MOTIF if random.random() < 0.5 else turned)
            peaks.append(f"{name}\t{place - 50}\t{place + 62}\n")
        genome.append(f">{name}\n{''.join(bases)}\n")
    (folder / "genome.fa").write_text("".join(genome))
    (folder / "peaks.bed").write_text("".join(peaks))
    tracks = [{"path": "peaks.bed", "modality": "chip_tf", "resolution": 128, "name": "planted"}]
    manifest = {"genome": "genome.fa", "organism": "human", "build": "toy", "tracks": tracks}
    (folder / "manifest.yaml").write_text(yaml.safe_dump(manifest))
    import_tracks(read_manifest(folder / "manifest.yaml"), folder / "store.zarr")
    return folder


def recipe(steps: int = 8, **changes) -> dict:
    """Settings of a small run on it."""
    stream = {
        "organism": "human",
        "genome": "genome.fa",
        "stores": ["store.zarr"],
        "split": {"hold_out": {"valid": ["chr2"]}},
        "valid": 4,
    }
    return {
        "name": "planted",
        "model": {"backbone": BACKBONE, "window": 2048, "heads": {"chip_tf": {}}},
        "data": {"main": {"batch": 4, "streams": {"own": stream}, "augment": {"shift": 64}}},
        "optimiser": {"steps": steps, "learning_rate": 3e-3, "warmup": 2},
        "run": {"log_every": 1, "validate_every": 4, "checkpoint_every": 2},
        **changes,
    }
