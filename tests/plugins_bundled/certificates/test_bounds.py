"""The parts of bounds: lines of activations and of phi, regions, layers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from bnnbench_plugins.certificates import odds
from bnnbench_plugins.certificates.activations import ELU, Activation, Curved, LeakyReLU, Sigmoid, Softplus, Tanh
from bnnbench_plugins.certificates.crown import Crown
from bnnbench_plugins.certificates.ensemble_bounds import EnsembleBounds
from bnnbench_plugins.certificates.intervals import Interval, inner
from bnnbench_plugins.certificates.layer_forms import GELU_CURVATURE, SILU_CURVATURE
from bnnbench_plugins.certificates.region import Cut, Region
from known import random_ensemble, random_inputs
from random_networks import Residual, ensemble
from scipy.optimize import linprog, minimize
from torch import Tensor, nn

import bnnbench as bb

FORMS: dict[str, tuple[Activation, Callable[[Tensor], Tensor]]] = {
    "relu": (LeakyReLU(0, 0.0), F.relu),
    "leaky-relu": (LeakyReLU(0, 0.2), lambda x: F.leaky_relu(x, 0.2)),
    "tanh": (Tanh(0), torch.tanh),
    "sigmoid": (Sigmoid(0), torch.sigmoid),
    "softplus": (Softplus(0, 2.0, 20.0), lambda x: F.softplus(x, 2.0)),
    "elu": (ELU(0), F.elu),
    "gelu": (Curved(0, F.gelu, GELU_CURVATURE), F.gelu),
    "silu": (Curved(0, F.silu, SILU_CURVATURE), F.silu),
}


def some_intervals(count: int = 400) -> Interval:
    generator = torch.Generator().manual_seed(0)
    centre, width = 8 * torch.rand(2, count, generator=generator, dtype=torch.float64) - torch.tensor([[4.0], [0.0]])
    width = width.abs() ** 2 / 16
    return Interval(centre - width, centre + width)


@pytest.mark.parametrize("name", FORMS)
def test_lines_of_any_slope_enclose_the_activation_and_touch_it(name: str) -> None:
    form, function = FORMS[name]
    given = some_intervals()
    points = given.lower + torch.linspace(0, 1, 2001, dtype=torch.float64)[:, None] * (given.upper - given.lower)
    default = form.slopes(given)
    for slope in (*default, *(torch.full_like(default[0], k) for k in (-0.3, 0.0, 0.1, 0.24, 0.6, 1.0, 1.4))):
        values = function(points) - slope * points
        low, high = (form.offset(slope, given, lower=lower) for lower in (True, False))
        assert (low <= values.amin(0) + 1e-12).all()
        assert (high >= values.amax(0) - 1e-12).all()
        loose = 0.05 if isinstance(form, Curved) else 1e-3
        assert (low >= values.amin(0) - loose).all()
        assert (high <= values.amax(0) + loose).all()


@pytest.mark.parametrize("name", FORMS)
def test_computed_activations_lie_within_the_stated_error(name: str) -> None:
    form, function = FORMS[name]
    points = torch.linspace(-30, 30, 300_001)
    exact = function(points.double())
    error = form.error(Interval(points.double(), points.double()), 2.0**-24)
    assert ((function(points).double() - exact).abs() <= error).all()


def test_lines_below_phi_and_phi_below_the_difference() -> None:
    generator = torch.Generator().manual_seed(0)
    for _ in range(300):
        logits = 4 * torch.randn(60, 4, generator=generator, dtype=torch.float64)
        y = torch.zeros(60, dtype=torch.int64)
        m = inner(odds.differences(y, 4), logits)
        rest = odds.others(m.amin(0))
        difference = inner(odds.differences(y, 4), logits.softmax(1))
        assert (odds.phi(m, rest) <= difference + 1e-12).all()
        margins = Interval(m.amin(0), m.amax(0))
        for slope in (odds.chord(margins, rest), *(torch.full((3,), k, dtype=torch.float64) for k in (0.0, 0.1, 0.6))):
            points = margins.lower + torch.linspace(0, 1, 500, dtype=torch.float64)[:, None] * (
                margins.upper - margins.lower
            )
            gap = (odds.phi(points, rest) - slope * points - odds.offset(slope, margins, rest)).amin(0)
            assert (gap >= -1e-12).all()
            assert (gap <= 1e-2).all()


@pytest.mark.parametrize("kind", ["linf", "l2", "l1", "cut"])
def test_least_products_over_a_region(kind: str) -> None:
    generator = torch.Generator().manual_seed(1)
    rand = lambda *shape: torch.rand(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
    centre, rows = rand(20, 6), 2 * rand(20, 3, 6) - 1
    radius = 0.3
    box = Interval((centre - radius).clamp(min=0), (centre + radius).clamp(max=1))
    slope = 2 * rand(20, 6) - 1
    limit = (slope * centre).sum(1) - 0.1
    cut = Cut(slope, limit) if kind == "cut" else None
    region = Region(centre, box, radius, "linf" if kind == "cut" else kind, cut)
    found = region.minimum(rows)
    for image in range(20):
        for row in range(3):
            exact = _least(kind, rows[image, row], centre[image], box.at(torch.tensor([image])), radius, slope[image])
            assert found[image, row] <= exact + (1e-6 if kind == "l2" else 1e-9)
            assert found[image, row] >= exact - (2e-2 if kind == "cut" else 1e-5)


def test_regions_keep_their_cut() -> None:
    """x + y is least at the corner (0, 0), and at least 1 where the cut -x - y <= -1 holds."""
    corner = torch.zeros(3, 2, dtype=torch.float64)
    limit = torch.tensor([0.0, -1.0, -2.0], dtype=torch.float64)
    region = Region(corner + 0.5, Interval(corner, corner + 1), 0.5, "linf", Cut(corner - 1, limit))
    some = region.at(torch.tensor([2, 1]))
    assert torch.allclose(some.minimum(corner[:2, None] + 1)[:, 0], torch.tensor([2.0, 1.0], dtype=torch.float64))
    assert torch.equal(region.minimiser(corner[:, None] + 1)[:, 0], corner)


def _least(kind: str, row: Tensor, centre: Tensor, box: Interval, radius: float, slope: Tensor) -> float:
    bounds = list(zip(box.lower[0].tolist(), box.upper[0].tolist(), strict=True))
    if kind == "linf":
        return float(linprog(row.numpy(), bounds=bounds).fun)
    if kind == "cut":
        return float(
            linprog(row.numpy(), A_ub=slope[None].numpy(), b_ub=float(slope @ centre) - 0.1, bounds=bounds).fun
        )
    if kind == "l1":  # Steps are differences of two that are not negative.
        both = [(0, high - one) for (_, high), one in zip(bounds, centre.tolist(), strict=True)]
        both += [(0, one - low) for (low, _), one in zip(bounds, centre.tolist(), strict=True)]
        made = linprog(torch.cat([row, -row]).numpy(), A_ub=torch.ones(1, 12).numpy(), b_ub=radius, bounds=both)
        return float(made.fun + (row * centre).sum())
    return _least_l2(row, centre, box, radius)


def _least_l2(row: Tensor, centre: Tensor, box: Interval, radius: float) -> float:
    """By general constrained minimisation."""
    low, high = (edge[0].numpy() for edge in (box.lower, box.upper))
    made = minimize(
        lambda x: float(row.numpy() @ x),
        centre.numpy(),
        jac=lambda x: row.numpy(),
        bounds=list(zip(low, high, strict=True)),
        constraints={"type": "ineq", "fun": lambda x: radius**2 - ((x - centre.numpy()) ** 2).sum()},
        options={"ftol": 1e-12, "maxiter": 1000},
    )
    return float(made.fun)


def test_the_rows_of_a_layer_are_bounded_by_the_dual_norm() -> None:
    centre = torch.full((5, 4), 0.5, dtype=torch.float64)
    rows = torch.randn(1, 3, 4, dtype=torch.float64)
    for norm, dual in (("l2", 2.0), ("l1", float("inf"))):
        region = Region(centre, Interval(centre - 0.1, centre + 0.1), 0.1, norm)
        exact = inner(rows, centre) - 0.1 * rows[0].norm(dual, dim=1)
        assert torch.allclose(region.minimum(rows), exact)


@pytest.mark.parametrize("kind", ["conv", "residual", "gelu"])
def test_bounds_of_a_single_point_are_the_computed_logits(kind: str) -> None:
    predictive, shape = ensemble(kind)
    x = torch.rand(6, *shape)
    point = Region(x.double(), Interval(x.double(), x.double()), 0.0, "linf")
    logits = predictive.logits(x)
    for draw, network in enumerate(EnsembleBounds(predictive, range(3), x).networks):
        found = network.propagate(point).intervals[-1]
        assert found is not None
        assert (found.lower <= logits[draw]).all()
        assert (found.upper >= logits[draw]).all()
        assert (found.upper - found.lower).max() < 1e-2


class WithProduct(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) * self.layer(x)


@pytest.mark.parametrize(
    ("network", "told"),
    [
        (nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4), nn.Linear(4, 3)), "layer LayerNorm ('1')"),
        (nn.Sequential(nn.Linear(4, 3), nn.LeakyReLU(1.5)), "negative slope of 1.5"),
        (nn.Sequential(nn.Linear(4, 3), nn.GELU("tanh")), "approximate=tanh"),
        (WithProduct(), "two layers"),
    ],
)
def test_what_has_no_bounds_is_named(network: nn.Module, told: str) -> None:
    weights = {name: value[None].detach().numpy() for name, value in network.named_parameters()}
    predictive = bb.Predictive(network, weights)
    with pytest.raises(bb.Incompatible) as error:
        Crown().prove(predictive, [0], torch.rand(2, 4), torch.zeros(2, dtype=torch.int64), bb.Threat(epsilon=0.1))
    assert told in str(error.value)


def test_models_from_elsewhere_and_other_predictives() -> None:
    x, y, threat = torch.rand(4, 5), torch.zeros(4, dtype=torch.int64), bb.Threat(epsilon=0.0)
    modules = [Residual().eval() for _ in range(2)]
    made = Crown().prove(bb.predictive(modules), [0, 1], x, y, threat)
    assert made.bound is not None
    several = bb.predictive([nn.Sequential(nn.Flatten(), nn.Linear(5, 3)), modules[0]])
    for predictive, told in (
        (several, "a network and draws of its weights"),
        (bb.predictive(nn.Sequential(nn.Linear(5, 3), nn.Softmax(1)), outputs="probabilities"), "returns logits"),
        (bb.predictive(modules[0], output=lambda out: 2 * out), "leave out its softmax"),
    ):
        with pytest.raises(bb.Incompatible, match=told):
            Crown().prove(predictive, [0], x, y, threat)


def test_goals_about_uncertainty_are_not_proven() -> None:
    predictive, _ = ensemble("relu")
    threat = bb.Threat(epsilon=0.1, goal="raise-uncertainty")
    with pytest.raises(bb.Incompatible, match="raise-uncertainty"):
        Crown().prove(predictive, [0], torch.rand(2, 5), torch.zeros(2, dtype=torch.int64), threat)


@pytest.mark.parametrize("name", ["interval", "crown"])
def test_a_hopeless_radius_gives_a_possible_bound_for_many_draws(name: str) -> None:
    """The allowance for rounding grows with the draws, and no bound is below -1."""
    predictive, (x, y) = random_ensemble(draws=60, scale=4.0), random_inputs(images=4)
    y = predictive.log_probs(x).argmax(-1)
    found = bb.certify(predictive, bb.certificate(name), bb.Data(test=(x, y), classes=3), epsilon=0.9, images=4)
    assert found.bound is not None
    assert found.bound.min() >= -1
    assert not found.certified.any()


def test_half_precision_is_refused() -> None:
    predictive, (x, y) = random_ensemble(), random_inputs(images=2)
    half = bb.Predictive(predictive.network.half(), {name: draw.half() for name, draw in predictive.draws.items()})
    with pytest.raises(bb.Incompatible, match="float16"):
        bb.certificate("interval").prove(half, range(len(half)), x.half(), y, bb.Threat(epsilon=0.1))
