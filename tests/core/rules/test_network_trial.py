"""A network is tried on two inputs before anything is fitted, and what is wrong with it is told in one line."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import bnnbench as bb
from bnnbench.core.rules.network_trial import check_network
from bnnbench.errors import NetworkError

OWN = torch.Generator()
IMAGES = np.random.default_rng(0).random((20, 1, 4, 4), dtype="float32")
DATA = bb.Data(train=(IMAGES, np.arange(20) % 3), test=(IMAGES, np.arange(20) % 3), classes=3)


class Net(nn.Module):
    """A linear network of images, whose output a function changes."""

    def __init__(self, change: Callable[[Tensor, Tensor], Any], outputs: int = 3) -> None:
        super().__init__()
        self.linear, self.change = nn.Linear(16, outputs), change

    def forward(self, x: Tensor) -> Any:
        return self.change(self.linear(x.flatten(1)), x)


class Batched(nn.Module):
    """Normalises by the statistics of the batch, in eval mode too."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x.flatten(1)) - self.linear(x.flatten(1)).mean(0)


def over_images(change: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """A change of the outputs that mixes images."""
    return lambda out, x: out + change(out)


class Sequences(nn.Module):
    """A recurrent layer that takes the images for the steps of a sequence: an image changes those after it."""

    def __init__(self) -> None:
        super().__init__()
        self.recurrent, self.linear = nn.LSTM(4, 4), nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.recurrent(x[:, 0])[0].flatten(1))


class Counting(Net):
    """Counts its calls in a buffer."""

    def __init__(self) -> None:
        super().__init__(lambda out, x: out)
        self.calls: Tensor
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Any:
        self.calls.add_(1)
        return super().forward(x)


class Feedback(Net):
    """Adds what it returned before."""

    before: Any = 0

    def forward(self, x: Tensor) -> Any:
        out = super().forward(x)
        self.before = out + (self.before if getattr(self.before, "shape", None) == out.shape else 0)
        return self.before


def in_double(out: Tensor, x: Tensor) -> Tensor:
    torch.set_default_dtype(torch.float64)
    return out


def seeded(out: Tensor, x: Tensor) -> Tensor:
    torch.manual_seed(0)
    return out + torch.randn(out.shape)


NOT_FIXED = [
    (Net(lambda out, x: F.dropout(out)), "draws random numbers in eval mode"),
    (Net(lambda out, x: F.dropout(out, 0.001)), "draws random numbers in eval mode"),
    (Net(lambda out, x: out + np.random.rand()), "draws random numbers in eval mode"),  # noqa: NPY002
    (Net(lambda out, x: out + random.random()), "draws random numbers in eval mode"),
    (Net(lambda out, x: out + 0 * torch.rand(1)), "draws random numbers in eval mode"),
    (Net(seeded), "draws random numbers in eval mode"),
    (Net(lambda out, x: out + torch.randn(3, generator=OWN)), "gives other outputs when it is called again"),
    (Feedback(lambda out, x: out), "gives other outputs when it is called again"),
    (Counting(), "changes its weight or buffer 'calls' in eval mode: let it do so in training mode alone"),
    (Net(in_double), "changes torch's default dtype when it is called, for the whole process"),
    (Batched(), "predicts otherwise for an image alone than in a batch"),
    (Sequences(), "or a recurrent layer without batch_first=True"),
    (Net(over_images(lambda out: out.roll(1, 0))), "predicts otherwise for an image alone than in a batch"),
    (Net(over_images(lambda out: out.cumsum(0))), "predicts otherwise for an image alone than in a batch"),
    (Net(over_images(lambda out: len(out) * out)), "predicts otherwise for an image alone than in a batch"),
    (
        nn.Sequential(nn.Flatten(), nn.Linear(16, 3), nn.BatchNorm1d(3, track_running_stats=False)),
        "batch norm with track_running_stats=False takes its statistics from the batch, in eval mode too",
    ),
]
"""Networks that are no fixed function of an image, and what is told of each."""


@pytest.mark.parametrize(("network", "told"), NOT_FIXED)
def test_what_is_no_fixed_function_is_told_by_the_trial_and_by_a_predictive(network: nn.Module, told: str) -> None:
    network = network.eval()
    state, dtype = torch.get_rng_state(), torch.get_default_dtype()
    draws = {name: value.detach().numpy()[None] for name, value in network.named_parameters()}
    for tried in (
        lambda: check_network(network, DATA),
        lambda: bb.predictive(network).log_probs(DATA.test[0]),
        lambda: bb.Predictive(network, draws).gradient(*DATA.test, "cross-entropy"),
    ):
        with pytest.raises(NetworkError, match=re.escape(told)) as caught:
            tried()
        assert str(caught.value).startswith("network ")
        assert (torch.get_default_dtype(), torch.equal(torch.get_rng_state(), state)) == (dtype, True)


class Output(dict[str, Tensor]):
    """As language models return it."""


@pytest.mark.parametrize(
    ("network", "told"),
    [
        (Net(lambda out, x: (out, out.sum())), "returns a tuple of 2 (Tensor (2, 3), Tensor ()), not one tensor"),
        (Net(lambda out, x: [out]), "returns a list of 1 (Tensor (2, 3)), not one tensor of logits"),
        (Net(lambda out, x: Output(logits=out)), "returns a Output with logits, not one tensor of logits"),
        (Net(lambda out, x: None), "returns nothing, not one tensor"),
        (Net(lambda out, x: out.detach().numpy()), "returns an object of class ndarray, not one tensor"),
        (Net(lambda out, x: out[:, 0]), "of shape (2,) for 2 inputs, not logits (2, classes); a network for binary"),
        (Net(lambda out, x: out[..., None, None]), "shape (2, 3, 1, 1) for 2 inputs, not logits (2, classes); flatten"),
        (Net(lambda out, x: out.T), "returns a tensor of shape (3, 2) for 2 inputs"),
        (Net(lambda out, x: out.argmax(1, keepdim=True)), "returns torch.int64, not logits"),
        (Net(lambda out, x: out, outputs=1), "has 1 output, but the data have 3 classes"),
        (Net(lambda out, x: out, outputs=2), "has 2 outputs, but the data have 3 classes"),
        (Net(lambda out, x: out / 0), "returns values that are not finite"),
        (Net(lambda out, x: out.softmax(1)), "returns probabilities, not logits: leave out its softmax, or declare"),
        (Net(lambda out, x: out + torch.randn_like(out)), "draws random numbers in eval mode"),
        (Net(lambda out, x: out.softmax(0).log()), "predicts otherwise for an image alone than in a batch"),
        (Net(lambda out, x: out + x.mul_(0).sum()), "writes into its inputs"),
        (nn.Sequential(nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(16, 3)), "writes into its inputs"),
        (
            nn.Sequential(nn.Flatten(), nn.Linear(16, 3, dtype=torch.cfloat)),
            "has a weight '1.weight' of torch.complex64",
        ),
        (torch.jit.script(nn.Sequential(nn.Flatten(), nn.Linear(16, 3))), "in TorchScript, whose weights cannot be"),
        (nn.Sequential(nn.Flatten(), nn.Linear(16, 3, device="meta")), "'1' (Linear) is on the meta device, where"),
        (nn.Linear(16, 3), "cannot be evaluated at inputs of shape (2, 1, 4, 4): RuntimeError: mat1 and mat2"),
        (nn.Sequential(nn.Linear(16, 3)), "images must be flattened before a linear layer, as by nn.Flatten()"),
        (Net(lambda out, x: out[5]), "cannot be evaluated at inputs of shape (2, 1, 4, 4): IndexError: index 5"),
        (Net(lambda out, x: {}["no text"]), "cannot be evaluated at inputs of shape (2, 1, 4, 4): KeyError"),
    ],
)
def test_a_network_that_is_none_is_told(network: nn.Module, told: str) -> None:
    with pytest.raises(NetworkError, match=re.escape(told)) as caught:
        check_network(network, DATA)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("network ")


@pytest.mark.parametrize(
    "network",
    [
        Net(lambda out, x: out),
        Net(lambda out, x: out, outputs=10),
        Net(lambda out, x: out.log_softmax(1)),
        Net(lambda out, x: out.double()),
        nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Dropout(), nn.Linear(8, 3)),
        Net(lambda out, x: out).double(),
    ],
)
def test_ordinary_networks_pass_and_stay_as_they_are(network: nn.Module) -> None:
    before, state = torch.get_rng_state(), {name: value.clone() for name, value in network.state_dict().items()}
    images = DATA.train[0].clone()
    check_network(network.eval(), DATA)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(DATA.train[0], images)
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("name", ["sgd", "bayes-by-backprop", "pyro-hmc", "numpyro-nuts"])
def test_every_posterior_tells_it_in_one_voice(name: str) -> None:
    with pytest.raises(NetworkError, match="returns a tuple of 2"):
        bb.fit(bb.posterior(name), Net(lambda out, x: (out, x)), DATA)


def test_one_logit_of_two_classes_is_explained() -> None:
    two = bb.Data(train=(IMAGES, np.arange(20) % 2), test=(IMAGES, np.arange(20) % 2))
    with pytest.raises(NetworkError, match="1 output, but the data have 2 classes; a network for binary cross-entropy"):
        check_network(Net(lambda out, x: out, outputs=1), two)


def test_the_logits_of_autocast_are_float32() -> None:
    def lower(out: Tensor, x: Tensor) -> Tensor:
        return out.bfloat16()

    network = Net(lower).eval()
    check_network(network, DATA)
    assert bb.predictive(network).draw_log_probs(DATA.test[0]).dtype == torch.float32


def test_a_predictive_that_gives_no_numbers_names_its_network() -> None:
    with pytest.raises(NetworkError, match=r"network .* gives log-probabilities that are not finite: NaN"):
        bb.predictive(Net(lambda out, x: out * torch.nan)).log_probs(DATA.test[0])
