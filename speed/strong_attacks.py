"""How many images strong attacks leave, and at which cost: `standard` beside other libraries.

python speed/strong_attacks.py [--quick]     (half an hour; pyautoattack and adv-lib are included if they are installed)

Every attack meets the same predictive, images and radius, in one process with one thread. MNIST and Fashion-MNIST are
read as `bnnbench run` reads them.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import measuring
import torch
from torch import Tensor

import bnnbench as bb

HIDDEN = {"mnist": (128,), "fashion-mnist": (128,), "digits": (32, 32), "half-moons": (32, 32)}
POSTERIORS: dict[str, dict[str, Any]] = {
    "sgd": {"epochs": 5},
    "bayes-by-backprop": {"epochs": 5, "draws": 50, "prior_scale": 0.1},
    "numpyro-hmc": {"draws": 50, "warmup": 50, "prior_scale": 0.5},
}
CASES = (
    ("digits", "numpyro-hmc", {}, 0.1, 400),
    ("digits", "bayes-by-backprop", {"epochs": 100, "prior_scale": 0.3}, 0.1, 400),
    ("half-moons", "bayes-by-backprop", {"epochs": 200, "prior_scale": 1.0}, 0.08, 1000),
    ("mnist", "sgd", {}, 0.05, 500),
    ("mnist", "sgd", {}, 0.1, 500),
    ("mnist", "bayes-by-backprop", {}, 0.1, 200),
    ("fashion-mnist", "sgd", {}, 0.02, 500),
    ("fashion-mnist", "bayes-by-backprop", {}, 0.02, 200),
)
"""Data set, posterior, parameters that differ from `POSTERIORS`, radius and number of images."""
Attack = Callable[[bb.Predictive, Tensor, Tensor, float], Tensor]
"""A function of a predictive, inputs, labels and radius that returns perturbed inputs."""


@dataclass(frozen=True)
class Left:
    """The number of images that an attack leaves, and its CPU seconds."""

    images: int
    seconds: float


def attacks() -> dict[str, Attack]:
    """The attacks that are compared, by name: ours, and those of the libraries that are installed."""
    ours: dict[str, Attack] = {
        "pgd, 15 steps": _ours("pgd"),
        "apgd, 9 targets": _ours("apgd", steps=30, targets=9, stop_when_broken=True),
        "standard 1": _ours("standard"),
    }
    for make in (_pyautoattack, _adv_lib):
        try:
            ours |= make()
        except ImportError:
            continue
    return ours


def _ours(name: str, **parameters: Any) -> Attack:
    attack = bb.attack(name, **parameters)
    return lambda predictive, x, y, epsilon: attack(predictive, x, y, bb.Threat(epsilon=epsilon))


def _pyautoattack() -> dict[str, Attack]:
    from pyautoattack import AutoAttack

    def attacked(predictive: bb.Predictive, x: Tensor, y: Tensor, epsilon: float) -> Tensor:
        attack = AutoAttack(predictive.as_module(), eps=epsilon, seed=0)
        if predictive.log_probs(x[:1]).shape[-1] < 4:
            # The ratio of logits needs four classes in its targeted form, and Square needs images.
            attack.attacks_to_run = ["apgd-ce"]
        attack.verbose = False
        made: Tensor = attack.run_standard_evaluation(x, y, batch_size=len(x))[0]
        return made

    return {"pyautoattack standard": attacked}


def _adv_lib() -> dict[str, Attack]:
    from adv_lib.attacks import apgd_targeted

    def attacked(predictive: bb.Predictive, x: Tensor, y: Tensor, epsilon: float) -> Tensor:
        if predictive.log_probs(x[:1]).shape[-1] < 4:
            raise NotImplementedError
        made: Tensor = apgd_targeted(predictive.as_module(), x, y, epsilon, float("inf"))
        return made

    return {"adv-lib APGD-T": attacked}


def measured(quick: bool) -> Iterator[tuple[str, int, dict[str, Left | None]]]:
    """The name of each case, the images that are right before the attack, and what each attack leaves."""
    for name, method, changes, epsilon, images in CASES[: 3 if quick else len(CASES)]:
        data = bb.dataset(name).load(seed=0)
        network = bb.network("fc", hidden=HIDDEN[name]).build(data)
        predictive = bb.fit(bb.posterior(method, **{**POSTERIORS[method], **changes}), network, data, seed=0)
        x, y = (part[: images // (4 if quick else 1)] for part in data.test)
        right = predictive.log_probs(x).argmax(-1) == y
        x, y = x[right], y[right]
        left = {label: _left(attack, predictive, x, y, epsilon) for label, attack in attacks().items()}
        yield f"{name}, {method}, {epsilon:g}", len(y), left


def _left(attack: Attack, predictive: bb.Predictive, x: Tensor, y: Tensor, epsilon: float) -> Left | None:
    """What an attack leaves; None if it is not defined for the predictive."""
    torch.manual_seed(0)
    started = time.process_time()
    try:
        made = attack(predictive, x, y, epsilon)
    except NotImplementedError:
        return None
    seconds = time.process_time() - started
    outside = float((made - x).abs().max()) - epsilon
    if outside > 1e-5:
        raise RuntimeError(f"an attack left the ball by {outside:.2g}")
    return Left(int((predictive.log_probs(made).argmax(-1) == y).sum()), seconds)


def report(quick: bool) -> str:
    """The table in markdown: images left and CPU seconds for each case and attack."""
    rows = []
    for case, right, left in measured(quick):
        shown = ["-" if one is None else f"{one.images} ({one.seconds:.1f} s)" for one in left.values()]
        rows.append([case, str(right), *shown])
        print(" | ".join(rows[-1]), file=sys.stderr, flush=True)
    head = ["data, posterior, radius", "right", *attacks()]
    return measuring.table("Strong attacks: images left (CPU seconds)", head, rows)


if __name__ == "__main__":
    print(f"{measuring.machine()}\n")
    print(report("--quick" in sys.argv))
