"""Calibration tables: break points of the scores of common variants, for each scorer and track.

A table is one parquet file with a row for each scorer and track: `scorer` (key), `track`, `strand`, `n` (scores
seen) and `values`, the order statistics at `point_ranks(n, middle, tail)`, float32. Its metadata (key
`agenome_calibration`, JSON) says which model, window, organism and scorers it belongs to, and how it was made. Equal
tables are equal byte by byte.
"""

import dataclasses
import functools
import inspect
import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xarray as xr
from ag_core.errors import InputError
from ag_core.interfaces import AbstractScorer
from ag_data.cache import replacing
from ag_data.files import check_file
from jaxtyping import Float32, Int

from ag_scorers.engine import Engine
from ag_scorers.quantile_sketch import TAIL, QuantileSketch

FORMAT, MIDDLE = 1, 1001
_KEY = b"agenome_calibration"
_SCHEMA = pa.schema(
    [
        ("scorer", pa.string()),
        ("track", pa.string()),
        ("strand", pa.string()),
        ("n", pa.int64()),
        ("values", pa.list_(pa.float32())),
    ]
)
# Names of what a table is bound to, in words.
BINDING = {
    "model": "model",
    "model_digest": "digest of the model",
    "organism": "organism",
    "window": "window in bp",
    "window_grid": "grid of windows",
    "indel": "treatment of indels",
}
Track = tuple[str, str]


@dataclasses.dataclass(frozen=True)
class ScorerTable:
    """Break points of one scorer.

    - `about`: what `describe_scorer` says of it.
    - `tracks`: (name, strand) of each row.
    - `count`: how many scores each track has.
    - `values`: the order statistics at `point_ranks(count, ...)`, padded with infinity to the longest row.
    """

    about: Mapping[str, Any]
    tracks: tuple[Track, ...]
    count: Int[np.ndarray, " track"]
    values: Float32[np.ndarray, "track point"]


@dataclasses.dataclass(frozen=True)
class CalibrationTable:
    """A calibration: `scorers` by key, the `binding` they hold for, and `provenance` (counts, versions, files).

    `middle` and `tail` are the settings of `point_ranks`.
    """

    binding: Mapping[str, Any]
    scorers: Mapping[str, ScorerTable]
    middle: int
    tail: int
    provenance: Mapping[str, Any]


@functools.lru_cache(maxsize=256)
def point_ranks(count: int, middle: int = MIDDLE, tail: int = TAIL) -> Int[np.ndarray, " point"]:
    """Which of `count` sorted values are kept (0 is the smallest): all in both tails, `middle` evenly in between."""
    if count <= middle + 2 * tail:
        return np.arange(count)
    between = np.linspace(tail, count - tail - 1, middle).round().astype(np.int64)
    return np.concatenate([np.arange(tail), between, np.arange(count - tail, count)])


def describe_engine(engine: Engine, indels: bool = False) -> dict[str, Any]:
    """What scores of a run depend on besides the scorer. The treatment of indels only counts where there are any."""
    spec = engine.checkpoint.spec
    return {
        "model": spec.name,
        "model_digest": engine.checkpoint.digest,
        "organism": spec.organisms[engine.organism],
        "window": engine.window,
        "window_grid": getattr(engine, "window_grid", None),
        "indel": str(getattr(engine, "indel", "align")) if indels else None,
    }


def describe_scorer(scorer: AbstractScorer, tables: Mapping[str, xr.Dataset]) -> dict[str, Any]:
    """What makes a scorer the same one: class, name, settings; and all tracks it reads, if it reports on others.

    Settings that are as the constructor has them by default are left out, so that a new one does not matter. `tables`
    are the run's tracks by modality.
    """
    kind = type(scorer)
    usual = {name: str(one.default) for name, one in inspect.signature(kind).parameters.items()}
    settings = {field.name: str(getattr(scorer, field.name)) for field in dataclasses.fields(scorer)}
    settings = {name: value for name, value in settings.items() if usual.get(name) != value}
    about = {"class": f"{kind.__module__}.{kind.__qualname__}", "name": scorer.name, "signed": scorer.signed}
    about["settings"] = dict(sorted(settings.items()))
    if kind.tracks is not AbstractScorer.tracks:
        reads = [track for modality in scorer.modalities for track in track_names(tables[modality])]
        about["reads"] = [list(track) for track in reads]
    return about


def track_names(tracks: xr.Dataset) -> tuple[Track, ...]:
    """(name, strand) of each row of a track table."""
    return tuple(zip(map(str, tracks["name"].values), map(str, tracks["strand"].values), strict=True))


def summarise(sketch: QuantileSketch, about: Mapping[str, Any], tracks: tuple[Track, ...], middle: int) -> ScorerTable:
    """The break points of a scorer."""
    count = sketch.count
    lists = [point_ranks(int(n), middle, sketch.tail) for n in count]
    longest = max(map(len, lists))
    ranks = np.stack([np.pad(ranks, (0, longest - len(ranks)), constant_values=0) for ranks in lists])
    used = np.arange(longest) < np.array([[len(ranks)] for ranks in lists])
    values = np.where(used, sketch.order_statistics(ranks), np.float32(np.inf))
    return ScorerTable(about, tracks, count, values.astype(np.float32))


def write_table(path: str | os.PathLike[str], table: CalibrationTable) -> None:
    """Writes a table; it appears whole or not at all."""
    rows: dict[str, list[Any]] = {name: [] for name in _SCHEMA.names}
    for key, scorer in table.scorers.items():
        for (name, strand), count, values in zip(scorer.tracks, scorer.count, scorer.values, strict=True):
            points = len(point_ranks(int(count), table.middle, table.tail))
            for column, value in zip(rows, (key, name, strand, int(count), values[:points]), strict=True):
                rows[column].append(value)
    about = {
        "format": FORMAT,
        "binding": dict(table.binding),
        "middle": table.middle,
        "tail": table.tail,
        "scorers": {key: dict(scorer.about) for key, scorer in table.scorers.items()},
        "provenance": dict(table.provenance),
    }
    schema = _SCHEMA.with_metadata({_KEY: json.dumps(about)})
    with replacing(pathlib.Path(path)) as (scratch,):
        pq.write_table(
            pa.table(rows, schema=schema),
            scratch,
            compression="zstd",
            compression_level=19,
            use_dictionary=["scorer", "strand"],  # pyright: ignore[reportArgumentType]
            use_byte_stream_split=["values.list.element"],  # pyright: ignore[reportArgumentType]
            store_schema=True,
        )


def read_table(path: str | os.PathLike[str]) -> CalibrationTable:
    """Reads a table. Raises InputError when it is none, or damaged."""
    path = pathlib.Path(path)
    check_file(path, "calibration table")
    try:
        found = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"{path}: not a parquet file, or damaged ({error}); make it with `agenome calibrate`"
        ) from error
    about = (found.schema.metadata or {}).get(_KEY)
    if about is None:
        raise InputError(f"{path}: a parquet file, but no calibration table; make one with `agenome calibrate`")
    try:
        about = json.loads(about)
        if about["format"] != FORMAT:
            raise InputError(f"{path}: format {about['format']}, this version reads {FORMAT}; update, or make it again")
        settings = about["middle"], about["tail"]
        scorers = _read_scorers(found, about["scorers"], *settings)
        return CalibrationTable(about["binding"], scorers, *settings, about["provenance"])
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: damaged calibration table ({error!r}); make it again") from error


def _read_scorers(found: pa.Table, about: Mapping[str, Any], middle: int, tail: int) -> dict[str, ScorerTable]:
    columns = {name: found[name].combine_chunks() for name in _SCHEMA.names}
    keys = np.asarray(columns["scorer"].to_pylist(), object)
    counts = columns["n"].to_numpy()
    offsets, flat = columns["values"].offsets.to_numpy(), columns["values"].values.to_numpy()
    scorers = {}
    for key, described in about.items():
        rows = np.flatnonzero(keys == key)
        if not len(rows):
            raise ValueError(f"no rows of scorer {key}")
        lengths = np.diff(offsets)[rows]
        expected = [len(point_ranks(int(n), middle, tail)) for n in counts[rows]]
        if list(lengths) != expected:
            raise ValueError(f"scorer {key} has {list(lengths)[:3]}... break points, expected {expected[:3]}...")
        values = np.full((len(rows), max(expected)), np.inf, np.float32)
        for place, row in enumerate(rows):
            values[place, : lengths[place]] = flat[offsets[row] : offsets[row + 1]]
        if not (values[:, 1:] >= values[:, :-1]).all():
            raise ValueError(f"the break points of scorer {key} are not sorted")
        tracks = tuple((columns["track"][int(row)].as_py(), columns["strand"][int(row)].as_py()) for row in rows)
        scorers[key] = ScorerTable(described, tracks, counts[rows], values)
    return scorers


def differences(table: Mapping[str, Any], run: Mapping[str, Any]) -> list[str]:
    """In words, where two bindings differ; what a table leaves open (None) fits everything but a grid."""
    found = []
    for name, word in BINDING.items():
        mine, theirs = table.get(name), run.get(name)
        if name == "indel" and (mine is None or theirs is None):
            continue
        if mine != theirs:
            found.append(f"{word}: the table's is {_short(mine)}, the run's {_short(theirs)}")
    return found


def _short(value: Any) -> str:
    text = "none" if value is None else str(value)
    return f"{text[:12]}..." if len(text) > 24 else text
