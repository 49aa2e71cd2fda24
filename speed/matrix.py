"""What the framework adds to a cell: a matrix of small cells, run, and run again when nothing is left to do.

python speed/matrix.py
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

FILE = """\
epsilons: [{epsilons}]
evaluate: {{images: 100, draws: 1}}
datasets: {{half-moons: {{train_size: 100, test_size: 100}}}}
networks: {{fc: {{hidden: [8]}}}}
posteriors: {{sgd: {{epochs: 1}}}}
attacks: {{random: {{use: random-sign}}, fgsm: {{}}}}
"""


def report(cells: int) -> str:
    """Wall seconds of a first run of so many cells, and of one that finds them all in the store."""
    with tempfile.TemporaryDirectory() as folder:
        epsilons = ", ".join(f"{number / cells:.6f}" for number in range(cells // 2))
        Path(folder, "benchmarks.yaml").write_text(FILE.format(epsilons=epsilons), encoding="utf-8")
        first, second, third = (_seconds(folder) for _ in range(3))
    again = min(second, third)
    return (
        f"### A matrix of {cells} cells\n\n"
        f"First run {first:.1f} s ({1e3 * first / cells:.1f} ms a cell, start-up, fit and fsync included); "
        f"again, with nothing left to do, {again:.2f} s.\n"
    )


def _seconds(folder: str) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "bnnbench", "run"], cwd=folder, check=True, capture_output=True)
    return time.perf_counter() - started


if __name__ == "__main__":
    print(report(1000))
