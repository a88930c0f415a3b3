# /// script
# requires-python = "==3.11.*"
# dependencies = ["mmsplice==2.4.0", "tensorflow==2.15.1", "numpy==1.26.4", "setuptools==80.10.2"]
# [tool.uv]
# override-dependencies = ["cyvcf2>=0.31"]
# ///
# pyright: reportMissingImports=false, reportArgumentType=false
"""Answers for `ag_eval.peers.external`: change of logit PSI between two exons with their surroundings.

A request is [reference, alternate, left, right]: sequences in the direction of transcription, and how many bases of
intron they have on both sides. MMSplice is MIT-licensed (Cheng et al. 2019). It asks for a cyvcf2 that has no wheels
for Python 3.11, and reads no VCF here; pkg_resources were in setuptools up to 80.
"""

import json
import os
import sys
from importlib.metadata import version

# Whatever else is printed is no answer.
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)

import numpy as np  # noqa: E402
from mmsplice import MMSplice  # noqa: E402
from mmsplice.utils import encodeDNA, predict_deltaLogitPsi  # noqa: E402


def answer(value):
    """One line."""
    answers.write(json.dumps(value) + "\n")
    answers.flush()


def score(exons):
    """[exon, module] scores of (sequence, left, right); in one batch, since each starts five networks."""
    parts = [model.spliter.split(text, (left, right), pattern_warning=False) for text, left, right in exons]
    inputs = {name: encodeDNA([each[name] for each in parts]) for name in parts[0]}
    return np.asarray(model.predict_modular_scores_on_batch(inputs))


model = MMSplice()
answer(version("mmsplice"))
for line in sys.stdin:
    requests = json.loads(line)
    pairs = [[(text, left, right) for text in alleles] for *alleles, left, right in requests]
    exons = list(dict.fromkeys(exon for pair in pairs for exon in pair))
    scores = dict(zip(exons, score(exons), strict=True))
    references, alternates = (np.stack([scores[pair[number]] for pair in pairs]) for number in (0, 1))
    answer(np.asarray(predict_deltaLogitPsi(references, alternates)).astype(float).tolist())
