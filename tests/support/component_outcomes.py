"""One tiny outcome of each bundled component: `OUTCOMES[kind](name)` is its JSON, the same on every machine."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch

import bnnbench as bb
from bnnbench.plugins.loading import load_registry

FITS: dict[str, dict[str, Any]] = {
    "sgd": {"epochs": 3, "batch_size": 8, "learning_rate": 0.05},
    "adversarial-sgd": {"epochs": 3, "batch_size": 8, "learning_rate": 0.05, "steps": 3},
    "bayes-by-backprop": {"epochs": 3, "batch_size": 8, "learning_rate": 0.05, "draws": 2},
    "mc-dropout": {"epochs": 3, "batch_size": 8, "draws": 2},
    "swag": {"epochs": 2, "collect_epochs": 3, "batch_size": 8, "draws": 2},
    "laplace": {"draws": 2, "epochs": 3},
    "gaussian-vi": {"draws": 2, "epochs": 3, "batch_size": 8},
    "deep-ensemble": {"members": 2, "of": {"use": "sgd", "epochs": 2}},
    "bootstrap-ensemble": {"members": 2, "of": {"use": "sgd", "epochs": 2}},
    "anchored-ensemble": {"members": 2, "epochs": 2},
    "multi-swag": {"members": 2, "of": {"use": "swag", "draws": 2, "epochs": 2, "collect_epochs": 3}},
    "mean-network": {"of": {"use": "bayes-by-backprop", "epochs": 2, "draws": 2}},
    "one-draw": {"of": {"use": "bayes-by-backprop", "epochs": 2, "draws": 2}},
    "last-layer": {
        "of": {"use": "sgd", "epochs": 2},
        "layer": {"use": "laplace", "weights": "all", "hessian": "full", "draws": 2},
    },
    "sgld": {"warmup": 12, "draws": 2, "batch_size": 8},
    "sghmc": {"warmup": 12, "draws": 2, "batch_size": 8},
    "blackjax-mclmc": {"warmup": 12, "draws": 2, "leapfrog_steps": 3},
    "saved": {"draws": 2},
    "pyro-hmc": {"warmup": 12, "thin": 2, "draws": 2, "leapfrog_steps": 3},
    "numpyro-hmc": {"warmup": 12, "thin": 2, "draws": 2, "leapfrog_steps": 3},
    "numpyro-nuts": {"warmup": 12, "thin": 2, "draws": 2, "max_tree_depth": 3},
}
"""Parameters of the posteriors; one that is not named here has two draws and its default parameters."""


def waves(*shape: int, phase: float = 0.0) -> np.ndarray:
    """Irregular numbers in [-1, 1], float64, without a random generator: the same on every machine."""
    return np.sin(phase + 1.7 * np.arange(np.prod(shape)) ** 2).reshape(shape)


def ensemble() -> bb.Predictive:
    """Seven draws of a small network with fixed weights, float64: 4 inputs, 3 classes."""
    network = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.Tanh(), torch.nn.Linear(6, 3)).double()
    weights = {
        name: 2.0 * waves(7, *tensor.shape, phase=number)
        for number, (name, tensor) in enumerate(network.state_dict().items())
    }
    return bb.Predictive(network, weights)


def points(number: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs in the unit box, (number, 4), with labels of three classes."""
    return torch.from_numpy(0.5 + 0.4 * waves(number, 4, phase=0.5)), torch.arange(number) % 3


def data_set(name: str) -> Any:
    """The checksum of a small sample: inputs, labels, bounds and classes, bit by bit."""
    with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ):
        parameters = OWN_FILES[name](Path(folder)) if name in OWN_FILES else {}
        data = bb.dataset(name, train_size=6, test_size=4, **parameters).load(seed=3)
    found = hashlib.sha256(repr((data.bounds, data.classes, data.shape)).encode())
    for tensor in (*data.train, *data.test):
        found.update(tensor.numpy().tobytes())
    return {"sha256": found.hexdigest()}


def bytes_of(*shape: int) -> np.ndarray:
    """Irregular bytes, the same on every machine."""
    return (31 * np.arange(np.prod(shape)) ** 2 % 251).astype(np.uint8).reshape(shape)


def mnist_files(folder: Path) -> dict[str, Any]:
    """MNIST's four files with a few images, for torchvision's class."""
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part, count in (("train", 12), ("t10k", 6)):
        for kind, array in (("images-idx3", bytes_of(count, 28, 28)), ("labels-idx1", bytes_of(count) % 10)):
            sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
            (raw / f"{part}-{kind}-ubyte").write_bytes(bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes())
    os.environ["BNNBENCH_DATA"] = str(folder)
    return {"name": "MNIST"}


def folders_of_images(folder: Path) -> dict[str, Any]:
    """A folder of colour images for each of two classes."""
    from PIL import Image

    for number, pixels in enumerate(bytes_of(14, 5, 4, 3)):
        path = folder / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(path)
    return {"path": str(folder), "test_fraction": 0.4}


def table_file(folder: Path) -> dict[str, Any]:
    """A table of four columns and three classes."""
    rows = [[*row, "abc"[row[0] % 3]] for row in bytes_of(14, 4).tolist()]
    lines = [",".join(map(str, row)) for row in (["p", "q", "r", "s", "label"], *rows)]
    (folder / "table.csv").write_text("\n".join(lines))
    return {"path": str(folder / "table.csv"), "test_fraction": 0.4}


OWN_FILES: dict[str, Callable[[Path], dict[str, Any]]] = {
    "torchvision": mnist_files,
    "image-folder": folders_of_images,
    "table": table_file,
}
"""For data sets that read files of the user: what writes some into a folder, and gives the parameters."""


def network(name: str) -> Any:
    """Logits of the template that the default parameters build, for images of 16x16 pixels and 3 classes."""
    x = torch.from_numpy(0.5 + 0.5 * waves(2, 1, 16, 16)).float()
    data = bb.Data(train=(x, torch.tensor([0, 2])), test=(x, torch.tensor([0, 2])), classes=3)
    with torch.no_grad():
        return {"logits": bb.network(name).build(data).eval()(10 * x).tolist()}


def posterior(name: str) -> Any:
    """Log-probabilities at three points of a fit to twenty points."""
    data = bb.dataset("half-moons", train_size=20, test_size=3).load(seed=0)
    template = bb.network("fc", hidden=(6,)).build(data)
    parameters = FITS.get(name, {"draws": 2})
    with tempfile.TemporaryDirectory() as folder:
        if name == "saved":
            draws = {key: waves(8, *tensor.shape) for key, tensor in template.state_dict().items()}
            parameters = parameters | {"path": f"{folder}/draws.safetensors"}
            bb.Predictive(template, draws).save(parameters["path"])
        predictive = bb.fit(bb.posterior(name, **parameters), template, data, seed=1, device="cpu")
    return {"log_probs": predictive.log_probs(data.test[0]).tolist()}


def objective(name: str) -> Any:
    """Value, gradient and direction (each image's largest component scaled to 1) on the fixed ensemble."""
    predictive, (x, y) = ensemble(), points()
    direction = predictive.direction(x, y, name)
    return {
        "value": bb.objective(name).value(predictive.draw_log_probs(x), y).tolist(),
        "gradient": predictive.gradient(x, y, name).tolist(),
        # It is zero for the label against itself.
        "direction": (direction / direction.abs().amax(1, keepdim=True).clamp(min=1e-30)).tolist(),
    }


def attack(name: str) -> Any:
    """Perturbed inputs on the fixed ensemble, in a ball of each norm that the attack is defined for."""
    predictive, (x, y) = ensemble(), points()
    made = {}
    for threat in (bb.Threat(epsilon=0.1), bb.Threat(epsilon=0.2, norm="l2")):
        with contextlib.suppress(bb.Incompatible):
            made[threat.norm] = bb.attack(name)(predictive, x, y, threat, seed=4).tolist()
    assert made
    return made


def certificate(name: str) -> Any:
    """What is proven about the fixed ensemble in an l-infinity ball, or in two dimensions for `exact`."""
    x, y = points(12)
    predictive = ensemble()
    if name == "exact":
        network = torch.nn.Sequential(torch.nn.Linear(2, 6), torch.nn.Tanh(), torch.nn.Linear(6, 3)).double()
        weights = {key: 2.0 * waves(3, *value.shape) for key, value in network.state_dict().items()}
        predictive, x = bb.Predictive(network, weights), x[:, :2]
    y = predictive.log_probs(x).argmax(-1)
    # The bundled posteriors say that draws are independent; these have no posterior.
    predictive.diagnostics["independent"] = "they are fixed"
    made = load_registry().create("certificate", name, {})
    proof = made.prove(predictive, range(len(predictive)), x, y, bb.Threat(epsilon=0.02))
    parts = {"certified": proof.certified, "bound": proof.bound, "refuted": proof.refuted}
    return {key: value if value is None else value.double().tolist() for key, value in parts.items()}


class Others(bb.Dataset):
    """Other points than those of the fixed ensemble."""

    def load(self, seed: int) -> bb.Data:
        x = torch.from_numpy(0.5 + 0.4 * waves(30, 4, phase=2.5))
        return bb.Data(test=(x, np.arange(30) % 3), classes=3)


MEASURES: dict[str, dict[str, Any]] = {
    "out-of-distribution": {"dataset": Others(), "attack": bb.attack("pgd", random_start=False), "side": "both"},
    "fidelity": {"reference": bb.posterior("sgd", epochs=3), "attack": bb.attack("fgsm")},
}
"""Parameters of the measures; one that is not named here has its default parameters."""


def measure(name: str) -> Any:
    """The figures of the fixed ensemble."""
    x, y = points(40)
    data = bb.Data(train=(x, y), test=(x, y))
    defence = bb.Defence(ensemble(), data, bb.Threat(epsilon=0.0, bounds=(0, 1)), images=40, draws=None, seed=0)
    component = load_registry().create("measure", name, MEASURES.get(name, {}))
    return component.figures(component.measure(defence))


OUTCOMES: dict[str, Callable[[str], Any]] = {
    "dataset": data_set,
    "network": network,
    "posterior": posterior,
    "objective": objective,
    "attack": attack,
    "certificate": certificate,
    "measure": measure,
}
