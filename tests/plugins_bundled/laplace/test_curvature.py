"""The curvature against Jacobians by autograd, and Kronecker factors where they are exact."""

from __future__ import annotations

import pytest
import torch
from bnnbench_plugins.laplace import curvature
from bnnbench_plugins.laplace.blocks import Block, DiagonalBlock, FullBlock, KroneckerBlock
from torch import Tensor, nn
from torch.func import functional_call


def small_network() -> nn.Module:
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 2, 2, stride=2, padding=1), nn.GroupNorm(1, 2), nn.Tanh(), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(18, 4), nn.ReLU(inplace=True), nn.Linear(4, 3)).eval()


def by_jacobians(network: nn.Module, weights: dict[str, Tensor], x: Tensor) -> Tensor:
    """The sum over points of J^T (diag p - p p^T) J, from the Jacobian of each point."""
    names, sizes = list(weights), [weight.numel() for weight in weights.values()]

    def logits(flat: Tensor, point: Tensor) -> Tensor:
        parts = zip(names, flat.split(sizes), strict=True)
        return functional_call(network, {name: part.view_as(weights[name]) for name, part in parts}, (point[None],))[0]

    flat = torch.cat([weight.detach().flatten() for weight in weights.values()])
    total = torch.zeros(len(flat), len(flat), dtype=torch.float64)
    for point in x:
        jacobian = torch.autograd.functional.jacobian(lambda flat, point=point: logits(flat, point), flat).double()
        p = logits(flat, point).softmax(-1).double()
        total += jacobian.T @ (p.diag() - p[:, None] * p) @ jacobian
    return total


@pytest.mark.parametrize("prefix", ["", "6.", "0."])
@pytest.mark.parametrize("held", [2**24, 100])
def test_full_and_diagonal_are_those_of_the_jacobians(prefix: str, held: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curvature, "HELD", held)
    network, x = small_network(), torch.rand(5, 1, 4, 4)
    weights = {name: weight for name, weight in network.named_parameters() if name.startswith(prefix)}
    expected = by_jacobians(network, weights, x)
    torch.testing.assert_close(curvature.full(network, weights, x), expected, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(curvature.diagonal(network, weights, x), expected.diagonal(), rtol=1e-4, atol=1e-6)


def as_matrix(layer: nn.Module, of_inputs: Tensor, of_outputs: Tensor) -> Tensor:
    """A (x) B in the order of the layer's flattened weight and bias."""
    outputs, columns = len(of_outputs), len(of_inputs)
    order = torch.arange(outputs * columns).view(outputs, columns)
    flat = torch.cat([order[:, :-1].flatten(), order[:, -1]]) if layer.bias is not None else order.flatten()
    return torch.kron(of_outputs, of_inputs)[flat][:, flat]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", ["linear", "convolution"])
def test_kronecker_factors_of_one_point_at_one_position_are_exact(kind: str, bias: bool) -> None:
    torch.manual_seed(1)
    layer = nn.Linear(16, 3, bias=bias) if kind == "linear" else nn.Conv2d(1, 3, 4, bias=bias)
    first = nn.Flatten() if kind == "linear" else nn.Identity()
    network = nn.Sequential(first, layer, nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(3, 4)).eval()
    x = torch.rand(1, 1, 4, 4)
    layers = curvature.kronecker_layers(network, x)
    assert list(layers) == ["1", "4"]
    factors = curvature.kronecker_factors(network, layers, x)
    for name, one in layers.items():
        weights = {key: weight for key, weight in network.named_parameters() if key.startswith(f"{name}.")}
        found = as_matrix(one, *factors[name])
        torch.testing.assert_close(found, by_jacobians(network, weights, x), rtol=1e-4, atol=1e-6)


def test_kronecker_factors_of_a_convolution_sum_over_positions() -> None:
    """A = sum a a^T / (N T) and B = sum g g^T, by a loop over points, positions and classes."""
    network, x = small_network(), torch.rand(3, 1, 4, 4)
    layers = {"0": network[0]}
    of_inputs, of_outputs = curvature.kronecker_factors(network, layers, x)["0"]
    a, b = torch.zeros(5, 5), torch.zeros(2, 2)
    for point in x:
        padded = nn.functional.pad(point, (1, 1, 1, 1))[0]
        output = network[0](point[None]).detach().requires_grad_()
        logits = network[1:](output)[0]
        p = logits.softmax(-1).detach()
        for k in range(3):
            cotangent = p.sqrt()[k] * (torch.eye(3)[k] - p)
            (g,) = torch.autograd.grad(logits, output, cotangent, retain_graph=True)
            for row in range(3):
                for column in range(3):
                    b += torch.outer(g[0, :, row, column], g[0, :, row, column])
                    patch = padded[2 * row : 2 * row + 2, 2 * column : 2 * column + 2].flatten()
                    patch = torch.cat([patch, torch.ones(1)])
                    a += torch.outer(patch, patch) / 3  # The loop over classes visits each patch thrice.
    torch.testing.assert_close(of_inputs, (a / 27).double(), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(of_outputs, b.double(), rtol=1e-4, atol=1e-6)


def test_layers_whose_weights_are_used_twice_have_no_kronecker_factors() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.again, self.last = nn.Linear(3, 3), nn.Linear(3, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.again(self.again(x)))

    assert list(curvature.kronecker_layers(Twice(), torch.rand(2, 3))) == ["last"]


def blocks() -> list[tuple[Block, Tensor]]:
    """Blocks of a weight (2, 3) and a bias (2,), each with its precision as a matrix."""
    torch.manual_seed(3)
    weights = {"w": torch.zeros(2, 3), "b": torch.zeros(2)}
    root = torch.randn(8, 8, dtype=torch.float64)
    matrix = root @ root.T + torch.eye(8)
    a, b = (part @ part.T for part in (torch.randn(4, 4).double(), torch.randn(2, 2).double()))
    product = as_matrix(nn.Linear(3, 2), a, b) + 0.5 * torch.eye(8)
    return [
        (FullBlock(weights, matrix), matrix),
        (DiagonalBlock(weights, matrix.diagonal()), matrix.diagonal().diag()),
        (KroneckerBlock(weights, a, b, 0.5), product),
    ]


@pytest.mark.parametrize("number", range(3), ids=["full", "diagonal", "kronecker"])
def test_blocks_are_the_normal_distributions_of_their_precisions(number: int) -> None:
    block, precision = blocks()[number]
    gradient = {"w": torch.randn(2, 3), "b": torch.randn(2)}
    flat = torch.cat([gradient["w"].flatten(), gradient["b"]]).double()
    solved = torch.linalg.solve(precision, flat)
    assert block.log_determinant() == pytest.approx(torch.logdet(precision).item())
    assert block.squared_length(gradient) == pytest.approx((flat @ solved).item())
    found = block.solved(gradient)
    torch.testing.assert_close(torch.cat([found["w"].flatten(), found["b"]]), solved)
    draws = block.draw(40_000, torch.Generator().manual_seed(0))
    joint = torch.cat([draws["w"].flatten(1), draws["b"]], 1)
    covariance = torch.linalg.inv(precision)
    # Whitened, the sample covariance of 40,000 draws is the identity within five standard errors.
    root = torch.linalg.cholesky(precision)
    error = (root.T @ (joint.T.cov() - covariance) @ root).abs().max()
    assert error < 5 * (2 / 40_000) ** 0.5


def test_layers_that_are_no_product_of_two_factors_have_none() -> None:
    """Convolutions in groups, padded otherwise than with zeros or by a word, and a layer that is called twice."""
    again = nn.Conv2d(4, 4, 1)
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.Conv2d(4, 4, 3, groups=2),
        nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular"),
        nn.Conv2d(4, 4, 3, padding="same"),
        again,
        again,
        nn.Flatten(),
        nn.Linear(64, 2),
    )
    assert curvature.kronecker_layers(network, torch.rand(2, 1, 8, 8)).keys() == {"0", "7"}
