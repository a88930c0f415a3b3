"""Parity of sequence encoding, allele sequences and gene masks."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import recipe
from ag_core.genome import Interval, Variant
from ag_core.sequence import allele_sequences, encode, one_hot, reverse_complement
from ag_data.annotation import Annotation
from golden_file import Golden

RENAMED = {"strand": "gene_strand", "Chromosome": "chromosome", "Start": "gene_start", "End": "gene_end"}


def check_one_hot(golden: Golden) -> None:
    text = golden.inputs()["ascii"].astype(np.uint8).tobytes().decode("latin-1")
    golden.compare("one_hot", one_hot(encode(text)))


def check_sequences(golden: Golden) -> None:
    codes = recipe.dna(f"{golden.split}/genome", 9000, 1, recipe_seed(golden), 0.004)[0]
    genome = "".join("ACGTN"[code] for code in codes)
    assert genome[:80] == golden.json["genome_first_80"]

    def fetch(interval: Interval) -> str:
        inside = genome[max(interval.start, 0) : max(interval.end, 0)]
        padded = "N" * max(-interval.start, 0) + inside + "N" * max(interval.end - len(genome), 0)
        return reverse_complement(padded) if interval.negative_strand else padded

    for text, bases in golden.json["fetch"].items():
        assert fetch(Interval.from_str(text)) == bases, text
    for key, case in golden.json["variant_sequences"].items():
        interval = Interval.from_str(f"{golden.json['interval']}:{key[-1]}")
        variant = Variant(interval.chromosome, case["position_1based"], case["ref_bases"], case["alt_bases"])
        assert allele_sequences(interval, variant, fetch) == (case["REF"], case["ALT"]), key


def recipe_seed(golden: Golden) -> int:
    """The seed in "codes=recipe.dna('open/genome', 9000, 1, 303, 0.004)[1][0]; ..."."""
    return int(golden.json["genome_recipe"].split(",")[3])


def gene_mask(annotation: Annotation, kind: str, interval: Interval, variant: Variant):
    types = "protein_coding" if kind.endswith("_protein_coding") else None
    match kind.removesuffix("_protein_coding"):
        case "exons_interval":
            return annotation.exon_masks(interval, types)
        case "body_interval":
            return annotation.body_masks(interval, None, types)
        case "body_variant":
            return annotation.body_masks(interval, variant, types)
    raise ValueError(kind)


def check_gene_masks(golden: Golden) -> None:
    config = Golden.load(golden.folder, "inputs").config
    annotation = Annotation(pd.DataFrame(config["gtf"]))
    interval = Interval(*(config["interval"][key] for key in ("chromosome", "start", "end", "strand")))
    for key in golden.keys("out"):
        kind, name = key.split("/")
        v = config["variants"][name]
        variant = Variant(v["chromosome"], v["position_1based"], v["ref"], v["alt"])
        mask, table = gene_mask(annotation, kind, interval, variant)
        golden.compare(key, np.packbits(mask, axis=0))
        check_rows(golden.config["rows"][key], table, key)


def check_rows(rows: list[Mapping[str, Any]], table: Mapping[str, np.ndarray], key: str) -> None:
    for column in ("gene_id", "gene_name", "gene_type", *RENAMED):
        got = list(table[RENAMED.get(column, column)])
        assert got == [row[column] for row in rows], f"{key}: {column}"


def gene_masks_block(blocks: Mapping[str, Any]) -> None:
    block = blocks["gene_masks"]
    annotation = Annotation(pd.DataFrame(block["gtf"], columns=block["gtf_columns"]))
    for case in block["cases"]:
        interval = Interval.from_str(case["interval"])
        if case["kind"].startswith("exons"):
            mask, table = annotation.exon_masks(interval)
        else:
            variant = Variant.from_str(case["variant"]) if "variant" in case["kind"] else None
            mask, table = annotation.body_masks(interval, variant)
        assert list(table["gene_id"]) == case["genes"], case
        for column, runs in zip(mask.T, case["runs"], strict=True):
            want = np.zeros(interval.width, bool)
            for start, end in runs:
                want[start:end] = True
            np.testing.assert_array_equal(column, want, err_msg=str(case))


CHECKS: dict[str, Callable[[Golden], None]] = {"fn_one_hot": check_one_hot}
SCORER_CHECKS: dict[str, Callable[[Golden], None]] = {"sequences": check_sequences, "gene_masks": check_gene_masks}
SCORING_CHECKS = {"gene_masks": gene_masks_block}
