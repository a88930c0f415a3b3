"""Files of AlphaGenome's training data: bundles of TFRecords (spec/model.md 6.2), record by record.

A folder for each bundle holds `data_{chromosome}_{shard}-{shards}.gz.tfrecord`. A record is a `tf.train.Example` with
`interval/chromosome`, `interval/start`, `interval/end` and serialised tensors. Records of different bundles belong
together by their interval; numbers of shards say nothing.
"""

import collections
import dataclasses
import os
import pathlib
import re
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from ag_core.errors import InputError
from ag_core.genome import Interval
from jaxtyping import Shaped

from ag_data.sources.tensor_proto import parse_example, parse_tensor
from ag_data.sources.tfrecord import read_records

_NAME = re.compile(r"data_(.+)_(\d+)-(\d+)\.gz\.tfrecord")
Path = str | os.PathLike[str]


@dataclasses.dataclass(frozen=True)
class Bundle:
    """What a bundle holds: `values` and `mask` are names of features."""

    name: str
    layout: str
    resolution: int
    values: str
    mask: str = ""


_AT_1_BP = ("ATAC", "DNASE", "PROCAP", "CAGE")
_AT_128_BP = ("CHIP_TF", "CHIP_HISTONE")
BUNDLES = {
    bundle.name: bundle
    for bundle in (
        *(Bundle(name, "signal", 1, "x", "x_mask") for name in _AT_1_BP),
        Bundle("RNA_SEQ", "signal", 1, "rna_seq", "rna_seq_mask"),
        *(Bundle(name, "signal", 128, "x", "x_mask") for name in _AT_128_BP),
        Bundle("CONTACT_MAPS", "contacts", 2048, "contact_maps"),
        Bundle("SPLICE_SITES", "classes", 1, "splice_sites"),
        Bundle("SPLICE_SITE_USAGE", "usage", 1, "splice_site_usage"),
        Bundle("SPLICE_JUNCTIONS", "junctions", 1, "splice_junctions"),
    )
}


@dataclasses.dataclass(frozen=True)
class Record:
    """One example: its place, and its features as they are in the file; `label` names it in messages."""

    interval: Interval
    features: dict[str, list[Any]]
    label: str

    def tensor(self, name: str) -> Shaped[np.ndarray, "..."]:
        """The array in a feature. Raises InputError when it is not there or no tensor."""
        content = self.features.get(name, [])
        if len(content) != 1 or not isinstance(content[0], bytes):
            raise InputError(f"{self.label} has no tensor {name!r}; it has {', '.join(self.features)}")
        return parse_tensor(content[0], f"{self.label}, {name}")


class Files:
    """The files of one bundle by chromosome; where their names do not tell it, they are read through once.

    `path` is a folder, a file or several. Raises InputError when there is none.
    """

    def __init__(self, path: Path | Iterable[Path]):
        paths = [path] if isinstance(path, str | os.PathLike) else list(path)
        self.paths: list[pathlib.Path] = []
        for each in map(pathlib.Path, paths):
            found = sorted(each.glob("*.tfrecord")) if each.is_dir() else [each]
            if not found:
                raise InputError(f"{each} holds no *.tfrecord files; give the folder of one bundle")
            self.paths += found
        self._chromosomes: dict[str, list[pathlib.Path]] = collections.defaultdict(list)
        for file in self.paths:
            match = _NAME.fullmatch(file.name)
            names = [match[1]] if match else {record.interval.chromosome: None for record in read_examples(file)}
            for name in names:
                self._chromosomes[name].append(file)

    def chromosomes(self) -> list[str]:
        """Names of chromosomes, as in records."""
        return list(self._chromosomes)

    def first(self) -> Record:
        """The first record. Raises InputError when no file holds one."""
        record = next((record for file in self.paths for record in read_examples(file)), None)
        if record is None:
            raise InputError(f"{self.paths[0]} holds no records; download or make it again")
        return record

    def records(self, chromosome: str) -> Iterator[Record]:
        """All records of a chromosome. Raises InputError for a record that its file's name belies."""
        for file in self._chromosomes.get(chromosome, ()):
            named = _NAME.fullmatch(file.name)
            for record in read_examples(file):
                if record.interval.chromosome == chromosome:
                    yield record
                elif named:
                    raise InputError(
                        f"{record.label} lies at {record.interval.region}, but the file's name says {named[1]}; "
                        "download it again, or rename it"
                    )


def read_examples(path: pathlib.Path) -> Iterator[Record]:
    """The records of a file. Raises InputError, with the record, for anything else."""
    for number, data in enumerate(read_records(path), 1):
        label = f"{path}, record {number}"
        features = parse_example(data, label)
        try:
            (name,), (start,), (end,) = (features[f"interval/{part}"] for part in ("chromosome", "start", "end"))
            interval = Interval(name.decode(), int(start), int(end))
        except (KeyError, ValueError, AttributeError) as error:
            raise InputError(
                f"{label} has no interval ({error}); expected the features interval/chromosome, interval/start and "
                "interval/end"
            ) from error
        yield Record(interval, features, label)


def find_bundle(files: Files, record: Record, name: str | None) -> Bundle:
    """The bundle by its name, by the folder the files are in, or else by what a record holds.

    Raises InputError for unknown names, for records that hold something else, and for positions alone.
    """
    if name is not None and name not in BUNDLES:
        raise InputError(f"bundle {name!r}: expected one of {', '.join(BUNDLES)}")
    if "splice_site_positions" in record.features and "splice_junctions" not in record.features:
        raise InputError(
            f"{record.label} holds positions of splice sites; give SPLICE_JUNCTIONS, and this as `positions`"
        )
    name = name or next((part for part in reversed(files.paths[0].absolute().parts) if part in BUNDLES), None)
    if name is not None:
        bundle = BUNDLES[name]
        if bundle.values not in record.features:
            raise InputError(
                f"{record.label} has no feature {bundle.values!r}, as {name} has; it has {', '.join(record.features)}"
            )
        return bundle
    for bundle in BUNDLES.values():
        if bundle.values != "x" and bundle.values in record.features:
            return bundle
    raise InputError(f"{record.label} does not tell its bundle; set `bundle`, one of {', '.join(BUNDLES)}")
