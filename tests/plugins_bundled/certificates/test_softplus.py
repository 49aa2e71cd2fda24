"""Bounds of softplus for any beta and threshold."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from bnnbench_plugins.certificates.activations import Softplus
from bnnbench_plugins.certificates.crown import Crown
from bnnbench_plugins.certificates.ensemble_bounds import EnsembleBounds
from bnnbench_plugins.certificates.interval import IntervalBounds
from bnnbench_plugins.certificates.intervals import Interval
from bnnbench_plugins.certificates.region import Region
from torch import Tensor, nn

import bnnbench as bb

BETAS, THRESHOLDS = (-2.0, -0.5, 0.5, 3.0), (20.0, 0.1, -1.0, -800.0)
UNIT = 2.0**-24


def ensemble(layer: nn.Module, draws: int = 3) -> bb.Predictive:
    """Random draws of a network of two layers of softplus."""
    network = nn.Sequential(nn.Linear(4, 6), layer, nn.Linear(6, 5), layer, nn.Linear(5, 3))
    generator = torch.Generator().manual_seed(0)
    weights = {
        name: torch.randn(draws, *value.shape, generator=generator).numpy()
        for name, value in network.named_parameters()
    }
    return bb.Predictive(network, weights)


@pytest.mark.parametrize("threshold", THRESHOLDS)
@pytest.mark.parametrize("beta", BETAS)
def test_computed_values_lie_within_the_error_of_the_exact_ones(beta: float, threshold: float) -> None:
    points = torch.linspace(-40, 40, 20_001)
    form = Softplus(0, beta, threshold)
    given = Interval(points.double(), points.double())
    made = form.computed([given], UNIT)
    found, error = made.interval, made.error
    computed = F.softplus(points, beta, threshold).double()
    assert error is not None
    assert ((computed - form.value(points.double())).abs() <= error).all()
    assert (found.lower <= computed).all()
    assert (found.upper >= computed).all()


@pytest.mark.parametrize("beta", BETAS)
def test_lines_of_any_slope_enclose_it_and_touch_it(beta: float) -> None:
    form = Softplus(0, beta, 20.0)
    ends = torch.linspace(-4, 4, 9, dtype=torch.float64)
    given = Interval(ends, ends + torch.linspace(0, 3, 9, dtype=torch.float64))
    points = given.lower + torch.linspace(0, 1, 2001, dtype=torch.float64)[:, None] * (given.upper - given.lower)
    chord, _ = form.slopes(given)
    for slope in (chord, *(torch.full_like(chord, k) for k in (-0.3, 0.0, 0.4, 1.0, 1.4))):
        values = F.softplus(points, beta, 500) - slope * points
        for lower, extreme in ((True, values.amin(0)), (False, values.amax(0))):
            assert torch.allclose(form.offset(slope, given, lower=lower), extreme, atol=1e-3)
    # The chord is the best line on one side, and the only one that touches both ends there.
    assert torch.allclose(form.offset(chord, given, lower=beta < 0), values_at_ends(form, chord, given))
    assert form.convex is (beta > 0)


def values_at_ends(form: Softplus, slope: Tensor, given: Interval) -> Tensor:
    """What a line with this slope that goes through the lower end is at 0."""
    return form.value(given.lower) - slope * given.lower


@pytest.mark.parametrize("threshold", THRESHOLDS)
@pytest.mark.parametrize("beta", BETAS)
def test_bounds_of_networks_hold_the_logits_of_sampled_inputs(beta: float, threshold: float) -> None:
    predictive = ensemble(nn.Softplus(beta, threshold))
    generator = torch.Generator().manual_seed(1)
    centre = torch.rand(4, 4, generator=generator)
    radius = 0.1
    region = Region(centre.double(), Interval(centre.double() - radius, centre.double() + radius), radius, "linf")
    inputs = centre + 0.999 * radius * (2 * torch.rand(200, 4, 4, generator=generator) - 1)
    logits = predictive.logits(inputs.flatten(0, 1)).unflatten(1, (200, 4)).double()
    rows = torch.eye(3, dtype=torch.float64)[None].expand(4, 3, 3)
    for refined in (0, 64):
        bounds = EnsembleBounds(predictive, range(3), centre, refined)
        for draw, network in enumerate(bounds.networks):
            found = network.propagate(region)
            last = found.intervals[-1]
            assert last is not None
            assert (last.lower <= logits[draw]).all()
            assert (last.upper >= logits[draw]).all()
            assert (network.minimum(found, region, rows) <= logits[draw]).all()
            assert (-network.minimum(found, region, -rows) >= logits[draw]).all()


@pytest.mark.parametrize("certificate", [Crown(), IntervalBounds()])
@pytest.mark.parametrize(
    ("layer", "told"),
    [
        (nn.Softplus(0.0), "no bounds of layer Softplus ('1') with beta=0"),
        (nn.Softplus(float("nan")), "beta=nan"),
        (nn.Softplus(1.0, float("nan")), "threshold=nan"),
    ],
)
def test_what_has_no_bounds_is_refused(certificate: bb.Certificate, layer: nn.Module, told: str) -> None:
    x, y = torch.rand(2, 4), torch.zeros(2, dtype=torch.int64)
    with pytest.raises(bb.Incompatible) as error:
        certificate.prove(ensemble(layer), [0], x, y, bb.Threat(epsilon=0.1))
    assert told in str(error.value)
