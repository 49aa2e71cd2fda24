"""The names of fits and chains in messages."""

from __future__ import annotations

from bnnbench.matrix.plan import CellSpec, Plan


def fit_name(cell: CellSpec, plan: Plan) -> str:
    """The name of a cell's fit in messages, such as `nuts on moons (mlp)`; with the seed if the plan has several."""
    seed = f", seed {cell.seed}" if len(plan.config.settings.seeds) > 1 else ""
    return f"{cell.posterior} on {cell.dataset} ({cell.network}{seed})"


def chain_name(name: str, chain: int, chains: int) -> str:
    """The name of one chain in messages, given the name of its fit: `nuts on moons (mlp), chain 1 of 4`."""
    return f"{name}, chain {chain + 1} of {chains}"
