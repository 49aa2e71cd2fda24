"""The measurement of attacks: perturb test images under threats and score them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from bnnbench.core.attack import Attack
from bnnbench.core.draws import Progress, no_progress
from bnnbench.core.followed import followed
from bnnbench.core.goal import Goal
from bnnbench.core.objective import Objective, value_of
from bnnbench.core.standard_settings import standard_settings
from bnnbench.core.threat import Threat
from bnnbench.measurements.defence import Defence
from bnnbench.measurements.measurement import Keep
from bnnbench.measurements.outcome import OUTCOME, Outcome
from bnnbench.measurements.per_image import PerImageMeasurement
from bnnbench.measurements.schema import Schema

if TYPE_CHECKING:
    from torch import Tensor

    from bnnbench.core.rules.attack_run import Crafted

KEPT_INPUTS = 16
"""The number of perturbed inputs that an outcome keeps, unless all are asked for."""


class AttackMeasurement(PerImageMeasurement):
    """Perturbs test images and scores them. One run serves threats that differ only in norm and epsilon."""

    schema: Schema = OUTCOME
    result: ClassVar[type[Any]] = Outcome
    figure_names: ClassVar[tuple[str, ...]] = (
        "images",
        "draws",
        "attack_draws",
        "clean_accuracy",
        "clean_low",
        "clean_high",
        "robust_accuracy",
        "low",
        "high",
        "attacked_accuracy",
        "softmax_robustness",
        "zero_gradient_share",
        "zero_direction_share",
        "mean_passes",
        "mean_gradient_passes",
    )
    ends: ClassVar[tuple[str, str]] = ("low", "high")
    component: Attack

    @standard_settings()
    def run(
        self, defence: Defence, threats: Sequence[Threat], keep: Keep, progress: Progress = no_progress
    ) -> list[Outcome]:
        """One outcome for each threat, in their order. `progress` is told of each step.

        Raises `ContractBreach` if the attack breaks a rule, does not give the same result twice, or the predictive
        gives values that are not finite.
        """
        from bnnbench.core.rules.attack_run import check_repeatable, craft

        attack, x, y = self.component, defence.sample.x, defence.sample.y
        steps, own_fits = 3 + len(threats), defence.own_fits
        # Score clean images first, so that a fault of the predictive is not reported as one of the attack.
        progress(0, steps, "predicting clean images")
        _ = defence.clean
        own_fits.prepare(attack)
        given: dict[str, Any] = {"seed": defence.seed, "limit": defence.limit, "own_fits": own_fits.of}
        progress(1, steps, "trying the attack on two images")
        check_repeatable(attack, defence.predictive, x, y, threats, **given)
        progress(2, steps, f"attacking {len(x)} images")
        crafted = craft(attack, defence.predictive, x, y, threats, **given)
        outcomes = []
        for done, (threat, inputs) in enumerate(zip(threats, crafted, strict=True), start=3):
            progress(done, steps, "scoring")
            outcomes.append(_outcome(attack, defence, threat, inputs, keep))
        progress(steps, steps)
        return outcomes

    def may_differ(self, one: Threat, other: Threat) -> bool:
        """Whether the threats differ in norm and epsilon alone."""
        return one.differs_in_radius_alone(other)


def _outcome(attack: Attack, defence: Defence, threat: Threat, crafted: Crafted, keep: Keep) -> Outcome:
    """The outcome of an attack's perturbed inputs under one threat."""
    sample, clean, attacked = defence.sample, defence.clean, defence.judge(crafted.inputs)
    return Outcome(
        index=sample.index,
        label=sample.y.numpy(),
        clean_log_probs=clean.log_probs,
        attacked_log_probs=attacked.log_probs,
        clean_entropy=clean.entropy,
        attacked_entropy=attacked.entropy,
        distance=threat.distance(sample.x, crafted.inputs).numpy(),
        passes=crafted.forward_passes.numpy(),
        gradient_passes=crafted.gradient_passes.numpy(),
        objective=_objective_value(attack, threat.aim, attacked.each, sample.y),
        zero_gradient=defence.zero_gradient,
        zero_direction=None if crafted.zero_direction is None else crafted.zero_direction.numpy(),
        inputs=crafted.inputs[: None if keep == "inputs" else KEPT_INPUTS].numpy(),
        draws=defence.draws,
        attack_draws=defence.attack_draws,
        stops_early=attack.stops_early,
        like_probabilities=defence.looks_like_probabilities,
        steps={name: values.numpy() for name, values in crafted.steps.items()},
        threat=threat,
        attack=type(attack).__name__,
    )


def _objective_value(attack: Attack, goal: Goal, each: Tensor, y: Tensor) -> Any:
    """What the attack maximises to reach the goal, at log-probabilities (S, N, K), (N,); NaN if it has no objective."""
    import torch

    objective = getattr(attack, "objective", None)
    if not isinstance(objective, Objective):
        return torch.full((len(y),), torch.nan).numpy()
    return goal.sign * value_of(followed(goal, objective), each, goal.aims(y, each.shape[-1])).numpy()
