"""Files of arrays: TFRecords, npz, bigWig, BAM, cooler, 2bit, zarr stores."""

import contextlib
import gzip
import io
import pathlib
import struct

import numpy as np
from ag_core.genome import Interval
from subject import Subject
from subjects_tables import _source as source


def frame(data: bytes) -> bytes:
    """A TFRecord."""
    from ag_data.sources.tfrecord import masked_crc

    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", masked_crc(length)) + data + struct.pack("<I", masked_crc(data))


def _tensor(array: np.ndarray, listed: bool = False, kind: int = 1) -> bytes:
    from ag_data.sources.tensor_proto import message_classes

    message = message_classes()["TensorProto"](dtype=kind)
    for size in array.shape:
        message.tensor_shape.dim.add(size=size)
    if listed:
        message.float_val.extend(array.reshape(-1)[:3].tolist())
    else:
        message.tensor_content = array.astype("?" if kind == 10 else "<f4").tobytes()
    return message.SerializeToString()


def _example(**features) -> bytes:
    from ag_data.sources.tensor_proto import message_classes

    message = message_classes()["Example"]()
    for name, value in features.items():
        feature = message.features.feature[name.replace("__", "/")]
        if isinstance(value, int):
            feature.int64_list.value.append(value)
        else:
            feature.bytes_list.value.append(value)
    return message.SerializeToString()


def _tensors(folder: pathlib.Path) -> list[bytes]:
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    return [_tensor(array), _tensor(array, listed=True)]


def _tensor_bytes(path: pathlib.Path) -> None:
    from ag_data.sources.tensor_proto import parse_tensor

    parse_tensor(path.read_bytes(), f"tensor {path}")


def _bundle(folder: pathlib.Path) -> list[bytes]:
    place = {"interval__chromosome": b"chr1", "interval__start": 0, "interval__end": 64}
    ones = np.ones((64, 3), np.float32)
    return [
        _example(
            **place, x=_tensor(ones), x_mask=_tensor(np.ones((1, 3)), kind=10), dna_sequence=_tensor(np.zeros((64, 4)))
        )
    ]


def _bundle_record(path: pathlib.Path) -> None:
    """A damaged example in a record with right checksums."""
    path.write_bytes(gzip.compress(frame(path.read_bytes()), 1))
    source("alphagenome", bundle="DNASE")(path)


def _records(folder: pathlib.Path) -> list[bytes]:
    (one,) = _bundle(folder)
    return [frame(one), frame(one) + frame(one), gzip.compress(frame(one))]


_TABLE = (
    "\tidentifier\tfile\tclip\tclip_soft\tscale\tsum_stat\tstrand_pair\tdescription\n"
    "0\tA\ta.bw\t128\t32\t2.0\tmean\t0\tDNASE:heart\n"
)


def _borzoi(path: pathlib.Path) -> None:
    folder = path.parent
    (folder / "targets.txt").write_text(_TABLE)
    (folder / "sequences.bed").write_text("chr1\t320\t576\ttrain\n")
    place = path.with_name("train-0.tfr") if path.suffix == ".tfr" else path
    path.replace(place)
    from ag_data.sources.borzoi import BorzoiSource

    found = BorzoiSource(place, split="train", pool_width=32)
    found.read(Interval("chr1", 320, 576))


def _windows(folder: pathlib.Path) -> list[bytes]:
    sequence, target = np.zeros(384, np.uint8), np.ones((8, 1), np.float16)
    return [frame(_example(sequence=sequence.tobytes(), target=target.tobytes()))]


def _npz(**arrays) -> bytes:
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


def _examples(path: pathlib.Path) -> None:
    from ag_scorers.attribution.examples import read_examples

    read_examples(path)


def _bigwig(folder: pathlib.Path) -> list[bytes]:
    import pybigtools

    path = folder / "seed.bw"
    entries = [("chr1", at, at + 10, at / 7) for at in range(0, 2000, 20)] + [("chr2", 5, 9, 1.0)]
    pybigtools.open(str(path), "w").write({"chr1": 5000, "chr2": 100}, iter(entries))
    return [path.read_bytes()]


def _bam(folder: pathlib.Path) -> list[bytes]:
    import pysam

    path = folder / "seed.bam"
    header = pysam.AlignmentHeader.from_dict(
        {"HD": {"VN": "1.6", "SO": "coordinate"}, "SQ": [{"SN": "chr1", "LN": 5000}]}
    )
    with pysam.AlignmentFile(str(path), "wb", header=header) as file:
        for number in range(20):
            read = pysam.AlignedSegment(header)
            read.query_name, read.flag, read.reference_id, read.reference_start = f"r{number}", 0, 0, 10 * number
            read.mapping_quality, read.cigarstring, read.query_sequence = 60, "10M", "A" * 10
            file.write(read)
    return [path.read_bytes()]


def _bam_file(path: pathlib.Path) -> None:
    import pysam

    pysam.set_verbosity(0)
    path.with_name(path.name + ".bai").unlink(missing_ok=True)
    with contextlib.suppress(pysam.SamtoolsError):  # then there is none, which has to be said
        pysam.index(str(path))
    source("bam")(path)


def _cool(folder: pathlib.Path) -> list[bytes]:
    import cooler
    import pandas as pd

    path = folder / "seed.cool"
    bins = pd.DataFrame({"chrom": "chr1", "start": np.arange(8) * 2048, "end": np.arange(1, 9) * 2048})
    pixels = pd.DataFrame({"bin1_id": [0, 0, 1, 3], "bin2_id": [0, 1, 4, 7], "count": [5, 3, 2, 1]})
    cooler.create_cooler(str(path), bins, pixels)
    return [path.read_bytes()]


def _two_bit(folder: pathlib.Path) -> list[bytes]:
    head = struct.pack("<IIII", 0x1A412743, 0, 1, 0) + bytes([4]) + b"chr1" + struct.pack("<I", 25)
    return [head + struct.pack("<IIIIII", 12, 1, 4, 2, 0, 0) + b"\x1b\x1b\x1b"]


def _genome(path: pathlib.Path) -> None:
    from ag_data.genome_store import open_reader

    found = open_reader(path)
    for pieces in list(found.pieces().values())[:3]:
        for start, end, record in pieces[:3]:
            found.read_record(record, 0, min(end - start, 1000))


def _store(folder: pathlib.Path) -> pathlib.Path:
    from ag_data.ingest import import_tracks
    from ag_data.manifest import make_manifest

    path = folder / "store.zarr"
    if not path.exists():
        (folder / "g.fa").write_text(">chr1\n" + "ACGT" * 1024 + "\n")
        (folder / "a.bedgraph").write_text("chr1\t0\t1000\t2\nchr1\t1000\t4096\t1\n")
        content = {
            "genome": "g.fa", "organism": "human", "build": "hg38",
            "tracks": [{"path": "a.bedgraph", "modality": "dnase", "strand": "."}],
        }  # fmt: skip
        import_tracks(make_manifest(content, folder=folder), path)
    return path


def _store_file(place: str):
    def seeds(folder: pathlib.Path) -> list[bytes]:
        return [(_store(folder) / place).read_bytes()]

    def read(path: pathlib.Path) -> None:
        from ag_data.store import open_store

        target = _store(path.parent) / place
        whole = target.read_bytes()
        try:
            target.write_bytes(path.read_bytes())
            found = open_store(_store(path.parent))
            for modality in found.modalities:
                found.tracks(modality), found.statistics(modality)
                found.read(modality, Interval("chr1", 0, 4 * found.resolution(modality)))
        finally:
            target.write_bytes(whole)

    return seeds, read


_JSON = (
    b"null",
    b"{}",
    b"[]",
    b"-1",
    b"1e999",
    b'"x"',
    b"true",
    b'"layout"',
    b'"resolution"',
    b'"../../x"',
    b'"shape"',
)
_ROOT, _GROUP, _ARRAY = (
    _store_file(place) for place in ("zarr.json", "dnase/zarr.json", "dnase/chr1/signal/zarr.json")
)
_PIXELS = {"binsize": 2048, "chrom": "chr1"}
_BANDS = {"bin1": np.array([0, 1]), "bin2": np.array([1, 3]), "count": np.array([4.0, 2.0])}


def _contacts(folder: pathlib.Path) -> list[bytes]:
    return [_npz(**_PIXELS, **_BANDS), _npz(**_PIXELS, matrix=np.eye(3), pos=np.arange(3) * 2048)]


def _attributions(folder: pathlib.Path) -> list[bytes]:
    names = ("sequences", "contributions", "hypothetical")
    return [_npz(**{name: np.zeros((2, 8, 4), np.float32) for name in names})]


SUBJECTS = (
    Subject("tensor", _tensors, _tensor_bytes, ".bin", binary=True),
    Subject("tfrecord-example", _bundle, _bundle_record, ".tfrecord", binary=True),
    Subject("tfrecord", _records, source("alphagenome", bundle="DNASE"), ".tfrecord", binary=True),
    Subject("borzoi-shard", _windows, _borzoi, ".tfr", binary=True, named=False),
    Subject("contact-arrays", _contacts, source("pixels", min_coverage=0), ".npz", binary=True),
    Subject("attributions", _attributions, _examples, ".npz", binary=True),
    Subject("bigwig", _bigwig, source("bigwig"), ".bw", binary=True),
    Subject("bam", _bam, _bam_file, ".bam", binary=True),
    Subject("cool", _cool, source("cool", min_coverage=0), ".cool", binary=True),
    Subject("two-bit", _two_bit, _genome, ".2bit", binary=True),
    Subject("store-root", *_ROOT, ".json", words=_JSON, named=False),
    Subject("store-group", *_GROUP, ".json", words=_JSON, named=False),
    Subject("store-array", *_ARRAY, ".json", words=_JSON, named=False),
)
