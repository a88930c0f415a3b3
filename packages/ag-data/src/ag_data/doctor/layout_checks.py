"""Checks of what is no signal along the genome: junctions, splice sites and contact maps."""

import collections
import dataclasses

import numpy as np
import pandas as pd
from ag_core.genome import Interval

from ag_data.doctor.findings import ERROR, Finding
from ag_data.doctor.motifs import check_introns, introns_of_sites
from ag_data.doctor.signals import Sample, Signals
from ag_data.doctor.value_checks import check_infinite
from ag_data.genome_store import Genome

_EMPTY = "the file is empty, or of other chromosomes: check it, or leave it out"
_WINDOW = 1 << 22  # base pairs of splice sites read at a time
_ROWS = 64  # of a contact map, in each window


def check_junctions(signals: Signals, genome: Genome | None) -> list[Finding]:
    """Tracks without junctions; with a genome, junctions without splice motifs. Those of one file are one subject."""
    found = []
    for tracks in signals.groups():
        subject = signals.labels[int(tracks[0])]
        tables = []
        for chromosome, length in signals.chromosomes.items():
            values = signals.read(Interval(chromosome, 0, length), tracks)
            if values is None:
                continue
            counted = np.nan_to_num(values["count"].values).sum(axis=1) > 0
            columns = {"Start": "start", "End": "end", "Strand": "strand"}
            table = pd.DataFrame({key: values[name].values[counted] for key, name in columns.items()})
            tables.append(table.assign(Chromosome=chromosome))
        introns = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
        if introns.empty:
            found.append(Finding("no signal", ERROR, subject, "there is no junction with a read", _EMPTY))
        elif genome is not None:
            found.append(check_introns(introns, genome, subject, "junctions"))
    return [finding for finding in found if finding is not None]


def check_classes(signals: Signals, genome: Genome) -> Finding | None:
    """Splice sites without splice motifs."""
    names = signals.table["name"].values.astype(str)
    kinds = {(name, strand): track for track, (name, strand) in enumerate(zip(names, signals.strands, strict=True))}
    tables = []
    for chromosome, length in signals.chromosomes.items():
        sites: dict[tuple[str, str], list[np.ndarray]] = collections.defaultdict(list)
        for start in range(0, length, _WINDOW):
            window = Interval(chromosome, start, min(start + _WINDOW, length))
            values = np.asarray(signals.read(window, np.arange(len(names))))
            for kind, track in kinds.items():
                sites[kind].append(np.flatnonzero(values[:, track] == 1) + start)
        positions = {kind: np.concatenate(parts) for kind, parts in sites.items()}
        tables.append(introns_of_sites(positions, chromosome))
    introns = pd.concat(tables, ignore_index=True)
    if introns.empty:
        return Finding("no signal", ERROR, signals.labels[0], "there is no splice site", _EMPTY)
    return check_introns(introns, genome, signals.labels[0], "splice sites")


def check_contacts(signals: Signals) -> list[Finding]:
    """Maps in which nothing was measured, or with infinite values."""
    found = []
    whole = [dataclasses.replace(w, end=min(w.end, w.start + _ROWS * signals.resolution)) for w in signals.windows()]
    for tracks in signals.groups():
        values = np.concatenate([np.asarray(signals.read(window, tracks), np.float32) for window in whole])
        for column, track in enumerate(tracks):
            flat = values[..., column].ravel()
            found.append(check_infinite(Sample(signals, int(track), (), np.zeros(0, np.int64), flat)))
            if not np.nan_to_num(flat, posinf=0.0, neginf=0.0).any():
                evidence = f"none of {len(flat):,} pairs of bins looked at has a value"
                found.append(Finding("no signal", ERROR, signals.labels[int(track)], evidence, _EMPTY))
    return [finding for finding in found if finding is not None]
