"""Data in the forms that people bring are taken, and data that break a rule are refused with a reason."""

from __future__ import annotations

import warnings
from typing import Any

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import torch

import bnnbench as bb
from bnnbench.core.dataset import check_training, checksum, checksum_of_test

MEAN, DEVIATION = 0.1307, 0.3081
NORMALISED = ((0 - MEAN) / DEVIATION, (1 - MEAN) / DEVIATION)
X = torch.linspace(0, 1, 160).reshape(40, 4)
Y = torch.arange(40) % 2


def data(x: Any, y: Any = Y, **further: Any) -> bb.Data:
    return bb.Data(train=(x, y), test=(x, y), **further)


@pytest.mark.parametrize(
    ("train", "test", "reason"),
    [
        ((np.ones((3, 2)) * 2, np.zeros(3, int)), None, "outside the box"),
        ((np.full((3, 2), np.nan), np.zeros(3, int)), None, "finite"),
        ((np.ones((3, 2)), np.zeros(2, int)), None, r"labels of shape \(2,\) for 3 inputs"),
        ((np.ones((3, 2)), np.zeros(3)), None, "not integers"),
        ((np.ones((3, 2)), np.array([0, 1, -1])), None, "negative label"),
        ((np.ones(3), np.zeros(3, int)), None, "was expected"),
        ((np.ones((3, 2)), np.array([0, 1, 0])), (np.ones((3, 3)), np.array([0, 1, 0])), "test inputs"),
        ((np.ones((3, 2)), np.zeros(3, int)), None, "fewer than two classes"),
    ],
)
def test_data_that_are_not_what_they_should_be(train: tuple, test: tuple | None, reason: str) -> None:
    with pytest.raises(bb.DataError, match=reason):
        bb.Data(train=train, test=test or train)


def inputs() -> list[Any]:
    read_only = X.numpy().copy()
    read_only.setflags(write=False)
    return [
        X,
        X.double(),
        X.numpy(),
        X.numpy().astype(">f8"),
        X.numpy()[::-1].copy()[::-1],
        np.asfortranarray(X.numpy()),
        read_only,
        X.T.contiguous().T,
        X.clone().requires_grad_() * 1,
        X.to_sparse(),
        torch.nn.Parameter(X),
        X.tolist(),
        list(X),
        list(X.numpy()),
        pd.DataFrame(X.numpy(), index=range(9, 49)),
        pd.DataFrame(X.numpy()).astype(object),
        jnp.asarray(X.numpy()),
    ]


@pytest.mark.parametrize("x", inputs())
def test_inputs_in_any_form_are_the_same_data(x: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = data(x, Y.tolist())
    for given, labels in (made.train, made.test):
        assert given.dtype == torch.float32
        assert given.is_contiguous()
        assert not given.requires_grad
        assert torch.equal(given, X)
        assert labels.dtype == torch.int64
    assert checksum(made) == checksum(data(X))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.int32, torch.uint8, torch.bool])
def test_inputs_of_other_types_become_float32(dtype: torch.dtype) -> None:
    assert torch.equal(data(X.to(dtype)).train[0], X.to(dtype).float())
    if dtype == torch.bfloat16:
        assert torch.equal(data(jnp.asarray(X.numpy(), jnp.bfloat16)).train[0], X.to(dtype).float())


def test_images_stay_as_they_lie() -> None:
    images = torch.rand(40, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    made = data(images.to(memory_format=torch.channels_last))
    assert made.train[0].is_contiguous()
    assert torch.equal(made.train[0], images)
    assert data(images.permute(0, 2, 3, 1)).shape == (8, 8, 3)


def test_data_made_in_inference_mode_can_be_trained_on() -> None:
    with torch.inference_mode():
        inside = torch.rand(40, 4)
        made = data(inside, torch.arange(40) % 2)
    for x, y in (*(made.train, made.test), data(inside).train):
        assert not x.is_inference()
        assert not y.is_inference()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_normalised_data_lie_in_the_box_normalised_alike(dtype: torch.dtype) -> None:
    pixels = torch.linspace(0, 1, 16).expand(40, 16).to(dtype)
    made = data((pixels - MEAN) / DEVIATION, bounds=NORMALISED)
    low, high = (float(np.float32(bound)) for bound in made.bounds)
    assert made.bounds == NORMALISED
    assert low <= made.train[0].min()
    assert made.train[0].max() <= high


def test_only_rounding_is_clipped() -> None:
    """A value that misses the box by more than a few roundings of float32 is another value."""
    tiny, far = 1 + 3e-7, 1 + 3e-6
    assert data(X * tiny).train[0].max() == 1
    with pytest.raises(bb.InvalidData, match="outside the box"):
        data(X * far)
    inside = X.clone()
    inside[0, 0] = float(np.float32(NORMALISED[0]))  # Less than the bound, which float32 does not have.
    assert torch.equal(data(inside, bounds=(NORMALISED[0], 1)).train[0], inside)


def test_a_normalised_predictive_is_attacked_inside_its_box() -> None:
    pixels = torch.linspace(0, 1, 16).expand(40, 16)
    made = data((pixels - MEAN) / DEVIATION, bounds=NORMALISED)
    predictive = bb.Predictive(torch.nn.Linear(16, 2), {"weight": torch.randn(3, 2, 16), "bias": torch.zeros(3, 2)})
    outcome = bb.evaluate(predictive, bb.attack("pgd", steps=2), made, epsilon=0.1, images=10)
    assert len(outcome.robust) == 10


@pytest.mark.parametrize("bounds", [(0, 1), [0, 1], np.array([0, 1]), (X.min(), X.max()), (np.float32(0), np.int8(1))])
def test_bounds_are_two_numbers(bounds: Any) -> None:
    assert data(X, bounds=bounds).bounds == (0.0, 1.0)


IMAGES = (torch.arange(160).reshape(40, 4) * 1.6).round()


@pytest.mark.parametrize(
    ("further", "told"),
    [
        ({"x": IMAGES.to(torch.uint8)}, "train inputs lie in [0, 254], outside the box [0, 1]: divide the images by 2"),
        ({"x": IMAGES}, "divide the images by 255, or give bounds=(0, 255)"),
        ({"x": X * 16}, "[0, 16], outside the box [0, 1]: scale the inputs, or give as bounds the smallest"),
        ({"x": (X - MEAN) / DEVIATION}, "((0 - mean) / deviation, (1 - mean) / deviation)"),
        ({"x": X.where(X[17, 2] != X, torch.nan)}, "input 17 of train is not finite"),
        ({"x": X.where(X < 0.5, torch.inf)}, "inputs 20, 21, 22, 23, 24 and 15 more of train are not finite"),
        ({"x": X.double() * 1e300}, "of train are not finite"),
        ({"x": X.numpy() + 0j}, "train inputs are complex64, not real numbers"),
        ({"x": X + 0j}, "train inputs are torch.complex64, not real numbers"),
        ({"x": X.to("meta")}, "train inputs are on the device 'meta'"),
        ({"x": np.ma.masked_less(X.numpy(), 0.1)}, "train inputs have masked values"),
        ({"x": IMAGES + 0.25}, "divide the images by 255, or give bounds=(0, 255)"),
        ({"x": np.full((40, 2), "a")}, "train inputs are not real numbers: the first is 'a'"),
        ({"x": pd.DataFrame({"a": np.zeros(40), "b": "text"})}, "train inputs are not real numbers but 'text'"),
        ({"x": None}, "train inputs are not real numbers but None"),
        ({"x": [[0.1, 0.2], [0.3]]}, "train inputs do not all have one shape"),
        ({"x": [torch.zeros(2), torch.zeros(3)]}, "train inputs do not all have one shape"),
        ({"x": X[:0], "y": Y[:0]}, "train inputs of shape (0, 4): (N, *shape) with N >= 1 was expected"),
        ({"x": torch.zeros(40, 0)}, "train inputs of shape (40, 0)"),
        ({"x": X[:, 0]}, "reshape(-1, 1) makes inputs of one number each"),
        ({"x": Y, "y": X}, "inputs come first, labels second"),
        ({"bounds": (1, 0)}, "bounds (1, 0) are not an interval"),
        ({"bounds": (-np.inf, np.inf)}, "each end of bounds is a finite number, not -inf"),
        ({"bounds": 1.0}, "bounds is a pair of numbers (smallest, largest), not 1.0"),
        ({"y": Y.float()}, "train labels are float32, not integers"),
        ({"y": ["a", "b"] * 20}, "train labels are not integers: the first is 'a'; numpy.unique"),
        ({"y": Y == 1}, "train labels are bool, not integers"),
        ({"y": torch.nn.functional.one_hot(Y)}, "they are one-hot; y.argmax(1)"),
        ({"y": Y[:, None]}, "y.reshape(-1) makes one label for each input"),
        ({"y": Y + 5, "classes": 3}, "train labels: label 6 (of input 1) with 3 classes; labels are 0 to 2"),
        ({"classes": 2.5}, "classes is an integer, not 2.5"),
        ({"classes": np.array([2, 3])}, "classes is an integer, not an array of shape (2,)"),
        ({"classes": True}, "classes is an integer, not True"),
        ({"classes": 1, "y": Y * 0}, "fewer than two classes"),
    ],
)
def test_the_remedy_is_told(further: dict[str, Any], told: str) -> None:
    with pytest.raises(bb.InvalidData) as caught:
        data(**{"x": X, **further})
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (torch.arange(40) % 3 + 1, "labels are 1 to 3, and none is 0: subtract 1, or give classes=4"),
        (torch.tensor([1, 2, 1, 2]), "labels are 1 to 2, and none is 0: subtract 1, or give classes=3"),
        (Y * 2, "1 of the classes 0 to 2 has no input (labels are 0, 2): number the classes without gaps"),
        (Y * 5 + 3, "7 of the classes 0 to 8 have no input (labels are 3, 8)"),
        (Y * 255, "254 of the classes 0 to 255 have no input (labels are 0, 255)"),
    ],
)
def test_labels_that_are_not_numbered_from_zero_are_told(labels: torch.Tensor, told: str) -> None:
    with pytest.raises(bb.InvalidData) as caught:
        data(X[: len(labels)], labels)
    assert told in str(caught.value)
    classes = int(labels.max()) + 1
    assert data(X[: len(labels)], labels, classes=np.int64(classes)).classes == classes


@pytest.mark.parametrize("labels", [[0, 1, 3, 9], [1], [3], [0, 1] * 4 + [3], [*range(6), *range(7, 10)] * 4])
def test_a_small_sample_may_lack_a_class(labels: list[int]) -> None:
    assert data(X[: len(labels)], labels).classes == max(labels) + 1


def test_data_may_lack_a_training_sample() -> None:
    made = bb.Data(test=(X, Y))
    assert made.train is None
    assert made.shape == (4,)
    assert made.classes == 2
    assert checksum(made) == checksum_of_test(made) == checksum_of_test(data(X))
    check_training(data(X))
    with pytest.raises(bb.InvalidData, match=r"no training sample: to fit, give Data\(train=\(x, y\)"):
        check_training(made)
    predictive = bb.Predictive(torch.nn.Linear(4, 2), {"weight": torch.randn(3, 2, 4), "bias": torch.zeros(3, 2)})
    assert bb.evaluate(predictive, bb.attack("fgsm"), made, epsilon=0.1, images=5).robust.shape == (5,)
    assert bb.posterior_card(predictive, made)["draws"] == 3
    assert bb.network("fc").build(made)(X).shape == (40, 2)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({}, "there is no test sample"),
        ({"train": (X, Y)}, "there is no test sample"),
        ({"train": X, "test": (X, Y)}, "train is a Tensor of shape (40, 4), not a pair (inputs, labels)"),
        ({"test": torch.utils.data.TensorDataset(X, Y)}, "test is a TensorDataset, not a pair (inputs, labels)"),
        ({"test": (X, Y, Y)}, "test is a tuple of 3, not a pair (inputs, labels)"),
    ],
)
def test_what_is_no_sample_is_told(arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError) as caught:
        bb.Data(**arguments)
    assert isinstance(caught.value, bb.InvalidData)
    assert str(caught.value).startswith(told)


def test_data_print_as_one_line() -> None:
    x, y = np.zeros((4, 1, 2, 2)), np.array([0, 1, 2, 0])
    assert repr(bb.Data(train=(x, y), test=(x[:2], y[:2]))) == (
        "Data(4 training inputs, 2 test inputs of shape (1, 2, 2), 3 classes, box [0, 1])"
    )
    assert repr(bb.Data(test=(x, y))).startswith("Data(no training inputs, 4 test inputs")


def test_a_misspelt_name_is_told() -> None:
    with pytest.raises(TypeError, match=r"^Data has no argument 'tets'; did you mean 'test'\?$"):
        bb.Data(tets=None)  # type: ignore[call-arg]
