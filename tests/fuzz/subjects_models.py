"""Checkpoints, runs that can be resumed, calibration tables, scores that are read again."""

import dataclasses
import functools
import json
import pathlib

import numpy as np
from subject import Subject


@functools.cache
def _spec():
    from ag_core.checkpoint import HeadSpec, ModelSpec
    from ag_core.config import PRESETS
    from ag_core.schema import track_table

    backbone = dataclasses.replace(PRESETS["tiny"], organisms=1)
    table = track_table({"name": ["a", "b"], "strand": ["+", "-"], "nonzero_mean": [1.0, 2.0]})
    return ModelSpec("m", backbone, {"rna_seq": HeadSpec("rna_seq", (table,))}, ("human",), 4096, "CC0-1.0")


def _checkpoint(folder: pathlib.Path) -> pathlib.Path:
    import jax
    from ag_core.checkpoint import array_names, outline, write

    path = folder / "model"
    if not path.exists():
        shapes = array_names(outline(_spec()))
        write(path, {name: np.zeros(shape.shape, np.float32) for name, shape in shapes.items()}, _spec())
        jax.clear_caches()
    return path


def _model_seeds(folder: pathlib.Path) -> list[bytes]:
    return [(_checkpoint(folder) / "model.json").read_bytes()]


def _model(path: pathlib.Path) -> None:
    """A damaged description with a digest that fits: else all would be refused for that."""
    from ag_core.checkpoint import _digest, outline, read_spec

    folder = path.parent / "damaged"
    folder.mkdir(exist_ok=True)
    target = folder / "model.json"
    path.replace(target)
    spec, data = read_spec(folder)
    assert len(_digest(data, _checkpoint(path.parent) / "model.safetensors")) == 64
    outline(spec)


def _safetensors_seeds(folder: pathlib.Path) -> list[bytes]:
    from ag_core.array_file import write_arrays

    write_arrays(folder / "seed.safetensors", {"a.b": np.arange(6, dtype=np.float32).reshape(2, 3), "c": np.ones(2)})
    return [(folder / "seed.safetensors").read_bytes()]


def _safetensors(path: pathlib.Path) -> None:
    from ag_core.array_file import open_arrays

    with open_arrays(path) as arrays:
        for name in arrays.shapes:
            arrays.read(name)


def _run_seeds(folder: pathlib.Path) -> list[bytes]:
    return [json.dumps({"format": 1, "input": {"sha256": "0" * 64, "records": 5}, "scorers": ["a", "b"]}).encode()]


def _run(path: pathlib.Path) -> None:
    """plan.json of a folder of shards."""
    from ag_scorers.shards import RunFolder

    folder = path.parent / "run"
    (folder / "shards").mkdir(parents=True, exist_ok=True)
    path.replace(folder / "plan.json")
    RunFolder(folder, json.loads(_run_seeds(folder)[0]), ()).close()


def _shard_manifest(path: pathlib.Path) -> None:
    """The manifest of a shard: a damaged one makes the shard be scored again, and is never an error."""
    from ag_scorers.shards import RunFolder

    folder = path.parent / "run"
    (folder / "shards").mkdir(parents=True, exist_ok=True)
    (folder / "plan.json").unlink(missing_ok=True)
    found = RunFolder(folder, {"a": 1}, ())
    found.close()
    path.replace(folder / "shards" / "00000.json")
    found = RunFolder(folder, {"a": 1}, ())
    found.close()
    if 0 in found.manifests:
        raise AssertionError("a manifest without its shard is believed")


def _template():
    from ag_core.schema import track_table
    from ag_scorers.center_mask import CenterMaskScorer
    from ag_scorers.results import ScorerResult

    table = track_table({"name": ["a", "b"], "strand": [".", "."]})
    return ScorerResult("s", CenterMaskScorer("dnase"), np.zeros((0, 2), np.float32), {}, table)


def _shard_seeds(folder: pathlib.Path) -> list[bytes]:
    from ag_core.genome import Variant
    from ag_data.variants import Call, Status
    from ag_scorers.results import Result
    from ag_scorers.shard_file import write_shard

    variant = Variant("chr1", 5, "A", "C")
    call = Call(0, 0, "chr1", 5, "A", "C", Status.SCORED, variant=variant)
    scores = dataclasses.replace(_template(), values=np.ones((1, 2), np.float32), table={"gene_id": np.array(["G"])})
    write_shard(folder / "seed.arrow", [Result(call, (scores,))], [_template()])
    return [(folder / "seed.arrow").read_bytes()]


def _shard(path: pathlib.Path) -> None:
    from ag_scorers.shard_file import read_shard

    for result in read_shard(path, [_template()]):
        str(result.call)


def _calibration_seeds(folder: pathlib.Path) -> list[bytes]:
    from ag_core.checkpoint import find

    return [next(pathlib.Path(find("mini")).glob("*.parquet")).read_bytes()]


def _calibration(path: pathlib.Path) -> None:
    from ag_scorers.calibration_table import read_table

    read_table(path)


_MADE = '{"model_digest": "0", "requested": "[]", "reference": "x"}'


def _score_seeds(folder: pathlib.Path) -> list[bytes]:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from ag_scorers.parquet_folder import KEY

    rows = {
        "record": [0] * 3,
        "alt": [0] * 3,
        "variant": ["chr1:5:A>C"] * 3,
        "status": ["scored"] * 3,
        "scorer": ["DNASE"] * 3,
        "track": ["a", "b", "c"],
        "score": [1.0, 2.0, 3.0],
    }
    table = pa.table(rows).replace_schema_metadata({KEY: _MADE})
    pq.write_table(table, folder / "seed.parquet")
    return [(folder / "seed.parquet").read_bytes()]


def _scores(path: pathlib.Path) -> None:
    from ag_scorers.scored_files import sample_rows

    sample_rows(path, 2, 0)


_JSON = (b"null", b"{}", b"[]", b"-1", b"1e999", b'"x"', b"true", b"1000000000", b'"strand"', b'"options"')

SUBJECTS = (
    Subject("model-json", _model_seeds, _model, ".json", words=_JSON, named=False),
    Subject("safetensors", _safetensors_seeds, _safetensors, ".safetensors", binary=True),
    Subject("run-plan", _run_seeds, _run, ".json", words=_JSON, named=False),
    Subject("shard-manifest", _run_seeds, _shard_manifest, ".json", words=_JSON, allowed=()),
    Subject("shard", _shard_seeds, _shard, ".arrow", binary=True),
    Subject("calibration", _calibration_seeds, _calibration, ".parquet", binary=True),
    Subject("scores", _score_seeds, _scores, ".parquet", binary=True),
)  # fmt: skip
