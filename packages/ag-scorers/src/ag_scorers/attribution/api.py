"""Attributions in one call: what `agenome attribute` and Python users share.

import ag_scorers
tree = ag_scorers.attribute("dnase[HepG2] @ region", region="chr20:44,355,700-44,356,200", fasta="ref.fa")
tree["contribution"]                           # xarray, (position, base)
"""

import dataclasses
import enum
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from ag_core.checkpoint import Checkpoint, load
from ag_core.errors import InputError
from ag_core.genome import Interval
from ag_core.model import fold
from ag_core.sequence import encode
from ag_data.annotation import Annotation, read_gtf
from ag_data.fasta import Fasta
from ag_data.personal import reference_positions

from ag_scorers.attribution.baselines import SHUFFLES, Baseline, as_one_hot, make_baselines
from ag_scorers.attribution.expression import Expression
from ag_scorers.attribution.forward import BOTH, FORWARD, REVERSE, Forward, make_forward, without_nan
from ag_scorers.attribution.gradients import input_x_gradient
from ag_scorers.attribution.integrated import MOST_STEPS, TOLERANCE, integrated_gradients
from ag_scorers.attribution.parser import parse_target
from ag_scorers.attribution.reading import Scene
from ag_scorers.attribution.target import PythonTarget, bind
from ag_scorers.predictor.places import Place, Windows, gather_places

Target = str | PythonTarget
Advance = Callable[[], None]
BASES = ("A", "C", "G", "T")


class Method(enum.StrEnum):
    """How outputs are traced back to bases."""

    GRADIENT = "input-x-gradient"
    INTEGRATED = "integrated"


@dataclasses.dataclass(frozen=True)
class Plan:
    """Everything that was asked for, checked and loaded, before anything is computed.

    `targets` by the text that names them; `settings` goes to the attributes of the tree's root.
    """

    checkpoint: Checkpoint
    organism: int
    places: Sequence[Place]
    targets: Mapping[str, Expression | PythonTarget]
    genes: Annotation | None
    method: Method
    both_strands: bool
    several: bool
    settings: Mapping[str, Any]

    def forward(self, place: Place) -> Forward:
        """The targets at a place. Raises InputError when they do not fit it."""
        window, region = place.window.as_unstranded(), place.region.as_unstranded()
        scene = Scene(self.checkpoint, self.organism, window, region, self.genes)
        bound = [bind(target, scene) for target in self.targets.values()]
        strands = BOTH if self.both_strands else REVERSE if place.region.negative_strand else FORWARD
        return make_forward(
            self.checkpoint.model,
            bound,
            window=window,
            organism=self.organism,
            junctions=scene.junctions,
            variant=place.variant if place.allele == "ALT" else None,
            strands=strands,
        )

    @property
    def attrs(self) -> dict[str, Any]:
        """Attributes of the tree's root."""
        spec = self.checkpoint.spec
        lengths = {place.region.chromosome: place.length for place in self.places}
        about = {"model": spec.name, "model_digest": self.checkpoint.digest, "organism": spec.organisms[self.organism]}
        return {**about, **self.settings, "targets": list(self.targets), "chromosomes": lengths}


def prepare(
    target: Target | Sequence[Target],
    *,
    fasta: str | os.PathLike[str] | None = None,
    gtf: str | os.PathLike[str] | None = None,
    model: str | os.PathLike[str] = "mini",
    organism: str | None = None,
    method: Method | str = Method.GRADIENT,
    baseline: Baseline | str = Baseline.UNIFORM,
    shuffles: int = SHUFFLES,
    seed: int = 0,
    tolerance: float = TOLERANCE,
    most_steps: int = MOST_STEPS,
    both_strands: bool = False,
    batch_size: int = 1,
    window: int | None = None,
    **place: Any,
) -> Plan:
    """Loads and checks everything; `place` is one of region, gene, bed, sequences, variant. Raises InputError.

    - `target`: text (`ag_scorers.attribution.parser`) or `PythonTarget`, or several of these.
    - `baseline`, `shuffles`, `seed`, `tolerance`, `most_steps`, `batch_size`: of integrated gradients.
    - `both_strands`: the mean of what the model says of the sequence and of its reverse complement.
    """
    if method not in list(Method):
        raise InputError(f"method {method!r}: expected one of {', '.join(Method)}")
    if baseline not in list(Baseline):
        raise InputError(f"baseline {baseline!r}: expected one of {', '.join(Baseline)}")
    for name, number, least in (
        ("shuffles", shuffles, 1),
        ("most_steps", most_steps, 1),
        ("batch_size", batch_size, 1),
    ):
        if number < least:
            raise InputError(f"{name} must be at least {least}, got {number}")
    if not 0 < tolerance < 1:
        raise InputError(f"tolerance must lie between 0 and 1, got {tolerance}; try {TOLERANCE}")
    given = [target] if isinstance(target, Target) else list(target)
    if not given:
        raise InputError("no target; give one, such as 'dnase[HepG2] @ region'")
    targets = {str(one).strip(): parse_target(one) if isinstance(one, str) else one for one in given}
    if len(targets) < len(given):
        raise InputError(f"a target is given twice: {', '.join(map(str, given))}; give each once, or other names")
    genome = None if fasta is None else Fasta(fasta)
    annotation = None if gtf is None else read_gtf(gtf)
    checkpoint = load(model)
    places = gather_places(Windows(checkpoint.spec.window, window), fasta=genome, annotation=annotation, **place)
    settings: dict[str, Any] = {"method": str(method), "both_strands": both_strands}
    if method == Method.INTEGRATED:
        settings |= {"baseline": str(baseline), "tolerance": tolerance, "most_steps": most_steps}
        settings |= {"shuffles": shuffles, "seed": seed} if baseline == Baseline.SHUFFLED else {}
        settings["batch_size"] = batch_size
    plan = Plan(
        dataclasses.replace(checkpoint, model=without_nan(fold(checkpoint.model))),
        checkpoint.spec.organism(organism),
        places,
        targets,
        annotation,
        Method(method),
        both_strands,
        several=not isinstance(target, Target),
        settings=settings,
    )
    for one in places:  # a target that does not fit is refused now, not after hours
        plan.forward(one)
    return plan


def attribute(target: Target | Sequence[Target], **options: Any) -> xr.DataTree:
    """Attributions in memory. Options are those of `prepare`; raises InputError.

    Of one place the root of the tree has them, of several each has a child: REF and ALT of a variant, regions of a
    BED file by name. Each has, over the region:

    - `sequence(position, base)`: 1 for the base that is there; `contribution(position, base)`: 0 but for that base;
      `hypothetical(position, base)`: what each base would contribute;
    - `value`: of the target; with integrated gradients also `baseline`, `completeness_error` (contributions minus
      the difference of the two) and `outside`: the sum of the contributions in the window but not in the region.

    If `target` is a list, arrays have a dimension `target` in front. Positions count from the start of the attribute
    `interval` (0-based half-open), always in the forward frame; `ref_position` is a base's place in the genome, -1 for
    bases that only ALT has.
    """
    return run_plan(prepare(target, **options))


def run_plan(plan: Plan, advance: Advance = lambda: None) -> xr.DataTree:
    """Computes what was planned; `advance` is told of every place that is done."""
    datasets: dict[str, xr.Dataset] = {"/": xr.Dataset(attrs=plan.attrs)}
    for place in plan.places:
        dataset = _attribute(plan, place)
        if not place.name:
            dataset.attrs = {**plan.attrs, **dataset.attrs}
        datasets[place.name or "/"] = dataset
        advance()
    return xr.DataTree.from_dict(datasets)


def find_leaves(tree: xr.DataTree) -> Iterator[tuple[str, xr.Dataset]]:
    """(name of the place, dataset) of a tree of attributions; the name is '' when there is only one."""
    for name, node in {"": tree, **tree.children}.items():
        if "contribution" in node.dataset.data_vars:
            yield str(name), node.to_dataset()


def _attribute(plan: Plan, place: Place) -> xr.Dataset:
    codes = encode(place.bases())
    dna, forward = as_one_hot(codes), plan.forward(place)
    numbers: dict[str, np.ndarray] = {}
    extra: dict[str, Any] = {}
    if plan.method is Method.GRADIENT:
        value, contributions, hypothetical = input_x_gradient(forward, dna)
        numbers["value"] = value
    else:
        settings = plan.settings
        shuffles, seed = settings.get("shuffles", 1), settings.get("seed", 0)
        baselines = make_baselines(codes, settings["baseline"], count=shuffles, seed=seed)
        limits = {name: settings[name] for name in ("tolerance", "most_steps", "batch_size")}
        found = integrated_gradients(forward, dna, baselines, **limits)
        contributions, hypothetical = found.contributions, found.hypothetical
        numbers |= {"value": found.value, "baseline": found.baseline, "completeness_error": found.error}
        extra = {"steps": found.steps, "tolerance_reached": found.reached}
    if not (np.isfinite(contributions).all() and np.isfinite(numbers["value"]).all()):
        raise RuntimeError(f"{place.region.region}: the target or its gradient is not finite; choose another target")
    region = place.region.as_unstranded()
    here = slice(region.start - place.window.start, region.end - place.window.start)
    if plan.method is Method.INTEGRATED:
        numbers["outside"] = contributions.sum(axis=(1, 2)) - contributions[:, here].sum(axis=(1, 2))
    arrays = {"contribution": contributions[:, here], "hypothetical": hypothetical[:, here]}
    return _dataset(plan, place, region, dna[here], arrays, numbers, extra)


def _dataset(
    plan: Plan,
    place: Place,
    region: Interval,
    dna: np.ndarray,
    arrays: Mapping[str, np.ndarray],
    numbers: Mapping[str, np.ndarray],
    extra: Mapping[str, Any],
) -> xr.Dataset:
    about = {"interval": str(region), "window": str(place.window), "region": str(place.region), "resolution": 1}
    about |= {"model_digest": plan.checkpoint.digest, "method": str(plan.method)}
    moved = False
    if place.variant is not None:
        moved = place.allele == "ALT" and place.variant.is_indel
        frame = "alternate" if moved else "reference"
        about |= {"variant": str(place.variant), "allele": place.allele, "frame": frame}
    if not plan.several:
        about["target"] = next(iter(plan.targets))
    dims = ("target", "position", "base")
    variables: dict[str, Any] = {name: (dims, np.asarray(x, np.float32), about) for name, x in arrays.items()}
    variables |= {name: ("target", np.asarray(x, np.float32)) for name, x in numbers.items()}
    dataset = xr.Dataset(
        {**variables, "sequence": (("position", "base"), dna.astype(np.int8), about)},
        {
            "target": np.array(list(plan.targets), object),
            "base": np.array(BASES, object),
            "ref_position": (
                "position",
                reference_positions(region, [place.variant] if moved and place.variant else []),
            ),
        },
        {**about, **extra},
    )
    return dataset if plan.several else dataset.isel(target=0, drop=True)
