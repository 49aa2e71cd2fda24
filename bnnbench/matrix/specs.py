"""Specifications of fits and cells: components, seed and settings, and the identities and keys computed from these."""

from __future__ import annotations

import functools
import hashlib
import json
from dataclasses import dataclass, replace
from typing import Any

from bnnbench.core.chains import InParts
from bnnbench.core.component import Component
from bnnbench.core.dataset import Dataset
from bnnbench.core.network import Network
from bnnbench.core.posterior import Posterior
from bnnbench.core.radius import radius_text
from bnnbench.core.threat import Threat
from bnnbench.measurements.measurement import Context, Keep, Measurement, measurement_of

SCHEMA = 1
"""The version of identities; it is part of every key."""
FIT_REVISION = 1
"""Raised when the core gives other draws for the same components: every fit and every cell then has another key."""
CELL_REVISION = 1
"""Raised when the core gives other results for the same fit: then every cell has another key, and no fit has."""
FRESH_REVISION = 2
"""The revision of results under the stream `fresh`; it is part of the keys of their cells."""


def key_of(identity: Any) -> str:
    """The key of an identity: the sha256 of its canonical JSON, in hexadecimal."""
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _revised(revision: int) -> dict[str, int]:
    """The entry of a revision in an identity; the first one has none, so that the keys of earlier stores stay valid."""
    return {"revision": revision} if revision > 1 else {}


@dataclass(frozen=True)
class FitSpec:
    """One fit: a posterior over a network's weights on a data set, at a seed."""

    dataset: Dataset
    network: Network
    posterior: Posterior
    seed: int

    @functools.cached_property
    def identity(self) -> dict[str, Any]:
        """The mapping that the fit's key is the checksum of."""
        return {
            "schema": SCHEMA,
            "kind": "fit",
            "dataset": self.dataset.identity(),
            "network": self.network.identity(),
            "posterior": self.posterior.identity(),
            "seed": self.seed,
            **_revised(FIT_REVISION),
        }

    @functools.cached_property
    def key(self) -> str:
        """The fit's key in the store."""
        return key_of(self.identity)

    @property
    def parts(self) -> int:
        """The number of parts, such as chains, that are tasks of their own; 0 if the fit is a single task."""
        parts = self.posterior.parts if isinstance(self.posterior, InParts) else 1
        return parts if parts > 1 else 0

    @property
    def part_noun(self) -> str:
        """What messages call a part."""
        return self.posterior.part_noun if isinstance(self.posterior, InParts) else "part"

    def part_key(self, part: int) -> str:
        """The key of the record of one part; the record is removed when the fit is finished."""
        return f"{self.key}-{part}"

    @property
    def part_keys(self) -> list[str]:
        """The keys of the records that hold the draws of an unfinished fit: one a part, or one of all its draws."""
        return [self.part_key(part) for part in range(self.parts or 1)]

    def part_identity(self, part: int) -> dict[str, Any]:
        """The identity in the record of one part."""
        return {**self.identity, "chain": part}

    def beginning(self, part: int) -> str:
        """The key of how a part begins: parts of the same beginning differ at most in their length."""
        posterior = self.posterior.identity()
        same = self.posterior.beginning(part) if isinstance(self.posterior, InParts) else posterior["parameters"]
        return key_of({**self.part_identity(part), "posterior": {**posterior, "parameters": same}})

    @functools.cached_property
    def needs(self) -> tuple[FitSpec, ...]:
        """The fits that this one is made of."""
        return tuple(replace(self, posterior=posterior) for posterior in self.posterior.needed_fits)


@dataclass(frozen=True)
class CellSpec:
    """One cell: a measurement of a fit, under a threat if it needs one.

    `dataset`, `network`, `posterior` and `label` are the labels in the file of the fit's components and of `component`,
    the attack or other component that is measured. `images` and `draws` are upper limits. `radius` is the threat's
    radius as the file writes it, or empty, and `allow_whole_box` says whether its ball may hold the whole box. Neither
    of these, nor labels, nor the order of cells enter the key.
    """

    dataset: str
    network: str
    posterior: str
    label: str
    fit: FitSpec
    component: Component
    threat: Threat | None
    images: int
    draws: int
    keep: Keep
    radius: str = ""
    allow_whole_box: bool = False

    @property
    def kind(self) -> str:
        """The kind of the measured component, such as `attack` or `measure`."""
        return self.component.kind

    @property
    def about_predictive(self) -> bool:
        """Whether the result is about the predictive of the draws that defend, and not about new draws."""
        return getattr(self.component, "about", "predictive") == "predictive"

    @property
    def seed(self) -> int:
        """The seed of the fit, which is also the seed of the measurement."""
        return self.fit.seed

    @functools.cached_property
    def measurement(self) -> Measurement:
        """The measurement that the cell's component stands for."""
        return measurement_of(self.component)

    @property
    def epsilon_text(self) -> str:
        """The threat's radius as the file writes it, such as `8/255`; empty without a threat."""
        return self.radius or ("" if self.threat is None else radius_text(self.threat.epsilon))

    @functools.cached_property
    def needs(self) -> tuple[FitSpec, ...]:
        """The fits that the cell is about: its own, and those that its component compares with."""
        others = self.measurement.needed_fits
        return (self.fit, *(replace(self.fit, posterior=posterior) for posterior in others))

    @property
    def context(self) -> Context:
        """The threat and the labels that a result of this cell carries."""
        return Context(self.threat, self.dataset, self.network, self.posterior, self.label)

    @functools.cached_property
    def identity(self) -> dict[str, Any]:
        """The mapping that the cell's key is the checksum of."""
        evaluation: dict[str, Any] = {"images": self.images, "draws": self.draws}
        if self.keep != "few":
            evaluation["keep"] = self.keep
        if self.threat is not None and self.threat.stream == "fresh":
            evaluation["revision"] = FRESH_REVISION
        return {
            "schema": SCHEMA,
            "fit": self.fit.key,
            "kind": self.kind,
            self.kind: self.component.identity(),
            "threat": self.threat and self.measurement.judged_under(self.threat).identity(),
            "evaluation": evaluation,
            "seed": self.seed,
            **_revised(CELL_REVISION),
        }

    @functools.cached_property
    def key(self) -> str:
        """The cell's key in the store."""
        return key_of(self.identity)

    @property
    def name(self) -> str:
        """The name of the cell in messages: its labels and its radius."""
        radius = f" eps {self.epsilon_text}" if self.threat else ""
        return f"{self.dataset} {self.network} {self.posterior} {self.label}{radius}"

    def joins(self, other: CellSpec) -> bool:
        """Whether one task computes both cells; they must have the same component and fit."""
        if self.threat is None or other.threat is None:
            return False
        return self.measurement.may_differ(self.threat, other.threat)
