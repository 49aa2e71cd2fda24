"""Two results of an attack agree up to rounding, and results of other random numbers do not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from bnnbench.core.rules.repetition import FLIPPED, agree_up_to_rounding, repeats

EPSILON = 0.1


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(*shape: int) -> Tensor:
    return torch.rand(shape, generator=generator(0)) * 0.6 + 0.2


def signs(x: Tensor, seed: int) -> Tensor:
    return x + EPSILON * torch.randn(x.shape, generator=generator(seed)).sign()


def uniform(x: Tensor, seed: int) -> Tensor:
    return x + EPSILON * (2 * torch.rand(x.shape, generator=generator(seed)) - 1)


def in_l2(x: Tensor, seed: int) -> Tensor:
    noise = torch.randn(x.shape, generator=generator(seed)).flatten(1)
    return x + EPSILON * (noise / noise.norm(dim=1, keepdim=True)).view_as(x)


NOISES = [signs, uniform, in_l2]


def flipped(x: Tensor, made: Tensor, count: int) -> Tensor:
    """The result with the perturbation of the first coordinates the other way round."""
    delta = (made - x).flatten()
    delta[:count] *= -1
    return x + delta.view_as(x)


@pytest.mark.parametrize("noise", NOISES)
def test_rounding_is_allowed(noise: Callable[[Tensor, int], Tensor]) -> None:
    x = images(2, 1, 28, 28)
    made = noise(x, 1)
    rounded = x + (made - x) * (1 + 1e-5 * torch.randn(x.shape, generator=generator(2)))
    assert not torch.equal(made, rounded)
    assert agree_up_to_rounding(x, made, rounded)
    assert agree_up_to_rounding(x, rounded, made)


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("shape", [(2, 2), (2, 784), (2, 3, 32, 32)])
def test_other_random_numbers_are_noticed(noise: Callable[[Tensor, int], Tensor], shape: tuple[int, ...]) -> None:
    x = images(*shape)
    assert agree_up_to_rounding(x, noise(x, 1), noise(x, 1))
    assert not agree_up_to_rounding(x, noise(x, 1), noise(x, 2))


def test_a_small_share_of_signs_may_flip() -> None:
    x = images(2, 1, 28, 28)
    made, allowed = signs(x, 1), int(FLIPPED * x.numel())
    assert agree_up_to_rounding(x, made, flipped(x, made, allowed))
    assert not agree_up_to_rounding(x, made, flipped(x, made, allowed + 1))


def test_no_sign_may_flip_among_few_coordinates() -> None:
    x = images(2, 2)
    made = signs(x, 1)
    assert not agree_up_to_rounding(x, made, flipped(x, made, 1))


def test_images_that_are_not_perturbed_agree() -> None:
    x = images(2, 10)
    assert agree_up_to_rounding(x, x, x.clone())
    assert agree_up_to_rounding(x, x, x * (1 + torch.finfo(x.dtype).eps))
    assert not agree_up_to_rounding(x, x, x + 1e-3)


def test_the_scale_of_one_image_excuses_no_other() -> None:
    x = images(2, 100)
    far, near = x[:1] + 10, x[1:]
    assert not agree_up_to_rounding(x, torch.cat([far, near + 1e-3]), torch.cat([far, near - 1e-3]))


def test_a_cpu_must_give_the_same_bits() -> None:
    x = images(2, 784)
    made = signs(x, 1)
    rounded = made.clone()
    rounded[0, 0] += 1e-7
    assert repeats(x, made, made.clone(), torch.device("cpu"))
    assert not repeats(x, made, rounded, torch.device("cpu"))
    assert repeats(x, made, rounded, torch.device("cuda"))
