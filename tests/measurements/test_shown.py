"""Outcomes as lines, as HTML and as data frames."""

from __future__ import annotations

import dataclasses

import numpy as np
from known import random_ensemble, small_data
from outcomes import outcome

import bnnbench as bb
from bnnbench.measurements.outcome import Outcome, Outcomes

DATA = small_data(classes=3)
CURVE = bb.evaluate(random_ensemble(inputs=4), bb.attack("pgd", steps=2), DATA, epsilon=[0.05, "1/5"])


def test_an_outcome_is_one_line_and_its_findings_another() -> None:
    made = dataclasses.replace(outcome("1100000000"), label=np.arange(10) % 2, threat=bb.Threat(epsilon=8 / 255))
    assert repr(made) == (
        "Outcome(attack, linf 8/255: robust 0.100 [0.018, 0.404], clean 0.500, 10 images, 3 draws)\n"
        "  refutes: every clean image is given one and the same class"
    )
    assert "\n" not in repr(outcome("1100000000"))


def test_texts_of_others_are_escaped() -> None:
    made = dataclasses.replace(outcome("1100000000"), attack="<b>\x1b[31m")
    assert "<b>" not in made._repr_html_()
    assert repr(made).isprintable()


def test_a_list_of_radii_gives_a_list_of_outcomes() -> None:
    assert isinstance(CURVE, list)
    assert [type(one) for one in CURVE] == [Outcome, Outcome]
    assert repr(CURVE).splitlines() == [line for one in CURVE for line in repr(one).splitlines()]
    assert CURVE._repr_html_().count("<tr>") == 3
    assert repr(Outcomes()) == "no outcomes"
    assert len(Outcomes().frame()) == 0
    assert repr(CURVE[1:]) == repr(CURVE[-1])
    assert CURVE[1:].frame().equals(CURVE[1].frame())


def test_findings_below_a_table_of_several_radii_say_which_they_are_about() -> None:
    constant = dataclasses.replace(outcome("1100000000"), label=np.arange(10) % 2)
    still = np.arange(10) < 3
    both = Outcomes(
        [
            dataclasses.replace(constant, threat=bb.Threat(epsilon=0.1)),
            dataclasses.replace(constant, threat=bb.Threat(epsilon=4 / 255), zero_direction=still),
        ]
    )
    table = both._repr_html_()
    assert "<li><b>refutes</b>: linf 4/255: attack direction exactly zero at 3 images</li>" in table
    assert table.count("linf 0.1: every clean image") == table.count("linf 4/255: every clean image") == 1
    assert "<b>refutes</b>: every clean image" in both[0]._repr_html_()


def test_a_frame_has_a_row_for_each_image() -> None:
    frame = CURVE[1].frame()
    assert len(frame) == 60
    assert set(frame["epsilon"]) == {0.2}
    assert set(frame["epsilon_text"]) == {"0.2"}
    assert np.array_equal(frame["robust"], CURVE[1].robust)
    assert np.array_equal(frame["robust"], frame["clean_correct"] & frame["attacked_correct"])
    assert np.array_equal(frame["label"], DATA.test[1].numpy()[frame["index"]])
    assert np.allclose(frame["clean_log_prob"], CURVE[1].clean_log_probs[range(60), frame["label"]])
    both = CURVE.frame()
    assert len(both) == 120
    assert both.groupby("epsilon")["robust"].mean().tolist() == [one.robust_accuracy for one in CURVE]


def test_a_frame_of_an_outcome_without_gradient() -> None:
    made = bb.evaluate(lambda x: x[:, :3], bb.attack("random-sign"), DATA, epsilon=0.1)
    assert made.frame()["zero_gradient"].isna().all()
