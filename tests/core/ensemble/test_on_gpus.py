"""How an ensemble is evaluated on a GPU: few and large products. The GPU is not there (`fake_gpu`)."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from fake_gpu import fake_gpu
from real_gpu import ensemble

import bnnbench as bb
from bnnbench.core.ensemble import batching, chunks
from bnnbench.core.ensemble.watched import Watch

PRODUCTS = ("mm", "bmm", "addmm", "baddbmm")


class Counted(Watch):
    """Counts the products of matrices."""

    def __init__(self) -> None:
        super().__init__()
        self.products: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._schema.name.removeprefix("aten::")
        self.products[name] += name in PRODUCTS
        return func(*args, **(kwargs or {}))


def counted(draws: int, objective: str = "predictive-nll") -> Counter[str]:
    """The products of one direction of an ensemble of this many draws, on the GPU."""
    network, arrays = ensemble((6, 5, 4, 3), draws)
    with fake_gpu():
        predictive = bb.Predictive(network.to("cuda"), arrays)
        x, y = torch.rand(7, 6).to("cuda"), torch.zeros(7, dtype=torch.long).to("cuda")
        predictive.direction(x, y, objective)  # The first call looks at the network.
        with Counted() as seen:
            assert predictive.direction(x, y, objective).device.type == "cuda"
    return +seen.products


@pytest.mark.parametrize("objective", ["predictive-nll", "expected-loss", "log-margin"])
def test_all_draws_are_multiplied_together(objective: str) -> None:
    """A product for each layer, forward and back, however many draws there are: the first and last sum over draws."""
    few, many = counted(3, objective), counted(40, objective)
    assert few == many
    assert sum(many.values()) == 6


def test_a_gpu_is_given_more_at_a_time_than_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu, cpu = torch.device("cuda", 0), torch.device("cpu")
    assert chunks.budget(gpu) == chunks.BUDGET_ON_GPU > chunks.budget(cpu) == chunks.BUDGET
    assert batching.largest_held(gpu) == batching.HELD_ON_GPU > batching.largest_held(cpu) == batching.HELD
    network, arrays = ensemble((6, 5, 4, 3), 3)
    with fake_gpu():
        predictive = bb.Predictive(network.to("cuda"), arrays)
        x = torch.rand(50, 6).to("cuda")
        assert [len(chunk.x) for chunk in chunks.chunks(predictive, x, range(3))] == [50]
        found = batching.footprint(predictive, x)
        monkeypatch.setattr(chunks, "BUDGET_ON_GPU", 10 * (found.activations + 4 * (3 * 6 + 6 * 3 * 3)))
        assert [len(chunk.x) for chunk in chunks.chunks(predictive, x, range(3))] == [10] * 5
