"""The measurements of GPUs run on a CPU with tiny cases."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "speed" / "gpu.py"


def test_tiny_cases_are_measured_on_a_cpu() -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--quick", "--device", "cpu"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "TFLOP/s in float32" in done.stdout
    for title in ("### FGSM", "### PGD-2", "### One leapfrog step"):
        assert title in done.stdout
    for way in ("bnnbench", "baddbmm by hand", "vmap(functional_call)", "loop over draws", "pyro-hmc", "numpyro-hmc"):
        assert f"| {way}" in done.stdout


def test_the_full_cases_need_a_gpu() -> None:
    done = subprocess.run([sys.executable, str(SCRIPT), "--device", "cpu"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "only --quick runs on a CPU" in done.stderr
