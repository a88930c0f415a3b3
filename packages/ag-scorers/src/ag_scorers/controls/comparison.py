"""Scores of variants among those of their controls, all on one window: how far out, track by track."""

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from ag_core.errors import InputError
from ag_core.genome import Interval, Variant
from ag_data.variants import Call, Status

from ag_scorers.dataset import to_datatree
from ag_scorers.engine import Engine
from ag_scorers.results import Result

FEWEST = 5


def compare(
    engine: Engine, controls: Mapping[Variant, Sequence[Variant]], interval: Interval | None = None
) -> xr.DataTree:
    """Scores of variants, each followed by its own controls, over one interval (the first variant's window if None).

    As `to_datatree` has it, with two more variables (item, track) of each scorer: `deviation`, how many standard
    deviations of the controls a score lies from their mean, and `beyond`, the share of controls (with one more, the
    score itself) that are at least as far from their median. Items are compared with the same item (gene) of the
    controls. On call, and on item: `control`, and `group`, the number of the variant. Raises InputError for a variant
    with fewer than 5 controls, and for one that does not fit the interval.
    """
    if few := [variant for variant, own in controls.items() if len(own) < FEWEST]:
        raise InputError(
            f"{few[0]} has {len(controls[few[0]])} controls; expected {FEWEST} or more to tell what is usual"
        )
    interval = interval or engine.interval(next(iter(controls)))
    everything = [one for variant, own in controls.items() for one in (variant, *own)]
    group = np.repeat(np.arange(len(controls)), [1 + len(own) for own in controls.values()])
    control = np.concatenate([[False] + [True] * len(own) for own in controls.values()])
    for one in everything:
        if not interval.start <= one.start < interval.end or one.chromosome != interval.chromosome:
            raise InputError(f"{one} is not inside {interval.region}; take a larger window, or controls closer by")
    calls = [
        Call(number, 0, one.chromosome, one.position, one.reference_bases, one.alternate_bases, variant=one)
        for number, one in enumerate(everything)
    ]
    results: list[Result] = list(engine.run(calls, interval))
    failed = [result.call for result in results if result.call.status is not Status.SCORED]
    if failed:
        raise InputError(f"{failed[0]} could not be scored: {failed[0].detail}")
    tree = to_datatree(results, {"interval": interval.region, "model_digest": engine.checkpoint.digest})
    root = tree.to_dataset().assign_coords(group=("call", group), control=("call", control))
    scored = {key: _ranked(child.to_dataset(inherit=False), group, control) for key, child in tree.children.items()}
    return xr.DataTree.from_dict({"/": root, **scored})


def _ranked(data: xr.Dataset, group: np.ndarray, control: np.ndarray) -> xr.Dataset:
    call = data["call"].values
    own_group, is_control = group[call], control[call]
    genes = data["gene"].values if "gene" in data.coords else np.zeros(len(call))
    deviation, beyond = (np.full(data["score"].shape, np.nan, np.float32) for _ in range(2))
    for key in dict.fromkeys(zip(own_group.tolist(), genes.tolist(), strict=True)):
        rows = (own_group == key[0]) & (genes == key[1])
        usual = data["score"].values[rows & is_control].astype(np.float64)
        if len(usual) < FEWEST:
            continue
        mean, spread, middle = usual.mean(axis=0), usual.std(axis=0, ddof=1), np.median(usual, axis=0)
        own = data["score"].values[rows].astype(np.float64)
        # Where controls do nothing at all, nothing can be told.
        deviation[rows] = (own - mean) / np.where(spread > 0, spread, np.nan)
        far = np.abs(usual - middle)[None] >= np.abs(own - middle)[:, None]
        share = (far.sum(axis=1) + 1) / (len(usual) + 1)
        beyond[rows] = np.where(np.isnan(own), np.nan, share)
    dims = ("item", "track")
    data = data.assign(deviation=(dims, deviation), beyond=(dims, beyond))
    return data.assign_coords(control=("item", is_control), group=("item", own_group))
