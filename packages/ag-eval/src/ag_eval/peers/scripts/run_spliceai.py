# /// script
# requires-python = "==3.11.*"
# dependencies = ["spliceai==1.3.1", "tensorflow==2.15.1", "keras==2.15.0", "numpy==1.26.4", "setuptools==80.10.2"]
# ///
# pyright: reportMissingImports=false, reportArgumentType=false
"""Answers for `ag_eval.peers.external`: probabilities of acceptor and donor for all but 5 kb at each end of sequences.

SpliceAI's weights are CC BY-NC (Jaganathan et al. 2019): for comparison only. The package needs pkg_resources, which
setuptools had up to 80, and keras 2.
"""

import json
import os
import pathlib
import sys
from importlib.metadata import version

# Whatever else is printed is no answer.
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)

import numpy as np  # noqa: E402
import spliceai  # noqa: E402
from keras.models import load_model  # noqa: E402

BATCH = 4
CODES = np.full(256, 4)
CODES[[ord(base) for base in "ACGT"]] = range(4)
# An unknown base is four zeros.
ROWS = np.concatenate([np.eye(4), np.zeros((1, 4))]).astype(np.float32)


def answer(value):
    """One line."""
    answers.write(json.dumps(value) + "\n")
    answers.flush()


def predict(sequences):
    """Mean of the five models, for sequences of one length."""
    inputs = np.stack([ROWS[CODES[np.frombuffer(text.encode(), np.uint8)]] for text in sequences])
    return np.mean([model(inputs, training=False).numpy() for model in models], axis=0)[:, :, 1:3]


folder = pathlib.Path(spliceai.__file__).with_name("models")
models = [load_model(folder / f"spliceai{number}.h5", compile=False) for number in range(1, 6)]
answer(version("spliceai"))
for line in sys.stdin:
    sequences = json.loads(line)
    found = {}
    for length in sorted({len(text) for text in sequences}):
        alike = [number for number, text in enumerate(sequences) if len(text) == length]
        for start in range(0, len(alike), BATCH):
            some = alike[start : start + BATCH]
            found.update(zip(some, predict([sequences[number] for number in some]).tolist(), strict=True))
    answer([found[number] for number in range(len(sequences))])
