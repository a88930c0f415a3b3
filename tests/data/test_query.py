import numpy as np
import pytest
from ag_core.errors import InputError
from ag_core.schema import track_table
from ag_data.query import select_tracks

TRACKS = track_table(
    {
        "name": ["a K562 x", "b HepG2", "c CD14+ T cell", "padding"],
        "strand": ["+", "-", ".", "."],
        "assay": ["total RNA-seq", "polyA plus RNA-seq", "total RNA-seq", ""],
        "nonzero_mean": [1.0, 2.0, 3.0, 0.0],
    }
).assign_attrs(modality="rna_seq")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("k562", [0]),
        ("K562 | hepg2", [0, 1]),
        ("K562 or HepG2 and polya", [0, 1]),
        ("(K562 or HepG2) and polya", [1]),
        ("total cell", [2]),
        ("total cell | hepg2", [1, 2]),
        ('"T cell"', [2]),
        ("'t cell'", [2]),
        ("CD14+", [2]),
        ("!k562", [1, 2]),
        ("not not k562", [0]),
        ("!(k562 | hepg2)", [2]),
        ("RNA-seq & K562", [0]),
        ("rna_seq", [0, 1, 2]),
        ("modality=RNA_SEQ strand=+", [0]),
        ("strand=.", [2]),
        ("strand!=.", [0, 1]),
        ("Assay~plus", [1]),
        ('assay="total rna-seq"', [0, 2]),
        ("assay=total", []),
        ("nonzero_mean=2.0", [1]),
        ("android", []),  # no 'and' in it
        ("2.0", []),  # words look at text only
        ("dnase", []),
        ("", [0, 1, 2]),
        ("strand=. | !strand=.", [0, 1, 2]),  # never padding
    ],
)
def test_queries(query, expected):
    mask = select_tracks(TRACKS, query)
    assert mask.dtype == bool
    assert np.flatnonzero(mask).tolist() == expected


@pytest.mark.parametrize(
    ("query", "position"),
    [
        ("K562 &", 7),
        ("K562 & & HepG2", 8),
        ("(K562", 6),
        ("K562)", 5),
        ("assay=", 7),
        ("strand==+", 8),
        ("=x", 1),
        ("|", 1),
        ("not", 4),
        ('K562 "abc', 6),
    ],
)
def test_errors_point_at_the_place(query, position):
    with pytest.raises(InputError, match=f"cannot read the track query at position {position}:") as caught:
        select_tracks(TRACKS, query)
    lines = str(caught.value).splitlines()
    assert lines[1] == f"  {query}"
    assert lines[2].index("^") == position + 1


def test_unknown_fields_are_named_with_the_known_ones():
    message = r"(?s)unknown field 'asay' .*position 8.*did you mean 'assay'\? known fields: assay, modality, name"
    with pytest.raises(InputError, match=message):
        select_tracks(TRACKS, "K562 & asay=x")
