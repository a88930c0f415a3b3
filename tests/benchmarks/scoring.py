"""Exact partial evaluation against full evaluation: additional SNVs, isolated SNVs, saturation mutagenesis; float32.

Full evaluation is one forward pass over all of the window with the heads that the scorers read, for each allele. Both
sides run in this process on the same inputs, and their scores are compared. With `--operations` nothing is run: the
programs' operations are counted, which takes a minute and little memory at any size.
"""

import argparse
import itertools
import pathlib
import statistics
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from ag_core.checkpoint import Checkpoint, load, outline
from ag_core.config import TOKEN
from ag_core.genome import Interval, Variant
from ag_core.model import Model, fold
from ag_core.partial import reference
from ag_core.sequence import one_hot
from ag_data.annotation import read_gtf
from ag_data.fasta import Fasta
from ag_scorers.batches import make_batches
from ag_scorers.engine import Engine
from ag_scorers.evaluation import Alternatives, read_reference, score_rows
from ag_scorers.recommended import recommended
from parts.flops import counted_flops
from parts.full import fill, full_spec
from parts.measure import GB, bench, busy, machine, resident, say

DATA = pathlib.Path(__file__).parents[2] / "examples" / "data"
CENTER = 44_355_660  # in the promoter of HNF4A
GOALS = {"additional": 15, "isolated": 3, "saturation": 15}


def engines(checkpoint: Checkpoint, window: int, batch: int) -> tuple[Engine, Engine]:
    """With the recommended centre masks alone, and with gene masks as well (RNA-seq, or CAGE where there is none)."""
    resolutions = {name: min(head.resolutions) for name, head in checkpoint.model.heads.items()}
    fasta, genes = Fasta(DATA / "HNF4A.hg38.fa.gz"), read_gtf(DATA / "HNF4A.hg38.gtf.gz")
    chosen = recommended(resolutions)
    centers = {key: one for key, one in chosen.items() if type(one).__name__ == "CenterMaskScorer"}
    genic = {key: one for key, one in chosen.items() if type(one).__name__ == "GeneMaskLFCScorer"}
    if not genic:
        from ag_scorers.gene_mask import GeneMaskLFCScorer

        genic = {"CAGE_GENE": GeneMaskLFCScorer("cage")}
    resources = {"genes": genes}
    options = {"resources": resources, "window": window, "batch_size": batch, "partial": True}
    one = Engine(checkpoint, fasta, centers, **options)
    return one, Engine(checkpoint, fasta, centers | genic, **options)


def snvs(fasta: Fasta, start: int, end: int) -> list[Variant]:
    """All SNVs of a stretch (0-based half-open)."""
    bases = fasta.fetch(Interval("chr20", start, end))
    return [
        Variant("chr20", start + i + 1, base, other)
        for i, base in enumerate(bases)
        for other in "ACGT"
        if other != base
    ]


@eqx.filter_jit
def one_allele(model: Model, codes, organism: int, selections, scorers, masks):
    """One full evaluation: all predictions that the scorers read, and what they make of them."""
    organisms = jnp.full(1, organism, jnp.int32)
    found = jax.tree.map(lambda x: x[0], model(one_hot(codes), organisms, modalities=tuple(selections)))
    values = [scorer.read(model.heads, found, selections) for scorer in scorers]
    return [scorer.score(x, x, mask) for scorer, x, mask in zip(scorers, values, masks, strict=True)]


def full_arguments(engine: Engine, variant: Variant, interval: Interval):
    """What `one_allele` needs for a variant."""
    job = next(iter(make_batches([make_job(engine, variant, interval)], 1))).jobs[0]
    masks = [items.masks for items in job.items]
    selections = {name: engine.selection(name) for name in engine.tables}
    return engine.model, job.codes[1:], engine.organism, selections, tuple(engine.scorers.values()), masks


def make_job(engine: Engine, variant: Variant, interval: Interval):
    """The engine's own job of a variant."""
    from ag_data.variants import Call

    bases = variant.reference_bases, variant.alternate_bases
    call = Call(0, 0, variant.chromosome, variant.position, *bases, variant=variant)
    return engine._jobs.make(0, call, interval)


def partial_flops(engine: Engine, variant: Variant, interval: Interval) -> float:
    """Of the program that scores one more SNV on a known interval, of which REF has been read."""
    (batch,) = make_batches([make_job(engine, variant, interval)], 1)
    masks, sites = batch.masks(engine.scorers)
    (job,) = batch.jobs
    alternatives = Alternatives(job.codes[1:], np.array([job.first]), np.array([False]))
    selections = {name: engine.selection(name) for name in engine.tables}
    scorers, size, rows = tuple(engine.scorers.values()), batch.readings[0].shape.size, batch.rows()
    references = engine._references(batch)
    known = engine._reference_rows(references, rows, size, False)
    rest = (engine.organism, rows, selections, scorers, masks, sites, size, job.change, False, False)
    return flops_of(score_rows, engine.model, references, known, alternatives, *rest)


def flops_of(function, *arguments) -> float:
    """Of a function whose arguments are not all arrays."""
    arrays, rest = eqx.partition(arguments, lambda x: eqx.is_array(x) or isinstance(x, jax.ShapeDtypeStruct))
    return counted_flops(lambda arrays: function(*eqx.combine(arrays, rest)), arrays)


def shapes_of(tree):
    """The same tree with shapes in place of arrays."""
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype) if hasattr(x, "dtype") else x, tree)


def count_operations(window: int) -> None:
    """Operations at the published sizes, of the convolutions as they run on CPUs and as they are written."""
    spec = full_spec(False)
    model, plain = (shapes_of(eqx.filter_eval_shape(fold, outline(spec), fast=fast)) for fast in (True, False))
    start = CENTER - window // 2 // TOKEN * TOKEN
    interval = Interval("chr20", start, start + window)
    found = {}
    pair = engines(Checkpoint(model, spec, ""), window, 1)
    for kind, engine in zip(("centre masks", "and gene mask"), pair, strict=True):
        variant = snvs(engine.fasta, CENTER, CENTER + 1)[0]
        arguments = full_arguments(engine, variant, interval)
        full, written = (flops_of(one_allele, one, *arguments[1:]) for one in (model, plain))
        (batch,) = make_batches([make_job(engine, variant, interval)], 1)
        (job,), rows, shape = batch.jobs, batch.rows(), batch.readings[0].shape
        masks, sites = batch.masks(engine.scorers)
        selections = {name: engine.selection(name) for name in engine.tables}
        scorers = tuple(engine.scorers.values())

        def know(model, codes):
            return reference(model.backbone, codes, engine.organism, "float32")  # noqa: B023

        def read(model, known):
            return read_reference(model, known, engine.organism, rows, selections, shape.size, window, False)  # noqa: B023

        codes = jax.ShapeDtypeStruct((1, window), np.uint8)
        known = shapes_of(eqx.filter_eval_shape(know, model, codes))
        told = shapes_of(eqx.filter_eval_shape(read, model, known))
        alternatives = Alternatives(job.codes[1:], np.array([job.first]), np.array([False]))
        rest = engine.organism, rows, selections, scorers, masks, sites, shape.size, job.change, False, False
        ref, look = flops_of(know, model, codes), flops_of(read, model, known)
        alt = flops_of(score_rows, model, known, told, alternatives, *rest)
        found[kind] = full, written, ref, look, alt
        names = "full", "as written", "REF", "its rows", "ALT"
        texts = [f"{name} {value / 1e9:,.1f}" for name, value in zip(names, found[kind], strict=True)]
        say(f"{window:,} bp, {kind}: GFLOP {', '.join(texts)}; decodes {shape.count} x {shape.size} tokens")
    full, written, ref, look, alt = found["centre masks"]
    bench(f"additional_snv_operations_{window}", full / alt, GOALS["additional"])
    bench(f"additional_snv_operations_as_written_{window}", written / alt, GOALS["additional"])
    bench(f"saturation_operations_{window}", 193 * full / (ref + look + 192 * alt), GOALS["saturation"])
    full, written, ref, look, alt = found["and gene mask"]
    bench(f"isolated_snv_operations_{window}", 2 * full / (ref + look + alt), GOALS["isolated"])


def timed(call) -> float:
    """Seconds of a call that waits for its own result."""
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def measure(name: str, checkpoint: Checkpoint, plain: Model, window: int, count: int, repeats: int) -> None:
    """All ratios for one model and window; `count` of the 192 SNVs of saturation are run.

    `plain` is the model whose convolutions are computed as they are written: what operations are usually counted for.
    """
    centers, genic = engines(checkpoint, window, 1)
    start = CENTER - window // 2 // TOKEN * TOKEN
    interval = Interval("chr20", start, start + window)
    variants = snvs(centers.fasta, CENTER - 32, CENTER + 32)
    assert len(variants) == 192
    tracks = sum(table.sizes["track"] for table in centers.tables.values())
    say(f"{name}, {window:,} bp, {len(centers.scorers)} centre masks, {tracks:,} tracks")

    full, made = {}, []
    for kind, engine in (("centre masks", centers), ("and gene mask", genic)):
        arguments = full_arguments(engine, variants[0], interval)
        program = one_allele.lower(*arguments).compile()
        outputs = jax.block_until_ready(program(*arguments))
        full[kind] = min(timed(lambda p=program, a=arguments: jax.block_until_ready(p(*a))) for _ in range(repeats))
        counted = flops_of(one_allele, *arguments)
        say(f"  one full evaluation, {kind}: {full[kind]:.3f} s, {counted / 1e9:,.1f} GFLOP")
        del program
        if kind == "centre masks":
            work = counted
            made = [np.asarray(one) for one in outputs]

    arguments = plain, *full_arguments(centers, variants[0], interval)[1:]
    program = one_allele.lower(*arguments).compile()
    others = jax.block_until_ready(program(*arguments))
    # Those that are not 0 for equal alleles: how far rounding alone gets with these weights.
    pairs = [(one[two != 0], two[two != 0]) for one, two in zip(made, map(np.asarray, others), strict=True)]
    rounding = max(float(np.abs(one / two - 1).max()) for one, two in pairs if one.size)
    unfiltered = timed(lambda: jax.block_until_ready(program(*arguments)))
    counted = flops_of(one_allele, *arguments)
    say(f"  the same with plain convolutions: {unfiltered:.3f} s, {counted / 1e9:,.1f} GFLOP")
    say(f"  sums differ between the two by up to {rounding:.2g}, relatively: that is rounding")
    del program, arguments, others

    centers.score(variants[0], interval)  # compiles, and knows REF from here on
    each = [timed(lambda v=v: centers.score(v, interval)) for v in variants[3 : 3 + max(repeats, 3)]]
    additional = statistics.median(each)
    counted = partial_flops(centers, variants[0], interval)
    fewer = f"{counted / 1e9:,.1f} GFLOP, {work / counted:.1f} times fewer"
    say(f"  one more SNV on the interval: {additional:.3f} s, {fewer}")

    lone = [variant for variant in snvs(centers.fasta, CENTER - 200, CENTER + 200)[:: 3 * 40]]
    genic.score(lone[0])
    isolated = statistics.median(timed(lambda v=v: genic.score(v)) for v in lone[1 : 1 + max(repeats, 2)])
    reading = next(iter(make_batches([make_job(genic, lone[0], genic.interval(lone[0]))], 1))).readings[0]
    say(
        f"  an isolated SNV with gene mask: {isolated:.3f} s; decodes {reading.shape.count} x {reading.shape.size} of "
        f"{window // TOKEN} tokens"
    )

    best = 0.0
    for batch in (1, 4):
        centers.batch_size = batch
        some = variants[:count]
        centers.score_many(some, interval)  # compiles: many together are read by another program than one
        centers._known = None  # REF counts
        spent = timed(lambda some=some: centers.score_many(some, interval))
        # REF is computed once, however many follow.
        rest = timed(lambda some=some: centers.score_many(some, interval))
        whole = spent + rest / count * (192 - count)
        ratio = 193 * full["centre masks"] / whole
        best = max(best, ratio)
        shown = "" if count == 192 else f" ({count} run, the rest at their pace)"
        say(f"  192 SNVs, {batch} at a time: {whole:.2f} s{shown}, {ratio:.1f} times faster")

    exact = Engine(checkpoint, centers.fasta, centers.scorers, window=window, batch_size=1, partial=False)
    pairs = zip(centers.score(variants[5], interval), exact.score(variants[5], interval), strict=True)
    # Logarithms differ by what predictions differ relatively, sums by as many times their size.
    apart = max(float((abs(one.values - two.values) / np.maximum(abs(two.values), 1)).max()) for one, two in pairs)
    say(f"  largest difference of a score, relative or of a logarithm: {apart:.2g}; peak {resident() / GB:.1f} GB")
    where = f"{name}_{window}"
    bench(f"additional_snv_speedup_{where}", full["centre masks"] / additional, GOALS["additional"])
    bench(f"additional_snv_speedup_of_plain_{where}", unfiltered / additional, GOALS["additional"])
    bench(f"isolated_snv_speedup_{where}", 2 * full["and gene mask"] / isolated, GOALS["isolated"])
    bench(f"saturation_speedup_{where}", best, GOALS["saturation"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a narrow network in place of the full one, at 16,384 bp")
    parser.add_argument(
        "--lengths", type=int, nargs="*", help="windows of the full-size network (default 16,384 131,072)"
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--operations", action="store_true", help="only count operations, at the published sizes")
    arguments = parser.parse_args()
    warning = busy()
    say(machine("jax", "jaxlib", "numpy", "ag-core"))
    lengths = (
        arguments.lengths if arguments.lengths is not None else ([16_384] if arguments.quick else [16_384, 131_072])
    )
    if arguments.operations:
        for length in lengths:
            count_operations(length)
        return
    mini = load("mini")
    measure("mini", mini, fold(mini.model, fast=False), 16_384, 192, arguments.repeats)
    if lengths:
        reduced = arguments.quick
        spec, weights = full_spec(reduced), fill(outline(full_spec(reduced)))
        model, plain = fold(weights), fold(weights, fast=False)
        del weights
        for length in itertools.chain(lengths):
            count = 192 if reduced else 24 if length < 100_000 else 8
            measure(
                "reduced" if reduced else "full", Checkpoint(model, spec, ""), plain, length, count, arguments.repeats
            )
    if warning:
        say(warning)


if __name__ == "__main__":
    main()
