"""A benchmarks file whose components are classes of a file beside it, for several test files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bnnbench.core.component_file import component_in_file
from bnnbench.matrix.config_reader import read_config

MINE = """
from __future__ import annotations

import enum
from typing import ClassVar

import torch
from pydantic import Field

import bnnbench as bb
from bnnbench.authoring import Maximising
from scales_of_a_test import SCALE


class Side(enum.Enum):
    UP = "up"
    DOWN = "down"


class Loss(bb.Objective):
    power: float = Field(default=1.0, gt=0)

    def value(self, log_probs, y):
        right = log_probs.logsumexp(0).gather(1, y[:, None])[:, 0]
        return -SCALE * self.power * right


class Step(bb.Attack):
    revision: ClassVar[int | None] = 1

    objective: bb.ObjectiveParameter = Loss()
    length: float = Field(default=1.0, gt=0)
    side: Side = Side.UP

    def perturb(self, victim, x, y, threat, rng):
        step = self.length * threat.epsilon * threat.steepest(victim.direction(x, y, self.objective))
        return threat.project(x, x + step if self.side is Side.UP else x - step)


class Copied(Maximising):
    def perturb(self, victim, x, y, threat, rng):
        return self.perturb_each(victim, x, y, [threat], [rng])[0]

    def perturb_each(self, victim, x, y, threats, rngs):
        direction = victim.direction(x, y, self.objective)
        return [threat.project(x, x + threat.epsilon * threat.steepest(direction)) for threat in threats]


class First(bb.Attack):
    inner: bb.AttackParameter = Step()

    def perturb(self, victim, x, y, threat, rng):
        return self.inner.perturb(victim, x, y, threat, rng)


class Points(bb.Dataset):
    size: int = 8

    def load(self, seed):
        x = torch.rand(self.size, 2, generator=torch.Generator().manual_seed(seed))
        return bb.Data(train=(x, torch.arange(self.size) % 2), test=(x, torch.arange(self.size) % 2))


class Net(bb.Network):
    width: int = 3

    def build(self, data):
        return torch.nn.Sequential(torch.nn.Linear(2, self.width), torch.nn.Linear(self.width, data.classes))


class Prior(bb.Posterior):
    draws: int = 2

    def fit(self, network, data, *, seed, progress=bb.no_progress):
        shapes = {name: weight.shape for name, weight in network.named_parameters()}
        generator = torch.Generator().manual_seed(seed)
        return bb.Draws({n: torch.randn(1, self.draws, *s, generator=generator).numpy() for n, s in shapes.items()})


class Size(bb.Measure):
    offset: int = 0


class Plain(torch.nn.Linear):
    def __init__(self):
        super().__init__(2, 2)


class Nothing:
    pass


def function():
    pass
"""

CONFIG = """\
epsilons: [0.1]
datasets: {points: {use: 'mine.py:Points', size: 6}}
networks:
  net: {use: 'mine.py:Net', sweep: {width: [3, 4]}}
  plain: {use: 'mine.py:Plain'}
posteriors: {prior: {use: 'mine.py:Prior'}}
attacks:
  step: {use: 'mine.py:Step', objective: {use: 'mine.py:Loss', power: 2.0}}
  pgd: {steps: 2, objective: 'mine.py:Loss'}
  first: {use: 'mine.py:First', inner: {use: 'mine.py:Step', objective: expected-loss}}
measures: {size: {use: 'mine.py:Size', offset: 1}}
"""


def written(folder: Path, config: str = CONFIG, text: str = MINE, scale: float = 1.0) -> Path:
    """The path of a benchmarks file in a folder, with the files that it needs beside it."""
    folder.mkdir(exist_ok=True)
    (folder / "mine.py").write_text(text)
    (folder / "scales_of_a_test.py").write_text(f"SCALE = {scale}\n")
    (folder / "benchmarks.yaml").write_text(config)
    return folder / "benchmarks.yaml"


def components(path: Path) -> dict[str, Any]:
    """The components of a benchmarks file by the names of their variants."""
    variants = read_config(path).variants
    return {variant.name: variant.component for several in variants.values() for variant in several}


def made(folder: Path, name: str, **parameters: Any) -> Any:
    """A component of a class of `mine.py`."""
    kinds = {"Points": "dataset", "Net": "network", "Prior": "posterior", "Size": "measure", "Loss": "objective"}
    return component_in_file(kinds.get(name, "attack"), folder / "mine.py", name)(**parameters)
