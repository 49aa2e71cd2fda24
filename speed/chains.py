"""Time two chains of HMC on two cores: one after another, each in a process of its own, or vectorised.

python speed/chains.py           (some minutes; it needs two cores)
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence

TRANSITIONS = 20
"""Warm-up transitions of a chain, and also its draws."""
PROBLEM = ("784", "128", "5000")
"""Inputs, hidden units and training points."""
QUICK = ("784", "16", "1000")
"""The same for a quick measurement."""


def run(way: str, inputs: int, hidden: int, points: int) -> None:
    """Sample in this process: two chains together if `way` is `vectorised`, else `way` chains one after another."""
    import jax
    import leapfrog

    network, data = leapfrog.problem(inputs, (hidden,), 10, points)
    settings = {"warmup": TRANSITIONS, "leapfrog_steps": leapfrog.STEPS, "step_size": leapfrog.STEP_SIZE}
    if way == "vectorised":
        from numpyro.infer import HMC, MCMC

        _, potential, _ = leapfrog.potential_in_jax(network, data)
        start = {
            name: jax.numpy.stack([jax.numpy.asarray(weight.detach().numpy())] * 2)
            for name, weight in network.named_parameters()
        }
        kernel = HMC(
            potential_fn=potential, step_size=leapfrog.STEP_SIZE, num_steps=leapfrog.STEPS, trajectory_length=None
        )
        chains = MCMC(
            kernel,
            num_warmup=TRANSITIONS,
            num_samples=TRANSITIONS,
            num_chains=2,
            chain_method="vectorized",
            progress_bar=False,
        )
        chains.run(jax.random.PRNGKey(0), init_params=start)
        jax.block_until_ready(chains.get_samples())
    else:
        import bnnbench as bb

        posterior = bb.posterior("numpyro-hmc", chains=int(way), draws=int(way) * TRANSITIONS, **settings)
        posterior.fit(network, data, seed=0)


def seconds(ways: Sequence[str], cores: Sequence[str], problem: Sequence[str]) -> float:
    """Wall seconds of processes that run side by side, including imports and compilation.

    Each process samples in one of the `ways`, on the `cores` of the same position (numbers, separated by commas).
    """
    started = time.perf_counter()
    processes = [
        subprocess.Popen([sys.executable, __file__, way, numbers, *problem])
        for way, numbers in zip(ways, cores, strict=True)
    ]
    codes = [process.wait() for process in processes]
    if any(codes):
        raise RuntimeError("a process failed")
    return time.perf_counter() - started


def report(quick: bool) -> str:
    """A table of the wall seconds of each way, in markdown."""
    from measuring import table

    problem = QUICK if quick else PROBLEM
    ways = {
        "one after another, one core": (["2"], ["0"]),
        "a process each, one core each": (["1", "1"], ["0", "1"]),
        "vectorised, one core": (["vectorised"], ["0"]),
        "vectorised, two cores": (["vectorised"], ["0,1"]),
    }
    rows = [[way, f"{seconds(*arguments, problem):.1f}"] for way, arguments in ways.items()]
    return table(f"Two chains of HMC, {problem[0]}-{problem[1]}-10, {problem[2]} points", ["way", "wall s"], rows)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        way, cores, *problem = sys.argv[1:]
        import measuring  # noqa: F401 - limits threads and cores before other modules are imported

        os.sched_setaffinity(0, {int(core) for core in cores.split(",")})
        run(way, *map(int, problem))
    else:
        print(report(quick=False))
