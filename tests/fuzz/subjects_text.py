"""Text that people type, and settings in YAML."""

import functools
import pathlib

import numpy as np
from ag_core.genome import Interval, Variant
from subject import DATA, ROOT, Subject


def _interval(text: str, _: pathlib.Path) -> None:
    for read in (Interval.from_str, Interval.from_region):
        try:
            found = read(text)
        except ValueError as error:
            problem = error
            continue
        assert read(str(found) if read == Interval.from_str else found.region) is not None
        return
    raise problem


def _variant(text: str, _: pathlib.Path) -> None:
    variant = Variant.from_str(text, format=None)
    assert Variant.from_str(str(variant)) == variant


@functools.cache
def _tracks():
    from ag_core.schema import track_table

    rows = {"name": ["a", "b", "é"], "strand": ["+", "-", "."], "biosample_name": ["K562", "HepG2", "T cell"]}
    return track_table({**rows, "nonzero_mean": np.array([0.5, np.nan, 2.0])}).assign_attrs(modality="rna_seq")


def _query(text: str, _: pathlib.Path) -> None:
    from ag_data.query import select_tracks

    assert select_tracks(_tracks(), text).shape == (3,)


def _target(text: str, _: pathlib.Path) -> None:
    from ag_scorers.attribution.parser import parse_target

    parse_target(text)


def _scorer(text: str, _: pathlib.Path) -> None:
    from ag_scorers.recommended import parse_scorer

    parse_scorer(text, ["dnase", "cage"])


def _setting(text: str, _: pathlib.Path) -> None:
    from ag_heads.training_commands import parse_changes

    parse_changes([text])


@functools.cache
def _fasta():
    from ag_data.fasta import Fasta

    return Fasta(DATA / "HNF4A.hg38.fa.gz")


def _place(text: str, _: pathlib.Path) -> None:
    from ag_scorers.predictor.places import Windows, gather_places

    kind, _, rest = text.partition(" ")
    gather_places(Windows(16384, None), fasta=_fasta(), **{"variant" if kind == "variant" else "region": rest})


def _texts(*texts: str):
    return lambda folder: [text.encode() for text in texts]


def _yaml(*patterns: str):
    def read(folder: pathlib.Path) -> list[bytes]:
        return [path.read_bytes() for pattern in patterns for path in sorted(ROOT.glob(pattern))]

    return read


def _manifest(path: pathlib.Path) -> None:
    from ag_data.manifest import read_manifest, source_name

    for track in read_manifest(path).tracks:
        source_name(track), track.columns


def _train(path: pathlib.Path) -> None:
    from ag_heads.recipes.settings_file import read_settings

    read_settings(path)


def _suite(path: pathlib.Path) -> None:
    from ag_eval.suites.settings import find_suite

    find_suite(path)


def _evaluation(path: pathlib.Path) -> None:
    from ag_eval.declarations import read_declaration
    from ag_eval.variants.settings import Evaluation

    read_declaration(path, Evaluation, path.parent)


_MANIFEST = b"""genome: genome.fa
organism: human
build: hg38
tracks:
  - {path: a.bw, modality: dnase, strand: ".", biosample_name: HepG2}
  - {path: {"+": p.bw, "-": m.bw}, modality: rna_seq, options: {scale: 2.0}}
"""
_YAML = (b"&a [*a]", b"<<: *a", b"!!python/object/apply:os.system [ls]", b"!!binary AAA", b"2024-13-45", b"? ", b"|\n ",
         b"$HOME", b"0o17", b"1:30:00", b".inf", b"~", b"!!set", b"!!timestamp")  # fmt: skip

SUBJECTS = (
    Subject(
        "interval", _texts("chr1:5-10:+", "chr1:1,001-2,000", "a:b:3-4", "chr1:7"), _interval, allowed=(ValueError,)
    ),
    Subject(
        "variant", _texts("chr22:1024:A>C", "chr2_10_AT__b38", "22-5-A-C", "X:7::TT"), _variant, allowed=(ValueError,)
    ),
    Subject(
        "query",
        _texts(
            'DNase & (K562 | "T cell") & !strand=-', "name~a or not modality=rna_seq", "strand!=+ & HepG2", "RNA-seq"
        ),
        _query,
        words=(b"&", b"|", b"!", b"(", b")", b"=", b"~", b" or ", b" and ", b" not ", b"strand"),
    ),
    Subject(
        "target",
        _texts(
            "log2(sum(dnase[HepG2] @ chr20:44355000-44355500), 1)",
            "cage[HepG2] @ region - 0.5 * cage[K562] @ region",
            "rna_seq[liver] @ gene HNF4A + 3 * max(splice_junctions @ chr20:44406000-44407150:+)",
        ),
        _target,
        words=(b"@", b"[", b"]", b"gene", b"region", b"-", b"+", b"*", b"(", b")"),
    ),
    Subject(
        "scorer",
        _texts("CHIP_TF", "center_mask:modality=chip_tf,width=501,aggregation=diff_log2_sum", "center_mask:width=2001"),
        _scorer,
        words=(b"width=", b"none", b"true", b"gene_mask_lfc", b"contact_map", b"parity=upstream", b"modality="),
    ),
    Subject("setting", _texts("optimiser.steps=100", "a=[1, {b: 2}]", "x=null"), _setting, words=_YAML, named=False),
    Subject(
        "place",
        _texts("region chr20:44355000-44356000:-", "region chr20:44355000", "variant chr20:44355804:C>T"),
        _place,
        words=(b"region ", b"variant ", b"chr20", b">"),
    ),
    Subject(
        "manifest",
        lambda folder: [_MANIFEST, *_yaml("docs/manifests/*.yaml")(folder)],
        _manifest,
        ".yaml",
        words=_YAML,
        named=False,
    ),
    Subject("train", _yaml("packages/ag-heads/src/ag_heads/recipes/mini/mini.yaml"), _train, ".yaml", words=_YAML),
    Subject(
        "suite",
        _yaml("packages/ag-eval/src/ag_eval/suites/paper.yaml", "examples/suites/real.yaml"),
        _suite,
        ".yaml",
        words=_YAML,
    ),
    Subject(
        "evaluation",
        _yaml("packages/ag-eval/src/ag_eval/variants/evaluations/*.yaml"),
        _evaluation,
        ".yaml",
        words=_YAML,
    ),
)
