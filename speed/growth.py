"""Measure how the time of one gradient of an ensemble grows with draws, images, width and depth.

python speed/growth.py [PLOT.svg]
"""

from __future__ import annotations

import sys

import attacks
import measuring
from measuring import chain, ensemble, images, in_turns, table

import bnnbench as bb

WAYS = ("bnnbench", "loop over draws, weights frozen", "vmap(functional_call)")
"""The ways of computing a gradient that are compared."""
USUAL = {"draws": 20, "images": 200, "width": 256, "depth": 2}
"""The values of all quantities but the one that grows."""
GROWTH: dict[str, tuple[int, ...]] = {
    "draws": (5, 20, 80, 320),
    "images": (10, 50, 200, 1000),
    "width": (32, 128, 512, 1024),
    "depth": (1, 2, 3, 5),
}
"""The values that each quantity takes."""
QUICK: dict[str, tuple[int, ...]] = {"draws": (2, 8), "images": (10, 50), "width": (32, 128), "depth": (1, 2)}
"""The same for a quick measurement."""

Costs = dict[str, dict[int, dict[str, float]]]
"""Seconds by quantity, its value and the way."""


def seconds_at(draws: int, images_number: int, width: int, depth: int, repeats: int) -> dict[str, float]:
    """CPU seconds of one gradient by each way, for networks with 784 inputs and 10 classes."""
    network = chain((784, *[width] * depth, 10)).requires_grad_(False)
    weights = ensemble(network, draws)
    predictive = bb.Predictive(network, weights)
    x, y = images(images_number, (784,))
    works = (
        lambda: predictive.direction(x, y, "predictive-nll"),
        lambda: attacks.batched_loop(network, weights, x, y, frozen=True),
        lambda: attacks.stacked(network, weights, x, y),
    )
    return in_turns(dict(zip(WAYS, works, strict=True)), repeats)


def measured(growth: dict[str, tuple[int, ...]], repeats: int) -> Costs:
    """CPU seconds for each value of each quantity; the other quantities are as in `USUAL`."""
    return {
        name: {value: seconds_at(*(USUAL | {name: value}).values(), repeats) for value in values}
        for name, values in growth.items()
    }


def report(costs: Costs) -> str:
    """A table for each quantity, in markdown."""
    parts = []
    for name, by_value in costs.items():
        rows = [[str(value), *(f"{1e3 * seconds[way]:.1f}" for way in WAYS)] for value, seconds in by_value.items()]
        others = ", ".join(f"{value} {other}" for other, value in USUAL.items() if other != name)
        parts.append(table(f"One gradient by {name} ({others}), ms", [name, *WAYS], rows))
    return "\n".join(parts)


def plot(costs: Costs, path: str) -> None:
    """Write a figure with one panel for each quantity and one line for each way; both axes are logarithmic."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, len(costs), figsize=(12, 3.4), sharey=True, layout="constrained")
    for panel, (name, by_value) in zip(panels, costs.items(), strict=True):
        for way, marker in zip(WAYS, "osv", strict=True):
            milliseconds = [1e3 * seconds[way] for seconds in by_value.values()]
            panel.plot(list(by_value), milliseconds, marker=marker, label=way)
        panel.set(xscale="log", yscale="log", xlabel=name)
        panel.set_xticks(list(by_value), map(str, by_value))
        panel.minorticks_off()
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("CPU ms of one gradient")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False)
    figure.savefig(path)


if __name__ == "__main__":
    costs = measured(GROWTH, repeats=5)
    print(f"{measuring.machine()}\n\n{report(costs)}")
    if len(sys.argv) > 1:
        plot(costs, sys.argv[1])
