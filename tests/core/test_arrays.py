"""Every kind of array that a person may bring is read right at every edge, or refused there in one line."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pandas as pd
import pytest
import torch

import bnnbench as bb
from bnnbench.measurements.asked import threats_of

Kind = Callable[[np.ndarray], Any]

ROWS = torch.zeros(2, 2)
IDENTITY = bb.Predictive(torch.nn.Linear(2, 2, bias=False), {"weight": torch.eye(2)[None]})


def in_numpy(dtype: Any) -> Kind:
    return lambda values: values.astype(dtype)


def in_torch(dtype: torch.dtype) -> Kind:
    return lambda values: torch.tensor(values).to(dtype)


def in_jax(dtype: str) -> Kind:
    return lambda values: jnp.asarray(values).astype(dtype)


def table(dtype: Any) -> Kind:
    """A frame for two axes, a series for one."""
    return lambda values: (pd.DataFrame if values.ndim > 1 else pd.Series)(values).astype(dtype)


def read_only(values: np.ndarray) -> np.ndarray:
    copy = values.copy()
    copy.setflags(write=False)
    return copy


def with_missing(values: np.ndarray) -> Any:
    return table("Float64")(values).where(values < 1)


NUMPY_FLOATS = ["f2", "f4", "f8", ">f4", ">f8", np.longdouble]
SMALL_FLOATS = [getattr(ml_dtypes, name) for name in dir(ml_dtypes) if name.startswith(("bfloat", "float"))]
TORCH_FLOATS = [one for one in vars(torch).values() if isinstance(one, torch.dtype) and one.is_floating_point]
PACKED = torch.float4_e2m1fn_x2

FLOATS: dict[str, Kind] = {
    **{f"numpy {np.dtype(one)}": in_numpy(one) for one in (*NUMPY_FLOATS, *SMALL_FLOATS)},
    **{str(one): in_torch(one) for one in TORCH_FLOATS if one != PACKED},
    **{f"jax {one}": in_jax(one) for one in ("f2", "f4", "bfloat16", "float8_e5m2")},
    "strided": lambda v: np.repeat(v, 2, -1)[..., ::2],
    "backwards": lambda v: v[::-1].copy()[::-1],
    "read-only": read_only,
    "without masked values": np.ma.array,
    "tensor with a gradient": lambda v: torch.tensor(v, requires_grad=True),
    "transposed tensor": lambda v: torch.tensor(v.T.copy()).permute(*range(v.ndim)[::-1]),
    "negative view": lambda v: torch._neg_view(torch.tensor(-v)),
    "sparse tensor": lambda v: torch.tensor(v).to_sparse(),
    "frame": table(float),
    "frame of objects": table(object),
    "frame that may miss values": table("Float64"),
    "list": lambda v: v.tolist(),
    "list of arrays": list,
    "list of small arrays": lambda v: list(v.astype(ml_dtypes.bfloat16)),
    "list of tensors": lambda v: list(torch.tensor(v)),
    "list of tensors with gradients": lambda v: list(torch.tensor(v, requires_grad=True)),
    "list of small tensors": lambda v: list(torch.tensor(v, dtype=torch.bfloat16)),
    "list of jax": lambda v: list(jnp.asarray(v, jnp.bfloat16)),
}
INTEGERS: dict[str, Kind] = {
    **{f"numpy {one}": in_numpy(one) for one in ("i1", "i2", ">i4", "i8", "u1", "u2", "u4", "u8")},
    **{f"numpy {one}": in_numpy(getattr(ml_dtypes, one)) for one in ("int4", "uint4", "uint1")},
    **{
        f"torch {one}": in_torch(getattr(torch, one))
        for one in ("int8", "int64", "uint8", "uint16", "uint32", "uint64")
    },
    **{f"jax {one}": in_jax(one) for one in ("i4", "u1", "int4")},
    "frame": table(int),
    "frame of objects": lambda v: table(object)(v.astype(int)),
    "frame that may miss values": table("Int64"),
    "list": lambda v: v.astype(int).tolist(),
    "list of tensors": lambda v: list(torch.tensor(v).long()),
    "list of jax": lambda v: list(jnp.asarray(v, int)),
}
FLAGS: dict[str, Kind] = {
    "numpy": lambda v: v.astype(bool),
    "torch": lambda v: torch.tensor(v).bool(),
    "jax": lambda v: jnp.asarray(v, bool),
    "list": lambda v: v.astype(bool).tolist(),
    "frame": table(bool),
}
NO_NUMBERS: dict[str, Kind] = {
    "complex": lambda v: v + 1j,
    "complex tensor": lambda v: torch.tensor(v) + 1j,
    "complex of jax": lambda v: jnp.asarray(v) + 1j,
    "small complex": lambda v: v.astype(ml_dtypes.complex32) if hasattr(ml_dtypes, "complex32") else v + 1j,
    "masked": lambda v: np.ma.masked_equal(v, 1),
    "list of masked": lambda v: list(np.ma.masked_equal(v, 1)),
    "missing": with_missing,
    "dates": lambda v: v.astype("i8").astype("M8[s]"),
    "fields": lambda v: np.zeros(v.shape, [("a", "f4")]),
    "texts": lambda v: np.full(v.shape, "a"),
    "nothing": lambda v: None,
    "without storage": lambda v: torch.tensor(v, device="meta"),
    "packed": lambda v: torch.zeros(v.shape, dtype=torch.uint8).view(PACKED),
    "generator": lambda v: ((row, row) for row in v),
}
KINDS = {"floats": FLOATS, "integers": INTEGERS, "flags": FLAGS, "no numbers": NO_NUMBERS}


def outputs(value: Any) -> torch.Tensor:
    return bb.predictive(lambda x: value, outputs="logits").logits(ROWS)[0]


def weights(value: Any) -> torch.Tensor:
    network = torch.nn.Linear(2, 2, bias=False)
    return bb.predictive({"weight": value}, network=network, outputs="logits").draws["weight"][0]


# What each edge makes of a value, the word that its messages have, its axes, and the kinds that it takes.
EDGES: dict[str, tuple[Callable[[Any], Any], str, int, set[str]]] = {
    "inputs": (lambda v: IDENTITY.logits(v)[0], "inputs", 2, {"floats", "integers", "flags"}),
    "outputs": (outputs, "outputs|returns", 2, {"floats", "integers", "flags"}),
    "draws": (
        lambda v: torch.from_numpy(bb.Draws({"w": v}).arrays["w"].copy()),
        "the draws of 'w'",
        2,
        {"floats", "integers", "flags"},
    ),
    "weights": (weights, "weight", 2, {"floats", "integers", "flags"}),
    "data": (lambda v: bb.Data(test=(v, [0, 1])).test[0], "test inputs", 2, {"floats", "integers", "flags"}),
    "labels": (lambda v: bb.Data(test=(ROWS, v)).test[1], "test labels", 1, {"integers"}),
    "epsilon": (
        lambda v: torch.tensor([one.epsilon for one in threats_of(v, None)]),
        "epsilon",
        1,
        {"floats", "integers"},
    ),
}
PAIRS = [(edge, group, name) for edge in EDGES for group, kinds in KINDS.items() for name in kinds]
PAIRS.remove(("epsilon", "no numbers", "generator"))  # Its items are refused one by one, as those of a list.
VALUES = {"floats": np.array([[0.5, 1.0], [1.0, 0.5]])}  # All small types have these.


@pytest.mark.parametrize(("edge", "group", "name"), PAIRS)
def test_each_kind_is_read_or_refused_at_each_edge(edge: str, group: str, name: str) -> None:
    read, word, axes, taken = EDGES[edge]
    values = VALUES.get(group, np.array([[0.0, 1.0], [1.0, 1.0]]))
    values = values if axes == 2 else values[0]
    given = KINDS[group][name](values)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if group in taken:
            assert np.array_equal(read(given).detach().double().numpy(), values)
            return
        with pytest.raises((TypeError, ValueError, bb.NetworkError), match=word) as caught:
            read(given)
    assert "\n" not in str(caught.value)
    assert "out.logits" not in str(caught.value) or given is None or name == "generator"


SHORT: list[tuple[Kind, float]] = [
    (in_torch(torch.bfloat16), 2**-7),
    (in_torch(torch.float8_e4m3fn), 2**-3),
    (in_jax("bfloat16"), 2**-7),
    (in_jax("float8_e5m2"), 2**-2),
    (in_numpy("f2"), 2**-10),
    (lambda value: list(in_torch(torch.bfloat16)(value)), 2**-7),
]


@pytest.mark.parametrize(("kind", "precision"), SHORT)
def test_inputs_may_miss_the_box_by_the_rounding_of_their_type(kind: Kind, precision: float) -> None:
    def data(largest: float) -> bb.Data:
        return bb.Data(test=(kind(np.array([[0.0, largest], [0.5, 0.25]])), [0, 1]))

    assert data(1 + 2 * precision).test[0].max() == 1
    with pytest.raises(bb.InvalidData, match="outside the box"):
        data(1 + 8 * precision)


@pytest.mark.parametrize(("kind", "precision"), SHORT)
def test_attacked_inputs_may_miss_the_box_by_the_rounding_of_their_type(kind: Kind, precision: float) -> None:
    def attacked(largest: float) -> Any:
        return bb.attack("fgsm").run(torch.nn.Linear(2, 2), kind(np.array([[0.0, largest], [0.5, 0.25]])), [0, 1], 0.1)

    assert len(attacked(1 + 2 * precision)) == 2
    with pytest.raises(bb.InvalidData, match="outside the box"):
        attacked(1 + 8 * precision)


def test_rows_that_a_module_returns_keep_their_gradient() -> None:
    class Rows(torch.nn.Linear):
        def forward(self, x: torch.Tensor) -> Any:
            return list(super().forward(x))

    x = torch.rand(2, 2, requires_grad=True)
    (gradient,) = torch.autograd.grad(bb.predictive(Rows(2, 3), outputs="logits").logits(x).square().sum(), x)
    assert gradient.abs().min() > 0


def test_what_a_function_returns_is_copied() -> None:
    """A function may write into the array that it returned before."""
    buffer = np.ones((2, 2), np.float32)
    values = outputs(buffer)
    buffer[:] = 7
    assert torch.equal(values, torch.ones(2, 2))


@pytest.mark.parametrize("given", [pd.DataFrame({0.1: [0.5], 0.2: [1.0]}), np.ones((2, 2)), torch.ones(2, 2)])
def test_tables_are_no_list_of_radii(given: Any) -> None:
    """The items of a frame are the names of its columns, and those of a matrix are rows."""
    with pytest.raises(TypeError, match="epsilon is one value or a list of them, not a"):
        threats_of(given, None)
