"""The environment and the command line that manifests record."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from plugged import install

import bnnbench
from bnnbench.matrix.config_reader import read_config
from bnnbench.matrix.plan import Plan, make_plan
from bnnbench.running import manifest
from bnnbench.store.environment import command_line, environment

FILE = """\
epsilons: [0.05]
evaluate: {images: 40, draws: 4}
datasets: {moons: {use: half-moons, train_size: 200, test_size: 100}}
networks: {fc: {hidden: [8]}}
posteriors: {sgd: {epochs: 2}}
attacks: {pgd: {objective: log-margin}}
"""


def planned(folder: Path) -> Plan:
    (folder / "benchmarks.yaml").write_text(FILE)
    return make_plan(read_config(folder / "benchmarks.yaml"))


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["/somewhere/bin/bnnbench", "run", "-j", "2"], ["/somewhere/bin/bnnbench", "run", "-j", "2"]),
        (["bnnbench.exe", "run"], ["bnnbench.exe", "run"]),
        ([f"{Path(bnnbench.__file__).parent}/__main__.py", "run"], None),
        (["/jobs/job.py", "--api-token", "hunter2"], ["job.py"]),
        (["/other/__main__.py", "--api-token", "hunter2"], ["__main__.py"]),
        (["-c", "hunter2"], ["-c"]),
        ([""], [""]),
        ([], [""]),
    ],
)
def test_a_command_line_is_told_if_it_is_bnnbench_s_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, argv: list[str], told: list[str] | None
) -> None:
    monkeypatch.setattr(sys, "argv", argv)
    assert command_line() == (argv if told is None else told)
    assert manifest.begun(planned(tmp_path))["argv"] == command_line()


def test_variables_that_change_numbers_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {
        "JAX_DEFAULT_PRNG_IMPL", "JAX_THREEFRY_PARTITIONABLE", "JAX_DEFAULT_MATMUL_PRECISION", "JAX_DISABLE_JIT",
        "MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS", "OPENBLAS_CORETYPE", "CUBLAS_WORKSPACE_CONFIG", "NVIDIA_TF32_OVERRIDE",
        "ATEN_CPU_CAPABILITY", "DNNL_MAX_CPU_ISA", "XLA_FLAGS",
    }  # fmt: skip
    for name in names:
        monkeypatch.setenv(name, "something")
    assert set(environment(1)["variables"]) >= names


@pytest.mark.integration
def test_the_version_of_every_plugin_is_part_of_the_environment(tmp_path: Path) -> None:
    variables = install(tmp_path, "raise SystemExit('nobody imports it')", "absent")
    (tmp_path / "broken-1.0.dist-info").mkdir()
    (tmp_path / "broken-1.0.dist-info" / "entry_points.txt").write_text("[bnnbench]\nbroken = absent\n")
    code = "import json; from bnnbench.store.environment import environment; print(json.dumps(environment(1)))"
    done = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=True)
    versions = json.loads(done.stdout)["versions"]
    assert versions["absent"] == "1.0"
    assert versions["torch"] == metadata.version("torch")
    assert versions["bnnbench"] == metadata.version("bnnbench")
    assert "" not in versions
