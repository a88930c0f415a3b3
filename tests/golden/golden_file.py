"""One golden file: its description, its arrays, and comparison within the tolerance written beside them."""

import dataclasses
import functools
import json
import pathlib
import re
from typing import Any

import numpy as np
import recipe


@dataclasses.dataclass(frozen=True)
class Golden:
    """`json` is the description, `arrays` the npz (empty when there is none), `folder` where both lie."""

    folder: pathlib.Path
    stem: str
    json: dict[str, Any]

    @classmethod
    def load(cls, folder: pathlib.Path, stem: str) -> "Golden":
        return cls(folder, stem, json.loads((folder / f"{stem}.json").read_text()))

    @functools.cached_property
    def arrays(self) -> dict[str, np.ndarray]:
        path = self.folder / f"{self.stem}.npz"
        if not path.exists():
            return {}
        with np.load(path) as data:
            return {key: data[key] for key in data.files}

    @property
    def config(self) -> dict[str, Any]:
        return self.json.get("config", {})

    def inputs(self) -> dict[str, np.ndarray]:
        return {key.removeprefix("in/"): a for key, a in self.arrays.items() if key.startswith("in/")}

    def keys(self, prefix: str) -> list[str]:
        """Names of the arrays below `prefix/`."""
        return [key.removeprefix(prefix + "/") for key in self.json["arrays"] if key.startswith(prefix + "/")]

    def parameters(self) -> dict[str, np.ndarray]:
        """Stored parameters and running variances, or those that the recipe makes, at their official paths."""
        stored = {
            key.split("/", 1)[1]: array for key, array in self.arrays.items() if key.startswith(("param/", "state/"))
        }
        if stored or "parameter_shapes" not in self.config:
            return stored
        centers = self.config.get("var_center", {})
        return {
            path: recipe.parameter(path, tuple(shape), self.seed, centers)
            for path, shape in self.config["parameter_shapes"].items()
        }

    @property
    def seed(self) -> int:
        """Seed of the recipe, from the config or from its text ("... seed=101), ...")."""
        if "seed" in self.config:
            return self.config["seed"]
        return int(re.search(r"seed=(\d+)", self.config["parameters"])[1])

    @property
    def split(self) -> str:
        """First part of recipe names ("open"), from a text such as "recipe.dna('open/genome', ...)"."""
        return re.search(r"'(\w+)/\w+", self.json.get("genome_recipe") or " ".join(map(str, self.config.values())))[1]

    def compare(self, key: str, got: Any, prefix: str = "out", rows: Any = ...) -> None:
        """Raises AssertionError naming `key` when `got` is outside the tolerance of the stored array (of `rows`)."""
        name = f"{prefix}/{key}"
        want, tolerance = self.arrays[name][rows], self.json["arrays"][name].get("tolerance")
        got = np.asarray(got)
        if got.dtype.name == "bfloat16":
            got = got.astype(np.float32)
        assert got.shape == want.shape, f"{self.stem}: {name}: shape {got.shape}, expected {want.shape}"
        if tolerance is None or tolerance == "exact":
            np.testing.assert_array_equal(got, want, err_msg=f"{self.stem}: {name}")
        elif tolerance.get("kind") == "rms":
            difference = got.astype(np.float64) - want.astype(np.float64)
            rms = float(np.sqrt(np.nanmean(np.square(difference)))) if difference.size else 0.0
            assert rms <= self._rms_limit(key, tolerance), f"{self.stem}: {name}: rms of difference {rms}"
        else:
            np.testing.assert_allclose(
                got,
                want,
                tolerance["rtol"],
                tolerance["atol"],
                tolerance.get("equal_nan", False),
                f"{self.stem}: {name}",
            )

    def _rms_limit(self, key: str, tolerance: dict[str, Any]) -> float:
        limit = tolerance.get("rms_of_difference_at_most")
        if limit is None:
            # Whole models: twice what the reference's own bfloat16 run differs from its float32 run.
            limit = 2 * self.config["output_statistics"][key]["bf16_policy_rms_difference"]
        return limit
