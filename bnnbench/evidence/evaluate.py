"""Attack a predictive and score what is left."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from bnnbench.core import seeds, streams
from bnnbench.core.attack import Attack
from bnnbench.core.objective import Objective, value_of
from bnnbench.core.threat import Threat
from bnnbench.errors import ContractBreach
from bnnbench.evidence.outcome import Outcome

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from bnnbench.core.crafting import Crafted
    from bnnbench.core.dataset import Data
    from bnnbench.core.predictive import Predictive

MIXED = 0.01
"""A probability that changes by more than this when an image gets a neighbour is no matter of rounding."""
KEPT_INPUTS = 16
"""Perturbed images kept with an outcome, unless all are asked for."""


def evaluate(
    predictive: Predictive,
    attack: Attack,
    data: Data,
    *,
    epsilon: float | None = None,
    threat: Threat | None = None,
    images: int = 500,
    draws: int | None = None,
    seed: int = 0,
) -> Outcome:
    """Attack test images under one threat and score the result.

    Give `epsilon` (the linf ball in the data's box, all else by default) or a whole `threat`. The images are the first
    `images` of one fixed shuffle of the test set; `draws` is the most draws that defend. Raises `ContractBreach` if the
    attack breaks a rule or the predictive gives values that are not finite, `Incompatible` if there are too few draws.
    """
    if (epsilon is None) == (threat is None):
        raise TypeError("evaluate takes either epsilon or threat")
    if not isinstance(attack, Attack):
        raise TypeError(f"evaluate takes an attack such as bnnbench.attack('pgd'), not {attack!r}")
    if epsilon is not None and not isinstance(epsilon, int | float):
        raise TypeError(f"epsilon is one number, not {epsilon!r}; call evaluate once for each")
    if images < 1 or (draws is not None and draws < 1):
        raise ValueError("evaluate needs at least one image and one draw")
    chosen = threat or Threat(epsilon=float(epsilon or 0.0), bounds=data.bounds)
    defence = Defence(predictive, data, chosen, images=images, draws=draws, seed=seed)
    return evaluate_each(attack, defence, [chosen])[0]


def evaluate_each(
    attack: Attack, defence: Defence, threats: Sequence[Threat], *, keep: Literal["few", "inputs"] = "few"
) -> list[Outcome]:
    """The same for threats that share all but norm and epsilon: work that the attack can share is done once."""
    from bnnbench.core.crafting import check_repeatable, craft

    x, y = defence.sample.x, defence.sample.y
    # First what the predictive says of clean images: what is wrong there is no fault of the attack.
    _ = defence.clean
    check_repeatable(attack, defence.predictive, x, y, threats, seed=defence.seed, limit=defence.limit)
    crafted = craft(attack, defence.predictive, x, y, threats, seed=defence.seed, limit=defence.limit)
    return [_outcome(attack, defence, threat, one, keep) for threat, one in zip(threats, crafted, strict=True)]


def _outcome(attack: Attack, defence: Defence, threat: Threat, crafted: Crafted, keep: str) -> Outcome:
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
        objective=_objective_value(attack, attacked.each, sample.y),
        zero_gradient=defence.zero_gradient,
        zero_direction=None if crafted.zero_direction is None else crafted.zero_direction.numpy(),
        inputs=crafted.inputs[: None if keep == "inputs" else KEPT_INPUTS].numpy(),
        draws=defence.draws,
        attack_draws=defence.attack_draws,
        stops_early=attack.stops_early,
        steps={name: values.numpy() for name, values in crafted.steps.items()},
    )


@dataclass(frozen=True)
class Sample:
    """Test images (N, *shape), their labels (N,) and their positions in the test set (N,)."""

    x: Tensor
    y: Tensor
    index: Any


def sample_of(data: Data, images: int) -> Sample:
    """The first `images` of one fixed shuffle of the test set, or all if there are fewer."""
    import torch

    index = seeds.test_order(len(data.test[1]))[:images]
    with torch.inference_mode(False):
        return Sample(data.test[0][index], data.test[1][index], index)


@dataclass(frozen=True)
class Judgement:
    """What the defending draws say of inputs: each draw's log-probabilities (S, N, K), the predictive's (N, K), and the
    mean over draws of their entropies (N,)."""

    each: Tensor
    log_probs: Any
    entropy: Any


class Defence:
    """The defending side, shared by all attacks on it: the images, the draws, and what they say of clean images.

    Under `fixed` and `independent` one set of draws defends; under `fresh` each image is judged by `attack_draws` of
    its own, clean and attacked by the same ones: what no attack has touched stays right or wrong.
    """

    def __init__(
        self, predictive: Predictive, data: Data, threat: Threat, *, images: int, draws: int | None, seed: int
    ) -> None:
        self.predictive, self.limit, self.seed = predictive, draws, seed
        self.sample = sample_of(data, images)
        self._threat = threat
        attackers, self._defenders = streams.split(threat, predictive.chains, predictive.per_chain, draws)
        self.attack_draws = streams.seen(threat, attackers)
        self.draws = streams.seen(threat, self._defenders) if threat.stream == "fresh" else len(self._defenders)

    def judge(self, x: Tensor) -> Judgement:
        """Score the sample's images, clean or attacked.

        Raises `ContractBreach` if the predictive gives values that are not finite, or draws from a global random state.
        """
        from bnnbench.core import streaming
        from bnnbench.core.predictive import name_of
        from bnnbench.core.untouched import global_state

        with global_state(name_of(self.predictive)):
            each = self.predictive.draw_log_probs(x, self._defenders).cpu()
        if self._threat.stream == "fresh":
            each = each.gather(0, self._queries[..., None].expand(-1, -1, each.shape[-1]))
        log_probs = streaming.average(each)
        largest = int(self.sample.y.max())
        if log_probs.shape[-1] <= largest:
            name = name_of(self.predictive)
            raise ContractBreach(f"{name} has {log_probs.shape[-1]} classes, but there are labels up to {largest}")
        if not log_probs.isfinite().all():
            raise ContractBreach(f"{name_of(self.predictive)} gives log-probabilities that are not finite")
        probabilities = each.exp()
        entropy = -(probabilities * each.masked_fill(probabilities == 0, 0)).sum(-1).mean(0)
        return Judgement(each, log_probs.numpy(), entropy.numpy())

    @functools.cached_property
    def clean(self) -> Judgement:
        """The judgement of the clean images."""
        found = self.judge(self.sample.x)
        self._check_images_are_alone()
        return found

    def _check_images_are_alone(self) -> None:
        """Raise `ContractBreach` if what is said of an image depends on its neighbours: outcomes would be of batches.

        Products of another size may round otherwise, and no more.
        """
        import torch

        from bnnbench.core.predictive import name_of

        x, few = self.sample.x[:2], self._defenders[:4]
        beside = self.predictive.draw_log_probs(x, few).exp()
        alone = self.predictive.draw_log_probs(x[:1], few).exp()
        if not torch.allclose(beside[:, :1], alone, rtol=0, atol=MIXED):
            raise ContractBreach(
                f"{name_of(self.predictive)} says of an image alone what it does not say of it beside another: "
                "each must be judged by itself"
            )

    @functools.cached_property
    def zero_gradient(self) -> Any:
        """Where plain autograd through the clean image's log predictive probability gives exactly zero, (N,) bool, in
        the draws' own precision: float32 for all bundled posteriors."""
        import torch

        from bnnbench.core import routes, streaming

        found, draws = [], streams.at_query(self._threat, self._defenders, self._random())
        image = self.sample.x[:1].to(self.predictive.device, self.predictive.dtype)
        # The graph holds every draw at once: few images at a time.
        few = max(1, streaming.BUDGET // (len(draws) * routes.footprint(self.predictive, image).activations))
        with torch.inference_mode(False), torch.enable_grad():
            for x, y in zip(self.sample.x.split(few), self.sample.y.split(few), strict=True):
                leaf = x.detach().clone().requires_grad_()
                log_probs = self.predictive.log_probs(leaf, draws)
                (slope,) = torch.autograd.grad(log_probs[range(len(y)), y].sum(), leaf)
                found.append((slope.flatten(1) == 0).all(1))
        return torch.cat(found).cpu().numpy()

    @functools.cached_property
    def _queries(self) -> Tensor:
        return streams.at_each(self._threat, self._defenders, len(self.sample.y), self._random())

    def _random(self) -> torch.Generator:
        return seeds.generator(self.seed, seeds.EVALUATION)


def _objective_value(attack: Attack, each: Tensor, y: Tensor) -> Any:
    import torch

    objective = getattr(attack, "objective", None)
    value = value_of(objective, each, y) if isinstance(objective, Objective) else torch.full((len(y),), torch.nan)
    return value.numpy()
