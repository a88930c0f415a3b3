# /// script
# requires-python = "==3.11.*"
# dependencies = ["mmsplice==2.4.0", "tensorflow==2.15.1", "numpy==1.26.4", "setuptools==80.10.2"]
# [tool.uv]
# override-dependencies = ["cyvcf2>=0.31"]
# ///
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
from mmsplice.utils import predict_deltaLogitPsi  # noqa: E402


def answer(value):
    """One line."""
    answers.write(json.dumps(value) + "\n")
    answers.flush()


def modules(sequence, left, right):
    """Scores of the five modules; most references are asked for many times."""
    key = sequence, left, right
    if key not in known:
        known[key] = np.asarray(model.predict_on_seq(sequence, (left, right)))
    return known[key]


model, known = MMSplice(), {}
answer(version("mmsplice"))
for line in sys.stdin:
    found = []
    for reference, alternate, left, right in json.loads(line):
        scores = [modules(sequence, left, right)[None] for sequence in (reference, alternate)]
        found.append(float(predict_deltaLogitPsi(*scores)[0]))
    answer(found)
