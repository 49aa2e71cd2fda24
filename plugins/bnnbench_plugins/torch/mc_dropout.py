"""Monte Carlo dropout."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from bnnbench import Data, Draws, NormalPrior, Posterior, Predictive, Progress, no_progress
from bnnbench.authoring import BatchNormStatistics, check_gradient, fresh_network, kept_buffers, recalibrated
from bnnbench_plugins.torch.minibatch import MinibatchTraining, Start

if TYPE_CHECKING:
    from torch import Tensor, nn

    from bnnbench_plugins.torch.inserted_dropout import InsertedDropout
    from bnnbench_plugins.torch.own_dropout import OwnDropout


class McDropout(MinibatchTraining, BatchNormStatistics, NormalPrior, Posterior):
    """Dropout as approximate inference (MC dropout, Gal and Ghahramani 2016), with a fixed mask for each draw.

    The network is trained with dropout. The weight matrix W behind a mask is then a random matrix W diag(z) / (1 - p),
    with independent z_i that are 0 with probability p: the approximate posterior q. Every draw is one draw of all
    masks, so that the ensemble is a fixed function that any attack can follow.

    A network without dropout layers gets one, with p = `rate`, before every linear and convolutional layer but the
    first: of single features of linear layers, and of whole channels of convolutions. Each draw is then a set of
    weights of the network itself. In a network with dropout layers of its own (`nn.Dropout` to `nn.Dropout3d`), those
    act with their own p, and each draw has a mask for each of them.

    The loss is the mean cross-entropy + [sum of W^2 / (1 - p) + sum of all other weights squared] / (2 N s^2), for N
    training points and prior scale s. Up to a constant this is the divergence of q from the prior over N, by the
    paper's approximation: with M = W / (1 - p), the weight that is dropped, (1 - p) |M|^2 / (2 s^2) for each such
    matrix. Its length scale is 1 / s, its weight decay (1 - p) / (2 N s^2). Where the network has dropout layers of its
    own, all weights count as the others.
    """

    revision: ClassVar[int | None] = 2
    independent_draws: ClassVar[bool] = True

    rate: float = Field(default=0.1, gt=0, lt=1)
    """Probability that a value is dropped, in a network without dropout layers of its own."""
    drop_inputs: bool = False
    """Drop inputs of the first layer too, as in the paper, in a network without dropout layers of its own."""
    epochs: int = Field(default=50, ge=1)
    """Passes over the training data."""
    learning_rate: float = Field(default=0.01, gt=0)
    """Step size of the optimizer; under the one-cycle schedule, its largest value."""

    def check(self, network: nn.Module, data: Data) -> None:
        """Raise an error if the values that the network drops have no fixed masks."""
        trial, x = fresh_network(network, 0), data.train[0][:3]
        check_gradient(trial, x, training=True)
        self._dropout(trial, x)

    def fit(self, network: nn.Module, data: Data, *, seed: int, progress: Progress = no_progress) -> Draws:
        """Independent draws: arrays (1, draws, *weight), and (1, draws, *mask) for the network's own dropout layers.

        Diagnostics: `loss`, the mean training loss of the last epoch in nats, and `seconds`, the wall time. Raises
        `Incompatible` for a network without parameters or whose values no fixed mask can drop, `FloatingPointError` if
        the training diverges.
        """
        from torch.nn.functional import cross_entropy

        began = time.perf_counter()
        start = Start(network, data, seed)
        dropout = self._dropout(start.network, start.x[:3])
        weights = dict(start.network.named_parameters())
        precision = 1 / (len(start.x) * self.prior_scale**2)

        def loss(x: Tensor, y: Tensor) -> Tensor:
            squares = [weight.square().sum() / dropout.kept.get(name, 1.0) for name, weight in weights.items()]
            return cross_entropy(start.network(x), y) + precision / 2 * sum(squares)

        final = self.minimise(loss, list(weights.values()), start, progress)
        dropout.remove()
        draws = Draws(
            {name: drawn[None] for name, drawn in dropout.draw(self.draws, start.noise).items()},
            shared=kept_buffers(start.network),
            diagnostics={"loss": final},
        )
        if self.batch_norm == "recalibrated":
            draws = recalibrated(draws, self._masked(start.network, draws), start.x)
        draws.diagnostics["seconds"] = time.perf_counter() - began
        return draws

    def predictive(self, network: nn.Module, draws: Draws) -> Predictive:
        """The predictive of these draws, whose masks stand in place of the network's own dropout layers."""
        return Predictive(self._masked(network, draws), draws)

    def _dropout(self, network: nn.Module, x: Tensor) -> InsertedDropout | OwnDropout:
        """What is dropped in a network, given a few inputs x (N, *shape). Hooks may be added to the network."""
        from bnnbench_plugins.torch.inserted_dropout import InsertedDropout
        from bnnbench_plugins.torch.own_dropout import OwnDropout, dropout_layers, refuse_other_noise

        refuse_other_noise(network, x)
        if dropout_layers(network):
            return OwnDropout(network, x)
        return InsertedDropout(network, x, self.rate, self.drop_inputs)

    def _masked(self, network: nn.Module, draws: Draws) -> nn.Module:
        from bnnbench_plugins.torch.own_dropout import with_masks

        return with_masks(network, draws)
