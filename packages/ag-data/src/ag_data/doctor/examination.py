"""Runs all checks over a manifest, before it is imported, or over a store."""

import collections
import os
import pathlib
from collections.abc import Callable, Iterable, Mapping

import numpy as np
import pandas as pd
from ag_core.errors import InputError

from ag_data.annotation import Annotation, read_gtf
from ag_data.doctor import layout_checks, scale_checks, tn5, value_checks
from ag_data.doctor.duplicates import check_duplicates
from ag_data.doctor.findings import ERROR, Finding, Report, make_report
from ag_data.doctor.leakage import TRAIN, check_copies, check_overlaps
from ag_data.doctor.motifs import check_introns
from ag_data.doctor.signals import Sample, Signals
from ag_data.doctor.strand import EXONS, STARTS, check_pairs, check_strands, lone_genes
from ag_data.doctor.subjects import known_bases, open_files, signals_of_files, signals_of_store
from ag_data.folds import read_folds
from ag_data.genome_store import Genome, check_same_genome, open_genome
from ag_data.manifest import Manifest, read_manifest
from ag_data.parts import chosen_chromosomes
from ag_data.regions import read_regions
from ag_data.store import TrackStore, open_store

# Checks of one track by itself.
SAMPLE_CHECKS: tuple[Callable[[Sample], Finding | list[Finding] | None], ...] = (
    value_checks.check_infinite,
    value_checks.check_negative,
    value_checks.check_missing,
    value_checks.check_empty,
    value_checks.check_overflow,
    value_checks.check_points,
    scale_checks.check_transform,
    scale_checks.check_clipped,
    scale_checks.check_depth,
    tn5.check_shift,
)


Table = str | os.PathLike[str] | pd.DataFrame


def examine(
    subject: str | os.PathLike[str] | Manifest | TrackStore,
    genome: str | os.PathLike[str] | Genome | None = None,
    annotation: str | os.PathLike[str] | Annotation | None = None,
    regions: Table | None = None,
    *,
    train: Table | None = None,
    held_out: Table | None = None,
) -> Report:
    """Looks at everything in a manifest or a store that the checks know.

    `genome` (FASTA) and `annotation` (GTF) are by default those of the manifest; a store tells neither, so that checks
    which need them are left out and noted. `regions` is a BED file with labels (train, ...) in column 4, or a table
    with the column Label; or `train` and `held_out` give one each. Raises InputError when the subject, the genome, the
    annotation or the regions cannot be read.
    """
    examination = _Examination()
    if isinstance(subject, str | os.PathLike):
        path = pathlib.Path(subject)
        subject = open_store(path) if path.is_dir() else read_manifest(path)
        examination.subject = str(path)
    if isinstance(subject, Manifest):
        genome = open_genome(*subject.genome_files) if genome is None else genome
        if annotation is None and subject.annotation is not None:
            annotation = subject.locate(subject.annotation)
    windows = _windows(regions, train, held_out)
    examination.genome = genome if isinstance(genome, Genome | None) else open_genome(genome)
    examination.annotation = annotation if isinstance(annotation, Annotation | None) else read_gtf(annotation)
    examination.check_annotation()
    for signals in examination.open(subject):
        examination.check_signals(signals)
    if windows is not None:
        examination.check_windows(*windows)
    return make_report(examination.subject, examination.findings, examination.examined, examination.notes)


def _windows(regions: Table | None, train: Table | None, held_out: Table | None) -> tuple[pd.DataFrame, str] | None:
    """Labelled windows, and what messages call them."""
    if regions is not None:
        return (regions, "the regions") if isinstance(regions, pd.DataFrame) else (read_folds(regions), str(regions))
    if train is None and held_out is None:
        return None
    if train is None or held_out is None:
        raise InputError("leaks are between training and held-out windows: give both (train and held_out)")
    parts = {TRAIN: train, "held out": held_out}
    tables = []
    for label, table in parts.items():
        table = table if isinstance(table, pd.DataFrame) else read_regions(table, f"list of {label} windows")
        tables.append(table.assign(Label=label))
    names = " and ".join("a table" if isinstance(part, pd.DataFrame) else str(part) for part in parts.values())
    return pd.concat(tables, ignore_index=True), names


def examine_signals(
    signals: Iterable[Signals], genome: Genome | None = None, annotation: Annotation | None = None
) -> Report:
    """As `examine`, of tracks that lie in no file."""
    examination = _Examination()
    examination.genome, examination.annotation = genome, annotation
    for each in signals:
        examination.check_signals(each)
    return make_report(examination.subject, examination.findings, examination.examined, examination.notes)


class _Examination:
    """What was found so far, and what there is to judge by."""

    def __init__(self):
        self.subject = "the tracks"
        self.genome: Genome | None = None
        self.annotation: Annotation | None = None
        self.findings: list[Finding] = []
        self.examined: collections.Counter[str] = collections.Counter()
        self.notes: list[str] = []

    def add(self, check: str, found: Iterable[Finding] | Finding | None, looks: int = 1) -> None:
        """Notes that a check was done, and what it found."""
        self.examined[check] += looks
        self.findings += [found] if isinstance(found, Finding) else found or ()

    def open(self, subject: Manifest | TrackStore) -> list[Signals]:
        """The tracks, by modality; files that cannot be used become findings."""
        if isinstance(subject, TrackStore):
            self._check_same_genome(subject)
            known = known_bases(self.genome, subject.chromosomes) if self.genome is not None else {}
            return signals_of_store(subject, known)
        assert self.genome is not None
        chromosomes = chosen_chromosomes(subject, self.genome)
        files, findings, number = open_files(subject, chromosomes, self.genome)
        self.add("files", findings, number)
        signals, findings = signals_of_files(files, subject, chromosomes, known_bases(self.genome, chromosomes))
        self.add("forms", findings, len(signals))
        return signals

    def _check_same_genome(self, store: TrackStore) -> None:
        if self.genome is None:
            return
        try:
            check_same_genome(self.genome, store.attrs["contigs"], str(store.path))
        except InputError as error:
            remedy = "give the genome the store was made with, or import the files again on this one"
            self.add("files", Finding("assembly", ERROR, str(store.path), str(error), remedy))
            self.genome = None

    def check_annotation(self) -> None:
        """Whether the annotation is of the genome."""
        if self.annotation is None or self.genome is None:
            return
        introns = self.annotation.introns()
        introns = introns.loc[introns["Strand"] != "."].drop_duplicates()
        found = check_introns(introns, self.genome, "the annotation", "exons")
        self.add("splice motifs", found)
        if found is not None and found.severity == ERROR:
            self.annotation = None
            self.notes.append("strands: the annotation does not fit the genome")

    def check_signals(self, signals: Signals) -> None:
        """All checks of one modality."""
        self.add("strand pairs", check_pairs(signals))
        if signals.layout in ("signal", "usage"):
            self._check_values(signals)
        elif signals.layout == "contacts":
            self.add("contacts", layout_checks.check_contacts(signals), len(signals.labels))
        else:
            if self.genome is None:
                self.notes.append(f"splice motifs of {signals.modality}: give the genome (FASTA)")
            if signals.layout == "junctions":
                self.add("junctions", layout_checks.check_junctions(signals, self.genome), len(signals.labels))
            elif self.genome is not None:
                self.add("splice sites", layout_checks.check_classes(signals, self.genome))

    def _check_values(self, signals: Signals) -> None:
        windows = signals.windows()
        bins: list[np.ndarray | None] = [None] * len(signals.labels)
        units: dict[int, float] = {}
        broken = False
        for tracks in signals.groups():
            try:
                samples = signals.sample(tracks, windows)
            except InputError as error:
                remedy = "mend the file as the message says; nothing else was checked of it"
                self.add("files", Finding("unreadable file", ERROR, signals.labels[int(tracks[0])], str(error), remedy))
                broken = True
                continue
            for sample in samples:
                for check in SAMPLE_CHECKS if signals.layout == "signal" else SAMPLE_CHECKS[:4]:
                    self.add(check.__name__.removeprefix("check_"), check(sample))
                bins[sample.track] = sample.compared()
                if sample.levels.unit is not None:
                    units[sample.track] = sample.levels.unit
        self.add("duplicates", check_duplicates(signals, bins), len(bins))
        if not broken:
            self._check_strands(signals, units)

    def _check_strands(self, signals: Signals, units: Mapping[int, float]) -> None:
        if signals.modality not in (*EXONS, *STARTS) or not set(signals.strands) & {"+", "-"}:
            return
        if self.annotation is None:
            self.notes.append(f"strands of {signals.modality}: give an annotation (GTF)")
            return
        genes = lone_genes(self.annotation, signals.chromosomes, signals.modality in STARTS)
        self.add("strand", check_strands(signals, genes, units))

    def check_windows(self, windows: pd.DataFrame, subject: str) -> None:
        """Whether what is held out is."""
        self.add("leakage", check_overlaps(windows, subject))
        if self.genome is None:
            self.notes.append("copies of held-out sequences: give the genome (FASTA)")
        else:
            self.add("leakage", check_copies(windows, self.genome, subject))
