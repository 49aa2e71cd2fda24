"""A benchmarks file without a mistake."""

from __future__ import annotations

from pathlib import Path

GOOD = """\
version: 1
seeds: [0, 1]
evaluate: {images: 20, draws: 5}
epsilons: [0.1, 1e-3]
datasets:
  moons: {use: half-moons, epsilons: [0.02]}
  digits:
networks:
  mlp: {use: fc, hidden: [8, 8]}
posteriors:
  sgd: {epochs: 1}
  nuts: {use: numpyro-nuts, draws: 4, warmup: 2, sweep: {max_tree_depth: [2, 3]}}
attacks:
  fgsm:
  pgd: {steps: 3, sweep: {objective: [expected-loss, log-margin]}}
"""


def written(folder: Path, text: str) -> Path:
    """The file in a folder, with this text."""
    path = folder / "benchmarks.yaml"
    path.write_text(text, encoding="utf-8")
    return path
