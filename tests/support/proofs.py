"""A linear network of two classes, and a certificate of it whose exact answer is known.

Tests import this file, or put it beside a benchmarks file and name its classes there: `use: 'proofs.py:Line'`.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import torch

import bnnbench as bb

if TYPE_CHECKING:
    from torch import Tensor

MATRIX = """\
epsilons: [0.0, 0.05]
evaluate: {images: 40, draws: 4}
datasets: {moons: {use: half-moons, train_size: 200, test_size: 100}}
networks: {line: {use: 'proofs.py:Line'}}
posteriors: {sgd: {epochs: 5}, vi: {use: bayes-by-backprop, epochs: 5, draws: 4}}
attacks: {pgd: {steps: 5}}
certificates: {linear: {use: 'proofs.py:Linear'}}
"""


def written(folder: Path, text: str = MATRIX) -> Path:
    """A benchmarks file of this text in a folder, with this file beside it."""
    shutil.copy(__file__, folder / "proofs.py")
    path = folder / "benchmarks.yaml"
    path.write_text(text)
    return path


class Line(torch.nn.Linear):
    """A linear classifier of two classes."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__(shape[0], 2)


class Linear(bb.Certificate):
    """Bounds each draw of a linear network of two classes at its own worst corner: exact for one draw."""

    revision: ClassVar[int | None] = 1
    excess: float = 0.0
    """What is added to the bound by which images are certified: a false proof if it is positive."""

    def prove(
        self, predictive: bb.Predictive, draws: Sequence[int], x: Tensor, y: Tensor, threat: bb.Threat
    ) -> bb.Proof:
        if set(predictive.draws) != {"weight", "bias"} or threat.norm != "linf":
            raise bb.Incompatible("linear bounds need a linear network and the linf norm")
        bound = torch.stack([torch.tanh(self._least(predictive, draw, x, y, threat) / 2) for draw in draws]).mean(0)
        refuted = bound < 0 if len(draws) == 1 else None
        certified = bound + self.excess > 1e-6
        if self.excess:
            with torch.no_grad():
                certified &= predictive.log_probs(x, list(draws)).argmax(-1) == y
            refuted = None
        return bb.Proof(certified, bound, refuted)

    def _least(self, predictive: bb.Predictive, draw: int, x: Tensor, y: Tensor, threat: bb.Threat) -> Tensor:
        """The least margin (N,) of the label, in the logits of one draw."""
        weight, bias = predictive.draws["weight"][draw].double(), predictive.draws["bias"][draw].double()
        slope, start = weight[y] - weight[1 - y], bias[y] - bias[1 - y]
        low, high = threat.box
        lowest = (x.double() - threat.epsilon).clamp(low, high)
        highest = (x.double() + threat.epsilon).clamp(low, high)
        return torch.minimum(slope * lowest, slope * highest).sum(-1) + start


def predictive_of(draws: int = 1, seed: int = 0) -> bb.Predictive:
    """Draws of a linear network of two inputs that about tell the classes of `data_of` apart."""
    generator = torch.Generator().manual_seed(seed)
    weight = torch.tensor([[-3.0, 3.0], [3.0, -3.0]]) + 0.5 * torch.randn(draws, 2, 2, generator=generator)
    bias = 0.3 * torch.randn(draws, 2, generator=generator)
    return bb.Predictive(torch.nn.Linear(2, 2), {"weight": weight.numpy(), "bias": bias.numpy()})


def data_of(images: int = 60) -> bb.Data:
    """Points of the unit square, on two sides of its diagonal."""
    x = torch.rand(images, 2, generator=torch.Generator().manual_seed(1))
    return bb.Data(test=(x, (x[:, 0] > x[:, 1]).long()), classes=2)
