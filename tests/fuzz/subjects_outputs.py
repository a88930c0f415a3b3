"""What the suite writes and reads again, or takes from other tools: scores, predictions, deltas, genomes, sketches."""

import json
import pathlib
import shutil

import numpy as np
from subject import Subject
from subjects_models import _JSON, _MADE, _checkpoint, _spec

_FACTS = {"model_digest": "0", "requested": "[]", "reference": "x"}
_COLUMNS = ("variant", "chromosome", "position", "reference", "alternate", "status", "detail", "record", "alt",
            "scorer", "output", "track", "track_strand", "score")  # fmt: skip
_ROWS = (
    ("chr1:5:A>C", "chr1", "5", "A", "C", "scored", "", "0", "0", "DNASE", "dnase", "a", ".", "1.5"),
    ("chr1:9:A>C", "chr1", "9", "A", "C", "scored", "", "1", "0", "DNASE", "dnase", "b", ".", "-2e-3"),
    ("chr1:9:A>*", "chr1", "9", "A", "*", "star", "", "1", "1", "", "", "", "", ""),
)


def _sample(path: pathlib.Path) -> None:
    from ag_scorers.scored_files import sample_rows

    sample_rows(path, 2, 0)


def _tsv_seeds(folder: pathlib.Path) -> list[bytes]:
    (folder / "input.tsv.json").write_text(json.dumps(_FACTS))
    return ["".join("\t".join(row) + "\n" for row in (_COLUMNS, *_ROWS)).encode()]


def _tsv_facts(path: pathlib.Path) -> None:
    """What lies beside a TSV."""
    table = path.with_name("a.tsv")
    table.write_bytes(_tsv_seeds(path.parent)[0])
    path.replace(path.with_name("a.tsv.json"))
    _sample(table)


_VCF = """##fileformat=VCFv4.2
##AGmodel_digest=0
##AGrequested=[]
##AGreference=x
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO
chr1\t10\t.\tA\tC,<DEL>,*\t3\tPASS\tDP=3;AG=C|.|DNASE|a|0.5|.,C|G1|CAGE|b|-1|0.99;AG_STATUS=scored,symbolic,star
chr1\t12\t.\tA\t.\t.\t.\tAG_STATUS=.
"""


def _predictions(folder: pathlib.Path) -> pathlib.Path:
    import xarray as xr
    from ag_core.schema import track_table
    from ag_data.export.tree import Block
    from ag_data.export.zarr_store import StoreWriter

    path = folder / "predictions.zarr"
    if path.exists():
        return path
    table: xr.Dataset = track_table({"name": ["a", "b"], "strand": ["+", "-"]})
    facts = {"model": "m", "organism": "human", "chromosomes": {"chr1": 5000}, "modalities": ["cage"], "places": [""]}
    writer = StoreWriter(folder / "work", {"cage": table}, facts, fingerprint="")
    place = {"interval": "chr1:0-512:.", "region": "chr1:0-512:.", "resolution": 1, "modality": "cage"}
    block = Block("cage", "prediction", ("position", "track"), (512, 2), place)
    writer.create("", block)[:] = np.ones((512, 2), np.float32)
    writer.close_place("")
    writer.finish().rename(path)
    writer.discard()
    return path


def _prediction_file(place: str):
    def seeds(folder: pathlib.Path) -> list[bytes]:
        return [(_predictions(folder) / place).read_bytes()]

    def read(path: pathlib.Path) -> None:
        """Values are read by xarray when they are used, so they are no matter here."""
        from ag_data.export.tree import summary
        from ag_data.export.zarr_store import open_predictions

        target = _predictions(path.parent) / place
        whole = target.read_bytes()
        try:
            target.write_bytes(path.read_bytes())
            summary(open_predictions(target.parents[place.count("/")]))
        finally:
            target.write_bytes(whole)

    return seeds, read


def _bigwigs(folder: pathlib.Path) -> pathlib.Path:
    import pybigtools

    path = folder / "bigwigs"
    if not path.exists():
        path.mkdir()
        for name in ("a.bw", "b.bw"):
            pybigtools.open(str(path / name), "w").write({"chr1": 5000}, iter([("chr1", 5, 9, 1.0)]))
    return path


def _bigwig_seeds(folder: pathlib.Path) -> list[bytes]:
    _bigwigs(folder)
    about = {"modality": "cage", "strand": "+", "allele": "", "resolution": 1, "biosample_name": "K562"}
    return [json.dumps({"a.bw": {**about, "name": "a"}, "b.bw": {**about, "name": "b", "strand": "-"}}).encode()]


def _bigwig_folder(path: pathlib.Path) -> None:
    from ag_scorers.browser.collection import collect

    folder = _bigwigs(path.parent)
    path.replace(folder / "tracks.json")
    try:
        collect(folder, path.with_name("out"))
    finally:
        shutil.rmtree(path.with_name("out"), ignore_errors=True)


def _delta_seeds(folder: pathlib.Path) -> list[bytes]:
    from ag_core.model_spec import spec_to_json

    about = {"format": 1, "base": {"name": "m", "digest": "0" * 64}, "spec": spec_to_json(_spec())}
    return [json.dumps(about).encode()]


def _delta(path: pathlib.Path) -> None:
    """A damaged description with a digest that fits."""
    from ag_core.array_file import digest
    from ag_heads.deltas import ARRAY_FILE, DELTA_FILE, _read_delta

    folder = path.parent / "delta"
    folder.mkdir(exist_ok=True)
    arrays = folder / ARRAY_FILE
    if not arrays.exists():
        shutil.copy(_checkpoint(path.parent) / "model.safetensors", arrays)
    data = path.read_bytes()
    try:
        about = json.loads(data)
        about["digest"] = digest(json.dumps(about, sort_keys=True).encode(), arrays)
        data = json.dumps(about).encode()
    except (ValueError, TypeError, RecursionError):
        pass  # then it is read as it is
    (folder / DELTA_FILE).write_bytes(data)
    _read_delta(folder)


def _genome_seeds(folder: pathlib.Path) -> list[bytes]:
    from ag_data.fasta import Fasta
    from ag_data.genome_store import write_genome

    if not (folder / "genome").exists():
        (folder / "g.fa").write_text(">chr1\n" + "ACGT" * 100 + "\n>chr2\nACGTNN\n")
        write_genome([Fasta(folder / "g.fa")], folder / "genome")
        shutil.copy(folder / "genome" / "genome.json", folder / "whole.json")
    return [(folder / "whole.json").read_bytes()]


def _genome(path: pathlib.Path) -> None:
    from ag_core.genome import Interval
    from ag_data.genome_store import open_genome

    folder = path.with_name("genome")
    path.replace(folder / "genome.json")
    found = open_genome(folder)
    for name in list(found.lengths)[:3]:
        assert len(found.codes(Interval(name, -3, 20))) == 23
        found.digest(name)


def _sketch_seeds(folder: pathlib.Path) -> list[bytes]:
    from ag_scorers.calibration_run import Piece, write_piece
    from ag_scorers.quantile_sketch import QuantileSketch

    sketch = QuantileSketch(2, 8, 4)
    sketch.add(np.arange(40, dtype=np.float32).reshape(20, 2))
    write_piece(folder / "seed.sketch", Piece({"scorers": {"a": {}}, "tail": 4}, [], {"a": sketch}, complete=True))
    return [(folder / "seed.sketch").read_bytes()]


def _sketch(path: pathlib.Path) -> None:
    from ag_scorers.calibration_run import read_piece

    read_piece(path)


def _chain(path: pathlib.Path) -> None:
    import pandas as pd
    from ag_eval.seen import lift

    lift(pd.DataFrame({"Chromosome": ["chr1", "2"], "Start": [150, 5], "End": [151, 6]}), path)


def _hic_seeds(folder: pathlib.Path) -> list[bytes]:
    import hictkpy
    import pandas as pd

    path = folder / "seed.hic"
    path.unlink(missing_ok=True)
    with hictkpy.hic.FileWriter(path, {"chr1": 50_000}, 5000) as file:
        file.add_pixels(pd.DataFrame({"bin1_id": [0, 0, 1, 3], "bin2_id": [0, 1, 4, 7], "count": [5, 3, 2, 1]}))
    return [path.read_bytes()]


def _hic(path: pathlib.Path) -> None:
    from ag_core.genome import Interval
    from ag_data.sources.hic import HicSource

    found = HicSource(path, min_coverage=0)
    for name in list(found.chromosomes())[:2]:
        found.read(Interval(name, 0, 2048 * 4))


def _evaluation_table(path: pathlib.Path) -> None:
    from ag_eval.declarations import TableManifest
    from ag_eval.table_files import open_table

    facts = {"source": "x", "licence": "x", "obtain": "fetch it"}
    open_table(path, TableManifest(assembly="GRCh38", columns={"a": "b"}, **facts))


def _seed(text: str):
    return lambda folder: [text.encode()]


_CHAIN = "chain 1000 chr1 5000 + 100 200 chr1 6000 + 150 252 1\n50 0 2\n50\n\n"
_ROOT, _GROUP, _ARRAY = (
    _prediction_file(place) for place in ("zarr.json", "cage/zarr.json", "cage/prediction/zarr.json")
)

SUBJECTS = (
    Subject("scores-tsv", _tsv_seeds, _sample, ".tsv"),
    Subject("scores-facts", _seed(_MADE), _tsv_facts, ".json", words=_JSON, named=False),
    Subject("scores-vcf", _seed(_VCF), _sample, ".vcf", words=(b"AG=", b"AG_STATUS=", b"|", b"%2C", b"##AGmodel=")),
    Subject("predictions-root", *_ROOT, ".json", words=_JSON, named=False),
    Subject("predictions-group", *_GROUP, ".json", words=_JSON, named=False),
    Subject("predictions-array", *_ARRAY, ".json", words=_JSON, named=False),
    Subject("bigwig-folder", _bigwig_seeds, _bigwig_folder, ".json", words=_JSON, named=False),
    Subject("delta-json", _delta_seeds, _delta, ".json", words=_JSON, named=False),
    Subject("genome-json", _genome_seeds, _genome, ".json", words=_JSON, named=False),
    Subject("sketch", _sketch_seeds, _sketch, ".sketch", binary=True),
    Subject("chain", _seed(_CHAIN), _chain, ".chain", words=(b"chain", b"-", b"chr1")),
    Subject("hic", _hic_seeds, _hic, ".hic", binary=True),
    Subject("evaluation-table", _seed("a\tb\tc\nchr1\t5\tx\nchr2\t7\ty\n"), _evaluation_table, ".tsv"),
)
