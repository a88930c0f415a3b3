"""Arrays for motif tools, MEME files, and what is said when the tools are not installed."""

import sys
import types

import numpy as np
import pytest
from ag_core.errors import InputError
from ag_scorers.attribution.examples import make_examples, read_examples, write_examples
from ag_scorers.attribution.meme import consensus_motifs, read_meme, write_meme
from ag_scorers.attribution.motifs import Pattern, compare_motifs, find_patterns, find_seqlets


@pytest.fixture
def examples():
    random = np.random.default_rng(0)
    sequences = np.eye(4)[random.integers(0, 4, (3, 60))]
    hypothetical = random.normal(size=sequences.shape)
    return make_examples(sequences, sequences * hypothetical, hypothetical)


def test_arrays_survive_a_file(examples, tmp_path):
    write_examples(tmp_path / "a.npz", examples, {"target": "dnase @ region"})
    for written, read in zip(examples[:3], read_examples(tmp_path / "a.npz")[:3], strict=True):
        np.testing.assert_array_equal(written, read)
    # The names that motif tools expect, readable without this package.
    with np.load(tmp_path / "a.npz") as file:
        assert {"sequences", "contributions", "hypothetical"} <= set(file)


def test_other_arrays_are_refused(examples, tmp_path):
    with pytest.raises(InputError, match=r"expected three arrays \(example, position, 4\)"):
        make_examples(examples.sequences, examples.contributions[:2], examples.hypothetical)
    with pytest.raises(InputError, match="there are NaN or infinite values"):
        make_examples(examples.sequences, examples.contributions * np.nan, examples.hypothetical)
    np.savez(tmp_path / "b.npz", sequences=examples.sequences)
    with pytest.raises(InputError, match=r"has no contributions, hypothetical; expected an \.npz"):
        read_examples(tmp_path / "b.npz")
    (tmp_path / "c.npz").write_text("no")
    with pytest.raises(InputError, match=r"cannot be read as \.npz"):
        read_examples(tmp_path / "c.npz")


def test_meme_files(tmp_path):
    motifs = consensus_motifs()
    assert len(motifs) >= 50  # fewer make TOMTOM's p values useless
    for matrix in motifs.values():
        np.testing.assert_allclose(matrix.sum(axis=1), 1)
    write_meme(tmp_path / "a.meme", motifs, "a comment")
    again = read_meme(tmp_path / "a.meme")
    assert list(again) == list(motifs)
    np.testing.assert_allclose(again["GATA AGATAAG"], motifs["GATA AGATAAG"], atol=1e-6)
    assert "".join("ACGT"[row] for row in again["GATA AGATAAG"].argmax(axis=1)) == "AGATAAG"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("MOTIF x\n", "is no MEME file: no line begins with 'MEME version'"),
        ("MEME version 4\n", "has no motif"),
        ("MEME version 4\nMOTIF\n", "line 2: the motif's name is missing"),
        ("MEME version 4\nMOTIF x\nletter-probability matrix:\n0.5 0.5 0.5 0.5\n\n", "line 5: motif 'x': .*sum to 1"),
    ],
)
def test_bad_meme_files_are_refused(tmp_path, text, message):
    (tmp_path / "a.meme").write_text(text)
    with pytest.raises(InputError, match=message):
        read_meme(tmp_path / "a.meme")


def test_the_line_that_installs_the_tools_is_told(examples, monkeypatch, tmp_path):
    for name in ("modiscolite", "memelite"):
        monkeypatch.setitem(sys.modules, name, None)  # as if it were not there
    line = r'is not installed: pip install "ag-scorers\[motifs\]"'
    with pytest.raises(InputError, match=f"motifs need modiscolite, which {line}"):
        find_seqlets(examples)
    with pytest.raises(InputError, match=f"motifs need modiscolite, which {line}"):
        find_patterns(examples)
    with pytest.raises(InputError, match=f"motifs need memelite, which {line}"):
        compare_motifs(consensus_motifs())
    with pytest.raises(InputError, match=r"exists; choose another folder"):
        find_patterns(examples, report=tmp_path)
    with pytest.raises(InputError, match="examples of 40 bp; expected at least one, of 41 bp or more"):
        find_seqlets(make_examples(*(x[:, :40] for x in examples[:3])))


def test_patterns_and_their_nearest_motifs(monkeypatch):
    """With a stand-in for TOMTOM: what goes in, and how p values become a table."""
    asked = {}

    def tomtom(queries, targets):
        asked["shapes"] = [query.shape for query in queries]
        p_values = np.array([[0.5, 0.001, 0.02]])
        return p_values, None, None, np.full((1, 3), 7.0), np.array([[0, 1, 0]])

    monkeypatch.setitem(sys.modules, "memelite", types.SimpleNamespace(tomtom=tomtom))
    size = np.repeat([0.0, 1.0, 0.0], [3, 7, 2])[:, None]
    frequencies = np.concatenate([np.full((3, 4), 0.25), consensus_motifs()["GATA AGATAAG"], np.full((2, 4), 0.25)])
    pattern = Pattern("positive_0", frequencies, size * frequencies, frequencies, None)
    assert pattern.consensus == "AGATAAG"
    known = {name: np.full((5, 4), 0.25) for name in ("a", "b", "c")}
    table = compare_motifs([pattern], known, nearest=2)
    assert asked["shapes"] == [(4, 7)]
    assert table["motif"].tolist() == ["b", "c"]
    assert table["strand"].tolist() == ["-", "+"]
    np.testing.assert_allclose(table["q_value"], [0.003, 0.03])
    assert not len(compare_motifs([], known))
