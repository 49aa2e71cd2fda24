"""Modes that look at operations cost no import of torch's compiler."""

from __future__ import annotations

import subprocess
import sys

import pytest

EVALUATION = """
import sys
import torch
import bnnbench as bb

torch.manual_seed(0)
data = bb.Data(train=(torch.rand(8, 2), torch.arange(8) % 2), test=(torch.rand(8, 2), torch.arange(8) % 2))
bb.evaluate(bb.predictive(torch.nn.Linear(2, 2)), bb.attack("pgd"), data, epsilon=0.1)
print("torch._dynamo" in sys.modules)
"""


@pytest.mark.integration
def test_an_evaluation_does_not_import_the_compiler() -> None:
    done = subprocess.run([sys.executable, "-c", EVALUATION], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
