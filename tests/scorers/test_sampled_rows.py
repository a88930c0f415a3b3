"""Readers of outputs: whatever the format, its rows are those that were written."""

import itertools
import json

import numpy as np
import pytest
from ag_scorers.expected_rows import ExpectedRows, strongest
from ag_scorers.sampled_rows import Kind, choose_rows, reservoir, split_rows
from ag_scorers.scored_files import READERS, sample_rows
from scipy.stats import chisquare
from test_big_outputs import COLUMNS, RESULTS, TEMPLATES, TABLES
from ag_scorers.outputs import SUFFIXES, open_writer
from hypothesis import given
from hypothesis import strategies as st

MADE_BY = {"model_digest": "ab", "requested": '["x"]', "reference": "{}"}
