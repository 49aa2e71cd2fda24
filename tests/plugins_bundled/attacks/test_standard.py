"""The ensemble of attacks whose number can be quoted."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from bnnbench_plugins.attacks.standard import Standard, _stages
from hyperplanes import SHAPES, linear_problem
from known import random_ensemble, random_inputs
from torch import nn

import bnnbench as bb
from bnnbench.core.rules.attack_run import craft

NORMS = ("linf", "l2", "l1")


class Stairs(nn.Module):
    """Logits that are rounded to whole numbers, so that their gradient is zero everywhere."""

    def __init__(self, lin: nn.Linear) -> None:
        super().__init__()
        self.lin = lin

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.round(self.lin(x))


@pytest.mark.parametrize(
    "shape", [SHAPES[0], *(pytest.param(shape, marks=pytest.mark.slow) for shape in SHAPES[1:-1]), SHAPES[-1]]
)
@pytest.mark.parametrize("norm", NORMS)
def test_a_linear_classifier_keeps_exactly_the_images_that_are_far_enough(shape: tuple[int, ...], norm: str) -> None:
    predictive, x, y, exact = linear_problem(shape, images=60)
    epsilon = float(np.median(exact[norm]))
    attacked = bb.attack("standard").run(predictive, x, y, bb.Threat(epsilon=epsilon, norm=norm))  # type: ignore[arg-type]
    clear = np.abs(exact[norm] - epsilon) > 2e-3 * epsilon
    assert clear.sum() > 40
    assert np.array_equal(np.asarray(attacked.success)[clear], (exact[norm] < epsilon)[clear])


@pytest.mark.parametrize("norm", NORMS)
def test_it_breaks_what_its_first_stage_breaks(norm: str) -> None:
    predictive, (x, y) = random_ensemble(), random_inputs(images=60)
    threat = bb.Threat(epsilon=0.2, norm=norm)  # type: ignore[arg-type]
    first = np.asarray(bb.attack("fgsm", objective="log-margin").run(predictive, x, y, threat).success)
    assert first.any()
    assert np.asarray(bb.attack("standard").run(predictive, x, y, threat).success)[first].all()


def test_the_number_of_images_that_stand_falls_from_stage_to_stage() -> None:
    predictive, (x, y) = random_ensemble(), random_inputs(images=60)
    (crafted,) = craft(bb.attack("standard"), predictive, x, y, [bb.Threat(epsilon=0.05)], seed=0)
    standing = crafted.steps["standing"]
    assert len(standing) == 10  # The clean inputs and nine stages.
    assert (standing.diff(dim=0) <= 0).all()
    broken = predictive.log_probs(crafted.inputs).argmax(-1) != y
    assert torch.equal(standing[-1] == 0, broken)
    assert torch.equal(crafted.inputs[standing[0] == 0], x[standing[0] == 0])  # Wrong as they are: left alone.


def test_long_runs_are_for_images_that_short_ones_brought_near() -> None:
    predictive, x, y, exact = linear_problem((6,), images=60)
    epsilon = float(np.median(exact["linf"]))
    passes = np.asarray(bb.attack("standard").run(predictive, x, y, bb.Threat(epsilon)).passes)
    far, near = exact["linf"] > 2.5 * epsilon, (exact["linf"] > 1.01 * epsilon) & (exact["linf"] < 1.1 * epsilon)
    assert far.any()
    assert near.any()
    assert passes[far].max() < 500
    assert passes[near].min() > 1000


def test_a_gradient_that_is_zero_everywhere_does_not_protect() -> None:
    """Inputs whose distance to the boundary of the rounded logits is small beside the radius fall to random search."""
    torch.manual_seed(0)
    lin = nn.Linear(8, 2)
    with torch.no_grad():
        lin.weight.mul_(20)
        lin.bias.copy_(-lin.weight.sum(1) / 2)
    predictive = bb.predictive(Stairs(lin))
    x = torch.rand(40, 8)
    y = predictive.log_probs(x).argmax(-1)
    threat = bb.Threat(epsilon=0.3)
    by_gradients = np.asarray(
        bb.attack("apgd", objective="log-margin", random_start=False).run(predictive, x, y, threat).success
    )
    assert not by_gradients.any()
    assert np.asarray(bb.attack("standard").run(predictive, x, y, threat).success).mean() > 0.9


def test_a_function_without_gradient_meets_the_stage_that_needs_none() -> None:
    torch.manual_seed(0)
    lin = nn.Linear(6, 3)
    x = torch.rand(30, 6)
    y = lin(x).argmax(-1)
    function = bb.predictive(lambda points: lin(torch.as_tensor(points)).detach().numpy(), bounds=(0, 1))
    attacked = bb.attack("standard").run(function, x, y, 0.5)
    assert np.asarray(attacked.success).mean() > 0.5


def test_a_threat_that_gives_scores_alone_costs_no_gradient() -> None:
    predictive, (x, y) = random_ensemble(), random_inputs(images=20)
    (crafted,) = craft(bb.attack("standard"), predictive, x, y, [bb.Threat(epsilon=0.2, access="scores")], seed=0)
    assert crafted.gradient_passes.max() == 0
    assert crafted.forward_passes.max() > 100


def test_it_is_not_defined_where_every_query_sees_other_draws() -> None:
    predictive, (x, y) = random_ensemble(), random_inputs(images=5)
    threat = bb.Threat(epsilon=0.2, stream="fresh", attack_draws=2)
    with pytest.raises(bb.Incompatible, match="standard is defined for the streams fixed and independent alone"):
        bb.attack("standard")(predictive, x, y, threat)


def test_there_is_one_recipe() -> None:
    with pytest.raises(ValueError, match="recipe"):
        bb.attack("standard", recipe=2)


APGD = {
    "objective": {"use": "bnnbench:predictive-nll"},
    "steps": 10,
    "restarts": 1,
    "random_start": True,
    "targets": 0,
    "stop_when_broken": True,
}
RECIPE = [
    ("FastGradientSign", 1, 1.0, 2, {"objective": {"use": "bnnbench:log-margin"}}),
    ("AutoProjectedGradient", 3, 1.0, 2, APGD),
    ("AutoProjectedGradient", 3, 1.0, 2, APGD | {"steps": 15, "targets": 3}),
    ("AutoProjectedGradient", 3, 0.5, 2, APGD | {"targets": 9}),
    ("AutoProjectedGradient", 3, 0.2, 3, APGD | {"objective": {"use": "bnnbench:dlr"}, "steps": 20, "restarts": 2}),
    ("AutoProjectedGradient", 3, 0.2, 2, APGD | {"steps": 100, "targets": 2, "restarts": 2}),
    ("FastMinimumNorm", 2, 0.1, 2, {"steps": 50, "relative_step_size": 1.0, "radius_change": 0.05, "targets": 2}),
    ("AutoProjectedGradient", 3, 0.1, 2, APGD | {"steps": 100, "targets": 3}),
    (
        "SquareAttack",
        1,
        1.0,
        2,
        {
            "objective": {"use": "bnnbench:log-margin"},
            "queries": 300,
            "restarts": 1,
            "first_share": 0.8,
            "stop_when_broken": True,
        },
    ),
]
"""The stages of recipe 1: class, revision, share of the margin, classes, parameters."""


def test_recipe_1_is_what_it_was() -> None:
    """A quoted number must stay what it says: another recipe is another number.

    If an attack of a stage has another revision, raise that of `Standard` too, whose key does not hold it.
    """
    stages = [
        (type(one.attack).__name__, one.attack.revision, one.keeps, one.classes, one.attack.model_dump(mode="json"))
        for one in _stages(10)
    ]
    assert stages == RECIPE
    assert Standard.revision == 3
