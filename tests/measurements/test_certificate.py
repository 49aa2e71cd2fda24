"""Certificates as measurements: exact answers of a linear network, and the rules that every certificate must obey."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from proofs import Linear, data_of, predictive_of
from torch import Tensor

import bnnbench as bb
from bnnbench.matrix.specs import CellSpec, FitSpec
from bnnbench.measurements.certificate import CertificateMeasurement
from bnnbench.measurements.measurement import Context

DATA = data_of()
RADII = (0.0, 0.02, 0.1, 0.3)


def corners(x: Tensor, epsilon: float) -> Tensor:
    """The corners (4, N, 2) of the ball's intersections with the unit square."""
    signs = torch.tensor([[a, b] for a in (-1.0, 1.0) for b in (-1.0, 1.0)])
    return (x + epsilon * signs[:, None]).clamp(0, 1)


@pytest.mark.parametrize("epsilon", RADII)
def test_one_linear_draw_is_decided_exactly_by_its_corners(epsilon: float) -> None:
    predictive = predictive_of()
    found = bb.certify(predictive, Linear(), DATA, epsilon=epsilon)
    x, y = DATA.test
    with torch.no_grad():
        margins = [
            (log_probs.exp()[range(60), y] - log_probs.exp()[range(60), 1 - y])
            for log_probs in map(predictive.log_probs, corners(x, epsilon))
        ]
    least = torch.stack(margins).amin(0).numpy()[found.index]
    assert np.abs(least).min() > 1e-4  # No image lies so near that rounding would decide.
    assert np.array_equal(found.certified, least > 0)
    assert found.refuted is not None
    assert np.array_equal(found.refuted, least < 0)
    assert found.bound is not None
    assert found.bound == pytest.approx(least, abs=1e-4)
    assert found.certified_accuracy == float((least > 0).mean())
    assert found.refuted_share == pytest.approx(1 - found.certified_accuracy)
    assert found.interval[0] < found.certified_accuracy < found.interval[1]
    if epsilon == 0:
        assert np.array_equal(found.certified, found.clean_correct)


@pytest.mark.parametrize("draws", [1, 6])
def test_no_attack_breaks_what_is_certified(draws: int) -> None:
    predictive = predictive_of(draws)
    proofs = bb.certify(predictive, Linear(), DATA, epsilon=RADII)
    attacks = bb.evaluate(predictive, bb.attack("pgd"), DATA, epsilon=RADII)
    assert isinstance(proofs, bb.Certifications)
    assert any(0 < proof.certified_accuracy < 1 for proof in proofs)
    for proof, attacked in zip(proofs, attacks, strict=True):
        assert not (proof.certified & ~attacked.robust).any()
        assert np.array_equal(proof.clean_log_probs, attacked.clean_log_probs)
    for smaller, larger in itertools.pairwise(proofs):
        assert not (larger.certified & ~smaller.certified).any()


def test_the_draws_that_defend_are_certified() -> None:
    predictive = predictive_of(6)
    assert bb.certify(predictive, Linear(), DATA, epsilon=0.1, draws=3).draws == 3
    apart = bb.certify(predictive, Linear(), DATA, threat=bb.Threat(epsilon=0.1, stream="independent"))
    first = {name: tensor[:3].numpy() for name, tensor in predictive.draws.items()}
    alone = bb.certify(bb.Predictive(torch.nn.Linear(2, 2), first), Linear(), DATA, epsilon=0.1)
    assert apart.draws == alone.draws == 3
    assert np.array_equal(apart.bound, alone.bound)  # type: ignore[arg-type]


def test_a_certificate_is_given_what_the_core_accepts_from_attacks() -> None:
    """Perturbed inputs may lie outside of the ball by their rounding: a proof must hold for them too."""
    seen: list[tuple[Any, ...]] = []

    class Looking(bb.Certificate):
        def prove(self, predictive, draws, x, y, threat):  # type: ignore[no-untyped-def]
            seen.append((threat, x.dtype, y.dtype, list(draws)))
            return bb.Proof(torch.zeros(len(y), dtype=torch.bool))

    asked = bb.Threat(epsilon=0.1, access="scores", queries=3)
    found = bb.certify(predictive_of(2), Looking(), DATA, threat=asked)
    threat, *rest = seen[-1]
    assert rest == [torch.float32, torch.int64, [0, 1]]
    assert 0.1 < threat.epsilon < 0.10001
    assert (threat.bounds[0] < 0, threat.bounds[1] > 1, threat.queries, threat.access) == (True, True, None, "gradient")
    assert found.threat == replace(asked, bounds=(0.0, 1.0))
    assert (found.bound, found.refuted, found.refuted_share, found.mean_bound) == (None, None, None, None)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"stream": "fresh", "attack_draws": 2}, "nothing can be proven under the stream 'fresh'"),
        ({"norm": "l2"}, "linear bounds need a linear network and the linf norm"),
        ({"goal": "raise-uncertainty"}, "the goal 'raise-uncertainty' about scores"),
    ],
)
def test_what_cannot_be_proven_is_incompatible(asked: dict[str, Any], told: str) -> None:
    with pytest.raises(bb.Incompatible, match=told):
        bb.certify(predictive_of(4), Linear(), DATA, threat=bb.Threat(epsilon=0.1, **asked))


def test_wrong_arguments_are_told() -> None:
    predictive = predictive_of()
    with pytest.raises(TypeError, match="certify takes either epsilon=, a radius, or threat="):
        bb.certify(predictive, Linear(), DATA)
    with pytest.raises(TypeError, match=r"certificate is a certificate, such as .* not an attack"):
        bb.certify(predictive, bb.attack("fgsm"), DATA, epsilon=0.1)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="certify has no argument 'seed'"):
        bb.certify(predictive, Linear(), DATA, epsilon=0.1, seed=1)  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="holds the whole box"):
        bb.certify(predictive, Linear(), DATA, epsilon=8)
    assert bb.certify(predictive, Linear(), DATA, epsilon=8, allow_whole_box=True).certified_accuracy == 0


def test_progress_is_told_of_each_radius() -> None:
    told: list[tuple[Any, ...]] = []
    bb.certify(predictive_of(), Linear(), DATA, epsilon=[0.1, 0.2], progress=lambda *done: told.append(done))
    assert [done for done, *_ in told] == [0, 1, 2, 3, 4, 5]
    assert {total for _, total, *_ in told} == {5}


def test_a_certification_shows_its_figures() -> None:
    found = bb.certify(predictive_of(3), Linear(), DATA, epsilon=["8/255", 0.1], images=20)
    low, high = found[0].interval
    assert repr(found[0]) == (
        f"Certification(Linear, linf 8/255: certified {found[0].certified_accuracy:.3f} [{low:.3f}, {high:.3f}], "
        f"clean {found[0].clean_accuracy:.3f}, 20 images, 3 draws)"
    )
    assert repr(found).splitlines() == [repr(one) for one in found]
    assert repr(bb.Certifications()) == "no certifications"
    html = found._repr_html_()
    assert html.startswith("<table><tr><th>certificate</th><th>radius</th><th>certified</th>")
    assert html.count("<tr>") == 3
    frame = found.frame()
    assert len(frame) == 40
    assert frame.groupby("epsilon")["certified"].mean().tolist() == [one.certified_accuracy for one in found]
    assert {"certificate", "epsilon_text", "bound", "refuted", "clean_correct"} <= set(frame.columns)
    assert not {"attack", "robust"} & set(frame.columns)
    constant = replace(found[0], clean_log_probs=np.log(np.full((20, 2), 0.5)))
    assert "refutes: every clean image is given one and the same class" in repr(constant)
    assert list(CertificateMeasurement(Linear()).notes(constant)) == ["="]


def test_figures_of_a_row() -> None:
    measurement = CertificateMeasurement(Linear())
    found = bb.certify(predictive_of(), Linear(), DATA, epsilon=0.1)
    figures = measurement.row(found)
    assert figures == {
        "images": 60,
        "draws": 1,
        "clean_accuracy": found.clean_accuracy,
        "clean_low": found.clean_interval[0],
        "clean_high": found.clean_interval[1],
        "certified_accuracy": found.certified_accuracy,
        "certified_low": found.interval[0],
        "certified_high": found.interval[1],
        "refuted_share": found.refuted_share,
        "mean_bound": found.mean_bound,
    }
    assert measurement.row(None) == dict.fromkeys(figures)
    values = {name.field: getattr(found, name.field) for name in measurement.schema.quantities}
    again = measurement.restored(values, Context(found.threat, label="linear"))
    assert (measurement.row(again), again.certificate) == (figures, "linear")


def test_what_the_attacker_may_ask_is_not_in_the_key_of_a_certificate() -> None:
    fit = FitSpec(bb.dataset("half-moons"), bb.network("fc"), bb.posterior("sgd"), 0)
    threats = [
        bb.Threat(epsilon=0.1),
        bb.Threat(epsilon=0.1, access="scores", queries=10),
        bb.Threat(epsilon=0.1, goal="targeted", target=1),
    ]

    def keys(component: Any, asked: Sequence[bb.Threat]) -> set[str]:
        specs = [CellSpec("d", "n", "p", "c", fit, component, threat, 10, 5, "few") for threat in asked]
        return {spec.key for spec in specs}

    assert len(keys(Linear(), threats)) == 1
    assert len(keys(bb.attack("fgsm"), threats)) == 3
    others = [bb.Threat(epsilon=0.2), bb.Threat(epsilon=0.1, norm="l2"), bb.Threat(epsilon=0.1, stream="independent")]
    assert len(keys(Linear(), [*threats, *others])) == 4


def test_the_certificate_of_the_page_about_plugins_is_sound() -> None:
    page = (Path(__file__).parents[2] / "docs" / "plugins.md").read_text()
    (code,) = (block for block in re.findall(r"```python\n(.*?)```", page, re.S) if "(Certificate)" in block)
    names: dict[str, Any] = {"__name__": "bnnbench_every_draw"}
    exec(code, names)
    for draws in (1, 5):
        predictive = predictive_of(draws)
        page_found = bb.certify(predictive, names["EveryDraw"](), DATA, epsilon=0.05)
        best = bb.certify(predictive, Linear(), DATA, epsilon=0.05)
        assert page_found.certified.any()
        assert not (page_found.certified & ~best.certified).any()


def test_certifications_of_two_environments_are_compared() -> None:
    from bnnbench.running.repeat import difference, within_tolerance

    found = bb.certify(predictive_of(3), Linear(), DATA, epsilon=0.1)
    assert found.bound is not None
    nearly = replace(found, bound=found.bound + 1e-5)
    assert within_tolerance(found, nearly)
    assert difference(found, nearly) == "bounds by up to 1e-05"
    other = replace(found, certified=~found.certified)
    assert not within_tolerance(found, other)
    assert re.match(r"certified accuracy [\d.]+ and [\d.]+, bounds by up to 0", difference(found, other))
    assert not within_tolerance(found, replace(found, index=found.index + 1))
