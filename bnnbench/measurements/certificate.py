"""The measurement of certificates: prove robustness at test images, and check what is proven against what is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from bnnbench.core.certificate import Certificate, Proof
from bnnbench.core.draws import Progress, no_progress
from bnnbench.core.threat import Threat
from bnnbench.core.user_code.local_modules import name_in_messages
from bnnbench.errors import ContractBreach, Incompatible
from bnnbench.measurements.certification import CERTIFICATION, Certification
from bnnbench.measurements.defence import Defence
from bnnbench.measurements.lent import lent
from bnnbench.measurements.measurement import Keep
from bnnbench.measurements.per_image import PerImageMeasurement
from bnnbench.measurements.proof import checked_against, checked_form, same_proof
from bnnbench.measurements.schema import Schema

if TYPE_CHECKING:
    from torch import Tensor

TRIAL_IMAGES, TRIAL_DRAWS = 2, 4
"""The numbers of images and draws with which a certificate is tried twice."""
_DECIDED = ("untargeted", "targeted")
"""The goals that cannot be reached at an image which is given its label in the whole ball."""


class CertificateMeasurement(PerImageMeasurement):
    """Proves robustness at test images. Each cell is a task of its own, since radii share no work."""

    schema: Schema = CERTIFICATION
    result: ClassVar[type[Any]] = Certification
    figure_names: ClassVar[tuple[str, ...]] = (
        "images",
        "draws",
        "clean_accuracy",
        "clean_low",
        "clean_high",
        "certified_accuracy",
        "certified_low",
        "certified_high",
        "refuted_share",
        "mean_bound",
    )
    ends: ClassVar[tuple[str, str]] = ("certified_low", "certified_high")
    component: Certificate

    def run(
        self, defence: Defence, threats: Sequence[Threat], keep: Keep, progress: Progress = no_progress
    ) -> list[Certification]:
        """One certification for each threat, in their order. `progress` is told of each step.

        Raises `ContractBreach` if the certificate breaks a rule, does not give the same result twice, or contradicts
        the clean predictions; `Incompatible` if nothing can be proven about the stream or the goal.
        """
        steps = 1 + 2 * len(threats)
        progress(0, steps, "predicting clean images")
        _ = defence.clean
        found = []
        for number, threat in enumerate(threats):
            self._check_provable(threat)
            progress(1 + 2 * number, steps, "trying the certificate on two images")
            self._check_repeatable(defence, threat)
            progress(2 + 2 * number, steps, f"certifying {len(defence.sample.y)} images")
            found.append(self._certification(defence, threat))
        progress(steps, steps)
        return found

    def judged_under(self, threat: Threat) -> Threat:
        """The ball, the box and the stream: what the attacker may ask, and which other class it wants, do not count."""
        if threat.goal not in _DECIDED:
            return threat
        return Threat(threat.epsilon, threat.norm, threat.bounds, threat.stream, threat.attack_draws)

    @property
    def _name(self) -> str:
        return f"certificate {name_in_messages(type(self.component))}"

    @property
    def _about_predictive(self) -> bool:
        return self.component.about == "predictive"

    def _check_provable(self, threat: Threat) -> None:
        """Raise `Incompatible` if no proof about the prediction of fixed draws says anything about the threat."""
        if threat.stream == "fresh":
            raise Incompatible(
                "nothing can be proven under the stream 'fresh': its draws are chosen anew at each query, and a "
                "certificate is about fixed draws"
            )
        if threat.goal not in _DECIDED:
            raise Incompatible(f"certificates are about predicted classes, and the goal '{threat.goal}' about scores")

    def _check_repeatable(self, defence: Defence, threat: Threat) -> None:
        """Raise `ContractBreach` unless two calls for a few images and draws give the same proof."""
        # A statement about the posterior may need many draws.
        draws = TRIAL_DRAWS if self._about_predictive else None
        few = slice(TRIAL_IMAGES), defence.defenders[:draws]
        one, other = (self._proof(defence, threat, *few) for _ in range(2))
        if not same_proof(one, other, exact=defence.predictive.device.type == "cpu"):
            raise ContractBreach(f"{self._name} gave two results for one call")

    def _certification(self, defence: Defence, threat: Threat) -> Certification:
        """What is proven about all images by all draws that defend."""
        sample, clean = defence.sample, defence.clean
        proof = self._proof(defence, threat, slice(None), defence.defenders)
        if self._about_predictive:
            proof = checked_against(clean.log_probs, sample.y.numpy(), proof, self._name)
        return Certification(
            index=sample.index,
            label=sample.y.numpy(),
            clean_log_probs=clean.log_probs,
            clean_entropy=clean.entropy,
            certified=proof.certified.numpy(),
            bound=None if proof.bound is None else proof.bound.numpy(),
            refuted=None if proof.refuted is None else proof.refuted.numpy(),
            draws=len(defence.defenders),
            threat=threat,
            certificate=type(self.component).__name__,
        )

    def _proof(self, defence: Defence, threat: Threat, images: slice, draws: Sequence[int]) -> Proof:
        """What `prove` returns for some images and draws, on the CPU.

        Raises `ContractBreach` if it is no proof, or if `prove` changes what others use.
        """
        x, y = _given(defence, images)
        with lent(defence, self._name, x, y) as lending:
            made = self.component.prove(lending.predictive, list(draws), x, y, accepted(self.judged_under(threat)))
        return checked_form(made, len(y), self._name)


def accepted(threat: Threat) -> Threat:
    """The threat whose ball and box hold all inputs that are accepted from an attack under a threat.

    Perturbed inputs may lie outside of ball and box by their rounding. A proof about the ball alone could be
    contradicted by such an input.
    """
    import torch

    from bnnbench.core.rules.attack_result import slack_of

    (low, high), slack = threat.box, slack_of(threat, torch.float32)
    return replace(threat, epsilon=threat.epsilon + slack, bounds=(low - slack, high + slack))


def _given(defence: Defence, images: slice) -> tuple[Tensor, Tensor]:
    """Copies of images and labels, where and in the type in which attacks get them too."""
    import torch

    predictive, sample = defence.predictive, defence.sample
    x = sample.x[images].to(predictive.device, torch.promote_types(predictive.dtype, torch.float32), copy=True)
    return x, sample.y[images].to(predictive.device, torch.long, copy=True)
