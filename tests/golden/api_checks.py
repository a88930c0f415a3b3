"""Parity of the model-level interface: predictions and scores of a reduced model on a synthetic genome.

Keys on '-' intervals record defects of the reference; they are reproduced with `parity="upstream"`, and what the
corrected default gives there is tested by laws (tests/scorers/test_eleven.py). On '+' the engine's default must give
the same; scorers by themselves are compared in both modes in `scorer_checks`.
"""

import dataclasses
import functools
import pathlib
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

import equinox as eqx
import head_checks
import jax
import numpy as np
import pandas as pd
import recipe
import xarray as xr
from ag_core.checkpoint import Checkpoint, HeadSpec, ModelSpec
from ag_core.genome import Interval, Variant
from ag_core.interfaces import AbstractScorer, Items
from ag_core.schema import track_table
from ag_core.sequence import encode
from ag_data.annotation import Annotation
from ag_data.fasta import Fasta
from ag_data.polyadenylation import PolyadenylationSites
from ag_data.splice_sites import SpliceSites, sites_of_introns
from ag_scorers.alleles import predict_alleles
from ag_scorers.engine import Engine
from ag_scorers.interval_scoring import score_interval
from ag_scorers.junctions import SpliceJunctionScorer, unstack
from ag_scorers.parity import Parity
from ag_scorers.prediction import predict_variant
from ag_scorers.recommended import create_scorer, recommended
from ag_scorers.selection import choose_tracks
from golden_file import Golden
from scorer_checks import check_table, kept_rows, rows_of

ORGANISMS = {"human": "HOMO_SAPIENS", "mouse": "MUS_MUSCULUS"}
JUNCTIONS, USAGE = "splice_junctions", "splice_site_usage"


@functools.cache
def model_of(folder: pathlib.Path) -> Any:
    return head_checks.small_model(Golden.load(folder.parent / "small_model", "forward"))


def spec_of(golden: Golden, model: Any) -> ModelSpec:
    """Heads with the track tables of the golden, in the order of its metadata."""

    def table(rows: list[Mapping[str, Any]]) -> xr.Dataset:
        names = dict.fromkeys(name for row in rows for name in ("name", "strand", *row))
        columns = {name: [row.get(name, ".") for row in rows] for name in names if name != "nonzero_mean"}
        return track_table({name: ["" if v is None else v for v in values] for name, values in columns.items()})

    metadata = golden.config["metadata"]
    heads = {
        name: HeadSpec(name, tuple(table(metadata[organism][name]) for organism in ORGANISMS.values()))
        for name in metadata["HOMO_SAPIENS"]
    }
    assert set(heads) == set(model.heads)
    return ModelSpec("golden", model.backbone.config, heads, tuple(ORGANISMS), golden.config["length"], "none")


@dataclasses.dataclass(frozen=True)
class World:
    """All that the checks share."""

    golden: Golden
    checkpoint: Checkpoint
    fasta: Fasta
    genes: Annotation
    sites: SpliceSites
    polya: PolyadenylationSites
    interval: Interval
    variants: Mapping[str, Variant]

    def strand(self, sign: str) -> Interval:
        one = self.interval
        return Interval(one.chromosome, one.start, one.end, {"plus": "+", "minus": "-"}[sign])

    def engine(self, scorers: Mapping[str, Any], annotated: bool, parity: Parity) -> Engine:
        resources = {"genes": self.genes, "splice_sites": self.sites, "polyadenylation": self.polya}
        return Engine(
            self.checkpoint,
            self.fasta,
            scorers,
            resources=resources if annotated else {},
            window=self.interval.width,
            batch_size=1,
            parity=parity,
        )


def open_world(golden: Golden, folder: pathlib.Path) -> World:
    config, tables = golden.config, golden.config["tables"]
    name, length, count, seed, share = re.search(
        r"dna\('([^']+)', (\d+), (\d+), (\d+), ([\d.]+)\)", config["genome"]["recipe"]
    ).groups()  # pyright: ignore[reportOptionalMemberAccess]
    codes = recipe.dna(name, int(length), int(count), int(seed), float(share))[0]
    genome = folder / "genome.fa"
    genome.write_text(">chr1\n" + "".join("ACGTN"[code] for code in codes) + "\n")
    model = model_of(golden.folder)
    return World(
        golden,
        Checkpoint(model, spec_of(golden, model), "none"),
        Fasta(genome),
        Annotation(pd.DataFrame(tables["gtf"])),
        SpliceSites(sites_of_introns(pd.DataFrame(tables["intron_starts"]), pd.DataFrame(tables["intron_ends"]))),
        PolyadenylationSites(pd.DataFrame(tables["pas"])),
        Interval.from_str(config["interval"]),
        {key: Variant("chr1", v["position_1based"], v["ref"], v["alt"]) for key, v in config["variants"].items()},
    )


@eqx.filter_jit
def _predict(model: Any, codes: Any, organism: int, reverse: bool) -> Any:
    predictions = predict_alleles(model, codes, organism, list(model.heads), reverse=reverse)
    return {name: jax.tree.map(lambda x: x[0, 0], found) for name, found in predictions.items()}


def labels(tracks: xr.Dataset, modality: str) -> list[str]:
    strands = [""] * tracks.sizes["track"] if modality == JUNCTIONS else tracks["strand"].values
    return [f"{name}{strand}" for name, strand in zip(tracks["name"].values, strands, strict=True)]


def compare(golden: Golden, key: str, modality: str, values: Any, tracks: xr.Dataset, rows: Any = None) -> None:
    """One modality under `key`: values (at the stored positions), names of tracks, junctions."""
    if f"{key}/{modality.upper()}" not in golden.keys("out") and modality != JUNCTIONS:
        return
    info, name = golden.config["info"], f"{key}/{modality.upper()}"
    assert info[f"{name}/names"] == labels(tracks, modality), name
    if modality == JUNCTIONS:
        want = [(int(start), int(end), strand) for start, end, strand in info[f"{key}/junctions"]]
        assert list(zip(*(column.tolist() for column in rows), strict=True)) == want, f"{name}: other junctions"
        golden.compare(f"{name}/values", values)
        return
    values = np.asarray(values)
    at_positions = len(values) == golden.config["length"]
    values = values[golden.arrays["in/positions_1bp"]] if at_positions else values
    golden.compare(name, nearest_half(values, golden.arrays[f"out/{name}"]) if modality == USAGE else values)


def nearest_half(values: np.ndarray, want: np.ndarray) -> np.ndarray:
    """Usage is rounded to float16, where the last bit of float32 decides between neighbours: at most 1 % may differ."""
    values = values.astype(np.float32)
    close = (values != want) & (np.abs(values - want) <= np.spacing(want.astype(np.float16)).astype(np.float32))
    assert close.mean() <= 0.01, f"{close.mean():.1%} of the usage is a float16 step away"
    return np.where(close, want, values)


def check_predictions(world: World) -> Iterator[str]:
    """predict_sequence of both organisms and of some tracks, predict_interval on both strands."""
    golden, model = world.golden, world.checkpoint.model
    cases = [(f"predict_sequence/{organism}", organism, "", "plus", 0) for organism in ORGANISMS]
    terms = "ontology_curie=CL:0000000 | ontology_curie=UBERON:0000001 | modality=splice_sites"
    cases.append(("predict_sequence/human_ontology", "human", terms, "plus", 0))
    cases += [(f"predict_interval/{sign}", "human", "", sign, world.interval.start) for sign in ("plus", "minus")]
    for key, organism, query, sign, offset in cases:
        interval = world.strand(sign)
        number = world.checkpoint.spec.organism(organism)
        codes = encode(world.fasta.fetch(interval))[None, None]
        predictions = _predict(model, codes, number, sign == "minus")
        slots, tables = choose_tracks(world.checkpoint.spec, number, query)
        for modality, chosen in slots.items():
            if modality == JUNCTIONS:
                read = SpliceJunctionScorer().read(model.heads, predictions, slots)
                values, columns = unstack(np.asarray(read.counts), np.asarray(read.positions), offset)
                rows = [columns[name] for name in ("start", "end", "strand")]
                compare(golden, key, modality, values, tables[modality], rows)
            else:
                values = np.asarray(model.heads[modality].output(predictions[modality]))[..., chosen]
                compare(golden, key, modality, values, tables[modality])
        yield key
        if key.endswith("mouse"):  # without tracks there is nothing to return
            assert golden.arrays[f"out/{key}/PROCAP"].size == 0


def check_variants(world: World) -> Iterator[str]:
    """predict_variant with and without annotation."""
    golden, scorers = world.golden, recommended(world.checkpoint.model.heads)
    keys = sorted({"/".join(key.split("/")[:4]) for key in golden.keys("out") if key.startswith("predict_variant/")})
    plain = {name: Reads(name) for name in world.checkpoint.model.heads}
    upstream = Parity.UPSTREAM
    engines = {"annotated": world.engine(scorers, True, upstream), "plain": world.engine(plain, False, upstream)}
    for key in keys:
        _, name, sign, kind = key.split("/")
        engine = engines[kind]
        _, *trees = predict_variant(engine, world.variants[name], interval=world.strand(sign))
        for allele, tree in zip(("REF", "ALT"), trees, strict=True):
            for modality, child in tree.children.items():
                where = f"{key}/{allele}"
                if modality == JUNCTIONS:
                    rows = [child[column].values for column in ("start", "end", "junction_strand")]
                    compare(golden, where, modality, child["count"].values, engine.tables[modality], rows)
                else:
                    compare(golden, where, modality, child["prediction"].values, engine.tables[modality])
        yield key


class Reads(AbstractScorer):
    """Stands for somebody's scorer that needs no annotation: so its modality is predicted."""

    modality: str = eqx.field(static=True)
    signed: ClassVar[bool] = False
    requires: ClassVar[tuple[str, ...]] = ()

    @property
    def name(self) -> str:
        return f"Reads({self.modality})"

    def items(self, interval: Interval, variant: Variant, resolution: int, resources: Mapping[str, Any]) -> Items:
        return Items(np.zeros(1, np.int32), {})

    def score(self, ref: Any, alt: Any, masks: Any) -> Any:
        return jax.tree.map(lambda x: x.astype(np.float32).reshape(-1, x.shape[-1]), jax.tree.leaves(ref)[0])


def check_scores(world: World) -> Iterator[str]:
    """score_variant with the recommended scorers, in their order; those of upstream parity also in a default engine."""
    golden = world.golden
    scorers = recommended(world.checkpoint.model.heads, parity="upstream")
    engines = {parity: world.engine(scorers, True, parity) for parity in Parity}
    for name, variant in world.variants.items():
        for sign, parity in (("plus", Parity.FIXED), ("plus", Parity.UPSTREAM), ("minus", Parity.UPSTREAM)):
            key, engine = f"score_variant/{name}/{sign}", engines[parity]
            results = engine.score(variant, world.strand(sign))
            stored = [one.removeprefix(f"{key}/") for one in golden.keys("out") if one.startswith(f"{key}/")]
            assert [result.key for result in results] == stored, f"{key}: other scorers or another order"
            for result in results:
                rows = golden.config["info"][f"{key}/{result.key}/obs"]
                if rows:
                    check_table(result.table, rows, f"{key}/{result.key}")
                golden.compare(f"{key}/{result.key}", result.values)
            yield key


def check_intervals(world: World) -> Iterator[str]:
    """score_interval with a mean and a sum, in both modes; all in one program."""
    golden, scorers = world.golden, {}
    for key in [one for one in golden.keys("out") if one.startswith("score_interval/")]:
        output, width, summary = re.fullmatch(r"score_interval/(\w+)_w(\d+|None)_([A-Z]+)", key).groups()  # pyright: ignore[reportOptionalMemberAccess]
        options = {"modality": output.lower(), "width": None if width == "None" else int(width), "aggregation": summary}
        scorers |= {f"{key} {parity}": create_scorer("interval_gene_mask", options, parity) for parity in Parity}
    given = world.checkpoint, world.fasta, world.interval, scorers
    for result in score_interval(*given, resources={"genes": world.genes}):
        key, parity = result.key.split()
        rows = rows_of(golden.arrays[f"out/{key}"], Parity(parity), 0 if key.endswith("SUM") else np.nan)
        check_table(result.table, kept_rows(golden.config["info"][f"{key}/obs"], rows), key)
        golden.compare(key, result.values, rows=rows)
        yield key


def check_api(golden: Golden) -> None:
    """Everything; every stored array must have been asked for."""
    with tempfile.TemporaryDirectory() as folder:
        world = open_world(golden, pathlib.Path(folder))
        done = [
            key for check in (check_predictions, check_variants, check_scores, check_intervals) for key in check(world)
        ]
    left = [
        key for key in golden.keys("out") if not key.startswith(tuple(f"{one}/" for one in done)) and key not in done
    ]
    assert not left, f"not compared: {left[:5]}"


CHECKS: dict[str, Callable[[Golden], None]] = {"api": check_api}
