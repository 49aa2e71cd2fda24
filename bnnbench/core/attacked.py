"""What an attack makes of a batch of inputs, and what becomes of each of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bnnbench.core import seeds
from bnnbench.core.arrays import precision_given
from bnnbench.core.box import check_finite, check_in_box, clipped, same_box
from bnnbench.core.ensemble import draw_split
from bnnbench.core.given import as_inputs, as_threats, like
from bnnbench.core.labels import labels
from bnnbench.core.radius import short_radius
from bnnbench.core.threat import Threat
from bnnbench.core.whole_box import check_radius

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from bnnbench.core.predictive import Predictive
    from bnnbench.core.rules.attack_result import Attacker
    from bnnbench.core.rules.attack_run import Crafted


@dataclass(frozen=True, repr=False, eq=False)
class Attacked:
    """Inputs that an attack has perturbed, and what became of each of them.

    Attributes:
        inputs: the perturbed inputs (N, *shape): a tensor if tensors were attacked, otherwise a numpy array.
        success: whether the prediction at each perturbed input reaches the attacker's goal, (N,) bool. For the goal
            `untargeted`, inputs that were classified wrongly before count too.
        distance: the distance of each perturbed input from the clean one, in the threat's norm, (N,). A clean input
            that misses the box by rounding counts as if it lay at the end of it.
        passes: the queries of the whole ensemble for each input, (N,).
        gradient_passes: the queries with gradient among them, (N,).
        threat: the threat model.
        attack: the name of the attack's class.
    """

    inputs: Any
    success: np.ndarray
    distance: np.ndarray
    passes: np.ndarray
    gradient_passes: np.ndarray
    threat: Threat
    attack: str

    def __len__(self) -> int:
        return len(self.success)

    def __repr__(self) -> str:
        threat, count = self.threat, len(self)
        radius = f"{threat.norm} {short_radius(threat.epsilon)}"
        return (
            f"Attacked({self.attack}, {radius}: {int(self.success.sum())} of {count} inputs "
            f"{'misclassified' if threat.goal == 'untargeted' else f'reach the goal {threat.goal}'}; "
            f"mean distance {self.distance.mean():.3g}, {self.passes.mean():g} queries an input)"
        )


@dataclass(frozen=True, eq=False)
class Run:
    """The run of an attack under one threat: what it was given, in the form that the core uses, and what it made."""

    attack: Attacker
    predictive: Predictive
    x: Tensor
    y: Tensor
    threat: Threat
    seed: int
    crafted: Crafted

    @property
    def inputs(self) -> Tensor:
        """The perturbed inputs (N, *shape)."""
        return self.crafted.inputs


def attacked(
    attack: Attacker,
    model: Any,
    x: Any,
    y: Any,
    threats: Any,
    *,
    seed: int,
    argument: str = "threat",
    allow_whole_box: bool = True,
) -> list[Run]:
    """Run an attack under one or several threats or radii, on a predictive or a model of which one is made.

    `argument` is the name of the threats in messages. `allow_whole_box` permits balls that hold the whole box.
    """
    from bnnbench.core.foreign import predictive as made_predictive
    from bnnbench.core.rules.attack_run import craft
    from bnnbench.core.rules.first_query import classes_of

    predictive = made_predictive(model)
    byte = str(getattr(x, "dtype", "")).endswith("uint8")
    given, x = x, as_inputs(x)
    precision = precision_given(given, x)
    seed = seeds.check_seed(seed)
    boxed = as_threats(threats, argument=argument, box=predictive.bounds or (0.0, 1.0))
    box = boxed[0].box
    if predictive.bounds is not None and not same_box(box, predictive.bounds):
        raise ValueError(f"the threat's box is {list(box)}, the predictive's {list(predictive.bounds)}")
    check_finite(x)
    check_in_box(x, box, argument="inputs", precision=precision, byte=byte)
    x = clipped(x, box)
    for one in boxed:
        check_radius(one, box, tuple(x.shape[1:]), allow_whole_box=allow_whole_box)
    y = labels(y, len(x), classes=classes_of(predictive, x))
    made = craft(attack, predictive, x, y, boxed, seed=seed)
    return [Run(attack, predictive, x, y, one, seed, crafted) for one, crafted in zip(boxed, made, strict=True)]


def judged(given: Any, run: Run) -> Attacked:
    """The result of a run, judged by the draws that defend; `given` are the inputs in the form in which they came."""
    from bnnbench.core.ensemble import directions, maths

    predictive, threat = run.predictive, run.threat
    defenders = draw_split.split(threat, predictive.chains, predictive.per_chain, None).evaluation
    each = predictive.draw_log_probs(run.inputs, defenders).cpu()
    if threat.stream == "fresh":
        chosen = draw_split.at_each(threat, defenders, len(run.x), seeds.torch_generator(run.seed, seeds.EVALUATION))
        each = each.gather(0, chosen[..., None].expand(-1, -1, each.shape[-1]))
    log_probs, entropy = directions.average(each), maths.mean_entropy(each)
    return Attacked(
        inputs=like(given, run.inputs),
        success=threat.aim.reached(log_probs, threat.aim.aims(run.y.cpu(), log_probs.shape[-1]), entropy).numpy(),
        distance=threat.distance(run.x, run.inputs).numpy(force=True),
        passes=run.crafted.forward_passes.numpy(),
        gradient_passes=run.crafted.gradient_passes.numpy(),
        threat=threat,
        attack=type(run.attack).__name__,
    )
