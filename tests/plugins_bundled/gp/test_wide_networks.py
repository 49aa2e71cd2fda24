"""The kernel of wide networks against quadrature, closed forms and networks that are wide."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from bnnbench_plugins.gp.architecture import Architecture, architecture_of
from bnnbench_plugins.gp.dual_activations import Activation, Rectified, Smooth
from bnnbench_plugins.gp.kernels import RadialBasis
from bnnbench_plugins.gp.wide_networks import WideNetwork
from torch import Tensor, nn
from torch.nn import functional

import bnnbench as bb

ACTIVATIONS: dict[str, Activation] = {
    "relu": Rectified(),
    "leaky-relu": Rectified(0.2),
    "tanh": Smooth("tanh"),
    "sigmoid": Smooth("sigmoid"),
}
every = pytest.mark.parametrize("activation", ACTIVATIONS.values(), ids=ACTIVATIONS)


def process(layers: int, activation: Activation, width: int = 8) -> WideNetwork:
    return WideNetwork(layers, activation, 1.3, 0.4, torch.tensor([1.5], dtype=torch.float64), width)


def inputs() -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (5, 3)))


@every
def test_the_dual_is_the_expectation_of_the_product(activation: Activation) -> None:
    # In polar coordinates the kink of a rectifier is at fixed angles; the midpoint rule is then accurate to 1e-6.
    angles = (torch.arange(20_000, dtype=torch.float64) + 0.5) * (2 * torch.pi / 20_000)
    radii, weights = (torch.from_numpy(array) for array in np.polynomial.laguerre.laggauss(40))
    for p, q, correlation in ((0.7, 1.9, 0.3), (1.1, 0.6, -0.8), (2.0, 2.0, 0.999)):
        radius = (2 * radii[:, None]).sqrt()
        u = p**0.5 * radius * angles.cos()
        v = q**0.5 * radius * (correlation * angles.cos() + (1 - correlation**2) ** 0.5 * angles.sin())
        expected = ((activation(u) * activation(v)).mean(1) * weights).sum()
        one = [torch.tensor([value], dtype=torch.float64) for value in (p, q)]
        found = activation.dual(*one, torch.tensor([[correlation * (p * q) ** 0.5]], dtype=torch.float64))
        assert found.item() == pytest.approx(expected.item(), abs=1e-5)


@every
def test_the_derivatives_of_the_dual_are_right(activation: Activation) -> None:
    p, q = (torch.tensor(values, dtype=torch.float64, requires_grad=True) for values in ([0.5, 1.2], [0.8, 2.0, 0.3]))
    c = torch.tensor([[0.3, -0.5, 0.1], [0.9, 0.0, -0.4]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(activation.dual, (p, q, c))


@every
@pytest.mark.parametrize("layers", [1, 3])
def test_the_diagonal_agrees_with_the_variances(activation: Activation, layers: int) -> None:
    # At equal inputs the correlation is 1, where the arc-cosine has an infinite slope.
    x, kernel = inputs().requires_grad_(), process(layers, activation)
    variance = kernel.bias_scale**2 + kernel.weight_scale**2 * x.square().mean(1)
    for _ in range(layers):
        variance = kernel.bias_scale**2 + kernel.weight_scale**2 * activation.variance(variance)
    matrix = kernel.matrix(x, x.detach())
    np.testing.assert_allclose(matrix.diagonal().detach(), 1.5**2 * variance.detach(), rtol=1e-6)
    (slope,) = torch.autograd.grad(matrix.sum(), x)
    assert slope.isfinite().all()


def test_one_hidden_relu_layer_has_the_arc_cosine_kernel() -> None:
    # Cho and Saul (2009): 1 / pi |a| |b| (sin t + (pi - t) cos t) for weights of unit variance and E[2 relu relu].
    x = inputs()
    kernel = WideNetwork(1, Rectified(), 1.0, 0.0, torch.tensor([1.0], dtype=torch.float64), 8)
    lengths = x.norm(dim=1) / 3**0.5
    angle = (x @ x.T / 3 / lengths / lengths[:, None]).clamp(-1, 1).arccos()
    expected = lengths * lengths[:, None] * (angle.sin() + (torch.pi - angle) * angle.cos()) / (2 * torch.pi)
    np.testing.assert_allclose(kernel.matrix(x, x), expected, atol=1e-12)


def test_an_input_of_zeros_has_finite_gradients_without_biases() -> None:
    kernel = WideNetwork(2, Rectified(), 1.0, 0.0, torch.tensor([1.0]), 8)
    x = torch.zeros(1, 3, requires_grad=True)
    kernel.matrix(x, torch.rand(2, 3)).sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


@every
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_networks_that_are_wide_have_the_covariance(activation: Activation, layers: int) -> None:
    # 200 networks of torch's own layers with 20 outputs each: 4,000 independent functions. The largest of the standard
    # errors is sqrt(2 / 4000) of a variance.
    x, kernel, width = inputs(), process(layers, activation), 100
    generator = torch.Generator().manual_seed(0)
    products = torch.zeros(5, 5, dtype=torch.float64)
    for _ in range(200):
        values = x
        for last in [False] * layers + [True]:
            layer = nn.Linear(values.shape[1], 20 if last else width, dtype=torch.float64).requires_grad_(False)
            layer.weight.normal_(0, 1.3 / values.shape[1] ** 0.5, generator=generator)
            layer.bias.normal_(0, 0.4, generator=generator)
            values = 1.5 * layer(values) if last else activation(layer(values))
        products += values @ values.T / 4000
    matrix = kernel.matrix(x, x)
    assert ((products - matrix).abs() < 5 * (2 / 4000) ** 0.5 * matrix.diagonal().max()).all()


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_functions_of_the_prior_have_the_covariance(layers: int) -> None:
    x, kernel = inputs(), process(layers, Rectified(), width=128)
    weights = kernel.prior(200, 3, 20, torch.Generator().manual_seed(1))
    values = kernel.prior_values(x, weights)
    matrix = kernel.matrix(x, x)
    found = torch.einsum("sno,smo->nm", values, values) / 4000
    assert ((found - matrix).abs() < 5 * (2 / 4000) ** 0.5 * matrix.diagonal().max()).all()


def test_without_weights_functions_of_the_prior_are_their_last_bias() -> None:
    """Its variance is (output_scale bias_scale)^2, to five standard errors of 4,000 functions."""
    kernel = WideNetwork(2, Rectified(), 1e-6, 0.4, torch.tensor([1.5], dtype=torch.float64), 4)
    values = kernel.prior_values(inputs(), kernel.prior(200, 3, 20, torch.Generator().manual_seed(1)))
    for variances in (values.square().mean((0, 2)), kernel.matrix(inputs(), inputs()).diagonal()):
        assert ((variances / (1.5 * 0.4) ** 2 - 1).abs() < 5 * (2 / 4000) ** 0.5).all()


def test_sums_of_waves_have_the_radial_basis_kernel() -> None:
    x, kernel = inputs(), RadialBasis(torch.tensor([0.9]).double(), torch.tensor([1.3]).double(), 4)
    values = kernel.prior_values(x, kernel.prior(4000, 3, 1, torch.Generator().manual_seed(0)))[:, :, 0]
    products = values[:, :, None] * values[:, None, :]
    assert ((products.mean(0) - kernel.matrix(x, x)).abs() < 5 * products.std(0) / 4000**0.5).all()


class Functional(nn.Module):
    """A network as many write it: layers as attributes, and functions between them."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = nn.Linear(4, 5), nn.Linear(5, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = x.view(x.size(0), -1)
        x = functional.leaky_relu(self.first(x), 0.3)
        return self.third(functional.leaky_relu(self.second(x), negative_slope=0.3))


def layered(*layers: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Flatten(), *layers)


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (layered(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3)), Architecture(1, "relu")),
        (layered(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 5), nn.Tanh(), nn.Linear(5, 3)), Architecture(2, "tanh")),
        (layered(nn.Linear(4, 5), nn.LeakyReLU(0.2), nn.Linear(5, 3)), Architecture(1, "leaky-relu", 0.2)),
        (Functional(), Architecture(2, "leaky-relu", 0.3)),
    ],
)
def test_the_architecture_of_plain_networks_is_read(network: nn.Module, expected: Architecture) -> None:
    assert architecture_of(network) == expected


@pytest.mark.parametrize(
    ("network", "told"),
    [
        (layered(nn.Linear(4, 3)), "no hidden layers"),
        (layered(nn.Linear(4, 5), nn.ReLU()), "no hidden layers before a last linear layer"),
        (layered(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 5), nn.Tanh(), nn.Linear(5, 3)), "Tanh"),
        (layered(nn.Linear(4, 5, bias=False), nn.ReLU(), nn.Linear(5, 3)), "no bias"),
        (layered(nn.Linear(4, 5), nn.Dropout(), nn.ReLU(), nn.Linear(5, 3)), "Dropout"),
        (layered(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 3)), "BatchNorm1d"),
        (nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3)), "Conv2d"),
    ],
)
def test_other_networks_are_refused_with_the_place(network: nn.Module, told: str) -> None:
    with pytest.raises(bb.Incompatible, match=told):
        architecture_of(network)


def test_a_residual_network_is_refused() -> None:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.third = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            x = self.first(x).relu()
            return self.third(x + self.second(x).relu())

    with pytest.raises(bb.Incompatible, match="add"):
        architecture_of(Residual())
