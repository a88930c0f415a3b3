import json

import numpy as np
import pandas as pd
import pytest
from ag_core.errors import InputError
from ag_eval.metrics import Estimate
from ag_eval.results import Case, check_results, make_results, to_json, to_table, write_results

NAN = float("nan")
CASES = [
    Case("peaks", "auroc", "all", "mini", Estimate(0.75, 0.7, 0.8)),
    Case("peaks", "auprc", "all", "random", Estimate(0.01, NAN, NAN)),
]


@pytest.fixture
def results():
    return make_results(CASES, bins=np.int64(12), citation="Somebody 2020")


def test_results_have_the_schema_of_the_design(results):
    assert set(results.data_vars) == {"value", "low", "high"}
    assert set(results.coords) == {"benchmark", "metric", "group", "model"}
    assert results.sizes == {"case": 2}
    assert float(results["value"].sel(case=results["model"] == "mini").item()) == 0.75
    assert make_results([]).sizes == {"case": 0}


def test_a_table_has_one_row_for_each_case(results):
    table = to_table(results)
    assert list(table.columns) == ["benchmark", "metric", "group", "model", "value", "low", "high"]
    assert table["model"].tolist() == ["mini", "random"]


def test_json_is_plain(results):
    data = json.loads(json.dumps(to_json(results)))
    assert data["attributes"] == {"bins": 12, "citation": "Somebody 2020"}
    assert data["cases"][1]["low"] is None
    assert data["cases"][0]["value"] == 0.75


@pytest.mark.parametrize("name", ["new/folder/results.parquet", "results.json"])
def test_files_can_be_read_back(results, tmp_path, name):
    write_results(results, tmp_path / name)
    if name.endswith("json"):
        assert json.loads((tmp_path / name).read_text()) == to_json(results)
    else:
        table = pd.read_parquet(tmp_path / name)
        pd.testing.assert_frame_equal(table, to_table(results), check_dtype=False)
        assert table.attrs["citation"] == "Somebody 2020"


def test_other_files_are_refused(results, tmp_path):
    with pytest.raises(InputError, match=r"x\.csv; expected a name that ends in \.parquet or \.json"):
        write_results(results, tmp_path / "x.csv")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot write results to .*choose another place"):
        write_results(results, tmp_path / "file" / "x.json")


def test_wrong_results_are_named(results):
    with pytest.raises(ValueError, match=r"need the variable 'low'"):
        check_results(results.drop_vars("low"))
    with pytest.raises(ValueError, match=r"need the coordinate 'group'"):
        check_results(results.drop_vars("group"))
    with pytest.raises(ValueError, match=r"'mini'\) occurs more than once"):
        make_results([CASES[0], CASES[0]])
    with pytest.raises(ValueError, match=r"low 0\.9 is above high 0\.8"):
        make_results([CASES[0]._replace(estimate=Estimate(0.75, 0.9, 0.8))])
    with pytest.raises(ValueError, match=r"use NaN for what is undefined"):
        make_results([CASES[0]._replace(estimate=Estimate(float("inf"), NAN, NAN))])
