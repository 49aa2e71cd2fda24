"""Predictives that were saved load to the same answers, or are refused."""

from __future__ import annotations

from pathlib import Path

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


def test_a_network_of_ones_own_is_asked_for_when_loading(tmp_path: object) -> None:
    network = torch.nn.Linear(2, 2)
    predictive = bb.Predictive(network, {"weight": np.ones((3, 2, 2), "f4"), "bias": np.zeros((3, 2), "f4")})
    predictive.save(f"{tmp_path}/p.safetensors")
    with pytest.raises(bb.StoreError, match=r"load\(path, network\)"):
        bb.load(f"{tmp_path}/p.safetensors")
    assert torch.equal(bb.load(f"{tmp_path}/p.safetensors", network).draws["weight"], predictive.draws["weight"])
