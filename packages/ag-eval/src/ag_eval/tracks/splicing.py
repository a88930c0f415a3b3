"""Splice sites and junctions: are they found, and how often are they used? Source: spec/scoring.md A1-3, A5-6."""

from collections.abc import Iterator

import numpy as np
from ag_core.errors import InputError
from ag_data.genome_store import reverse_complement_codes
from jaxtyping import Float, UInt8

from ag_eval.metrics import auprc, top_k
from ag_eval.peers.splice_matrices import SHIPPED, Pairs, log_odds, read_matrices, site_scores
from ag_eval.tracks.junction_ratios import observed_pairs, psi3, psi5
from ag_eval.tracks.questions import MODEL, AbstractQuestion, Setting, track_names
from ag_eval.tracks.ranked_points import Ranked, rank_cases
from ag_eval.tracks.window_sums import Draws, Measured, WindowSums
from ag_eval.tracks.windows import Window

CLASSES = ("donor +", "acceptor +", "donor -", "acceptor -")
A, C, G, T = range(4)
# Offsets from a site of each class to the two bases of its intron, and what these are where the site is canonical.
CANONICAL = (((1, G), (2, T)), ((-2, A), (-1, G)), ((-2, A), (-1, C)), ((1, C), (2, T)))


def canonical(codes: UInt8[np.ndarray, " position"]) -> Float[np.ndarray, "position 4"]:
    """1 where GT or AG lies as it does beside a site of the class, else 0."""
    found = np.zeros((len(codes), len(CANONICAL)), np.float32)
    padded = np.pad(codes, 2, constant_values=4)
    for column, bases in enumerate(CANONICAL):
        found[:, column] = np.all(
            [padded[2 + offset : 2 + offset + len(codes)] == base for offset, base in bases], axis=0
        )
    return found


def by_matrices(codes: UInt8[np.ndarray, " position"], odds: Pairs) -> Float[np.ndarray, "position 4"]:
    """Log odds of the four classes by the bases around, on both strands."""
    forward = site_scores(codes, odds)
    backward = site_scores(reverse_complement_codes(codes), odds)[::-1]
    return np.concatenate([forward[:, ::-1], backward[:, ::-1]], axis=1).astype(np.float32)


class SpliceSites(AbstractQuestion):
    """AUPRC and top-k accuracy of each of the four classes over all bases that are known, and their mean.

    Baselines: chance; whether GT or AG is there; weight matrices of human sites, and each base given the one before.
    All scores are kept: 52 bytes for each base.
    """

    def __init__(self, setting: Setting):
        super().__init__(setting)
        counts = read_matrices(SHIPPED)
        self._odds = {"splice_matrix": log_odds(counts, 0), "splice_pairs": log_odds(counts, 1)}
        self._parts: list[tuple[int, np.ndarray, dict[str, np.ndarray]]] = []

    def add(self, window: Window) -> None:
        """As `AbstractQuestion.add`."""
        classes = window.target["classes"]
        known = classes.any(axis=1)
        labels = classes[known, :4]
        scores = {MODEL: window.guess[known, :4], "gt_ag": canonical(window.codes)[known]}
        scores |= {name: by_matrices(window.codes, odds)[known] for name, odds in self._odds.items()}
        self._parts.append((window.number, labels, scores))
        self.points.add(window.number, labels.ravel(), {name: each.ravel() for name, each in scores.items()})

    def figures(self, draws: Draws) -> Iterator[Measured]:
        """As `AbstractQuestion.figures`."""
        labels = np.concatenate([part[1] for part in self._parts])
        windows = np.repeat([part[0] for part in self._parts], [len(part[1]) for part in self._parts])
        self.notes |= {"bases": len(labels), "sites": int(labels.sum())}
        for who in (MODEL, "gt_ag", *self._odds):
            scores = np.concatenate([part[2][who] for part in self._parts])
            ranked = [rank_cases(labels[:, i], scores[:, i], windows) for i in range(len(CLASSES))]
            for metric in (auprc, top_k):
                yield _measured(metric, who, "classes", list(CLASSES), ranked, draws if who != "gt_ag" else draws[:0])
        share = np.where(labels.any(axis=0), labels.mean(axis=0), np.nan)
        for metric in ("auprc", "top_k"):
            yield Measured(metric, "random", "classes", list(CLASSES), share)


class JunctionPairs(AbstractQuestion):
    """Which pairs of a donor and an acceptor that a track uses are joined by its reads: AUPRC of each track.

    Only pairs in the order of transcription. Baselines: the share of positives, and distance (nearer is likelier).
    """

    def __init__(self, setting: Setting):
        super().__init__(setting)
        self._names = track_names(setting.matched.tracks)
        self._parts: list[list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]] = [[] for _ in self._names]

    def add(self, window: Window) -> None:
        """As `AbstractQuestion.add`."""
        for truth, guess, distance in _strands(window):
            labels, part = observed_pairs(truth)
            part = part & (distance > 0).reshape(-1, 1) & ~np.isnan(truth).reshape(labels.shape)
            scores, near = guess.reshape(labels.shape), -distance.reshape(-1)
            for track, own in enumerate(self._parts):
                rows = np.flatnonzero(part[:, track])
                number = np.full(len(rows), window.number)
                own.append((labels[rows, track], scores[rows, track], near[rows], number))
                self.points.add(
                    window.number, labels[rows, track], {MODEL: scores[rows, track], "distance": near[rows]}
                )

    def figures(self, draws: Draws) -> Iterator[Measured]:
        """As `AbstractQuestion.figures`."""
        tables = [[np.concatenate(column) for column in zip(*own, strict=True)] for own in self._parts]
        self.notes |= {"pairs": sum(len(table[0]) for table in tables)}
        self.notes |= {"joined": sum(int(table[0].sum()) for table in tables)}
        for place, who in ((1, MODEL), (2, "distance")):
            ranked = [rank_cases(table[0], table[place], table[3]) for table in tables]
            yield _measured(auprc, who, "tracks", self._names, ranked, draws if who == MODEL else draws[:0])
        share = np.array([table[0].mean() if table[0].any() else np.nan for table in tables])
        yield Measured("auprc", "random", "tracks", self._names, share)


class JunctionCounts(AbstractQuestion):
    """Reads of observed junctions: Pearson's r of each track, of log(1 + reads) and of reads.

    The baseline is distance: the longer the intron, the fewer reads.
    """

    def __init__(self, setting: Setting):
        super().__init__(setting)
        self._names = track_names(setting.matched.tracks)
        count = len(self._names)
        keys = [(metric, who) for metric in ("pearson_log1p", "pearson") for who in (MODEL, "distance")]
        self._sums = {key: WindowSums(count) for key in keys}
        # All tracks as one.
        self._pooled = {key: WindowSums(1) for key in keys}

    def add(self, window: Window) -> None:
        """As `AbstractQuestion.add`."""
        for truth, guess, distance in _strands(window):
            seen = (truth > 0).reshape(-1, truth.shape[2])
            rows = seen.any(axis=1)
            seen, truth, guess = (
                seen[rows],
                truth.reshape(-1, truth.shape[2])[rows],
                guess.reshape(-1, guess.shape[2])[rows],
            )
            near = np.broadcast_to(-np.log(np.abs(distance).reshape(-1)[rows] + 1.0)[:, None], truth.shape)
            self.notes["junctions"] = self.notes.get("junctions", 0) + int(seen.sum())
            for (metric, who), sums in self._sums.items():
                change = np.log1p if metric == "pearson_log1p" else np.asarray
                one, two = change(truth), near if who == "distance" else change(guess)
                sums.add(window.number, one, two, seen)
                self._pooled[metric, who].add(window.number, one[seen][:, None], two[seen][:, None])
            self.points.add(
                window.number, np.log1p(truth[seen]), {MODEL: np.log1p(guess[seen]), "distance": near[seen]}
            )

    def figures(self, draws: Draws) -> Iterator[Measured]:
        """As `AbstractQuestion.figures`."""
        for (metric, who), sums in self._sums.items():
            yield Measured(metric, who, "tracks", self._names, sums.pearson(), sums.draw_pearson(draws))
        for (metric, who), sums in self._pooled.items():
            yield Measured(metric, who, "", ["all tracks as one"], sums.pearson(), sums.draw_pearson(draws))


class JunctionRatios(AbstractQuestion):
    """PSI5 and PSI3 of junctions that any track has: Pearson's r of each track.

    Sites with one partner only have no choice, and do not count. The baseline gives all partners the same share.
    """

    def __init__(self, setting: Setting):
        super().__init__(setting)
        self._names = track_names(setting.matched.tracks)
        keys = [(metric, who) for metric in ("pearson_psi5", "pearson_psi3") for who in (MODEL, "equal_shares")]
        self._sums = {key: WindowSums(len(self._names)) for key in keys}

    def add(self, window: Window) -> None:
        """As `AbstractQuestion.add`."""
        for truth, guess, _ in _strands(window):
            known = (truth > 0).any(axis=2, keepdims=True)
            for metric, ratio, axis in (("pearson_psi5", psi5, 1), ("pearson_psi3", psi3, 0)):
                choice = known & (known.sum(axis=axis, keepdims=True) > 1)
                measured = ratio(np.where(np.isnan(truth), np.nan, truth * known), self.setting.own.least)
                guesses = {
                    MODEL: ratio(guess.astype(np.float64) * known, 1e-30),
                    "equal_shares": ratio(np.ones(truth.shape) * known, 1.0),
                }
                rows = choice[..., 0]
                own, counted = measured[rows], ~np.isnan(measured[rows])
                self.notes[metric.removeprefix("pearson_")] = self.notes.get(metric.removeprefix("pearson_"), 0) + int(
                    counted.sum()
                )
                for who, values in guesses.items():
                    self._sums[metric, who].add(window.number, own, values[rows], counted)
                if metric == self.setting.own.metric:
                    self.points.add(
                        window.number, own.ravel(), {who: values[rows].ravel() for who, values in guesses.items()}
                    )

    def figures(self, draws: Draws) -> Iterator[Measured]:
        """As `AbstractQuestion.figures`."""
        for (metric, who), sums in self._sums.items():
            yield Measured(metric, who, "tracks", self._names, sums.pearson(), sums.draw_pearson(draws))


def _strands(window: Window) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Measured and predicted counts [donor, acceptor, track] of each strand, and distances along transcription."""
    sites, counts = window.target["splice_site_positions"], window.target["counts"]
    tracks = counts.shape[2] // 2
    for strand in (0, 1):
        donors, acceptors = (row[row >= 0].astype(np.int64) for row in sites[2 * strand : 2 * strand + 2])
        if not len(donors) or not len(acceptors):
            continue
        own = (slice(len(donors)), slice(len(acceptors)), slice(strand * tracks, (strand + 1) * tracks))
        distance = (acceptors[None, :] - donors[:, None]) * (-1 if strand else 1)
        guess = window.guess[own]
        if np.isnan(guess).any():
            raise InputError(f"{window.interval}: predicted counts of junctions are NaN; the model is damaged")
        yield counts[own].astype(np.float64), guess, distance


def _measured(metric, who: str, of: str, names: list[str], ranked: list[Ranked], draws: Draws) -> Measured:
    values = np.array([each.measure(metric) for each in ranked])
    drawn = [found for each in ranked if (found := each.draw(metric, draws)) is not None]
    return Measured(metric.__name__, who, of, names, values, np.stack(drawn, axis=1) if drawn else None)
