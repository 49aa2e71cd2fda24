"""`Attack.run` and calls of attacks: what is attacked, in what form, and what becomes of each input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from known import random_ensemble, random_inputs
from torch import nn

import bnnbench as bb

PREDICTIVE = random_ensemble(scale=3.0)
X, Y = random_inputs()


def test_a_run_says_what_became_of_each_input() -> None:
    made = bb.attack("pgd", steps=3).run(PREDICTIVE, X, Y, 0.2)
    assert torch.equal(made.inputs, bb.attack("pgd", steps=3)(PREDICTIVE, X, Y, bb.Threat(epsilon=0.2)))
    assert np.array_equal(made.success, (PREDICTIVE.log_probs(made.inputs).argmax(-1) != Y).numpy())
    assert np.allclose(made.distance, (made.inputs - X).abs().amax(1))
    assert made.passes.tolist() == [4.0] * 11
    assert made.gradient_passes.tolist() == [3.0] * 11
    assert len(made) == 11
    wrong = int(made.success.sum())
    assert repr(made).startswith(f"Attacked(ProjectedGradient, linf 0.2: {wrong} of 11 inputs misclassified; mean")


def test_lists_of_radii_and_threats_give_lists_of_results() -> None:
    attack = bb.attack("fgsm")
    both = attack.run(PREDICTIVE, X, Y, [0.1, bb.Threat(epsilon=0.5, norm="l2")], seed=np.uint32(3))
    assert [result.threat.norm for result in both] == ["linf", "l2"]
    assert torch.equal(both[0].inputs, attack.run(PREDICTIVE, X, Y, np.float64(0.1)).inputs)
    assert torch.equal(both[0].inputs, attack.run(PREDICTIVE, X, Y, "0.1").inputs)


@pytest.mark.parametrize("stream", [{}, {"stream": "independent"}, {"stream": "fresh", "attack_draws": 2}])
def test_the_draws_that_defend_judge(stream: dict[str, Any]) -> None:
    """The same draws judge an input as in an outcome."""
    data = bb.Data(test=(X, Y), classes=3)
    threat, attack = bb.Threat(epsilon=0.2, **stream), bb.attack("fgsm")
    outcome = bb.evaluate(PREDICTIVE, attack, data, threat=threat, seed=4)
    x, y = data.test[0][outcome.index], data.test[1][outcome.index]
    made = attack.run(PREDICTIVE, x, y, threat, seed=4)
    assert np.array_equal(made.success, outcome.broken)
    assert np.array_equal(made.passes, outcome.passes)


@pytest.mark.parametrize("model", [nn.Linear(5, 3), [nn.Linear(5, 3), nn.Linear(5, 3)], lambda x: x[:, :3]])
def test_models_are_attacked_as_predictives_are(model: Any) -> None:
    attack = bb.attack("random-sign")
    predictive, threat = bb.predictive(model), bb.Threat(epsilon=0.1)
    assert torch.equal(attack(model, X, Y, threat), attack(predictive, X, Y, threat))
    assert np.array_equal(attack.run(model, X, Y, 0.1).success, attack.run(predictive, X, Y, 0.1).success)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_arrays_give_arrays_of_their_type(dtype: str) -> None:
    x, threat = X.numpy().astype(dtype), bb.Threat(epsilon=0.1)
    made = bb.attack("fgsm")(PREDICTIVE, x, Y.numpy().astype("i2"), threat)
    assert isinstance(made, np.ndarray)
    assert made.dtype == dtype
    assert isinstance(bb.attack("fgsm").run(PREDICTIVE, x, Y.tolist(), threat).inputs, np.ndarray)
    assert bb.attack("fgsm")(PREDICTIVE, X > 0.5, Y, threat).dtype == torch.float32


def test_wrong_arguments_of_attacks_are_named() -> None:
    attack, threat = bb.attack("fgsm"), bb.Threat(epsilon=0.1)
    with pytest.raises(TypeError, match=r"threat is a bnnbench\.Threat, .* not 0\.1; run"):
        attack(PREDICTIVE, X, Y, 0.1)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match=r"epsilon is a radius, such as 0.1 or '8/255', not None"):
        attack.run(PREDICTIVE, X, Y, None)
    with pytest.raises(ValueError, match=r"labels: label 5 .* with 3 classes"):
        attack(PREDICTIVE, X, Y * 0 + 5, threat)
    with pytest.raises(TypeError, match="labels are float32, not integers"):
        attack(PREDICTIVE, X, Y + 0.7, threat)
    with pytest.raises(ValueError, match="labels of shape"):
        attack.run(PREDICTIVE, X, Y[:3], 0.1)
    with pytest.raises(TypeError, match="predictive is a predictive, a torch module"):
        attack.run("predictive", X, Y, 0.1)
    with pytest.raises(TypeError, match="inputs are not real numbers"):
        attack.run(PREDICTIVE, "inputs", Y, 0.1)
    with pytest.raises(bb.InvalidData, match=r"inputs lie in .*, outside the box \[0, 1\]: scale the inputs"):
        attack.run(PREDICTIVE, X + 1, Y, 0.1)
    with pytest.raises(bb.InvalidData, match=r"outside the box .*: divide the images by 255"):
        attack.run(PREDICTIVE, (X * 200).to(torch.uint8), Y, 0.1)
    with pytest.raises(bb.InvalidData, match="input 1 is not finite"):
        attack.run(PREDICTIVE, X.where(torch.arange(len(X))[:, None] != 1, torch.nan), Y, 0.1)
    with pytest.raises(TypeError, match=r"attack\.run has no argument 'eps'; did you mean 'epsilon'\?"):
        attack.run(PREDICTIVE, X, Y, eps=0.1)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match=r"^attack needs threat: attack\(predictive, x, y, threat, \.\.\.\)$"):
        attack(PREDICTIVE, X, Y)  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="seed"):
        attack.run(PREDICTIVE, X, Y, 0.1, seed=-1)


def test_a_ball_that_holds_the_whole_box_is_asked_for() -> None:
    attack = bb.attack("fgsm")
    with pytest.raises(ValueError, match="8 looks like 8/255"):
        attack.run(PREDICTIVE, X, Y, [0.1, 8])
    assert attack.run(PREDICTIVE, X, Y, 8, allow_whole_box=True).distance.max() <= 1
    with pytest.raises(TypeError, match="allow_whole_box is True or False, not 'yes'"):
        attack.run(PREDICTIVE, X, Y, 8, allow_whole_box="yes")  # type: ignore[call-overload]


def test_a_threat_with_another_box_than_the_predictive_is_refused() -> None:
    model = bb.predictive(nn.Linear(X.shape[1], 3), bounds=(-1, 1))
    with pytest.raises(ValueError, match=r"the threat's box is \[0\.0, 1\.0\], the predictive's \[-1\.0, 1\.0\]"):
        bb.attack("fgsm").run(model, X, Y, bb.Threat(epsilon=0.1, bounds=(0, 1)))


def test_generators_of_radii_and_threats_are_lists() -> None:
    attack, threats = bb.attack("fgsm"), [bb.Threat(epsilon=0.1), bb.Threat(epsilon=0.2)]
    assert len(attack.run(PREDICTIVE, X, Y, (one for one in threats))) == 2
    assert len(attack(PREDICTIVE, X, Y, (one for one in threats))) == 2


def test_no_attack_may_replace_run() -> None:
    with pytest.raises(bb.PluginError, match="'run' belongs to the core"):

        class Own(bb.Attack):
            """Has a run of its own."""

            def run(self) -> None:  # type: ignore[override]
                """Not this one."""
