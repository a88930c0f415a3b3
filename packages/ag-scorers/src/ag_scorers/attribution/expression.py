"""What a target says, before it meets a model: readings of predictions, their logarithms, sums and differences."""

import dataclasses
import enum

from ag_core.genome import Interval

from ag_scorers import gene_mask, junctions


class Aggregation(enum.StrEnum):
    """How the rows of a reading become one number for each track; then tracks are averaged."""

    SUM = "sum"
    MEAN = "mean"
    MAX = "max"
    # ln(pseudocount + mean): of each track, so before tracks are averaged.
    LOGMEAN = "logmean"


@dataclasses.dataclass(frozen=True)
class Span:
    """A stretch of the genome, 0-based half-open."""

    interval: Interval
    default = Aggregation.MEAN

    def __str__(self) -> str:
        return self.interval.region.replace(",", "")


@dataclasses.dataclass(frozen=True)
class Here:
    """The region that is attributed, whichever it is."""

    default = Aggregation.MEAN

    def __str__(self) -> str:
        return "region"


@dataclasses.dataclass(frozen=True)
class Exons:
    """The exons of a gene, by name or id, as scorers by gene mask them."""

    gene: str
    default = Aggregation.LOGMEAN
    pseudocount = gene_mask.PSEUDOCOUNT

    def __str__(self) -> str:
        return f"gene {self.gene}"


@dataclasses.dataclass(frozen=True)
class Junction:
    """An intron, 0-based half-open; the strand says which end is the donor's."""

    intron: Interval
    default = Aggregation.LOGMEAN
    pseudocount = junctions.PSEUDOCOUNT

    def __str__(self) -> str:
        return f"{self.intron.region.replace(',', '')}:{self.intron.strand}"


Location = Span | Here | Exons | Junction


@dataclasses.dataclass(frozen=True)
class Reading:
    """Predictions of a modality, of the tracks that fit a query, at a location."""

    modality: str
    query: str
    location: Location
    aggregation: Aggregation

    @property
    def pseudocount(self) -> float:
        """Of `logmean`: that of the scorers of such a location."""
        return getattr(self.location, "pseudocount", gene_mask.PSEUDOCOUNT)

    def __str__(self) -> str:
        tracks = f"[{self.query}]" if self.query else ""
        return f"{self.aggregation}({self.modality}{tracks} @ {self.location})"


@dataclasses.dataclass(frozen=True)
class Logarithm:
    """The logarithm (base e or 2) of pseudocount + value."""

    inner: "Expression"
    base: str = "e"
    pseudocount: float = gene_mask.PSEUDOCOUNT

    def __str__(self) -> str:
        return f"{'log' if self.base == 'e' else 'log2'}({self.inner}, {self.pseudocount:g})"


@dataclasses.dataclass(frozen=True)
class Sum:
    """Terms, each with its factor."""

    terms: tuple[tuple[float, "Expression"], ...]

    def __str__(self) -> str:
        parts = []
        for factor, term in self.terms:
            text = f"({term})" if isinstance(term, Sum) else str(term)
            size = "" if abs(factor) == 1 else f"{abs(factor):g} * "
            parts.append(f"{'- ' if factor < 0 else '+ ' if parts else ''}{size}{text}")
        return " ".join(parts)


Expression = Reading | Logarithm | Sum
