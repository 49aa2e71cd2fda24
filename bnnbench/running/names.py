"""The names of fits and of their parts in messages."""

from __future__ import annotations

from bnnbench.core.named_components import registered_name
from bnnbench.matrix.plan import Plan
from bnnbench.matrix.specs import FitSpec


def fit_name(fit: FitSpec, plan: Plan) -> str:
    """The name of a fit in messages, such as `nuts on moons (mlp)`; with the seed if the plan has several.

    A fit without cells of its own is named by what it is needed for: `sgd, for swa, on moons (mlp)`.
    """
    cell = plan.asking[fit.key]
    seed = f", seed {cell.seed}" if len(plan.config.settings.seeds) > 1 else ""
    _, label = asking(fit, plan)
    name = label if cell.fit.key == fit.key else f"{registered_name(fit.posterior)}, for {label},"
    return f"{name} on {cell.dataset} ({cell.network}{seed})"


def asking(fit: FitSpec, plan: Plan) -> tuple[str, str]:
    """The kind and the label of the component of the file that a fit is made for.

    That is the fit's posterior, a posterior that is made of it, or a measure that compares with it.
    """
    cell = plan.asking[fit.key]
    if fit.key == cell.fit.key or fit.key in {other.key for other in _made_of(cell.fit)}:
        return "posterior", cell.posterior
    return cell.kind, cell.label


def part_name(name: str, fit: FitSpec, part: int) -> str:
    """The name of one part in messages, given the name of its fit: `nuts on moons (mlp), chain 1 of 4`."""
    return f"{name}, {fit.part_noun} {part + 1} of {fit.parts}"


def _made_of(fit: FitSpec) -> list[FitSpec]:
    """The fits that a fit is made of, however deep."""
    return [one for other in fit.needs for one in (other, *_made_of(other))]
