"""Rows of cells in reports: labels, status, figures, keys and parameters."""

from __future__ import annotations

from typing import Any

from bnnbench.core.certificate import Certificate
from bnnbench.matrix.specs import CellSpec

_LAST = ("mean_passes", "mean_gradient_passes")
"""Figures of later versions: they stand after the columns of the first version, so that these keep their order."""


def row_of(
    spec: CellSpec, status: str, reason: str, warnings: list[str], card: str | None, figures: dict[str, Any]
) -> dict[str, Any]:
    """The row of a cell: plain values, lists and mappings by name, in a fixed order.

    `card` is the level of the fit's card, or None. Fields of the threat are absent for cells without a threat.
    """
    figures = dict(figures)
    last = {name: figures.pop(name) for name in _LAST if name in figures}
    threat: dict[str, Any] = {}
    more: dict[str, Any] = {}
    radius: dict[str, Any] = {}
    if spec.threat is not None:
        fields = spec.threat.identity()
        threat = {name: fields[name] for name in ("epsilon", "norm", "stream")}
        more = {"access": fields["access"], "goal": fields["goal"], "attack_draws_asked": fields["attack_draws"]}
        last["queries"] = spec.threat.queries
        last |= {name: value for name, value in spec.threat.goal_options.items() if value is not None}
        radius["epsilon_text"] = spec.epsilon_text
    about = {"about": spec.component.about} if isinstance(spec.component, Certificate) else {}
    return {
        "dataset": spec.dataset,
        "network": spec.network,
        "posterior": spec.posterior,
        spec.kind: spec.label,
        **threat,
        "seed": spec.seed,
        "status": status,
        "reason": reason,
        "warnings": warnings,
        **figures,
        "fit": spec.fit.key,
        "cell": spec.key,
        "card": card,
        **more,
        "kind": spec.kind,
        **last,
        "parameters": parameters_of(spec),
        **radius,
        **about,
    }


def parameters_of(spec: CellSpec) -> dict[str, dict[str, Any]]:
    """The parameters of each component of a cell, as JSON values, by the component's kind."""
    fit = spec.fit
    components = {"dataset": fit.dataset, "network": fit.network, "posterior": fit.posterior, spec.kind: spec.component}
    return {kind: component.model_dump(mode="json") for kind, component in components.items()}
