"""What is taken out of a head's table is padding like any other."""

import numpy as np
from ag_core.schema import is_padding, track_table
from ag_heads.recipes.mini.ship import without


def test_dropped_tracks_become_padding():
    columns = {"name": ["RAMPAGE a", "RAMPAGE a", "b", "b"], "strand": ["+", "-", "+", "-"]}
    table = track_table(columns | {"nonzero_mean": [5.0, 5.0, 1.0, 2.0], "assay": ["r", "r", "c", "c"]})
    found = without(table, "RAMPAGE")
    assert is_padding(found).tolist() == [True, True, False, False]
    assert found["strand"].values.tolist() == [".", ".", "+", "-"]
    assert found["assay"].values.tolist() == ["", "", "c", "c"]
    np.testing.assert_array_equal(found["nonzero_mean"], [np.nan, np.nan, 1, 2])
    assert without(table, "ATAC") is table
    padded = track_table({"name": ["RAMPAGE a", "b", "padding"], "strand": ["+", "-", "."]})
    assert without(padded, "RAMPAGE")["name"].values.tolist() == ["padding", "b", "padding"]
