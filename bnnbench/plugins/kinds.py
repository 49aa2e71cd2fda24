"""The kinds of components that plugins provide, as a table: a new kind is one more entry."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """One kind of component.

    `base` is the class that its components derive from, as "module:Class". `section` is the section of a benchmarks
    file that holds components of the kind; None for components that are only parameters of others. `measurement` is
    the class, as "module:Class", that turns a component of the kind into the measurement of a cell; None for kinds that
    make no cells. `needs_threat` says whether each of those cells has a threat.
    """

    name: str
    base: str
    section: str | None
    measurement: str | None = None
    needs_threat: bool = False


KINDS = (
    Kind("dataset", "bnnbench.core.dataset:Dataset", "datasets"),
    Kind("network", "bnnbench.core.network:Network", "networks"),
    Kind("posterior", "bnnbench.core.posterior:Posterior", "posteriors"),
    Kind("objective", "bnnbench.core.objective:Objective", None),
    Kind(
        "attack",
        "bnnbench.core.attack:Attack",
        "attacks",
        "bnnbench.measurements.attack:AttackMeasurement",
        needs_threat=True,
    ),
    Kind(
        "certificate",
        "bnnbench.core.certificate:Certificate",
        "certificates",
        "bnnbench.measurements.certificate:CertificateMeasurement",
        needs_threat=True,
    ),
    Kind(
        "measure",
        "bnnbench.measurements.measure:Measure",
        "measures",
        "bnnbench.measurements.measure:MeasureMeasurement",
    ),
    Kind("metric", "bnnbench.measurements.metric:Metric", None),
    Kind("check", "bnnbench.evidence.audit.check:Check", "checks"),
    Kind("figure", "bnnbench.evidence.figures.figure:Figure", None),
)
"""All kinds, in the order in which reports and listings show them."""

KIND = {kind.name: kind for kind in KINDS}
"""The kinds by name."""
FIT_KINDS = ("dataset", "network", "posterior")
"""The names of the kinds that a fit consists of."""
CELL_KINDS = tuple(kind for kind in KINDS if kind.measurement)
"""The kinds whose components are measured by cells."""
