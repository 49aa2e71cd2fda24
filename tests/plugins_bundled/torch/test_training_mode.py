"""Point estimates and variational inference train as usual: batch norm gathers statistics and dropout acts."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import nn

import bnnbench as bb


class Spy(nn.Dropout):
    """Notes its mode, and its noise, at each call."""

    seen: ClassVar[list[tuple[bool, float]]] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = super().forward(x)
        self.seen.append((self.training, float(out.sum())))
        return out


OF_THE_SLOPE = {"sgd": 0, "bayes-by-backprop": 2 * 2}
"""The minibatches from which the slope of the trained bound is estimated, with dropout, after the training."""


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), Spy(0.5), nn.Linear(8, 2))


def data(images: int = 33) -> bb.Data:
    generator = np.random.default_rng(0)
    x = generator.uniform(0.5, 1, (images, 4)).astype("f4")
    return bb.Data(train=(x, (x[:, 0] > 0.75).astype(int)), test=(x, (x[:, 0] > 0.75).astype(int)), classes=2)


@pytest.mark.parametrize("name", ["sgd", "bayes-by-backprop"])
def test_batch_norm_gathers_statistics_and_dropout_acts(name: str) -> None:
    template = network()
    before = torch.get_rng_state()
    found = []
    for _ in range(2):
        Spy.seen.clear()
        fitted = bb.fit(bb.posterior(name, epochs=3, batch_size=16), template, data(), seed=3)
        # The first call in train mode is a trial of a copy.
        trained = [noise for training, noise in Spy.seen if training][1:]
        # 33 points in minibatches of 16: the last one would have one point, and is joined to the one before it.
        assert len(trained) == 3 * 2 + OF_THE_SLOPE[name]
        assert int(fitted.shared["1.num_batches_tracked"]) == 3 * 2
        assert fitted.shared["1.running_mean"].abs().max() > 0
        found.append((trained, fitted))
    assert found[0][0] == found[1][0]
    assert all(torch.equal(value, found[1][1].draws[key]) for key, value in found[0][1].draws.items())
    assert torch.equal(torch.get_rng_state(), before)
    Spy.seen.clear()
    x = data().test[0]
    assert torch.equal(found[0][1].log_probs(x), found[0][1].log_probs(x))
    assert not any(training for training, _ in Spy.seen)


def test_another_seed_gives_other_noise() -> None:
    noises = []
    for seed in (0, 1):
        Spy.seen.clear()
        bb.fit(bb.posterior("sgd", epochs=1), network(), data(), seed=seed)
        noises.append([noise for training, noise in Spy.seen if training][1:])
    assert noises[0] != noises[1]


def test_batch_norm_learns_what_it_learns_in_a_plain_loop() -> None:
    """The gathered mean is the exponential average of the minibatches' means, as torch defines it."""
    layer = nn.Sequential(nn.BatchNorm1d(4, momentum=0.25), nn.Linear(4, 2))
    sample = data(32)
    fitted = bb.fit(bb.posterior("sgd", epochs=2, batch_size=64), layer, sample, seed=0)
    mean, expected = sample.train[0].mean(0), torch.zeros(4)
    for _ in range(2):
        expected = 0.75 * expected + 0.25 * mean
    assert torch.allclose(fitted.shared["0.running_mean"], expected, atol=1e-6)
