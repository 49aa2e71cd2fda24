"""Count how often the rule of the posterior card is wrong, on simulated chains whose truth is known.

python speed/convergence_rule.py [--quick]           (some minutes)
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import signal

from bnnbench.evidence import verdict

QUANTITIES = 100
"""The number of functionals of each simulated posterior."""
FACTORS = 10
"""The number of series that the functionals share: half of the variance of each functional is theirs."""
AFFECTED = 10
"""The number of functionals that a fault affects."""


LONG = 1000
"""The number of draws of a chain from which fewer posteriors are simulated."""


@dataclass(frozen=True)
class Case:
    """Simulated chains.

    Attributes:
        rho: the autocorrelation of neighbouring draws (AR(1)).
        chains, draws: the number of chains, and that of the draws of each.
        shift: by how many standard deviations the mean of the last chain is shifted.
        modes: the distance between the mean of half of the chains and that of the others.
        drift: by how much the mean rises from the first to the last draw of every chain.
    """

    rho: float
    chains: int
    draws: int
    shift: float = 0.0
    modes: float = 0.0
    drift: float = 0.0

    @property
    def ess(self) -> float:
        """The true effective sample size of a mean without a fault."""
        return self.chains * self.draws * (1 - self.rho) / (1 + self.rho)

    def simulated(self, generator: np.random.Generator) -> Any:
        """The functionals (chains, draws, Q) of one simulated posterior."""
        shape = (self.chains, self.draws)
        shared = self._series(generator, (*shape, FACTORS))
        loadings = generator.normal(size=(FACTORS, QUANTITIES))
        loadings /= np.linalg.norm(loadings, axis=0)
        values = np.sqrt(0.5) * (shared @ loadings + self._series(generator, (*shape, QUANTITIES)))
        affected = values[..., :AFFECTED]
        affected[-1] += self.shift
        affected[: self.chains // 2] += self.modes
        affected += self.drift * np.linspace(0, 1, self.draws)[:, None]
        return values

    def _series(self, generator: np.random.Generator, shape: tuple[int, ...]) -> Any:
        """Stationary AR(1) series of mean 0 and variance 1 along the axis of draws."""
        steps = generator.normal(size=shape) * np.sqrt(1 - self.rho**2)
        steps[:, 0] = generator.normal(size=(shape[0], shape[2]))
        return signal.lfilter([1], [1, -self.rho], steps, axis=1)


RIGHT = [
    Case(0.0, 2, 500),
    Case(0.0, 4, 250),
    Case(0.0, 8, 125),
    Case(0.0, 16, 64),
    Case(0.5, 2, 1000),
    Case(0.5, 4, 500),
    Case(0.5, 8, 250),
    Case(0.5, 16, 200),
    Case(0.5, 4, 250),
    Case(0.9, 2, 4000),
    Case(0.9, 4, 2000),
]
"""Chains that have converged."""
WRONG = [
    Case(0.0, 4, 250, shift=0.3),
    Case(0.0, 4, 1000, shift=0.3),
    Case(0.0, 4, 250, shift=1),
    Case(0.5, 4, 250, shift=1),
    Case(0.9, 4, 1000, shift=1),
    Case(0.9, 4, 1000, shift=3),
    Case(0.0, 4, 250, modes=3),
    Case(0.9, 4, 1000, modes=3),
    Case(0.0, 4, 250, drift=1),
    Case(0.5, 4, 500, drift=1),
    Case(0.9, 4, 2000, drift=1),
    Case(0.9, 4, 95),
]
"""Chains with a fault in some functionals, or (the last) with a true ESS of 20."""


def rates(case: Case, repetitions: int) -> tuple[float, float, float]:
    """The shares of simulated posteriors that pass the rule, its R-hat alone, and a rule without chance.

    The last is that the largest R-hat is at most 1.01 and the smallest ESS at least 100.
    """
    names = [f"functional {place}" for place in range(QUANTITIES)]
    counts = np.zeros(3)
    for repetition in range(repetitions):
        generator = np.random.default_rng([repetition, round(100 * case.rho), case.chains, case.draws])
        found = verdict.verdict(names, case.simulated(generator))
        rhat, ess = found.figures["rhat"], found.figures["ess"]
        by_rhat = found.level == "converged" or " of " not in found.why.partition(",")[0]
        counts += [found.level == "converged", by_rhat, rhat <= verdict.RHAT and ess >= verdict.ESS]
    by_rule, by_rhat, by_worst = counts / repetitions
    return float(by_rule), float(by_rhat), float(by_worst)


def rows(cases: list[Case], repetitions: int) -> Iterator[str]:
    """A row of a markdown table for each case."""
    for case in cases:
        fault = ", ".join(
            f"{name} {getattr(case, name):g} sd" for name in ("shift", "modes", "drift") if getattr(case, name)
        )
        # Long chains take longest, and their rates are known from shorter ones.
        number = repetitions if case.draws < LONG else repetitions // 4
        shares = (f"{100 * share:.0f}%" for share in rates(case, number))
        size = f"{case.chains} x {case.draws}"
        yield f"| {size} | {case.rho:g} | {case.ess:.0f} | {fault or '-'} | {' | '.join(shares)} |"


def main() -> None:
    """Print the tables of all cases."""
    parser = argparse.ArgumentParser(prog="python speed/convergence_rule.py", description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="simulate fewer posteriors of each case")
    repetitions = 20 if parser.parse_args().quick else 60
    number = f"{repetitions} simulated posteriors ({repetitions // 4} of chains of {LONG} draws or more)"
    for title, cases in (("Chains that have converged", RIGHT), ("Chains that have not", WRONG)):
        print(f"\n{title}: share called `converged`, of {number}\n")
        print("| chains | rho | true ESS | fault | rule | its R-hat alone | R-hat <= 1.01, ESS >= 100 |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
        for row in rows(cases, repetitions):
            print(row, flush=True)


if __name__ == "__main__":
    main()
