"""The faster matrix products are used only where they are accurate and faster, and the host keeps its setting."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from known import random_ensemble, random_inputs

from bnnbench.core.ensemble import precision


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A processor on which the other products are to be had, accurate and faster."""
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    monkeypatch.setattr(precision, "_faster", lambda: True)
    monkeypatch.setattr(precision, "_error", lambda: 1e-5)
    monkeypatch.setattr(precision, "_users", 0)
    monkeypatch.delenv(precision.VARIABLE, raising=False)
    precision._chosen.cache_clear()
    yield monkeypatch  # type: ignore[misc]
    precision._chosen.cache_clear()
    torch.set_float32_matmul_precision("highest")


CPU = torch.device("cpu")


def test_the_host_keeps_its_precision(wide: pytest.MonkeyPatch) -> None:
    with precision.fast_products(CPU), precision.fast_products(CPU):
        assert torch.get_float32_matmul_precision() == "medium"
    with pytest.raises(KeyError), precision.fast_products(CPU):
        raise KeyError
    assert torch.get_float32_matmul_precision() == "highest"
    predictive = random_ensemble()
    x, y = random_inputs()
    predictive.direction(x, y, "predictive-nll")
    assert torch.get_float32_matmul_precision() == "highest"


def test_inaccurate_products_are_never_used(wide: pytest.MonkeyPatch) -> None:
    rough = {"highest": 5e-5, "medium": 0.2}  # As where matrix units round to bfloat16.
    wide.setattr(precision, "_error", lambda: rough[torch.get_float32_matmul_precision()])
    with precision.fast_products(CPU):
        assert torch.get_float32_matmul_precision() == "highest"


def test_products_that_are_not_faster_are_not_used(wide: pytest.MonkeyPatch) -> None:
    wide.setattr(precision, "_faster", lambda: False)
    assert precision.products() == "default"
    with precision.fast_products(CPU):
        assert torch.get_float32_matmul_precision() == "highest"


def test_the_trial_is_made_once_in_a_process(wide: pytest.MonkeyPatch) -> None:
    trials: list[None] = []
    wide.setattr(precision, "_faster", lambda: trials.append(None) or True)
    for _ in range(3):
        with precision.fast_products(CPU):
            assert torch.get_float32_matmul_precision() == "medium"
        assert precision.products() == "fast"
    assert len(trials) == 1


@pytest.mark.parametrize(("faster", "asked", "used"), [(True, "default", False), (False, "fast", True)])
def test_the_variable_replaces_the_trial(faster: bool, asked: str, used: bool, wide: pytest.MonkeyPatch) -> None:
    wide.setenv("BNNBENCH_PRODUCTS", asked)
    wide.setattr(precision, "_faster", lambda: faster)
    assert precision.products() == ("fast" if used else "default")
    with precision.fast_products(CPU):
        assert torch.get_float32_matmul_precision() == ("medium" if used else "highest")


def test_the_variable_does_not_make_inaccurate_products_be_used(wide: pytest.MonkeyPatch) -> None:
    wide.setenv("BNNBENCH_PRODUCTS", "fast")
    rough = {"highest": 5e-5, "medium": 0.2}
    wide.setattr(precision, "_error", lambda: rough[torch.get_float32_matmul_precision()])
    assert precision.products() == "default"


@pytest.mark.parametrize(("default", "switched", "faster"), [(2.0, 1.0, True), (1.1, 1.0, False), (1.0, 2.0, False)])
def test_the_trial_asks_for_a_clear_margin(
    default: float, switched: float, faster: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock is replaced: each reading advances it by the cost of the setting in force."""
    now = 0.0

    def clock() -> float:
        nonlocal now
        now += {"highest": default, "medium": switched}[torch.get_float32_matmul_precision()]
        return now

    monkeypatch.setattr(precision, "time", SimpleNamespace(perf_counter=clock))
    monkeypatch.setattr(precision, "TRIAL", (2, 3, 4))
    assert precision._faster() == faster
    assert torch.get_float32_matmul_precision() == "highest"


def test_a_precision_that_the_host_chose_stays(wide: pytest.MonkeyPatch) -> None:
    torch.set_float32_matmul_precision("high")
    with precision.fast_products(CPU):
        assert torch.get_float32_matmul_precision() == "high"


def test_other_processors_and_devices_are_left_alone(wide: pytest.MonkeyPatch) -> None:
    with precision.fast_products(torch.device("meta")):
        assert torch.get_float32_matmul_precision() == "highest"
    wide.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    with precision.fast_products(CPU):
        assert torch.get_float32_matmul_precision() == "highest"
