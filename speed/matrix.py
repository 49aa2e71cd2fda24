"""Time a matrix of small cells: a first run, and a second one that finds all of them in the store.

python speed/matrix.py
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

# The cells are so small that nearly all of the time is the framework's own.
FILE = """\
epsilons: [{epsilons}]
evaluate: {{images: 100, draws: 1}}
datasets: {{half-moons: {{train_size: 100, test_size: 100}}}}
networks: {{fc: {{hidden: [8]}}}}
posteriors: {{sgd: {{epochs: 1}}}}
attacks: {{random: {{use: random-sign}}, fgsm: {{}}}}
"""


def report(cells: int) -> str:
    """The wall seconds of a first run of this number of cells, and of a run that finds them all in the store."""
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
    """The wall seconds of `bnnbench run` in a folder."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "bnnbench", "run"], cwd=folder, check=True, capture_output=True)
    return time.perf_counter() - started


if __name__ == "__main__":
    print(report(1000))
