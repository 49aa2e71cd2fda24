"""The settings of the host program change no number, and stay what they are."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

import bnnbench as bb
from bnnbench.core.standard_settings import matmul_precision, set_matmul_precision


@contextlib.contextmanager
def default_dtype() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@contextlib.contextmanager
def default_device() -> Iterator[None]:
    torch.set_default_device("meta")
    try:
        yield
    finally:
        torch.set_default_device(None)


@contextlib.contextmanager
def precision() -> Iterator[None]:
    torch.set_float32_matmul_precision("medium")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision("highest")


@contextlib.contextmanager
def newer_precision() -> Iterator[None]:
    if not hasattr(torch.backends.mkldnn, "matmul"):
        pytest.skip("this torch has no newer switches")
    torch.backends.mkldnn.matmul.fp32_precision = "bf16"
    try:
        yield
    finally:
        torch.backends.mkldnn.matmul.fp32_precision = "none"


@contextlib.contextmanager
def without_onednn() -> Iterator[None]:
    setattr(torch.backends.mkldnn, "enabled", False)  # noqa: B010
    try:
        yield
        assert not torch.backends.mkldnn.enabled
    finally:
        setattr(torch.backends.mkldnn, "enabled", True)  # noqa: B010


@contextlib.contextmanager
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


@contextlib.contextmanager
def hooks() -> Iterator[None]:
    """Hooks of all modules: one that changes outputs, and one in the backward pass, which excludes stacked calls."""

    def doubled(layer: torch.nn.Module, inputs: Any, output: Any) -> Any:
        return 2 * output if isinstance(layer, torch.nn.Linear) else None

    module = torch.nn.modules.module
    handles = [
        module.register_module_forward_hook(doubled),
        module.register_module_full_backward_hook(lambda layer, inputs, outputs: None),
    ]
    try:
        yield
        assert handles[0].id in module._global_forward_hooks
        assert handles[1].id in module._global_backward_hooks
    finally:
        for handle in handles:
            handle.remove()


SETTINGS: dict[str, Callable[[], Any]] = {
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "default dtype": default_dtype,
    "default device": default_device,
    "inside of a device": lambda: torch.device("meta"),
    "hooks": hooks,
    "anomaly mode": lambda: torch.autograd.set_detect_anomaly(True),
    "precision": precision,
    "newer precision": newer_precision,
    "deterministic": deterministic,
    "without oneDNN": without_onednn,
}


def figures() -> list[Any]:
    """What each public call gives, from a data set to an outcome."""
    data = bb.dataset("half-moons", train_size=40, test_size=20).load(0)
    network = bb.network("fc", hidden=(8,)).build(data)
    fits = {
        name: bb.fit(bb.posterior(name, **parameters), network, data, seed=1)
        for name, parameters in (
            ("sgd", {"epochs": 2}),
            ("bayes-by-backprop", {"draws": 3, "epochs": 2}),
            ("pyro-hmc", {"draws": 3, "warmup": 2, "leapfrog_steps": 3}),
        )
    }
    found: list[Any] = [value for one in fits.values() for value in one.draws.values()]
    predictive, (x, y) = fits["bayes-by-backprop"], data.test
    found += [predictive.gradient(x, y, "log-margin"), predictive.direction(x, y, "predictive-nll")]
    found += [predictive.log_probs(x), predictive.as_module()(x), bb.attack("fgsm")(predictive, x, y, bb.Threat(0.1))]
    outcome = bb.evaluate(predictive, bb.attack("pgd", steps=2), data, epsilon=0.1, images=20)
    card = {name: value for name, value in bb.posterior_card(predictive, data).items() if name != "seconds"}
    found += [torch.from_numpy(outcome.attacked_log_probs), outcome.zero_gradient.tolist(), card]
    return [*found, convolved()]


def convolved() -> torch.Tensor:
    """What a convolutional network predicts that was trained."""
    data = bb.dataset("digits", train_size=40, test_size=20).load(0)
    return bb.fit(bb.posterior("sgd", epochs=2), bb.network("resnet-small").build(data), data).log_probs(data.test[0])


def state() -> list[Any]:
    return [
        torch.get_default_dtype(),
        torch.get_default_device(),
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.is_autocast_enabled("cpu"),
        torch.are_deterministic_algorithms_enabled(),
        matmul_precision(),
    ]


@pytest.fixture(scope="module")
def expected() -> list[Any]:
    return figures()


@pytest.mark.parametrize("name", SETTINGS)
def test_every_public_call_gives_the_same_numbers(name: str, expected: list[Any]) -> None:
    with SETTINGS[name]():
        before = state()
        found = figures()
        assert state() == before
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other


def test_the_precision_can_be_put_back_in_either_form() -> None:
    assert matmul_precision() == "highest"
    set_matmul_precision("high")
    assert matmul_precision() == "high"
    set_matmul_precision("highest")
