"""Simulation-based calibration of posteriors on small networks: rank histograms and p-values (Talts et al. 2018).

python speed/calibration.py [--simulations N] [--only NAME ...] [--plot PLOT.svg]           (about 40 minutes)
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import measuring  # It comes before torch, because it limits the process to one thread.
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "support"))

from calibrated import METHODS
from simulation_based import DRAWS, FUNCTIONALS, PROBLEMS

from bnnbench.statistics.ranks import envelope, uniformity

BINS = 16
"""Bins of a histogram; each has the same number of ranks."""
BARS = " ▁▂▃▄▅▆▇█"
"""The heights of bars in text; the highest stands for twice the expected number, or more."""
SMALLEST = 1e-12
"""P-values below are not told apart."""

Ranks = dict[tuple[str, str], np.ndarray]
"""The ranks (simulations, Q) by method and network."""


def counts(ranks: np.ndarray) -> np.ndarray:
    """The number of ranks (simulations,) in each bin."""
    return np.bincount(ranks * BINS // (DRAWS + 1), minlength=BINS)


def histogram(ranks: np.ndarray) -> str:
    """The histogram of ranks (simulations,) in one line: half height is the expected number."""
    heights = np.rint(counts(ranks) * BINS / len(ranks) / 2 * (len(BARS) - 1)).astype(int)
    return "".join(BARS[height] for height in heights.clip(0, len(BARS) - 1))


def measured(names: list[str], simulations: int) -> Ranks:
    """The ranks of each method on each network. A line for each of them is printed as soon as it is there."""
    found: Ranks = {}
    print(f"| posterior | network | CPU s | median ESS of {DRAWS} | {' | '.join(FUNCTIONALS)} |")
    print("| --- " * (4 + len(FUNCTIONALS)) + "|")
    for name in names:
        for network in PROBLEMS:
            began = time.process_time()
            ranks, ess = METHODS[name].ranks(network, simulations)
            seconds = time.process_time() - began
            p_values = (f"{p:.2g}" if p > SMALLEST else f"< {SMALLEST:g}" for p in uniformity(ranks, DRAWS))
            texts = [f"`{histogram(column)}` {p}" for column, p in zip(ranks.T, p_values, strict=True)]
            print(f"| `{name}` | {network} | {seconds:.0f} | {ess:.0f} | {' | '.join(texts)} |", flush=True)
            found[name, network] = ranks
    return found


def plot(found: Ranks, path: str) -> None:
    """Write a figure with a row for each posterior and network, and a panel for each function.

    A panel shows the share of ranks up to each place less that of uniform ranks, and the envelope that uniform ranks
    leave in one of a hundred panels.
    """
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "calibration"
    from matplotlib import pyplot

    rows, columns = len(found), len(FUNCTIONALS)
    size = (2.2 * columns, 0.9 * rows + 0.8)
    figure, panels = pyplot.subplots(
        rows, columns, figsize=size, sharex=True, sharey=True, layout="constrained", squeeze=False
    )
    levels = np.arange(1, DRAWS + 1) / (DRAWS + 1)
    for line, ((name, network), ranks) in zip(panels, found.items(), strict=True):
        low, high = (bound / len(ranks) - levels for bound in envelope(len(ranks), DRAWS, 0.01))
        for column, (panel, p) in enumerate(zip(line, uniformity(ranks, DRAWS), strict=True)):
            share = (ranks[:, column] <= np.arange(DRAWS)[:, None]).mean(1)
            panel.fill_between(levels, low, high, step="mid", color="0.85", lw=0)
            panel.plot(levels, share - levels, color="C3" if p < 0.01 else "C0", lw=1)
            panel.set(ylim=(-0.3, 0.3), xticks=(0, 1), yticks=(-0.2, 0, 0.2))
        line[0].set_ylabel(f"{name}\n{network}", rotation=0, ha="right", va="center", fontsize=8)
    for panel, title in zip(panels[0], FUNCTIONALS, strict=True):
        panel.set_title(title, fontsize=8)
    figure.supxlabel("rank / 64; below zero: too few low ranks", fontsize=8)
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Parse the command line, simulate, print the table and write the figure."""
    parser = argparse.ArgumentParser(prog="python speed/calibration.py", description=__doc__.partition("\n")[0])
    parser.add_argument("--simulations", type=int, default=200, help="simulations of each posterior and network")
    parser.add_argument("--only", nargs="+", choices=list(METHODS), default=list(METHODS), help="posteriors")
    parser.add_argument("--plot", metavar="FILE", help="write a figure, as an svg, png or pdf file")
    options = parser.parse_args()
    print(f"{measuring.machine()}\n\n{options.simulations} simulations; a histogram, and a p-value, of each function\n")
    found = measured(options.only, options.simulations)
    if options.plot:
        plot(found, options.plot)


if __name__ == "__main__":
    main()
