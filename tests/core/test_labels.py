"""Labels in the forms that people bring become integers, or are refused in one line with the remedy."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from bnnbench.core.labels import labels as as_labels

LABELS = torch.tensor([0, 2, 1])


@pytest.mark.parametrize(
    "value",
    [
        LABELS,
        LABELS.to(torch.uint8),
        LABELS.numpy(),
        LABELS.numpy().astype(">i2"),
        LABELS.tolist(),
        tuple(LABELS.tolist()),
        list(LABELS),
        list(LABELS.numpy()),
        pd.Series([0, 2, 1], index=[5, 6, 7]),
        pd.Series([0, 2, 1], dtype="Int64"),
        jnp.asarray(LABELS.numpy()),
    ],
)
def test_integers_in_any_form_are_labels(value: Any) -> None:
    found = as_labels(value, 3, classes=3)
    assert found.dtype == torch.int64
    assert torch.equal(found, LABELS)


@pytest.mark.parametrize(
    ("value", "error", "told"),
    [
        (LABELS.float() + 0.5, TypeError, "labels are float32, not integers, such as 0.5"),
        (LABELS.double(), TypeError, "labels are float64, not integers: convert them"),
        (LABELS == 1, TypeError, "labels are bool, not integers: convert them"),
        ([0.5, 1, 2], TypeError, "labels are float64, not integers, such as 0.5"),
        (["a", "b", "c"], TypeError, "the first is 'a'; numpy.unique"),
        (["7", "8", "9"], TypeError, "the first is '7'; y.astype(int)"),
        (pd.Series(["a", "b", "c"], dtype="category"), TypeError, "the first is 'a'; numpy.unique"),
        ([None, 1, 2], TypeError, "the first is None"),
        ([[1, 2], [3]], TypeError, "unequal parts"),
        (5, TypeError, "one integer for each input, not 5"),
        (nn.functional.one_hot(LABELS), ValueError, "they are one-hot; y.argmax(1)"),
        (nn.functional.one_hot(LABELS).float(), TypeError, "they are one-hot; y.argmax(1)"),
        (LABELS[:, None], ValueError, "y.reshape(-1)"),
        (LABELS.to("meta"), TypeError, "labels are on the device 'meta'"),
        (np.ma.masked_equal(LABELS.numpy(), 2), TypeError, "labels have masked values"),
        (pd.DataFrame({"label": [0, 2, 1]}), ValueError, "y.reshape(-1)"),
        (LABELS[:2], ValueError, "labels of shape (2,) for 3 inputs"),
        (LABELS - 1, ValueError, "labels: -1 (of input 0) is a negative label"),
        (torch.tensor([1, -1, 1]), ValueError, "-1 (of input 1) is a negative label; (y + 1) // 2"),
        (LABELS + 1, ValueError, "labels: label 3 (of input 1) with 3 classes; labels are 0 to 2"),
    ],
)
def test_what_is_no_label_is_told(value: Any, error: type[Exception], told: str) -> None:
    with pytest.raises(error) as caught:
        as_labels(value, 3, classes=3)
    assert told in str(caught.value)
    assert str(caught.value).startswith("labels")
    assert "\n" not in str(caught.value)
