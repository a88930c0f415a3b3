"""Targets: their text, what they mean for a model and a window, and what is refused."""

import jax
import numpy as np
import pytest
from ag_core.checkpoint import load
from ag_core.errors import InputError
from ag_core.genome import Interval, Variant
from ag_core.model import fold
from ag_core.sequence import allele_sequences, encode
from ag_data.annotation import read_gtf
from ag_data.fasta import Fasta
from ag_data.splice_sites import annotated_sites
from ag_scorers.attribution.baselines import as_one_hot
from ag_scorers.attribution.expression import Aggregation, Exons, Junction, Logarithm, Reading, Span, Sum
from ag_scorers.attribution.forward import BOTH, FORWARD, REVERSE, make_forward
from ag_scorers.attribution.parser import parse_target
from ag_scorers.attribution.reading import Scene
from ag_scorers.attribution.target import PythonTarget, bind
from ag_scorers.engine import Engine
from ag_scorers.gene_mask import GeneMaskLFCScorer
from ag_scorers.junctions import SpliceJunctionScorer
from ag_scorers.prediction import predict_variant

WINDOW = Interval("chr1", 3000, 3000 + 4096)
INTRON = Interval("chr1", 4400, 5200, "+")


def test_text_says_what_is_read():
    target = parse_target(
        'log2(sum(DNase[HepG2 & !"T ]cell"] @ chr20:1,001-1,500), 1) - 2*RNA-seq @ gene HNF4A + cage@region'
    )
    span = Reading("dnase", 'HepG2 & !"T ]cell"', Span(Interval("chr20", 1000, 1500)), Aggregation.SUM)
    (_, logarithm), (factor, gene), (plus, here) = target.terms
    assert logarithm == Logarithm(span, "2", 1.0)
    assert (factor, plus) == (-2, 1)
    assert gene == Reading("rna_seq", "", Exons("HNF4A"), Aggregation.LOGMEAN)
    assert here.aggregation is Aggregation.MEAN
    assert parse_target(str(target)) == target  # its own text says the same
    junction = parse_target("splice_junctions[liver] @ chr20:124-456:-").location
    assert junction == Junction(Interval("chr20", 123, 456, "-"))
    assert isinstance(parse_target("-(dnase @ region)"), Sum)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dnase", r"position 6: '@' is missing"),
        ("dnase[HepG2 @ region", r"']' is missing"),
        ("dnase @ chr1:500-400", r"no base: places are 1-based"),
        ("dnase @ chr1:0-400", r"no base: places are 1-based"),
        ("dnase @ HNF4A", r"no place, such as"),
        ("median(dnase @ region)", r"position 1: 'median' is no function; known: sum, mean, max, logmean, log, log2"),
        ("dnase @ region dnase @ region", r"position 16: what follows is too much"),
        ("log(dnase @ region, x)", r"a number is missing"),
        ("", r"position 1: a modality or a function is missing"),
    ],
)
def test_wrong_text_is_pointed_at(text, message):
    with pytest.raises(InputError, match=message):
        parse_target(text)


@pytest.fixture(scope="module")
def checkpoint(eleven):
    return load(eleven.model)


@pytest.fixture(scope="module")
def scene(checkpoint, eleven):
    return lambda **options: Scene(
        checkpoint, 0, WINDOW, Interval("chr1", 4000, 4100), options.get("genes", read_gtf(eleven.gtf))
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dnas @ region", r"does not predict 'dnas'; did you mean dnase"),
        ("dnase[K563] @ region", r"no dnase track .* matches 'K563'; did you mean K562"),
        ("dnase[strnd=+] @ region", r"unknown field 'strnd'.*"),
        ("dnase @ chr1:2001-2100", r"chr1:2,001-2,100 is not inside the window that the model reads, chr1:3,001-7,096"),
        ("dnase @ chr2:4001-4100", r"is not inside the window"),
        ("rna_seq @ gene P2", r"no gene 'P2' on chr1 in the annotation; did you mean .*P1"),
        ("rna_seq @ gene L1", r"no transcript of it begins in the window .*; the gene is at chr1:9,501-12,000 on '\+'"),
        ("rna_seq[strand=-] @ gene P1", r"the gene is on '\+', and no chosen track is"),
        ("chip_tf @ gene P1", r"exons need predictions at 1 bp, but these are at 128 bp"),
        ("contact_maps @ region", r"no track along the sequence; give a Python function"),
        ("dnase @ chr1:4001-4100:+", r"splice_junctions go with an intron and its strand"),
        ("splice_junctions @ chr1:4001-4100", r"splice_junctions go with an intron and its strand"),
    ],
)
def test_targets_that_do_not_fit_are_refused(scene, text, message):
    with pytest.raises(InputError, match=message):
        bind(parse_target(text), scene())


def test_genes_need_an_annotation_and_empty_spans_are_refused(scene):
    with pytest.raises(InputError, match="gene P1: needs an annotation; give it with --gtf"):
        bind(parse_target("rna_seq @ gene P1"), scene(genes=None))
    nothing = Reading("dnase", "", Span(Interval("chr1", 4000, 4000)), Aggregation.MEAN)
    with pytest.raises(InputError, match="the span is empty"):
        bind(nothing, scene())


@pytest.mark.parametrize("change", [("=", "other"), ("=", "=ACGTTTA")], ids=["snv", "insertion"])
@pytest.mark.parametrize("strands", [FORWARD, REVERSE])
def test_alt_minus_ref_of_a_gene_is_the_scorers_score(eleven, checkpoint, change, strands):
    """Mean over the gene's tracks; indels are aligned in both; and junctions are those of predictions."""
    fasta, genes = Fasta(eleven.fasta), read_gtf(eleven.gtf)
    position, base = 4301, eleven.genome[4300]
    alternate = eleven.other(position) if change[1] == "other" else base + change[1][1:]
    variant = Variant("chr1", position, base, alternate)
    scorer = {"lfc": GeneMaskLFCScorer("rna_seq")}
    engine = Engine(checkpoint, fasta, scorer, resources={"genes": genes}, partial=False)
    window = engine.interval(variant)
    stranded = Interval(window.chromosome, window.start, window.end, strands[0])
    (result,) = engine.score(variant, stranded)
    row = list(result.table["gene_id"]).index("P1.2")
    expected = np.nanmean(result.values[row])

    scene = Scene(engine.checkpoint, 0, window, window, genes)
    targets = [bind(parse_target(f"rna_seq @ {place}"), scene) for place in ("gene P1", "gene P1.2")]
    values = []
    for bases, change in zip(allele_sequences(window, variant, fasta.fetch), (None, variant), strict=True):
        forward = make_forward(engine.model, targets, window=window, variant=change, strands=strands)
        values.append(jax.jit(lambda dna, forward=forward: forward(dna))(as_one_hot(encode(bases))))
    np.testing.assert_allclose(values[1] - values[0], expected, atol=2e-6, rtol=2e-4)
    assert abs(expected) > 1e-4


def test_one_junction_is_that_of_the_predictions(eleven, checkpoint):
    """Of all junctions that a prediction finds, each is read by its intron; on either strand."""
    fasta, genes = Fasta(eleven.fasta), read_gtf(eleven.gtf)
    base = eleven.genome[4300]
    variant = Variant("chr1", 4301, base, f"{base}ACGTTTA")
    resources = {"genes": genes, "splice_sites": annotated_sites(genes)}
    engine = Engine(checkpoint, fasta, {"junctions": SpliceJunctionScorer()}, resources=resources, partial=False)
    tree = predict_variant(engine, variant)
    dataset = tree.alt["splice_junctions"].to_dataset()
    minus = int(np.flatnonzero(dataset["junction_strand"].values == "-")[0])
    scene = Scene(engine.checkpoint, 0, tree.interval, tree.interval)
    targets, expected = [], []
    for row in (0, minus):
        start, end = int(dataset["start"][row]), int(dataset["end"][row])
        place = f"chr1:{start + 1}-{end}:{dataset['junction_strand'].values[row]}"
        targets.append(bind(parse_target(f"sum(splice_junctions[HepG2] @ {place})"), scene))
        expected.append(float(dataset["count"][row, 0]))
    _, alt = allele_sequences(tree.interval, variant, fasta.fetch)
    options = {"window": tree.interval, "junctions": scene.junctions, "variant": variant}
    forward = make_forward(engine.model, targets, **options)
    values = jax.jit(lambda dna: forward(dna))(as_one_hot(encode(alt)))
    np.testing.assert_allclose(values, expected, rtol=1e-4)


def test_functions_are_targets_and_strands_are_averaged(eleven, checkpoint):
    model = fold(checkpoint.model)
    scene = Scene(checkpoint, 0, WINDOW, Interval("chr1", 4000, 4100))
    own = PythonTarget(lambda outputs: outputs["dnase"][1000:1100, 0].mean(), ("dnase",), name="mine")
    targets = [
        bind(own, scene),
        bind(parse_target("dnase @ region"), scene),
        bind(parse_target("max(dnase @ region)"), scene),
    ]
    targets.append(bind(parse_target("log(dnase @ region) - 0.5 * max(dnase @ region)"), scene))
    dna = as_one_hot(encode(eleven.genome[WINDOW.start : WINDOW.end]))
    values = []
    for strands in (FORWARD, REVERSE, BOTH):
        forward = make_forward(model, targets, window=WINDOW, strands=strands)
        values.append(np.asarray(jax.jit(lambda dna, forward=forward: forward(dna))(dna)))
    np.testing.assert_allclose(values[2], (values[0] + values[1]) / 2, rtol=1e-5)
    mine, mean, largest, combined = values[0]
    np.testing.assert_allclose(mine, mean, rtol=1e-5)
    np.testing.assert_allclose(combined, np.log(mean + 0.001) - 0.5 * largest, rtol=1e-5)
    with pytest.raises(InputError, match="does not predict 'dnas'; did you mean dnase"):
        bind(PythonTarget(lambda outputs: 0, ("dnas",)), scene)
    flawed = make_forward(model, [PythonTarget(lambda o: o["dnase"], ("dnase",))], window=WINDOW)
    with pytest.raises(ValueError, match=r"returned shape .*; expected one number"):
        jax.eval_shape(lambda: flawed(dna))
