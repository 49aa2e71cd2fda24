"""`initialise`: the seed alone decides the weights."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

import bnnbench as bb


def data(*shape: int, classes: int = 10) -> bb.Data:
    pair = (np.zeros((2, *shape), "f4"), np.array([0, classes - 1]))
    return bb.Data(train=pair, test=pair)


def test_initialise_draws_from_the_seed_and_nothing_else() -> None:
    template = bb.network("fc").build(data(2))
    state = torch.get_rng_state()
    first, again, other = bb.initialise(template, 1), bb.initialise(template, 1), bb.initialise(template, 2)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first[1].weight, again[1].weight)
    assert not torch.equal(first[1].weight, other[1].weight)
    assert not torch.equal(first[1].weight, template[1].weight)


def test_the_seed_decides_over_attention_too() -> None:
    layer = nn.MultiheadAttention(4, 2)
    first, again, other = (bb.initialise(layer, seed).state_dict() for seed in (0, 0, 1))
    assert torch.equal(first["in_proj_weight"], again["in_proj_weight"])
    assert not torch.equal(first["in_proj_weight"], other["in_proj_weight"])
    assert not torch.equal(first["in_proj_weight"], layer.state_dict()["in_proj_weight"])
