"""A few seconds of fuzzing: whatever once broke a reader, and some fresh inputs for each of those that are quick."""

import dataclasses
import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE))  # run.py starts processes of these modules

from drive import key_of, try_one  # noqa: E402
from mutate import Mutator  # noqa: E402
from subject import Subject  # noqa: E402
from subjects import SUBJECTS  # noqa: E402

EXAMPLES = sorted((HERE / "examples").glob("*.bin"))
QUICK = (
    "interval",
    "variant",
    "query",
    "target",
    "scorer",
    "regions",
    "narrow-peaks",
    "targets",
    "fasta",
    "keys",
    "tensor",
    "meme",
)


def subject_of(path: pathlib.Path) -> str:
    return path.stem.rpartition("-")[0]


def patient(name: str) -> Subject:
    """With time for imports, also where other work is done."""
    return dataclasses.replace(SUBJECTS[name], seconds=60.0)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_what_once_broke_a_reader(path, tmp_path):
    subject = patient(subject_of(path))
    subject.seeds(tmp_path)  # some readers need what lies beside
    error = try_one(subject, path.read_bytes(), tmp_path)[1]
    assert error is None, f"{key_of(error)}: {error!r}"


@pytest.mark.parametrize("name", QUICK)
def test_damaged_inputs_are_refused_in_words(name, tmp_path):
    subject = patient(name)
    mutator = Mutator(subject.seeds(tmp_path), subject.words, seed=3, binary=subject.binary)
    for _ in range(40):
        data = mutator.make()
        error = try_one(subject, data, tmp_path)[1]
        assert error is None, f"{key_of(error)}: {error!r} for {data[:500]!r}"


def test_the_same_seed_makes_the_same_inputs():
    one, other = (Mutator([b"chr1\t5\t9\n"], seed=5) for _ in range(2))
    assert [one.make() for _ in range(50)] == [other.make() for _ in range(50)]


def test_every_example_has_its_reader():
    assert {subject_of(path) for path in EXAMPLES} <= set(SUBJECTS)
    assert EXAMPLES
