"""Parity of variant scorers and indel alignment with the reference: one function for each golden stem or block.

Every scorer is compared with the switch `parity` at upstream, and at fixed wherever the two must agree.
"""

import itertools
import re
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
import pandas as pd
import pytest
import recipe
from ag_core.genome import Interval, Variant
from ag_core.schema import track_table
from ag_data.annotation import Annotation
from ag_data.polyadenylation import PolyadenylationSites
from ag_data.splice_sites import SpliceSites, sites_of_introns
from ag_scorers.align import Alignment, align_alternate, aligned_sum, alignment
from ag_scorers.center_mask import Aggregation, aggregate, window
from ag_scorers.junctions import Junctions, unstack
from ag_scorers.parity import Parity
from ag_scorers.recommended import create_scorer
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
    scorer: Any,
    interval: Interval,
    variant: Variant,
    ref: Any,
    alt: Any,
    genes: Annotation,
    strands: list[str],
    **resources: Any,
) -> tuple[np.ndarray, Any]:
    """What the engine does for one variant at 1 bp: items, score, rows."""
    items = scorer.items(interval, variant, 1, {"genes": genes, **resources})
    scores = jax.tree.map(np.asarray, score(scorer, ref, alt, items.masks))
    tracks = track_table({"name": [f"t{i}" for i in range(len(strands))], "strand": strands})
    return scorer.rows(scores, items, {scorer.modality: tracks})


# Names of the reference's columns here.
RENAMED = {
    "strand": "gene_strand",
    "Chromosome": "chromosome",
    "Start": "gene_start",
    "End": "gene_end",
    "junction_Start": "junction_start",
    "junction_End": "junction_end",
}


def check_table(table: Mapping[str, np.ndarray], rows: list[Mapping[str, Any]], key: str) -> None:
    """The item table equals the reference's rows."""
    assert len(table["gene_id"]) == len(rows), f"{key}: {len(table['gene_id'])} rows, expected {len(rows)}"
    for column in rows[0] if rows else ():
        if column != "interval_start":
            got = list(table[RENAMED.get(column, column)])
            assert got == [row[column] for row in rows], f"{key}: {column}: {got}"


def without_parity(name: str, **options: Any) -> Any:
    """A scorer that is the same one whatever the switch says."""
    fixed, upstream = (create_scorer(name, options, parity) for parity in Parity)
    assert fixed == upstream
    return fixed


def rows_of(want: np.ndarray, parity: Parity, empty: float = np.nan) -> np.ndarray:
    """Which of the reference's genes are scored: with fixed parity those with exon bases, which are not all `empty`."""
    nothing = np.isnan(want) if np.isnan(empty) else want == empty
    return ~nothing.all(axis=1) if parity is Parity.FIXED else np.ones(len(want), bool)


def kept_rows(rows: list[Any], mask: np.ndarray) -> list[Any]:
    return [row for row, kept in zip(rows, mask, strict=True) if kept]


# Files in scorers/


def center_mask(golden: Golden) -> None:
    inputs = Golden.load(golden.folder, "inputs")
    variants, interval = variants_of(inputs), interval_of(inputs.config["interval"])
    for key in golden.keys("out"):
        name, output, width, aggregation = re.fullmatch(r"(\w+)/(\w+)_w(\d+|None)_([A-Z0-9_]+)", key).groups()
        options = {"modality": output.lower(), "width": None if width == "None" else int(width)}
        scorer = without_parity("center_mask", aggregation=aggregation, **options)
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


def gene_mask(golden: Golden, scorer: str) -> None:
    inputs = Golden.load(golden.folder, "inputs")
    variants, interval = variants_of(inputs), interval_of(inputs.config["interval"])
    genes, raises = Annotation(pd.DataFrame(inputs.config["gtf"])), golden.config.get("raises", {})
    for key in [*golden.keys("out"), *raises]:
        name, output = key.split("/")
        ref, alt = (inputs.arrays[f"in/{allele}/{output}"] for allele in ("ref", "alt"))
        strands = [track["strand"] for track in inputs.config["track_metadata"][output]]
        for parity in Parity:
            made_one = create_scorer(scorer, {"modality": output.lower()}, parity)
            got, table = run_scorer(made_one, interval, variants[name], ref, alt, genes, strands)
            if key in raises:  # a deletion across the window's end, which is clipped here
                without_exons = np.isnan(got).all(axis=1)
                applies = (table["gene_strand"][:, None] == np.array(strands)) | (np.array(strands) == ".")
                assert np.isfinite(got[applies & ~without_exons[:, None]]).all(), f"{key}: {got}"
            else:
                rows = rows_of(golden.arrays[f"out/{key}"], parity)
                golden.compare(key, got, rows=rows)
                check_table(table, kept_rows(golden.config["obs"][key], rows), key)


def row_maps(moves: Alignment, length: int) -> dict[str, np.ndarray]:
    """The reference's index arrays, from the three numbers that our alignment is made of."""
    rows, shift, after = np.arange(length), moves.shift, moves.anchor + 1
    more, fewer = max(shift, 0), max(-shift, 0)
    removed = rows[after : after + more]
    maps = {
        "variant_alt_mask": (rows >= moves.anchor) & (rows <= moves.anchor + more) & (more > 0),
        "variant_insertion_crop_mask": rows >= length - more,
        "variant_insertion_reindex_mask": np.concatenate([np.delete(rows, removed), removed]),
        "variant_deletion_zeros_mask": rows >= length - fewer,
        "variant_deletion_reindex_mask": np.insert(rows[: length - fewer], after, rows[length - fewer :]),
    }
    if not moves.reverse:
        return maps
    return {name: length - 1 - m[::-1] if m.dtype != bool else m[::-1] for name, m in maps.items()}


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
                for key, rows in row_maps(moves, len(alt)).items():
                    golden.compare(f"{name}/{sign}/{key}", rows)
            fixed = alignment(interval, variant, len(alt))
            aligned = np.asarray(align(alt, fixed))
            assert np.isfinite(aligned).all(), f"{name}/{sign}: {aligned}"
            sums = np.asarray(sums_of(np.eye(len(alt), dtype=bool), alt, fixed))
            np.testing.assert_allclose(sums, aligned, rtol=1e-6, err_msg=f"{name}/{sign}: aligned_sum")
            if interval.start <= variant.start and variant.end <= interval.end:
                assert moves == fixed, f"{name}/{sign}: {fixed} differs from {moves} inside the window"


def contact_map(golden: Golden) -> None:
    interval = Interval(**golden.config["interval"])
    ref, alt = (golden.arrays[f"in/{allele}"] for allele in ("ref", "alt"))
    scorer = without_parity("contact_map", modality="contact_maps")
    for name, v in golden.config["variants"].items():
        variant = Variant(interval.chromosome, v["position_1based"], v["ref"], v["alt"])
        if name in golden.config["raises"]:
            with pytest.raises(ValueError, match="lies in none of"):
                scorer.items(interval, variant, 2048, {})
        else:
            golden.compare(name, score(scorer, ref, alt, scorer.items(interval, variant, 2048, {}).masks))


def gene_mask_splicing(golden: Golden) -> None:
    inputs = Golden.load(golden.folder, "inputs")
    variants, interval = variants_of(inputs), interval_of(inputs.config["interval"])
    genes = Annotation(pd.DataFrame(inputs.config["gtf"]))
    for key in [*golden.keys("out"), *golden.config["raises"]]:
        name, output, width = re.fullmatch(r"(\w+)/(\w+)_w(\d+|None)", key).groups()
        options = {"modality": output.lower(), "width": None if width == "None" else int(width)}
        ref, alt = (inputs.arrays[f"in/{allele}/{output}"] for allele in ("ref", "alt"))
        strands = [row["strand"] for row in inputs.config["track_metadata"][output] if row["name"].lower() != "padding"]
        for parity in Parity:
            scorer = create_scorer("gene_mask_splicing", options, parity)
            got, table = run_scorer(scorer, interval, variants[name], ref, alt, genes, strands)
            if key in golden.config["raises"]:  # a deletion across the window's end, which is clipped here
                assert np.isfinite(got).any(axis=1).all(), f"{key}: {got}"
                continue
            check_table(table, golden.config["obs"][key], key)
            if parity is Parity.UPSTREAM or scorer.width is None:
                golden.compare(key, got)
            else:  # the reference looks at the whole gene all the same
                want = golden.arrays[f"out/{key}"]
                np.testing.assert_array_equal(np.isnan(got), np.isnan(want), err_msg=key)
                assert (np.nan_to_num(got) <= np.nan_to_num(want) + 1e-6).all(), f"{key}: {got}"


def polyadenylation(golden: Golden) -> None:
    inputs = Golden.load(golden.folder, "inputs")
    variants, interval = variants_of(inputs), interval_of(inputs.config["interval"])
    genes = Annotation(pd.DataFrame(inputs.config["gtf"]))
    table_of_sites = pd.DataFrame(golden.config["pas"])
    sites, ordered = (PolyadenylationSites(one) for one in (table_of_sites, table_of_sites.sort_values("Start")))
    same = in_order(table_of_sites)
    ref, alt = (inputs.arrays[f"in/{allele}/RNA_SEQ"] for allele in ("ref", "alt"))
    strands = [row["strand"] for row in inputs.config["track_metadata"]["RNA_SEQ"]]
    for key in [*golden.keys("out"), *golden.config["raises"]]:
        given = interval, variants[key], ref, alt, genes, strands
        for parity in Parity:
            got, table = run_scorer(create_scorer("polyadenylation", {}, parity), *given, polyadenylation=sites)
            if key in golden.config["raises"]:
                assert np.isfinite(got).all(), f"{key}: {got}"
                continue
            check_table(table, golden.config["obs"][key], key)
            if parity is Parity.UPSTREAM or same:
                golden.compare(key, got)
            else:  # as the reference would do, had the table been in order
                theirs = create_scorer("polyadenylation", {}, Parity.UPSTREAM)
                np.testing.assert_array_equal(got, run_scorer(theirs, *given, polyadenylation=ordered)[0], err_msg=key)
                assert not np.allclose(got, golden.arrays[f"out/{key}"], 1e-3), f"{key}: the order made no difference"


def in_order(sites: pd.DataFrame) -> bool:
    """Whether the sites of every gene are sorted, so that the reference's choice of them does not show."""
    genes = sites.groupby([sites["gene_id"].str.partition(".")[0], "pas_strand"])
    return all(starts.is_monotonic_increasing for _, starts in genes["Start"])


def junctions_of(counts: np.ndarray, positions: np.ndarray) -> Junctions:
    return Junctions(counts.reshape(*counts.shape[:2], 2, -1), positions)


def splice_junction(golden: Golden) -> None:
    inputs = Golden.load(golden.folder, "inputs")
    variants, interval = variants_of(inputs), interval_of(inputs.config["interval"])
    genes = Annotation(pd.DataFrame(inputs.config["gtf"]))
    if golden.stem.endswith("crop256"):
        split, seed = golden.config["split"], golden.config["seed"]
        counts = {
            allele: (recipe.uniform(f"{split}/bigj_{allele}", (300, 300, 2), seed) * 5).astype(np.float32)
            for allele in ("ref", "alt")
        }
        places = np.floor(recipe.uniform(f"{split}/bigj_pos", (4, 300), seed) * interval.width)
        positions = np.sort(places.astype(np.int32), axis=1)
    else:
        counts = {allele: inputs.arrays[f"in/{allele}/SPLICE_JUNCTIONS/predictions"] for allele in ("ref", "alt")}
        positions = inputs.arrays["in/SPLICE_JUNCTIONS/splice_site_positions"]
    ref, alt = (junctions_of(counts[allele], positions) for allele in ("ref", "alt"))
    strands = ["."] * ref.counts.shape[-1]
    for key in golden.keys("out"):
        for parity in Parity:
            scorer = create_scorer("splice_junction", {}, parity)
            got, table = run_scorer(scorer, interval, variants[key], ref, alt, genes, strands)
            golden.compare(key, got)
            rows = golden.config["obs"]
            check_table(table, rows if isinstance(rows, list) else rows[key], key)


def junction_unstack(golden: Golden) -> None:
    inputs = Golden.load(golden.folder, "inputs")
    positions = inputs.arrays["in/SPLICE_JUNCTIONS/splice_site_positions"]
    ref = junctions_of(inputs.arrays["in/ref/SPLICE_JUNCTIONS/predictions"], positions)
    start = interval_of(inputs.config["interval"]).start
    for offset, suffix in ((start, ""), (0, "_no_interval")):
        values, columns = unstack(np.asarray(ref.counts), positions, offset)
        golden.compare("values", values)
        golden.compare("strand_is_plus", columns["strand"] == "+")
        golden.compare(f"start{suffix}", columns["start"])
        golden.compare(f"end{suffix}", columns["end"])


def annotated_splice_sites(golden: Golden) -> None:
    starts, ends = (pd.DataFrame(golden.config[key]) for key in ("starts", "ends"))
    before = starts.copy()
    sites = SpliceSites(sites_of_introns(starts, ends))
    pd.testing.assert_frame_equal(starts, before)  # the reference changes its caller's table
    for key, strand in (("plus", "+"), ("minus", "-"), ("unstranded", ".")):
        interval = interval_of({**golden.config["interval"], "strand": strand})
        golden.compare(key, sites.mask(interval))


def interval_gene_mask(golden: Golden) -> None:
    inputs = Golden.load(golden.folder, "inputs")
    interval, genes = interval_of(inputs.config["interval"]), Annotation(pd.DataFrame(inputs.config["gtf"]))
    for key in golden.keys("out"):
        output, width, aggregation = re.fullmatch(r"(\w+)_w(\d+|None)_([A-Z]+)", key).groups()
        values = inputs.arrays[f"in/ref/{output}"]
        options = {"modality": output.lower(), "width": None if width == "None" else int(width)}
        for parity in Parity:
            scorer = create_scorer("interval_gene_mask", {**options, "aggregation": aggregation}, parity)
            items = scorer.items(interval, interval.width // len(values), {"genes": genes})
            rows = rows_of(golden.arrays[f"out/{key}"], parity, 0 if aggregation == "SUM" else np.nan)
            golden.compare(key, np.asarray(jax.jit(scorer.score)(values, items.masks))[: items.count], rows=rows)
            check_table(items.table, kept_rows(golden.config["obs"][key], rows), key)


CHECKS: dict[str, Callable[[Golden], None]] = {
    "annotated_splice_sites": annotated_splice_sites,
    "contact_map": contact_map,
    "gene_mask_splicing": gene_mask_splicing,
    "interval_gene_mask": interval_gene_mask,
    "junction_unstack": junction_unstack,
    "polyadenylation": polyadenylation,
    "splice_junction": splice_junction,
    "center_mask": center_mask,
    "center_mask_masks": center_mask_masks,
    "gene_mask_lfc": lambda golden: gene_mask(golden, "gene_mask_lfc"),
    "gene_mask_active": lambda golden: gene_mask(golden, "gene_mask_active"),
    "indel_alignment": indel_alignment,
}


# Blocks of golden_scoring.json


def made(text: str) -> np.ndarray:
    """Reads `det((sizes),a,b,m,off)`: ((i*a + b) mod m)/m + off over the flat index i, float32."""
    sizes, a, b, m, offset = re.search(r"det\(\(([\d,]+)\),(\d+),(\d+),(\d+),([\d.]+)\)", text).groups()
    shape = tuple(map(int, sizes.split(",")))
    values = ((np.arange(np.prod(shape)) * int(a) + int(b)) % int(m)) / int(m) + float(offset)
    return values.astype(np.float32).reshape(shape)


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
    genes = toy_genes(blocks)
    kinds = {
        "GeneMaskLFCScorer": "gene_mask_lfc",
        "GeneMaskActiveScorer": "gene_mask_active",
        "GeneMaskSplicingScorer": "gene_mask_splicing",
    }
    for case in block["cases"]:
        kind, output = re.fullmatch(r"(\w+)\(requested_output=(\w+).*\)", case["scorer"]).groups()
        arrays, _, tracks = block["splice" if "Splicing" in kind else "rna"].partition(";")
        ref, alt = map(made, re.findall(r"det\S+", arrays))
        strands = re.findall(r"[+.-](?=,|$)", tracks)
        interval, variant = Interval.from_str(block["interval"]), Variant.from_str(case["variant"])
        want = np.array(case["X"], np.float32).reshape(len(case["X"]), len(strands))
        for parity in Parity:
            scorer = create_scorer(kinds[kind], {"modality": output.lower()}, parity)
            assert scorer.name == case["scorer"]
            got, table = run_scorer(scorer, interval, variant, ref, alt, genes, strands)
            rows = rows_of(want, parity)
            assert list(table["gene_id"]) == kept_rows(case["genes"], rows)
            np.testing.assert_allclose(got, want[rows], rtol=1e-5, atol=1e-6, err_msg=str(case["variant"]))


def toy_genes(blocks: Mapping[str, Any]) -> Annotation:
    return Annotation(pd.DataFrame(blocks["gene_masks"]["gtf"], columns=blocks["gene_masks"]["gtf_columns"]))


def contact_map_block(blocks: Mapping[str, Any]) -> None:
    block, scorer = blocks["contact_map"], without_parity("contact_map", modality="contact_maps")
    masks = scorer.items(Interval.from_str(block["interval"]), Variant.from_str(block["variant"]), 2048, {}).masks
    assert masks == block["row"]
    got = np.asarray(score(scorer, made(block["ref"]), made(block["alt"]), masks))
    np.testing.assert_allclose(got, [block["score"]], rtol=1e-5)


def polyadenylation_block(blocks: Mapping[str, Any]) -> None:
    block = blocks["polyadenylation"]
    rows = [
        (*("chr1", start, end, strand), feature, gene, "G" + "ABC"[number], "protein_coding", f"T{number}")
        for number, (gene, start, end, strand) in enumerate(block["genes"])
        for feature in ("gene", "transcript", "exon")
    ]
    columns = ["Chromosome", "Start", "End", "Strand", "Feature", "gene_id", "gene_name", "gene_type", "transcript_id"]
    genes = Annotation(pd.DataFrame(rows, columns=columns))
    sites = PolyadenylationSites(sites_of_block(block))
    interval, same = Interval.from_str(block["interval"]), in_order(sites_of_block(block))
    parities = tuple(Parity) if same else (Parity.UPSTREAM,)
    for case, parity in itertools.product(block["cases"], parities):
        scorer = create_scorer("polyadenylation", {}, parity)
        variant = Variant.from_str(case["variant"])
        alleles = made(block["ref"]), made(block["alt"])
        got, table = run_scorer(scorer, interval, variant, *alleles, genes, [".", "."], polyadenylation=sites)
        check_table(table, case["obs"], case["variant"])
        np.testing.assert_allclose(got, case["X"], rtol=1e-4, atol=1e-6, err_msg=case["variant"])
        masks = scorer.items(interval, variant, 1, {"genes": genes, "polyadenylation": sites}).masks
        for slot, windows in case["masks_by_gene_slot"].items():
            low = masks.start[int(slot)]
            for site, first, last in windows:
                assert low[site] + masks.first[int(slot), site] == first
                assert low[site] + masks.last[int(slot), site] == last


def sites_of_block(block: Mapping[str, Any]) -> pd.DataFrame:
    return pd.DataFrame(block["pas"], columns=block["pas_columns"])


def splice_junctions_block(blocks: Mapping[str, Any]) -> None:
    block, genes = blocks["splice_junctions"], toy_genes(blocks)
    interval, positions = Interval.from_str(block["interval"]), np.array(block["positions"], np.int32)
    ref, alt = (junctions_of(made(block[allele]), positions) for allele in ("ref", "alt"))
    for case in block["cases"]:
        variant = Variant.from_str(case["variant"])
        for parity in Parity:
            scorer = create_scorer("splice_junction", {}, parity)
            got, table = run_scorer(scorer, interval, variant, ref, alt, genes, ["."] * 3)
            check_table(table, case["obs"], case["variant"])
            np.testing.assert_array_equal(got, np.array(case["X"], np.float32).reshape(-1, 3), err_msg=case["variant"])
    values, columns = unstack(np.asarray(ref.counts), positions, interval.start)
    rows = zip(columns["strand"], columns["start"].tolist(), columns["end"].tolist(), strict=True)
    assert list(rows) == [tuple(row[:3]) for row in block["unstacked_ref"]]
    np.testing.assert_allclose(values, [row[3:] for row in block["unstacked_ref"]], rtol=1e-6)


SCORING_CHECKS: dict[str, Callable[[Mapping[str, Any]], None]] = {
    "contact_map": contact_map_block,
    "polyadenylation": polyadenylation_block,
    "splice_junctions": splice_junctions_block,
    "align_alternate": align_alternate_block,
    "center_mask": center_mask_block,
    "center_mask_aggregations": center_mask_aggregations_block,
    "gene_scores": gene_scores_block,
}
