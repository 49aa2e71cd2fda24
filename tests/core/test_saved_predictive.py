"""Predictives that were saved load to the same answers, or are refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import bnnbench as bb
from bnnbench.core.draws_file import write_draws


def test_saved_predictives_load_to_the_same_answers(tmp_path: object) -> None:
    x, y = np.zeros((4, 3), "f4"), np.array([0, 1, 1, 0])
    data = bb.Data(train=(x, y), test=(x, y))
    network = bb.network("fc", hidden=(5,)).build(data)
    generator = np.random.default_rng(0)
    # Transposed on purpose: safetensors silently corrupts arrays that are not contiguous.
    arrays = {
        name: np.moveaxis(generator.normal(size=(*tensor.shape, 6)), -1, 0).astype("f4", order="K")
        for name, tensor in network.state_dict().items()
    }
    predictive = bb.Predictive(network, arrays)
    predictive.save(f"{tmp_path}/p.safetensors")
    loaded = bb.load(f"{tmp_path}/p.safetensors")
    points = torch.rand(9, 3)
    assert torch.equal(predictive.logits(points), loaded.logits(points))


@pytest.mark.parametrize(
    ("recipe", "reason"),
    [
        ({"posterior": {"use": "saved", "parameters": {"path": "/etc/passwd"}}}, "posterior saved, which reads files"),
        ({"posterior": {"use": "sgd", "parameters": {"epoch": 1}}}, "did you mean 'epochs'"),
        ({"posterior": {"parameters": {}}}, "cannot be made"),
        ({"network": {"use": "fc", "parameters": {}}, "shape": [2]}, "recipe of its network cannot be followed"),
    ],
)
def test_a_file_of_draws_with_a_wrong_recipe_is_refused(tmp_path: Path, recipe: dict, reason: str) -> None:
    write_draws(tmp_path / "crafted", bb.Draws({"weight": np.ones((1, 1, 2, 2))}), recipe)
    with pytest.raises(bb.StoreError, match=rf"crafted.*{reason}"):
        bb.load(tmp_path / "crafted", None if "network" in recipe else torch.nn.Linear(2, 2))


class Wrapped(torch.nn.Module):
    """Returns a mapping, in which `logits` are what `form` makes of its scores."""

    def __init__(self, form: Callable[[torch.Tensor], torch.Tensor], key: str | None = None) -> None:
        super().__init__()
        self.inner, self.form, self.key = torch.nn.Linear(4, 3), form, key

    def forward(self, x: torch.Tensor) -> Any:
        scores = self.form(3 * self.inner(x))
        return {self.key: scores} if self.key else scores


def softmax(scores: torch.Tensor) -> torch.Tensor:
    return scores.softmax(1)


def test_what_is_declared_of_outputs_and_box_is_saved(tmp_path: Path) -> None:
    path, points = tmp_path / "p.safetensors", torch.rand(9, 4)
    models = [Wrapped(softmax) for _ in range(3)]
    predictive = bb.predictive(models, outputs="probabilities", bounds=(-1, 2))
    predictive.save(path)
    loaded = bb.load(path, models[0])
    assert torch.equal(loaded.logits(points), predictive.logits(points))
    assert loaded.bounds == (-1, 2)
    again = tmp_path / "again.safetensors"
    loaded.save(again)
    assert torch.equal(bb.load(again, models[0]).logits(points), predictive.logits(points))
    assert torch.equal(bb.load(path, predictive.network).logits(points), predictive.logits(points))
    declared = bb.Predictive(
        models[0], {name: value[None] for name, value in models[0].state_dict().items()}, outputs="probabilities"
    )
    declared.save(path)
    assert torch.equal(bb.load(path, models[0]).logits(points), declared.logits(points))
    assert not models[0]._forward_hooks


def test_a_function_that_takes_the_logits_is_given_again(tmp_path: Path) -> None:
    path, points = tmp_path / "p.safetensors", torch.rand(9, 4)
    model = Wrapped(softmax, "scores")
    predictive = bb.predictive(model, outputs="probabilities", output=lambda out: out["scores"])
    predictive.save(path)
    with pytest.raises(bb.StoreError, match=r"load\(path, network, output=\)"):
        bb.load(path, model)
    loaded = bb.load(path, model, output=lambda out: out["scores"])
    assert torch.equal(loaded.logits(points), predictive.logits(points))


@pytest.mark.parametrize("header", [{"outputs": "softmax"}, {"bounds": [1, 0]}, {"bounds": "01"}, {"outputs": []}])
def test_declarations_of_a_crafted_file_are_checked(tmp_path: Path, header: dict[str, Any]) -> None:
    write_draws(tmp_path / "crafted", bb.Draws({"weight": np.ones((1, 1, 2, 2))}), header)
    with pytest.raises(bb.StoreError, match="crafted does not hold a predictive written by bnnbench"):
        bb.load(tmp_path / "crafted", torch.nn.Linear(2, 2, bias=False))


def test_wrong_arguments_of_save_and_load_are_named(tmp_path: Path) -> None:
    predictive = bb.predictive(torch.nn.Linear(2, 2))
    with pytest.raises(TypeError, match="path is the path of a file, not None"):
        predictive.save(None)  # type: ignore[arg-type]
    with pytest.raises(bb.StoreError, match=r"no/folder cannot be written"):
        predictive.save(tmp_path / "no" / "folder")
    with pytest.raises(TypeError, match="path is the path of a saved predictive, not 3"):
        bb.load(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"network is a torch.nn.Module, not the class Linear"):
        bb.load(tmp_path / "p", torch.nn.Linear)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="output is a function, such as"):
        bb.load(tmp_path / "p", output="logits")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="load has no argument 'net'; did you mean 'network'"):
        bb.load(tmp_path / "p", net=None)  # type: ignore[call-arg]


def test_a_network_of_ones_own_is_asked_for_when_loading(tmp_path: object) -> None:
    network = torch.nn.Linear(2, 2)
    predictive = bb.Predictive(network, {"weight": np.ones((3, 2, 2), "f4"), "bias": np.zeros((3, 2), "f4")})
    predictive.save(f"{tmp_path}/p.safetensors")
    with pytest.raises(bb.StoreError, match=r"load\(path, network\)"):
        bb.load(f"{tmp_path}/p.safetensors")
    assert torch.equal(bb.load(f"{tmp_path}/p.safetensors", network).draws["weight"], predictive.draws["weight"])
