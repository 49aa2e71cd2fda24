"""Read and plan random benchmarks files: each must be planned, or refused with a message."""

from __future__ import annotations

import json
import random
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as some

from bnnbench.errors import BnnbenchError
from bnnbench.matrix.config_reader import read_config
from bnnbench.matrix.plan import make_plan

SLOWEST = 2.0
"""The time limit in seconds for reading and planning a file, or refusing it."""
GOOD = """\
version: 1
seeds: [0, 1]
evaluate: {images: 500, draws: 50, stream: fixed}
epsilons: [0.05, 0.1]
limits: {fit: 20m, cell: 10m, memory: 8GiB}
datasets:
  moons: {use: half-moons, noise: 0.1, epsilons: [0.02, 0.05]}
  digits: {}
networks:
  mlp: {use: fc, hidden: [64, 64], activation: leaky-relu}
posteriors:
  sgd: {epochs: 30}
  nuts: {use: numpyro-nuts, draws: 50, warmup: 50, sweep: {max_tree_depth: [5, 8]}}
attacks:
  random: {use: random-sign}
  pgd: {steps: 15, sweep: {objective: [expected-loss, log-margin]}}
exclude:
  - {dataset: digits, posterior: nuts}
"""
PIECES = [
    *(
        "&a",
        "*a",
        "<<: *a",
        "!!python/object:os.system",
        "!!binary aGk=",
        "? ",
        "- - - ",
        "{",
        "}",
        "[",
        "]",
        "|",
        ">-",
    ),
    *(
        "\t",
        "\x00",
        "\x1b[31m",
        "\u202e",
        "\ud7ff",
        "1e999",
        ".nan",
        ".inf",
        "-1",
        "0x10",
        "0o7",
        "1_000",
        "2026-11-24",
    ),
    *(
        "null",
        "~",
        "true",
        "'",
        '"',
        "%YAML 1.1\n---\n",
        "---\n",
        "...\n",
        "#",
        ": ",
        "\n\n",
        "9" * 400,
        "a" * 3000,
        "../x",
    ),
    *(
        "use:",
        "sweep: {}",
        "epsilons: []",
        "threats: [{}]",
        "include: [{}]",
        "seeds: []",
        "version: 2",
        "@",
        "`",
        "=cmd",
    ),
]

NAMES = "use sweep epsilons threats epsilon norm steps draws chains hidden objective path images a b @ ../c"
SECTIONS = (
    "version seeds device threads evaluate epsilons threats limits datasets networks posteriors attacks include exclude"
)


@dataclass
class Fuzzing:
    """The results of a campaign: numbers of files, and a line for each that was neither planned nor refused in time.

    `slowest` is the longest time in seconds that a file took.
    """

    files: int = 0
    good: int = 0
    refused: int = 0
    slowest: float = 0.0
    wrong: list[str] = field(default_factory=list)


def mutated() -> some.SearchStrategy[str]:
    """Good files with some characters removed, doubled, or with a hostile piece inserted."""

    def change(choice: random.Random) -> str:
        text = GOOD
        for _ in range(choice.randint(1, 6)):
            at = choice.randrange(len(text) + 1)
            to = min(len(text), at + choice.randint(0, 12))
            text = choice.choice(
                [text[:at] + text[to:], text[:to] + text[at:], text[:at] + choice.choice(PIECES) + text[at:]]
            )
        return text

    return some.randoms(use_true_random=False).map(change)


def made() -> some.SearchStrategy[str]:
    """Files with the right keys and arbitrary values."""
    scalar: some.SearchStrategy[Any] = (
        some.none()
        | some.booleans()
        | some.integers()
        | some.floats(allow_nan=False, allow_infinity=False)
        | some.text(max_size=20)
        | some.sampled_from(["fc", "sgd", "pgd", "half-moons", "numpyro-nuts", "saved", "x.py:Net", "20m", "8GiB"])
    )
    names = some.sampled_from(NAMES.split())
    anything = some.recursive(
        scalar, lambda inner: some.lists(inner, max_size=4) | some.dictionaries(names, inner, max_size=4), max_leaves=12
    )
    top = some.sampled_from(SECTIONS.split())
    return some.dictionaries(top, anything, max_size=9).map(json.dumps)


def campaign(folder: Path, count: int) -> Fuzzing:
    """Read and plan `count` files: each is planned, or refused with a message, within two seconds."""
    found = Fuzzing()

    @seed(0)
    @settings(max_examples=count, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(mutated() | made())
    def tried(text: str) -> None:
        if found.files < count:
            _try(folder / "benchmarks.yaml", text, found)

    tried()
    return found


def _try(path: Path, text: str, found: Fuzzing) -> None:
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    found.files += 1
    began = time.perf_counter()
    try:
        make_plan(read_config(path))
        found.good += 1
    except BnnbenchError as error:
        found.refused += 1
        if not str(error).strip():
            found.wrong.append(f"refused without a message: {text!r}")
    except Exception as error:  # noqa: BLE001 - any other exception would be a traceback for the user
        found.wrong.append(f"{type(error).__name__}: {error}: {text!r}")
    seconds = time.perf_counter() - began
    found.slowest = max(found.slowest, seconds)
    if seconds > SLOWEST:
        found.wrong.append(f"{seconds:.1f} s: {text!r}")
