"""Auto-PGD."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from bnnbench_plugins.attacks import targets
from bnnbench_plugins.attacks.apgd import _checkpoints
from hyperplanes import SHAPES, linear_problem
from known import random_ensemble, random_inputs, small_data

import bnnbench as bb
from bnnbench.core.rules.attack_run import craft

NORMS = ("linf", "l2", "l1")


def test_progress_is_judged_at_the_shares_of_the_paper() -> None:
    places = [0, 22, 41, 57, 70, 80, 87, 93, 99]
    assert _checkpoints(100) == dict(zip(places[1:], places[:-1], strict=True))


@pytest.mark.parametrize("steps", [1, 2, 5, 30])
def test_checkpoints_of_few_steps_are_in_order_and_inside(steps: int) -> None:
    checkpoints = _checkpoints(steps)
    assert all(0 <= before < at <= steps for at, before in checkpoints.items())
    assert sorted(checkpoints) == list(checkpoints)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_linear_classifier_meets_its_exact_robust_accuracy(shape: tuple[int, ...], norm: str) -> None:
    """The box included, which many of these inputs touch."""
    predictive, x, y, exact = linear_problem(shape, images=60)
    radius = float(np.median(exact[norm])) * 1.001
    threat = bb.Threat(epsilon=radius, norm=norm)  # type: ignore[arg-type]
    attacked = bb.attack("apgd", targets=2)(predictive, x, y, threat)
    clear = np.abs(exact[norm] / radius - 1) > 5e-3
    broken = threat.broken(predictive.log_probs(attacked), y).numpy()
    assert clear.mean() > 0.9
    assert np.array_equal(broken[clear], (exact[norm] < radius)[clear])


@pytest.mark.parametrize("norm", NORMS)
def test_the_result_is_the_best_of_all_iterates_its_start_included(norm: str) -> None:
    predictive, (x, y) = random_ensemble(scale=3), random_inputs(images=40)
    objective = bb.objective("predictive-nll")
    threat = bb.Threat(epsilon=0.3, norm=norm)  # type: ignore[arg-type]
    (one,) = craft(bb.attack("apgd", steps=8), predictive, x, y, [threat], seed=0)
    broken, value = one.steps["broken"].bool(), one.steps["objective"]
    assert len(value) == 9
    best = value.where(broken | ~broken.any(0), -torch.inf).amax(0)
    assert torch.allclose(objective.value(predictive.draw_log_probs(one.inputs), y), best)
    assert (best >= value[0])[broken[0] == broken.any(0)].all()
    assert (best > value[0]).any()


def hidden_class() -> tuple[bb.Predictive, torch.Tensor, torch.Tensor]:
    """Class 1 is the best other class over the whole ball and is never reached; class 2 is reached in one corner.

    The two need opposite moves of the only pixel: the margin of class 1 rises with it, and class 2 wins where it is
    small. Class 1 is 0.5 x - 0.4 above the label at most, and class 2 is 3 - 100 x above it.
    """
    weights = {"weight": np.array([[[0.0], [0.5], [-100.0]]], "f4"), "bias": np.array([[0, -0.4, 3]], "f4")}
    predictive = bb.Predictive(torch.nn.Linear(1, 3), weights)
    return predictive, torch.tensor([[0.12]]), torch.tensor([0])


def test_targets_break_an_image_that_the_best_other_class_hides() -> None:
    predictive, x, y = hidden_class()
    threat = bb.Threat(epsilon=0.1)
    log_probs = {}
    for count in (0, 1, 2):
        own = {"targets": count} if count else {"objective": "log-margin"}
        attack = bb.attack("apgd", random_start=False, **own)
        log_probs[count] = predictive.log_probs(attack(predictive, x, y, threat))
    assert [threat.broken(log_probs[count], y).item() for count in (0, 1, 2)] == [False, False, True]


@pytest.mark.parametrize("count", [0, 1])
@pytest.mark.parametrize("norm", NORMS)
def test_stopping_at_broken_images_changes_no_verdict(norm: str, count: int) -> None:
    predictive, data = random_ensemble(draws=4, inputs=4, classes=2), small_data(images=80)
    threat = bb.Threat(epsilon=0.15 if norm == "linf" else 0.3, norm=norm)  # type: ignore[arg-type]
    whole, quick = (
        bb.evaluate(
            predictive,
            bb.attack("apgd", steps=8, restarts=2, targets=count, stop_when_broken=stop),
            data,
            threat=threat,
        )
        for stop in (False, True)
    )
    assert 0 < whole.robust_accuracy < 1
    assert np.array_equal(whole.robust, quick.robust)
    left = quick.attacked_correct
    assert np.allclose(whole.attacked_log_probs[left], quick.attacked_log_probs[left], atol=1e-9)
    assert np.array_equal(whole.passes[left], quick.passes[left])
    assert quick.passes.sum() < whole.passes.sum()
    assert whole.softmax_robustness is not None
    assert quick.softmax_robustness is None


def test_under_fresh_the_last_iterate_counts() -> None:
    """Two draws of one linear direction, one far steeper: the last iterate is near the worst corner, and the one with
    the highest loss was met anywhere."""
    weight = np.array([[1.0, -2.0, 3.0], [-1.0, 2.0, -3.0]], "f4")
    weights = {"weight": np.stack([weight, 100 * weight]), "bias": np.zeros((2, 2), "f4")}
    predictive = bb.Predictive(torch.nn.Linear(3, 2), weights)
    x, y = torch.full((6, 3), 0.5), torch.tensor([0, 1, 0, 1, 0, 1])
    threat = bb.Threat(epsilon=0.1, stream="fresh", attack_draws=1)
    worst = x + 0.1 * torch.from_numpy(weight[1 - y]).sign()
    for seed in range(8):
        attacked = bb.attack("apgd")(predictive, x, y, threat, seed=seed)
        assert torch.allclose(attacked, worst, atol=1e-3)


def test_targets_and_another_objective_exclude_each_other() -> None:
    assert bb.attack("apgd", targets=3, objective="predictive-nll") == bb.attack("apgd", targets=3)
    with pytest.raises(ValueError, match="leave out objective, or targets"):
        bb.attack("apgd", targets=3, objective="dlr")


def test_several_runs_need_random_starts() -> None:
    with pytest.raises(ValueError, match="restarts above 1 need random_start"):
        bb.attack("apgd", restarts=2, random_start=False)


@pytest.mark.parametrize("name", ["apgd", "pgd"])
def test_stopping_keeps_what_is_found_under_fresh_draws(name: str) -> None:
    predictive, (x, y) = random_ensemble(draws=8, scale=2.0), random_inputs(images=40)
    y = predictive.log_probs(x).argmax(-1)
    threat = bb.Threat(epsilon=0.2, stream="fresh", attack_draws=4)
    stopped = bb.attack(name, stop_when_broken=True).run(predictive, x, y, threat)
    assert stopped.distance.min() > 0
    assert stopped.success.sum() >= 0.8 * bb.attack(name).run(predictive, x, y, threat).success.sum() > 0


@pytest.mark.parametrize("stream", ["fixed", "fresh"])
@pytest.mark.parametrize(
    ("name", "own"),
    [("apgd", {"random_start": False}), ("apgd", {"random_start": False, "stop_when_broken": True}), ("fmn", {})],
)
def test_runs_on_several_targets_depend_on_no_other_image(
    name: str, own: dict[str, bool], stream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the inputs nor the queries, however the runs are put into batches."""
    predictive, (x, y) = random_ensemble(draws=6, classes=5), random_inputs(images=20, classes=5)
    attack = bb.attack(name, steps=12, targets=3, **own)
    threat = bb.Threat(0.1, stream=stream, attack_draws=3 if stream == "fresh" else None)  # type: ignore[arg-type]
    whole = attack.run(predictive, x, y, threat)
    order = torch.arange(19, 4, -3)
    alone = attack.run(predictive, x[order], y[order], threat)
    monkeypatch.setattr(targets, "LARGEST", 7 * x[0].numel() * x.element_size())
    parted = attack.run(predictive, x, y, threat)
    assert 0 < whole.success.sum() < 20
    for again, at in ((alone, order), (parted, slice(None))):
        assert torch.allclose(again.inputs, whole.inputs[at], atol=1e-8)
        assert np.array_equal(again.passes, whole.passes[at])


def test_all_runs_of_an_image_end_when_one_of_them_breaks_it() -> None:
    """Classes 1 and 2 are the most probable ones and out of reach; class 3 is reached by the first step towards it."""
    weight, bias = [[0.0], [-1.0], [-1.0], [90.0]], [0.0, 0.0, -0.2, -46.5]
    weights = {"weight": np.array([weight], "f4"), "bias": np.array([bias], "f4")}
    predictive = bb.Predictive(torch.nn.Linear(1, 4), weights)
    x, y = torch.tensor([[0.5]]), torch.tensor([0])
    quick = bb.attack("apgd", steps=30, targets=3, random_start=False, stop_when_broken=True)
    attacked = quick.run(predictive, x, y, bb.Threat(0.05))
    assert attacked.success.all()
    # The most probable class takes 31 queries, and the other two, which end together, two each; one is the clean query.
    assert attacked.passes.tolist() == [1 + 31 + 2 + 2]


@pytest.mark.parametrize("images", [5, 50])
def test_what_is_recorded_of_runs_on_targets_does_not_grow_with_the_images(
    images: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(targets, "LARGEST", 1)
    predictive, (x, y) = random_ensemble(classes=5), random_inputs(images=images, classes=5)
    for name in ("apgd", "fmn"):
        (one,) = craft(bb.attack(name, steps=4, targets=3), predictive, x, y, [bb.Threat(0.1)], seed=0)
        assert all(len(steps) <= 2 for steps in one.steps.values())
