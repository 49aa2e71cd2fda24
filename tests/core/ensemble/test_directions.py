"""Directions and gradients of objectives: which form is used, and in how many passes."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from known import OBJECTIVES, random_ensemble, random_inputs
from torch import Tensor

import bnnbench as bb
from bnnbench.core.ensemble import batching, maths


def value(log_probs: Tensor, y: Tensor) -> Tensor:
    return -log_probs.mean(0).log_softmax(-1)[range(len(y)), y]


class Declining(bb.Objective):
    """Has every form of the direction, and declines the first."""

    revision: ClassVar[int | None] = 1
    asked: ClassVar[list[str]] = []

    def value(self, log_probs: Tensor, y: Tensor) -> Tensor:
        return value(log_probs, y)

    def ascent(self, log_probs: Tensor, y: Tensor) -> Tensor:
        self.asked.append("ascent")
        return 5 * value(log_probs, y)

    def odds_terms(self, log_probs: Tensor, y: Tensor) -> list[bb.OddsTerm] | None:
        self.asked.append("odds_terms")
        return [bb.OddsTerm(y, 1.0, log_probs[:, range(len(y)), y])]

    def log_weight(self, right: Tensor, wrong: Tensor) -> Tensor | None:
        self.asked.append("log_weight")
        return None


class DecliningTwice(Declining):
    """Declines the second form too."""

    revision: ClassVar[int | None] = 1

    def value(self, log_probs: Tensor, y: Tensor) -> Tensor:
        return value(log_probs, y)

    def ascent(self, log_probs: Tensor, y: Tensor) -> Tensor:
        return super().ascent(log_probs, y)

    def odds_terms(self, log_probs: Tensor, y: Tensor) -> list[bb.OddsTerm] | None:
        super().odds_terms(log_probs, y)
        return None

    def log_weight(self, right: Tensor, wrong: Tensor) -> Tensor | None:
        return super().log_weight(right, wrong)


@pytest.mark.parametrize(
    ("objective", "forms"),
    [
        (Declining(), ["log_weight", "odds_terms"]),
        (DecliningTwice(), ["log_weight", "odds_terms", "ascent"]),
    ],
)
def test_a_form_that_declines_is_followed_by_the_next_one(objective: Any, forms: list[str]) -> None:
    predictive, (x, y) = random_ensemble(), random_inputs()
    Declining.asked.clear()
    direction = predictive.direction(x, y, objective)
    assert list(dict.fromkeys(Declining.asked)) == forms
    if forms[-1] == "ascent":
        assert torch.allclose(direction, 5 * predictive.gradient(x, y, objective), rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("name", OBJECTIVES)
@settings(max_examples=20)
@given(
    draws=st.integers(1, 9),
    classes=st.integers(2, 5),
    scale=st.sampled_from([0.1, 1.0, 10.0, 40.0]),
    seed=st.integers(0, 1000),
)
def test_the_gradient_is_autograds(name: str, draws: int, classes: int, scale: float, seed: int) -> None:
    """Draws that are certain included, whose weights differ by hundreds of nats."""
    predictive = random_ensemble(draws=draws, classes=classes, scale=scale, seed=seed)
    x, y = random_inputs(classes=classes, seed=seed)
    leaf = x.clone().requires_grad_()
    each = torch.stack([predictive.logits(leaf, [draw])[0].log_softmax(-1) for draw in range(draws)])
    (expected,) = torch.autograd.grad(bb.objective(name).value(each, y).sum(), leaf)
    found = predictive.gradient(x, y, name)
    assert torch.allclose(found, expected, rtol=1e-6, atol=1e-10 * max(1.0, float(expected.abs().max())))


def test_images_are_cut_into_equal_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    from bnnbench.core.ensemble import chunks

    predictive = random_ensemble()
    x, _ = random_inputs(images=500)
    whole = [len(chunk.x) for chunk in chunks.chunks(predictive, x, range(7))]
    assert whole == [500]
    per_image = chunks.BUDGET // 500
    monkeypatch.setattr(chunks, "BUDGET", 0)
    assert [len(chunk.x) for chunk in chunks.chunks(predictive, x[:3], range(7))] == [1, 1, 1]
    found = batching.footprint(predictive, x)
    one = found.activations + (3 * 5 + 6 * 7 * found.classes) * 8
    monkeypatch.setattr(chunks, "BUDGET", 457 * one)
    sizes = [len(chunk.x) for chunk in chunks.chunks(predictive, x, range(7))]
    assert sizes == [250, 250]
    assert per_image > 0


def test_as_module_holds_one_block_of_draws_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under autograd too: what the backward pass needs is computed again, block by block."""
    from bnnbench.core.ensemble import chunks

    predictive = random_ensemble(draws=12, hidden=50)
    x, y = random_inputs(images=40)
    exact = x.clone().requires_grad_()
    (expected,) = torch.autograd.grad(predictive.as_module()(exact)[range(40), y].sum(), exact)
    found = batching.footprint(predictive, x)
    monkeypatch.setattr(chunks, "BUDGET", 10 * found.activations)
    for name in ("ONE_BY_ONE", "STACKED"):
        monkeypatch.setattr(batching, name, 10 * found.activations)
    held = []

    def pack(tensor: Tensor) -> Tensor:
        held.append(tensor.numel() * tensor.element_size())
        return tensor

    leaf = x.clone().requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        output = predictive.as_module()(leaf)
    saved = sum(held)
    (gradient,) = torch.autograd.grad(output[range(40), y].sum(), leaf)
    assert torch.allclose(gradient, expected, rtol=1e-10, atol=1e-14)
    # All activations would be 12 draws x 40 images x 50 units; what is kept grows with the outputs alone.
    assert saved < 12 * 40 * 50 * 8


def test_as_module_is_differentiable_by_torch_func_above_the_budget_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jacobians by `torch.func` agree with autograd; forward and backward mode, and both inside of `vmap`."""
    from bnnbench.core.ensemble import chunks

    predictive = random_ensemble(draws=6, hidden=20)
    module = predictive.as_module()
    x, _ = random_inputs(images=5)
    expected = torch.stack([torch.autograd.functional.jacobian(lambda row: module(row[None])[0], row) for row in x])
    monkeypatch.setattr(chunks, "BUDGET", 1)
    for jacobian in (torch.func.jacrev, torch.func.jacfwd):
        rows = torch.stack([jacobian(lambda row: module(row[None])[0])(row) for row in x])
        assert torch.allclose(rows, expected, rtol=1e-10, atol=1e-14)
        together = torch.func.vmap(jacobian(lambda row: module(row[None])[0]))(x)
        assert torch.allclose(together, expected, rtol=1e-10, atol=1e-14)
    assert torch.allclose(torch.autograd.functional.jacobian(lambda row: module(row[None])[0], x[0]), expected[0])


@pytest.mark.parametrize("objective", ["predictive-nll", "expected-loss", "log-margin", "dlr", "mean-logit"])
def test_the_size_of_groups_changes_rounding_at_most(objective: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Groups only decide how many blocks of draws are held at once; sums keep their order."""
    predictive = random_ensemble(draws=11, hidden=50, scale=5.0)
    x, y = random_inputs(images=9)
    block = batching.footprint(predictive, x).activations * len(x)
    for name in ("ONE_BY_ONE", "STACKED"):
        monkeypatch.setattr(batching, name, 2 * block)
    found = []
    for held in (1, 5, 8, 100):
        monkeypatch.setattr(batching, "HELD", held * block)
        every = batching.blocks(predictive, x, range(11))
        groups = batching.grouped(predictive, x, every)
        assert [one for group in groups for one in group] == every
        assert max(map(len, groups)) == min(6, max(1, held // 2))
        found.append(predictive.direction(x, y, objective))
    # A pass that is made to be pulled back may round in another way than one that is not.
    agree = torch.equal if objective in ("predictive-nll", "expected-loss") else torch.allclose
    assert all(agree(one, found[0]) for one in found)


@pytest.mark.parametrize("held", [0, 10**9])
@pytest.mark.parametrize("objective", ["log-margin", "dlr", "predictive-nll"])
def test_what_a_query_gives_holds_no_graph_of_the_draws(
    objective: str, held: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even for inputs that require a gradient: the memory would grow with the number of draws."""
    monkeypatch.setattr(batching, "HELD", held)
    monkeypatch.setattr(batching, "STACKED", 1)
    predictive, (x, y) = random_ensemble(), random_inputs()
    probe = maths.probe(predictive, x.requires_grad_(), y, bb.objective(objective), range(len(predictive)))
    assert not any(part.requires_grad for part in probe)


@pytest.mark.parametrize(("draws", "images"), [(10, 500), (100, 500), (10, 60), (1, 5000)])
def test_batches_that_are_cut_to_hold_the_passes_of_all_draws_do_so(draws: int, images: int) -> None:
    """Blocks that do not divide the draws included; one block of all draws is cut no further."""
    from bnnbench.core.ensemble import chunks

    predictive, x = random_ensemble(inputs=784, hidden=512, draws=draws), torch.zeros(images, 784)
    plain, cut = (list(chunks.chunks(predictive, x, range(draws), held=held)) for held in (False, True))
    fits = [chunks.can_be_held(predictive, chunk.x, chunk.blocks) for chunk in cut]
    if batching.HELD // (batching.footprint(predictive, x).activations * draws) >= chunks.WORTH_HOLDING:
        assert all(fits)
    if all(len(chunk.blocks) == 1 for chunk in plain):
        assert [len(chunk.x) for chunk in cut] == [len(chunk.x) for chunk in plain]


@pytest.mark.parametrize("query", ["direction", "gradient"])
@pytest.mark.parametrize("objective", ["log-margin", "dlr", "predictive-nll"])
def test_draws_are_evaluated_once_if_all_their_passes_can_be_held(
    objective: str, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Larger batches are cut so that they can be, unless that would leave batches of a few images."""
    from bnnbench.core.ensemble import chunks

    predictive = random_ensemble(draws=6, hidden=50)
    x, y = random_inputs(images=100)
    one = 6 * batching.footprint(predictive, x).activations
    forward, evaluated = batching.logits, []

    def counted(ensemble: Any, images: Tensor, block: Any) -> Tensor:
        evaluated.append(len(images) * len(block))
        return forward(ensemble, images, block)

    monkeypatch.setattr(batching, "logits", counted)
    monkeypatch.setattr(batching, "STACKED", 25 * one)
    passes, found = [], []
    for held in (100, 50, chunks.WORTH_HOLDING - 1):
        monkeypatch.setattr(batching, "HELD", held * one)
        evaluated.clear()
        found.append(getattr(predictive, query)(x, y, objective))
        passes.append(sum(evaluated) / (6 * 100))
    assert passes == ([1, 1, 1] if objective == "predictive-nll" else [1, 1, 2])
    assert all(torch.allclose(again, found[0], rtol=1e-10) for again in found)
