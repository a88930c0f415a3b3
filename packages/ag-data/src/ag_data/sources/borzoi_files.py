"""Training sets as baskerville writes them (Borzoi, Enformer): windows of DNA and of squashed targets.

TFRecord shards `{split}-{number}.tfr`, ZLIB-compressed, one `tf.train.Example` for each window with the features
`sequence` (uint8: A, C, G, T = 0..3 and N = 4, or one-hot) and `target` (float16 [bin, target]); or an .npz with `seq`
and `target` of many windows. Where windows lie is not in them: rows of `sequences.bed` with their split's label in
column 4 are in the order of the windows of that split. A row is the span of the targets; the sequence is longer and
reaches equally far beyond it on both sides.
"""

import collections
import os
import pathlib
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from ag_core.errors import InputError
from jaxtyping import Float, UInt8

from ag_data.files import check_file
from ag_data.npz import read_npz
from ag_data.sources.tensor_proto import parse_example
from ag_data.sources.tfrecord import read_records

_SHARD = re.compile(r"(.+)-(\d+)\.tfr(?:ecord)?")
Path = str | os.PathLike[str]


class Span(NamedTuple):
    """Where the targets of a window lie, 0-based half-open."""

    chromosome: str
    start: int
    end: int


class Window(NamedTuple):
    """One window: `sequence` as codes (A, C, G, T, N = 0..4), `target` as in the file; `label` is for messages."""

    span: Span
    sequence: UInt8[np.ndarray, " base"]
    target: Float[np.ndarray, "bin target"]
    label: str


class Shard(NamedTuple):
    """A file and where its windows lie: rows of `spans`, all those of its split.

    `first` is the row of its first window, None for the one after the shard before. `count`: windows it must hold.
    """

    path: pathlib.Path
    split: str
    spans: list[Span]
    first: int | None
    count: int | None


def read_spans(bed: Path) -> dict[str, list[Span]]:
    """The windows of each split in the order of the file. Raises InputError naming the line."""
    check_file(bed, "table of windows")
    splits = collections.defaultdict(list)
    for number, line in enumerate(pathlib.Path(bed).read_text().splitlines(), 1):
        fields = line.split("\t")
        try:
            span = Span(fields[0], int(fields[1]), int(fields[2]))
            splits[fields[3]].append(span)
        except (IndexError, ValueError) as error:
            raise InputError(
                f"table of windows {bed}, line {number}: expected chromosome, start, end and split, got {line[:80]!r}"
            ) from error
    lengths = {span.end - span.start for spans in splits.values() for span in spans}
    if len(lengths) != 1 or min(lengths) <= 0:
        raise InputError(f"table of windows {bed}: windows are {sorted(lengths)[:3]} bp long; expected one length")
    return dict(splits)


def place_shards(
    paths: Iterable[Path],
    bed: Path,
    split: str | None = None,
    first_row: int | None = None,
    shard_size: int | None = None,
) -> list[Shard]:
    """Tells which windows files hold; a folder stands for all shards in it (of `split`).

    The split is taken from the names of files where it is not given. Shards of a split follow one another from number 0
    on; a lone shard needs `shard_size` (windows in each shard but the last) or `first_row` (the row of its first window
    within the split, from 0). Raises InputError where that is not enough to know.
    """
    splits, shards = read_spans(bed), []
    for path in paths:
        path = pathlib.Path(path)
        inside = sorted(path.glob("*.tfr"), key=_number) if path.is_dir() else [path]
        if path.is_dir():
            inside = [each for each in inside if split in (None, _split_of(each, splits))]
        if not inside:
            raise InputError(f"{path} holds no shards (*.tfr){f' of {split!r}' if split else ''}; give their folder")
        shards += inside
    grouped = collections.defaultdict(list)
    for path in shards:
        label = split or _split_of(path, splits)
        if label not in splits:
            raise InputError(f"{path}: its split is not told by its name; set `split`, one of {', '.join(splits)}")
        grouped[label].append(path)
    found = []
    for label, files in grouped.items():
        files.sort(key=_number)
        if first_row is not None and len(files) > 1:
            raise InputError(f"`first_row` places one file, but {len(files)} are of {label!r}; leave it out")
        if shard_size is None and first_row is None and [_number(path) for path in files] != list(range(len(files))):
            raise InputError(
                f"{files[0]} is not number 0 of {label!r} or others are missing: which windows does it hold? Set "
                "`shard_size` (windows in a shard) or `first_row`"
            )
        spans = splits[label]
        for path in files:
            first = first_row if shard_size is None else _number(path) * shard_size
            if first is not None and first >= len(spans):
                raise InputError(f"{path} starts at row {first} of {label!r}, which has {len(spans)}; correct that")
            count = len(spans) if path.suffix == ".npz" and first is None else None
            found.append(Shard(path, label, spans, first, count))
    return found


def read_windows(shards: Iterable[Shard], bins: int) -> Iterator[Window]:
    """The windows of files in order; targets have `bins` bins. Raises InputError, with the record, for bad files."""
    following: dict[str, int] = {}
    for path, split, spans, first, count in shards:
        begin = following.get(split, 0) if first is None else first
        row = begin
        for row, (sequence, target) in enumerate(_read(path, bins), begin + 1):
            if row > len(spans):
                raise InputError(
                    f"{path} holds more windows than the table: {split!r} has {len(spans)} rows and the file starts at "
                    f"row {begin}; give the table that was made with it"
                )
            yield Window(spans[row - 1], sequence, target, f"{path}, window {row - begin}")
        if count not in (None, row - begin):
            raise InputError(f"{path} holds {row - begin} windows, but {split!r} has {count} rows; is this its table?")
        following[split] = row


def _read(
    path: pathlib.Path, bins: int
) -> Iterator[tuple[UInt8[np.ndarray, " base"], Float[np.ndarray, "bin target"]]]:
    if path.suffix == ".npz":
        yield from _read_npz(path, bins)
        return
    for number, record in enumerate(read_records(path), 1):
        features = parse_example(record, label := f"{path}, record {number}")
        parts = [features.get(name, []) for name in ("sequence", "target")]
        if any(len(part) != 1 or not isinstance(part[0], bytes) for part in parts):
            raise InputError(f"{label} has the features {', '.join(features)}; expected sequence and target, as bytes")
        sequence, target = np.frombuffer(parts[0][0], np.uint8), np.frombuffer(parts[1][0], np.uint8)
        if len(target) % (2 * bins) or not len(target):
            raise InputError(
                f"{label}: {len(target)} bytes of targets do not make {bins} bins of float16; wrong bin width?"
            )
        yield _codes(sequence, label), target.view("<f2").reshape(bins, -1)


def _read_npz(
    path: pathlib.Path, bins: int
) -> Iterator[tuple[UInt8[np.ndarray, " base"], Float[np.ndarray, "bin target"]]]:
    check_file(path, "file of windows")
    file = read_npz(path, "file of windows (.npz with seq and target)", only=("seq", "target"))
    sequences, targets = file["seq"], file["target"]
    if sequences.ndim != 2 or targets.ndim != 3 or len(sequences) != len(targets) or targets.shape[1] != bins:
        shapes = f"seq {sequences.shape}, target {targets.shape}"
        raise InputError(f"{path} has {shapes}; expected [window, base] and [window, {bins} bins, target]")
    for number, (sequence, target) in enumerate(zip(sequences, targets, strict=True), 1):
        yield _codes(sequence.astype(np.uint8), f"{path}, window {number}"), target


def _codes(sequence: UInt8[np.ndarray, " byte"], label: str) -> UInt8[np.ndarray, " base"]:
    """Codes of bases, from codes or from one-hot rows (which never exceed 1, as no stretch of codes does)."""
    if sequence.max(initial=0) > 4:
        raise InputError(f"{label}: the sequence has the code {sequence.max()}; expected 0..4 for A, C, G, T, N")
    if len(sequence) % 4 or sequence.max(initial=0) > 1:
        return sequence
    rows = sequence.reshape(-1, 4)
    return np.where(rows.any(axis=1), rows.argmax(axis=1), 4).astype(np.uint8)


def _number(path: pathlib.Path) -> int:
    match = _SHARD.fullmatch(path.name)
    return int(match[2]) if match else 0


def _split_of(path: pathlib.Path, splits: Iterable[str]) -> str | None:
    """The split whose label is a word of the file's name: train-11.tfr, hg38_train.npz, fold3-0.tfr."""
    words = re.split(r"[_.-]", path.name)
    return next((label for label in splits if label in words), None)
