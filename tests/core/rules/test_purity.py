"""Plugins that draw from global random states or change settings are caught."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from host_threads import STATES

import bnnbench as bb
from bnnbench.core import process_state
from bnnbench.core.rules.purity import global_state

CHANGES: dict[str, Callable[[], object]] = {
    "torch's default dtype": lambda: torch.set_default_dtype(torch.float64),
    "torch's gradient mode": lambda: torch.set_grad_enabled(False),
    "torch's threads": lambda: torch.set_num_threads(torch.get_num_threads() + 1),
    "torch's determinism": lambda: torch.use_deterministic_algorithms(True, warn_only=True),
    "the working directory": lambda: os.chdir(Path.cwd().parent),
    "torch.backends.cuda.matmul.allow_tf32": lambda: setattr(torch.backends.cuda.matmul, "allow_tf32", True),
    "torch.backends.cudnn.allow_tf32": lambda: setattr(torch.backends.cudnn, "allow_tf32", False),
    "torch.backends.cudnn.enabled": lambda: setattr(torch.backends.cudnn, "enabled", False),
    "torch.backends.cudnn.benchmark": lambda: setattr(torch.backends.cudnn, "benchmark", True),
    "torch.backends.cudnn.deterministic": lambda: setattr(torch.backends.cudnn, "deterministic", True),
    "torch's matmul precision": lambda: torch.set_float32_matmul_precision("medium"),
}


@pytest.mark.parametrize("library", STATES)
def test_a_draw_is_refused_and_undone(library: str) -> None:
    draw, state = STATES[library]
    before = repr(state())
    accused = pytest.raises(bb.ContractBreach, match=f"a plugin drew from the global random state of {library}, ")
    with accused, global_state("a plugin"):
        draw()
    assert repr(state()) == before


@pytest.mark.parametrize("setting", CHANGES)
def test_a_changed_setting_is_refused_and_undone(setting: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = {name: shared.take() for name, shared in process_state.settings().items()}
    with pytest.raises(bb.ContractBreach, match=f"a plugin changed .*{setting}"), global_state("a plugin"):
        CHANGES[setting]()
    assert {name: shared.take() for name, shared in process_state.settings().items()} == before


def test_every_setting_of_torch_has_a_test() -> None:
    assert set(CHANGES) == {name for name in process_state.settings() if not name.startswith("JAX")}


def test_the_hosts_precision_is_put_back_to_the_letter() -> None:
    """`medium` allows TF32, but allowing TF32 gives `high`."""
    torch.set_float32_matmul_precision("medium")
    try:
        with pytest.raises(bb.ContractBreach), global_state("a plugin"):
            torch.set_float32_matmul_precision("highest")
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")


def test_cuda_generators_are_watched_once_cuda_is_initialised(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "torch.cuda" not in process_state.random_states() or torch.cuda.is_initialized()
    states = [torch.zeros(16, dtype=torch.uint8), torch.ones(16, dtype=torch.uint8)]
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_rng_state_all", lambda: [state.clone() for state in states])
    monkeypatch.setattr(
        torch.cuda, "set_rng_state_all", lambda given: [old.copy_(new) for old, new in zip(states, given, strict=True)]
    )
    with global_state("a plugin"):
        pass
    accused = pytest.raises(bb.ContractBreach, match=r"drew from the global random state of torch\.cuda")
    with accused, global_state("a plugin"):
        states[1][3] = 7
    assert states[1].tolist() == [1] * 16


@pytest.mark.integration
def test_reading_the_state_of_a_process_initialises_no_cuda_and_survives_the_newer_switches() -> None:
    """In a process of its own, for torch does not go back to the older switches."""
    code = """
import torch
import bnnbench as bb
from bnnbench.core import process_state
from bnnbench.core.rules.purity import global_state
from bnnbench.store.environment import environment

before = torch.cuda.is_initialized()
with global_state("a plugin"):
    pass
assert torch.cuda.is_initialized() == before == False
if hasattr(torch.backends.cuda.matmul, "fp32_precision"):
    matmul, conv = torch.backends.cuda.matmul, torch.backends.cudnn.conv
    matmul.fp32_precision, conv.fp32_precision, torch.backends.cudnn.rnn.fp32_precision = "tf32", "ieee", "tf32"
    with global_state("a plugin"):
        pass
    environment(1)
    for switch in (matmul, conv):
        kept = switch.fp32_precision
        try:
            with global_state("a plugin"):
                switch.fp32_precision = {"tf32": "ieee", "ieee": "tf32"}[kept]
        except bb.ContractBreach as error:
            assert "allow_tf32" in str(error)
        else:
            raise AssertionError("a newer switch is not watched")
        assert switch.fp32_precision == kept
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_imports_may_draw_from_numpy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "draws_when_imported.py").write_text("import numpy\nnumpy.random.rand()\n")
    monkeypatch.syspath_prepend(tmp_path)
    before = repr(np.random.get_state())  # noqa: NPY002
    with global_state("a plugin"):
        import draws_when_imported  # type: ignore[import-not-found]  # noqa: F401
    assert repr(np.random.get_state()) == before  # noqa: NPY002
