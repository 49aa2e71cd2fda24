"""The traces of chains: functionals of the posterior against the draw."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from pydantic import Field

from bnnbench import Axis, Figure, NotApplicable, Panel, Picture, Results, Series

MOST = 250
"""The largest number of draws of a chain that are drawn; of more, as many evenly spaced ones."""


class Traces(Figure):
    """The traces of a few functionals of a posterior along its chains, that with the largest R-hat first.

    Values are less the mean of all chains, in standard deviations of all draws. Chains that have converged lie over one
    another, rise and fall about zero many times, and do not drift. One picture for each fit whose chains were judged,
    with a panel for each functional and a line for each chain.
    """

    chains: int = Field(default=8, ge=1, le=100)
    """The largest number of chains that are drawn; of more, as many evenly spaced ones."""

    def pictures(self, results: Results) -> list[Picture]:
        drawn = [
            self._picture(names, results.card(fit), traces)
            for names, fit in _fits(results)
            if (traces := results.traces(fit))
        ]
        if not drawn:
            raise NotApplicable(
                "no fit has traces: draws that are independent or single have none, and fits of earlier versions"
            )
        return drawn

    def _picture(self, names: tuple[str, ...], card: Mapping[str, Any], traces: Mapping[str, Any]) -> Picture:
        """The picture of one fit, given the labels that name it."""
        first = next(iter(traces.values()))
        chosen = _evenly(len(first), self.chains)
        length = card["draws"] // card["chains"]
        panels = [_panel(name, values, chosen, length) for name, values in traces.items()]
        more = f" {len(chosen)} of {len(first)} chains are drawn." if len(chosen) < len(first) else ""
        caption = (
            "Each functional less its mean, in its standard deviation, over all draws; that with the largest R-hat "
            f"first.{more} The posterior is {card.get('level')}: {card.get('why')}."
        )
        drawn = [value for panel in panels for one in panel.series for value in one.y]
        y = Axis("functional in standard deviations", low=min(drawn) - 0.1, high=max(drawn) + 0.1)
        return Picture("-".join(names), f"Traces of chains: {' / '.join(names)}", y, panels, caption)


def _fits(results: Results) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Each fit of results with the labels that name it, and its seed if the file has several."""
    several = len({spec.seed for spec in results.plan.fits.values()}) > 1
    seen = set()
    for spec in results.plan.cells:
        if spec.fit.key not in seen:
            seen.add(spec.fit.key)
            labels = (spec.dataset, spec.network, spec.posterior)
            yield (*labels, f"seed {spec.fit.seed}") if several else labels, spec.fit


def _panel(name: str, values: Any, chosen: list[int], length: int) -> Panel:
    """The panel of a functional, values (chains, draws): the chosen chains, which had `length` draws each."""
    exact = np.asarray(values, float)
    scaled = (exact - exact.mean()) / (exact.std() or 1.0)
    places = _evenly(scaled.shape[1], MOST)
    # Of a long chain evenly spaced draws are kept.
    x = 1 + np.linspace(0, length - 1, scaled.shape[1]).round()[places]
    series = [Series(f"chain {chain + 1}", x, scaled[chain, places]) for chain in chosen]
    return Panel(name, Axis("draw of the chain"), series)


def _evenly(number: int, most: int) -> list[int]:
    """At most this many of the first `number` integers, evenly spaced, the first and the last among them."""
    return np.unique(np.linspace(0, number - 1, min(number, most)).round().astype(int)).tolist()
