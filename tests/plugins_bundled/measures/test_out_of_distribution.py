"""Telling another data set from this one by uncertainty, attacked or not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from known import random_ensemble

import bnnbench as bb
from bnnbench.measurements.defence import Defence
from bnnbench.measurements.measurement import measurement_of


class Points(bb.Dataset):
    """Points in a part of the unit box, labelled by a network."""

    low: float = 0.0
    high: float = 0.5
    inputs: int = 5
    box: float = 1.0

    def load(self, seed: int) -> bb.Data:
        generator = np.random.default_rng(5)
        x = generator.uniform(self.low, self.high, (80, self.inputs)).astype("f4") * self.box
        return bb.Data(test=(x, np.arange(80) % 3), bounds=(0.0, self.box), classes=3)


def figures(measure: bb.Measure) -> dict[str, Any]:
    defence = Defence(
        random_ensemble(scale=2.0), Points().load(0), bb.Threat(epsilon=0.0), images=60, draws=None, seed=0
    )
    measurement = measurement_of(measure)
    (result,) = measurement.run(defence, [], "few")
    return measurement.row(result)


def measured(**parameters: Any) -> dict[str, Any]:
    return figures(bb.measure("out-of-distribution", **parameters))


def test_the_same_data_cannot_be_told_apart_and_the_interval_says_so() -> None:
    found = measured(dataset=Points(), images=60)
    for score in ("entropy", "mutual_information", "max_probability"):
        assert found[f"auroc_{score}"] == 0.5
        assert found[f"low_{score}"] < 0.5 < found[f"high_{score}"]
    assert found["attacked_auroc_entropy"] is None


def test_the_area_is_that_of_the_pairs() -> None:
    predictive, here, there = random_ensemble(scale=2.0), Points().load(0), Points(low=0.5, high=1.0).load(0)
    order = bb.evaluate(predictive, bb.attack("fgsm"), here, epsilon=0.0, images=60).index

    def entropy(data: bb.Data) -> np.ndarray:
        log_probs = predictive.log_probs(data.test[0][torch.from_numpy(order)])
        return np.asarray(-(log_probs.exp() * log_probs).sum(-1))

    wins = (entropy(there)[:, None] > entropy(here)[None]).mean()
    found = measured(dataset=Points(low=0.5, high=1.0), images=60)
    assert found["auroc_entropy"] == pytest.approx(wins, abs=1e-9)


def test_an_attack_on_a_score_spoils_the_detection_by_it() -> None:
    parameters: dict[str, Any] = {"dataset": Points(low=0.3, high=0.8), "images": 60, "epsilon": 0.2}
    attack = bb.attack("pgd", random_start=False)  # The image itself is a candidate, so that no score gets worse.
    plain, lowered = measured(**parameters), measured(**parameters, attack=attack)
    both = measured(**parameters, attack=attack, side="both")
    for score in ("entropy", "mutual_information"):
        assert lowered[f"attacked_auroc_{score}"] < plain[f"auroc_{score}"] - 0.1
        assert both[f"attacked_auroc_{score}"] < lowered[f"attacked_auroc_{score}"]
        assert lowered[f"auroc_{score}"] == plain[f"auroc_{score}"]


@pytest.mark.parametrize(("other", "what"), [({"inputs": 4}, "shape"), ({"box": 2.0}, "box")])
def test_images_that_do_not_fit_are_refused(other: dict[str, Any], what: str) -> None:
    with pytest.raises(bb.Incompatible, match=f"the other data set have the {what}"):
        measured(dataset=Points(**other))
