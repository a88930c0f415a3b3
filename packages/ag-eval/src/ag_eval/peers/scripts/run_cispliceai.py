# /// script
# requires-python = "==3.11.*"
# dependencies = ["cispliceai==1.2.2", "tensorflow==2.15.1", "numpy==1.26.4"]
# ///
# pyright: reportMissingImports=false, reportArgumentType=false
"""Answers for `ag_eval.peers.external`: probabilities of acceptor and donor for all but 5 kb at each end of sequences.

CI-SpliceAI's weights are CC BY 4.0 (Strauch et al. 2022). keras 3 does not run them: it comes in its version 2 with
tensorflow 2.15, which wants numpy 1.
"""

import json
import os
import sys
from importlib.metadata import version

# Whatever else is printed is no answer.
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)

from cispliceai.data import DNAPreprocessor  # noqa: E402
from cispliceai.model import CISpliceAI  # noqa: E402

CONTEXT, BATCH = 5000, 4


def answer(value):
    """One line."""
    answers.write(json.dumps(value) + "\n")
    answers.flush()


model = CISpliceAI()
answer(version("cispliceai"))
for line in sys.stdin:
    sequences, found = json.loads(line), []
    for start in range(0, len(sequences), BATCH):
        # The package pads with N, where here bases are.
        inputs = [DNAPreprocessor.onehot_and_pad(text)[CONTEXT:-CONTEXT] for text in sequences[start : start + BATCH]]
        found += [each[:, 1:3].tolist() for each in model.predict(inputs)]
    answer(found)
