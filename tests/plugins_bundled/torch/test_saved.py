"""Draws from a file."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from bnnbench_plugins.torch.saved import Saved
from safetensors.torch import save_file
from torch import nn

import bnnbench as bb

DATA = bb.Data(train=(np.zeros((2, 2)), np.array([0, 1])), test=(np.zeros((1, 2)), np.array([0])))


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)).eval()


def contents(draws: int = 6) -> dict[str, torch.Tensor]:
    """Draw number d is filled with the number d; the buffers stand once."""
    state = network().state_dict()
    numbers = torch.arange(float(draws))
    arrays = {
        name: numbers.reshape(-1, *[1] * tensor.ndim).expand(draws, *tensor.shape).contiguous()
        for name, tensor in state.items()
        if "running" not in name and "num_batches" not in name
    }
    return arrays | {name: tensor for name, tensor in state.items() if name not in arrays}


def written(folder: Path, arrays: dict[str, torch.Tensor]) -> str:
    save_file(arrays, folder / "draws.safetensors")
    return str(folder / "draws.safetensors")


def read(path: str, **parameters: int) -> bb.Draws:
    return Saved(path=path, **parameters).fit(network(), DATA, seed=0)


def numbers_kept(draws: bb.Draws) -> list[list[float]]:
    return draws.arrays["0.weight"][:, :, 0, 0].tolist()


def test_a_fitted_ensemble_comes_back_from_a_file(tmp_path: Path) -> None:
    rng = torch.Generator().manual_seed(0)
    arrays = contents(5)
    for name in dict(network().named_parameters()):
        arrays[name] = torch.randn(arrays[name].shape, generator=rng)
    template = network()
    expected = bb.Predictive(template, {name: arrays[name] for name in dict(template.named_parameters())})
    found = bb.fit(Saved(path=written(tmp_path, arrays)), template, DATA, device="cpu")
    x = torch.rand(7, 2, generator=rng)
    assert torch.equal(found.logits(x), expected.logits(x))


def test_all_draws_are_kept_when_the_file_has_no_more(tmp_path: Path) -> None:
    draws = read(written(tmp_path, contents(6)))
    assert numbers_kept(draws) == [[0, 1, 2, 3, 4, 5]]
    assert draws.diagnostics == {"stored_draws": 6}


@pytest.mark.parametrize(
    ("draws", "chains", "kept"),
    [
        (3, 1, [[1, 3, 5]]),
        (1, 1, [[3]]),
        (2, 2, [[1], [4]]),
        (4, 2, [[0, 2], [3, 5]]),
        (6, 3, [[0, 1], [2, 3], [4, 5]]),
    ],
)
def test_fewer_are_evenly_spaced_within_each_chain(tmp_path: Path, draws: int, chains: int, kept: list) -> None:
    assert numbers_kept(read(written(tmp_path, contents(6)), draws=draws, chains=chains)) == kept


def test_a_buffer_stands_once_or_for_each_draw(tmp_path: Path) -> None:
    arrays = contents(2)
    arrays["1.running_mean"] = torch.tensor([[1.0, 2, 3], [4, 5, 6]])
    draws = read(written(tmp_path, arrays))
    assert draws.arrays["1.running_mean"].tolist() == [[[1, 2, 3], [4, 5, 6]]]
    assert draws.shared.keys() == {"1.running_var", "1.num_batches_tracked"}
    assert draws.shared["1.num_batches_tracked"].dtype == np.int64


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_another_precision_becomes_the_networks(tmp_path: Path, dtype: torch.dtype) -> None:
    arrays = {name: tensor.to(dtype) if tensor.is_floating_point() else tensor for name, tensor in contents().items()}
    draws = read(written(tmp_path, arrays))
    assert draws.arrays["0.weight"].dtype == np.float32
    assert numbers_kept(draws) == [[0, 1, 2, 3, 4, 5]]


def test_tied_weights_stand_under_their_first_name(tmp_path: Path) -> None:
    tied = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    tied[1].weight = tied[0].weight
    path = written(tmp_path, {"0.weight": torch.ones(3, 2, 2), "0.bias": torch.ones(3, 2), "1.bias": torch.ones(3, 2)})
    predictive = bb.fit(Saved(path=path), tied, DATA, device="cpu")
    assert torch.equal(predictive.logits(torch.zeros(1, 2)), torch.full((3, 1, 2), 3.0))


def changed(**changes: torch.Tensor | None) -> dict[str, torch.Tensor]:
    arrays: dict[str, torch.Tensor | None] = contents() | {
        name.replace("__", "."): new for name, new in changes.items()
    }
    return {name: tensor for name, tensor in arrays.items() if tensor is not None}


@pytest.mark.parametrize(
    ("arrays", "fault"),
    [
        (changed(**{"0__bias": None}), r"lacks 0\.bias"),
        (changed(**{"1__running_var": None}), r"lacks 1\.running_var"),
        (changed(**{"7__bias": torch.ones(1)}), r"holds 7\.bias, unknown to the network"),
        (changed(**{"0__weight": torch.ones(6, 2, 3)}), r"0\.weight has shape \(6, 2, 3\), not \(draws, 3, 2\)"),
        (changed(**{"0__weight": torch.ones(3, 2)}), r"0\.weight has shape \(3, 2\), not \(draws, 3, 2\)"),
        (changed(**{"0__weight": torch.tensor(1.0)}), r"0\.weight has shape \(\), not \(draws, 3, 2\)"),
        (changed(**{"0__bias": torch.ones(5, 3)}), r"different numbers of draws: .*5 of 0\.bias"),
        (changed(**{"0__bias": torch.full((6, 3), torch.nan)}), r"0\.bias is not finite"),
        (
            changed(**{"0__bias": torch.full((6, 3), 1e39, dtype=torch.float64)}),
            r"0\.bias is not finite as torch.float32",
        ),
        (changed(**{"0__bias": torch.ones(6, 3, dtype=torch.int64)}), r"0\.bias is torch\.int64"),
        (contents(0), "holds 0 draws"),
    ],
)
def test_a_file_that_does_not_fit_the_network_is_named_with_its_fault(
    tmp_path: Path, arrays: dict[str, torch.Tensor], fault: str
) -> None:
    with pytest.raises(bb.DataError, match=rf"draws\.safetensors.*{fault}"):
        read(written(tmp_path, arrays))


def test_chains_must_share_the_draws_equally(tmp_path: Path) -> None:
    with pytest.raises(bb.DataError, match="6 draws, which 4 chains cannot share"):
        read(written(tmp_path, contents(6)), draws=4, chains=4)
    with pytest.raises(bb.ParameterError, match="multiple of chains"):
        Saved(draws=5, chains=2)


def test_without_chains_the_file_says_how_many(tmp_path: Path) -> None:
    network, path = nn.Linear(2, 1), str(tmp_path / "own.safetensors")
    numbers = np.arange(6, dtype="f4").reshape(2, 3, 1)
    arrays = {"weight": numbers[..., None].repeat(2, -1), "bias": numbers}
    bb.Predictive(network, bb.Draws(arrays)).save(path)
    kept = {draws: Saved(path=path, draws=draws).fit(network, DATA, seed=0).arrays["bias"][..., 0] for draws in (50, 5)}
    assert kept[50].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert kept[5].tolist() == [[0, 2], [3, 5]]
    with pytest.raises(bb.DataError, match="draws of 2 chains, not 3"):
        Saved(path=path, draws=3, chains=3).fit(network, DATA, seed=0)
    with pytest.raises(bb.DataError, match=r"draws \(1\) must be at least as many"):
        Saved(path=path, draws=1).fit(network, DATA, seed=0)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(bb.DataError, match="needs a path"):
        read("")
    with pytest.raises(bb.DataError, match="no such file"):
        read(str(tmp_path / "absent"))
    with pytest.raises(bb.DataError, match="no such file"):
        read(str(tmp_path))
    damaged = Path(written(tmp_path, contents()))
    damaged.write_bytes(damaged.read_bytes()[:-1])
    with pytest.raises(bb.DataError, match="not a safetensors file"):
        read(str(damaged))
    save_file({}, tmp_path / "empty", metadata={"bnnbench": "{}"})
    with pytest.raises(bb.DataError, match="does not hold draws"):
        read(str(tmp_path / "empty"))
    (tmp_path / "pickle.pt").write_bytes(b"\x80\x04K\x01.")
    with pytest.raises(bb.DataError, match="not a safetensors file"):
        read(str(tmp_path / "pickle.pt"))


def test_the_content_is_the_identity_not_the_path(tmp_path: Path) -> None:
    first = Path(written(tmp_path, contents()))
    second = first.rename(tmp_path / "elsewhere")
    Path(written(tmp_path, contents(5)))
    same, other = Saved(path=str(second)).identity(), Saved(path=str(first)).identity()
    assert same["parameters"] == {"draws": 50, "chains": None}
    assert same["fingerprint"] != other["fingerprint"]
    save_file(contents(), first)
    assert Saved(path=str(first)).identity() == same
    with pytest.raises(bb.DataError, match="needs a path"):
        Saved().fingerprint()


def test_a_file_that_bnnbench_saved_will_do_as_it_is(tmp_path: Path) -> None:
    network = nn.Linear(3, 2)
    rng = np.random.default_rng(0)
    own = bb.Predictive(
        network,
        bb.Draws({name: rng.normal(size=(2, 3, *w.shape)).astype("f4") for name, w in network.state_dict().items()}),
    )
    own.save(tmp_path / "own.safetensors")
    draws = bb.posterior("saved", path=str(tmp_path / "own.safetensors"), chains=2, draws=6).fit(network, DATA, seed=0)
    assert {name: array.shape for name, array in draws.arrays.items()} == {"weight": (2, 3, 2, 3), "bias": (2, 3, 2)}
    assert np.array_equal(draws.flat()["weight"], own.draws["weight"].numpy())
    with pytest.raises(bb.DataError, match="weight have shape"):
        bb.posterior("saved", path=str(tmp_path / "own.safetensors")).fit(nn.Linear(4, 2), DATA, seed=0)


def of_a_stranger(folder: Path, header: object, arrays: dict[str, torch.Tensor] | None = None) -> Path:
    """A file that says of itself that bnnbench has written it: draws of the network `fc` by default."""
    layers = nn.Sequential(nn.Flatten(), nn.Linear(2, 3), nn.LeakyReLU(), nn.Linear(3, 2))
    own = {name: torch.ones(1, 4, *weight.shape) for name, weight in layers.state_dict().items()}
    path = folder / "theirs.safetensors"
    save_file(own if arrays is None else arrays, path, metadata={"bnnbench": json.dumps(header)})
    return path


FC = {"network": {"use": "fc", "parameters": {"hidden": [3]}}, "shape": [2], "classes": 2, "posterior": None}


def test_a_recipe_in_order_is_followed(tmp_path: Path) -> None:
    assert len(bb.load(of_a_stranger(tmp_path, FC | {"diagnostics": {}}))) == 4
    convolutional = bb.network("conv", hidden=2).build(
        bb.Data(train=(np.zeros((2, 1, 16, 16)), [0, 1]), test=(np.zeros((1, 1, 16, 16)), [0]))
    )
    weights = {name: torch.rand(3, *weight.shape) for name, weight in convolutional.state_dict().items()}
    bb.Predictive(convolutional, weights).save(tmp_path / "conv.safetensors")
    x = torch.rand(5, 1, 16, 16)
    assert torch.equal(
        bb.load(tmp_path / "conv.safetensors").logits(x), bb.Predictive(convolutional, weights).logits(x)
    )


@pytest.mark.parametrize("header", [[], 1, None, "x", {"diagnostics": 3}, {"diagnostics": []}])
def test_a_header_that_is_none_is_refused(tmp_path: Path, header: object) -> None:
    for network in (None, nn.Linear(2, 2)):
        with pytest.raises(bb.StoreError, match="does not hold draws written by bnnbench"):
            bb.load(of_a_stranger(tmp_path, header), network)


def test_a_header_that_is_nested_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "theirs.safetensors"
    save_file({"weight": torch.ones(1, 4, 2, 2)}, path, metadata={"bnnbench": "[" * 100_000})
    with pytest.raises(bb.StoreError, match="does not hold draws written by bnnbench"):
        bb.load(path)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float8_e4m3fn, torch.complex64])
def test_draws_of_a_type_that_a_predictive_has_not_are_refused(tmp_path: Path, dtype: torch.dtype) -> None:
    path = of_a_stranger(tmp_path, FC, {"weight": torch.zeros(1, 4, 2, 2, dtype=dtype)})
    with pytest.raises(bb.StoreError, match="does not hold draws written by bnnbench"):
        bb.load(path)


@pytest.mark.parametrize(
    "changes",
    [
        *({"shape": shape} for shape in ([10**14], [1e14], [10**30], [-1], [0], [], [True], ["2"], 2, None, {"2": 2})),
        *({"shape": shape} for shape in ([2**13] * 3, [3], [1] * 200)),
        *({"classes": classes} for classes in (10**13, 10**30, 1, 0, -1, 3, 2.0, True, "2", None, [])),
        *({"network": {"use": "fc", "parameters": {"hidden": hidden}}} for hidden in ([4 * 10**12], [10**12] * 5, [4])),
        {"network": {"use": "fc", "parameters": {"hidden": [10**30]}}},
        {"network": {"use": "conv", "parameters": {}}},
        {"network": {"use": 3, "parameters": {}}},
        {"network": {"use": "fc", "parameters": []}},
        {"network": {"use": "fc", "parameters": {"hidden": {}}}},
        {"network": "fc"},
        {"network": 3},
        {"posterior": 3},
        {"posterior": {"use": [], "parameters": {}}},
    ],
    ids=str,
)
def test_a_recipe_that_is_not_of_these_draws_is_one_line_and_takes_no_memory(
    tmp_path: Path, changes: dict[str, object]
) -> None:
    with pytest.raises(bb.StoreError, match="theirs") as caught:
        bb.load(of_a_stranger(tmp_path, FC | changes))
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < len(str(tmp_path)) + 1200


@pytest.mark.parametrize(
    ("told", "level"),
    [({"unfinished": "it was stopped"}, "short"), ({"divergences": np.ones((1, 20), bool)}, "degenerate")],
)
def test_what_was_said_of_the_draws_counts_when_they_are_read_again(
    tmp_path: Path, told: dict[str, object], level: str
) -> None:
    template, generator = nn.Linear(2, 2), np.random.default_rng(0)
    arrays = {name: generator.normal(size=(1, 600, *one.shape)) for name, one in template.state_dict().items()}
    bb.Predictive(template, bb.Draws(arrays, diagnostics=told)).save(tmp_path / "draws.safetensors")
    read_again = bb.fit(Saved(path=str(tmp_path / "draws.safetensors"), draws=300), template, DATA)
    assert bb.posterior_card(read_again, DATA)["level"] == level


def test_a_pipe_is_no_file_of_draws(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(bb.StoreError, match="no plain file"):
        bb.load(tmp_path / "pipe")
