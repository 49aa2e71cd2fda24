"""Effective draws per second and per gradient of our samplers, and of other libraries as their users write them.

python speed/sampling.py [--quick] [--problem moons] [--sampler NAME ...] [--warmup N] [--draws N]

Everything takes hours; name a problem and samplers to run parts. All samplers have the same network, prior, likelihood,
data and number of transitions, and two chains. What is compared are functions: the log odds against the label at the
test images of the posterior card. Bulk ESS and R-hat are those of Vehtari et al. (2021), over both chains.

Gradients and seconds include the warm-up, because a user pays for it. The first chain of a sampler also compiles its
programs; JAX keeps them in a folder, because NumPyro compiles them anew for each chain. So CPU seconds are those of the
second chain, divided by its gradients, times the gradients of both.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import measuring
import numpy as np
from sampling_peers import PEERS, Chain, Problem, Sampled

import bnnbench as bb
from bnnbench.evidence.functionals import functionals_of
from bnnbench.statistics.mixing import mixing_of_each

CHAINS = 2
"""The number of chains of every sampler."""
LENGTH = 0.8
"""The length of trajectories, for a prior of scale 1. Of 0.4, 0.8 and 1.57 it had the most
effective draws per gradient on 64-32-32-10; on 2-8-2 it is too short."""


@dataclass(frozen=True)
class Case:
    """A problem of the table: data, hidden units, prior, and the transitions of a chain."""

    dataset: str
    hidden: tuple[int, ...]
    prior_scale: float = 1.0
    warmup: int = 100
    draws: int = 400
    settings: tuple[tuple[str, Any], ...] = ()

    def problem(self, warmup: int | None, draws: int | None) -> Problem:
        """The problem, with other numbers of transitions if they are given."""
        data = bb.dataset(self.dataset, **dict(self.settings)).load(0)
        network = bb.network("fc", hidden=self.hidden).build(data)
        return Problem(network, data, self.prior_scale, warmup or self.warmup, draws or self.draws)


CASES = {
    "moons-small": Case("half-moons", (8,), 1.0, 200, 800),
    "moons": Case("half-moons", (32, 32)),
    "digits-narrow": Case("digits", (32, 32), 0.3),
    "digits": Case("digits", (32, 32), 1.0, 100, 200),
    "mnist": Case("mnist", (128,), 0.1, 30, 60, (("train_size", 5000),)),
}
"""The problems by name. `--problem moons` runs both networks on half moons, `--problem digits` both priors."""
QUICK = {"quick": Case("half-moons", (4,), 1.0, 20, 20, (("train_size", 50),))}
"""The problem of `--quick`."""


def ours(name: str, **settings: Any) -> Callable[[Problem], Chain]:
    """A bundled sampler with these settings, as a function that prepares it for a problem."""

    def prepare(problem: Problem) -> Chain:
        posterior: Any = bb.posterior(
            name,
            chains=CHAINS,
            draws=CHAINS * problem.draws,
            warmup=problem.warmup,
            prior_scale=problem.prior_scale,
            **settings,
        )

        def chain(number: int) -> Sampled:
            draws = posterior.fit_chain(problem.network, problem.data, seed=0, chain=number)
            told = draws.diagnostics
            acceptance, divergences = float(np.mean(told["acceptance"])), int(np.sum(told["divergences"]))
            return Sampled({n: a[0] for n, a in draws.arrays.items()}, told["gradients"], acceptance, divergences)

        return chain

    return prepare


def trajectory(name: str) -> Callable[[Problem], Chain]:
    """A bundled sampler whose trajectories have the length that suits the prior."""
    return lambda problem: ours(name, trajectory_length=LENGTH * problem.prior_scale)(problem)


OURS: dict[str, Callable[[Problem], Chain]] = {
    "numpyro-nuts": ours("numpyro-nuts"),
    "numpyro-nuts, depth 10": ours("numpyro-nuts", max_tree_depth=10),
    "numpyro-hmc": ours("numpyro-hmc"),
    "numpyro-hmc, trajectory": trajectory("numpyro-hmc"),
    "pyro-hmc": ours("pyro-hmc"),
    "pyro-hmc, trajectory": trajectory("pyro-hmc"),
    "blackjax-mclmc": ours("blackjax-mclmc"),
    "blackjax-mclmc, trajectory": trajectory("blackjax-mclmc"),
}
"""Our samplers, with their defaults and with settings that suit them better."""


@dataclass(frozen=True)
class Row:
    """What is known of a sampler on a problem, over both chains."""

    problem: str
    sampler: str
    transitions: str
    gradients: int
    seconds: float
    acceptance: float
    divergences: int
    smallest: float
    median: float
    rhat: float
    log_loss: float

    @property
    def speed(self) -> float:
        """Smallest bulk ESS per CPU second."""
        return self.smallest / self.seconds

    def cells(self, best: float | None) -> list[str]:
        """The cells of the table; `best` is the largest speed of another library, if there is one."""
        return [
            *(self.problem, self.sampler, self.transitions, f"{self.gradients:,}", f"{self.seconds:.1f}"),
            *(f"{self.acceptance:.2f}", str(self.divergences), f"{self.rhat:.2f}", f"{self.log_loss:.3f}"),
            *(f"{self.smallest:.1f}", f"{self.median:.1f}", f"{self.speed:.3f}", f"{self.median / self.seconds:.3f}"),
            *(f"{1000 * self.smallest / self.gradients:.3f}", f"{1000 * self.median / self.gradients:.3f}"),
            "" if best is None else f"{self.speed / best:.2f}",
        ]


HEAD = [
    *("problem", "sampler", "warm-up + draws", "gradients", "CPU s", "acceptance", "diverged", "R-hat", "NLL"),
    *("min ESS", "median ESS", "min ESS/s", "median ESS/s", "min ESS/1,000 gradients", "median ESS/1,000 gradients"),
    "min ESS/s, times the best other",
]


def measured(name: str, problem: Problem, sampler: str, prepare: Callable[[Problem], Chain]) -> Row:
    """Sample all chains of a sampler, and judge them."""
    chain = prepare(problem)
    chains, seconds = [], 0.0
    for number in range(CHAINS):
        started = time.process_time()
        chains.append(chain(number))
        seconds = time.process_time() - started
    gradients = sum(made.gradients for made in chains)
    ess, rhat, log_loss = judged(problem, chains)
    return Row(
        problem=name,
        sampler=sampler,
        transitions=f"{problem.warmup} + {problem.draws}",
        gradients=gradients,
        seconds=seconds * gradients / chains[-1].gradients,
        acceptance=float(np.mean([made.acceptance for made in chains])),
        divergences=sum(made.divergences for made in chains),
        smallest=float(np.nanmin(ess)),
        median=float(np.nanmedian(ess)),
        rhat=float(np.nanmax(rhat)),
        log_loss=log_loss,
    )


def judged(problem: Problem, chains: list[Sampled]) -> tuple[np.ndarray, np.ndarray, float]:
    """The bulk ESS and R-hat of the log odds at each image, and the mean negative log-likelihood of these images."""
    from arviz_stats.base import array_stats

    arrays = {name: np.stack([made.weights[name] for made in chains]) for name in chains[0].weights}
    functionals = functionals_of(bb.Predictive(problem.network, bb.Draws(arrays)), problem.data)
    chosen = [place for place, name in enumerate(functionals.names) if name.startswith("the log odds")]
    odds = functionals.values[..., chosen].astype(float)
    ess = array_stats.ess(np.moveaxis(odds, -1, 0), method="bulk", chain_axis=1, draw_axis=2)
    log_probs = -np.logaddexp(0, odds).reshape(-1, len(chosen))
    return np.asarray(ess), mixing_of_each(odds).rhat, float(-np.log(np.exp(log_probs).mean(0)).mean())


def report(rows: Iterable[Row]) -> str:
    """The table of all rows, in markdown."""
    lines = []
    for _, group in itertools.groupby(rows, key=lambda row: row.problem):
        several = list(group)
        best = max((row.speed for row in several if row.sampler in PEERS), default=None)
        lines += [row.cells(best) for row in several]
    return measuring.table("Effective draws in function space, two chains, one thread", HEAD, lines)


parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
parser.add_argument("--quick", action="store_true", help="a tiny problem with short chains")
parser.add_argument("--problem", choices=["moons", "digits", "mnist"], help="one problem; by default all")
parser.add_argument("--sampler", action="append", choices=[*OURS, *PEERS], help="a sampler; may be given several times")
parser.add_argument("--warmup", type=int, help="warm-up transitions of a chain")
parser.add_argument("--draws", type=int, help="draws of a chain")


def keep_programs(folder: str) -> None:
    """Make JAX keep compiled programs in a folder, and take them from there."""
    import jax

    jax.config.update("jax_compilation_cache_dir", folder)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def main() -> None:
    """Parse the command line, measure, and print the table; each row is also shown when it is measured."""
    options = parser.parse_args()
    cases = QUICK if options.quick else CASES
    prepared = {n: f for n, f in (OURS | PEERS).items() if n in (options.sampler or OURS | PEERS)}
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        keep_programs(folder)
        for name, case in cases.items():
            if options.quick or name.startswith(options.problem or ""):
                problem = case.problem(options.warmup, options.draws)
                for sampler, prepare in prepared.items():
                    rows.append(measured(name, problem, sampler, prepare))
                    print(" | ".join(rows[-1].cells(None)), file=sys.stderr, flush=True)
    print(f"{measuring.machine()}\n\n{report(rows)}")


if __name__ == "__main__":
    main()
