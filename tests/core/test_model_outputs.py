"""What models return is read as logits in the precision of the core."""

from __future__ import annotations

import pytest
import torch
from known import small_data
from torch import nn

import bnnbench as bb
from bnnbench.core.model_outputs import LogitsOf

DATA = small_data(inputs=4, classes=3)
X = DATA.test[0]


def net(seed: int) -> nn.Sequential:
    """A module with weights of its own."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3))


class Half(nn.Module):
    """Returns its scores in half precision, as under autocast."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.inner, self.dtype = net(0), dtype

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x).to(self.dtype)  # type: ignore[no-any-return]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("further", [[], [net(1)]])
def test_scores_in_half_precision_are_read_in_single_precision(dtype: torch.dtype, further: list[nn.Module]) -> None:
    predictive = bb.predictive([Half(dtype), *further])
    assert predictive.log_probs(X).dtype == torch.float32
    assert torch.allclose(predictive.log_probs(X).exp().sum(1), torch.ones(len(X)), atol=1e-6)
    assert len(bb.evaluate(predictive, bb.attack("pgd", steps=2), DATA, epsilon=0.1)) == len(X)


def test_scores_of_one_image_that_happen_to_sum_to_one_are_no_probabilities() -> None:
    scores = torch.tensor([[0.3, 0.5, 0.2005], [3.0, 0.5, 0.2], [0.1, 0.2, 0.3]])
    reading = LogitsOf("the model", None, None)
    assert torch.equal(reading.logits(scores[:1], 1), scores[:1])
    assert torch.equal(reading.logits(scores, 3), scores)
    with pytest.raises(bb.NetworkError, match="returns probabilities, not logits"):
        LogitsOf("the model", None, None).logits(scores[:1].softmax(1), 1)
