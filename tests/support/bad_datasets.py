"""Data sets that break one rule each; `WRONG` maps their names to the messages that must name the breach."""

from __future__ import annotations

import torch

from bnnbench import Data, Dataset, hookimpl

WRONG = {
    "labels-out-of-range": "label 5 .* with 2 classes",
    "nan-inputs": "are not finite",
    "no-data": "loaded no Data",
}


def sample(labels):
    """Points in the box."""
    x = torch.rand(len(labels), 2, generator=torch.Generator().manual_seed(0)) / 2 + 0.25
    return x, torch.tensor(labels)


class LabelsOutOfRange(Dataset):
    """A label 5 of two classes."""

    def load(self, seed):
        return Data(train=sample([0, 1] * 20), test=sample([0, 5] * 20), classes=2)


class NanInputs(Dataset):
    """Not a number."""

    def load(self, seed):
        x, y = sample([0, 1] * 20)
        return Data(train=(x * float("nan"), y), test=(x, y))


class NoData(Dataset):
    """A tuple."""

    def load(self, seed):
        return sample([0, 1] * 20), sample([0, 1] * 20)


DATASETS = {"labels-out-of-range": LabelsOutOfRange, "nan-inputs": NanInputs, "no-data": NoData}


@hookimpl
def bnnbench_register(registry):
    for name, dataset in DATASETS.items():
        registry.dataset(name, dataset)
