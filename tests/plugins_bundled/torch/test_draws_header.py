"""The check of saved draws by the header of their file alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import bnnbench as bb


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))


def data() -> bb.Data:
    x = torch.rand(4, 2)
    return bb.Data(train=(x, torch.arange(4) % 2), test=(x, torch.arange(4) % 2))


def contents(draws: int = 4) -> dict[str, torch.Tensor]:
    return {name: torch.rand(draws, *array.shape) for name, array in network().state_dict().items()}


def saved(folder: Path, arrays: dict[str, torch.Tensor]) -> bb.Posterior:
    save_file({name: array.contiguous() for name, array in arrays.items()}, folder / "draws.safetensors")
    found: bb.Posterior = bb.posterior("saved", path=str(folder / "draws.safetensors"))
    return found


def test_files_that_fit_the_network_pass(tmp_path: Path) -> None:
    arrays = contents()
    saved(tmp_path, arrays).check(network(), data())
    for name in ("1.running_mean", "1.num_batches_tracked"):  # A buffer may be there once.
        arrays[name] = network().state_dict()[name]
    saved(tmp_path, arrays).check(network(), data())
    saved(tmp_path, {name: array.to(torch.bfloat16) for name, array in arrays.items()}).check(network(), data())


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"0.weight": None}, "lacks 0.weight"),
        ({"more": torch.zeros(4, 2)}, "holds more, unknown to the network"),
        ({"0.weight": torch.zeros(4, 2, 2)}, "0.weight has shape (4, 2, 2), not (draws, 3, 2)"),
        ({"0.weight": torch.zeros(3, 2)}, "0.weight has shape (3, 2), not (draws, 3, 2)"),
    ],
)
def test_a_header_that_does_not_fit_is_refused(
    changes: dict[str, torch.Tensor | None], reason: str, tmp_path: Path
) -> None:
    arrays = {name: array for name, array in {**contents(), **changes}.items() if array is not None}
    with pytest.raises(bb.DataError, match=re.escape(reason)):
        saved(tmp_path, arrays).check(network(), data())


def test_files_of_bnnbench_have_an_axis_of_chains(tmp_path: Path) -> None:
    arrays = {name: torch.rand(2, 3, *weight.shape) for name, weight in network().named_parameters()}
    shared = dict(network().named_buffers())
    bb.Predictive(network(), bb.Draws(arrays, shared=shared)).save(tmp_path / "own.safetensors")
    own = bb.posterior("saved", path=str(tmp_path / "own.safetensors"))
    own.check(network(), data())
    with pytest.raises(bb.DataError, match=re.escape("0.bias has shape (2, 3, 3), not (chains, draws, 5)")):
        own.check(nn.Sequential(nn.Linear(2, 5), nn.BatchNorm1d(5), nn.Linear(5, 2)), data())


@pytest.mark.parametrize("content", [b"", b"\0" * 8, b"\xff" * 100])
def test_a_file_that_is_none_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "draws.safetensors").write_bytes(content)
    with pytest.raises(bb.DataError, match=r"draws\.safetensors is not a safetensors file"):
        bb.posterior("saved", path=str(tmp_path / "draws.safetensors")).check(network(), data())
