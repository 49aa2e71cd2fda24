"""Chains of a normal target with each engine: a density whose moments are known."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from bnnbench.authoring import Chain, ChainLoop, FixedLength
from bnnbench.core.draws import no_progress

ENGINES = ["pyro", "numpyro-hmc", "numpyro-nuts"]


@contextlib.contextmanager
def loop_of(
    engine: str, covariance: np.ndarray, *, start: float = 1.0, chain: int = 0, **settings: Any
) -> Iterator[ChainLoop]:
    """The loop of a chain that samples N(0, covariance), in two parts of the state; it starts at `start` everywhere."""
    precision = np.linalg.inv(covariance).astype("f4")
    first = len(precision) // 2
    weights = {"b": np.full(first, start, "f4"), "a": np.full(len(precision) - first, start, "f4")}
    record = Chain(FixedLength(**settings), chain, 0, no_progress)
    if engine == "pyro":
        from bnnbench_plugins.pyro.engine import PyroEngine

        matrix = torch.tensor(precision)

        def potential(state: dict[str, torch.Tensor]) -> torch.Tensor:
            whole = torch.cat([state["b"], state["a"]])
            return 0.5 * whole @ matrix @ whole

        with torch.random.fork_rng():
            yield ChainLoop(record, PyroEngine(potential, {name: torch.tensor(w) for name, w in weights.items()}))
        return

    import jax.numpy as jnp
    from bnnbench_plugins.numpyro.engine import NumPyroEngine
    from bnnbench_plugins.numpyro.jax_settings import standard_settings

    def potential_of(matrix: Any) -> Any:
        def potential(state: Any) -> Any:
            whole = jnp.concatenate([state["b"], state["a"]])
            return 0.5 * whole @ matrix @ whole

        return potential

    depth = 8 if engine == "numpyro-nuts" else None
    with standard_settings():
        yield ChainLoop(record, NumPyroEngine(potential_of, weights, (jnp.asarray(precision),), depth))


def vectors(loop: ChainLoop) -> np.ndarray:
    """The kept draws (draws, size), in the order of the covariance."""
    return np.stack([np.concatenate([weights["b"], weights["a"]]) for weights in loop.record.kept]).astype(float)
