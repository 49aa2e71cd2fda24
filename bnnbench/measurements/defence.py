"""The defending side of a cell: the test images, the draws that defend them, and their predictions."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bnnbench.core import seeds
from bnnbench.core.dataset import Data
from bnnbench.core.ensemble import draw_split
from bnnbench.core.predictive import Predictive
from bnnbench.core.threat import Threat
from bnnbench.errors import ContractBreach
from bnnbench.measurements.sample import sample_of

if TYPE_CHECKING:
    import torch
    from torch import Tensor

MIXED = 0.01
"""The largest change of a probability, when other images join the batch, that counts as rounding."""
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
    number that the attacker sees, and `limit` the largest number of draws that may defend (None: all).

    Under the streams `fixed` and `independent` the same draws defend every image. Under `fresh` each image is scored by
    `attack_draws` draws of its own, the same ones for the clean and the attacked image, so that an unchanged image
    keeps its score. Raises `Incompatible` if there are too few draws for the stream.
    """

    def __init__(
        self, predictive: Predictive, data: Data, threat: Threat, *, images: int, draws: int | None, seed: int
    ) -> None:
        self.predictive, self.limit, self.seed = predictive, draws, seed
        self.sample = sample_of(data, images)
        self._threat = threat
        attackers, self._defenders = draw_split.split(threat, predictive.chains, predictive.per_chain, draws)
        self.attack_draws = draw_split.draws_per_query(threat, attackers)
        self.draws = (
            draw_split.draws_per_query(threat, self._defenders) if threat.stream == "fresh" else len(self._defenders)
        )

    def judge(self, x: Tensor) -> Judgement:
        """The prediction at `x` (N, *shape), which holds the sample's images, clean or attacked, in their order.

        Raises `ContractBreach` if the predictive has fewer classes than the labels, gives values that are not finite,
        or draws from a global random state.
        """
        from bnnbench.core.ensemble import directions
        from bnnbench.core.rules.purity import global_state

        with global_state(self.predictive.described):
            each = self.predictive.draw_log_probs(x, self._defenders).cpu()
        if self._threat.stream == "fresh":
            each = each.gather(0, self._queries[..., None].expand(-1, -1, each.shape[-1]))
        log_probs = directions.average(each)
        largest = int(self.sample.y.max())
        if log_probs.shape[-1] <= largest:
            name = self.predictive.described
            raise ContractBreach(f"{name} has {log_probs.shape[-1]} classes, but there are labels up to {largest}")
        if not log_probs.isfinite().all():
            raise ContractBreach(f"{self.predictive.described} gives log-probabilities that are not finite")
        probabilities = each.exp()
        entropy = -(probabilities * each.masked_fill(probabilities == 0, 0)).sum(-1).mean(0)
        return Judgement(each, log_probs.numpy(), entropy.numpy())

    @functools.cached_property
    def clean(self) -> Judgement:
        """The prediction at the clean images.

        Raises `ContractBreach` as `judge` does, and if the prediction at an image depends on the rest of the batch.
        """
        judgement = self.judge(self.sample.x)
        self._check_independent_of_batch()
        return judgement

    def _check_independent_of_batch(self) -> None:
        """Raise `ContractBreach` if the prediction at an image depends on the other images of its batch.

        Differences up to `MIXED` are allowed: matrix products of another size may round differently.
        """
        import torch

        x, few = self.sample.x[:2], self._defenders[:4]
        together = self.predictive.draw_log_probs(x, few).exp()
        alone = self.predictive.draw_log_probs(x[:1], few).exp()
        if not torch.allclose(together[:, :1], alone, rtol=0, atol=MIXED):
            raise ContractBreach(
                f"{self.predictive.described} predicts otherwise for an image alone than for the same image in a "
                "batch: the prediction must not depend on other images"
            )

    @functools.cached_property
    def zero_gradient(self) -> Any:
        """Whether the gradient of log p[y] of the predictive at each clean image is exactly zero, (N,) bool.

        The gradient is computed by plain autograd in the precision of the draws: float32 for all bundled posteriors.
        None if the predictive gives no gradient.
        """
        import torch

        draws, y = draw_split.at_query(self._threat, self._defenders, self._random()), self.sample.y
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
        import torch

        from bnnbench.core.network_outputs import are_probabilities

        with torch.no_grad():
            return are_probabilities(self.predictive.logits(self.sample.x[:LOOKED_AT], self._defenders[:FEW_DRAWS]))

    @functools.cached_property
    def _queries(self) -> Tensor:
        """The defending draws of each image under the stream `fresh`, (draws, N), as positions among the defenders."""
        return draw_split.at_each(self._threat, self._defenders, len(self.sample.y), self._random())

    def _random(self) -> torch.Generator:
        """A new generator for the draws of the stream `fresh`; all start in the same state."""
        return seeds.torch_generator(self.seed, seeds.EVALUATION)
