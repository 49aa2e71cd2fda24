"""Whether an attack finds adversarial inputs that are known to exist: the binarisation test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from bnnbench import AttackParameter, Measure, Quantity, Threat
from bnnbench.authoring import measure_generator, wilson

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from bnnbench import Defence
    from bnnbench_plugins.measures.readout import Features, Readout

PLACES = 8
"""The number of planted points that are tried for an image: those of the first half are anywhere on the surface of the
ball, and the others where random signs lead."""
_PGD: Any = "bnnbench:pgd"


class Binarisation(Measure):
    """The share of planted adversarial inputs that an attack finds: the binarisation test (Zimmermann et al. 2022).

    For each of a few images, every draw gets a new last layer of two classes. The layers tell one random point on the
    surface of the ball, the planted one, from the image and random points inside of the ball. So the new ensemble has
    an adversarial input, and all else of the network is as it was: an attack that works finds one. The ensemble is a
    predictive like any other and is attacked under the core's rules, with all the draws that defend (stream `fixed`).

    The features are the inputs of the last linear layer; if the network does not end in one, its logits. Images whose
    planted point cannot be told from the others by its features are left out (`usable` says how many are not). As in
    the authors' code, the inner points lie within `share` of the radius, and the threshold near the planted point.
    Fewer inner points are cheaper, and leave more adversarial inputs. Figures:

    - `tests` and `usable`: the images that were tried, and those of them for which a readout could be made
    - `success_rate` with its 95% Wilson interval: the share of the usable images at which the attack succeeds
    - `random_rate`: the share at which one of `noise` random points does. If it is large, the test was an easy one.
    """

    revision: ClassVar[int | None] = 1
    quantities: ClassVar[tuple[Quantity, ...]] = (
        Quantity("position", ("test",), "int", "", "position of the image in the test set"),
        Quantity("possible", ("test",), "bool", "", "a readout could be made"),
        Quantity("found", ("test",), "bool", "", "the attack found an adversarial input"),
        Quantity("random_found", ("test",), "bool", "", "a random point was an adversarial input"),
        Quantity("draws", (), "int", "draws", "defending draws"),
    )
    figure_names: ClassVar[tuple[str, ...]] = (
        "tests",
        "usable",
        "draws",
        "success_rate",
        "success_low",
        "success_high",
        "random_rate",
    )

    attack: AttackParameter = Field(default=_PGD)
    """The attack that is tested."""
    epsilon: float = Field(default=0.1, gt=0)
    """The radius of the ball, in the units of the data."""
    norm: Literal["linf", "l2", "l1"] = "linf"
    """The norm of the ball."""
    tests: int = Field(default=32, ge=1)
    """The largest number of images."""
    inner: int = Field(default=299, ge=1)
    """Number of random points inside of the ball that must not be adversarial, beside the image."""
    share: float = Field(default=0.95, gt=0, lt=1)
    """The share of the radius within which these points lie."""
    closeness: float = Field(default=0.99, ge=0, lt=1)
    """The place of the threshold between the other points (0) and the planted one (1)."""
    noise: int = Field(default=100, ge=1)
    """Number of random points of the random attack: in the ball, and where random signs lead, half of each."""

    def measure(self, defence: Defence) -> dict[str, Any]:
        from bnnbench_plugins.measures.readout import Features

        x, rng = defence.sample.x[: self.tests], measure_generator(defence.seed)
        threat = Threat(epsilon=self.epsilon, norm=self.norm, bounds=defence.threat.box)
        features = Features(defence.predictive, defence.defenders, x)
        results = np.zeros((3, len(x)), bool)
        for place in range(len(x)):
            image = x[place : place + 1]
            readout = self._readout(features, image, threat, rng)
            noise = self._random_points(image, threat, rng)
            if readout is not None:
                results[:, place] = (
                    True,
                    self._found(readout, image, threat, defence.seed),
                    bool((readout.log_probs(noise).argmax(-1) == 1).any()),
                )
        possible, found, random_found = results
        return {
            "position": defence.sample.index[: len(x)],
            "possible": possible,
            "found": found,
            "random_found": random_found,
            "draws": len(defence.defenders),
        }

    def figures(self, values: Mapping[str, Any]) -> dict[str, float | int | None]:
        usable = int(values["possible"].sum())
        found, by_chance = int(values["found"].sum()), int(values["random_found"].sum())
        low, high = wilson(found, usable) if usable else (None, None)
        return {
            "tests": len(values["possible"]),
            "usable": usable,
            "draws": values["draws"],
            "success_rate": found / usable if usable else None,
            "success_low": low,
            "success_high": high,
            "random_rate": by_chance / usable if usable else None,
        }

    def _readout(self, features: Features, image: Tensor, threat: Threat, rng: torch.Generator) -> Readout | None:
        """The readout of the first planted point that can be told from the inner points; None if none can."""
        import torch

        from bnnbench_plugins.measures.readout import planted

        around = image.expand(self.inner, *image.shape[1:])
        inner = torch.cat([image, replace(threat, epsilon=self.share * self.epsilon).uniform(around, rng)])
        for place in range(PLACES):
            point = _on_surface(image, threat, rng) if 2 * place < PLACES else threat.signs(image, rng)
            readout = planted(features, torch.cat([inner, point]), self.closeness)
            if readout is not None and readout.log_probs(torch.cat([image, point])).argmax(-1).tolist() == [0, 1]:
                readout.bounds = threat.box
                return readout
        return None

    def _random_points(self, image: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        import torch

        half = image.expand((self.noise + 1) // 2, *image.shape[1:])
        return torch.cat([threat.uniform(half, rng), threat.signs(half, rng)])[: self.noise]

    def _found(self, readout: Readout, image: Tensor, threat: Threat, seed: int) -> bool:
        """Whether the attack finds an input of the ball that the readout gives the other class."""
        return bool(self.attack.run(readout, image, [0], threat, seed=seed, allow_whole_box=True).success[0])


def _on_surface(image: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
    """A random point (1, *shape) of the box on the surface of the ball, or as near to it as the box allows."""
    step = threat.ball.uniform(image, rng)
    for _ in range(20):  # The box cuts off some coordinates; the others grow in turn.
        length = float(threat.ball.length(step))
        step = step * (threat.epsilon / length if length else 0.0)
        step = (image + step).clamp(*threat.box) - image
    return threat.project(image, image + step)
