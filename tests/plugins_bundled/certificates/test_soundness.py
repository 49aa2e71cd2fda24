"""Certificates claim nothing that an attack contradicts, and planted errors are found out."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from attacks import quick
from bnnbench_plugins.certificates import branching, odds, relaxation
from bnnbench_plugins.certificates.activations import Activation
from bnnbench_plugins.certificates.crown import Crown
from bnnbench_plugins.certificates.exact import Exact
from bnnbench_plugins.certificates.interval import IntervalBounds
from bnnbench_plugins.certificates.region import Region
from bnnbench_plugins.certificates.steps import Slopes
from random_networks import ACTIVATIONS, ensemble, least_margin
from torch import Tensor

import bnnbench as bb

CERTIFICATES = {
    "interval": IntervalBounds(),
    "per draw": Crown(joint=False),
    "joint": Crown(cuts=0),
    "ascent": Crown(steps=4, cuts=0),
    "cuts": Crown(),
}
RADII = {"linf": (0.01, 0.05, 0.15), "l2": (0.02, 0.1, 0.3), "l1": (0.03, 0.15, 0.4)}


def problem(kind: str, scale: float, seed: int, images: int = 12) -> tuple[bb.Predictive, Tensor, Tensor]:
    """An ensemble, inputs of which some lie at the edges of the box, and their predicted classes."""
    predictive, shape = ensemble(kind, scale=scale, seed=seed)
    x = (1.4 * torch.rand(images, *shape, generator=torch.Generator().manual_seed(seed)) - 0.2).clamp(0, 1)
    return predictive, x, predictive.log_probs(x).argmax(1)


@functools.cache
def attacked(kind: str, norm: str, seed: int) -> tuple[bb.Predictive, Tensor, Tensor, bb.Threat, Tensor]:
    """A problem, a threat, and the least margin that attacks find: no certificate has a part in it."""
    predictive, x, y = problem(kind, (0.4, 0.8, 1.5)[seed % 3], seed)
    threat = bb.Threat(epsilon=RADII[norm][seed % 3], norm=norm)  # type: ignore[arg-type]
    return predictive, x, y, threat, least_margin(predictive, x, y, threat)


def excess(certificate: bb.Certificate, kinds: list[str], norms: list[str], seeds: range) -> tuple[float, int]:
    """The largest amount by which a bound exceeds a margin that attacks find, and the number of certified pairs."""
    worst, certified = -2.0, 0
    for seed in seeds:
        for kind in kinds:
            for norm in norms:
                predictive, x, y, threat, margin = attacked(kind, norm, seed)
                proof = certificate.prove(predictive, range(len(predictive)), x, y, threat)
                assert proof.bound is not None
                assert torch.equal(proof.certified, proof.bound > 0)
                worst = max(worst, float((proof.bound - margin).max()))
                certified += int(proof.certified.sum())
    return worst, certified


@pytest.mark.parametrize("name", CERTIFICATES)
@pytest.mark.parametrize("kind", [*ACTIVATIONS, "conv", "residual"])  # each is attacked once
def test_no_bound_is_above_what_attacks_find(name: str, kind: str) -> None:
    worst, certified = excess(CERTIFICATES[name], [kind], list(RADII), range(3))
    assert worst <= 1e-6
    assert certified > (0 if name == "interval" else 10)


def test_better_methods_prove_no_less() -> None:
    predictive, x, y = problem("tanh", 0.8, 0, images=40)
    threat = bb.Threat(epsilon=0.05)
    bounds = [one.prove(predictive, range(3), x, y, threat).bound for one in CERTIFICATES.values()]
    interval, per_draw, joint, ascent, cuts = (one for one in bounds if one is not None)
    assert (interval <= per_draw + 1e-9).all()
    assert (per_draw <= joint + 1e-9).all()
    assert (joint <= ascent + 1e-9).all()
    assert (joint <= cuts + 1e-9).all()
    assert (joint > per_draw + 1e-4).any()


def _swapped(self: Activation, rows: Tensor, inputs: object, slopes: Slopes | None) -> tuple[list[Tensor], Tensor]:
    (through,), constant = BACK(self, -rows, inputs, slopes)  # type: ignore[arg-type]
    return [-through], -constant


def _without_offset(self: Activation, slope: Tensor, given: object, *, lower: bool) -> Tensor:
    return torch.zeros_like(slope)


def _smaller(x: Tensor, threat: bb.Threat, predictive: bb.Predictive) -> Region:
    return REGION_OF(x, replace(threat, epsilon=threat.epsilon / 2), predictive)


def _smaller_box(x: Tensor, threat: bb.Threat, predictive: bb.Predictive) -> Region:
    return REGION_OF(x, replace(threat, bounds=(0.3, 0.7)), predictive)


BACK, REGION_OF = Activation.back, relaxation.region_of
BUGS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "lower and upper lines exchanged": lambda patch: patch.setattr(Activation, "back", _swapped),
    "lines without offsets": lambda patch: patch.setattr(Activation, "offset", _without_offset),
    "half of the radius": lambda patch: patch.setattr(relaxation, "region_of", _smaller),
    "another box": lambda patch: patch.setattr(relaxation, "region_of", _smaller_box),
    "lines above phi": lambda patch: patch.setattr(odds, "offset", lambda slope, margins, rest: 0.3 + 0 * slope),
    "no other classes": lambda patch: patch.setattr(odds, "others", torch.zeros_like),
}


@pytest.mark.parametrize("bug", BUGS)
def test_planted_errors_are_found_out(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    BUGS[bug](monkeypatch)
    assert excess(Crown(cuts=0), ["relu", "tanh"], ["linf"], range(3))[0] > 1e-3


def test_refuted_images_are_misclassified_within_ball_and_box(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    misclassified = branching.Branching._misclassified

    def kept(self: branching.Branching, inputs: Tensor, image: Tensor) -> Tensor:
        wrong = misclassified(self, inputs, image)
        found.append((inputs[wrong], image[wrong]))
        return wrong

    monkeypatch.setattr(branching.Branching, "_misclassified", kept)
    for norm in RADII:
        predictive, x, y = problem("relu", 1.5, 1, images=40)
        threat = bb.Threat(epsilon=0.2, norm=norm)  # type: ignore[arg-type]
        found.clear()
        proof = Exact(boxes=200).prove(predictive, range(3), x, y, threat)
        inputs, image = (torch.cat(parts) for parts in zip(*found, strict=True))
        assert proof.refuted is not None
        assert sorted(set(image.tolist())) == proof.refuted.nonzero()[:, 0].tolist()
        assert len(image) > 0
        assert (threat.distance(x[image], inputs) <= 0.2 + 1e-6).all()
        assert inputs.min() >= 0
        assert inputs.max() <= 1
        assert (predictive.log_probs(inputs).argmax(1) != y[image]).all()


@pytest.mark.slow
def test_no_attack_breaks_any_of_ten_thousand_certified_images() -> None:
    from attacks import WITH_NORMS

    certified, broken = 0, {}
    for seed in range(60):
        kind = [*ACTIVATIONS, "conv", "residual"][seed % 10]
        for norm in ("linf", "l2"):
            predictive, x, y = problem(kind, (0.2, 0.4, 0.8)[seed % 3], seed, images=200)
            threat = bb.Threat(epsilon=RADII[norm][seed % 2], norm=norm)  # type: ignore[arg-type]
            sure = Crown().prove(predictive, range(len(predictive)), x, y, threat).certified
            certified += int(sure.sum())
            for name in sorted({name for name, supported in WITH_NORMS if supported == norm}) if sure.any() else ():
                attacked = quick(name)(predictive, x[sure], y[sure], threat, seed=seed)
                wrong = int((predictive.log_probs(attacked).argmax(1) != y[sure]).sum())
                broken[name] = broken.get(name, 0) + wrong
    assert certified >= 10_000
    assert broken == dict.fromkeys(broken, 0)
