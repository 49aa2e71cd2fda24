"""Full precision unless TF32 is asked for, and bounded memory, on a real GPU."""

from __future__ import annotations

import torch
from real_gpu import MARKS, ensemble
from torch import nn

import bnnbench as bb
from bnnbench.core.computing import asking
from bnnbench.core.standard_settings import standard_settings

pytestmark = MARKS
GIB = 2**30


def errors() -> tuple[float, float]:
    """The largest relative errors of a product of matrices and of a convolution, against float64."""
    generator = torch.Generator().manual_seed(0)
    left, right = (torch.randn(512, 512, generator=generator).cuda() for _ in range(2))
    images, weight = torch.rand(4, 16, 32, 32, generator=generator).cuda(), torch.randn(16, 16, 3, 3).cuda()
    with standard_settings(), torch.no_grad():
        pairs = (
            (left @ right, left.double() @ right.double()),
            (nn.functional.conv2d(images, weight), nn.functional.conv2d(images.double(), weight.double())),
        )
        product, convolution = (float((one - exact).abs().max() / exact.abs().max()) for one, exact in pairs)
    return product, convolution


def test_products_and_convolutions_are_in_full_precision() -> None:
    assert max(errors()) < 2e-5


def test_tf32_is_used_where_it_is_asked_for() -> None:
    if torch.cuda.get_device_capability() < (8, 0):
        return  # Older GPUs have no TF32.
    with asking(tf32=True):
        product, _ = errors()
    assert product > 2e-5


def test_the_settings_of_the_program_are_put_back() -> None:
    before = torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()
    errors()
    assert (torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()) == before


def test_the_memory_of_many_draws_and_images_is_bounded() -> None:
    """50 draws at 10,000 images: beside draws and images, no more than the budgets of `batching` and `chunks`."""
    network, draws = ensemble((784, 512, 512, 10), 50)
    predictive = bb.Predictive(network.cuda(), draws)
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(10_000, 784, generator=generator).cuda()
    y = torch.randint(0, 10, (10_000,), generator=generator).cuda()
    for objective in ("predictive-nll", "log-margin"):
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        direction = predictive.direction(x, y, objective)
        torch.cuda.synchronize()
        assert direction.shape == x.shape
        assert torch.cuda.max_memory_allocated() - before < 4 * GIB


def test_attacks_leave_no_memory_behind() -> None:
    network, draws = ensemble((784, 128, 10), 20)
    predictive, attack = bb.Predictive(network.cuda(), draws), bb.attack("pgd", steps=3)
    x, y = torch.rand(200, 784).cuda(), torch.zeros(200, dtype=torch.long).cuda()
    attack(predictive, x, y, bb.Threat(0.1), seed=0)
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    for seed in range(3):
        attack(predictive, x, y, bb.Threat(0.1), seed=seed)
    torch.cuda.synchronize()
    assert torch.cuda.memory_allocated() - before < 2**20
