"""The defending side of a cell: the test images, the draws that defend them, and their predictions."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bnnbench.core import fixed_function, seeds
from bnnbench.core.attack import Attack
from bnnbench.core.dataset import Data, Dataset
from bnnbench.core.ensemble import draw_split
from bnnbench.core.network_outputs import are_probabilities
from bnnbench.core.posterior import Posterior
from bnnbench.core.predictive import Predictive
from bnnbench.core.rules.own_fits import fitted_anew, identity_text
from bnnbench.core.threat import Threat
from bnnbench.errors import ContractBreach, Incompatible
from bnnbench.measurements.sample import Sample, sample_of

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from bnnbench.core.rules.attack_run import Crafted
    from bnnbench.core.rules.own_fits import OwnFits

LOOKED_AT, FEW_DRAWS = 16, 4
"""The numbers of images and draws whose logits are looked at."""


@dataclass(frozen=True, eq=False)
class Judgement:
    """The prediction of the defending draws at N inputs.

    `each` (S, N, K) holds each draw's log-probabilities, `log_probs` (N, K) the predictive's, and `entropy` (N,) the
    mean over draws of each draw's entropy in nats.
    """

    each: Tensor
    log_probs: Any
    entropy: Any


class Defence:
    """The defending side of cells: the test images, the draws that defend, and their predictions.

    `sample` holds the images and `predictive` all draws. `draws` is the number of draws that defend, `attack_draws` the
    number that the attacker sees, and `limit` the largest number of draws that may defend (None: all). `defenders` are
    the positions of the draws that may defend.

    Under the streams `fixed` and `independent` the same draws defend every image. Under `fresh` each image is scored by
    `attack_draws` draws of its own, the same ones for the clean and the attacked image, so that an unchanged image
    keeps its score. Raises `Incompatible` if there are too few draws for the stream.
    """

    def __init__(
        self, predictive: Predictive, data: Data, threat: Threat, *, images: int, draws: int | None, seed: int
    ) -> None:
        self.predictive, self.limit, self.seed, self._data = predictive, draws, seed, data
        self.sample = sample_of(data, images)
        self.threat = threat
        self.others: dict[str, Predictive] = {}
        """The predictives of other fits that have been made, by the identities of their posteriors."""
        attackers, self.defenders = draw_split.split(threat, predictive.chains, predictive.per_chain, draws)
        self.attack_draws = draw_split.draws_per_query(threat, attackers)
        self.draws = (
            draw_split.draws_per_query(threat, self.defenders) if threat.stream == "fresh" else len(self.defenders)
        )

    def judge(self, x: Tensor) -> Judgement:
        """The prediction at `x` (N, *shape), which holds the sample's images, clean or attacked, in their order.

        Raises `ContractBreach` if the predictive has fewer classes than the labels, gives values that are not finite,
        or draws from a global random state.
        """
        return self._judged(self._each(x))

    def _each(self, x: Tensor) -> Tensor:
        """The log-probabilities (draws, N, K) of all defending draws at `x`. Raises as `judge` does."""
        from bnnbench.core.rules.purity import global_state

        with global_state(self.predictive.described):
            return self.predictive.draw_log_probs(x, self.defenders).cpu()

    def _judged(self, each: Tensor) -> Judgement:
        """The prediction by the log-probabilities (draws, N, K) of all defending draws. Raises as `judge` does."""
        from bnnbench.core.ensemble import directions, maths

        if self.threat.stream == "fresh":
            each = each.gather(0, self._queries[..., None].expand(-1, -1, each.shape[-1]))
        log_probs = directions.average(each)
        largest = int(self.sample.y.max())
        if log_probs.shape[-1] <= largest:
            name = self.predictive.described
            raise ContractBreach(
                f"{name} has {log_probs.shape[-1]} classes, but there are labels up to {largest}: a model of these "
                f"data returns {largest + 1} scores for each input"
            )
        if not log_probs.isfinite().all():
            raise ContractBreach(f"{self.predictive.described} gives log-probabilities that are not finite")
        return Judgement(each, log_probs.numpy(), maths.mean_entropy(each).numpy())

    @property
    def bounds(self) -> tuple[float, float]:
        """The box of the data."""
        return self._data.bounds

    def crafted(self, attack: Attack, x: Tensor, y: Tensor, threat: Threat) -> Tensor:
        """What an attack on the defending draws makes of any inputs x (N, *shape) with labels y (N,).

        Raises `ContractBreach` if the attack breaks a rule, `Incompatible` if it cannot pursue the goal.
        """
        return self.attacked(attack, x, y, threat).inputs

    def attacked(self, attack: Attack, x: Tensor, y: Tensor, threat: Threat) -> Crafted:
        """As `crafted`, with the account of the attack: `inputs`, queries, and where a direction was exactly zero."""
        from bnnbench.core.rules.attack_run import craft

        (made,) = craft(attack, self.predictive, x, y, [threat], seed=self.seed, limit=self.limit)
        return made

    def beside(self, predictive: Predictive) -> Defence:
        """The defence of another predictive: the same images, threat and seed, and as many draws at most."""
        images = len(self.sample.y)
        return Defence(predictive, self._data, self.threat, images=images, draws=self.limit, seed=self.seed)

    def images_of(self, dataset: Dataset, images: int) -> Sample:
        """The first test images of another data set, in its fixed shuffle, at most so many.

        Raises `Incompatible` if they differ from those of the defence in shape or box, and `DataError` if they are
        absent.
        """
        from bnnbench.core.rules.preparation import loaded

        data = loaded(dataset, self.seed)
        for what, theirs, ours in (
            ("shape", data.shape, self._data.shape),
            ("box", tuple(data.bounds), tuple(self._data.bounds)),
        ):
            if theirs != ours:
                raise Incompatible(f"images of the other data set have the {what} {theirs}, and those here {ours}")
        return sample_of(data, images)

    def fitted(self, posterior: Posterior) -> Predictive:
        """The predictive of another fit: by `posterior`, to the same network and data at the same seed.

        In a run of a benchmarks file it is a fit of the store. Elsewhere it is made at the first call. Raises
        `Incompatible` if the predictive's draws are not weights of one network, and what the fit raises.
        """
        name = identity_text(posterior)
        if name not in self.others:
            self.others[name] = fitted_anew("the measure", posterior, self.predictive, self._data, self.seed)
        return self.others[name]

    @functools.cached_property
    def own_fits(self) -> OwnFits:
        """The fits that an attacker makes itself, of the predictive's network to the training data."""
        from bnnbench.core.rules.own_fits import OwnFits

        return OwnFits(self.predictive, self._data, self.seed)

    @functools.cached_property
    def clean(self) -> Judgement:
        """The prediction at the clean images.

        Raises `ContractBreach` as `judge` does, and if the prediction at an image depends on the rest of the batch: the
        first one alone must have the prediction that it has among all.
        """
        each = self._each(self.sample.x)
        judgement = self._judged(each)
        alone = self._first_logits(1).cpu().to(each.dtype)
        together, name = each[:FEW_DRAWS, :1], self.predictive.described
        fixed_function.check_alone(alone.log_softmax(-1), together, name, fixed_function.rounding(alone), alone)
        return judgement

    def _first_logits(self, images: int) -> Tensor:
        """The logits (draws, N, K) of the first few draws at the first images, without gradient."""
        import torch

        x = self.sample.x[:images].to(self.predictive.device, self.predictive.dtype)
        with torch.no_grad():
            return self.predictive.logits(x, self.defenders[:FEW_DRAWS])

    @functools.cached_property
    def zero_gradient(self) -> Any:
        """Whether the gradient of log p[y] of the predictive at each clean image is exactly zero, (N,) bool.

        The gradient is computed by plain autograd in the precision of the draws: float32 for all bundled posteriors.
        None if the predictive gives no gradient.
        """
        import torch

        draws, y = draw_split.at_query(self.threat, self.defenders, self._random()), self.sample.y
        with torch.inference_mode(False), torch.enable_grad():
            leaf = self.sample.x.detach().clone().requires_grad_()
            # One image tells whether there is a gradient: models that give none may be slow, or cost money.
            if not self.predictive.log_probs(leaf[:1], draws).requires_grad:
                return None
            log_probs = self.predictive.log_probs(leaf, draws)
            (slope,) = torch.autograd.grad(log_probs[range(len(y)), y].sum(), leaf, allow_unused=True)
        return None if slope is None else (slope.flatten(1) == 0).all(1).cpu().numpy()

    @functools.cached_property
    def looks_like_probabilities(self) -> bool:
        """Whether the logits of the first draws at the first images are numbers that could be probabilities.

        Probabilities that are taken for logits are squeezed between 0 and 1, and attacks on them are weak.
        """
        return are_probabilities(self._first_logits(LOOKED_AT))

    @functools.cached_property
    def _queries(self) -> Tensor:
        """The defending draws of each image under the stream `fresh`, (draws, N), as positions among the defenders."""
        return draw_split.at_each(self.threat, self.defenders, len(self.sample.y), self._random())

    def _random(self) -> torch.Generator:
        """A new generator for the draws of the stream `fresh`; all start in the same state."""
        return seeds.torch_generator(self.seed, seeds.EVALUATION)
