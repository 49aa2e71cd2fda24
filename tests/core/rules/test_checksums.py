"""A checksum shows every change of a tensor, also one that torch does not count."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from bnnbench.core.rules.checksums import COLUMNS, traces


def numbers(size: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(size, generator=torch.Generator().manual_seed(0)).to(dtype)


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.uint8]
)
@pytest.mark.parametrize("size", [1, 2, 7, 8, 4 * COLUMNS + 3])
def test_one_bit_changes_the_checksum(dtype: torch.dtype, size: int) -> None:
    for place in {0, size // 2, size - 1}:
        tensor = numbers(size, dtype)
        before = traces([tensor])
        tensor.data.view(torch.uint8)[place * tensor.element_size()] ^= 1
        (count, total), (count_before, total_before) = traces([tensor])[0], before[0]
        assert count == count_before
        assert total != total_before


@pytest.mark.parametrize(("one", "other"), [(0, 2), (1, 3), (0, 2 * COLUMNS + 2), (5, 4 * COLUMNS + 9)])
def test_exchanged_words_of_different_columns_change_the_checksum(one: int, other: int) -> None:
    tensor = numbers(6 * COLUMNS)
    before = traces([tensor])
    tensor.data[[one, other]] = tensor.data[[other, one]]
    assert traces([tensor]) != before


@pytest.mark.parametrize("shape", [(512, 784), (1024, 1024), (32, 1, 5, 5), (10, 512), (256,), (64, 64, 3, 3)])
def test_exchanged_draws_change_the_checksum(shape: tuple[int, ...]) -> None:
    tensor = torch.randn(4, *shape, generator=torch.Generator().manual_seed(0))
    before = traces([tensor])
    tensor.data[[0, 3]] = tensor.data[[3, 0]]
    assert traces([tensor]) != before


def test_a_change_that_was_undone_is_counted() -> None:
    tensor = numbers(10)
    before = traces([tensor])
    tensor.mul_(2).mul_(0.5)
    assert traces([tensor]) != before


def test_reading_changes_nothing() -> None:
    tensor = numbers(10).requires_grad_()
    before = traces([tensor])
    (tensor * 2).sum().backward()
    assert traces([tensor]) == before


def test_views_empty_tensors_and_scalars_have_checksums() -> None:
    base = numbers(21)
    views = [base[1:], base[:20].view(4, 5).T, base[:0], base[3], torch.tensor([True, False, True])]
    copies = [view.clone() for view in views]
    assert [total for _, total in traces(views)] == [total for _, total in traces(copies)]


def test_an_inference_tensor_has_a_checksum() -> None:
    with torch.inference_mode():
        tensor = numbers(9)
    before = traces([tensor])
    with torch.inference_mode():
        tensor[3] += 1
    assert traces([tensor]) != before


@pytest.fixture
def meta_by_default() -> Iterator[None]:
    torch.set_default_device("meta")
    yield
    torch.set_default_device(None)


def test_the_hosts_default_device_does_not_matter(meta_by_default: None) -> None:
    from bnnbench.core.rules import checksums

    tensor = torch.ones(3, device="cpu")
    checksums._factors.cache_clear()
    with_meta = traces([tensor])
    torch.set_default_device(None)
    checksums._factors.cache_clear()
    assert traces([tensor]) == with_meta
