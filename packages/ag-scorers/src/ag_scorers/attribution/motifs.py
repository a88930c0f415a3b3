"""From attributions to motifs: seqlets and patterns by TF-MoDISco, and which known motifs they are like by TOMTOM.

The tools are an extra of this package (`ag-scorers[motifs]`: modisco-lite, memelite). Only plain arrays go to them:
[example, position, 4] and, for motifs, [position, 4].
"""

import importlib
import os
import pathlib
import warnings
from collections.abc import Mapping
from types import ModuleType
from typing import NamedTuple

import numpy as np
import pandas as pd
from ag_core.errors import InputError
from ag_data.cache import replacing
from jaxtyping import Float

from ag_scorers.attribution.examples import Examples
from ag_scorers.attribution.meme import CONSENSUS, Motifs, consensus_motifs

INSTALL = 'pip install "ag-scorers[motifs]"'
# Bases of a seqlet: a core and a flank on either side, as TF-MoDISco has it.
CORE, FLANK = 21, 10
# Positions at either end with less than this share of the largest contribution belong to no motif.
TRIM = 0.3


class Pattern(NamedTuple):
    """A motif found by TF-MoDISco: base frequencies, mean contributions, hypothetical ones, and the seqlets it is of.

    `seqlets` has example, start, end (0-based half-open) and strand.
    """

    name: str
    frequencies: Float[np.ndarray, "position 4"]
    contributions: Float[np.ndarray, "position 4"]
    hypothetical: Float[np.ndarray, "position 4"]
    seqlets: pd.DataFrame

    def trimmed(self, share: float = TRIM) -> Float[np.ndarray, "position 4"]:
        """The frequencies between the outermost positions with `share` of the largest contribution."""
        size = np.abs(self.contributions).sum(axis=1)
        inside = np.flatnonzero(size >= share * size.max())
        return self.frequencies[inside[0] : inside[-1] + 1]

    @property
    def consensus(self) -> str:
        """The most frequent bases of the trimmed motif; lower case below one half."""
        best = self.trimmed()
        letters = np.array(list("ACGT"))[best.argmax(axis=1)]
        return "".join(x if share >= 0.5 else x.lower() for x, share in zip(letters, best.max(axis=1), strict=True))


def find_seqlets(examples: Examples, *, max_share: float = 0.2, target_fdr: float = 0.2) -> pd.DataFrame:
    """Stretches that stand out: example, start, end (0-based half-open), contribution; the strongest first.

    At most `max_share` of all windows pass. Raises InputError without the extra, and for examples that are too short.
    """
    _check_length(examples)
    scores = examples.contributions.sum(axis=-1).astype(np.float64)
    extract = library("modiscolite").extract_seqlets.extract_seqlets
    found, _ = extract(
        attribution_scores=scores,
        window_size=CORE,
        flank=FLANK,
        suppress=CORE // 2 + FLANK,
        target_fdr=target_fdr,
        min_passing_windows_frac=min(0.03, max_share),
        max_passing_windows_frac=max_share,
        weak_threshold_for_counting_sign=0.8,
    )
    places = [(seqlet.example_idx, seqlet.start, seqlet.end) for seqlet in found]
    table = pd.DataFrame(places, columns=["example", "start", "end"]).astype("int64")
    table["contribution"] = [float(scores[example, start:end].sum()) for example, start, end in places]
    return table.sort_values("contribution", key=np.abs, ascending=False, ignore_index=True)


def find_patterns(
    examples: Examples,
    *,
    report: str | os.PathLike[str] | None = None,
    motifs: str | os.PathLike[str] | None = None,
    **settings: object,
) -> list[Pattern]:
    """Motifs of many examples by TF-MoDISco; an empty list where it finds none.

    - `report`: a new folder for TF-MoDISco's page (`motifs.html` with logos) and its results (`modisco.h5`).
    - `motifs`: the MEME file that the page compares with; the bundled one by default.
    - `settings`: further ones of `modiscolite.tfmodisco.TFMoDISco`, such as `max_seqlets_per_metacluster`.

    Raises InputError without the extra, for examples that are too short, and for a report that is there already.
    """
    _check_length(examples)
    folder = None if report is None else pathlib.Path(report)
    if folder is not None and folder.exists():
        raise InputError(f"{folder} exists; choose another folder for the report")
    modisco = library("modiscolite")
    one_hot, hypothetical = examples.sequences.astype(np.float32), examples.hypothetical.astype(np.float32)
    signs = modisco.tfmodisco.TFMoDISco(one_hot=one_hot, hypothetical_contribs=hypothetical, **settings)
    if folder is not None:
        with replacing(folder) as (scratch,):
            scratch.mkdir()
            modisco.io.save_hdf5(str(scratch / "modisco.h5"), *signs, window_size=one_hot.shape[1])
            if any(signs):
                page = importlib.import_module("modiscolite.report").report_motifs
                database = str(CONSENSUS if motifs is None else motifs)
                page(scratch / "modisco.h5", str(scratch), "./", database, False, ttl=True)
    return [
        _pattern(f"{sign}_{number}", found)
        for sign, patterns in zip(("positive", "negative"), signs, strict=True)
        for number, found in enumerate(patterns or ())
    ]


def _pattern(name: str, found: object) -> Pattern:
    """From an object of the library."""
    seqlets = [(s.example_idx, s.start, s.end, "-" if s.is_revcomp else "+") for s in getattr(found, "seqlets")]  # noqa: B009
    sequence, contributions, hypothetical = (
        np.asarray(getattr(found, name), np.float64) for name in ("sequence", "contrib_scores", "hypothetical_contribs")
    )
    table = pd.DataFrame(seqlets, columns=["example", "start", "end", "strand"])
    return Pattern(name, sequence, contributions, hypothetical, table)


def compare_motifs(queries: list[Pattern] | Motifs, motifs: Motifs | None = None, *, nearest: int = 3) -> pd.DataFrame:
    """The known motifs nearest to each query by TOMTOM: query, rank, motif, p_value, q_value, overlap, strand.

    `motifs` are the bundled ones by default; q values are Benjamini and Hochberg's over the motifs of each query. With
    fewer than some dozens of motifs p values say little. Raises InputError without the extra.
    """
    known = consensus_motifs() if motifs is None else dict(motifs)
    asked = dict(queries) if isinstance(queries, Mapping) else {one.name: one.trimmed() for one in queries}
    columns = ["query", "rank", "motif", "p_value", "q_value", "overlap", "strand"]
    if not asked:
        return pd.DataFrame(columns=columns)
    if not known:
        raise InputError("no motif to compare with; give a MEME file with some, or none for the bundled ones")
    tomtom = library("memelite").tomtom
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # said above
        found = tomtom(
            [q.T.astype(np.float64) for q in asked.values()], [m.T.astype(np.float64) for m in known.values()]
        )
    p_values, _, _, overlaps, strands = (np.asarray(x) for x in found[:5])
    names, rows = list(known), []
    for query, ps, overlap, strand in zip(asked, p_values, overlaps, strands, strict=True):
        order = np.argsort(ps, kind="stable")
        q_values = np.minimum.accumulate((ps[order] * len(ps) / (1 + np.arange(len(ps))))[::-1])[::-1]
        for rank, (motif, q_value) in enumerate(zip(order[:nearest], q_values, strict=False)):
            side = "-" if strand[motif] else "+"
            rows.append((query, rank, names[motif], ps[motif], min(q_value, 1.0), int(overlap[motif]), side))
    return pd.DataFrame(rows, columns=columns)


def _check_length(examples: Examples) -> None:
    count, length = examples.contributions.shape[:2]
    least = CORE + 2 * FLANK
    if not count or length < least:
        raise InputError(f"{count} examples of {length} bp; expected at least one, of {least} bp or more")


def library(name: str) -> ModuleType:
    """One of the extra's packages. Raises InputError with the line that installs it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise InputError(f"motifs need {name}, which is not installed: {INSTALL}") from error
