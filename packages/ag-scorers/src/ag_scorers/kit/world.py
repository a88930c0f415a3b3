"""A tiny world made on the fly: one chromosome, three genes, and a random model that predicts what is asked for."""

import dataclasses
import inspect
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import numpy as np
import xarray as xr
from ag_core.checkpoint import Checkpoint, HeadSpec, ModelSpec, outline, save
from ag_core.config import PRESETS
from ag_core.errors import InputError
from ag_core.layers import Constant
from ag_core.model import Model, fold
from ag_core.plugins import registry
from ag_core.schema import track_table
from ag_core.sequence import reverse_complement
from ag_data.annotation import read_gtf
from ag_data.fasta import Fasta
from ag_data.polyadenylation import read_polyadenylation
from ag_data.splice_sites import annotated_sites

LENGTH, WINDOW, CHROMOSOME = 16_384, 4096, "chr1"
# Id, type, strand, exons of one transcript (1-based, both ends included).
GENES = (
    ("KITP", "protein_coding", "+", ((5001, 5300), (6001, 6200), (7401, 7700))),
    ("KITM", "protein_coding", "-", ((5401, 5800), (6501, 6700), (7201, 7500))),
    ("KITL", "lncRNA", "+", ((10_001, 10_400), (11_001, 11_300))),
)
# Strand, 0-based start, gene of polyadenylation sites.
SITES = (("+", 5600, "KITP"), ("+", 6400, "KITP"), ("+", 7690, "KITP"), ("-", 5450, "KITM"), ("-", 6300, "KITM"))
# Tables that a head may take, the richest first; heads that have no rows along the sequence have no strands either.
STRANDED = (("one", "+"), ("one", "-"), ("two", "."), ("padding", "."))
PLAIN = (("one", "."), ("two", "."), ("padding", "."))
CLASSES = (("donor", "+"), ("acceptor", "+"), ("donor", "-"), ("acceptor", "-"), ("padding", "."))
# Options that make a head small, and its reverse complement exact, where it has them.
SMALL: Mapping[str, Any] = {"sites": 24, "hidden": 8, "shift_reverse": False}


@dataclasses.dataclass(frozen=True)
class Land:
    """A genome and what is known about it: `resources` as scorers ask for them."""

    fasta: Fasta
    resources: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class World:
    """Two lands, of which one is the other's mirror image (reverse complement), and a model for both."""

    here: Land
    mirror: Land
    checkpoint: Checkpoint

    @property
    def model(self) -> Model:
        """The model, folded for inference."""
        return self.checkpoint.model


def make_world(folder: pathlib.Path, modalities: Iterable[str]) -> World:
    """Writes the world's files to `folder` (of this world alone). The same each time.

    Raises InputError for a modality for which no head is installed.
    """
    genome = make_genome()
    here = make_land(folder / "here", genome, mirror=False)
    mirror = make_land(folder / "mirror", reverse_complement(genome), mirror=True)
    return World(here, mirror, make_checkpoint(folder / "model", modalities))


def make_genome() -> str:
    """The sequence of the one chromosome."""
    return "".join(np.random.default_rng(0).choice(list("ACGT"), LENGTH))


def make_land(folder: pathlib.Path, genome: str, *, mirror: bool) -> Land:
    """Writes genome.fa, genes.gtf and polya.tsv; with `mirror`, features where the reverse complement has them."""
    folder.mkdir(parents=True, exist_ok=True)
    fasta, gtf, polya = folder / "genome.fa", folder / "genes.gtf", folder / "polya.tsv"
    fasta.write_text(f">{CHROMOSOME}\n" + "\n".join(genome[i : i + 60] for i in range(0, LENGTH, 60)) + "\n")
    gtf.write_text(_gtf(mirror))
    lines = ["Chromosome\tStart\tEnd\tpas_strand\tgene_id"]
    for strand, start, gene in SITES:
        if mirror:
            strand, start = "-+"[strand == "-"], LENGTH - 1 - start
        lines.append(f"{CHROMOSOME}\t{start}\t{start + 1}\t{strand}\t{gene}")
    polya.write_text("\n".join(lines) + "\n")
    genes = read_gtf(gtf)
    resources = {"genes": genes, "splice_sites": annotated_sites(genes), "polyadenylation": read_polyadenylation(polya)}
    return Land(Fasta(fasta), resources)


def _gtf(mirror: bool) -> str:
    lines = []
    for gene, kind, strand, exons in GENES:
        places = list(exons)
        if mirror:
            strand, places = "-+"[strand == "-"], [(LENGTH + 1 - b, LENGTH + 1 - a) for a, b in reversed(exons)]
        whole = (places[0][0], places[-1][1])
        named = f'gene_id "{gene}"; gene_name "{gene}"; gene_type "{kind}";'
        for feature, (start, end) in [("gene", whole), ("transcript", whole), *(("exon", place) for place in places)]:
            more = "" if feature == "gene" else f' transcript_id "T{gene}";'
            lines.append(f"{CHROMOSOME}\tkit\t{feature}\t{start}\t{end}\t.\t{strand}\t.\t{named}{more}")
    return "\n".join(lines) + "\n"


def make_checkpoint(folder: pathlib.Path | None, modalities: Iterable[str]) -> Checkpoint:
    """A random model with a head for each modality, and for those that these require; saved where there is a folder."""
    heads: dict[str, HeadSpec] = {}
    waiting = list(modalities)
    while waiting:
        name = waiting.pop(0)
        if name not in heads:
            heads[name], requires = describe_head(name)
            waiting += requires
    backbone = dataclasses.replace(PRESETS["tiny"], organisms=1)
    spec = ModelSpec("kit", backbone, heads, ("human",), WINDOW, "CC0-1.0")
    model = fill_randomly(outline(spec))
    digest = "of the kit" if folder is None else save(folder, model, spec)
    return Checkpoint(fold(model), spec, digest)


def describe_head(
    name: str, options: Mapping[str, Any] | None = None, small: Mapping[str, Any] = SMALL
) -> tuple[HeadSpec, Sequence[str]]:
    """How to build a head, with a table that it takes, and the modalities that it requires. Raises InputError."""
    target = registry().load("heads", name)
    known = inspect.signature(target).parameters
    given = {key: value for key, value in small.items() if key in known} | dict(options or {})
    tables = (STRANDED, PLAIN, CLASSES) if getattr(target, "local", False) else (PLAIN, STRANDED, CLASSES)
    refused = []
    for rows in tables:
        names, strands = zip(*rows, strict=True)
        table = track_table({"name": names, "strand": strands})

        def make(table: xr.Dataset = table) -> Any:
            return registry().create("heads", name, (table,), PRESETS["tiny"].dims, key=jax.random.key(0), **given)

        try:
            head = eqx.filter_eval_shape(make)
        except (ValueError, TypeError, LookupError) as error:
            refused.append(str(error).partition("\n")[0])
        else:
            return HeadSpec(name, (table,), given), head.requires
    raise InputError(f"head {name} takes none of the kit's track tables: {'; '.join(dict.fromkeys(refused))}")


def fill_randomly(model: Any, seed: int = 0) -> Any:
    """Gives the arrays of a model's outline random values in an instant; heads stay modest, so that sites are few."""
    random = np.random.default_rng(seed)

    def draw(path: Any, leaf: Any) -> Any:
        if not (eqx.is_inexact_array(leaf) or isinstance(leaf, jax.ShapeDtypeStruct)):
            return leaf
        names = [getattr(part, "name", getattr(part, "key", "")) for part in path]
        if names[-1] in ("scale", "second_moment"):
            return jax.device_put(random.uniform(0.5, 1.5, leaf.shape).astype(np.float32))
        size = 0.03 if names[0] == "heads" else 0.2
        return jax.device_put(random.normal(0, size, leaf.shape).astype(np.float32))

    return jax.tree_util.tree_map_with_path(draw, model, is_leaf=lambda leaf: isinstance(leaf, Constant))
