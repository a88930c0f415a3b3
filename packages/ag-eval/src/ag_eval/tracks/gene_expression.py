"""Expression of genes from coverage of their exons, gathered over windows. Source: spec/scoring.md 7.1, A9-11."""

from collections.abc import Iterator

import numpy as np
from ag_core.errors import InputError

from ag_eval.tracks.expression_metrics import across_tracks, specific
from ag_eval.tracks.questions import MODEL, AbstractQuestion, Setting, experiments
from ag_eval.tracks.window_sums import Draws, Measured, WindowMeans, WindowSums
from ag_eval.tracks.windows import Window


class _Gene:
    """Sums over the exonic bases seen so far, of the experiments on the gene's strand."""

    def __init__(self, window: int, experiments: int, bases: int):
        self.window, self.bases, self.seen, self.gc = window, bases, 0.0, 0.0
        self.truth, self.guess = np.zeros(experiments), np.zeros(experiments)


class ExpressionTracks(AbstractQuestion):
    """log(1 + mean coverage of exons) of genes all of whose exons lie in held-out windows.

    An experiment with two strands counts on the gene's. Pearson's r over genes (each experiment); the same after
    quantile normalisation over experiments and without the gene's mean; and over experiments (each gene). Genes that
    are cut off or not measured are left out, and counted. The baseline of the first is G+C in exons.
    """

    def __init__(self, setting: Setting):
        super().__init__(setting)
        assert setting.genes is not None
        self._annotation = setting.genes
        self._experiments = experiments(setting.matched.tracks)
        self._genes: dict[str, _Gene] = {}

    def add(self, window: Window) -> None:
        """As `AbstractQuestion.add`."""
        resolution, interval = self.setting.matched.resolution, window.interval
        truth = np.asarray(window.target["signal"], np.float64)
        table = self._annotation.genes_in(interval)
        gc = (window.codes == 1) | (window.codes == 2)
        for gene_id, strand in zip(table["gene_id"], table["gene_strand"], strict=True):
            exons = self._annotation.exons_of(gene_id)
            low, high = int(exons["start"].min()), int(exons["end"].max())
            whole = np.zeros(high - low, bool)
            for start, end in zip(exons["start"], exons["end"], strict=True):
                whole[start - low : end - low] = True
            inside = np.zeros(interval.width, bool)
            first, last = max(low, interval.start), min(high, interval.end)
            inside[first - interval.start : last - interval.start] = whole[first - low : last - low]
            if not inside.any():
                continue
            share = inside.reshape(-1, resolution).sum(axis=1) / resolution
            columns = [strands.get(str(strand), strands.get(".", -1)) for strands in self._experiments.values()]
            if -1 in columns:
                continue
            gene = self._genes.setdefault(gene_id, _Gene(window.number, len(columns), int(whole.sum())))
            bins = share > 0
            values = truth[bins][:, columns]
            known = ~np.isnan(values).any(axis=1)
            weights = share[bins][known, None]
            gene.truth += (values[known] * weights).sum(axis=0)
            gene.guess += (window.guess[bins][:, columns][known] * weights).sum(axis=0)
            gene.seen += weights.sum() * resolution
            gene.gc += float(gc[inside].sum())

    def figures(self, draws: Draws) -> Iterator[Measured]:
        """As `AbstractQuestion.figures`. Raises InputError when no gene is whole."""
        whole = [gene for gene in self._genes.values() if gene.seen > gene.bases - 0.5]
        self.notes |= {"genes": len(whole), "genes_cut_off": len(self._genes) - len(whole)}
        if not whole:
            raise InputError(
                f"no gene has all its exons in the windows ({len(self._genes)} have some); give longer regions, or "
                "an annotation of this assembly"
            )
        truth, guess = (
            np.log1p(np.stack([getattr(gene, name) / gene.bases for gene in whole])) for name in ("truth", "guess")
        )
        gc = np.array([gene.gc / gene.bases for gene in whole])
        windows, names = np.array([gene.window for gene in whole]), list(self._experiments)
        for who, values in ((MODEL, guess), ("gc_content", np.broadcast_to(gc[:, None], truth.shape))):
            sums = _by_window(windows, truth, values)
            yield Measured("pearson_log1p", who, "tracks", names, sums.pearson(), sums.draw_pearson(draws))
        self._show(windows, truth, guess, gc)
        own, guessed = specific(truth), specific(guess)
        sums = _by_window(windows, own, guessed)
        yield Measured("pearson_specific_genes", MODEL, "tracks", names, sums.pearson(), sums.draw_pearson(draws))
        each, means = across_tracks(own, guessed), WindowMeans()
        for window, value in zip(windows, each, strict=True):
            means.add(int(window), np.array([value]))
        self.notes["genes_defined"] = int((~np.isnan(each)).sum())
        yield Measured("pearson_specific_tracks", MODEL, "", ["mean of genes"], means.mean(), means.draw_mean(draws))

    def _show(self, windows: np.ndarray, truth: np.ndarray, guess: np.ndarray, gc: np.ndarray) -> None:
        if self.points.columns():
            return
        for number in np.unique(windows):
            own = windows == number
            by_gc = np.broadcast_to(gc[own, None], truth[own].shape).ravel()
            self.points.add(int(number), truth[own].ravel(), {MODEL: guess[own].ravel(), "gc_content": by_gc})


def _by_window(windows: np.ndarray, truth: np.ndarray, guess: np.ndarray) -> WindowSums:
    sums = WindowSums(truth.shape[1])
    for number in np.unique(windows):
        own = windows == number
        sums.add(int(number), truth[own], guess[own])
    return sums
