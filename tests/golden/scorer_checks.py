"""Parity of variant scorers and indel alignment with the reference: one function for each golden stem or block."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
import pandas as pd
from ag_core.genome import Interval, Variant
from ag_core.schema import track_table
from ag_data.annotation import Annotation
from ag_scorers.align import align_alternate, aligned_sum, alignment
from ag_scorers.center_mask import Aggregation, CenterMaskScorer, aggregate, window
from ag_scorers.gene_mask import GeneMaskActiveScorer, GeneMaskLFCScorer
from golden_file import Golden

align = jax.jit(align_alternate)
score = jax.jit(lambda scorer, ref, alt, masks: scorer.score(ref, alt, masks))


def interval_of(record: Mapping[str, Any]) -> Interval:
    return Interval(record["chromosome"], record["start"], record["end"], record["strand"])


def variants_of(inputs: Golden) -> dict[str, Variant]:
    return {
        name: Variant(v["chromosome"], v["position_1based"], v["ref"], v["alt"])
        for name, v in inputs.config["variants"].items()
    }


def run_scorer(
    scorer: Any, interval: Interval, variant: Variant, ref: Any, alt: Any, genes: Annotation, strands: list[str]
) -> tuple[np.ndarray, Any]:
    """What the engine does for one variant at 1 bp: items, score, drop the padding, finish."""
    items = scorer.items(interval, variant, 1, {"genes": genes})
    scores = np.asarray(score(scorer, ref, alt, items.masks))[: items.count]
    tracks = track_table({"name": [f"t{i}" for i in range(len(strands))], "strand": strands})
    return scorer.finish(scores, items, tracks), items.table


# Files in scorers/


def center_mask(golden: Golden) -> None:
    inputs = Golden.load(golden.folder, "inputs")
    variants, interval = variants_of(inputs), interval_of(inputs.config["interval"])
    for key in golden.keys("out"):
        name, output, width, aggregation = re.fullmatch(r"(\w+)/(\w+)_w(\d+|None)_([A-Z0-9_]+)", key).groups()
        scorer = CenterMaskScorer(output.lower(), None if width == "None" else int(width), aggregation)
        ref, alt = (inputs.arrays[f"in/{allele}/{output}"] for allele in ("ref", "alt"))
        items = scorer.items(interval, variants[name], interval.width // len(ref), {})
        golden.compare(key, score(scorer, ref, alt, items.masks))


def center_mask_masks(golden: Golden) -> None:
    inputs = Golden.load(golden.folder, "inputs")
    variants, interval = variants_of(inputs), interval_of(inputs.config["interval"])
    for key in golden.keys("out"):
        name, width, resolution = re.fullmatch(r"(\w+)/w(\d+|None)_r(\d+)", key).groups()
        mask = full_mask(interval, variants[name], int(resolution), None if width == "None" else int(width))
        golden.compare(key, np.packbits(mask))


def full_mask(interval: Interval, variant: Variant, resolution: int, width: int | None) -> np.ndarray:
    seen = window(interval, variant, resolution, width)
    mask = np.zeros(interval.width // resolution, bool)
    mask[int(seen.start) : int(seen.start) + len(seen.valid)] = seen.valid
    return mask


def gene_mask(golden: Golden, scorer: type) -> None:
    inputs = Golden.load(golden.folder, "inputs")
    variants, interval = variants_of(inputs), interval_of(inputs.config["interval"])
    genes, raises = Annotation(pd.DataFrame(inputs.config["gtf"])), golden.config.get("raises", {})
    for key in [*golden.keys("out"), *raises]:
        name, output = key.split("/")
        ref, alt = (inputs.arrays[f"in/{allele}/{output}"] for allele in ("ref", "alt"))
        strands = [track["strand"] for track in inputs.config["track_metadata"][output]]
        got, table = run_scorer(scorer(output.lower()), interval, variants[name], ref, alt, genes, strands)
        if key in raises:  # a deletion across the window's end, which is clipped here
            without_exons = np.isnan(got).all(axis=1)
            applies = (table["gene_strand"][:, None] == np.array(strands)) | (np.array(strands) == ".")
            assert np.isfinite(got[applies & ~without_exons[:, None]]).all(), f"{key}: {got}"
        else:
            golden.compare(key, got)
            wanted = [row["gene_id"] for row in golden.config["obs"][key]]
            assert list(table["gene_id"]) == wanted, f"{key}: genes {list(table['gene_id'])}, expected {wanted}"


def indel_alignment(golden: Golden) -> None:
    alt, offset, sums_of = golden.arrays["in/alt"], 100, jax.jit(aligned_sum)
    keys = set(golden.keys("out"))
    for name, (position, ref_bases, alt_bases) in golden.config["variants"].items():
        for sign, strand in (("plus", "+"), ("minus", "-")):
            interval = Interval("chr1", offset, offset + len(alt), strand)
            variant = Variant("chr1", offset + position, ref_bases, alt_bases)
            # Before the window the reference counts rows from its end: that is behind the parity switch.
            moves = alignment(interval, variant, len(alt), parity=True)
            aligned = np.asarray(align(alt, moves))
            if f"{name}/{sign}/aligned" in keys:
                golden.compare(f"{name}/{sign}/aligned", aligned)
                indel = np.array([moves.shift != 0])
                golden.compare(f"{name}/{sign}/variant_is_indel", indel)
            fixed = alignment(interval, variant, len(alt))
            aligned = np.asarray(align(alt, fixed))
            assert np.isfinite(aligned).all(), f"{name}/{sign}: {aligned}"
            sums = np.asarray(sums_of(np.eye(len(alt), dtype=bool), alt, fixed))
            np.testing.assert_allclose(sums, aligned, rtol=1e-6, err_msg=f"{name}/{sign}: aligned_sum")
            if interval.start <= variant.start and variant.end <= interval.end:
                assert moves == fixed, f"{name}/{sign}: {fixed} differs from {moves} inside the window"


CHECKS: dict[str, Callable[[Golden], None]] = {
    "center_mask": center_mask,
    "center_mask_masks": center_mask_masks,
    "gene_mask_lfc": lambda golden: gene_mask(golden, GeneMaskLFCScorer),
    "gene_mask_active": lambda golden: gene_mask(golden, GeneMaskActiveScorer),
    "indel_alignment": indel_alignment,
}


# Blocks of golden_scoring.json


def made(recipe: str) -> np.ndarray:
    """Reads `det((rows,columns),a,b,m,off)`: ((i*a + b) mod m)/m + off over the flat index i, float32."""
    rows, columns, a, b, m, offset = re.search(r"det\(\((\d+),(\d+)\),(\d+),(\d+),(\d+),([\d.]+)\)", recipe).groups()
    flat = np.arange(int(rows) * int(columns))
    values = ((flat * int(a) + int(b)) % int(m)) / int(m) + float(offset)
    return values.astype(np.float32).reshape(int(rows), int(columns))


def align_alternate_block(blocks: Mapping[str, Any]) -> None:
    alt = np.arange(1, 13, dtype=np.float32)[:, None]
    for case in blocks["align_alternate"]:
        interval = Interval.from_str(case["interval"])
        variant = Variant(interval.chromosome, case["position"], case["ref"], case["alt"])
        got = np.asarray(align(alt, alignment(interval, variant, len(alt))))[:, 0]
        if isinstance(case["aligned"], str):  # raises in the reference, clipped here
            assert np.isfinite(got).all(), f"{case}: {got}"
        else:
            np.testing.assert_array_equal(got, case["aligned"], err_msg=str(case))


def center_mask_block(blocks: Mapping[str, Any]) -> None:
    interval = Interval.from_str(blocks["center_mask"]["interval"])
    for row in blocks["center_mask"]["rows"]:
        _, resolution, width, position, first, end, count = row
        mask = full_mask(interval, Variant(interval.chromosome, position, "A", "C"), resolution, width)
        rows = np.flatnonzero(mask)
        got = [rows[0], rows[-1] + 1, len(rows)] if len(rows) else [None, None, 0]
        assert got == [first, end, count], f"{row}: got {got}"


def center_mask_aggregations_block(blocks: Mapping[str, Any]) -> None:
    block = blocks["center_mask_aggregations"]
    ref, alt = made(block["ref"]), made(block["alt"])
    first, last = map(int, re.fullmatch(r"rows (\d+)\.\.(\d+)", block["mask"]).groups())
    valid = (np.arange(len(ref)) >= first) & (np.arange(len(ref)) <= last)
    for name, want in block["scores"].items():
        got = np.asarray(aggregate(ref, alt, valid, Aggregation(name)))
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6, err_msg=name)


def gene_scores_block(blocks: Mapping[str, Any]) -> None:
    block = blocks["gene_scores"]
    columns = blocks["gene_masks"]["gtf_columns"]
    genes = Annotation(pd.DataFrame(blocks["gene_masks"]["gtf"], columns=columns))
    ref, alt = map(made, re.findall(r"det\S+", block["rna"].partition(";")[0]))
    kinds = {"GeneMaskLFCScorer": GeneMaskLFCScorer, "GeneMaskActiveScorer": GeneMaskActiveScorer}
    for case in block["cases"]:
        kind, output = re.fullmatch(r"(\w+)\(requested_output=(\w+).*\)", case["scorer"]).groups()
        if kind not in kinds:
            continue
        scorer = kinds[kind](output.lower())
        interval, variant = Interval.from_str(block["interval"]), Variant.from_str(case["variant"])
        assert scorer.name == case["scorer"]
        got, table = run_scorer(scorer, interval, variant, ref, alt, genes, ["+", "-", "."])
        assert list(table["gene_id"]) == case["genes"]
        want = np.array(case["X"], np.float32)
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6, equal_nan=True, err_msg=str(case["variant"]))


SCORING_CHECKS: dict[str, Callable[[Mapping[str, Any]], None]] = {
    "align_alternate": align_alternate_block,
    "center_mask": center_mask_block,
    "center_mask_aggregations": center_mask_aggregations_block,
    "gene_scores": gene_scores_block,
}
