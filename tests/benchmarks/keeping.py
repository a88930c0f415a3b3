"""What keeping a shard costs by the number of its scores, against decoding all of them, which is not needed for it.

The process that collects shards from a cluster does nothing else for each variant: docs/scale.md counts with this.
"""

import argparse
import dataclasses
import pathlib
import tempfile
import time

import numpy as np
from ag_data import Fasta
from ag_data.variants import Call
from ag_scorers import open_engine
from ag_scorers.results import Result
from ag_scorers.shard_file import read_calls, read_shard, write_shard
from ag_scorers.shards import RunFolder
from parts.measure import bench, busy, machine, say

DATA = pathlib.Path(__file__).parents[2] / "examples" / "data"
# Label, variants in a shard, items of each scorer, scorers: all recommended ones of `mini` if none are named.
SHARDS = (("one scorer", 1024, 1, ("DNASE",)), ("recommended", 512, 3, ()), ("many items", 64, 96, ()))


def results(templates, variants: int, items: int) -> list[Result]:
    """Random scores with quantiles, which compress as badly as scores can."""
    random = np.random.default_rng(0)
    table = {"gene_id": np.array([f"ENSG{n:011d}" for n in range(items)])}

    def one(template):
        arrays = [random.random((items, template.tracks.sizes["track"])).astype(np.float32) for _ in range(2)]
        return dataclasses.replace(template, values=arrays[0], quantiles=arrays[1], table=table)

    calls = (Call(number, 0, "chr20", 44355000 + number, "A", "C") for number in range(variants))
    return [Result(call, tuple(map(one, templates))) for call in calls]


def spent(call, repeats: int) -> float:
    """Seconds of a processor for each of some calls."""
    begun = time.process_time()
    for _ in range(repeats):
        call()
    return (time.process_time() - begun) / repeats


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer repeats")
    repeats = 2 if parser.parse_args().quick else 10
    print(busy(), machine("pyarrow", "ag-scorers"), sep="\n")
    fasta, gtf = Fasta(DATA / "HNF4A.hg38.fa.gz"), DATA / "HNF4A.hg38.gtf.gz"
    for label, variants, items, scorers in SHARDS:
        templates = list(open_engine(fasta, gtf=gtf, scorers=scorers).templates())
        made = results(templates, variants, items)
        with tempfile.TemporaryDirectory() as place:
            path = pathlib.Path(place) / "shard.arrow"
            write_shard(path, made, templates)
            data = path.read_bytes()
            folder = RunFolder(pathlib.Path(place) / "run", {}, templates)
            numbers = iter(range(1_000))
            keep = spent(
                lambda folder=folder, data=data, numbers=numbers: folder.keep(next(numbers), data, 1.0), repeats
            )
            calls = spent(lambda path=path, templates=templates: read_calls(path, templates), repeats)
            whole = spent(lambda path=path, templates=templates: list(read_shard(path, templates)), repeats)
            folder.close()
        scores = sum(one.values.size for one in made[0].scores)
        say(f"{label}: {variants} variants of {scores:,} scores, {len(data) / variants:,.0f} bytes each")
        say(f"  kept in {keep / variants * 1e3:.3f} ms of a processor a variant")
        bench(f"keeping_{label.replace(' ', '_')}_decoding_ratio", whole / calls, 2)


if __name__ == "__main__":
    main()
