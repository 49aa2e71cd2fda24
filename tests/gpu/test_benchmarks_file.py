"""A benchmarks file on a real GPU, from end to end, in worker processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from real_gpu import MARKS

import bnnbench as bb
from bnnbench.pool.processes import gpus

pytestmark = MARKS
FILE = """
device: cuda
tf32: {tf32}
limits: {{gpu_memory: 4GiB}}
evaluate: {{images: 50, draws: 4}}
epsilons: [0.02]
datasets: {{digits: {{train_size: 200}}}}
networks: {{fc: {{hidden: [16]}}, residual: {{use: resnet-small}}}}
posteriors:
  sgd: {{epochs: 2}}
  bayes-by-backprop: {{epochs: 2, draws: 4}}
  pyro-hmc: {{draws: 8, warmup: 8, leapfrog_steps: 2, chains: 2}}
attacks: {{fgsm: {{}}, pgd: {{steps: 5}}}}
certificates: {{interval: {{}}}}
measures: {{predictions: {{}}, gradients: {{}}}}
exclude: [{{network: residual, posterior: pyro-hmc}}]
"""


def records(store: Path, kind: str) -> list[dict[str, Any]]:
    import json

    return [json.loads(path.read_text()) for path in sorted((store / kind).glob("*/record.json"))]


@pytest.mark.parametrize("tf32", [False, True])
def test_a_file_runs_on_the_gpu_and_gives_the_same_again(tmp_path: Path, tf32: bool) -> None:
    file, store = tmp_path / "benchmarks.yaml", tmp_path / "store"
    file.write_text(FILE.format(tf32=str(tf32).lower()))
    results = bb.run(file, store=store, verify=4)
    assert [(cell.spec.name, cell.reason) for cell in results.cells if cell.status not in ("ok", "skipped")] == []
    assert all(check.right for check in results.checks)
    kernels = [record["environment"]["kernels"] for record in records(store, "fits")]
    assert {one["gpu"] for one in kernels} <= {torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count())}
    assert {one["flags"]["cudnn.allow_tf32"] for one in kernels} == {tf32}


def test_the_inventory_is_that_of_torch() -> None:
    found = gpus.inventory()
    assert len(found) == torch.cuda.device_count()
    for gpu in found:
        total = torch.cuda.get_device_properties(gpu.number).total_memory
        assert abs(gpu.memory - total) < 0.1 * total
