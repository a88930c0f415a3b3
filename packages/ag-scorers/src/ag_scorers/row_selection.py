"""Which scores are written: of tracks that fit a query, the strongest of each item, or one for each set of tracks.

Strong means far from zero: by |quantile|; where that is the same, as it is for many strong variants, by the tail; then
by |score|, which is all there is without a calibration. Of equals the first track wins.
"""

import dataclasses
from collections.abc import Iterable, Mapping

import numpy as np
import xarray as xr
from ag_core.errors import InputError
from ag_data.query import select_tracks
from jaxtyping import Bool, Float, Int

from ag_scorers.results import Result, ScorerResult

# Arrays of a result beside `values`.
EXTRAS = ("quantiles", "tails", "ref", "alt")


class TrackFilter:
    """Leaves the tracks that fit a query (`ag_data.query`), and the scorers that have any.

    `templates` are those of the run; afterwards they are what is left of them. Raises InputError when nothing is.
    """

    templates: list[ScorerResult]

    def __init__(self, templates: Iterable[ScorerResult], query: str):
        templates = list(templates)
        masks = match_tracks(templates, query)
        self._chosen = {key: np.flatnonzero(mask) for key, mask in masks.items() if mask.any()}
        if not self._chosen:
            raise InputError(f"no track that was scored fits {query!r}, so there is nothing to write; widen the query")
        self._tables = {
            one.key: one.tracks.isel(track=self._chosen[one.key]) for one in templates if masks[one.key].any()
        }
        self.templates = [self._cut(one) for one in templates if one.key in self._chosen]

    def __call__(self, result: Result) -> Result:
        kept = tuple(self._cut(scores) for scores in result.scores if scores.key in self._chosen)
        return dataclasses.replace(result, scores=kept)

    def _cut(self, scores: ScorerResult) -> ScorerResult:
        chosen = self._chosen[scores.key]
        arrays = {name: getattr(scores, name) for name in ("values", *EXTRAS)}
        cut = {name: None if array is None else array[:, chosen] for name, array in arrays.items()}
        return dataclasses.replace(scores, tracks=self._tables[scores.key], **cut)


class RowSelection:
    """Picks items and tracks of results for rows of a table: all that apply, unless told otherwise.

    - `top`: of each item the so many strongest tracks.
    - `track_sets`: queries by name; of each item the strongest track of each set.

    Raises InputError for both at once, `top` below 1, and a set that no track of `templates` is in.
    """

    sets: tuple[str, ...]

    def __init__(
        self,
        templates: Iterable[ScorerResult],
        top: int | None = None,
        track_sets: Mapping[str, str] | None = None,
    ):
        if top is not None and top < 1:
            raise InputError(f"top must be at least 1, got {top}")
        if top is not None and track_sets:
            raise InputError("top and track sets both choose among tracks; give one of them")
        self._top, self.sets = top, tuple(track_sets or {})
        self._members = find_sets(templates, track_sets or {})

    def pick(
        self, scores: ScorerResult, applies: Bool[np.ndarray, "item track"]
    ) -> tuple[Int[np.ndarray, " row"], Int[np.ndarray, " row"], Int[np.ndarray, " row"]]:
        """Item, track and set (-1: none) of each row, by item, then by set or track.

        `applies` marks what has a place in a table; chosen are only numbers, so a selection has no NaN.
        """
        if self._top is None and not self.sets:
            item, track = np.nonzero(applies)
            return item, track, np.full(len(item), -1)
        applies = applies & ~np.isnan(scores.values)
        if self._top is not None:
            item, track = np.nonzero(_strongest(scores, applies, self._top))
            return item, track, np.full(len(item), -1)
        best = np.full((len(applies), len(self.sets)), -1)
        for number, chosen in enumerate(self._members[scores.key].values()):
            if len(chosen):
                best[:, number] = strongest_track(scores, applies, chosen)
        item, number = np.nonzero(best >= 0)
        return item, best[item, number], number


def match_tracks(templates: Iterable[ScorerResult], query: str) -> dict[str, Bool[np.ndarray, " track"]]:
    """Which tracks of each scorer fit a query, by key; a field that some tables lack is empty there."""
    tables = {one.key: one.tracks.assign_attrs(modality=one.scorer.modality) for one in templates}
    fields = {
        str(name) for table in tables.values() for name, column in table.data_vars.items() if column.dims == ("track",)
    }
    return {key: select_tracks(_fill(table, fields), query) for key, table in tables.items()}


def _fill(table: xr.Dataset, fields: Iterable[str]) -> xr.Dataset:
    blank = np.full(table.sizes["track"], "", object)
    return table.assign({name: ("track", blank) for name in fields if name not in table.variables})


def find_sets(
    templates: Iterable[ScorerResult], track_sets: Mapping[str, str]
) -> dict[str, dict[str, Int[np.ndarray, " _"]]]:
    """Tracks of each set, by key of the scorer and name of the set. Raises InputError for an empty set."""
    templates = list(templates)
    found: dict[str, dict[str, np.ndarray]] = {one.key: {} for one in templates}
    for name, query in track_sets.items():
        try:
            masks = match_tracks(templates, query)
        except InputError as error:
            raise InputError(f"track set {name!r}: {error}") from error
        if not any(mask.any() for mask in masks.values()):
            raise InputError(f"track set {name!r}: no track that was scored fits {query!r}; widen the query")
        for key, mask in masks.items():
            found[key][name] = np.flatnonzero(mask)
    return found


def strongest_track(
    scores: ScorerResult, applies: Bool[np.ndarray, "item track"], tracks: Int[np.ndarray, " _"]
) -> Int[np.ndarray, " item"]:
    """The strongest of `tracks` for each item, -1 where none applies."""
    left = applies[:, tracks]
    for size in _sizes(scores):
        size = np.where(left, size[:, tracks], -np.inf)
        left &= size == size.max(axis=1, keepdims=True, initial=-np.inf)
    return np.where(left.any(axis=1), tracks[left.argmax(axis=1)], -1)


def _strongest(
    scores: ScorerResult, applies: Bool[np.ndarray, "item track"], top: int
) -> Bool[np.ndarray, "item track"]:
    """Marks the `top` strongest of each item."""
    if applies.shape[1] <= top:
        return applies
    # The last key of lexsort counts most; it is stable.
    keys = [np.where(applies, -size, np.inf) for size in reversed(_sizes(scores))]
    order = np.lexsort(keys, axis=-1)[:, :top]
    marks = np.zeros_like(applies)
    np.put_along_axis(marks, order, True, axis=1)
    return marks & applies


def _sizes(scores: ScorerResult) -> list[Float[np.ndarray, "item track"]]:
    """What strength is judged by, the most important first; -1 where it is not known."""
    arrays = [scores.quantiles, scores.tails, scores.values]
    return [np.nan_to_num(np.abs(array), copy=False, nan=-1, posinf=np.inf) for array in arrays if array is not None]
